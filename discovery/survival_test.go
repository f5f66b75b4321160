package discovery

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// What an answer of the network can hold, and the tests that hold us to surviving it:
//
//	not JSON, empty, truncated, null, no or other preps, other types  TestFetchErrors, TestForeignAnswers, TestFaultsKeepTheFile
//	too many bytes, P-Reps, levels; redirects; an API that hangs      TestFetchErrors, TestOverRealConnections
//	huge and negative numbers                                         TestForeignAnswers, TestRowToPrep, TestClimb
//	unknown and missing fields, values past the known ones            TestRowOfEveryRevision
//	a start past the end, pages of several blocks, twice in a list    TestPaging, TestPagesAreOfOneHeight, TestFetchErrors
//	another network, an older, a frozen, an absurd height             TestFetchErrors, TestJudge, TestStandingStill, TestAbsurdHeight
//	a part of the P-Reps, by all at once, by and by, for long         TestDropIsHeld, TestDripByOneEndpoint, TestRemovalIsConfirmed
//	any of these, 200 times, before a real Prometheus                 TestGarbageBeforePrometheus
//	hosts that aren't on the internet, in every spelling              TestEndpoints, TestHostilePReps
//	our own servers                                                   TestDeny, TestOwnServersAreDenied, TestHostilePReps
//	DNS that lies, mixes, changes its mind, hangs                     TestEndpoints, TestJudge, TestLookupsAreBounded, TestHostilePReps
//	one endpoint twice, one host with two ports                       TestHostilePReps, TestSharedEndpoints
//	control, bidi, invalid UTF-8, templates, YAML, quotes in texts    TestSanitize, TestPrometheusReadsIt, TestHostileTexts
//
// "details" isn't read at all.

// TestHostilePReps puts one hostile P-Rep among good ones, with all that it may
// be. It is refused by reason and name, and the others have their targets.
func TestHostilePReps(t *testing.T) {
	dns := resolver{
		"node.example.com":             {"9.9.9.9"},
		"mixed.example.com":            {"9.9.9.9", "10.0.0.1"},
		"mixed6.example.com":           {"9.9.9.9", "fd00:ec2::254"},
		"rebind.example.com":           {"127.0.0.1"},
		"imds.example.com":             {"169.254.169.254"},
		"alibaba.example.com":          {"100.100.100.200"},
		"azure.example.com":            {"168.63.129.16"},
		"metadata.google.internal":     {"9.9.9.9"},
		"prometheus.monitoring.svc":    {"9.9.9.9"},
		"prometheus.prod.example-k.io": {"10.96.0.10"},
		"prometheus.example.org":       {"1.1.1.1"},
		"alias.example.com":            {"1.1.1.1"},
		"slow.example.com":             {},
	}
	for _, tc := range []struct{ name, endpoint, reason string }{
		{"private", "10.0.0.1:22", ReasonPrivate},
		{"private by name", "prometheus.prod.example-k.io:9090", ReasonPrivate},
		{"loopback", "127.0.0.1:9093", ReasonPrivate},
		{"loopback by name", "localhost:9090", ReasonPrivate},
		{"link-local", "169.254.7.7:7100", ReasonPrivate},
		{"CGNAT", "100.64.0.1:7100", ReasonPrivate},
		{"multicast", "224.0.0.1:7100", ReasonPrivate},
		{"broadcast", "255.255.255.255:7100", ReasonPrivate},
		{"unspecified", "0.0.0.0:7100", ReasonPrivate},
		{"documentation", "203.0.113.7:7100", ReasonPrivate},
		{"cloud metadata", "169.254.169.254:80", ReasonPrivate},
		{"cloud metadata by name", "imds.example.com:80", ReasonPrivate},
		{"cloud metadata of Google", "metadata.google.internal:80", ReasonPrivate},
		{"cloud metadata of Alibaba", "alibaba.example.com:80", ReasonPrivate},
		{"cloud metadata of Azure", "azure.example.com:80", ReasonPrivate},
		{"cloud metadata of Azure by address", "168.63.129.16:80", ReasonPrivate},
		{"cluster name", "prometheus.monitoring.svc:9090", ReasonPrivate},
		{"DNS with a private address among public ones", "mixed.example.com:7100", ReasonPrivate},
		{"DNS with a private IPv6 address among public ones", "mixed6.example.com:7100", ReasonPrivate},
		{"DNS rebinding", "rebind.example.com:7100", ReasonPrivate},
		{"DNS without an answer", "gone.example.com:7100", ReasonUnresolved},
		{"DNS that hangs", "slow.example.com:7100", ReasonUnresolved},
		{"own server", "1.1.1.1:9090", ReasonDenied},
		{"own server by name", "prometheus.example.org:9090", ReasonDenied},
		{"own server by another name", "alias.example.com:9090", ReasonDenied},
		{"octal", "127.00.00.01:80", ReasonMalformed},
		{"hexadecimal", "0x7f.00.00.01:80", ReasonMalformed},
		{"one number", "2130706433:80", ReasonMalformed},
		{"no address", "999.999.999.999:7100", ReasonMalformed},
		{"IPv6", "[2606:4700::1111]:7100", ReasonMalformed},
		{"Kelvin sign", "\u212anode.com:7100", ReasonMalformed},
		{"dotted capital I", "node\u0130.com:7100", ReasonMalformed},
		{"hostname of 90 kB", strings.Repeat("a", 90_000) + ".com:7100", ReasonMalformed},
		{"template", "{{.}}.com:7100", ReasonMalformed},
		{"lines", "node.example.com:7100\n", ReasonMalformed},
		{"path", "node.example.com:7100/metrics", ReasonMalformed},
		{"no port", "node.example.com", ReasonMalformed},
		{"nothing", "", ReasonMalformed},
		{"somebody else's endpoint", "8.8.8.1:7100", ""},
		{"somebody else's host", "8.8.8.1:7200", ""},
		{"hostname", "node.example.com:7100", ""},
		{"hostname in capitals", "NODE.example.COM:7100", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, registry := t.TempDir(), prometheus.NewRegistry()
				network := icontest.Generate(20, 1, icontest.WithHosts(func(i int) string { return fmt.Sprintf("8.8.8.%d", i) }))
				all := addresses(network)
				hostile := all[5]
				network.Rename(hostile, "Mallory")
				network.Move(hostile, tc.endpoint)
				cfg := testNetwork(1)
				cfg.AllowPrivate = false
				a := testAgent(t, dir, cfg, Options{Registerer: registry, Resolver: dns, Own: []string{"prometheus.example.org"}}, icontest.NewNode(network))
				mustSync(t, a, true)
				have := owners(t, dir)
				for _, owner := range all {
					if _, there := have[owner]; there != (owner != hostile || tc.reason == "") {
						t.Errorf("%s has targets: %t", owner, there)
					}
				}
				if err := loads([]byte(readTargets(t, dir)), 2*len(have)); err != nil {
					t.Error(err)
				}
				refused := a.Status()[0].Refused
				if tc.reason == "" {
					if len(refused) != 0 {
						t.Errorf("refused: %+v", refused)
					}
					return
				}
				if len(refused) != 1 || refused[0].Owner != hostile || refused[0].Name != "Mallory" || refused[0].Reason != tc.reason || len(refused[0].Endpoint) > maxText {
					t.Errorf("refused: %+v, want %s", refused, tc.reason)
				}
				counted := `# HELP stoker_discovery_refused Number of P-Reps of the last answer that don't become targets, by reason.
# TYPE stoker_discovery_refused gauge
`
				for _, reason := range []string{ReasonDenied, ReasonMalformed, ReasonPrivate, ReasonUnresolved} {
					n := 0
					if reason == tc.reason {
						n = 1
					}
					counted += fmt.Sprintf("stoker_discovery_refused{network=\"testnet\",reason=%q} %d\n", reason, n)
				}
				if err := testutil.GatherAndCompare(registry, strings.NewReader(counted), "stoker_discovery_refused"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestHostileTexts: whatever stands in a P-Rep's texts, its targets are there, and
// nobody's labels but its own have it.
func TestHostileTexts(t *testing.T) {
	for _, tc := range []struct{ name, text, label string }{
		{"template", `{{ .Labels.instance }}{{ printf "%s" "x" }}`, `{{ .Labels.instance }}{{ printf "%s" "x" }}`},
		{"variable", "$(HOME) ${HOME} $1", "$(HOME) ${HOME} $1"},
		{"YAML", "x\n- targets: ['127.0.0.1:9093']\n  labels: {}", "x - targets: ['127.0.0.1:9093']   labels: {}"},
		{"YAML anchor", "&a [*a, *a]", "&a [*a, *a]"},
		{"JSON", `"},{"targets":["127.0.0.1:1"],"labels":{"prep":"hx0"`, `"},{"targets":["127.0.0.1:1"],"labels":{"prep":"hx0"`},
		{"backslashes", `\",\u0022\`, `\",\u0022\`},
		{"markup", "<script>alert(1)</script>&amp;", "<script>alert(1)</script>&amp;"},
		{"terminal", "\x1b[2J\x1b[31mred\x07", "[2J[31mred"},
		{"bidi", "safe\u202eexe.gpj\u202c", "safeexe.gpj"},
		{"zero width", "a\u200bc\u2060m\ufeffe", "acme"},
		{"lines", "a\r\nb\u2028c", "a  b c"},
		{"Korean", "서울 노드", "서울 노드"},
		{"nothing visible", "\u3164\u2800", ""}, // then it is the address
		{"longer than a label", strings.Repeat("노드", 1000), strings.Repeat("노드", 10) + "노"},
		{"500 kB", strings.Repeat("x", 500_000), strings.Repeat("x", maxText)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			network := icontest.Generate(3, 1)
			hostile := addresses(network)[1]
			network.Update(hostile, func(p icontest.PRep) {
				for _, field := range []string{"name", "city", "country", "website", "details", "email"} {
					p[field] = tc.text
				}
				p["nodeAddress"], p["grade"] = tc.text, tc.text
			})
			mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, icontest.NewNode(network)), true)
			if err := loads([]byte(readTargets(t, dir)), 6); err != nil {
				t.Fatal(err)
			}
			have := owners(t, dir)
			name := tc.label
			if name == "" {
				name = hostile
			}
			got := have[hostile]
			if diff := cmp.Diff([]string{name, tc.label, "", ""}, []string{got.Name, got.City, got.NodeAddress, got.Grade}); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if len(got.Website) > maxURL || len(got.Country) > maxText || len(have) != 3 {
				t.Errorf("%d P-Reps, %+v", len(have), got)
			}
		})
	}
}
