package discovery

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Why a P-Rep of an answer doesn't become a target.
const (
	// ReasonMalformed is an endpoint that isn't a host and a port, or whose
	// host is neither an IPv4 address in its one usual spelling nor a hostname.
	ReasonMalformed = "malformed"
	// ReasonPrivate is a host that isn't on the public internet: by its
	// address, by one of the addresses it resolves to, or by its name.
	ReasonPrivate = "private"
	// ReasonUnresolved is a hostname that no address could be found for.
	ReasonUnresolved = "unresolved"
)

// A Resolver looks up the addresses of a hostname. It is what [net.Resolver]
// does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// parseEndpoint splits a p2pEndpoint into its host, lower-cased, and its port.
// The chain's own check is lax (127.00.00.01, 0x7f.00.00.01, 999.999.999.999
// and the Kelvin sign pass it), so this one is strict: ASCII only, one colon,
// and a host that ends in a number must be an IPv4 address that only has one
// reading.
func parseEndpoint(endpoint string) (host string, port int, ok bool) {
	if len(endpoint) > 253+6 {
		return "", 0, false
	}
	host, digits, ok := strings.Cut(endpoint, ":")
	if !ok || len(digits) == 0 || len(digits) > 5 {
		return "", 0, false
	}
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return "", 0, false
		}
		port = 10*port + int(d-'0')
	}
	host, ok = parseHost(host)
	return host, port, ok && 1 <= port && port <= 65535
}

// parseHost checks and lower-cases the host of an endpoint.
func parseHost(host string) (string, bool) {
	if len(host) == 0 || len(host) > 253 {
		return "", false
	}
	for _, c := range []byte(host) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return "", false
		}
	}
	host = strings.ToLower(host)
	last := host
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		last = label
	}
	if endsInNumber(last) {
		_, err := netip.ParseAddr(host)
		return host, err == nil
	}
	return host, true
}

// endsInNumber is true for a last label that some resolver would take for a
// part of an IPv4 address, also in octal or hex.
func endsInNumber(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	for _, c := range []byte(digits) {
		if (c < '0' || c > '9') && !(hex && 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// special are networks within the unicast ranges that are no public hosts'
// (IANA's special-purpose registries), beyond what netip knows. Those that carry
// IPv4 addresses inside are here too.
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("168.63.129.16/32"), // not of a registry: Azure's platform, as seen from inside
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

var (
	shared  = netip.MustParsePrefix("100.64.0.0/10") // carrier-grade NAT
	public6 = netip.MustParsePrefix("2000::/3")
)

// allowed reports whether a target may have this address. With private, these
// may too: private, shared and loopback ones. Never: unspecified, link-local
// (cloud metadata), multicast, broadcast, documentation and the like.
func allowed(a netip.Addr, private bool) bool {
	a = a.Unmap()
	if a.IsLoopback() || a.IsPrivate() || shared.Contains(a) {
		return private
	}
	if !a.IsGlobalUnicast() || a.Zone() != "" || a.Is6() && !public6.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// localName is true for names that mean something else on every machine or in
// every cluster: without a dot, under a top-level domain that is reserved for
// that, or as Kubernetes names its services.
func localName(host string) bool {
	i := strings.LastIndexByte(host, '.')
	if i < 0 {
		return true
	}
	switch host[i+1:] {
	case "localhost", "local", "internal", "svc", "home", "lan", "corp", "intranet", "arpa", "onion", "alt", "test", "example", "invalid":
		return true
	}
	return false
}

// Bounds on looking up the hostnames of one answer: hostile name servers answer
// late or never.
const (
	lookupTimeout  = 5 * time.Second
	lookupsTimeout = 30 * time.Second
	lookupWorkers  = 32
)

// allowedHost is what can be said of a host of parseHost without resolving it.
// isName is true for a hostname, which remains to be resolved.
func allowedHost(host string, private bool) (ok, isName bool) {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return private || !localName(host), true
	}
	return allowed(addr, private), false
}

// checkHosts finds the reason to refuse each host, "" for none. Hosts come from
// parseHost; hostnames are resolved, unless private hosts are allowed.
func checkHosts(ctx context.Context, hosts map[string]string, private bool, r Resolver) {
	names := make(chan string, len(hosts))
	for host := range hosts {
		switch ok, isName := allowedHost(host, private); {
		case !ok:
			hosts[host] = ReasonPrivate
		case isName && !private:
			names <- host
		}
	}
	close(names)
	if len(names) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookupsTimeout)
	defer cancel()
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range min(len(names), lookupWorkers) {
		workers.Go(func() {
			for name := range names {
				reason := checkName(ctx, name, r)
				mu.Lock()
				hosts[name] = reason
				mu.Unlock()
			}
		})
	}
	workers.Wait()
}

// checkName resolves a hostname as Prometheus will, search domains included.
// One address that isn't public is enough to refuse it.
func checkName(ctx context.Context, name string, r Resolver) string {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := r.LookupNetIP(ctx, "ip", name)
	if err != nil || len(addrs) == 0 {
		return ReasonUnresolved
	}
	for _, a := range addrs {
		if !allowed(a, false) {
			return ReasonPrivate
		}
	}
	return ""
}

// joinPort is net.JoinHostPort for hosts that parseHost accepts: no IPv6.
func joinPort(host string, port int) string { return host + ":" + strconv.Itoa(port) }
