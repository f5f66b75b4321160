package discovery

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/discovery/icontest"
)

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
