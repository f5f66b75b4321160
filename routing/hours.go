package routing

import (
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/timeinterval"
)

// Hours are the time intervals of a configuration by their names, asked as Alertmanager does.
type hours map[string][]timeinterval.TimeInterval

// hoursOf returns the intervals of a configuration. Alertmanager fills its map in this order, too.
func hoursOf(cfg *config.Config) hours {
	h := hours{}
	for _, i := range cfg.MuteTimeIntervals {
		h[i.Name] = i.TimeIntervals
	}
	for _, i := range cfg.TimeIntervals {
		h[i.Name] = i.TimeIntervals
	}
	return h
}

// mutedBy returns the names of the intervals for which a route that has these tells nobody at t; none if it tells. As
// in Alertmanager it is muted in any of mute, and outside of all of active if there are some.
func (h hours) mutedBy(mute, active []string, t time.Time) []string {
	intervener := timeinterval.NewIntervener(h)
	// Names are those of a configuration that has been loaded, so all of them are known.
	if muted, by, _ := intervener.Mutes(mute, t); muted {
		return by
	}
	if within, _, _ := intervener.Mutes(active, t); len(active) > 0 && !within {
		return active
	}
	return nil
}

// horizon returns the end of a search that begins at t. What goes by the week alone is the same after a year in which
// the clocks have been put forward and back; the rest has a leap day, also where a century has one less.
func horizon(intervals []timeinterval.TimeInterval, t time.Time) time.Time {
	for _, i := range intervals {
		if i.Years != nil || i.Months != nil || i.DaysOfMonth != nil {
			return t.AddDate(9, 0, 0)
		}
	}
	return t.AddDate(1, 0, 14)
}

// unmuted returns the first instant from t on at which a route with these intervals tells, within the horizon.
func (h hours) unmuted(mute, active []string, t time.Time) (time.Time, bool) {
	var all []timeinterval.TimeInterval
	for _, names := range [][]string{mute, active} {
		for _, name := range names {
			all = append(all, h[name]...)
		}
	}
	return search(all, t, func(t time.Time) bool { return len(h.mutedBy(mute, active, t)) == 0 })
}

// comes reports whether any of the intervals contains an instant from t on, within the horizon.
func comes(intervals []timeinterval.TimeInterval, t time.Time) bool {
	_, found := search(intervals, t, func(t time.Time) bool {
		for _, i := range intervals {
			if i.ContainsTime(t) {
				return true
			}
		}
		return false
	})
	return found
}

// search returns the first instant from t on at which holds is true, which depends on nothing but the intervals.
func search(intervals []timeinterval.TimeInterval, t time.Time, holds func(time.Time) bool) (time.Time, bool) {
	for end := horizon(intervals, t); t.Before(end); {
		if holds(t) {
			return t, true
		}
		next := end
		for _, i := range intervals {
			if change := nextChange(i, t); change.Before(next) {
				next = change
			}
		}
		t = next
	}
	return time.Time{}, false
}

// nextChange returns the first instant after t at which the interval may begin or end: at a time of day that it names,
// at midnight, or when the clock is put forward or back.
func nextChange(i timeinterval.TimeInterval, t time.Time) time.Time {
	local := t.UTC()
	if i.Location != nil {
		local = t.In(i.Location.Location)
	}
	const minutes = 24 * 60
	now := local.Hour()*60 + local.Minute()
	wait := minutes - now
	at := func(minute int) {
		if d := minute - now; d > 0 {
			wait = min(wait, d)
		}
	}
	for _, r := range i.Times {
		at(r.StartMinute)
		at(r.EndMinute)
	}
	next := local.Add(time.Duration(wait)*time.Minute - time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
	if _, changed := local.ZoneBounds(); !changed.IsZero() && changed.Before(next) {
		next = changed
	}
	return next
}

// The forms of an instant besides RFC 3339.
const (
	localMinute = "2006-01-02 15:04"
	timeOfToday = "15:04"
)

// ParseTime reads an instant as people write it: with an offset, as 2026-11-26T22:30:00+01:00, or on the clock of a
// location, as 2026-11-26 22:30. A time of day alone is that of the day of now. An hour that the clock there leaves out
// is an error.
func ParseTime(s string, location *time.Location, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	full := s
	if _, err := time.Parse(timeOfToday, s); err == nil && !now.IsZero() {
		full = now.In(location).Format("2006-01-02 ") + s
	}
	for _, form := range []string{localMinute, "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		written, err := time.Parse(form, full)
		if err != nil {
			continue
		}
		t, err := time.ParseInLocation(form, full, location)
		if err != nil {
			return t, err
		}
		if t.Format(time.DateTime) != written.Format(time.DateTime) {
			return time.Time{}, fmt.Errorf("%q doesn't exist in %s: the clock is put forward over it", full, location)
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q must be a time such as %q or 2026-11-26T22:30:00+01:00", s, "2026-11-26 22:30")
}
