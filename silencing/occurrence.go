package silencing

import (
	"iter"
	"time"
)

// ahead is how long before its start a recurring rule's silence is created, so
// that it comes about even if nothing runs here at that moment.
const ahead = 10 * time.Minute

// once is the occurrence of a rule without a schedule.
const once = "once"

// Occurrence is one silence that a rule asks for.
type Occurrence struct {
	Rule *Rule

	// ID tells the rule's occurrences apart: the start in UTC, like
	// 20261201T233000Z, or "once".
	ID string

	// StartsAt is zero for a rule that just says when it ends.
	StartsAt, EndsAt time.Time
}

// occurrences yields in order what the rule asks for between two instants: all
// that isn't over at from and starts before to.
func occurrences(rule *Rule, from, to time.Time) iter.Seq[Occurrence] {
	return func(yield func(Occurrence) bool) {
		switch {
		case !rule.EndsAt.After(from):
		case rule.Schedule == nil:
			if rule.StartsAt.Before(to) {
				yield(Occurrence{Rule: rule, ID: once, StartsAt: rule.StartsAt, EndsAt: rule.EndsAt})
			}
		default:
			for start := range rule.Schedule.starts(from.Add(-rule.Schedule.Duration)) {
				if !start.Before(to) || !start.Before(rule.EndsAt) {
					return
				}
				end := start.Add(rule.Schedule.Duration)
				if end.After(rule.EndsAt) {
					end = rule.EndsAt
				}
				o := Occurrence{Rule: rule, ID: start.UTC().Format("20060102T150405Z"), StartsAt: start, EndsAt: end}
				if !yield(o) {
					return
				}
			}
		}
	}
}

// Desired returns the silences that should exist now: of a rule without a
// schedule its one, from the day it is written until it is over, so that people
// see it coming; of a recurring rule the running one and the one that starts
// within the next ten minutes.
func Desired(rules []Rule, now time.Time) []Occurrence {
	var desired []Occurrence
	for i := range rules {
		rule := &rules[i]
		to := rule.EndsAt
		if rule.Schedule != nil {
			to = now.Add(ahead)
		}
		for o := range occurrences(rule, now, to) {
			desired = append(desired, o)
			if o.StartsAt.After(now) {
				break
			}
		}
	}
	return desired
}
