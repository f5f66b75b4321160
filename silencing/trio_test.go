package silencing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// trio is three real Alertmanagers in one cluster, each with its sidecar, and one
// file for all of them.
type trio struct {
	t       *testing.T
	cluster *servertest.Cluster
	members []*replica
}

// replica is an Alertmanager of a cluster, with a sidecar that runs by itself.
type replica struct {
	*house
	stop   func() // ends the sidecar, as a crash does: in the middle of anything
	poke   chan struct{}
	passes atomic.Int64 // without an error
	writes atomic.Int64
}

// onBothClusters runs a test against three of the newest and of the oldest
// Alertmanager. Their sidecars aren't started yet.
func onBothClusters(t *testing.T, turn time.Duration, test func(*testing.T, *trio)) {
	for _, binary := range []string{"alertmanager", "alertmanager-0.27"} {
		t.Run(binary, func(t *testing.T) {
			t.Parallel()
			c := &trio{t: t, cluster: servertest.AlertmanagerCluster(t, 3, servertest.Binary(binary))}
			file := filepath.Join(t.TempDir(), "silences.yaml")
			for _, server := range c.cluster.Members {
				r := &replica{
					house: &house{
						t: t, server: server, dir: server.Dir(), file: file, state: t.TempDir(),
						wire: &wire{}, now: time.Now().UTC().Truncate(time.Second),
					},
					stop: func() {},
					poke: make(chan struct{}, 1),
				}
				r.wire.after = func(req *http.Request) {
					if req.Method != http.MethodGet {
						r.writes.Add(1)
					}
				}
				r.restart()
				c.members = append(c.members, r)
				t.Cleanup(func() {
					r.stop()
					if t.Failed() {
						t.Logf("log of a sidecar:\n%s", &r.logs)
					}
				})
			}
			c.turns(turn)
			test(t, c)
		})
	}
}

// turns sets how long each sidecar leaves to those before it. Half a minute is for
// networks; these sidecars look twice a second.
func (c *trio) turns(turn time.Duration) {
	for _, r := range c.members {
		r.agent.interval, r.agent.turn = time.Second/2, turn
	}
}

// start runs the sidecar as stoker does: a pass at once, and then when the agent
// wants one or the file has changed.
func (r *replica) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := r.agent.Sync(ctx); err == nil {
				r.passes.Add(1)
			}
			timer := time.NewTimer(time.Until(r.agent.Next(time.Now())))
			select {
			case <-ctx.Done():
			case <-timer.C:
			case <-r.poke:
			}
			timer.Stop()
		}
	}()
	r.stop = func() { cancel(); <-done }
}

func (c *trio) start() {
	for _, r := range c.members {
		r.start()
	}
}

// write replaces the file and wakes the sidecars.
func (c *trio) write(text string) {
	c.t.Helper()
	c.members[0].write(text)
	for _, r := range c.members {
		select {
		case r.poke <- struct{}{}:
		default:
		}
	}
}

// inOrder returns the indices of the members by their positions in the cluster.
func (c *trio) inOrder() []int {
	c.t.Helper()
	names := make([]string, len(c.members))
	for i, r := range c.members {
		name, _, err := r.server.Peers()
		if err != nil {
			c.t.Fatal(err)
		}
		names[i] = name
	}
	order := []int{0, 1, 2}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(names[a], names[b]) })
	return order
}

// liveRules returns the IDs of the live silences of the file by their rule.
func (h *house) liveRules() map[string][]string {
	h.t.Helper()
	rules := map[string][]string{}
	for _, s := range h.list() {
		if m, mine, _ := ownership(s, owner); mine && s.live() {
			rules[m.rule] = append(rules[m.rule], s.ID)
		}
	}
	return rules
}

// agree waits until all of the given members, by default those that run, have
// exactly one live silence of each of the rules, the same one, and no other.
func (c *trio) agree(members []int, rules ...string) map[string]string {
	c.t.Helper()
	var ids map[string]string
	slices.Sort(rules)
	servertest.Eventually(c.t, time.Minute, func() error {
		ids = nil
		for i, r := range c.members {
			if len(members) > 0 && !slices.Contains(members, i) || !r.server.Running() {
				continue
			}
			live := r.liveRules()
			if got := slices.Sorted(maps.Keys(live)); !slices.Equal(got, rules) {
				return fmt.Errorf("member %d has %q, want %q", i, got, rules)
			}
			here := map[string]string{}
			for rule, all := range live {
				if here[rule] = all[0]; len(all) > 1 {
					return fmt.Errorf("member %d has %d of rule %s", i, len(all), rule)
				}
			}
			if ids != nil && !maps.Equal(ids, here) {
				return fmt.Errorf("member %d has %v, others %v", i, here, ids)
			}
			ids = here
		}
		return nil
	})
	return ids
}

// quiet waits until every sidecar whose Alertmanager runs has done three passes
// in a row that wrote nothing.
func (c *trio) quiet() {
	c.t.Helper()
	var before int64 = -1
	var passes [3]int64
	servertest.Eventually(c.t, time.Minute, func() error {
		var writes int64
		for _, r := range c.members {
			writes += r.writes.Load()
		}
		if writes != before {
			for i, r := range c.members {
				passes[i] = r.passes.Load()
			}
			before = writes
		}
		for i, r := range c.members {
			if r.server.Running() && r.passes.Load() < passes[i]+3 {
				return errors.New("passes still write")
			}
		}
		return nil
	})
}

const clusterRules = `silences:
- name: disk
  matchers: ['instance=~"node-0[12]:9100"', 'alertname="Disk"', 'severity="warning"']
  ends_at: {2}
  comment: disk swap
- name: cable
  matchers: ['alertname="Link"', 'severity="warning"']
  ends_at: {2}
  comment: new cable
- name: noisy
  matchers: ['alertname="Noise"', 'severity="warning"']
  ends_at: {2}
  comment: known
- name: flapping
  matchers: ['alertname="Latency"', 'severity!~"critical|page"']
  ends_at: {24}
  comment: known, OPS-150
`

const freshRule = `- name: fresh
  matchers: ['alertname="Fresh"', 'severity="warning"']
  ends_at: {3}
  comment: just found
`

func TestThreeStartedTogetherMakeOneOfEach(t *testing.T) {
	// No turn but the first ever comes, so what the others had written would stay.
	onBothClusters(t, 24*time.Hour, func(t *testing.T, c *trio) {
		c.write(clusterRules)
		c.start()
		c.agree(nil, "disk", "cable", "noisy", "flapping")
		c.quiet()
		for i, r := range c.members {
			if n := len(r.list()); n != 4 {
				t.Errorf("member %d has %d silences, want 4", i, n)
			}
		}
		order := c.inOrder()
		for position, i := range order {
			if p := c.members[i].agent.Status().Position; p != position {
				t.Errorf("position is %d, want %d", p, position)
			}
			if n := c.members[i].writes.Load(); (n == 4) != (position == 0) {
				t.Errorf("the sidecar at position %d wrote %d times", position, n)
			}
		}
	})
}

func TestNoneOfThreeIsNeeded(t *testing.T) {
	onBothClusters(t, 2*time.Second, func(t *testing.T, c *trio) {
		c.write(clusterRules)
		c.start()
		c.agree(nil, "disk", "cable", "noisy", "flapping")
		c.quiet()
		first := c.members[c.inOrder()[0]]

		// The first sidecar is gone: the second takes over in its turn.
		first.stop()
		c.write(clusterRules[:len(clusterRules)-len(flappingRule())] + freshRule)
		ids := c.agree(nil, "disk", "cable", "noisy", "fresh")
		if m, _, _ := parseMark(first.one("flapping", "expired").Comment); m.ended != removed {
			t.Errorf("the removed rule's silence is ended as %q", m.ended)
		}
		first.start()
		c.quiet()
		if after := c.agree(nil, "disk", "cable", "noisy", "fresh"); !maps.Equal(after, ids) {
			t.Errorf("silences were %v, are %v", ids, after)
		}

		// The first Alertmanager is gone.
		first.server.Kill()
		c.write(clusterRules + freshRule)
		with := c.agree(nil, "disk", "cable", "noisy", "flapping", "fresh")
		for rule, id := range ids {
			if with[rule] != id {
				t.Errorf("the silence of %s was %s, is %s", rule, id, with[rule])
			}
		}
		first.server.Restart()
		c.cluster.WaitPeers(3)
		c.agree(nil, "disk", "cable", "noisy", "flapping", "fresh")
		c.quiet()

		// All is lost.
		for _, r := range c.members {
			r.server.Kill()
			if err := os.RemoveAll(filepath.Join(r.dir, "data")); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range c.members {
			r.server.Restart()
		}
		c.cluster.WaitPeers(3)
		again := c.agree(nil, "disk", "cable", "noisy", "flapping", "fresh")
		for rule, id := range again {
			if id == with[rule] {
				t.Errorf("the silence of %s was not lost", rule)
			}
		}
		c.quiet()

		// Somebody copies one.
		second := first.one("disk", "active")
		second.ID = ""
		for _, r := range c.members {
			r.personPosts(second)
		}
		if after := c.agree(nil, "disk", "cable", "noisy", "flapping", "fresh"); !maps.Equal(after, again) {
			t.Errorf("silences were %v, are %v", again, after)
		}
	})
}

// flappingRule is the last rule of clusterRules.
func flappingRule() string {
	return clusterRules[len(clusterRules)-len(`- name: flapping
  matchers: ['alertname="Latency"', 'severity!~"critical|page"']
  ends_at: {24}
  comment: known, OPS-150
`):]
}
