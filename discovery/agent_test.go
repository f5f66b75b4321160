package discovery

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
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

func TestSync(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(150, 1, icontest.WithHostnames(5))
	node := icontest.NewNode(network)
	a := testAgent(t, dir, testNetwork(1), Options{}, node)
	mustSync(t, a, true)
	if err := loads([]byte(readTargets(t, dir)), 300); err != nil {
		t.Fatal(err)
	}
	have := owners(t, dir)
	for _, p := range network.PReps() {
		if got := have[p.Address()]; got.Name == "" || joinPort(got.Host, got.P2PPort) != p.Endpoint() {
			t.Errorf("%s: %+v", p, got)
		}
	}

	// The same again, a later block, another agent: the file isn't touched.
	before, err := os.Stat(filepath.Join(dir, "testnet.json"))
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, a, false)
	network.Advance(10)
	mustSync(t, a, false)
	mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), false)
	after, err := os.Stat(filepath.Join(dir, "testnet.json"))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("an unchanged file was touched: %v", err)
	}
}

// TestFaultsKeepTheFile is the promise: whatever one endpoint does, at the first
// request or in the middle, the file stays as it is, byte for byte.
func TestFaultsKeepTheFile(t *testing.T) {
	for _, fault := range icontest.Faults() {
		for _, when := range []string{"always", "once", "second page"} {
			if when == "second page" && (fault.Name == "partial" || fault.Name == "shifting") {
				continue // one takes too few for the guard, the other one needs both pages
			}
			t.Run(fault.Name+" "+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					dir := t.TempDir()
					network := icontest.Generate(150, 1)
					node := icontest.NewNode(network)
					a := testAgent(t, dir, testNetwork(1), Options{}, node)
					mustSync(t, a, true)
					want := readTargets(t, dir)
					switch when {
					case "always":
						node.Misbehave(fault)
					case "once":
						node.MisbehaveNext(1, fault)
					case "second page": // of identity, page 1, page 2
						n := 0
						connect(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if n++; n%3 == 0 {
								node.MisbehaveNext(1, fault)
							}
							node.ServeHTTP(w, r)
						}))
					}
					const rounds = 3
					failures := 0
					for range rounds {
						network.Advance(1)
						_, err := a.Sync(t.Context())
						if err != nil {
							failures++
						}
						if got := readTargets(t, dir); got != want {
							t.Fatalf("the file changed:\n%s", firstDiff(want, got))
						}
						time.Sleep(time.Hour)
					}
					if when == "always" && failures != rounds {
						t.Errorf("%d of %d refreshes failed", failures, rounds)
					}
					connect(a, node)
					node.Behave()
					if _, err := a.Sync(t.Context()); err != nil {
						t.Errorf("afterwards: %v", err)
					}
				})
			})
		}
	}
}

// TestOverRealConnections has what an in-process handler can't show.
func TestOverRealConnections(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(150, 1)
	server := icontest.NewServer(network)
	defer server.Close()
	cfg := testNetwork(1)
	cfg.API = []string{server.URL}
	a, err := New(Config{TargetsDir: dir, Networks: []Network{cfg}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, a, true)
	want := readTargets(t, dir)
	for fault, problem := range map[string]struct {
		fault icontest.Fault
		want  string
	}{
		"truncated": {icontest.Truncated(), "unexpected EOF"},
		"huge":      {icontest.Huge(1 << 30), "is larger than 16 MiB"},
		"redirect":  {icontest.Redirect("http://127.0.0.1:1/"), "which is not followed"},
	} {
		server.Misbehave(problem.fault)
		requests := server.Requests()
		if _, err := a.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), problem.want) {
			t.Errorf("%s: %v", fault, err)
		}
		if got := server.Requests() - requests; got != 1 {
			t.Errorf("%s: %d requests, want 1", fault, got)
		}
	}
	server.Close()
	if _, err := a.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("closed: %v", err)
	}
	if got := readTargets(t, dir); got != want {
		t.Errorf("the file changed:\n%s", firstDiff(want, got))
	}
}

func TestLifeOfANetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		node := icontest.NewNode(network)
		a := testAgent(t, dir, testNetwork(1), Options{}, node)
		mustSync(t, a, true)
		all := addresses(network)

		network.Rename(all[0], "\u202eNew Name\n")
		network.Move(all[1], "127.200.0.1:7100")
		newcomer := network.NewPRep("Newcomer", "127.200.0.2:7100")
		network.Join(newcomer)
		network.Leave(all[2])
		mustSync(t, a, true)
		got := owners(t, dir)
		if len(got) != 51 || got[all[0]].Name != "New Name" || got[all[1]].Host != "127.200.0.1" || got[newcomer.Address()].Host != "127.200.0.2" {
			t.Errorf("%d P-Reps, %+v, %+v", len(got), got[all[0]], got[all[1]])
		}
		if _, ok := got[all[2]]; !ok {
			t.Error("a P-Rep that left is gone at once")
		}

		// The clock of remove_after survives a restart.
		time.Sleep(40 * time.Minute)
		a = testAgent(t, dir, testNetwork(1), Options{}, node)
		mustSync(t, a, false)
		if held := a.Status()[0].Held; len(held) != 1 || held[0].Owner != all[2] || held[0].Reason != HeldAbsent || time.Since(held[0].Since) != 40*time.Minute {
			t.Errorf("held: %+v", held)
		}
		time.Sleep(20 * time.Minute)
		mustSync(t, a, true)
		if _, ok := owners(t, dir)[all[2]]; ok {
			t.Error("a P-Rep that left is still there after remove_after")
		}
		network.Join(func() icontest.PRep { p := newcomer; p["address"] = all[2]; return p }())
		mustSync(t, a, true)
		if _, ok := owners(t, dir)[all[2]]; !ok {
			t.Error("a P-Rep that came back isn't there")
		}
	})
}

// TestChurn drives a network at random. Once it has been quiet for remove_after,
// the targets are those of a clean start.
func TestChurn(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			dir := t.TempDir()
			network := icontest.Generate(40+rng.IntN(200), seed)
			node := icontest.NewNode(network)
			a := testAgent(t, dir, testNetwork(1), Options{}, node)
			mustSync(t, a, true)
			for i := range 30 {
				p := network.PReps()[rng.IntN(20)]
				switch rng.IntN(6) {
				case 0:
					network.Join(network.NewPRep("Joiner", icontest.Generate(1, rng.Uint64()).PReps()[0].Endpoint()))
				case 1:
					if len(network.PReps()) > 40 {
						network.Leave(p.Address())
					}
				case 2:
					network.Rename(p.Address(), strings.Repeat("이름", i))
				case 3:
					network.Move(p.Address(), "127.77.0.1:7100")
				case 4:
					network.Update(p.Address(), func(p icontest.PRep) { p["power"], p["grade"] = "0x0", "0x2" })
				case 5:
					node.MisbehaveNext(1+rng.IntN(3), icontest.Faults()[rng.IntN(len(icontest.Faults()))])
				}
				a.Sync(t.Context())
				time.Sleep(time.Duration(rng.IntN(20)) * time.Minute)
				if rng.IntN(8) == 0 {
					a = testAgent(t, dir, testNetwork(1), Options{}, node)
				}
				have := owners(t, dir)
				for _, owner := range addresses(network) {
					if _, ok := have[owner]; !ok && a.Status()[0].Err == nil && !a.Status()[0].LastAttempt.IsZero() {
						t.Fatalf("seed %d, step %d: %s is in the network and has no target", seed, i, owner)
					}
				}
			}
			node.Behave()
			a.Sync(t.Context())
			time.Sleep(time.Hour)
			network.Advance(1)
			if _, err := a.Sync(t.Context()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			clean := t.TempDir()
			mustSync(t, testAgent(t, clean, testNetwork(1), Options{}, node), true)
			if want, got := readTargets(t, clean), readTargets(t, dir); got != want {
				t.Errorf("seed %d: not what a clean start gives:\n%s", seed, firstDiff(want, got))
			}
		})
	}
}

func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(10, 1)
		first, second := icontest.NewNode(network), icontest.NewNode(network)
		a := testAgent(t, dir, testNetwork(2), Options{}, first, second)
		sync := func(wantFirst, wantSecond bool, source string) {
			t.Helper()
			before1, before2 := first.Requests(), second.Requests()
			network.Advance(1)
			if _, err := a.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got1, got2 := first.Requests() > before1, second.Requests() > before2; got1 != wantFirst || got2 != wantSecond {
				t.Errorf("asked the first %t, the second %t, want %t and %t", got1, got2, wantFirst, wantSecond)
			}
			if got := a.Status()[0].Source; got != source {
				t.Errorf("source %s, want %s", got, source)
			}
		}
		sync(true, false, "a.test")
		first.Misbehave(icontest.Unavailable(15 * time.Minute))
		sync(true, true, "b.test")
		time.Sleep(15*time.Minute - 1)
		sync(false, true, "b.test") // the sick one isn't asked before its time
		time.Sleep(1)
		sync(true, true, "b.test") // asked, still sick
		first.Behave()
		sync(false, true, "b.test")
		time.Sleep(15 * time.Minute)
		sync(true, false, "a.test")

		// With no healthy one left, the sick one is better than none.
		first.Misbehave(icontest.ServerError())
		sync(true, true, "b.test")
		first.Behave()
		second.Misbehave(icontest.NotJSON())
		sync(true, true, "a.test")
	})
}

func TestDropIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		first, second := icontest.NewNode(network), icontest.NewNode(network)
		a := testAgent(t, dir, testNetwork(2), Options{}, first, second)
		mustSync(t, a, true)
		before := readTargets(t, dir)

		// One endpoint lies, the other one is asked and believed.
		first.Misbehave(icontest.Partial())
		network.Advance(1)
		mustSync(t, a, false)
		if got := a.Status()[0].Source; got != "b.test" {
			t.Errorf("source %s, want b.test", got)
		}

		// The other one can't say: held. Repeating it is no agreement.
		second.Misbehave(icontest.ServerError())
		for range 3 {
			network.Advance(1)
			if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Hour)
		}
		if held := a.Status()[0].Held; len(held) != 25 || held[0].Reason != HeldDrop {
			t.Errorf("%d held", len(held))
		}

		// Both say the same: it is so, after remove_after.
		second.Misbehave(icontest.Partial())
		mustSync(t, a, false)
		if readTargets(t, dir) != before {
			t.Error("the file changed before remove_after")
		}
		time.Sleep(time.Hour)
		second.Misbehave(icontest.ServerError()) // agreement isn't needed twice
		mustSync(t, a, true)
		if got := len(owners(t, dir)); got != 25 {
			t.Errorf("%d P-Reps, want 25", got)
		}
	})
}

func TestDropIsAcceptedAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		node := icontest.NewNode(network)
		mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), true)
		network.Leave(addresses(network)[10:40]...)
		for range 24 {
			a := testAgent(t, dir, testNetwork(1), Options{}, node) // restarted every hour
			if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Hour)
		}
		a := testAgent(t, dir, testNetwork(1), Options{}, node)
		mustSync(t, a, true) // the ranks of the others
		if got := len(owners(t, dir)); got != 50 {
			t.Errorf("%d P-Reps, want all 50 until remove_after", got)
		}
		time.Sleep(time.Hour)
		mustSync(t, a, true)
		if got := len(owners(t, dir)); got != 20 {
			t.Errorf("%d P-Reps, want 20", got)
		}
	})
}

func TestAcceptDrop(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(50, 1)
	node := icontest.NewNode(network)
	a := testAgent(t, dir, testNetwork(1), Options{}, node)
	mustSync(t, a, true)
	network.Leave(addresses(network)[10:40]...)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
		t.Fatalf("got %v", err)
	}
	if err := a.AcceptDrop("other"); err == nil || err.Error() != `network "other" is not configured` {
		t.Errorf("got %v", err)
	}
	if err := a.AcceptDrop("testnet"); err != nil {
		t.Fatal(err)
	}
	node.MisbehaveNext(1, icontest.ServerError())
	if _, err := a.Sync(t.Context()); err == nil {
		t.Fatal("no error")
	}
	mustSync(t, a, true) // still in force after a failure
	if got := len(owners(t, dir)); got != 20 {
		t.Errorf("%d P-Reps, want 20", got)
	}
	network.Leave(addresses(network)[10:]...)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
		t.Errorf("in force for a second answer: %v", err)
	}
}

func TestDownFromTheStart(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(10, 1)
	mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, icontest.NewNode(network)), true)
	want := readTargets(t, dir)

	a := testAgent(t, dir, testNetwork(1), Options{})
	_, err := a.Sync(t.Context())
	if err == nil || err.Error() != "testnet: keeping the targets of 10 P-Reps: a.test: icx_getNetworkInfo: connection refused" {
		t.Errorf("got %v", err)
	}
	s := a.Status()[0]
	if readTargets(t, dir) != want || s.Preps != 10 || s.Height != network.Height() || s.LastGood.IsZero() || s.Source != "a.test" || s.Targets["node"] != 10 {
		t.Errorf("status after a restart without API: %+v", s)
	}

	fresh := t.TempDir()
	_, err = testAgent(t, fresh, testNetwork(1), Options{}).Sync(t.Context())
	if err == nil || err.Error() != "testnet: no targets yet: a.test: icx_getNetworkInfo: connection refused" {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(fresh); err != nil || len(left) != 0 {
		t.Errorf("a failed first refresh wrote %v, %v", left, err)
	}
}

func TestOneNetworkDoesNotStopTheOther(t *testing.T) {
	dir := t.TempDir()
	good, bad := testNetwork(1), testNetwork(1)
	bad.Name, bad.API = "badnet", []string{"http://b.test/api/v3"}
	a, err := New(Config{TargetsDir: dir, Networks: []Network{bad, good}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	connect(a, icontest.NewNode(icontest.Generate(10, 1)))
	changed, err := a.Sync(t.Context())
	if !changed || err == nil || !strings.HasPrefix(err.Error(), "badnet: no targets yet: ") {
		t.Errorf("changed %t, %v", changed, err)
	}
	if err := loads([]byte(readTargets(t, dir)), 20); err != nil {
		t.Error(err)
	}
	rendered, err := a.Render(t.Context())
	if err == nil || len(rendered) != 1 || string(rendered["testnet"]) != readTargets(t, dir) {
		t.Errorf("rendered %d, %v", len(rendered), err)
	}
}

func TestRenderWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "targets")
	network := icontest.Generate(10, 1)
	a := testAgent(t, dir, testNetwork(1), Options{}, icontest.NewNode(network))
	rendered, err := a.Render(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("Render made the folder: %v", err)
	}
	mustSync(t, a, true)
	if diff := cmp.Diff(readTargets(t, dir), string(rendered["testnet"])); diff != "" {
		t.Errorf("(-written +rendered):\n%s", diff)
	}
}

func TestConfigurationChanges(t *testing.T) {
	dir := t.TempDir()
	node := icontest.NewNode(icontest.Generate(50, 1))
	cfg := testNetwork(1)
	mustSync(t, testAgent(t, dir, cfg, Options{}, node), true)
	cfg.Exporters = append(cfg.Exporters, Exporter{Name: "cadvisor", Port: 8080, Path: "/metrics", Scheme: "http"})
	mustSync(t, testAgent(t, dir, cfg, Options{}, node), true)
	if err := loads([]byte(readTargets(t, dir)), 150); err != nil {
		t.Error(err)
	}
	cfg.Exporters = cfg.Exporters[:1]
	mustSync(t, testAgent(t, dir, cfg, Options{}, node), true)
	if err := loads([]byte(readTargets(t, dir)), 50); err != nil {
		t.Error(err)
	}
	// Loopback addresses are all there is here: nothing can be used any more,
	// and nothing isn't written.
	cfg.AllowPrivate = false
	want := readTargets(t, dir)
	a := testAgent(t, dir, cfg, Options{}, node)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errEmpty) || readTargets(t, dir) != want || len(a.Status()[0].Refused) != 50 {
		t.Errorf("%d refused, %v", len(a.Status()[0].Refused), err)
	}
}

func TestNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := icontest.NewNode(icontest.Generate(10, 1))
		cfg := testNetwork(1)
		a := testAgent(t, t.TempDir(), cfg, Options{}, node)
		if got := a.Next(time.Now()); !got.Equal(time.Now()) {
			t.Errorf("at the start: in %s", time.Until(got))
		}
		var waits []time.Duration
		for range 50 {
			mustSync(t, a, len(waits) == 0)
			wait := a.Next(time.Now()).Sub(time.Now())
			waits = append(waits, wait)
			time.Sleep(wait)
		}
		if low, high := slices.Min(waits), slices.Max(waits); low < 270*time.Second || high > 330*time.Second || high-low < 10*time.Second {
			t.Errorf("waits from %s to %s, want 4m30s to 5m30s", low, high)
		}

		// A failed endpoint is tried again sooner, then less and less often.
		node.Misbehave(icontest.ServerError())
		waits = nil
		for range 6 {
			a.Sync(t.Context())
			wait := a.Next(time.Now()).Sub(time.Now())
			waits = append(waits, wait)
			time.Sleep(wait)
		}
		if diff := cmp.Diff([]time.Duration{10e9, 20e9, 40e9, 80e9, 160e9}, waits[:5]); diff != "" || waits[5] > 330e9 {
			t.Errorf("waits %v", waits)
		}

		cfg.RefreshInterval, cfg.Schedule = 0, "30 3 * * *"
		a = testAgent(t, t.TempDir(), cfg, Options{}, icontest.NewNode(icontest.Generate(10, 1)))
		mustSync(t, a, true) // at midnight, 2000-01-01 UTC, and something
		if got, want := a.Next(time.Now()).Format(time.DateTime), "2000-01-01 03:30:00"; got[11:] != want[11:] {
			t.Errorf("next is %s, want 03:30", got)
		}
		if got := a.Next(time.Now().Add(48 * time.Hour)); !got.Equal(time.Now().Add(48 * time.Hour)) {
			t.Errorf("long overdue: next is %s", got)
		}
	})
}

func TestSyncTakesWhatIsDueOrAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		often, seldom := testNetwork(1), testNetwork(2)
		seldom.Name, seldom.API, seldom.RefreshInterval = "seldom", []string{"http://b.test/api/v3"}, often.RefreshInterval*10
		a, err := New(Config{TargetsDir: t.TempDir(), Networks: []Network{often, seldom}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		first, second := icontest.NewNode(icontest.Generate(10, 1)), icontest.NewNode(icontest.Generate(10, 1))
		connect(a, first, second)
		sync := func(wantFirst, wantSecond bool) {
			t.Helper()
			before1, before2 := first.Requests(), second.Requests()
			if _, err := a.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got1, got2 := first.Requests() > before1, second.Requests() > before2; got1 != wantFirst || got2 != wantSecond {
				t.Errorf("asked the first %t, the second %t, want %t and %t", got1, got2, wantFirst, wantSecond)
			}
		}
		sync(true, true) // the first time
		sync(true, true) // nothing is due: somebody asks
		time.Sleep(6 * time.Minute)
		sync(true, false)
		time.Sleep(time.Hour)
		sync(true, true)
	})
}

func TestCanceledSyncChangesNothing(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(10, 1)
	node := icontest.NewNode(network)
	a := testAgent(t, dir, testNetwork(1), Options{}, node)
	mustSync(t, a, true)
	before := a.Status()
	ctx, cancel := context.WithCancel(t.Context())
	connect(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		node.ServeHTTP(w, r)
	}))
	network.Leave(addresses(network)[9])
	if _, err := a.Sync(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, a.Status(), cmp.AllowUnexported(Refusal{})); diff != "" {
		t.Errorf("status (-before +after):\n%s", diff)
	}
	connect(a, node)
	mustSync(t, a, false)
	if got := a.networks[0].clients[0].sick; got != (sickness{}) {
		t.Errorf("the endpoint counts as sick: %+v", got)
	}
}

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
		const want = `# HELP stoker_discovery_held Number of P-Reps whose targets are kept although the last answer doesn't give them, by reason.
# TYPE stoker_discovery_held gauge
stoker_discovery_held{network="mainnet",reason="absent"} 1
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
		`level=INFO msg="Targets changed" network=testnet preps=4 height=45000008 source=a.test joined="JOINED" left="" moved="" renamed=""
level=WARN msg="no target for Alder (OWNER0): private endpoint \"169.254.169.254:80\"" network=testnet
level=WARN msg="several P-Reps at one endpoint, keeping all: 127.5.5.5:7100: SHARED" network=testnet
level=INFO msg="Targets changed" network=testnet preps=5 height=45000011 source=a.test joined=Alder left="" moved="" renamed=Ash
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
