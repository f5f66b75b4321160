package silencing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// The network between the first Alertmanager and the two others is broken, the
// file changes, people work, and everybody writes. Then it heals.
func TestPartitionAndHeal(t *testing.T) {
	onBothClusters(t, 2*time.Second, func(t *testing.T, c *trio) {
		c.write(clusterRules)
		c.start()
		ids := c.agree(nil, "disk", "cable", "noisy", "flapping")
		c.quiet()
		order := c.inOrder()
		left, right := c.members[order[0]], c.members[order[1]]
		people := map[string]string{} // what each of their silences looked like, by its ID
		posts := func(r *replica, s Silence) {
			s.ID = ""
			id := r.personPosts(s)
			people[id] = string(r.person("GET", "silence/"+id, nil))
		}
		byHand := left.one("disk", "active")
		byHand.CreatedBy = "bo" // with our mark
		posts(left, byHand)

		c.cluster.Part(order[0])
		c.cluster.WaitPeers(1, order[0])
		c.cluster.WaitPeers(2, order[1], order[2])

		byHand.Comment = "I do it myself"
		posts(left, byHand)
		byHand.CreatedBy = "alice"
		posts(right, byHand)
		left.person("DELETE", "silence/"+ids["noisy"], nil)

		text := strings.TrimSuffix(clusterRules, flappingRule()) + freshRule
		text = strings.Replace(text, `"Link"`, `"LinkDown"`, 1)
		text = strings.Replace(text, "disk swap", "disk swaps", 1)
		c.write(text)
		c.agree(order[:1], "disk", "cable", "fresh")
		c.agree(order[1:], "disk", "cable", "fresh", "noisy")
		if l, r := left.one("fresh", "active").ID, right.one("fresh", "active").ID; l == r {
			t.Fatalf("both sides have %s of rule fresh: the network isn't broken", l)
		}

		c.cluster.Heal()
		c.cluster.WaitPeers(3)
		after := c.agree(nil, "disk", "cable", "fresh")
		c.quiet()
		if after["disk"] != ids["disk"] {
			t.Errorf("the silence of disk was %s, is %s", ids["disk"], after["disk"])
		}

		// What has ended, and why, is the same everywhere.
		want := []string{
			"cable duplicate", // each side made its own, or more: gossip may be slower than a turn
			"cable replaced",
			"flapping removed",
			"fresh duplicate",
			"noisy ", // by a person
		}
		for i, r := range c.members {
			servertest.Eventually(t, time.Minute, func() error {
				var ended []string
				for _, s := range r.list() {
					if m, mine, _ := ownership(s, owner); mine && !s.live() {
						ended = append(ended, m.rule+" "+m.ended)
					}
				}
				slices.Sort(ended)
				if ended = slices.Compact(ended); !slices.Equal(ended, want) {
					return fmt.Errorf("member %d: ended are %q, want %q", i, ended, want)
				}
				return nil
			})
			for id, was := range people {
				if is := string(r.person("GET", "silence/"+id, nil)); is != was {
					t.Errorf("member %d: a person's silence was %s\nis %s", i, was, is)
				}
			}
			servertest.Eventually(t, time.Minute, func() error {
				for _, s := range r.agent.Status().Silences {
					if s.Rule == "noisy" && s.State == "held" {
						return nil
					}
				}
				return errors.New("noisy isn't shown as held")
			})
		}
	})
}
