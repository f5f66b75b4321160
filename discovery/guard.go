package discovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// HeldDisputed was to go or to move, and another endpoint says that it is
	// where it was.
	HeldDisputed = "disputed"
)

// A baseline is what the last accepted answer left on disk.
type baseline struct {
	Preps  []prep // by owner
	Height int64  // of the last accepted answer, 0 if unknown
	// Floor is the height below which an answer is an older one, where that isn't
	// Height: 0 if it is. The type height says why.
	Floor int64
	// Time is when an answer with a new height was last accepted. An endpoint
	// that repeats an old block makes nothing younger.
	Time   time.Time
	Source string // the endpoint it came from
	// Missing are the owners in Preps that the last accepted answer lacked.
	Missing map[string]absence
	// Removed are owners whose targets went within holdFor on the word of one
	// endpoint, and when.
	Removed map[string]time.Time
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
	// Height is the block that it was first missing in: what another endpoint
	// says counts from there on. Disputed is that one listed it.
	Height   int64 `json:"height,omitempty"`
	Disputed bool  `json:"disputed,omitempty"`
}

// reason is why a P-Rep with this absence is held.
func (a absence) reason() string {
	if a.Disputed {
		return HeldDisputed
	}
	return HeldAbsent
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
	// leaving and moved are what next takes away from the baseline on the word of
	// this answer alone. Another endpoint may be asked about them: see hear.
	leaving []leaver
	moved   []prep // as they were
	since   int64  // the height that they were there at
}

// A leaver is a P-Rep that goes, and how long it has been missing.
type leaver struct {
	prep
	away absence
}

var (
	errOlder       = errors.New("older")
	errImplausible = errors.New("implausible height")
	errEmpty       = errors.New("no target left")
	errDrop        = errors.New("drop held")
)

// judge decides about an answer. suspects are answers of other endpoints to the
// same question that were held; insist takes the answer as it is.
//
//	answer                                        accepted  held
//	lower height than the baseline's              no        -
//	impossibly higher, and there are others       no        -
//	  … and another endpoint is as high           yes       the gone, as "absent"
//	no usable P-Rep at all                        no        -
//	more than 3 and 20 % gone within a day        no        the gone, as "drop"
//	  … and another endpoint lacks the same       yes       the gone, as "absent"
//	  … and that for 24 h                         yes       the gone, as "absent"
//	  … or insisted on                            yes       -
//	else                                          yes       the gone, as "absent"
//
// "Gone" are P-Reps of the baseline without a usable endpoint in the answer, and
// those whose targets went within the last 24 h on one endpoint's word: who takes
// a few P-Reps away in every answer isn't believed for longer than who takes them
// all at once. Not counted as a drop are those that a change of "ranks" put
// outside. In an accepted answer
//
//	a P-Rep of it                                 is taken as it says
//	  … with another host                         … unless disputed
//	a gone one, for less than remove_after        stays as it was
//	a gone one, for longer                        goes, unless disputed
//	a gone one, insisted on                       goes
//	one whose hostname turned private or denied   goes at once
//	one whose hostname doesn't resolve any more   stays as it was
//
// "Disputed" is what another endpoint contradicts, which is asked after this.
func judge(base baseline, answer *listing, suspects []*listing, r *rules, insist bool, now time.Time) verdict {
	gone := compare(base.Preps, answer)
	floor, err := climb(base, answer, suspects, r, insist, now)
	if err != nil {
		if n := len(gone); n > 0 {
			err = fmt.Errorf("%w; it lacks %d of %d P-Reps", err, n, len(base.Preps))
		}
		return verdict{next: base, err: err}
	}
	removed := stillRemoved(base.Removed, answer, now)
	drop := slices.DeleteFunc(slices.Clone(gone), func(g absentee) bool {
		return g.unresolved || base.Missing[g.Owner].Confirmed || !r.ranks.contains(g.Rank)
	})
	lost, all := len(drop)+len(removed), len(base.Preps)+len(removed)
	suspicious := len(drop) > 0 && lost > dropCount && lost*dropShare > all
	if suspicious && !insist {
		since := base.HeldSince
		if since.IsZero() {
			since = now
		}
		if now.Sub(since) < holdFor && !agreed(drop, answer, suspects) {
			v := verdict{next: base}
			v.next.HeldSince = since
			within := ""
			if len(removed) > 0 {
				within = " within a day"
			}
			v.err = fmt.Errorf("%w: %d of %d P-Reps are gone%s; they stay until another endpoint agrees, until %s, or until the drop is accepted by hand",
				errDrop, lost, all, within, since.Add(holdFor).UTC().Format(time.RFC3339))
			for _, g := range drop {
				v.held = append(v.held, Held{g.Owner, g.Name, HeldDrop, since})
			}
			return v
		}
	}

	v := verdict{since: base.floor(), next: baseline{
		Preps: slices.Clone(answer.Preps), Height: answer.Height, Time: base.Time, Source: answer.Source,
		Missing: map[string]absence{}, Removed: removed,
	}}
	if floor != answer.Height {
		v.next.Floor = floor
	}
	if answer.Height != base.Height || base.Time.IsZero() {
		v.next.Time = now
	}
	if insist {
		v.next.Removed = nil
	} else {
		v.moved = moves(base.Preps, answer.Preps)
	}
	for _, g := range gone {
		switch away, known := base.Missing[g.Owner]; {
		case g.unresolved:
			v.next.Preps = append(v.next.Preps, g.prep)
			v.held = append(v.held, Held{g.Owner, g.Name, HeldUnresolved, time.Time{}})
		case insist || g.unsafe:
		default:
			if !known {
				away = absence{Since: now, Height: floor}
			}
			away.Confirmed = away.Confirmed || suspicious
			if now.Sub(away.Since) >= r.removeAfter {
				if r.ranks.contains(g.Rank) {
					v.leave(g.prep, away, now)
				}
				break
			}
			v.next.Missing[g.Owner] = away
			v.next.Preps = append(v.next.Preps, g.prep)
			v.held = append(v.held, Held{g.Owner, g.Name, away.reason(), away.Since})
		}
	}
	if len(v.next.Preps) == 0 {
		return verdict{next: base, err: fmt.Errorf("%w: %d P-Reps are listed and none can be used", errEmpty, len(answer.Refused))}
	}
	slices.SortFunc(v.next.Preps, byOwnerAddress)
	return v
}

// leave notes that a P-Rep goes, and, if nobody else has said so, for how many it
// stands in the next drop.
func (v *verdict) leave(p prep, away absence, now time.Time) {
	v.leaving = append(v.leaving, leaver{p, away})
	if away.Confirmed {
		return
	}
	if v.next.Removed == nil {
		v.next.Removed = map[string]time.Time{}
	}
	v.next.Removed[p.Owner] = now
}

// stillRemoved are the owners of removed that count in a drop: it isn't long ago,
// and the answer doesn't list them again. It is nil if there are none.
func stillRemoved(removed map[string]time.Time, answer *listing, now time.Time) map[string]time.Time {
	var still map[string]time.Time
	for owner, at := range removed {
		if now.Sub(at) >= holdFor || lists(answer.Preps, owner) {
			continue
		}
		if still == nil {
			still = make(map[string]time.Time, len(removed))
		}
		still[owner] = at
	}
	return still
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
		unsafe := r.Reason == ReasonPrivate || r.Reason == ReasonDenied
		gone = append(gone, absentee{p, same && r.Reason == ReasonUnresolved, same && unsafe})
	}
	return gone
}

// agreed reports whether one of the suspects, from elsewhere than the answer,
// lacks the P-Reps of drop, too, but for a few that may have come or gone between
// two blocks.
func agreed(drop []absentee, answer *listing, suspects []*listing) bool {
	return slices.ContainsFunc(suspects, func(s *listing) bool {
		if !s.witnesses(answer.Source, answer.Height) {
			return false
		}
		doubts := 0
		for _, g := range drop {
			if lists(s.Preps, g.Owner) {
				doubts++
			}
		}
		return doubts <= dropCount
	})
}

// witnesses reports whether an answer that was held can support or contradict
// another one: not if both are of one node under two URLs, nor if it is wrong
// about the height.
func (s *listing) witnesses(source string, height int64) bool {
	return s.Source != source && (!s.Leap || near(s.Height, height))
}

// lists reports whether owner is among preps, which are sorted.
func lists(preps []prep, owner string) bool {
	_, found := find(preps, owner)
	return found
}

func find(preps []prep, owner string) (int, bool) {
	return slices.BinarySearchFunc(preps, owner, func(p prep, owner string) int { return strings.Compare(p.Owner, owner) })
}
