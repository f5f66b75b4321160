package silencing

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// keepers are those of a cluster's sidecars, which run by themselves.
type keepers struct {
	*trio
	stop   [3]func()
	writes [3]atomic.Int64
}

func (c *keepers) start(i int, turn time.Duration) {
	r := c.members[i]
	o := r.options()
	o.Client.Transport = &wire{after: func(req *http.Request) {
		if req.Method != http.MethodGet {
			c.writes[i].Add(1)
		}
	}}
	k, err := NewKeeper(o)
	if err != nil {
		c.t.Fatal(err)
	}
	k.interval, k.poll, k.turn, k.unsure = time.Second/2, time.Second/2, turn, 0
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = k.Sync(ctx) // an Alertmanager that is killed doesn't answer
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(k.Next(time.Now()))):
			}
		}
	}()
	c.stop[i] = sync.OnceFunc(func() { cancel(); <-done })
	c.t.Cleanup(c.stop[i])
}

// everywhere does something at every Alertmanager that runs, as Prometheus does.
func (c *keepers) everywhere(do func(*house)) {
	for _, r := range c.members {
		if r.server.Running() {
			do(r.house)
		}
	}
}

// hush waits until every Alertmanager that runs has exactly one silence, and it is as wanted.
func (c *keepers) hush(want func(Silence) error) {
	c.t.Helper()
	servertest.Eventually(c.t, time.Minute, func() (err error) {
		c.everywhere(func(h *house) {
			list := h.list()
			if len(list) != 1 {
				err = fmt.Errorf("silences are %+v", list)
			} else if bad := want(list[0]); bad != nil {
				err = bad
			}
		})
		return err
	})
}

// Whoever is there goes on with a hush: its maker is gone from the beginning, then the first of the others, and its
// Alertmanager with it.
func TestHushSurvivesItsMaker(t *testing.T) {
	onBothClusters(t, 0, func(t *testing.T, trio *trio) {
		c := &keepers{trio: trio}
		order := c.inOrder()
		c.everywhere(func(h *house) { h.starts(diskOne) })
		d := c.members[order[2]].desk()
		d.now = func() time.Time { return time.Now().Add(9*time.Minute - lease) }
		made, err := d.Hush(t.Context(), request(untilResolved))
		if err != nil {
			t.Fatal(err)
		}
		c.hush(func(Silence) error { return nil })
		// No turn but the first ever comes.
		c.start(order[0], 24*time.Hour)
		c.start(order[1], 24*time.Hour)
		c.hush(func(s Silence) error {
			if left := time.Until(s.EndsAt); s.ID != made[0].ID || left < lease-time.Minute {
				return fmt.Errorf("%s ends in %s", s.ID, left)
			}
			return nil
		})
		if first, second := c.writes[order[0]].Load(), c.writes[order[1]].Load(); first != 1 || second != 0 {
			t.Errorf("%d and %d writes", first, second)
		}

		c.stop[order[0]]()
		c.stop[order[1]]()
		c.members[order[0]].server.Kill()
		c.cluster.WaitPeers(2, order[1], order[2])
		c.start(order[2], 2*time.Second)
		c.everywhere(func(h *house) { h.resolve(diskOne) })
		c.hush(func(s Silence) error {
			if m, _, _ := parseMark(s.Comment); s.ID != made[0].ID || s.Status.State != stateExpired || m.ended != resolved {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	})
}
