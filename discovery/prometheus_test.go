package discovery

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
)

// TestGarbageBeforePrometheus is the promise where a user would see it broken: for
// 200 refreshes the API answers with every kind of garbage in turn, the network
// goes on changing, stoker is restarted, and a real Prometheus is asked all the
// time which targets it has. Not one that is right is ever missing.
func TestGarbageBeforePrometheus(t *testing.T) {
	const refreshes = 200
	dir := t.TempDir()
	network := icontest.Generate(120, 1) // two pages
	joined := 0
	node := &armed{Node: icontest.NewNode(network)}
	cfg := testNetwork(1)
	cfg.Exporters = cfg.Exporters[:1]
	agent := func(nodes ...http.Handler) *Agent {
		a := testAgent(t, dir, cfg, Options{}, nodes...)
		a.networks[0].clients[0].http.Timeout = time.Second // of those that hang
		return a
	}
	a := agent(node)
	mustSync(t, a, true)

	main := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(main, fmt.Appendf(nil, `
global: { scrape_interval: 1h }
scrape_configs:
- job_name: preps
  file_sd_configs: [{ files: ['%s/*.json'] }]
`, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	server := servertest.Prometheus(t, servertest.ConfigFile(main))
	var mu sync.Mutex
	seen := map[string]string{} // every target that there ever was: nobody leaves or moves
	complete := func(want int) error {
		mu.Lock() // before asking: no answer is older than what was seen
		defer mu.Unlock()
		have, err := activeTargets(server)
		if err != nil {
			return err
		}
		for owner, address := range seen {
			if have[owner] != address {
				return fmt.Errorf("%s was at %s and is at %q", owner, address, have[owner])
			}
		}
		maps.Copy(seen, have)
		if len(have) < want {
			return fmt.Errorf("%d are there, want %d", len(have), want)
		}
		return nil
	}
	servertest.Eventually(t, time.Minute, func() error { return complete(120) })

	for _, p := range network.PReps() {
		if host, _, _ := parseEndpoint(p.Endpoint()); seen[p.Address()] != joinPort(host, 9000) {
			t.Errorf("%s is at %q, want %s:9000", p.Address(), seen[p.Address()], host)
		}
	}

	done, samples := make(chan struct{}), 0
	var sampling sync.WaitGroup
	sampling.Go(func() {
		tick := time.NewTicker(30 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if err := complete(120); err != nil {
					t.Errorf("while refreshing: %v", err)
					return
				}
				samples++
			}
		}
	})
	stop := sync.OnceFunc(func() { close(done); sampling.Wait() })
	defer stop()
	faults := icontest.Faults()
	failures, written := 0, owners(t, dir)
	for i := range refreshes {
		fault := faults[i%len(faults)]
		switch i / len(faults) % 2 {
		case 0: // all the time
			node.Misbehave(fault)
		case 1: // at one request, while others join
			node.Behave()
			node.arm(1+i%3, fault)
			if i%4 == 0 {
				network.Join(network.NewPRep(fmt.Sprintf("Newcomer %d", i), fmt.Sprintf("127.201.%d.%d:7100", i/100, 1+i%100)))
				joined++
			}
		}
		network.Advance(10)
		if _, err := a.Sync(t.Context()); err != nil {
			failures++
		}
		if err := complete(120); err != nil {
			t.Fatalf("after refresh %d, %s: %v", i, fault.Name, err)
		}
		now := owners(t, dir) // Prometheus takes up to 5 s to look
		for owner := range written {
			if _, there := now[owner]; !there {
				t.Fatalf("after refresh %d, %s: %s is not in the file", i, fault.Name, owner)
			}
		}
		written = now
		if i%50 == 49 {
			a = agent(node)
		}
	}
	if failures < refreshes/2 || failures == refreshes {
		t.Errorf("%d of %d refreshes failed", failures, refreshes)
	}
	node.Behave()
	if _, err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, time.Minute, func() error { return complete(120 + joined) })
	stop()
	if samples == 0 {
		t.Error("nobody looked")
	}
	t.Logf("%d refreshes, %d of them failed, %d joined, %d samples", refreshes, failures, joined, samples)

	// The API is down for a whole life of stoker, and Prometheus restarts, too.
	a = agent()
	for range 3 {
		if _, err := a.Sync(t.Context()); err == nil {
			t.Error("no error without an API")
		}
	}
	server.Restart()
	servertest.Eventually(t, time.Minute, func() error { return complete(120 + joined) })
}

// activeTargets are the addresses that a Prometheus scrapes, by P-Rep.
func activeTargets(server *servertest.Server) (map[string]string, error) {
	resp, err := server.Client().Get(server.URL() + "/api/v1/targets?state=active")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			ActiveTargets []struct {
				Labels           map[string]string
				DiscoveredLabels map[string]string
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	targets := map[string]string{}
	for _, target := range answer.Data.ActiveTargets {
		targets[target.Labels["prep"]] = target.DiscoveredLabels["__address__"]
	}
	return targets, nil
}
