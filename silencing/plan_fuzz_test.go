package silencing

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzPlan applies plans for random files to random Alertmanagers, one request
// after the other: afterwards there is nothing left to do, every silence that
// should be is there once, what people have is untouched, and no alert that was
// silenced and has to be sounded for a moment.
func FuzzPlan(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		now := testNow
		am := newAlertmanager(func() time.Time { return now })

		// A past that left silences of many kinds, ours and others', and a memory.
		var holds map[string]Hold
		for range rnd.IntN(4) {
			plan := Plan(owner, am.list(), Desired(randomRules(rnd, now), now), holds, now)
			if holds = plan.Holds; rnd.IntN(4) == 0 {
				holds = nil // or another replica, which didn't see it
			}
			// Not all of them came through.
			some := slices.DeleteFunc(slices.Clone(plan.Writes), func(Change) bool { return rnd.IntN(4) == 0 })
			applyTo(t, am, some, func(Change) {})
			for _, s := range am.list() {
				meddle(rnd, am, s)
			}
			now = now.Add(time.Duration(rnd.IntN(5400)) * time.Second)
		}

		desired := Desired(randomRules(rnd, now), now)
		before := am.list()
		plan := Plan(owner, before, desired, holds, now)
		quiet := slices.DeleteFunc(wanted(desired, plan, now), func(alert string) bool { return !silencedByUs(before, alert) })
		applyTo(t, am, plan.Writes, func(c Change) {
			for _, alert := range quiet {
				if !silencedByUs(am.list(), alert) {
					t.Errorf("%s %s: alert %s sounds meanwhile", c.Kind, c.Key, alert)
				}
			}
		})
		after := am.list()
		for _, replica := range []map[string]Hold{plan.Holds, nil} {
			again := Plan(owner, after, desired, replica, now)
			if replica == nil {
				// It doesn't know what Alertmanager has forgotten, but it must not undo what the other did.
				again.Writes = slices.DeleteFunc(again.Writes, func(c Change) bool {
					return c.Kind == Missing && len(find(after, plan.Holds[c.Key].lastID()).ID) == 0
				})
			}
			if len(again.Writes) > 0 {
				t.Errorf("changes are left: %q", describe(again))
			}
			if replica != nil {
				if d := cmp.Diff(plan.Holds, again.Holds); d != "" {
					t.Errorf("to remember of those held:\n%s", d)
				}
			}
		}
		live := map[string]int{}
		for _, s := range after {
			if m, mine, _ := ownership(s, owner); mine && s.live() {
				live[m.key()]++
			}
		}
		if len(live)+len(plan.Held) != len(desired) || slices.Max(append(slices.Collect(maps.Values(live)), 1)) > 1 {
			t.Errorf("%v silences and %d held for %d desired", live, len(plan.Held), len(desired))
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

func (h Hold) lastID() string {
	if len(h.IDs) == 0 {
		return ""
	}
	return h.IDs[len(h.IDs)-1]
}

// The alerts of the fuzz test, by their names; all are warnings.
var alertNames = []string{"a", "b"}

func silences(ms []Matcher, alert string) bool {
	labels := map[string]string{"alertname": alert, "severity": "warning"}
	return !slices.ContainsFunc(ms, func(m Matcher) bool { return labels[m.Name] != m.Value })
}

// wanted returns the alerts that are to be silenced now.
func wanted(desired []Occurrence, plan Changes, now time.Time) []string {
	var alerts []string
	for _, alert := range alertNames {
		for _, o := range desired {
			if _, held := plan.Holds[o.key()]; !held && !o.StartsAt.After(now) && silences(o.Rule.Matchers, alert) {
				alerts = append(alerts, alert)
				break
			}
		}
	}
	return alerts
}

func silencedByUs(list []Silence, alert string) bool {
	return slices.ContainsFunc(list, func(s Silence) bool {
		_, mine, _ := ownership(s, owner)
		return mine && s.Status.State == stateActive && silences(s.Matchers, alert)
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
	switch rnd.IntN(13) {
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
	case 9, 10: // a crash brings back what has been ended since the last snapshot
		if s.Status.State == stateExpired {
			s.EndsAt = am.now().Add(time.Hour)
			am.silences[s.ID] = s
		}
	}
}

// applyTo does what the agent does with changes. After each request it calls
// then with the change it was for.
func applyTo(t *testing.T, am *alertmanager, changes []Change, then func(Change)) {
	t.Helper()
	request := func(c Change, err error) {
		if err != nil {
			t.Fatalf("%s %s: %v", c.Kind, c.Key, err)
		}
		then(c)
	}
	for _, c := range changes {
		if c.Post != nil {
			_, err := am.set(*c.Post)
			request(c, err)
		}
	}
	for _, c := range changes {
		if c.End == nil {
			continue
		}
		s := *c.End
		if m, text, _ := parseMark(s.Comment); m.ended == "" && c.Reason != "" {
			m.ended = c.Reason
			s.Comment = text + " " + m.String()
			id, err := am.set(s)
			request(c, err)
			s.ID = id
		}
		request(c, am.expire(s.ID))
	}
}

func find(list []Silence, id string) Silence {
	for _, s := range list {
		if s.ID == id {
			return s
		}
	}
	return Silence{}
}
