package routing

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/pkg/labels"
	"go.yaml.in/yaml/v3"
)

// intervals looks at a list of named time intervals.
func (l *linter) intervals(list *yaml.Node) {
	for _, item := range list.Content {
		name := get(item, "name")
		switch {
		case !comes(l.hours[name.Value], l.now):
			l.fail(name, "time interval %q is over, or has no time at all", name.Value)
		case !l.asked[name.Value]:
			l.fail(name, "no route has time interval %q", name.Value)
		}
	}
}

// mutes looks at the time intervals of a route.
func (l *linter) mutes(n *yaml.Node, o dispatch.RouteOpts) {
	for _, name := range slices.Concat(o.MuteTimeIntervals, o.ActiveTimeIntervals) {
		l.asked[name] = true
	}
	if len(o.MuteTimeIntervals)+len(o.ActiveTimeIntervals) == 0 {
		return
	}
	if _, tells := l.hours.unmuted(o.MuteTimeIntervals, o.ActiveTimeIntervals, l.now); !tells {
		l.fail(n, "muted for ever: its time intervals leave no time at which it tells")
	}
}

// contradiction returns a matcher that no value fulfils which the others let a label have; nil if none is found.
func contradiction(all labels.Matchers) *labels.Matcher {
	for _, m := range all {
		values, finite := valuesOf(m)
		if !finite {
			continue
		}
		// Some value must be left by every matcher of the label.
		values = slices.Clone(values)
		for _, other := range all {
			if other.Name != m.Name {
				continue
			}
			values = slices.DeleteFunc(values, func(v string) bool { return !other.Matches(v) })
			if len(values) == 0 {
				return other
			}
		}
	}
	return nil
}

// implied reports whether an alert that fulfils all of path fulfils matchers, as far as that can be seen.
func implied(matchers, path labels.Matchers) bool {
	for _, m := range matchers {
		seen := matchesAll(m)
		for _, p := range path {
			if p.Name != m.Name {
				continue
			}
			values, finite := valuesOf(p)
			seen = seen || p.Type == m.Type && p.Value == m.Value ||
				finite && !slices.ContainsFunc(values, func(v string) bool { return !m.Matches(v) })
		}
		if !seen {
			return false
		}
	}
	return true
}

// valuesOf returns the values that a label may have by a matcher, if those are few: of one for equality, and of one for
// words with | between them.
func valuesOf(m *labels.Matcher) (values []string, finite bool) {
	switch m.Type {
	case labels.MatchEqual:
		return []string{m.Value}, true
	case labels.MatchRegexp:
		values = strings.Split(m.Value, "|")
		plain := !slices.ContainsFunc(values, func(v string) bool { return regexp.QuoteMeta(v) != v })
		return values, plain
	}
	return nil, false
}
