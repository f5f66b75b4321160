package discovery

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		network := icontest.Generate(12, 1)
		cfg := testNetwork(1)
		cfg.Name = "mainnet"
		a := testAgent(t, t.TempDir(), cfg, Options{Registerer: registry}, icontest.NewNode(network))
		if got, err := testutil.GatherAndCount(registry); err != nil || got != 0 {
			t.Errorf("%d metrics before the first refresh, %v", got, err)
		}
		all := addresses(network)
		network.Move(all[0], "169.254.169.254:80")
		network.Move(all[1], "0x7f.1:80")
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		network.Leave(all[2])
		time.Sleep(1500 * time.Millisecond)
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		const want = `# HELP stoker_discovery_answers_total Answers that an endpoint of a network was asked for, by what became of them.
# TYPE stoker_discovery_answers_total counter
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="accepted"} 2
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="consulted"} 0
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="empty"} 0
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="failed"} 0
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="held"} 0
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="implausible"} 0
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="older"} 0
stoker_discovery_answers_total{endpoint="a.test",network="mainnet",result="still"} 0
# HELP stoker_discovery_held Number of P-Reps whose targets are kept although the last answer doesn't give them, by reason.
# TYPE stoker_discovery_held gauge
stoker_discovery_held{network="mainnet",reason="absent"} 1
stoker_discovery_held{network="mainnet",reason="disputed"} 0
stoker_discovery_held{network="mainnet",reason="drop"} 0
stoker_discovery_held{network="mainnet",reason="unresolved"} 0
# HELP stoker_discovery_last_good_timestamp_seconds When an answer with a new block height was last accepted, 0 for never.
# TYPE stoker_discovery_last_good_timestamp_seconds gauge
stoker_discovery_last_good_timestamp_seconds{network="mainnet"} 9.466848015e+08
# HELP stoker_discovery_preps Number of P-Reps that have targets.
# TYPE stoker_discovery_preps gauge
stoker_discovery_preps{network="mainnet"} 10
# HELP stoker_discovery_refused Number of P-Reps of the last answer that don't become targets, by reason.
# TYPE stoker_discovery_refused gauge
stoker_discovery_refused{network="mainnet",reason="denied"} 0
stoker_discovery_refused{network="mainnet",reason="malformed"} 1
stoker_discovery_refused{network="mainnet",reason="private"} 1
stoker_discovery_refused{network="mainnet",reason="unresolved"} 0
# HELP stoker_discovery_targets Number of targets in the network's targets file, by exporter.
# TYPE stoker_discovery_targets gauge
stoker_discovery_targets{exporter="goloop",network="mainnet"} 10
stoker_discovery_targets{exporter="node",network="mainnet"} 10
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	})
}

// TestEndpointHealth: an endpoint that nobody has asked is neither well nor sick,
// and one that fails says since when and why.
func TestEndpointHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := func(d time.Duration) time.Time { return began.Add(d) }
		network := icontest.Generate(30, 1)
		first, second := icontest.NewNode(network), icontest.NewNode(network)
		a := testAgent(t, t.TempDir(), testNetwork(2), Options{}, first, second)
		check := func(want ...Endpoint) {
			t.Helper()
			got := a.Status()[0].Endpoints
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return text(a) == text(b) })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		check()
		mustSync(t, a, true)
		check(Endpoint{Host: "a.test", Asked: began}, Endpoint{Host: "b.test"})

		first.Misbehave(icontest.ServerError())
		time.Sleep(time.Minute)
		mustSync(t, a, false)
		time.Sleep(time.Minute)
		mustSync(t, a, false)
		down := errors.New("icx_getNetworkInfo: HTTP status 500 Internal Server Error")
		check(
			Endpoint{Host: "a.test", Asked: at(2 * time.Minute), Failures: 2, Since: at(time.Minute), RetryAt: at(2*time.Minute + 20*time.Second), Err: down},
			Endpoint{Host: "b.test", Asked: at(2 * time.Minute)},
		)
		first.Behave()
		time.Sleep(time.Minute)
		mustSync(t, a, false)
		check(Endpoint{Host: "a.test", Asked: at(3 * time.Minute)}, Endpoint{Host: "b.test", Asked: at(2 * time.Minute)})

		// How long what is held is held.
		network.Leave(addresses(network)[0])
		mustSync(t, a, true) // the ranks behind it
		network.Leave(addresses(network)[:10]...)
		second.Misbehave(icontest.ServerError())
		s := a.Status()[0]
		if got := s.Until(s.Held[0]); !got.Equal(at(3*time.Minute + time.Hour)) {
			t.Errorf("an absent one is held until %s", got)
		}
		time.Sleep(time.Minute)
		if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
			t.Fatal(err)
		}
		s = a.Status()[0]
		if got := s.Until(s.Held[0]); !got.Equal(at(4*time.Minute + 24*time.Hour)) {
			t.Errorf("a drop is held until %s", got)
		}
		if got := s.Until(Held{Reason: HeldUnresolved}); !got.IsZero() {
			t.Errorf("an unresolved one is held until %s", got)
		}
	})
}

// TestLog: a problem is said once, a change in words.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	network := icontest.Generate(5, 1)
	all := addresses(network)
	for i, name := range []string{"Alder", "Birch", "Cedar", "Elm", "Fir"} {
		network.Rename(all[i], name)
	}
	network.Move(all[0], "169.254.169.254:80")
	network.Move(all[1], "127.5.5.5:7100")
	network.Move(all[2], "127.5.5.5:7100")
	a := testAgent(t, t.TempDir(), testNetwork(1), Options{Logger: logger}, icontest.NewNode(network))
	mustSync(t, a, true)
	mustSync(t, a, false)
	network.Move(all[0], "127.0.9.9:7100")
	network.Rename(all[3], "Ash")
	network.Leave(all[4])
	mustSync(t, a, true)
	shared := []string{all[1], all[2]}
	slices.Sort(shared)
	want := strings.NewReplacer("OWNER0", all[0], "OWNER4", all[4], "SHARED", strings.Join(shared, ", ")).Replace(
		`level=INFO msg="targets changed" network=testnet preps=4 height=45000008 endpoint=a.test joined="JOINED" left="" moved="" renamed=""
level=WARN msg="no target for Alder (OWNER0): private endpoint \"169.254.169.254:80\"" network=testnet
level=WARN msg="several P-Reps at one endpoint, keeping all: 127.5.5.5:7100: SHARED" network=testnet
level=INFO msg="targets changed" network=testnet preps=5 height=45000011 endpoint=a.test joined=Alder left="" moved="" renamed=Ash
level=WARN msg="keeping targets of Fir (OWNER4): absent" network=testnet
`)
	names := map[string]string{all[1]: "Birch", all[2]: "Cedar", all[3]: "Elm", all[4]: "Fir"}
	var order []string
	for _, owner := range slices.Sorted(slices.Values(all[1:])) {
		order = append(order, names[owner])
	}
	want = strings.Replace(want, "JOINED", strings.Join(order, ", "), 1)
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
