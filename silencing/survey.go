package silencing

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Survey is what is silenced and by what: all silences of Alertmanager, and all
// rules of the file.
type Survey struct {
	// At is when Alertmanager was asked for its silences, zero if it never
	// answered. CountedAt is when it was asked for the alerts, zero if it wasn't.
	At, CountedAt time.Time

	// Entries are in the order of their ends.
	Entries []Entry
}

// Origin says whose a silence is.
type Origin string

const (
	FromFile   Origin = "file"       // of a rule of the file
	FromOthers Origin = "other_file" // of a file with another owner
	FromAck    Origin = "ack"        // that hushes, made by stoker ack or from a notification
	FromPerson Origin = "person"     // of whoever made it, with whatever tool
)

// The states of an entry, besides those of Alertmanager: active, pending and
// expired.
const (
	stateMissing = string(Missing) // desired and not there yet
	stateHeld    = string(Held)    // a person ended it early, and it stays so until its rule changes
	stateWaiting = "waiting"       // of a recurring rule, which has no silence until ten minutes before its next one
	stateOver    = "over"          // the rule does nothing any more
)

// Entry is a silence of Alertmanager, or one that a rule of the file asks for or
// will ask for.
type Entry struct {
	Origin Origin `json:"origin"`

	// Rule and Occurrence say which one of its file it is, Owner whose file.
	Rule       string `json:"rule,omitempty"`
	Occurrence string `json:"occurrence,omitempty"`
	Owner      string `json:"owner,omitempty"`

	// File, Line and Column are where the rule stands, as far as it does.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`

	// State is active, pending, expired, missing, held, waiting or over.
	State string `json:"state"`

	// Note says what is special: changed, extra or duplicate, what the next pass
	// repairs; disowned, a person's because it has only half of the file's mark
	// or isn't as it was hushed; and of an expired one why it was ended from here:
	// removed, replaced, duplicate, resolved or undone.
	Note string `json:"note,omitempty"`

	ID       string   `json:"id,omitempty"`
	Matchers []string `json:"matchers"`

	// CreatedBy and Comment are as people wrote them, without mark. They may hold
	// anything.
	CreatedBy string `json:"created_by,omitempty"`
	Comment   string `json:"comment,omitempty"`

	// Scope is in whose name something was hushed: that of a contact, or _cli for
	// the command line. UntilResolved is whether that ends with its alerts; until
	// then EndsAt is extended again and again, at most up to Latest.
	Scope         string    `json:"scope,omitempty"`
	UntilResolved bool      `json:"until_resolved,omitempty"`
	Latest        time.Time `json:"latest,omitzero"`

	// StartsAt is zero for one that begins at once and isn't there yet.
	StartsAt time.Time `json:"starts_at,omitzero"`
	EndsAt   time.Time `json:"ends_at"`

	// Alerts are how many firing alerts it silences, nil if unknown.
	Alerts *int `json:"alerts,omitempty"`

	// Expiring says why the end of its rule is worth a look; "" if it isn't.
	Expiring string `json:"expiring,omitempty"`
}

// Look asks Alertmanager what is silenced and by what. It writes nothing. The
// zero Config is no file, and then all silences are people's or other files'.
// A problem of the file is fileErr; the silences of its rules are still told
// apart by their marks. Without a list of silences there is err. If only the
// alerts can't be counted, there is countErr.
func Look(ctx context.Context, cfg Config, o Options) (s Survey, fileErr, countErr, err error) {
	now := time.Now()
	f := &found{owner: cfg.Owner, at: now}
	if cfg.File != "" {
		f.rules, fileErr = Load(cfg.File, now)
		f.known = fileErr == nil
	}
	c := client{url: o.AlertmanagerURL, http: o.Client}
	if f.list, err = c.silences(ctx); err != nil {
		return Survey{}, fileErr, nil, err
	}
	f.desired = Desired(f.rules, now)
	remembered := newState(o.StateDir, cfg.Owner)
	_ = remembered.load() // what can't be read is as if it weren't there; the agent says so
	f.plan = Plan(f.owner, f.list, f.desired, remembered.holds, now)
	n, countErr := c.counts(ctx, f.list)
	return f.survey(n, now), fileErr, countErr, nil
}

// found is what a pass found.
type found struct {
	owner   string
	rules   []Rule
	known   bool // whether rules are those of the file
	list    []Silence
	desired []Occurrence
	plan    Changes
	at      time.Time
}

// seen is what Survey shows.
type seen struct {
	found     *found
	counts    counts
	countedAt time.Time
}

// Survey returns what the last pass found. The numbers of alerts are up to five
// minutes older. Expired silences aren't in it.
func (a *Agent) Survey() Survey {
	a.mu.Lock()
	seen := a.seen
	a.mu.Unlock()
	if seen.found == nil {
		return Survey{}
	}
	return seen.found.survey(seen.counts, seen.countedAt)
}

// active returns the active silences of the file's rules, in order.
func (f *found) active() []Silence {
	var list []Silence
	for _, o := range f.desired {
		if s, ok := f.plan.Serving[o.key()]; ok && s.Status.State == stateActive {
			list = append(list, s)
		}
	}
	return list
}

// alive returns the silences that aren't over.
func alive(list []Silence) (live []Silence) {
	for _, s := range list {
		if s.live() {
			live = append(live, s)
		}
	}
	return live
}

func (f *found) survey(n counts, countedAt time.Time) Survey {
	s := Survey{At: f.at, CountedAt: countedAt, Entries: slices.Concat(f.ofRules(n), f.ofServer(n))}
	if n == nil {
		s.CountedAt = time.Time{}
	}
	slices.SortStableFunc(s.Entries, func(a, b Entry) int {
		return cmp.Or(a.EndsAt.Compare(b.EndsAt), a.StartsAt.Compare(b.StartsAt), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.ID, b.ID))
	})
	return s
}

// ofRules returns what the rules ask for, each at least once.
func (f *found) ofRules(n counts) []Entry {
	states, changed := make(map[string]string), make(map[string]bool)
	for _, c := range f.plan.Writes {
		states[c.Key] = cmp.Or(states[c.Key], map[Kind]string{Missing: stateMissing}[c.Kind])
		changed[c.Key] = changed[c.Key] || c.Kind == Changed
	}
	for _, o := range f.plan.Held {
		states[o.key()] = stateHeld
	}
	var list []Entry
	there := make(map[*Rule]bool)
	for _, o := range f.desired {
		there[o.Rule] = true
		e := f.entry(o)
		e.State = cmp.Or(states[o.key()], stateExpired)
		if serving, ok := f.plan.Serving[o.key()]; ok {
			e.State, e.ID = serving.Status.State, serving.ID
			e.Alerts = n.of(serving)
			if e.StartsAt.IsZero() {
				e.StartsAt = serving.StartsAt
			}
			if changed[o.key()] {
				e.Note = string(Changed)
			}
		}
		list = append(list, e)
	}
	for i := range f.rules {
		rule := &f.rules[i]
		if there[rule] {
			continue
		}
		e := f.entry(Occurrence{Rule: rule, StartsAt: rule.StartsAt, EndsAt: rule.EndsAt})
		e.State = stateOver
		for o := range occurrences(rule, f.at, rule.EndsAt) {
			e = f.entry(o)
			e.State = stateWaiting
			break
		}
		list = append(list, e)
	}
	return list
}

// entry returns what a rule says of an occurrence.
func (f *found) entry(o Occurrence) Entry {
	e := Entry{
		Origin: FromFile, Rule: o.Rule.Name, Occurrence: o.ID, Owner: f.owner,
		File: o.Rule.Position.Filename, Line: o.Rule.Position.Line, Column: o.Rule.Position.Column,
		Matchers: texts(o.Rule.Matchers), CreatedBy: o.Rule.CreatedBy, Comment: o.Rule.Comment,
		StartsAt: o.StartsAt, EndsAt: o.EndsAt, Alerts: new(int),
	}
	if f.expiring(o.Rule) {
		e.Expiring = o.Rule.expires(f.at)
	}
	return e
}

// expiring reports whether a rule ends soon and lasted longer. Of one that began
// at once, its silence knows since when it lasts.
func (f *found) expiring(r *Rule) bool {
	start := r.StartsAt
	if r.Schedule == nil && start.IsZero() {
		serving, ok := f.plan.Serving[r.Name+"@"+once]
		if !ok {
			return false
		}
		start = serving.StartsAt
	}
	return r.expiring(start, f.at)
}

// ofServer returns the silences that stand for no rule.
func (f *found) ofServer(n counts) []Entry {
	serving := make(map[string]bool)
	for _, s := range f.plan.Serving {
		serving[s.ID] = true
	}
	notes := make(map[string]Kind)
	for _, c := range f.plan.Writes {
		if c.End != nil {
			notes[c.End.ID] = c.Kind
		}
	}
	var list []Entry
	for _, s := range f.list {
		if serving[s.ID] {
			continue
		}
		e := Entry{
			Origin: FromPerson, State: s.Status.State, ID: s.ID, Matchers: texts(s.Matchers),
			CreatedBy: s.CreatedBy, Comment: s.Comment, StartsAt: s.StartsAt, EndsAt: s.EndsAt, Alerts: n.of(s),
		}
		m, text, marked := parseMark(s.Comment)
		switch _, mine, half := ownership(s, f.owner); {
		case mine:
			e.Origin, e.Note = FromFile, m.ended
			if f.known && s.live() {
				e.Note = string(notes[s.ID])
			}
		case half:
			e.Note = string(Disowned)
		case marked && s.CreatedBy == createdBy(m.owner):
			e.Origin = FromOthers
		case marked && m.owner == hushOwner:
			e.hush(s, m)
		}
		if marked {
			e.Comment = text
		}
		if e.Origin == FromFile || e.Origin == FromOthers {
			e.Rule, e.Occurrence, e.Owner, e.CreatedBy = m.rule, m.occurrence, m.owner, ""
		}
		list = append(list, e)
	}
	return list
}

// hush says what an entry of a silence with the mark of a hush is.
func (e *Entry) hush(s Silence, m mark) {
	h, ok := parseHush(s)
	if !ok {
		e.Note = string(Disowned)
		return
	}
	e.Origin, e.Note, e.Scope, e.UntilResolved = FromAck, m.ended, h.Scope, h.UntilResolved
	if h.UntilResolved {
		e.Latest = h.Latest
	}
}

// of returns how many alerts a silence silences.
func (n counts) of(s Silence) *int {
	if s.Status.State != stateActive {
		return new(int)
	}
	if alerts, ok := n[s.ID]; ok {
		return &alerts
	}
	return nil
}

func texts(ms []Matcher) []string {
	list := make([]string, len(ms))
	for i, m := range ms {
		list[i] = m.String()
	}
	return list
}
