package discovery

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The guard's measures of a drop that nobody is believed about at once.
const (
	dropCount = 3 // more P-Reps than this, and
	dropShare = 5 // more than one in five of them
	holdFor   = 24 * time.Hour
)

// Why a P-Rep's targets are kept although the last answer doesn't give them.
const (
	// HeldAbsent waits for RemoveAfter.
	HeldAbsent = "absent"
	// HeldDrop is one of too many that vanished at once.
	HeldDrop = "drop"
	// HeldUnresolved has a hostname that was good and finds no address now: that
	// is for an alert on the target to say, which must therefore stay.
	HeldUnresolved = "unresolved"
)

// A baseline is what the last accepted answer left on disk.
type baseline struct {
	Preps  []prep // by owner
	Height int64  // of the last accepted answer, 0 if unknown
	// Time is when an answer with a new height was last accepted. An endpoint
	// that repeats an old block makes nothing younger.
	Time   time.Time
	Source string // the endpoint it came from
	// Missing are the owners in Preps that the last accepted answer lacked.
	Missing map[string]absence
	// HeldSince is when the drop that is held back now was first seen.
	HeldSince time.Time
	// Claims are what contacts said about exporters, and what became of it.
	Claims []Claim
}

// An absence is how long a P-Rep has been missing, and whether it belongs to a
// drop that was let through, which then doesn't count again.
type absence struct {
	Since     time.Time `json:"since"`
	Confirmed bool      `json:"confirmed,omitempty"`
}

// Held is a P-Rep whose targets are kept for now.
type Held struct {
	Owner  string
	Name   string
	Reason string // one of the Held constants
	// Since is when it was first missing; zero where that isn't kept.
	Since time.Time
}

// A verdict is what becomes of an answer. Next is the baseline from then on:
// where err is set, the old one, but for HeldSince.
type verdict struct {
	next baseline
	held []Held
	err  error
}

var (
	errOlder = errors.New("older")
	errEmpty = errors.New("no target left")
	errDrop  = errors.New("drop held")
)

// judge decides about an answer. suspects are answers of other endpoints to the
// same question that were held; insist takes the answer as it is.
//
//	answer                                        accepted  held
//	lower height than the baseline's              no        -
//	no usable P-Rep at all                        no        -
//	more than 3 and 20 % of the baseline gone     no        the gone, as "drop"
//	  … and another endpoint lacks the same       yes       the gone, as "absent"
//	  … and that for 24 h                         yes       the gone, as "absent"
//	  … or insisted on                            yes       -
//	else                                          yes       the gone, as "absent"
//
// "Gone" are P-Reps of the baseline without a usable endpoint in the answer; not
// counted as a drop are those that a change of "ranks" put outside. In an
// accepted answer
//
//	a P-Rep of it                                 is taken as it says
//	a gone one, for less than remove_after        stays as it was
//	a gone one, for longer, or insisted on        goes
//	one whose hostname turned private             goes at once
//	one whose hostname doesn't resolve any more   stays as it was
func judge(base baseline, answer *listing, suspects []*listing, r *rules, insist bool, now time.Time) verdict {
	if answer.Height < base.Height && !insist {
		return verdict{next: base, err: fmt.Errorf("%w: height %d is below %d, which was accepted before", errOlder, answer.Height, base.Height)}
	}
	gone := compare(base.Preps, answer)
	drop := slices.DeleteFunc(slices.Clone(gone), func(g absentee) bool {
		return g.unresolved || base.Missing[g.Owner].Confirmed || !r.ranks.contains(g.Rank)
	})
	suspicious := len(drop) > dropCount && len(drop)*dropShare > len(base.Preps)
	if suspicious && !insist {
		since := base.HeldSince
		if since.IsZero() {
			since = now
		}
		if now.Sub(since) < holdFor && !agreed(drop, answer.Source, suspects) {
			v := verdict{next: base}
			v.next.HeldSince = since
			v.err = fmt.Errorf("%w: %d of %d P-Reps are gone; they stay until another endpoint agrees, until %s, or until the drop is accepted by hand",
				errDrop, len(drop), len(base.Preps), since.Add(holdFor).UTC().Format(time.RFC3339))
			for _, g := range drop {
				v.held = append(v.held, Held{g.Owner, g.Name, HeldDrop, since})
			}
			return v
		}
	}

	v := verdict{next: baseline{
		Preps: slices.Clone(answer.Preps), Height: answer.Height, Time: base.Time, Source: answer.Source,
		Missing: map[string]absence{},
	}}
	if answer.Height != base.Height || base.Time.IsZero() {
		v.next.Time = now
	}
	for _, g := range gone {
		switch away, known := base.Missing[g.Owner]; {
		case g.unresolved:
			v.next.Preps = append(v.next.Preps, g.prep)
			v.held = append(v.held, Held{g.Owner, g.Name, HeldUnresolved, time.Time{}})
		case insist || g.unsafe:
		default:
			if !known {
				away = absence{Since: now}
			}
			if now.Sub(away.Since) >= r.removeAfter {
				break
			}
			away.Confirmed = away.Confirmed || suspicious
			v.next.Missing[g.Owner] = away
			v.next.Preps = append(v.next.Preps, g.prep)
			v.held = append(v.held, Held{g.Owner, g.Name, HeldAbsent, away.Since})
		}
	}
	if len(v.next.Preps) == 0 {
		return verdict{next: base, err: fmt.Errorf("%w: %d P-Reps are listed and none can be used", errEmpty, len(answer.Refused))}
	}
	slices.SortFunc(v.next.Preps, byOwnerAddress)
	return v
}

// An absentee is a P-Rep of the baseline that an answer gives no target for.
type absentee struct {
	prep
	unresolved bool // it is listed as before, only its hostname isn't found
	unsafe     bool // it is listed as before, its hostname leads elsewhere now
}

// compare returns the P-Reps of base that answer has no usable endpoint of.
func compare(base []prep, answer *listing) (gone []absentee) {
	usable := make(map[string]bool, len(answer.Preps))
	for _, p := range answer.Preps {
		usable[p.Owner] = true
	}
	refused := make(map[string]Refusal, len(answer.Refused))
	for _, r := range answer.Refused {
		refused[r.Owner] = r
	}
	for _, p := range base {
		if usable[p.Owner] {
			continue
		}
		r, listed := refused[p.Owner]
		same := listed && r.host == p.Host
		gone = append(gone, absentee{p, same && r.Reason == ReasonUnresolved, same && r.Reason == ReasonPrivate})
	}
	return gone
}

// agreed reports whether one of the suspects, from elsewhere than source, lacks
// the P-Reps of drop, too, but for a few that may have come or gone between two
// blocks.
func agreed(drop []absentee, source string, suspects []*listing) bool {
	return slices.ContainsFunc(suspects, func(s *listing) bool {
		if s.Source == source {
			return false // one node under two URLs
		}
		listed := make(map[string]bool, len(s.Preps))
		for _, p := range s.Preps {
			listed[p.Owner] = true
		}
		doubts := 0
		for _, g := range drop {
			if listed[g.Owner] {
				doubts++
			}
		}
		return doubts <= dropCount
	})
}
