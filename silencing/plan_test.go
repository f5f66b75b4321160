package silencing

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const owner = "team"

var (
	warning = Matcher{Name: "severity", Value: "warning", IsEqual: true}
	alertA  = Matcher{Name: "alertname", Value: "a", IsEqual: true}
	alertB  = Matcher{Name: "alertname", Value: "b", IsEqual: true}
)

func oneOffRule(name string, start, end time.Time, ms ...Matcher) Rule {
	return Rule{Name: name, Matchers: normalize(ms), StartsAt: start, EndsAt: end, Comment: "why"}
}

// on returns a silence as Alertmanager has it after the rule was applied.
func on(id, state string, rule Rule, change ...func(*Silence)) Silence {
	o := Occurrence{Rule: &rule, ID: once, StartsAt: rule.StartsAt, EndsAt: rule.EndsAt}
	s := *o.silence(owner, testNow)
	s.ID, s.Status.State = id, state
	for _, f := range change {
		f(&s)
	}
	return s
}

func ends(at time.Time) func(*Silence)   { return func(s *Silence) { s.EndsAt = at } }
func starts(at time.Time) func(*Silence) { return func(s *Silence) { s.StartsAt = at } }
func by(who string) func(*Silence)       { return func(s *Silence) { s.CreatedBy = who } }
func comment(c string) func(*Silence)    { return func(s *Silence) { s.Comment = c } }
func ended(reason string) func(*Silence) {
	return func(s *Silence) { s.Comment = strings.TrimSuffix(s.Comment, "]") + ";ended:" + reason + "]" }
}

func TestPlan(t *testing.T) {
	hour := func(h int) time.Time { return testNow.Add(time.Duration(h) * time.Hour) }
	rule := oneOffRule("r", hour(-1), hour(2), alertA, warning)
	later := oneOffRule("r", hour(1), hour(2), alertA, warning)
	atOnce := oneOffRule("r", time.Time{}, hour(2), alertA, warning)
	otherMatchers := oneOffRule("r", hour(-1), hour(2), alertB, warning)
	otherEnd := oneOffRule("r", hour(-1), hour(3), alertA, warning)
	otherComment := rule
	otherComment.Comment, otherComment.CreatedBy = "why not", "alice"
	recreate := rule
	recreate.Recreate = true
	reversed := func(s *Silence) { s.Matchers = []Matcher{warning, alertA, warning} }
	noted := func(s *Silence) { s.Annotations = map[string]string{"ticket": "OPS-1"} }

	for _, tc := range []struct {
		name    string
		current []Silence
		rules   []Rule
		want    []string
	}{
		{name: "nothing of nothing"},
		{name: "not there", rules: []Rule{rule}, want: []string{"missing r@once: post new -1h to 2h"}},
		{name: "not there, in future", rules: []Rule{later}, want: []string{"missing r@once: post new 1h to 2h"}},
		{name: "not there, from whenever", rules: []Rule{atOnce}, want: []string{"missing r@once: post new -1h to 2h"}},
		{name: "there", rules: []Rule{rule}, current: []Silence{on("1", "active", rule)}},
		{name: "there, started when written", rules: []Rule{rule}, current: []Silence{on("1", "active", rule, starts(hour(0)))}},
		{name: "there, matchers in another order", rules: []Rule{rule}, current: []Silence{on("1", "active", rule, reversed)}},
		{name: "there, end within the second", rules: []Rule{rule}, current: []Silence{on("1", "active", rule, ends(hour(2).Add(300*time.Millisecond)))}},
		{name: "there, from whenever", rules: []Rule{atOnce}, current: []Silence{on("1", "active", atOnce)}},
		{name: "pending", rules: []Rule{later}, current: []Silence{on("1", "pending", later)}},
		{
			name: "pending by the server's clock, started by ours", rules: []Rule{rule},
			current: []Silence{on("1", "pending", rule)},
		},
		{
			name: "running by the server's clock, not yet by ours", rules: []Rule{later},
			current: []Silence{on("1", "active", later)},
		},
		{
			name: "ended late in the file", rules: []Rule{otherEnd}, current: []Silence{on("1", "active", rule, reversed, noted)},
			want: []string{"changed r@once: edit 1 -1h to 3h with 3 matchers, 1 annotations"},
		},
		{
			name: "ended late by hand", rules: []Rule{rule}, current: []Silence{on("1", "active", rule, ends(hour(9)))},
			want: []string{"changed r@once: edit 1 -1h to 2h with 2 matchers, 0 annotations"},
		},
		{
			name: "comment changed in the file", rules: []Rule{otherComment}, current: []Silence{on("1", "active", rule, starts(hour(0)))},
			want: []string{"changed r@once: edit 1 now to 2h with 2 matchers, 0 annotations"},
		},
		{
			name: "comment added to by hand", rules: []Rule{rule},
			current: []Silence{on("1", "active", rule, func(s *Silence) { s.Comment += " really?" })},
			want:    []string{"changed r@once: edit 1 -1h to 2h with 2 matchers, 0 annotations"},
		},
		{
			name: "pending moved by hand", rules: []Rule{later}, current: []Silence{on("1", "pending", later, starts(hour(1).Add(time.Minute)))},
			want: []string{"changed r@once: edit 1 1h to 2h with 2 matchers, 0 annotations"},
		},
		{
			name: "begins before its time", rules: []Rule{rule}, current: []Silence{on("1", "pending", later)},
			want: []string{"changed r@once: post new -1h to 2h, end 1 replaced"},
		},
		{
			name: "put off", rules: []Rule{later}, current: []Silence{on("1", "active", rule)},
			want: []string{"changed r@once: post new 1h to 2h, end 1 replaced"},
		},
		{
			name: "other matchers", rules: []Rule{otherMatchers}, current: []Silence{on("1", "active", rule)},
			want: []string{"changed r@once: post new -1h to 2h, end 1 replaced"},
		},
		{
			name: "removed", current: []Silence{on("1", "active", rule), on("2", "pending", oneOffRule("s", hour(1), hour(2), alertA))},
			want: []string{"extra r@once: end 1 removed", "extra s@once: end 2 removed"},
		},
		{name: "removed, and about to end by itself", current: []Silence{on("1", "active", rule, ends(hour(0)))}},
		{name: "removed and over", current: []Silence{on("1", "expired", rule), on("2", "expired", rule, ended("removed"))}},
		{
			name: "renamed", rules: []Rule{rule}, current: []Silence{on("1", "active", oneOffRule("q", hour(-1), hour(2), alertA))},
			want: []string{"missing r@once: post new -1h to 2h", "extra q@once: end 1 removed"},
		},
		{
			name: "another occurrence of the rule", rules: []Rule{rule},
			current: []Silence{on("1", "active", rule), on("2", "active", rule, comment("why [stoker:team/r@20261125T000000Z#12345678]"))},
			want:    []string{"extra r@20261125T000000Z: end 2 replaced"},
		},
		{
			name: "marked as ended and still there", rules: []Rule{rule}, current: []Silence{on("1", "active", rule, ended("removed"))},
			want: []string{"missing r@once: post new -1h to 2h", "extra r@once: end 1 replaced"},
		},
		{
			name: "ended from here before", rules: []Rule{rule}, current: []Silence{on("1", "expired", rule, ended("removed"), ends(hour(-1)))},
			want: []string{"missing r@once: post new -1h to 2h"},
		},
		{
			name: "expired as another version", rules: []Rule{otherEnd}, current: []Silence{on("1", "expired", rule, ends(hour(-1)))},
			want: []string{"missing r@once: post new -1h to 3h"},
		},
		{
			name: "ended by a person", rules: []Rule{rule}, current: []Silence{on("1", "expired", rule, ends(hour(-1)))},
			want: []string{"held r@once"},
		},
		{
			name: "ended by a person while pending", rules: []Rule{later}, current: []Silence{on("1", "expired", later, starts(hour(0)), ends(hour(0)))},
			want: []string{"held r@once"},
		},
		{
			name: "ended by a person, comment changed", rules: []Rule{otherComment}, current: []Silence{on("1", "expired", rule, ends(hour(-1)))},
			want: []string{"held r@once"},
		},
		{
			name: "ended by a person, to be made again", rules: []Rule{recreate}, current: []Silence{on("1", "expired", recreate, ends(hour(-1)))},
			want: []string{"missing r@once: post new -1h to 2h"},
		},
		{
			name: "over by the server's clock, not yet by ours", rules: []Rule{recreate}, current: []Silence{on("1", "expired", recreate)},
		},
		{
			name: "several", rules: []Rule{rule},
			current: []Silence{on("3", "active", rule, starts(hour(0))), on("2", "active", rule), on("1", "active", rule), on("0", "active", otherEnd)},
			want:    []string{"duplicate r@once: end 2 duplicate", "duplicate r@once: end 3 duplicate", "duplicate r@once: end 0 duplicate"},
		},
		{
			name: "several, none as desired", rules: []Rule{otherMatchers}, current: []Silence{on("2", "active", rule), on("1", "active", otherEnd)},
			want: []string{"changed r@once: post new -1h to 2h, end 1 replaced", "duplicate r@once: end 2 duplicate"},
		},
		{
			name: "several, the oldest with the mark but other matchers", rules: []Rule{rule},
			current: []Silence{
				on("1", "active", rule, starts(hour(-9)), func(s *Silence) { s.Matchers = []Matcher{alertB} }),
				on("2", "active", rule),
			},
			want: []string{"duplicate r@once: end 1 duplicate"},
		},
		{
			name: "people's, with all of it but the author or the mark",
			current: []Silence{
				on("1", "active", rule, by("alice")), on("2", "active", rule, comment("mine now")),
				on("3", "active", rule, comment("[stoker:team/r@once]")), on("4", "expired", rule, by("alice")),
			},
			want: []string{"disowned 1", "disowned 2", "disowned 3"},
		},
		{
			name: "other owners' and none of ours",
			current: []Silence{
				on("1", "active", rule, by("alice"), comment("x")),
				on("2", "active", rule, by("stoker/other"), comment("x [stoker:other/r@once#12345678]")),
			},
		},
		{
			name: "people's doesn't stand for ours", rules: []Rule{rule}, current: []Silence{on("1", "active", rule, by("alice"))},
			want: []string{"missing r@once: post new -1h to 2h", "disowned 1"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan := Plan(owner, tc.current, Desired(tc.rules, testNow), testNow)
			if d := cmp.Diff(tc.want, describe(plan)); d != "" {
				t.Error(d)
			}
		})
	}
}

// describe writes a plan in short lines, with times from now.
func describe(plan Changes) []string {
	var lines []string
	for _, c := range plan.Writes {
		var parts []string
		if p := c.Post; p != nil {
			times := fmt.Sprintf("%s to %s", short(p.StartsAt), short(p.EndsAt))
			if p.ID == "" {
				parts = append(parts, "post new "+times)
			} else {
				parts = append(parts, fmt.Sprintf("edit %s %s with %d matchers, %d annotations", p.ID, times, len(p.Matchers), len(p.Annotations)))
			}
		}
		if c.End != nil {
			parts = append(parts, "end "+c.End.ID+" "+c.Reason)
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s", c.Kind, c.Key, strings.Join(parts, ", ")))
	}
	for _, o := range plan.Held {
		lines = append(lines, "held "+o.key())
	}
	for _, s := range plan.Disowned {
		lines = append(lines, "disowned "+s.ID)
	}
	return lines
}

func short(at time.Time) string {
	if at.Equal(testNow) {
		return "now"
	}
	s := at.Sub(testNow).String()
	return strings.TrimSuffix(strings.TrimSuffix(s, "0s"), "0m")
}

// FuzzPlan applies plans for random files to random Alertmanagers: afterwards
// there is nothing left to do, every silence that should be is there once, what
// people have is untouched, and nothing desired was off for a moment.
func FuzzPlan(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		now := testNow
		am := newAlertmanager(func() time.Time { return now })

		// A past that left silences of many kinds, ours and others'.
		for range rnd.IntN(4) {
			for _, c := range Plan(owner, am.list(), Desired(randomRules(rnd, now), now), now).Writes {
				if rnd.IntN(4) > 0 { // not all of them came through
					applyTo(t, am, c)
				}
			}
			for _, s := range am.list() {
				meddle(rnd, am, s)
			}
			now = now.Add(time.Duration(rnd.IntN(5400)) * time.Second)
		}

		desired := Desired(randomRules(rnd, now), now)
		before := am.list()
		plan := Plan(owner, before, desired, now)
		for _, c := range plan.Writes {
			if c.Post != nil {
				if _, err := am.set(*c.Post); err != nil {
					t.Fatalf("%s %s: %v", c.Kind, c.Key, err)
				}
			}
			if c.Kind != Extra && c.End != nil && !servesWithout(am, c.Key, c.End.ID) {
				t.Errorf("%s %s: nothing takes the place of %s", c.Kind, c.Key, c.End.ID)
			}
			c.Post = nil
			applyTo(t, am, c)
		}
		after := am.list()
		again := Plan(owner, after, desired, now)
		if len(again.Writes) > 0 {
			t.Errorf("changes are left: %q", describe(again))
		}
		if d := cmp.Diff(len(plan.Held), len(again.Held)); d != "" {
			t.Errorf("held: %s", d)
		}
		live := map[string]int{}
		for _, s := range after {
			if m, mine, _ := ownership(s, owner); mine && s.live() {
				live[m.key()]++
			}
		}
		if len(live)+len(again.Held) != len(desired) {
			t.Errorf("%d silences and %d held for %d desired", len(live), len(again.Held), len(desired))
		}
		for _, s := range before {
			if _, mine, _ := ownership(s, owner); mine {
				continue
			}
			if d := cmp.Diff(s, find(after, s.ID)); d != "" {
				t.Errorf("a person's silence has changed:\n%s", d)
			}
		}
	})
}

func randomRules(rnd *rand.Rand, now time.Time) []Rule {
	var rules []Rule
	for _, name := range []string{"a", "b", "c"} {
		if rnd.IntN(4) == 0 {
			continue
		}
		// Whole seconds, and few of them, so that they meet again.
		from := testNow.Truncate(time.Hour)
		r := oneOffRule(name, from.Add(time.Duration(rnd.IntN(5)-2)*time.Hour), time.Time{}, []Matcher{alertA, alertB}[rnd.IntN(2)], warning)
		r.EndsAt = r.StartsAt.Add(time.Duration(1+rnd.IntN(4)) * time.Hour)
		switch rnd.IntN(4) {
		case 0:
			r.StartsAt = time.Time{}
		case 1:
			r.Schedule = &Schedule{Location: time.UTC, Duration: time.Duration(5+rnd.IntN(20)) * time.Minute}
			if err := r.Schedule.parse([]string{"*/30 * * * *", "5 * * * *"}[rnd.IntN(2)], now); err != nil {
				panic(err)
			}
			r.EndsAt = r.EndsAt.Add(24 * time.Hour)
		}
		r.Comment = []string{"why", "why not"}[rnd.IntN(2)]
		r.Recreate = rnd.IntN(3) == 0
		rules = append(rules, r)
	}
	return rules
}

// meddle does to a silence what people, crashes and other sidecars do.
func meddle(rnd *rand.Rand, am *alertmanager, s Silence) {
	set := func(change func(*Silence)) {
		change(&s)
		_, _ = am.set(s) // refused is fine
	}
	switch rnd.IntN(12) {
	case 0:
		_ = am.expire(s.ID)
	case 1:
		set(func(s *Silence) { s.EndsAt = s.EndsAt.Add(time.Duration(rnd.IntN(120)-60) * time.Minute) })
	case 2:
		set(func(s *Silence) { s.CreatedBy = "alice" })
	case 3:
		set(func(s *Silence) { s.Comment = "mine" })
	case 4:
		set(func(s *Silence) { s.ID = "" })
	case 5:
		set(func(s *Silence) { s.Matchers = []Matcher{warning, alertA, alertB} })
	case 6:
		set(func(s *Silence) { s.Comment = strings.TrimSuffix(s.Comment, "]") + ";ended:removed]" })
	case 7:
		set(func(s *Silence) { s.StartsAt = s.StartsAt.Add(time.Minute) })
	case 8:
		delete(am.silences, s.ID)
	}
}

// applyTo does what the agent does with a change.
func applyTo(t *testing.T, am *alertmanager, c Change) {
	t.Helper()
	if c.Post != nil {
		if _, err := am.set(*c.Post); err != nil {
			t.Fatalf("%s %s: %v", c.Kind, c.Key, err)
		}
	}
	if c.End == nil {
		return
	}
	s := *c.End
	if m, text, _ := parseMark(s.Comment); m.ended == "" {
		m.ended = c.Reason
		s.Comment = text + " " + m.String()
		id, err := am.set(s)
		if err != nil {
			t.Fatalf("%s %s: %v", c.Kind, c.Key, err)
		}
		s.ID = id
	}
	if err := am.expire(s.ID); err != nil {
		t.Fatalf("%s %s: %v", c.Kind, c.Key, err)
	}
}

// servesWithout reports whether another silence than that of the ID is live for
// the occurrence.
func servesWithout(am *alertmanager, key, id string) bool {
	for _, s := range am.list() {
		if m, mine, _ := ownership(s, owner); mine && m.key() == key && s.live() && s.ID != id {
			return true
		}
	}
	return false
}

func find(list []Silence, id string) Silence {
	for _, s := range list {
		if s.ID == id {
			return s
		}
	}
	return Silence{}
}
