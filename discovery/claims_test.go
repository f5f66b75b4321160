package discovery

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestClaims(t *testing.T) {
	exporters := testNetwork(1).Exporters // goloop, node
	by := func(contact string, owners []string, exporters ...OwnExporter) Override {
		return Override{Contact: contact, File: contact + ".yml", Owners: owners, Exporters: exporters}
	}
	node, goloop := OwnExporter{Name: "node", Port: 1}, OwnExporter{Name: "goloop", Port: 2}
	elsewhere := by("lisbon", []string{ownerA}, node)
	elsewhere.Networks = []string{"lisbon", "berlin"}
	here := by("here", []string{ownerA}, node)
	here.Networks = []string{"lisbon", "testnet"}
	quarantined := Override{Contact: "acme", File: "acme.yml", Quarantined: true}
	last := claims("testnet", exporters, []Override{by("acme", []string{ownerA}, node), by("gone", []string{ownerB}, node)}, true, nil)
	for _, tc := range []struct {
		name    string
		said    []Override
		unknown bool
		want    string // contact owner exporter state
	}{
		{"nothing", nil, false, ""},
		{"one", []Override{by("acme", []string{ownerB, ownerA}, node, goloop)}, false,
			"acme a goloop used, acme a node used, acme b goloop used, acme b node used"},
		{"another exporter", []Override{by("acme", []string{ownerA}, node), by("birch", []string{ownerA}, goloop)}, false,
			"birch a goloop used, acme a node used"},
		{"another owner", []Override{by("acme", []string{ownerA}, node), by("birch", []string{ownerB}, node)}, false,
			"acme a node used, birch b node used"},
		{"contested", []Override{by("birch", []string{ownerA}, node), by("acme", []string{ownerA, ownerB}, node)}, false,
			"acme a node contested, birch a node contested, acme b node used"},
		{"three", []Override{by("a", []string{ownerA}, node), by("b", []string{ownerA}, node), by("c", []string{ownerA}, node)}, false,
			"a a node contested, b a node contested, c a node contested"},
		{"unknown exporter", []Override{by("acme", []string{ownerA}, OwnExporter{Name: "nod", Port: 1}, goloop)}, false,
			"acme a goloop used, acme a nod unknown"},
		{"other networks", []Override{elsewhere}, false, ""},
		{"no contest across networks", []Override{elsewhere, here}, false, "here a node used"},
		{"quarantined", []Override{quarantined}, false, "acme a node used"},
		{"quarantined, twice", []Override{quarantined, quarantined}, false, "acme a node used"},
		{"quarantined, never good", []Override{{Contact: "new", Quarantined: true}}, false, ""},
		{"quarantined, and contested", []Override{quarantined, by("birch", []string{ownerA}, node)}, false,
			"acme a node contested, birch a node contested"},
		{"nobody knows", nil, true, "acme a node used, gone b node used"},
	} {
		var got []string
		for _, c := range claims("testnet", exporters, tc.said, !tc.unknown, last) {
			got = append(got, fmt.Sprintf("%s %s %s %s", c.Contact, c.Owner[41:], c.Exporter, c.State))
		}
		if diff := cmp.Diff(tc.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// Offline, contradictions are found in whatever networks contacts speak of, and names
// where the networks are known.
func TestCheckOverrides(t *testing.T) {
	at := func(o Override, line int) Override {
		for i := range o.Exporters {
			o.Exporters[i].Position = token.Position{Filename: o.File, Line: line + i, Column: 3}
		}
		return o
	}
	a := at(atURL("a", ownerA, "node", "https://a.com/a"), 7)
	b := at(atURL("b", ownerA, "node", "https://b.com/b"), 9)
	b.Exporters = append(b.Exporters, OwnExporter{Name: "nodes", Port: 1, Position: token.Position{Filename: "b.yml", Line: 10, Column: 3}})
	b.Networks = []string{"mainnet", "lisbn"}
	elsewhere := at(atURL("c", ownerA, "node", "https://c.com/c"), 1)
	elsewhere.Networks = []string{"berlin"}
	contested := []string{
		`a.yml:7:3: exporter "node" of ` + ownerA + ` is claimed by b.yml in line 9 too, so neither counts`,
		`b.yml:9:3: exporter "node" of ` + ownerA + ` is claimed by a.yml in line 7 too, so neither counts`,
	}
	for _, tc := range []struct {
		name               string
		networks           []Network
		said               []Override
		problems, warnings []string
	}{
		{"nothing", twoNetworks().Networks, nil, nil, nil},
		{"known networks", twoNetworks().Networks, []Override{a, b}, contested, []string{
			`b.yml:9:3: the contact's network "lisbn" not known, did you mean "lisbon"?`,
			`b.yml:10:3: exporter "nodes" not known, did you mean "node"? on network mainnet`,
		}},
		{"no networks", nil, []Override{a, b}, contested, nil},
		{"other networks", nil, []Override{b, elsewhere}, nil, nil},
		{"quarantined", nil, []Override{a, {Contact: "b", Quarantined: true}}, nil, nil},
	} {
		problems, warnings := CheckOverrides(tc.networks, tc.said)
		var got [2][]string
		for i, list := range []scanner.ErrorList{problems, warnings} {
			for _, p := range list {
				got[i] = append(got[i], p.Error())
			}
		}
		if diff := cmp.Diff([2][]string{tc.problems, tc.warnings}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// What a contact says in vain is told once in the log, with who and why, and counted.
func TestClaimsAreReported(t *testing.T) {
	s := newSite(t, 3)
	all := addresses(s.network)
	s.said = []Override{
		{Contact: "a", File: "eu/a.yml", Owners: all[:1], Exporters: []OwnExporter{{Name: "node", Port: 1}, {Name: "nodes", Port: 1}}},
		{Contact: "b", File: "b.yml", Owners: all[:1], Exporters: []OwnExporter{{Name: "node", Port: 2}}},
		{Contact: "c", File: "c.yml", Owners: all[1:3], Exporters: []OwnExporter{{Name: "goloop", Port: 3}}},
		atURL("d", all[1], "node", "https://127.0.0.1/"),
	}
	mustSync(t, s.agent, true)
	mustSync(t, s.agent, false)
	s.apply(false)
	for text, times := range map[string]int{
		`exporter node of ` + all[0] + ` is scraped as without contact eu/a.yml, because another contact claims it too`:                         1,
		`exporter node of ` + all[0] + ` is scraped as without contact b.yml, because another contact claims it too`:                            1,
		`contact eu/a.yml: exporter \"nodes\" not known, did you mean \"node\"?`:                                                                1,
		`exporter node of ` + all[1] + ` is scraped as without contact d.yml, because the live release of Prometheus has no scrape job for its`: 1,
		"pa55-w0rd": 0,
	} {
		if got := strings.Count(s.log.String(), text); got != times {
			t.Errorf("%q is in the log %d times:\n%s", text, got, s.log.String())
		}
	}
	const want = `# HELP stoker_discovery_overrides Number of exporters of P-Reps that contacts say how to reach, by what became of it.
# TYPE stoker_discovery_overrides gauge
stoker_discovery_overrides{network="testnet",state="contested"} 2
stoker_discovery_overrides{network="testnet",state="denied"} 0
stoker_discovery_overrides{network="testnet",state="malformed"} 0
stoker_discovery_overrides{network="testnet",state="private"} 0
stoker_discovery_overrides{network="testnet",state="unknown"} 1
stoker_discovery_overrides{network="testnet",state="unresolved"} 0
stoker_discovery_overrides{network="testnet",state="unserved"} 1
stoker_discovery_overrides{network="testnet",state="used"} 2
`
	registry := s.opts.Registerer.(*prometheus.Registry)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "stoker_discovery_overrides"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// FuzzOverrides: whatever a contact says, the files load, and what isn't used changes
// nothing.
func FuzzOverrides(f *testing.F) {
	f.Add("acme", "node", 9100, "/m", "https", "")
	f.Add("acme", "node", 0, "", "", "https://127.0.0.1:8443/node")
	f.Add("a\"b", "goloop", -1, "no", "x", "http://[::1]/\x00")
	f.Add("acme", "node", 70000, "/a?b", "", "https://u:p@a.b.com/%2F")
	f.Fuzz(func(t *testing.T, contact, exporter string, port int, path, scheme, url string) {
		n := &network{rules: rules{name: "testnet", allowPrivate: true, exporters: testNetwork(1).Exporters}, store: newStore("/targets", "testnet", true), served: func(contact, _ string) bool { return contact == "acme" }}
		preps := []prep{{Owner: ownerA, Name: "A", Host: "8.8.8.8", P2PPort: 1, Rank: 1}, {Owner: ownerB, Name: "B", Host: "8.8.8.9", P2PPort: 1, Rank: 2}}
		o := outcome{next: baseline{Preps: preps}, accepted: true}
		said := []Override{{Contact: contact, Owners: []string{ownerA}, Exporters: []OwnExporter{{Name: exporter, Port: port, Path: path, Scheme: scheme, URL: url}}}}
		n.follow(t.Context(), &o, said, nil)
		if o.err != nil || len(o.next.Claims) != 1 {
			t.Fatalf("%v, %v", o.next.Claims, o.err)
		}
		used := o.next.Claims[0].State == ClaimUsed
		owned := 0
		if used && url != "" {
			owned = 1
			if err := loads(o.renderedOwned, 1); err != nil {
				t.Fatalf("%v in %s", err, o.renderedOwned)
			}
		}
		if err := loads(o.rendered, 4-owned); err != nil {
			t.Fatalf("%v in %s", err, o.rendered)
		}
		if want := appendTargets(nil, "testnet", preps, n.exporters); !used && (!bytes.Equal(o.rendered, want) || o.renderedOwned != nil) {
			t.Fatalf("%+v changes the targets:\n%s", o.next.Claims, firstDiff(string(want), string(o.rendered)))
		}
		if !slices.Contains([]string{ClaimUsed, ClaimUnknown, ClaimUnserved, ReasonMalformed, ReasonPrivate}, o.next.Claims[0].State) {
			t.Errorf("state %s", o.next.Claims[0].State)
		}
	})
}
