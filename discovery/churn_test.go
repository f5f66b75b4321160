package discovery

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// TestChurn drives a network at random, one in each subtest, which names its seed.
func TestChurn(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { churn(t, seed) })
	}
}

// churn lets P-Reps join, leave, return, change their names, hosts and ranks, and
// endpoints fail in every way, all in an order that the seed decides, while stoker
// syncs, waits and is restarted. At any time
//
//   - the targets file loads,
//   - who has been a target, never left and never registered a bad endpoint is one,
//   - who an accepted answer lists has one, where that answer says.
//
// And once the endpoints agree and nothing has changed for remove_after, the
// targets are those of a clean start.
func churn(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		network := icontest.Generate(40+rng.IntN(120), seed)
		nodes := []*armed{{Node: icontest.NewNode(network)}, {Node: icontest.NewNode(network)}}[:1+rng.IntN(2)]
		cfg := testNetwork(len(nodes))
		if rng.IntN(3) == 0 {
			cfg.Ranks = "1-35"
		}
		agent := func(dir string) *Agent {
			if len(nodes) == 1 {
				return testAgent(t, dir, cfg, Options{}, nodes[0])
			}
			return testAgent(t, dir, cfg, Options{}, nodes[0], nodes[1])
		}
		listed := func() []icontest.PRep {
			if cfg.Ranks == "" {
				return network.PReps()
			}
			return network.PReps()[:35]
		}
		a := agent(dir)
		mustSync(t, a, true)

		known := owners(t, dir)   // who ever had targets
		away := map[string]bool{} // who was gone, or had no usable endpoint, at some time
		var left []icontest.PRep
		lacking := false // an answer may have lacked some, and no whole one came since
		for step := range 60 {
			preps := network.PReps()
			p := preps[rng.IntN(len(preps))]
			switch rng.IntN(10) {
			case 0:
				network.Join(network.NewPRep("Joiner", loopbackHost(rng)))
			case 1:
				if len(preps) > 40 {
					network.Leave(p.Address())
					left = append(left, p)
				}
			case 2:
				if len(left) > 0 {
					network.Join(left[rng.IntN(len(left))])
				}
			case 3:
				network.Rename(p.Address(), strings.Repeat("이름", step))
			case 4:
				network.Move(p.Address(), loopbackHost(rng))
			case 5:
				network.Move(p.Address(), []string{"169.254.169.254:80", "0x7f.1:80", "", "node.prep.test:7100"}[rng.IntN(4)])
			case 6:
				network.Update(p.Address(), func(p icontest.PRep) { p["power"], p["grade"] = fmt.Sprintf("0x%x", rng.Uint64()), "0x2" })
			default:
				faults := append(slices.DeleteFunc(icontest.Faults(), func(f icontest.Fault) bool { return f.Name == "partial" }), icontest.Ahead(1<<30), icontest.Slow(3*time.Second))
				node, fault := nodes[rng.IntN(len(nodes))], faults[rng.IntN(len(faults))]
				switch rng.IntN(4) {
				case 0:
					node.Misbehave(fault)
				case 1:
					node.MisbehaveNext(1+rng.IntN(4), fault)
				case 2:
					node.arm(1+rng.IntN(3), fault)
				case 3:
					// Who lacks some in each of its answers, and gives no whole one in
					// between, is believed in the end.
					if !lacking {
						node.arm(2+rng.IntN(2), icontest.Partial())
						lacking = true
					}
				}
			}
			network.Advance(rng.Int64N(600))
			now := listed()
			for _, p := range preps {
				if !slices.ContainsFunc(now, func(n icontest.PRep) bool { return n.Address() == p.Address() && usable(n) }) {
					away[p.Address()] = true
				}
			}
			_, err := a.Sync(t.Context())
			for _, node := range nodes {
				node.arm(0, icontest.Fault{})
			}

			have := owners(t, dir)
			if err := loads([]byte(readTargets(t, dir)), 2*len(have)); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			for _, p := range now {
				got, there := have[p.Address()]
				_, was := known[p.Address()]
				switch host, _, _ := parseEndpoint(p.Endpoint()); {
				case !usable(p):
				case !there && was && !away[p.Address()]:
					t.Fatalf("step %d: %s was there all the time and has no target any more; %v", step, p.Address(), err)
				case err == nil && a.Status()[0].Height == network.Height() && (!there || got.Host != host):
					t.Fatalf("step %d: %s is at %q, the network says %s", step, p.Address(), got.Host, host)
				}
			}
			if err == nil && !slices.ContainsFunc(a.Status()[0].Held, func(h Held) bool {
				return slices.ContainsFunc(now, func(p icontest.PRep) bool { return p.Address() == h.Owner && usable(p) })
			}) {
				lacking = false
			}
			maps.Copy(known, have)
			time.Sleep(time.Duration(rng.IntN(20)) * time.Minute)
			if rng.IntN(8) == 0 {
				a = agent(dir)
			}
			if rng.IntN(4) == 0 {
				for _, node := range nodes {
					node.Behave()
				}
			}
		}

		for _, node := range nodes {
			node.Behave()
		}
		network.Advance(1e6) // past whatever floor a node has made up
		if _, err := a.Sync(t.Context()); err != nil && !errors.Is(err, errDrop) {
			t.Fatal(err)
		}
		for range 26 { // with one endpoint, a drop counts after a day
			time.Sleep(time.Hour)
			network.Advance(1)
			_, err := a.Sync(t.Context())
			if err == nil || len(nodes) > 1 {
				break
			}
		}
		time.Sleep(time.Hour)
		network.Advance(1)
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		clean := t.TempDir()
		mustSync(t, agent(clean), true)
		if want, got := readTargets(t, clean), readTargets(t, dir); got != want {
			t.Errorf("not what a clean start gives:\n%s\nheld: %+v", firstDiff(want, got), a.Status()[0].Held)
		}
	})
}

// usable is what allow_private lets pass.
func usable(p icontest.PRep) bool {
	host, _, ok := parseEndpoint(p.Endpoint())
	good, _ := allowedHost(host, true)
	return ok && good
}

func loopbackHost(rng *rand.Rand) string {
	return fmt.Sprintf("127.%d.%d.%d:7100", 100+rng.IntN(100), rng.IntN(256), 1+rng.IntN(254))
}
