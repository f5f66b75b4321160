package silencing

import (
	"fmt"
	"slices"
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

// held is what is remembered of the rule's silences that a person ended.
func held(rule Rule, ids ...string) map[string]Hold {
	o := Occurrence{Rule: &rule, ID: once, StartsAt: rule.StartsAt, EndsAt: rule.EndsAt}
	return map[string]Hold{o.key(): {Hash: o.mark(owner).hash, IDs: ids}}
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
		holds   map[string]Hold
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
			name: "ended by a person, and forgotten by Alertmanager", rules: []Rule{rule}, holds: held(rule, "1"),
			want: []string{"held r@once"},
		},
		{
			name: "ended by a person, and brought back by a crash", rules: []Rule{rule}, holds: held(rule, "1"),
			current: []Silence{on("1", "active", rule)},
			want:    []string{"extra r@once: end 1 ", "held r@once"},
		},
		{
			name: "ended by a person, and brought back as it was before an edit", rules: []Rule{otherEnd}, holds: held(otherEnd, "1"),
			current: []Silence{on("1", "active", rule)},
			want:    []string{"extra r@once: end 1 ", "held r@once"},
		},
		{
			name: "ended by a person, and made again by one", rules: []Rule{rule}, holds: held(rule, "1"),
			current: []Silence{on("1", "expired", rule, ends(hour(-1))), on("2", "active", rule)},
		},
		{
			name: "ended by a person, made again by one, and brought back too", rules: []Rule{rule}, holds: held(rule, "1"),
			current: []Silence{on("1", "active", rule), on("2", "active", rule)},
			want:    []string{"duplicate r@once: end 2 duplicate"},
		},
		{
			name: "ended by a person as another version, which Alertmanager forgot", rules: []Rule{otherEnd}, holds: held(rule, "1"),
			want: []string{"missing r@once: post new -1h to 3h"},
		},
		{
			name: "ended by a person, which doesn't count any more", rules: []Rule{recreate}, holds: held(rule, "1"),
			want: []string{"missing r@once: post new -1h to 2h"},
		},
		{name: "ended by a person, and the rule is gone", holds: held(rule, "1")},
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
			plan := Plan(owner, tc.current, Desired(tc.rules, testNow), tc.holds, testNow)
			if d := cmp.Diff(tc.want, describe(plan)); d != "" {
				t.Error(d)
			}
			for _, o := range plan.Held {
				if hold := plan.Holds[o.key()]; !slices.Equal(hold.IDs, []string{"1"}) || hold.Hash != o.mark(owner).hash {
					t.Errorf("to remember of %s: %+v", o.key(), hold)
				}
			}
			if len(plan.Holds) != len(plan.Held) {
				t.Errorf("%d to remember of %d held", len(plan.Holds), len(plan.Held))
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
