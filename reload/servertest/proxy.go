package servertest

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
)

// Proxy stands before a server, counts what passes and fails on demand. Its methods may be called at any time
// and from any goroutine.
//
//	proxy := servertest.NewProxy(t, server.URL())
//	proxy.Intercept("POST", "/-/reload", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
//		next.ServeHTTP(httptest.NewRecorder(), r) // the server does it,
//		<-r.Context().Done()                      // and its answer never arrives
//	})
//
// While the server is away, requests end as its own would: the connection breaks off without an answer. [Proxy.Down]
// makes them fail before.
type Proxy struct {
	t       TB
	address string
	url     string
	forward *httputil.ReverseProxy

	mu        sync.Mutex
	requests  []string // "POST /-/reload"
	intercept map[string]func(http.ResponseWriter, *http.Request, http.Handler)
	transport http.RoundTripper
	down      func()
}

// NewProxy starts a proxy on a loopback port that the kernel picks. It forwards every request to the same path
// below target, the base URL of a server, and is closed when the test ends.
func NewProxy(t TB, target string) *Proxy {
	t.Helper()
	base, err := url.Parse(target)
	if err != nil {
		t.Fatalf("target of a proxy: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("proxy: %v", err)
	}
	p := &Proxy{
		t:         t,
		address:   listener.Addr().String(),
		url:       "http://" + listener.Addr().String(),
		intercept: map[string]func(http.ResponseWriter, *http.Request, http.Handler){},
		transport: &http.Transport{},
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(base) },
		Transport:    roundTrip(p.send),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     quiet(),
	}
	p.serve(listener)
	t.Cleanup(p.Down)
	return p
}

// quiet logs nothing: the test looks at what its client gets.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func (p *Proxy) serve(listener net.Listener) {
	server := &http.Server{Handler: p, ErrorLog: quiet()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.t.Errorf("proxy: %v", err)
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = func() {
		server.Close() // and the connections with it: what hangs is not waited for
		<-done
	}
}

// Down makes the proxy's port that of a server that is gone: connections end, and new ones are refused.
func (p *Proxy) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down()
}

// Up undoes Down, on the same port.
func (p *Proxy) Up() {
	p.t.Helper()
	var listener net.Listener
	Eventually(p.t, readyTimeout, func() (err error) { // an outgoing connection may have got the port for a while
		listener, err = net.Listen("tcp", p.address)
		return err
	})
	p.serve(listener)
}

// URL is the proxy's base URL, without a slash at its end.
func (p *Proxy) URL() string { return p.url }

// Transport sends what passes in another way, such as that of a [Server.Client] that a server with TLS or
// basic auth lets in.
func (p *Proxy) Transport(rt http.RoundTripper) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.transport = rt
}

// Count is how many requests of a method have arrived for exactly this path, answered or not.
func (p *Proxy) Count(method, path string) int {
	n := 0
	for _, r := range p.Requests() {
		if r == method+" "+path {
			n++
		}
	}
	return n
}

// Requests returns the method and path of every request, as in "POST /-/reload", in the order of their arrival.
func (p *Proxy) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Intercept replaces what happens to requests of a path from now on: fn gets the forwarder as next and may
// answer by itself, call next and not answer, hang until the client goes (r.Context), or alter the answer. A
// nil fn restores the forwarder.
func (p *Proxy) Intercept(method, path string, fn func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.intercept[method+" "+path] = fn
}

// ServeHTTP handles a request that arrived.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.Method + " " + r.URL.Path
	p.mu.Lock()
	p.requests = append(p.requests, name)
	fn := p.intercept[name]
	p.mu.Unlock()
	if fn != nil {
		fn(w, r, p.forward)
		return
	}
	p.forward.ServeHTTP(w, r)
}

func (p *Proxy) send(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	rt := p.transport
	p.mu.Unlock()
	return rt.RoundTrip(r)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
