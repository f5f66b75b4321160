package routing

import (
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
)

// lintRules warns about rules that tell nobody, or nobody more, as they stand.
func (c *contactReader) lintRules() {
	warn := func(r *rule, format string, args ...any) {
		at := r.at
		if r.quiet.at != nil {
			at = r.quiet.at
		}
		c.contact.Warnings.Add(position(c.file, at), fmt.Sprintf(format, args...))
	}
	for i := range c.contact.rules {
		r := &c.contact.rules[i]
		if r.quiet.name == "" {
			continue
		}
		quiet, loud := false, false
		for severity := r.minSeverity; severity < len(c.site.Severities); severity++ {
			if c.quietOf(r, severity) == "" {
				loud = true
			} else {
				quiet = true
			}
		}
		q := c.contact.quietHours[slices.IndexFunc(c.contact.quietHours, func(q quietHours) bool { return q.name == r.quiet.name })]
		switch {
		case !quiet:
			warn(r, "quiet hours %q never hold for this rule: all that it is about bypasses them", q.name)
		case q.always() && !loud:
			warn(r, "this rule never tells anybody: quiet hours %q are all of the week", q.name)
		case q.always():
			warn(r, "this rule tells only about what bypasses quiet hours %q, which are all of the week: say so with min_severity", q.name)
		}
	}
	c.lintNeedless()
}

// always reports whether quiet hours cover the whole week.
func (q *quietHours) always() bool {
	minutes := 0
	for _, t := range q.times {
		minutes += (t.end-t.start+day-1)%day + 1
	}
	if minutes < day {
		return false // as nearly always
	}
	var week [7 * day]bool
	for d, on := range q.days {
		for _, t := range q.times {
			end := t.end
			if end <= t.start {
				end += day
			}
			for m := t.start; on && m < end; m++ {
				week[(d*day+m)%len(week)] = true
			}
		}
	}
	return !slices.Contains(week[:], false)
}

// lintNeedless warns about rules without which everybody would be told alike.
func (c *contactReader) lintNeedless() {
	type telling struct {
		method   string
		after    model.Duration
		severity int
	}
	each := func(r *rule, do func(t telling, quiet bool)) {
		for _, ref := range r.notify {
			for severity := r.minSeverity; severity < len(c.site.Severities); severity++ {
				do(telling{ref.name, r.after, severity}, c.quietOf(r, severity) != "")
			}
		}
	}
	loud, quiet := map[telling]int{}, map[telling]int{} // how many rules ask for it, always and outside of quiet hours
	count := func(r *rule, n int) {
		each(r, func(t telling, q bool) {
			if q {
				quiet[t] += n
			} else {
				loud[t] += n
			}
		})
	}
	for i := range c.contact.rules {
		count(&c.contact.rules[i], 1)
	}
	// Of two equal rules the later one is needless.
	for i := len(c.contact.rules) - 1; i >= 0; i-- {
		r := &c.contact.rules[i]
		needless := true
		each(r, func(t telling, q bool) {
			needless = needless && (loud[t] > 1 || q && loud[t] > 0 || q && quiet[t] > 1)
		})
		if needless {
			count(r, -1)
			c.contact.Warnings.Add(position(c.file, r.at), "this rule changes nothing: other rules tell the same methods about all that it covers")
		}
	}
}
