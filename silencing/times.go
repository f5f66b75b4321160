package silencing

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

const (
	// maxDuration bounds one silence, and with it how long a mistake can last.
	maxDuration = 30 * 24 * time.Hour

	// maxComment bounds each of comment and created_by, in bytes.
	maxComment = 1024
)

// oneOff decodes the times of a rule without a schedule.
func (d *document) oneOff(n *yaml.Node, fields map[string]*yaml.Node, rule *Rule, now time.Time) {
	if v := fields["location"]; v != nil {
		d.problem(v, "location goes with a schedule, a time has its own offset")
	}
	_, hasStart := fields["starts_at"]
	_, hasEnd := fields["ends_at"]
	_, hasDuration := fields["duration"]
	switch {
	case hasEnd && hasDuration:
		d.problem(n, "ends_at and duration are both set, keep one")
		return
	case !hasEnd && !hasDuration:
		d.problem(n, "ends_at or duration is missing, a silence must end")
	case hasDuration && !hasStart:
		d.problem(n, "duration needs starts_at, without it every restart would begin anew")
	}
	start, startOK := d.time(fields["starts_at"], "starts_at")
	end, endOK := d.time(fields["ends_at"], "ends_at")
	duration, durationOK := d.duration(fields["duration"])
	place := fields["ends_at"]
	switch {
	case !hasStart && endOK:
		rule.EndsAt = end
		start = now
	case !startOK:
		return
	case durationOK:
		place = fields["duration"]
		rule.StartsAt, rule.EndsAt = start, start.Add(duration)
	case endOK:
		rule.StartsAt, rule.EndsAt = start, end
		if !start.Before(end) {
			d.problem(place, "ends_at must be after starts_at")
		}
	default:
		return
	}
	if length := rule.EndsAt.Sub(start); length > maxDuration {
		d.problem(place, "the silence would last %s, the limit is %s", model.Duration(length.Truncate(time.Minute)), model.Duration(maxDuration))
	}
}

// recurring decodes the times of a rule with a schedule.
func (d *document) recurring(n *yaml.Node, fields map[string]*yaml.Node, rule *Rule, now time.Time) {
	if v := fields["starts_at"]; v != nil {
		d.problem(v, "starts_at doesn't go with a schedule")
	}
	for _, required := range []struct{ field, why string }{
		{"duration", "how long each silence lasts"},
		{"location", "the time zone of the schedule, like Europe/Berlin or UTC"},
		{"ends_at", "the end of the rule itself"},
	} {
		if _, ok := fields[required.field]; !ok {
			d.problem(n, "%s is missing: %s", required.field, required.why)
		}
	}
	s := &Schedule{Location: time.UTC}
	rule.Schedule = s
	end, endOK := d.time(fields["ends_at"], "ends_at")
	rule.EndsAt = end
	if endOK && end.After(now.AddDate(1, 0, 0)) {
		d.problem(fields["ends_at"], "a recurring rule must end within a year, renew it by a change of the file")
	}
	if v := fields["location"]; v != nil {
		if name, ok := d.text(v, "location"); ok {
			loc, err := location(name)
			if err != nil {
				d.problem(v, "%v", err)
			}
			s.Location = loc
		}
	}
	if v := fields["schedule"]; v != nil {
		if expr, ok := d.text(v, "schedule"); ok {
			if err := s.parse(expr, now); err != nil {
				d.problem(v, "%v", err)
			}
		}
	}
	duration, ok := d.duration(fields["duration"])
	s.Duration = duration
	switch v := fields["duration"]; {
	case !ok:
	case duration > maxDuration:
		d.problem(v, "each silence would last %s, the limit is %s", model.Duration(duration), model.Duration(maxDuration))
	case endOK && s.clock != nil:
		if gap := s.shortestGap(now, end); gap < duration {
			d.problem(v, "each silence lasts %s but the next begins after %s", model.Duration(duration), model.Duration(gap))
		}
	}
}

// time decodes an RFC 3339 time with its offset, in whole seconds.
func (d *document) time(n *yaml.Node, what string) (t time.Time, ok bool) {
	if n == nil {
		return time.Time{}, false
	}
	if n.Kind != yaml.ScalarNode {
		d.problem(n, "%s must be a time like 2006-01-02T15:04:05Z, not %s", what, kind(n))
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, n.Value)
	switch {
	case err != nil:
		for _, naive := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
			if t, err := time.Parse(naive, n.Value); err == nil {
				d.problem(n, "%s has no UTC offset, write %s for UTC or end it in the offset, like +09:00", what, t.Format(time.RFC3339))
				return time.Time{}, false
			}
		}
		d.problem(n, "%s must be a time like 2006-01-02T15:04:05Z, not %s", what, kind(n))
	case t.Nanosecond() != 0:
		d.problem(n, "%s must be in whole seconds, not %s", what, n.Value)
	case t.UTC().Year() < 1970 || t.UTC().Year() > 9998:
		d.problem(n, "%s is out of range: %s", what, n.Value)
	default:
		return t, true
	}
	return time.Time{}, false
}

// duration decodes a Prometheus duration of whole seconds.
func (d *document) duration(n *yaml.Node) (v time.Duration, ok bool) {
	if n == nil {
		return 0, false
	}
	const like = "duration must be like 90m, 2h or 3d"
	if n.Kind != yaml.ScalarNode {
		d.problem(n, "%s, not %s", like, kind(n))
		return 0, false
	}
	parsed, err := model.ParseDuration(n.Value)
	v = time.Duration(parsed)
	switch {
	case err != nil:
		d.problem(n, "%s: %v", like, err)
	case v <= 0 || v%time.Second != 0:
		d.problem(n, "duration must be whole seconds and more than none, not %s", n.Value)
	default:
		return v, true
	}
	return 0, false
}

// comment decodes a text that will stand in a silence's comment.
func (d *document) comment(n *yaml.Node, what string) string {
	s, ok := d.text(n, what)
	switch {
	case !ok:
	case strings.TrimSpace(s) == "":
		d.problem(n, "%s must say something", what)
	case len(s) > maxComment:
		d.problem(n, "%s must be at most %d bytes, not %d", what, maxComment, len(s))
	case strings.Contains(s, markOpen):
		d.problem(n, "%s must not contain %q, it marks silences made from this file", what, markOpen)
	case !utf8.ValidString(s):
		d.problem(n, "%s is not valid UTF-8", what)
	}
	return strings.TrimSpace(s)
}

// location loads an IANA time zone.
func location(name string) (*time.Location, error) {
	if name != "" && name != "Local" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return time.UTC, fmt.Errorf("location %q not known, write a time zone like Europe/Berlin or UTC", name)
}
