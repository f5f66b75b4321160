package discovery

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Bounds on how fast a chain can grow. ICON makes a block every 2 s; the bounds
// are far from any network that goloop runs, and near enough to tell a height
// that somebody made up. Nothing real is ever refused for them alone: see climb.
const (
	fastest   = 10 // blocks a second
	leeway    = 1000
	maxHeight = 10_000_000_000 // 30 years of the fastest
)

// floor is the height below which an answer is an older one. It is that of the
// last accepted answer, unless that one claimed more than the chain can have
// grown by: the floor then only rises as fast as a chain can, so that who told a
// height years ahead doesn't lock out those that tell the true one.
func (b *baseline) floor() int64 {
	if b.Floor != 0 {
		return b.Floor
	}
	return b.Height
}

// growth is how many blocks the chain can have made since the baseline's time. A
// time that is unknown or to come, by a clock that was wrong, says nothing.
func (b *baseline) growth(now time.Time) int64 {
	since := now.Sub(b.Time)
	if b.Height == 0 || b.Time.IsZero() || since < 0 {
		return math.MaxInt64 / 2
	}
	return int64(since.Seconds()*fastest) + leeway
}

// climb decides about the height of an answer, and returns the next floor.
//
//	height                                        accepted  next floor
//	insisted on                                   yes       the height
//	beyond any chain's                            no
//	below the floor                               no
//	as far above the last as a chain can grow     yes       the height, or as far as the floor can rise
//	higher: and another endpoint is as high       yes       the height
//	        and other endpoints are configured    no
//	        and there is only this one            yes       as far as the floor can rise
func climb(base baseline, answer *listing, suspects []*listing, r *rules, insist bool, now time.Time) (floor int64, err error) {
	growth := base.growth(now)
	floor = base.floor()
	switch {
	case answer.Height > maxHeight:
		return 0, fmt.Errorf("%w: no chain has %d blocks", errImplausible, answer.Height)
	case insist:
		return answer.Height, nil
	case answer.Height < floor:
		return 0, fmt.Errorf("%w: height %d is below %d, which was accepted before", errOlder, answer.Height, base.Height)
	case answer.Height-base.Height <= growth:
	case slices.ContainsFunc(suspects, func(s *listing) bool { return s.Source != answer.Source && near(s.Height, answer.Height) }):
		return answer.Height, nil
	case r.endpoints > 1:
		return 0, fmt.Errorf("%w: %d is %d blocks above %d, which was accepted %s ago; no other endpoint is as high",
			errImplausible, answer.Height, answer.Height-base.Height, base.Height, now.Sub(base.Time).Round(time.Second))
	}
	return min(answer.Height, floor+growth), nil
}

// near is true for the heights of two endpoints that were asked one after the
// other.
func near(a, b int64) bool { return max(a, b)-min(a, b) <= leeway }

// still reports whether an answer is of the same block as the baseline although
// there should be newer ones.
func (b *baseline) still(answer *listing, now time.Time) bool {
	return answer.Height == b.Height && !b.Time.IsZero() && now.Sub(b.Time) >= stillFor
}

// compareTimeout is how long the other endpoints have to say their height.
const compareTimeout = 5 * time.Second

// compareHeights asks the other endpoints for their height where nothing is known
// yet to compare the first answer's with. If one is far lower, either of them is
// wrong. The answer counts, as the operator named its endpoint first, but the
// floor is the lower height: none of them is locked out.
func (n *network) compareHeights(ctx context.Context, v *verdict) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	heights := make([]int64, len(n.clients))
	var asking sync.WaitGroup
	for i, c := range n.clients {
		if c.host == v.next.Source {
			continue
		}
		asking.Go(func() {
			c.budget = maxTotal
			if c.checkIdentity(ctx, n.networkID) != nil {
				return
			}
			if p, err := c.fetchPage(ctx, n.ranks.first, n.ranks.first, ""); err == nil {
				heights[i], _ = parseHeight(p.BlockHeight)
			}
		})
	}
	asking.Wait()
	for i, height := range heights {
		if height == 0 || height > v.next.Height || near(height, v.next.Height) {
			continue
		}
		n.logger.Warn("endpoints disagree about the height of the chain; one of them stands still, or makes it up",
			"endpoint", v.next.Source, "height", v.next.Height, "other_endpoint", n.clients[i].host, "other_height", height)
		v.next.Floor = min(v.next.floor(), height)
	}
}
