package discovery

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// TestDeny is a table of own servers and of P-Reps that register them.
func TestDeny(t *testing.T) {
	dns := resolver{
		"node.example.com":       {"8.8.8.8"},
		"alias.example.com":      {"8.8.4.4"},
		"six.example.com":        {"9.9.9.9", "2606:4700::1111"},
		"prometheus.example.org": {"8.8.4.4"},
		"mapped.example.com":     {"::ffff:1.1.1.1"},
	}
	for _, tc := range []struct {
		deny     []string
		endpoint string
		denied   bool // in public
		local    bool // with allow_private, where no name is resolved
	}{
		{nil, "8.8.4.4:7100", false, false},
		{[]string{"8.8.4.4"}, "8.8.4.4:7100", true, true},
		{[]string{"8.8.4.4"}, "8.8.4.5:7100", false, false},
		{[]string{"8.8.4.0/24"}, "8.8.4.4:9090", true, true},
		{[]string{"8.8.4.99/24"}, "8.8.4.4:9090", true, true},
		{[]string{"8.8.4.4"}, "alias.example.com:7100", true, false},
		{[]string{"prometheus.example.org"}, "prometheus.example.org:7100", true, true},
		{[]string{"Prometheus.Example.ORG"}, "PROMETHEUS.example.org:7100", true, true},
		{[]string{"prometheus.example.org"}, "8.8.4.4:7100", true, false},
		{[]string{"prometheus.example.org"}, "alias.example.com:7100", true, false},
		{[]string{"prometheus.example.org"}, "node.example.com:7100", false, false},
		{[]string{"example.com"}, "node.example.com:7100", false, false},
		{[]string{"gone.example.org"}, "node.example.com:7100", false, false},
		{[]string{"2606:4700::/32"}, "six.example.com:7100", true, false},
		{[]string{"1.1.1.1"}, "mapped.example.com:7100", true, false},
		{[]string{"::ffff:1.1.1.1"}, "1.1.1.1:7100", true, true},
	} {
		for private, want := range map[bool]bool{false: tc.denied, true: tc.local} {
			r := &rules{ranks: rankRange{1, 1}, allowPrivate: private}
			for _, entry := range tc.deny {
				if err := r.deny.add(entry); err != nil {
					t.Fatal(err)
				}
			}
			got := sortOut(t.Context(), []row{{Address: "hx1", P2PEndpoint: tc.endpoint}}, r, dns)
			if denied := len(got.Refused) == 1 && got.Refused[0].Reason == ReasonDenied; denied != want || !want && len(got.Preps) != 1 {
				t.Errorf("deny %q, %s, private %t: %+v, want denied %t", tc.deny, tc.endpoint, private, got, want)
			}
		}
	}
}

// TestOwnServersAreDenied: our servers are no targets for anybody who registers
// them, but on a test network, where one machine may be everything.
func TestOwnServersAreDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := icontest.Generate(20, 1, icontest.WithHosts(func(i int) string { return "8.8.8." + string(rune('1'+i%9)) }))
		all := addresses(network)
		network.Move(all[3], "1.1.1.1:7100")
		network.Move(all[4], "monitoring.example.com:7100")
		own := []string{"127.0.0.1", "1.1.1.1", "monitoring.example.com", "not a host", ""}
		opts := Options{Own: own, Resolver: resolver{"monitoring.example.com": {"8.8.4.4"}}}
		cfg := testNetwork(1)
		cfg.AllowPrivate = false
		a := testAgent(t, t.TempDir(), cfg, opts, icontest.NewNode(network))
		mustSync(t, a, true)
		refused := map[string]string{}
		for _, r := range a.Status()[0].Refused {
			refused[r.Owner] = r.Reason
		}
		if diff := cmp.Diff(map[string]string{all[3]: ReasonDenied, all[4]: ReasonDenied}, refused); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		cfg.AllowPrivate = true
		a = testAgent(t, t.TempDir(), cfg, opts, icontest.NewNode(network))
		mustSync(t, a, true)
		if got := a.Status()[0]; got.Preps != 20 || len(got.Refused) != 0 {
			t.Errorf("on a test network: %d P-Reps, refused %+v", got.Preps, got.Refused)
		}
	})
}

// TestDenyOfTargets: what is put on the list stops being a target with the next
// answer, whoever many they are, and not before.
func TestDenyOfTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(20, 1, icontest.WithHosts(func(i int) string {
			if i < 10 {
				return "127.66.0.1"
			}
			return "127.77.0.1"
		}))
		node := icontest.NewNode(network)
		denying := func() *Agent {
			a, err := New(Config{TargetsDir: dir, Networks: []Network{testNetwork(1)}, Deny: []string{"127.66.0.0/16"}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			connect(a, node)
			return a
		}
		mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), true)
		before := readTargets(t, dir)
		node.Misbehave(icontest.ServerError())
		if _, err := denying().Sync(t.Context()); err == nil || readTargets(t, dir) != before {
			t.Errorf("the file changed without an answer: %v", err)
		}
		node.Behave()
		a := denying()
		mustSync(t, a, true)
		if s := a.Status()[0]; len(owners(t, dir)) != 10 || len(s.Refused) != 10 || s.Refused[0].Reason != ReasonDenied || len(s.Held) != 0 {
			t.Errorf("%d left, refused %+v, held %+v", len(owners(t, dir)), s.Refused, s.Held)
		}

		// Nothing left is no targets file.
		network.Leave(addresses(network)[10:]...)
		if _, err := a.Sync(t.Context()); !errors.Is(err, errEmpty) && !errors.Is(err, errDrop) {
			t.Errorf("got %v", err)
		}
	})
}
