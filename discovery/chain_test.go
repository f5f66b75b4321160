package discovery

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
)

func TestParseNumber(t *testing.T) {
	for s, want := range map[string]Number{
		"0x0":                                  {0, true},
		"0x1f":                                 {31, true},
		"-0x1":                                 {-1, true},
		"0xffffffffffffffff":                   {math.MaxUint64, true},
		"0x10000000000000000":                  {math.MaxUint64 + 1, true},
		"0x1e2827b006813cbcd0516e":             {0x1e2827b006813cbcd0516e, true},
		"-0x1e2827b006813cbcd0516e":            {-0x1e2827b006813cbcd0516e, true},
		"0x7" + strings.Repeat("f", 255):       {math.Ldexp(1, 1023), true},
		"0x" + strings.Repeat("f", 256):        {}, // infinite
		"0x" + strings.Repeat("f", 1000):       {},
		"0x1" + strings.Repeat("0", 1_000_000): {},
		"":                                     {},
		"-":                                    {},
		"0x":                                   {},
		"-0x":                                  {},
		"12":                                   {},
		"0X1":                                  {},
		"0x1g":                                 {},
		"0x1_0":                                {},
		"0x-1":                                 {},
		"0x+10000000000000000":                 {},
		"--0x1":                                {},
		"0x1p4":                                {},
		" 0x1":                                 {},
		"NaN":                                  {},
		"0x１":                                  {},
	} {
		if got := parseNumber(s); got != want {
			t.Errorf("%.40s: %v, want %v", s, got, want)
		}
	}
}

// chainRegistry has the chain metrics of an agent, and nothing else.
func chainRegistry(t *testing.T, a *Agent) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(a.ChainCollector()); err != nil {
		t.Fatal(err)
	}
	return registry
}

// scrape returns the chain metrics of an agent as text.
func scrape(t *testing.T, a *Agent) string {
	t.Helper()
	families, err := chainRegistry(t, a).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestChainMetrics: a P-Rep in jail whose endpoint is no target is there as the
// others are, and what it calls itself can't leave its label.
func TestChainMetrics(t *testing.T) {
	network := icontest.Generate(3, 1)
	all := addresses(network)
	slices.Sort(all)
	fields := func(fields icontest.PRep) func(icontest.PRep) {
		return func(p icontest.PRep) {
			for name, value := range fields {
				p[name] = value
			}
		}
	}
	network.Update(all[0], fields(icontest.PRep{
		"name": "서울 노드\u202e \"} evil 1\n# HELP", "country": "kor", "city": "Seoul\x00", "nodeAddress": all[2], "p2pEndpoint": "127.1.2.3:7100",
		"grade": "0x0", "status": "0x0", "penalty": "0x0", "jailFlags": "0x0", "power": "0x1e2827b006813cbcd0516e",
		"delegated": "0xde0b6b3a7640000", "bonded": "0x6f05b59d3b20000", "totalBlocks": "0x64", "validatedBlocks": "0x63", "lastHeight": "0x2aea540",
	}))
	network.Update(all[1], fields(icontest.PRep{
		"name": "", "country": "", "city": "", "nodeAddress": "hx", "p2pEndpoint": "169.254.169.254:80",
		"grade": "0x2", "status": "0x0", "penalty": "0x5", "jailFlags": "0x9", "power": "0x0",
		"delegated": "0x0", "bonded": "0x0", "totalBlocks": "0x0", "validatedBlocks": "0x0", "lastHeight": "0x0",
	}))
	// Facts that nobody can use are no reason to lose a target.
	network.Update(all[2], fields(icontest.PRep{
		"name": "Odd", "country": "CHE", "city": "Zug", "nodeAddress": all[2], "p2pEndpoint": "127.1.2.4:7100",
		"grade": "0xffff", "status": 7, "penalty": nil, "jailFlags": []string{"0x1"}, "power": "lots", "delegated": "-0xde0b6b3a7640000",
		"bonded": true, "totalBlocks": "0x" + strings.Repeat("f", 5000), "validatedBlocks": "", "lastHeight": "-0x1",
	}))
	node := icontest.NewNode(network)
	a := testAgent(t, t.TempDir(), testNetwork(1), Options{}, node)
	if got := scrape(t, a); got != "" {
		t.Errorf("before the first answer:\n%s", got)
	}
	mustSync(t, a, true)
	if s := a.Status()[0]; s.Preps != 2 || len(s.Refused) != 1 {
		t.Errorf("%d P-Reps have targets, %d are refused, want 2 and 1", s.Preps, len(s.Refused))
	}
	requests := node.Requests()
	want := strings.NewReplacer("PREP0", all[0], "PREP1", all[1], "PREP2", all[2]).Replace(`
# HELP icon_network_block_height Height of the block that the metrics of the network and its P-Reps are of: that of the last accepted answer.
# TYPE icon_network_block_height gauge
icon_network_block_height{network="testnet"} 4.5000003e+07
# HELP icon_network_preps Number of P-Reps within the configured ranks, by grade: 0 main, 1 sub, 2 candidate.
# TYPE icon_network_preps gauge
icon_network_preps{grade="0",network="testnet"} 1
icon_network_preps{grade="1",network="testnet"} 0
icon_network_preps{grade="2",network="testnet"} 1
icon_network_preps{grade="other",network="testnet"} 1
# HELP icon_prep_bonded Bond that the P-Rep receives, in ICX.
# TYPE icon_prep_bonded gauge
icon_prep_bonded{network="testnet",prep="PREP0"} 0.5
icon_prep_bonded{network="testnet",prep="PREP1"} 0
# HELP icon_prep_delegated Delegation that the P-Rep receives, in ICX.
# TYPE icon_prep_delegated gauge
icon_prep_delegated{network="testnet",prep="PREP0"} 1
icon_prep_delegated{network="testnet",prep="PREP1"} 0
icon_prep_delegated{network="testnet",prep="PREP2"} -1
# HELP icon_prep_grade Grade of the P-Rep in this term: 0 main, 1 sub, 2 candidate.
# TYPE icon_prep_grade gauge
icon_prep_grade{network="testnet",prep="PREP0"} 0
icon_prep_grade{network="testnet",prep="PREP1"} 2
icon_prep_grade{network="testnet",prep="PREP2"} 65535
# HELP icon_prep_info What a P-Rep has registered about itself, as labels; always 1.
# TYPE icon_prep_info gauge
icon_prep_info{city="",country="",network="testnet",node_address="",p2p_endpoint="169.254.169.254:80",prep="PREP1",prep_name="PREP1"} 1
icon_prep_info{city="Seoul",country="KOR",network="testnet",node_address="PREP2",p2p_endpoint="127.1.2.3:7100",prep="PREP0",prep_name="서울 노드 \"} evil 1 # HELP"} 1
icon_prep_info{city="Zug",country="CHE",network="testnet",node_address="PREP2",p2p_endpoint="127.1.2.4:7100",prep="PREP2",prep_name="Odd"} 1
# HELP icon_prep_jail_flags Sum of: 1 in jail, 2 unjailing, 4 accumulated validation failure, 8 double sign; 0 for a free P-Rep. From revision 25 on.
# TYPE icon_prep_jail_flags gauge
icon_prep_jail_flags{network="testnet",prep="PREP0"} 0
icon_prep_jail_flags{network="testnet",prep="PREP1"} 9
# HELP icon_prep_last_height Height at which the P-Rep last began or ceased to validate blocks; not that of its last block.
# TYPE icon_prep_last_height gauge
icon_prep_last_height{network="testnet",prep="PREP0"} 4.5e+07
icon_prep_last_height{network="testnet",prep="PREP1"} 0
icon_prep_last_height{network="testnet",prep="PREP2"} -1
# HELP icon_prep_penalty Penalty of the P-Rep: 0 none, 1 disqualified, 2 accumulated validation failure, 3 validation failure, 4 missed network proposal vote, 5 double sign.
# TYPE icon_prep_penalty gauge
icon_prep_penalty{network="testnet",prep="PREP0"} 0
icon_prep_penalty{network="testnet",prep="PREP1"} 5
# HELP icon_prep_power Voting power of the P-Rep, in ICX.
# TYPE icon_prep_power gauge
icon_prep_power{network="testnet",prep="PREP0"} 3.645740135474004e+07
icon_prep_power{network="testnet",prep="PREP1"} 0
# HELP icon_prep_rank Rank of the P-Rep, from 1.
# TYPE icon_prep_rank gauge
icon_prep_rank{network="testnet",prep="PREP0"} 1
icon_prep_rank{network="testnet",prep="PREP1"} 3
icon_prep_rank{network="testnet",prep="PREP2"} 2
# HELP icon_prep_status Status of the P-Rep: 0 active, 1 unregistered, 2 disqualified.
# TYPE icon_prep_status gauge
icon_prep_status{network="testnet",prep="PREP0"} 0
icon_prep_status{network="testnet",prep="PREP1"} 0
# HELP icon_prep_total_blocks Blocks that the P-Rep had to validate so far.
# TYPE icon_prep_total_blocks gauge
icon_prep_total_blocks{network="testnet",prep="PREP0"} 100
icon_prep_total_blocks{network="testnet",prep="PREP1"} 0
# HELP icon_prep_validated_blocks Blocks of icon_prep_total_blocks that the P-Rep did validate.
# TYPE icon_prep_validated_blocks gauge
icon_prep_validated_blocks{network="testnet",prep="PREP0"} 99
icon_prep_validated_blocks{network="testnet",prep="PREP1"} 0
`)
	registry := chainRegistry(t, a)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if got := node.Requests() - requests; got != 0 {
		t.Errorf("showing metrics took %d requests", got)
	}

	check := exec.Command(servertest.Program(t, "promtool"), "check", "metrics", "--extended")
	check.Stdin = strings.NewReader(scrape(t, a))
	if output, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, output)
	}
}

// TestChainMetricsOfRevisions: what a revision doesn't have isn't 0.
func TestChainMetricsOfRevisions(t *testing.T) {
	common := []string{"grade", "info", "penalty", "rank", "status", "delegated", "total_blocks", "validated_blocks"}
	for revision, more := range map[icontest.Revision][]string{
		icontest.ICON1: nil,
		icontest.IISS3: {"bonded", "power", "last_height"},
		icontest.BTP2:  {"bonded", "power", "last_height"},
		icontest.IISS4: {"bonded", "power", "last_height", "jail_flags"},
	} {
		a := testAgent(t, t.TempDir(), testNetwork(1), Options{}, icontest.NewNode(icontest.Generate(30, 1, icontest.WithRevision(revision))))
		mustSync(t, a, true)
		var want, got []string
		for _, name := range append(more, common...) {
			want = append(want, "icon_prep_"+name)
		}
		want = append(want, "icon_network_block_height", "icon_network_preps")
		slices.Sort(want)
		families, err := chainRegistry(t, a).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			got = append(got, f.GetName())
			if strings.HasPrefix(f.GetName(), "icon_prep_") && len(f.GetMetric()) != 30 {
				t.Errorf("revision %d: %d P-Reps have %s, want 30", revision, len(f.GetMetric()), f.GetName())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("revision %d has %q, want %q", revision, got, want)
		}
	}
}

// TestChainMetricsAreDocumented: docs/network.md has each of them, and no other.
func TestChainMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/network.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile("icon_(prep|network)_[a-z_]+").FindAllString(string(page), -1) {
		documented[name] = true
	}
	a := testAgent(t, t.TempDir(), testNetwork(1), Options{}, icontest.NewNode(icontest.Generate(3, 1)))
	mustSync(t, a, true)
	families, err := chainRegistry(t, a).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !documented[f.GetName()] {
			t.Errorf("%s is not documented", f.GetName())
		}
		delete(documented, f.GetName())
	}
	if len(documented) > 0 {
		t.Errorf("documented and not there: %v", documented)
	}
}

// TestChainIsOfTheLastAcceptedAnswer: not of an answer that is held or broken, and
// not from before a restart.
func TestChainIsOfTheLastAcceptedAnswer(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(50, 1)
	all := addresses(network)
	node := icontest.NewNode(network)
	cfg := testNetwork(1)
	cfg.Ranks = "1-40"
	a := testAgent(t, dir, cfg, Options{}, node)
	mustSync(t, a, true)

	// Gone is gone, though its targets are kept.
	network.Leave(all[0])
	mustSync(t, a, true)
	before := scrape(t, a)
	if strings.Contains(before, all[0]) {
		t.Errorf("a P-Rep that left has metrics:\n%s", before)
	}
	if _, kept := owners(t, dir)[all[0]]; !kept {
		t.Error("a P-Rep that left has no targets any more")
	}
	if want := `icon_prep_rank{network="testnet",prep="` + all[40] + `"} 40`; !strings.Contains(before, want) {
		t.Errorf("lacks %s", want)
	}
	if strings.Contains(before, all[41]) {
		t.Error("a P-Rep that wasn't asked for has metrics")
	}
	if want := fmt.Sprintf("icon_network_block_height{network=\"testnet\"} %v\n", float64(network.Height())); !strings.Contains(before, want) {
		t.Errorf("lacks %s", want)
	}

	network.Leave(all[5:25]...)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
		t.Fatal(err)
	}
	if got := scrape(t, a); got != before {
		t.Errorf("an answer that is held changed the metrics: %s", firstDiff(before, got))
	}
	for _, fault := range []icontest.Fault{icontest.ServerError(), icontest.EmptyPReps(), icontest.WrongNID(2), icontest.Behind(1000)} {
		node.Misbehave(fault)
		if _, err := a.Sync(t.Context()); err == nil {
			t.Errorf("%s: accepted", fault.Name)
		}
		if got := scrape(t, a); got != before {
			t.Errorf("%s changed the metrics: %s", fault.Name, firstDiff(before, got))
		}
	}

	a = testAgent(t, dir, cfg, Options{})
	if _, err := a.Sync(t.Context()); err == nil || a.Status()[0].Preps == 0 {
		t.Errorf("%d P-Reps after a restart, %v", a.Status()[0].Preps, err)
	}
	if got := scrape(t, a); got != "" {
		t.Errorf("metrics of before a restart:\n%s", got)
	}
}
