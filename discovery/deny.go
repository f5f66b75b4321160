package discovery

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// ReasonDenied is a host that the operator doesn't want as a target, whoever
// registers it: by its address, its name, or an address that it resolves to.
const ReasonDenied = "denied"

// A denyList is hosts that never become targets: addresses, networks, and
// hostnames with the addresses that they resolve to.
type denyList struct {
	networks []netip.Prefix
	names    []string
}

// add reads one entry into the list.
func (d *denyList) add(entry string) error {
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		d.networks = append(d.networks, prefix.Masked())
		return nil
	}
	if addr, err := netip.ParseAddr(entry); err == nil {
		d.networks = append(d.networks, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
		return nil
	}
	name, ok := parseHost(entry)
	if !ok {
		return fmt.Errorf("must be an address, a network such as 8.8.8.0/24 or a hostname, got %q", entry)
	}
	d.names = append(d.names, name)
	return nil
}

// address reports whether a target with this address is denied.
func (d *denyList) address(a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(d.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// host reports whether a host of parseHost is denied by what it says.
func (d *denyList) host(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return d.address(a)
	}
	return slices.Contains(d.names, host)
}

// strike returns preps without those at a denied host: preps itself where there
// is none.
func (d *denyList) strike(preps []prep) []prep {
	denied := func(p prep) bool { return d.host(p.Host) }
	if !slices.ContainsFunc(preps, denied) {
		return preps
	}
	return slices.DeleteFunc(slices.Clone(preps), denied)
}

// resolved is d with the addresses that its names have now.
func (d *denyList) resolved(ctx context.Context, r Resolver) *denyList {
	if len(d.names) == 0 {
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	all := &denyList{slices.Clone(d.networks), d.names}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, name := range d.names {
		asking.Go(func() {
			addrs, err := r.LookupNetIP(ctx, "ip", name)
			if err != nil {
				return // its own name is denied all the same
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range addrs {
				all.networks = append(all.networks, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			}
		})
	}
	asking.Wait()
	return all
}

// check refuses the denied among hosts that are fine so far. Hostnames are
// compared by the addresses that were found for them a moment ago, too; where
// private hosts are allowed nobody looked for any.
func (d *denyList) check(ctx context.Context, hosts map[string]string, private bool, found *lookups) {
	if len(d.networks)+len(d.names) == 0 {
		return
	}
	if !private {
		d = d.resolved(ctx, found)
	}
	for host, reason := range hosts {
		if reason == "" && (d.host(host) || slices.ContainsFunc(found.of(host), d.address)) {
			hosts[host] = ReasonDenied
		}
	}
}

// lookups is a Resolver that remembers what it found.
type lookups struct {
	Resolver

	mu    sync.Mutex
	addrs map[string][]netip.Addr
}

// LookupNetIP looks up a hostname, once.
func (l *lookups) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if known := l.of(host); known != nil {
		return known, nil
	}
	addrs, err := l.Resolver.LookupNetIP(ctx, network, host)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.addrs[host] = addrs
	}
	return addrs, err
}

func (l *lookups) of(host string) []netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addrs[host]
}
