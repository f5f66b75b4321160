package discovery

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// resolver answers from a table; a name that isn't in it doesn't exist, one
// without an address hangs.
type resolver map[string][]string

func (r resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	texts, ok := r[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	if len(texts) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var addrs []netip.Addr
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// TestEndpoints is the table of endpoints that the chain accepts, and of some
// that it doesn't: what becomes of each, without and with allow_private.
func TestEndpoints(t *testing.T) {
	dns := resolver{
		"node.example.com":             {"8.8.8.8"},
		"six.example.com":              {"8.8.8.8", "2606:4700::1111"},
		"mixed.example.com":            {"8.8.8.8", "10.0.0.1"},
		"mixed6.example.com":           {"2606:4700::1111", "fd00::1"},
		"mapped.example.com":           {"::ffff:127.0.0.1"},
		"mapped-public.example.com":    {"::ffff:8.8.8.8"},
		"mapped-special.example.com":   {"::ffff:192.0.2.1"},
		"nat64.example.com":            {"64:ff9b::7f00:1"},
		"sixtofour.example.com":        {"2002:7f00:1::"},
		"127-0-0-1.nip.io":             {"127.0.0.1"},
		"imds.example.com":             {"169.254.169.254"},
		"zone.example.com":             {"fe80::1%eth0"},
		"rebind.example.com":           {"0.0.0.0"},
		"node_1.ex_x.com":              {"9.9.9.9"},
		"prometheus.monitoring.svc":    {"8.8.8.8"},
		"metadata.google.internal":     {"8.8.8.8"},
		"host.docker.internal":         {"8.8.8.8"},
		"alertmanager.cluster.local":   {"8.8.8.8"},
		"prometheus.prod.example-k.io": {"10.96.0.10"},
		"slow.example.com":             {},
	}
	long := strings.Repeat("a23456789.", 25) + "aa" // 252 bytes
	dns[long] = []string{"8.8.4.4"}
	const bad, priv, none = ReasonMalformed, ReasonPrivate, ReasonUnresolved
	for _, tc := range []struct {
		endpoint      string
		host          string // "": refused by parseEndpoint
		public, local string // reasons, "" for none
	}{
		{"8.8.8.8:7100", "8.8.8.8", "", ""},
		{"1.2.3.4:00080", "1.2.3.4", "", ""},
		{"NODE.Example.COM:7100", "node.example.com", "", ""},
		{"six.example.com:7100", "six.example.com", "", ""},
		{"node_1.ex_x.com:7100", "node_1.ex_x.com", "", ""},
		{"mapped-public.example.com:7100", "mapped-public.example.com", "", ""},
		{long + ":7100", long, "", ""},

		{"127.0.0.1:9093", "127.0.0.1", priv, ""},
		{"127.255.1.2:9093", "127.255.1.2", priv, ""},
		{"10.0.0.1:22", "10.0.0.1", priv, ""},
		{"172.16.0.1:22", "172.16.0.1", priv, ""},
		{"192.168.1.1:22", "192.168.1.1", priv, ""},
		{"100.64.0.1:22", "100.64.0.1", priv, ""},
		{"169.254.169.254:80", "169.254.169.254", priv, priv},
		{"0.0.0.0:7100", "0.0.0.0", priv, priv},
		{"0.1.2.3:7100", "0.1.2.3", priv, priv},
		{"224.0.0.1:7100", "224.0.0.1", priv, priv},
		{"255.255.255.255:7100", "255.255.255.255", priv, priv},
		{"240.0.0.1:7100", "240.0.0.1", priv, priv},
		{"192.0.2.1:7100", "192.0.2.1", priv, priv},
		{"198.51.100.1:7100", "198.51.100.1", priv, priv},
		{"203.0.113.1:7100", "203.0.113.1", priv, priv},
		{"198.18.0.1:7100", "198.18.0.1", priv, priv},
		{"192.0.0.8:7100", "192.0.0.8", priv, priv},
		{"192.88.99.1:7100", "192.88.99.1", priv, priv},

		{"localhost:9090", "localhost", priv, ""},
		{"LOCALHOST:9090", "localhost", priv, ""},
		{"foo.localhost:9090", "foo.localhost", priv, ""},
		{"metadata.google.internal:80", "metadata.google.internal", priv, ""},
		{"host.docker.internal:9090", "host.docker.internal", priv, ""},
		{"prometheus.monitoring.svc:9090", "prometheus.monitoring.svc", priv, ""},
		{"alertmanager.cluster.local:9093", "alertmanager.cluster.local", priv, ""},
		{"node01.prep.test:7100", "node01.prep.test", priv, ""},
		{"prometheus.prod.example-k.io:9090", "prometheus.prod.example-k.io", priv, ""},
		{"127-0-0-1.nip.io:9090", "127-0-0-1.nip.io", priv, ""},
		{"mixed.example.com:7100", "mixed.example.com", priv, ""},
		{"mixed6.example.com:7100", "mixed6.example.com", priv, ""},
		{"mapped-special.example.com:7100", "mapped-special.example.com", priv, ""},
		{"mapped.example.com:7100", "mapped.example.com", priv, ""},
		{"nat64.example.com:7100", "nat64.example.com", priv, ""},
		{"sixtofour.example.com:7100", "sixtofour.example.com", priv, ""},
		{"imds.example.com:7100", "imds.example.com", priv, ""},
		{"zone.example.com:7100", "zone.example.com", priv, ""},
		{"rebind.example.com:7100", "rebind.example.com", priv, ""},
		{"gone.example.com:7100", "gone.example.com", none, ""},
		{"slow.example.com:7100", "slow.example.com", none, ""},

		{"127.00.00.01:80", "", bad, bad},
		{"0x7f.00.00.01:80", "", bad, bad},
		{"0x7f000001:80", "", bad, bad},
		{"2130706433:80", "", bad, bad},
		{"127.1:80", "", bad, bad},
		{"evil.example.0x7f:80", "", bad, bad},
		{"999.999.999.999:7100", "", bad, bad},
		{"1.2.3.4.5:7100", "", bad, bad},
		{"1.2.3.04:7100", "", bad, bad},
		{"\u212anode.com:7100", "", bad, bad}, // Kelvin
		{"node\u0130.com:7100", "", bad, bad}, // dotted I
		{"１.2.3.4:7100", "", bad, bad},
		{strings.Repeat("a", 90_000) + ".com:7100", "", bad, bad},
		{strings.Repeat("a", 64) + ".com:7100", "", bad, bad},
		{long + ".aa:7100", "", bad, bad},
		{"[::1]:7100", "", bad, bad},
		{"::1:7100", "", bad, bad},
		{"http://a.com:7100", "", bad, bad},
		{"me@a.com:7100", "", bad, bad},
		{"a.com:7100/metrics", "", bad, bad},
		{"a.com", "", bad, bad},
		{"a.com:", "", bad, bad},
		{"a.com:0", "", bad, bad},
		{"a.com:65536", "", bad, bad},
		{"a.com:+80", "", bad, bad},
		{"a.com:-80", "", bad, bad},
		{"a.com:80 ", "", bad, bad},
		{"a.com:80\n", "", bad, bad},
		{"a .com:80", "", bad, bad},
		{"a..com:80", "", bad, bad},
		{".a.com:80", "", bad, bad},
		{"a.com.:80", "", bad, bad},
		{"-a.com:80", "", bad, bad},
		{"a-.com:80", "", bad, bad},
		{"a\"}.com:80", "", bad, bad},
		{"{{.}}:80", "", bad, bad},
		{"a.com,b.com:80", "", bad, bad},
		{":80", "", bad, bad},
		{":", "", bad, bad},
		{"", "", bad, bad},
	} {
		host, port, ok := parseEndpoint(tc.endpoint)
		if ok != (tc.host != "") || ok && (host != tc.host || port < 1) {
			t.Errorf("parseEndpoint(%.60q) = %q, %d, %t, want host %q", tc.endpoint, host, port, ok, tc.host)
		}
		if again, _, _ := parseEndpoint(joinPort(host, port)); ok && again != host {
			t.Errorf("parsing %q again gives %q", host, again)
		}
		for private, want := range map[bool]string{false: tc.public, true: tc.local} {
			synctest.Test(t, func(t *testing.T) {
				rows := []row{{Address: "hx1", P2PEndpoint: tc.endpoint}}
				got := sortOut(t.Context(), rows, &rules{ranks: rankRange{1, 1}, allowPrivate: private}, dns)
				if want == "" && (len(got.Preps) != 1 || len(got.Refused) != 0 || got.Preps[0].Host != tc.host) {
					t.Errorf("%.60q, private %t: %+v, want it accepted", tc.endpoint, private, got)
				}
				if want != "" && (len(got.Preps) != 0 || len(got.Refused) != 1 || got.Refused[0].Reason != want) {
					t.Errorf("%.60q, private %t: %+v, want it refused as %s", tc.endpoint, private, got, want)
				}
			})
		}
	}
}

// TestLookupsAreBounded has name servers that never answer for more names than
// there are workers: the lookups end all the same, and the good name is found.
func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := resolver{"node.example.com": {"8.8.8.8"}}
		hosts := map[string]string{"node.example.com": ""}
		want := map[string]string{"node.example.com": ""}
		for range 20 {
			name := strings.Repeat("x", len(hosts)) + ".example.com"
			dns[name], hosts[name], want[name] = nil, "", ReasonUnresolved
		}
		checkHosts(t.Context(), hosts, false, dns)
		if !maps.Equal(hosts, want) {
			t.Error(cmp.Diff(want, hosts))
		}
	})
}
