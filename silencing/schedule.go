package silencing

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when the silences of a recurring rule begin and how long each lasts.
type Schedule struct {
	// Expression has the five fields of cron: minute, hour, day of the month,
	// month, day of the week. They are read on a wall clock in Location.
	Expression string
	Location   *time.Location

	// Duration is elapsed time, whatever the wall clock does meanwhile.
	Duration time.Duration

	// clock finds the next reading of the wall clock. Readings are held in
	// time.Time as if they were UTC, where no hour is missing or repeated.
	clock cron.Schedule
}

// parse sets Expression. A schedule that never fires is refused.
func (s *Schedule) parse(expr string, now time.Time) error {
	if strings.Contains(expr, "TZ=") {
		return errors.New("schedule must not name a time zone, location does")
	}
	clock, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse("TZ=UTC " + expr)
	if err != nil {
		return fmt.Errorf("schedule must be like \"30 23 * * 1-5\": %w", err)
	}
	if clock.Next(now.UTC()).IsZero() {
		return fmt.Errorf("schedule %q never comes", expr)
	}
	s.Expression, s.clock = expr, clock
	return nil
}

// shortestGap returns the least time on the wall clock between two beginnings
// from now until end. It looks at no more than 10,000 of them.
func (s *Schedule) shortestGap(now, end time.Time) time.Duration {
	shortest := time.Duration(1<<63 - 1)
	last := s.clock.Next(now.UTC())
	for range 10_000 {
		next := s.clock.Next(last)
		if next.IsZero() || next.After(end) {
			break
		}
		shortest = min(shortest, next.Sub(last))
		last = next
	}
	return shortest
}

// starts yields the instants at which the schedule begins, after the given one
// and in order, for as long as one comes within five years.
//
//	reading of the wall clock     begins
//	once                          then
//	skipped (clock goes forward)  at the first instant after the gap
//	twice (clock goes back)       at the first of the two
//
// Several readings in one gap begin at the same instant, which is yielded once.
func (s *Schedule) starts(after time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		// A later reading never begins earlier, so all up to after's own have
		// begun by then.
		reading := asUTC(after.In(s.Location))
		for last := after; ; {
			reading = s.clock.Next(reading)
			if reading.IsZero() {
				return
			}
			begin := instant(reading, s.Location)
			if !begin.After(last) {
				continue
			}
			last = begin
			if !yield(begin) {
				return
			}
		}
	}
}

// asUTC returns the reading of t's wall clock, cut to the second.
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instant returns the first instant at which the wall clock in loc shows the
// reading, or the first after the gap that skips it. It walks the zone's periods
// because time.Date promises neither: it may return an instant before the gap.
func instant(reading time.Time, loc *time.Location) time.Time {
	// No zone is further from UTC than this, so the first period can't be too late.
	t := reading.Add(-24 * time.Hour).In(loc)
	for {
		_, offset := t.Zone()
		begin, end := t.ZoneBounds()
		candidate := reading.Add(-time.Duration(offset) * time.Second)
		switch {
		case candidate.Before(begin):
			return begin
		case end.IsZero() || candidate.Before(end):
			return candidate.In(loc)
		}
		t = end
	}
}
