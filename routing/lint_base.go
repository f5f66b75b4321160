package routing

import (
	"go/scanner"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/pkg/labels"
	"go.yaml.in/yaml/v3"
)

// LintBase warns about what Alertmanager accepts in a base and what does nothing: routes that no alert reaches, that are
// muted for ever, receivers and time intervals that nobody uses. now is the instant from which on intervals count. Of a
// base that can't be read there are no warnings; Check says why.
func LintBase(file string, data []byte, now time.Time) scanner.ErrorList {
	b, problems := readBase(file, data, "")
	if problems.Len() > 0 {
		return nil
	}
	l := linter{reader: reader{file: b.file}, now: now, hours: hoursOf(b.config), used: map[string]bool{}, asked: map[string]bool{}}
	root := b.doc.Content[0]
	l.routes(dispatch.NewRoute(b.config.Route, nil), get(root, "route"), nil)
	receivers := get(root, "receivers")
	for i, r := range b.config.Receivers {
		if !l.used[r.Name] && i < len(receivers.Content) {
			l.fail(get(receivers.Content[i], "name"), "no route has receiver %q, so it tells nobody", r.Name)
		}
	}
	l.intervals(get(root, "mute_time_intervals"))
	l.intervals(get(root, "time_intervals"))
	l.problems.Sort()
	return l.problems
}

// A linter walks through a base. What it finds are its problems.
type linter struct {
	reader
	now   time.Time
	hours hours
	used  map[string]bool // receivers that a route has
	asked map[string]bool // intervals that a route has
}

// routes looks at a route and those below it. all are the matchers of those above it.
func (l *linter) routes(route *dispatch.Route, n *yaml.Node, all labels.Matchers) {
	o := route.RouteOpts
	l.used[o.Receiver] = true
	for _, names := range [][]string{o.MuteTimeIntervals, o.ActiveTimeIntervals} {
		for _, name := range names {
			l.asked[name] = true
		}
	}
	if len(o.MuteTimeIntervals)+len(o.ActiveTimeIntervals) > 0 {
		if _, tells := l.hours.unmuted(o.MuteTimeIntervals, o.ActiveTimeIntervals, l.now); !tells {
			l.fail(n, "this route is muted for ever: its time intervals leave no time at which it tells")
		}
	}
	items := get(flatten(n), routesList)
	if items.Kind != yaml.SequenceNode || len(items.Content) != len(route.Routes) {
		return
	}
	for i, child := range route.Routes {
		at := resolve(items.Content[i])
		path := slices.Concat(all, child.Matchers)
		if m := contradiction(path); m != nil {
			l.fail(at, "no alert reaches this route: its matchers and those above it never match together, because of %s", m)
		} else if j := slices.IndexFunc(route.Routes[:i], func(earlier *dispatch.Route) bool {
			return !earlier.Continue && implied(earlier.Matchers, path)
		}); j >= 0 {
			l.fail(at, "no alert reaches this route: the one in line %d takes all of them, and doesn't continue", resolve(items.Content[j]).Line)
		}
		l.routes(child, at, path)
	}
}

// intervals looks at a list of named time intervals.
func (l *linter) intervals(list *yaml.Node) {
	if list.Kind != yaml.SequenceNode {
		return
	}
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
		seen := m.Type == labels.MatchRegexp && (m.Value == ".*" || m.Value == "(?s).*" || m.Value == "|.+" || m.Value == ".*|")
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
