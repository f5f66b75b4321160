package silencing

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Kind says how Alertmanager differs from the file.
type Kind string

const (
	Missing   Kind = "missing"   // desired and not there
	Changed   Kind = "changed"   // there, but not as desired
	Extra     Kind = "extra"     // made from the file, which doesn't ask for it any more
	Duplicate Kind = "duplicate" // one of several for the same occurrence
	Held      Kind = "held"      // desired, but a person ended it early
	Disowned  Kind = "disowned"  // half of the mark is there: a person changed it, so it is theirs
)

// The reasons that stand in the mark of a silence that was ended from here.
const (
	removed    = "removed"
	replaced   = "replaced"
	duplicated = "duplicate"
)

// Change is one repair. Post is written first, End is ended after that and after
// the Posts of all others, so that alerts are silenced all the time; either may
// be nil. With its ID a Post edits a silence in place, without it makes a new
// one.
type Change struct {
	Kind   Kind
	Key    string // the silence's rule@occurrence
	Post   *Silence
	End    *Silence
	Reason string // why End is ended; none where a person has ended it before
}

// id tells changes apart from pass to pass.
func (c Change) id() string {
	var b strings.Builder
	b.WriteString(string(c.Kind) + " " + c.Key)
	if c.Post != nil {
		b.WriteString(" " + c.Post.Comment)
	}
	if c.End != nil {
		b.WriteString(" " + c.End.ID)
	}
	return b.String()
}

// Changes is the way from what Alertmanager has to what the file asks for.
type Changes struct {
	// Writes are the changes: every Post in this order, then every End whose own
	// Post didn't fail. Beyond that they are independent.
	Writes []Change

	// Held are desired, but were ended by a person, which is respected.
	Held []Occurrence

	// Holds is what to remember of them, by rule@occurrence. What isn't held
	// any more is not in it.
	Holds map[string]Hold

	// Disowned are running or pending silences with only one half of our mark.
	Disowned []Silence

	// Serving has by rule@occurrence the silence that stands for it now, also
	// where it is about to be changed.
	Serving map[string]Silence
}

// Plan returns what to write so that the silences of the owner in Alertmanager
// become the desired ones. It is a pure function; when its changes have been
// made, it returns none.
//
// A silence is the owner's if both its author and the mark in its comment say
// so. All others are left alone. Of one occurrence, its desired (D) and its
// current silence (C):
//
//	D    C active           C pending          C expired        then
//	---  -----------------  -----------------  ---------------  ---------------------------
//	yes  none               none               none, or ended   post D
//	                                           from here, or
//	                                           of another hash
//	yes  none               none               before D's end   held, or with
//	                                                            on_manual_expire post D
//	yes  none               none               at D's end       nothing, it is over
//	yes  same               same               any              nothing
//	yes  other end or       other start, end   any              edit C: keep its ID, order
//	     comment            or comment                          of matchers, annotations and,
//	                                                            where it may differ, its start
//	yes  other matchers,    other matchers,    any              post D, then end C: replaced
//	     D starts later     D starts at once
//	yes  several            several            any              keep the one that needs least,
//	                                                            end the others: duplicate
//	yes  marked as ended    marked as ended    any              as if none, and end C again
//	yes  the one that is    the one that is    any              held, and end C again without
//	     remembered as      remembered as                       a reason, as the person did;
//	     held, alone        held, alone                         without any C: held
//	no   any                any                any              end C: removed, or replaced if
//	                                                            the rule has another occurrence
//	no   none               none               any              nothing
//
// What ends by itself before now is not ended. Times are compared in whole
// seconds, matchers as sets. The holds are those of an earlier plan, for when
// Alertmanager has forgotten what a person ended, or a crash has undone it.
func Plan(owner string, current []Silence, desired []Occurrence, holds map[string]Hold, now time.Time) Changes {
	plan := Changes{Serving: make(map[string]Silence), Holds: make(map[string]Hold)}
	byKey := make(map[string][]owned)
	for _, s := range current {
		m, mine, half := ownership(s, owner)
		switch {
		case mine:
			byKey[m.key()] = append(byKey[m.key()], owned{s, m})
		case half && s.live():
			plan.Disowned = append(plan.Disowned, s)
		}
	}

	var ends []Change
	end := func(kind Kind, o owned, reason string) {
		if o.EndsAt.After(now) {
			ends = append(ends, Change{Kind: kind, Key: o.mark.key(), End: &o.Silence, Reason: reason})
		}
	}
	kept := make(map[string]bool) // by ID, silences that stay or have been dealt with
	rules := make(map[string]bool)
	for _, want := range desired {
		rules[want.Rule.Name] = true
		m := want.mark(owner)
		hold := holds[m.key()]
		if hold.Hash != m.hash || want.Rule.Recreate {
			hold = Hold{} // the rule is another one by now
		}
		var live, back []owned
		for _, o := range byKey[m.key()] {
			switch {
			case !o.live() || o.mark.ended != "":
			case slices.Contains(hold.IDs, o.ID):
				back = append(back, o)
			default:
				live = append(live, o)
			}
		}
		if len(live) == 0 {
			switch f := fate(want, m.hash, byKey[m.key()]); {
			case f == endedEarly, f == undone && hold.Hash != "":
				plan.Held = append(plan.Held, want)
				plan.Holds[m.key()] = hold.with(m.hash, byKey[m.key()])
			case f == undone:
				plan.Writes = append(plan.Writes, Change{Kind: Missing, Key: m.key(), Post: want.silence(owner, now)})
			}
			for _, o := range back {
				kept[o.ID] = true
				end(Extra, o, "")
			}
			continue
		}
		// One that somebody has made again is wanted again.
		live = append(live, back...)
		slices.SortFunc(live, func(a, b owned) int {
			return cmp.Or(
				-compareBool(a.editable(want, now), b.editable(want, now)),
				-compareBool(a.mark.hash == m.hash, b.mark.hash == m.hash),
				a.StartsAt.Compare(b.StartsAt),
				cmp.Compare(a.ID, b.ID),
			)
		})
		keep := live[0]
		plan.Serving[m.key()] = keep.Silence
		for _, o := range live {
			kept[o.ID] = true
		}
		for _, o := range live[1:] {
			end(Duplicate, o, duplicated)
		}
		if !keep.editable(want, now) {
			plan.Writes = append(plan.Writes, Change{
				Kind: Changed, Key: m.key(), Post: want.silence(owner, now), End: &keep.Silence, Reason: replaced,
			})
		} else if edited := keep.edit(want, owner); edited != nil {
			plan.Writes = append(plan.Writes, Change{Kind: Changed, Key: m.key(), Post: edited})
		}
	}
	for _, s := range current {
		m, mine, _ := ownership(s, owner)
		if !mine || !s.live() || kept[s.ID] {
			continue
		}
		reason := removed
		if rules[m.rule] {
			reason = replaced
		}
		end(Extra, owned{s, m}, reason)
	}
	plan.Writes = append(plan.Writes, ends...)
	return plan
}

// owned is a silence with the mark that makes it the owner's.
type owned struct {
	Silence
	mark mark
}

// ownership reports whether a silence is the owner's, or only one of author and
// mark says so.
func ownership(s Silence, owner string) (m mark, mine, half bool) {
	author := s.CreatedBy == createdBy(owner)
	m, _, marked := parseMark(s.Comment)
	marked = marked && m.owner == owner
	return m, author && marked, author != marked
}

// The fates of an occurrence without a live silence.
const (
	undone     = iota // it never was, or is to be made again
	endedEarly        // a person ended it
	over              // it ran to its end
)

func fate(want Occurrence, hash string, all []owned) int {
	f := undone
	for _, o := range all {
		switch {
		case o.live() || o.mark.ended != "" || o.mark.hash != hash:
		case o.EndsAt.Unix() >= want.EndsAt.Unix():
			return over
		case !want.Rule.Recreate:
			f = endedEarly
		}
	}
	return f
}

// editable reports whether Alertmanager would turn o into what is wanted
// without giving it a new ID, that is, without history being rewritten.
func (o owned) editable(want Occurrence, now time.Time) bool {
	if !slices.Equal(normalize(o.Matchers), want.Rule.Matchers) {
		return false
	}
	if o.StartsAt.Unix() == want.StartsAt.Unix() {
		return true
	}
	started := !want.StartsAt.After(now)
	return started == (o.Status.State == stateActive)
}

// edit returns o changed to what is wanted, or nil if it is that already.
func (o owned) edit(want Occurrence, owner string) *Silence {
	s := o.Silence
	s.Status.State = ""
	s.EndsAt = want.EndsAt
	s.Comment = want.comment(owner)
	if o.Status.State == statePending {
		s.StartsAt = want.StartsAt
	}
	if s.Comment == o.Comment && s.EndsAt.Unix() == o.EndsAt.Unix() && s.StartsAt.Unix() == o.StartsAt.Unix() {
		return nil
	}
	return &s
}

// silence returns a new silence for the occurrence.
func (o Occurrence) silence(owner string, now time.Time) *Silence {
	s := &Silence{
		Matchers:  o.Rule.Matchers,
		StartsAt:  o.StartsAt,
		EndsAt:    o.EndsAt,
		CreatedBy: createdBy(owner),
		Comment:   o.comment(owner),
	}
	if s.StartsAt.IsZero() {
		// Alertmanager puts its own present in the place of any past start, and
		// its clock may be behind this one.
		s.StartsAt = now.Add(-time.Hour)
	}
	return s
}
