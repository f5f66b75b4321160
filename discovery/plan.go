package discovery

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Planned is what a Sync would do now for one network.
type Planned struct {
	Network string
	// File is the path of its targets file.
	File string
	// Source is the endpoint whose answer would be accepted, Height its block; empty if none would be.
	Source string
	Height int64
	// Err is why no answer would be accepted, so that everything stays as it is.
	Err error
	// Before and After are the content of the targets file, nil without one. They are equal where it would not be
	// touched. The state that is kept beside it, with the height of the last answer, is no part of a plan: it
	// changes with every block.
	Before, After []byte
	// Owned is the path of the file of what contacts gave URLs for, OwnedBefore and OwnedAfter its content.
	Owned                   string
	OwnedBefore, OwnedAfter []byte
	// Claims are what contacts say about exporters, where it would be followed, or no longer, or is in vain.
	Claims []ClaimChange
	// Changes are what becomes of P-Reps, by owner.
	Changes []PrepChange
	// Exporters has the exporters whose number of targets differs for another reason than that P-Reps come and go:
	// they are new in the configuration, or gone from it. The number is how many targets come, or go if negative.
	Exporters map[string]int
	// Held are the P-Reps whose targets would be kept although the answer doesn't give them, and Refused those of
	// the answer that don't become targets.
	Held    []PlannedHeld
	Refused []Refusal
}

// ClaimChange is what becomes of one claim. One that isn't used is there whether it was before or not.
type ClaimChange struct {
	Claim
	// Gone says that the contact says it no longer.
	Gone bool
}

// PrepChange is what becomes of one P-Rep.
type PrepChange struct {
	Owner string
	Name  string // the new one; of a P-Rep that leaves, the last one
	// What is one of the Prep constants.
	What string
	// From and To are the hosts of one that moves or the names of one that is renamed; To alone is the host of one
	// that joins, From that of one that leaves.
	From, To string
}

// What becomes of a P-Rep.
const (
	PrepJoins   = "joins"
	PrepLeaves  = "leaves"
	PrepMoves   = "moves"
	PrepRenamed = "renamed"
	// PrepRelabelled has other labels besides: a rank, a city.
	PrepRelabelled = "relabelled"
)

// PlannedHeld is a P-Rep that is held back, and until when if nothing else happens; zero where only its hostname
// decides.
type PlannedHeld struct {
	Held
	Until time.Time
}

// Plan asks all networks, as a Sync would, and returns what that would change, in the order of the configuration. It
// writes nothing, and doesn't count as a Sync for anything that is shown.
func (a *Agent) Plan(ctx context.Context) []Planned {
	a.pass.Lock()
	defer a.pass.Unlock()
	now := time.Now()
	all := make([]int, len(a.networks))
	for i := range all {
		all[i] = i
	}
	plans := make([]Planned, len(a.networks))
	said, askErr := a.ask(ctx)
	_, _ = a.each(all, func(i int) (bool, error) { // each plan has its error
		n := a.networks[i]
		o := n.refresh(ctx, a.insists(i), now)
		n.follow(ctx, &o, said, askErr)
		plans[i] = n.plan(o)
		if !o.accepted && len(o.base.Preps) > 0 {
			if r, differs, err := n.reapply(ctx, o.saved, said, askErr); err == nil && differs {
				plans[i].After, plans[i].OwnedAfter, plans[i].Claims = r.rendered, r.renderedOwned, compareClaims(r.base.Claims, r.next.Claims)
			}
		}
		return false, nil
	})
	return plans
}

// plan describes an outcome before it is saved.
func (n *network) plan(o outcome) Planned {
	p := Planned{Network: n.name, File: n.store.path, Err: o.err, Before: o.file, After: o.file, Refused: o.refused}
	for _, h := range o.held {
		held := PlannedHeld{Held: h}
		switch h.Reason {
		case HeldAbsent:
			held.Until = h.Since.Add(n.removeAfter)
		case HeldDrop:
			held.Until = h.Since.Add(holdFor)
		}
		p.Held = append(p.Held, held)
	}
	p.Owned = n.store.ownedPath()
	p.OwnedBefore, _ = n.store.read(p.Owned) // there is none, or load said so
	p.OwnedAfter = p.OwnedBefore
	if !o.accepted {
		return p
	}
	p.Source, p.Height, p.After, p.OwnedAfter = o.next.Source, o.next.Height, o.rendered, o.renderedOwned
	p.Claims = compareClaims(o.base.Claims, o.next.Claims)
	if bytes.Equal(p.Before, p.After) {
		return p
	}
	p.Changes = compareBaselines(o.base.Preps, o.next.Preps)
	p.Exporters = map[string]int{}
	if p.Before != nil {
		before, after := o.targets, n.countTargets(len(o.next.Preps))
		for exporter, count := range after {
			if before[exporter] == 0 {
				p.Exporters[exporter] = count
			}
		}
		for exporter, count := range before {
			if after[exporter] == 0 {
				p.Exporters[exporter] = -count
			}
		}
	}
	return p
}

// compareBaselines lists what became of P-Reps from one baseline to the next; both are by owner.
func compareBaselines(before, after []prep) (changes []PrepChange) {
	old := make(map[string]prep, len(before))
	for _, p := range before {
		old[p.Owner] = p
	}
	for _, p := range after {
		was, known := old[p.Owner]
		delete(old, p.Owner)
		add := func(what, from, to string) {
			changes = append(changes, PrepChange{Owner: p.Owner, Name: p.Name, What: what, From: from, To: to})
		}
		if !known {
			add(PrepJoins, "", p.Host)
			continue
		}
		if p.Host != was.Host {
			add(PrepMoves, was.Host, p.Host)
		}
		if p.Name != was.Name {
			add(PrepRenamed, was.Name, p.Name)
		}
		was.Host, was.Name = p.Host, p.Name
		if string(p.appendLabels(nil, "")) != string(was.appendLabels(nil, "")) {
			add(PrepRelabelled, "", "")
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(old)) {
		p := old[owner]
		changes = append(changes, PrepChange{Owner: owner, Name: p.Name, What: PrepLeaves, From: p.Host})
	}
	slices.SortStableFunc(changes, func(a, b PrepChange) int { return strings.Compare(a.Owner, b.Owner) })
	return changes
}

// compareClaims lists what becomes of claims.
func compareClaims(before, after []Claim) (changes []ClaimChange) {
	for _, c := range after {
		if c.State != ClaimUsed || !slices.Contains(before, c) {
			changes = append(changes, ClaimChange{Claim: c})
		}
	}
	for _, c := range before {
		if c.State == ClaimUsed && !slices.ContainsFunc(after, func(a Claim) bool { return a.slot() == c.slot() && a.Contact == c.Contact }) {
			changes = append(changes, ClaimChange{Claim: c, Gone: true})
		}
	}
	return changes
}
