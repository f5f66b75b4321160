package silencing

import (
	"cmp"
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/promslog"
	"go.yaml.in/yaml/v3"
)

// Matcher is one condition on a label, as Alertmanager's API spells it. A label
// that an alert lacks counts as empty; a regular expression has to match the
// whole value.
type Matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

// String returns the matcher in the syntax of alertmanager.yml.
func (m Matcher) String() string {
	return (&labels.Matcher{Type: m.matchType(), Name: m.Name, Value: m.Value}).String()
}

func (m Matcher) matchType() labels.MatchType {
	switch {
	case m.IsEqual && m.IsRegex:
		return labels.MatchRegexp
	case !m.IsEqual && m.IsRegex:
		return labels.MatchNotRegexp
	case !m.IsEqual:
		return labels.MatchNotEqual
	}
	return labels.MatchEqual
}

// compile returns the matcher as something that matches.
func (m Matcher) compile() (*labels.Matcher, error) {
	return labels.NewMatcher(m.matchType(), m.Name, m.Value)
}

// normalize returns the matchers sorted and without duplicates. Their order
// and repetition say nothing, but Alertmanager keeps and compares them.
func normalize(ms []Matcher) []Matcher {
	ms = slices.Clone(ms)
	slices.SortFunc(ms, func(a, b Matcher) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Value, b.Value),
			compareBool(a.IsRegex, b.IsRegex),
			compareBool(a.IsEqual, b.IsEqual),
		)
	})
	return slices.Compact(ms)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// matchers decodes a list of matchers and refuses what would silence more than
// a reviewer sees in it. Alertmanager itself takes a!="b" or a=~".+" alone.
func (d *document) matchers(n *yaml.Node, allowCritical bool) []Matcher {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, "matchers must be a list, not %s", kind(n))
		return nil
	}
	parse := compat.FallbackMatchersParser(promslog.NewNopLogger())
	before := len(d.problems)
	var all labels.Matchers
	for _, item := range n.Content {
		s, ok := d.text(item, "a matcher")
		if !ok {
			continue
		}
		parsed, err := parse(s, d.filename)
		switch {
		case errors.As(err, new(*syntax.Error)):
			d.problem(item, "%v", err)
		case err != nil:
			d.problem(item, "%v, write it like alertname=\"DiskFull\" or instance=~\"db-.+\"", err)
		case len(parsed) == 0:
			d.problem(item, "a matcher is empty")
		}
		for _, m := range parsed {
			if msg := refusedByServer(m); msg != "" {
				d.problem(item, "%s", msg)
			}
		}
		all = append(all, parsed...)
	}
	if len(d.problems) > before {
		return nil
	}
	if !slices.ContainsFunc(all, narrows) {
		d.problem(n, "matchers silence nearly everything, add one that names what is silenced, like alertname=\"DiskFull\"")
	}
	if !allowCritical && matchesCritical(all) {
		d.problem(n, `matchers silence severity="critical" too, add severity!="critical" or allow_critical: true`)
	}
	ms := make([]Matcher, len(all))
	for i, m := range all {
		ms[i] = Matcher{
			Name:    m.Name,
			Value:   m.Value,
			IsRegex: m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp,
			IsEqual: m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp,
		}
	}
	return normalize(ms)
}

// refusedByServer says why Alertmanager wouldn't take a matcher that parses.
func refusedByServer(m *labels.Matcher) string {
	switch {
	case m.Name == "":
		return "a matcher has no label name"
	case !utf8.ValidString(m.Name) || !utf8.ValidString(m.Value):
		return "a matcher is not valid UTF-8"
	case m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp:
		// The parser compiled it with an anchor around it, where a)(b is valid.
		if _, err := regexp.Compile(m.Value); err != nil {
			return err.Error()
		}
	}
	return ""
}

// unrelated are values with nothing in common but to be values: an expression
// that matches one of them asks for little more than the label's presence.
const unrelated = "zq zqxvkjwp ZQXVKJWP Zqxvkjwp 73914 zq-xv_7:3.9/1"

// narrows reports whether the matcher picks certain values of its label.
func narrows(m *labels.Matcher) bool {
	switch m.Type {
	case labels.MatchEqual:
		return m.Value != ""
	case labels.MatchRegexp:
		return !m.Matches("") && !slices.ContainsFunc(strings.Fields(unrelated), m.Matches)
	}
	return false
}

// matchesCritical reports whether no matcher spares alerts of severity critical.
func matchesCritical(ms labels.Matchers) bool {
	return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool {
		return m.Name == "severity" && !m.Matches("critical")
	})
}
