package servertest

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// relay stands before the gossip address of one Alertmanager and drops what comes from members that it is cut
// off from: a datagram vanishes, and a stream hangs until its sender gives up, as when a network drops packets.
//
// All members reach each other from 127.0.0.1, so a packet doesn't show by its address whose it is. What shows it
// is the --cluster.label, which memberlist (its label.go) puts before every datagram and at the beginning of every
// stream as one byte of type, one of length and the text. Each member has its own; the relay puts that of the
// receiver, who takes no other, in the place of the sender's.
type relay struct {
	label  string // of the member behind it
	target string // its gossip address
	tcp    net.Listener
	udp    net.PacketConn
	open   func(from string) bool

	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[net.Conn]bool // to close at the end
	closed atomic.Bool
}

// labelType is memberlist's hasLabelMsg.
const labelType = 244

// listenBoth listens on one loopback port with TCP and UDP.
func listenBoth() (tcp net.Listener, udp net.PacketConn, err error) {
	for range 20 { // the port may be in use with the other of the two
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			continue
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return tcp, udp, nil
		}
		tcp.Close()
	}
	return nil, nil, err
}

// newRelay takes a port for itself, and finds a free one for the member behind it.
func newRelay(t TB, label string, open func(from string) bool) *relay {
	t.Helper()
	tcp, udp, err := listenBoth()
	if err != nil {
		t.Fatalf("relay: %v", err)
	}
	free, freeUDP, err := listenBoth()
	if err != nil {
		t.Fatalf("relay: %v", err)
	}
	target := free.Addr().String()
	free.Close()
	freeUDP.Close()
	r := &relay{label: label, target: target, tcp: tcp, udp: udp, open: open, conns: map[net.Conn]bool{}}
	r.wg.Go(r.datagrams)
	r.wg.Go(r.streams)
	t.Cleanup(r.close)
	return r
}

// address is what the member behind the relay advertises.
func (r *relay) address() string { return r.tcp.Addr().String() }

func (r *relay) close() {
	r.closed.Store(true)
	r.tcp.Close()
	r.udp.Close()
	r.mu.Lock()
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *relay) datagrams() {
	target, err := net.ResolveUDPAddr("udp", r.target)
	if err != nil {
		return
	}
	buf := make([]byte, 64<<10)
	for !r.closed.Load() {
		n, _, err := r.udp.ReadFrom(buf)
		if err != nil {
			continue // closed, or what the kernel says about an earlier datagram
		}
		if n < 2 || buf[0] != labelType || n < 2+int(buf[1]) {
			continue
		}
		size := 2 + int(buf[1])
		if r.open(string(buf[2:size])) {
			// Whoever isn't there gets nothing; that is what datagrams are.
			_, _ = r.udp.WriteTo(append(r.header(), buf[size:n]...), target)
		}
	}
}

func (r *relay) header() []byte {
	return append([]byte{labelType, byte(len(r.label))}, r.label...)
}

func (r *relay) streams() {
	for {
		conn, err := r.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		r.wg.Go(func() { r.stream(conn) })
	}
}

func (r *relay) stream(conn net.Conn) {
	defer r.keep(conn)()
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil || head[0] != labelType {
		return
	}
	label := make([]byte, head[1])
	if _, err := io.ReadFull(conn, label); err != nil {
		return
	}
	open := func() bool { return r.open(string(label)) }
	if !open() {
		_, _ = io.Copy(io.Discard, conn) // until the sender has had enough
		return
	}
	member, err := net.Dial("tcp", r.target)
	if err != nil {
		return // as if it had refused the connection
	}
	defer r.keep(member)()
	if _, err := member.Write(r.header()); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { pass(member, conn, open) })
	both.Go(func() { pass(conn, member, open) })
	both.Wait()
}

// pass copies one direction of a stream for as long as that is open. What isn't is read and lost.
func pass(to, from net.Conn, open func() bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && open() {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if c, ok := to.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
}

// keep makes the connection one that close closes; what it returns closes it before that.
func (r *relay) keep(c net.Conn) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		c.Close()
	}
	r.conns[c] = true
	return func() {
		c.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, c)
	}
}

// labelOf is the label of the i-th member.
func labelOf(i int) string { return "member-" + strconv.Itoa(i) }
