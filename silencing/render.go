package silencing

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/internal/table"
)

// rendered is how far ahead Render looks.
const rendered = 7 * 24 * time.Hour

// Render returns a table of the silences that the rules ask for from now on for
// seven days, by their start, each with its times as its rule's own clock shows
// them and in UTC. A change of that clock, during a silence or since the last
// one of its rule, is marked.
func Render(rules []Rule, now time.Time) []byte {
	var list []Occurrence
	clocks := make(map[string]string) // by rule@occurrence, what to say of the clock
	for i := range rules {
		var last time.Time
		for o := range occurrences(&rules[i], now, now.Add(rendered)) {
			list = append(list, o)
			if rules[i].Schedule != nil {
				if note := shifts(last, o); note != "" {
					clocks[o.key()] = note
				}
				last = o.EndsAt.In(o.StartsAt.Location())
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Occurrence) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), a.EndsAt.Compare(b.EndsAt), cmp.Compare(a.Rule.Name, b.Rule.Name))
	})
	var rows table.Table
	row := func(name, start, end, startUTC, endUTC, clock, matchers string) {
		cells := []string{name, start, end, startUTC, endUTC, clock, matchers}
		if len(clocks) == 0 {
			cells = slices.Delete(cells, 5, 6)
		}
		rows.Row(cells...)
	}
	row("RULE", "STARTS", "ENDS", "STARTS IN UTC", "ENDS IN UTC", "CLOCK", "MATCHERS")
	for _, o := range list {
		start, startUTC, end := "at once", "at once", o.EndsAt
		if !o.StartsAt.IsZero() {
			start, startUTC = wall(o.StartsAt)+o.StartsAt.Format(" MST"), wall(o.StartsAt.UTC())
			end = o.EndsAt.In(o.StartsAt.Location())
		}
		row(o.Rule.Name, start, wall(end)+end.Format(" MST"), startUTC, wall(o.EndsAt.UTC()), clocks[o.key()],
			printable.Line(strings.Join(texts(o.Rule.Matchers), ", "), 1000))
	}
	return rows.Bytes()
}

// wall returns the reading of a clock.
func wall(t time.Time) string {
	if t.Second() != 0 {
		return t.Format("Mon 2006-01-02 15:04:05")
	}
	return t.Format("Mon 2006-01-02 15:04")
}

// shifts says how the wall clock of a recurring rule changes during an
// occurrence, or has changed since the end of the last one, if there was one.
func shifts(last time.Time, o Occurrence) string {
	shift := func(from, to time.Time) string {
		_, before := from.Zone()
		_, after := to.Zone()
		d := time.Duration(after-before) * time.Second
		switch {
		case d > 0:
			return "forward by " + model.Duration(d).String()
		case d < 0:
			return "back by " + model.Duration(-d).String()
		}
		return ""
	}
	var notes []string
	if !last.IsZero() {
		if s := shift(last, o.StartsAt); s != "" {
			notes = append(notes, "has gone "+s)
		}
	}
	if s := shift(o.StartsAt, o.EndsAt.In(o.StartsAt.Location())); s != "" {
		notes = append(notes, "goes "+s+" meanwhile")
	}
	return strings.Join(notes, ", ")
}
