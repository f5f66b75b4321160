package discovery

import (
	"context"
	"slices"
	"time"
)

// moves are the P-Reps of from, as they were, that to has at another host. What
// isn't the host doesn't move a target.
func moves(from, to []prep) (moved []prep) {
	for _, p := range from {
		if i, found := find(to, p.Owner); found && to[i].Host != p.Host {
			moved = append(moved, p)
		}
	}
	return moved
}

// confirm asks the other endpoints about P-Reps that the verdict takes away from
// where they were, until one could say of each. Nobody is asked as long as there
// are none, which is nearly always. Those that were asked already, suspects, have
// said what they say; an endpoint that fails has no say.
func (n *network) confirm(ctx context.Context, v *verdict, suspects []*listing, now time.Time) {
	for _, s := range suspects {
		if s.witnesses(v.next.Source, v.next.Height) {
			v.hear(s, now)
		}
	}
	for _, c := range n.order(now) {
		if len(v.leaving)+len(v.moved) == 0 || ctx.Err() != nil {
			return
		}
		if c.host == v.next.Source {
			continue
		}
		witness, err := c.fetch(ctx, &n.rules, n.resolver)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.sick.failed(now, err)
			n.count(c, err)
			n.logger.Debug("an endpoint can't confirm who is gone or has moved", "endpoint", c.host, "err", err)
			continue
		}
		n.count(c, errConsulted)
		v.hear(witness, now)
	}
}

// hear lets another endpoint speak about who leaves or moves:
//
//	leaves, and the witness lacks it                         goes
//	leaves, and the witness lists it                         stays, as "disputed", for another remove_after
//	moves, and the witness has it elsewhere, too             moves
//	moves, and the witness has it where it was               stays there, as "disputed"
//	the witness is of an earlier block than the absence      undecided
//	the witness is of no later block than the baseline       undecided (of who moves)
//
// An endpoint that stands still at some block says nothing about what came after
// it. What stays undecided goes or moves.
func (v *verdict) hear(witness *listing, now time.Time) {
	v.leaving = slices.DeleteFunc(v.leaving, func(l leaver) bool {
		if witness.Height < l.away.Height {
			return false
		}
		delete(v.next.Removed, l.Owner)
		if lists(witness.Preps, l.Owner) {
			v.next.Missing[l.Owner] = absence{Since: now, Height: v.next.floor(), Disputed: true}
			v.next.Preps = append(v.next.Preps, l.prep)
			v.held = append(v.held, Held{l.Owner, l.Name, HeldDisputed, now})
		}
		return true
	})
	slices.SortFunc(v.next.Preps, byOwnerAddress)
	if witness.Height <= v.since {
		return
	}
	v.moved = slices.DeleteFunc(v.moved, func(was prep) bool {
		w, listed := find(witness.Preps, was.Owner)
		if at, here := find(v.next.Preps, was.Owner); here && listed && witness.Preps[w].Host == was.Host {
			v.next.Preps[at].Host, v.next.Preps[at].P2PPort = was.Host, was.P2PPort
			v.held = append(v.held, Held{Owner: was.Owner, Name: was.Name, Reason: HeldDisputed})
		}
		return true
	})
}
