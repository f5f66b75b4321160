package sidecar

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits give every name, such as a client's address, so many requests at once and so many a second.
type limits struct {
	each  rate.Limit
	burst int

	mu  sync.Mutex
	all map[string]*rate.Limiter
}

// maxLimited bounds the names that are remembered.
const maxLimited = 10_000

func newLimits(each time.Duration, burst int) *limits {
	return &limits{each: rate.Every(each), burst: burst, all: map[string]*rate.Limiter{}}
}

// allow reports whether one more request of a name is within its limits.
func (l *limits) allow(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.all[name]
	if limiter == nil {
		if len(l.all) >= maxLimited {
			for n, other := range l.all {
				if other.TokensAt(now) >= float64(l.burst) {
					delete(l.all, n)
				}
			}
		}
		if len(l.all) >= maxLimited {
			// Whoever has so many addresses isn't stopped by this, and nobody else should be.
			clear(l.all)
		}
		limiter = rate.NewLimiter(l.each, l.burst)
		l.all[name] = limiter
	}
	return limiter.AllowN(now, 1)
}

// proxies are those whose word about the client counts.
type proxies []netip.Prefix

func newProxies(list []string) (p proxies, err error) {
	for _, s := range list {
		prefix, err := parsePrefix(s)
		if err != nil {
			return nil, err
		}
		p = append(p, prefix)
	}
	return p, nil
}

func (p proxies) trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// client returns the address that a request comes from: the last one in X-Forwarded-For that isn't a trusted proxy's, if a
// trusted proxy sent it. What stands before it is the client's own word. The zero address if it isn't known.
func (p proxies) client(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && p.trust(addr); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		addr = before.Unmap().WithZone("")
	}
	return addr
}

// limitName is what a client is limited by. Whoever has one IPv6 address has 2^64.
func limitName(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
