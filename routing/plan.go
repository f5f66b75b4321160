package routing

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// A leaf is a route for one receiver of a contact: flat, with matchers of its own, ended by nothing.
type leaf struct {
	step
	matchers []*labels.Matcher
	groupBy  []string
	repeat   model.Duration // 0: as the base's root route
	quiet    string         // quiet hours that mute it
	// minRepeat is the least that the base's repeat_interval counts for.
	minRepeat model.Duration
}

// A step is what a receiver is made for: a method, and how long an alert fires before. The same method
// after another time is another receiver, since Alertmanager remembers by receiver what it has sent.
type step struct {
	method       string
	after        model.Duration
	sendResolved bool
}

const (
	// maxLeaves is how many leaves a contact may have. Alertmanager tries every leaf for every alert.
	maxLeaves = 100
	// maxMatchers is how long the values of their matchers may be together. Each leaf has all owners and networks in it, as
	// an expression that takes Alertmanager many times its length of memory.
	maxMatchers = 64 << 10
)

// plan turns rules or subscriptions into leaves. Leaves of one step never overlap: an alert that two
// rules ask for is told once.
func (c *contactReader) plan(root *yaml.Node) []leaf {
	plan := c.planRules
	if c.contact.Kind == Subscriber {
		plan = c.planSubscriptions
	}
	leaves := plan()
	if len(leaves) > maxLeaves {
		c.fail(root, "makes %d routes, at most %d are allowed", len(leaves), maxLeaves)
		return leaves
	}
	length := 0
	for _, l := range leaves {
		for _, m := range l.matchers {
			length += len(m.Value)
		}
	}
	if length > maxMatchers {
		c.fail(root, "makes %d routes that name %d KiB of owners and networks, at most %d are allowed: several files may share the owners",
			len(leaves), length>>10, maxMatchers>>10)
	}
	return leaves
}

// planRules splits what the rules of a step cover by severity:
//
//	rules of the step                      leaves
//	min: warning                           severity=~"critical|warning"
//	any, quiet                             (no severity matcher)             quiet
//	any, quiet with bypass: [critical]     severity="critical"
//	                                       severity!="critical"              quiet
//	min: warning, quiet + min: critical    severity="critical"
//	                                       severity="warning"                quiet
func (c *contactReader) planRules() []leaf {
	identity := []*labels.Matcher{oneOf(c.site.IdentityLabel, c.contact.Owners)}
	if len(c.contact.Networks) > 0 {
		identity = append(identity, oneOf(networkLabel, c.contact.Networks))
	}
	var leaves []leaf
	for _, s := range c.steps() {
		// From the worst severity to the mildest, then whatever is none of them.
		severities := map[string][]int{} // by the quiet hours that hold for them
		var order []string
		for severity := len(c.site.Severities) - 1; severity >= -1; severity-- {
			quiet, covered := c.quietAt(s, severity)
			if !covered {
				continue
			}
			if severities[quiet] == nil {
				order = append(order, quiet)
			}
			severities[quiet] = append(severities[quiet], severity)
		}
		for _, quiet := range order {
			leaves = append(leaves, c.overPhone(leaf{
				step:     s,
				matchers: append(slices.Clone(identity), c.severities(severities[quiet])...),
				groupBy:  []string{model.AlertNameLabel, c.site.IdentityLabel},
				quiet:    quiet,
			}))
		}
	}
	return leaves
}

// steps returns the steps of all rules in the order of the file.
func (c *contactReader) steps() []step {
	var steps []step
	for _, r := range c.contact.rules {
		for _, ref := range r.notify {
			if s := (step{ref.name, r.after, true}); !slices.Contains(steps, s) {
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// quietAt returns the quiet hours that hold for a step at a severity, and whether any rule covers it at
// all. A rule without quiet hours wins: what it asks for is asked for at all times.
func (c *contactReader) quietAt(s step, severity int) (quiet string, covered bool) {
	var by *rule
	for i := range c.contact.rules {
		r := &c.contact.rules[i]
		asks := slices.ContainsFunc(r.notify, func(ref reference) bool { return ref.name == s.method })
		if !asks || r.after != s.after || severity < r.minSeverity {
			continue
		}
		switch now := c.quietOf(r, severity); {
		case now == "":
			return "", true
		case by == nil:
			by, quiet = r, now
		case now != quiet:
			c.fail(r.quiet.at, "%q already has other quiet hours for the same severity, %q in line %d",
				s.method, quiet, by.at.Line)
		}
	}
	return quiet, by != nil
}

// quietOf returns the quiet hours of a rule unless the severity bypasses them.
func (c *contactReader) quietOf(r *rule, severity int) string {
	for _, q := range c.contact.quietHours {
		if q.name == r.quiet.name && severity >= 0 && slices.Contains(q.bypass, c.site.Severities[severity]) {
			return ""
		}
	}
	return r.quiet.name
}

// severities returns the matcher for a set of severities, -1 being whatever is none of them. A set of all
// needs none.
func (c *contactReader) severities(set []int) []*labels.Matcher {
	var in, out []string
	for i := len(c.site.Severities) - 1; i >= 0; i-- {
		if slices.Contains(set, i) {
			in = append(in, c.site.Severities[i])
		} else {
			out = append(out, c.site.Severities[i])
		}
	}
	switch {
	case !slices.Contains(set, -1):
		return []*labels.Matcher{oneOf(severityLabel, in)}
	case len(out) > 0:
		return []*labels.Matcher{noneOf(severityLabel, out)}
	}
	return nil
}

const subscriberRepeat = model.Duration(24 * time.Hour)

func (c *contactReader) planSubscriptions() []leaf {
	var leaves []leaf
	for i, s := range c.contact.subscriptions {
		matchers := []*labels.Matcher{oneOf(audienceLabel, []string{publicAudience})}
		if len(s.components) > 0 {
			matchers = append(matchers, oneOf(componentLabel, s.components))
		}
		if len(s.networks) > 0 {
			matchers = append(matchers, oneOf(networkLabel, s.networks))
		}
		if s.minSeverity >= 0 {
			var set []int
			for severity := s.minSeverity; severity < len(c.site.Severities); severity++ {
				set = append(set, severity)
			}
			matchers = append(matchers, c.severities(set)...)
		}
		for _, ref := range s.notify {
			for _, earlier := range c.contact.subscriptions[:i] {
				if !c.disjoint(ref, s, earlier) {
					break
				}
			}
			leaves = append(leaves, c.overPhone(leaf{
				step:     step{method: ref.name, sendResolved: s.sendResolved},
				matchers: matchers,
				groupBy:  []string{networkLabel, componentLabel},
				repeat:   subscriberRepeat,
			}))
		}
	}
	return leaves
}

// disjoint checks that two subscriptions don't tell the same method twice.
func (c *contactReader) disjoint(ref reference, s, earlier subscription) bool {
	overlap := func(a, b []string) bool {
		return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
	}
	switch {
	case !slices.ContainsFunc(earlier.notify, func(r reference) bool { return r.name == ref.name }):
		return true
	case overlap(s.components, earlier.components) && overlap(s.networks, earlier.networks):
		c.fail(ref.at, "%q would be told twice, the subscription in line %d covers some of the same alerts", ref.name, earlier.at.Line)
		return false
	case s.sendResolved != earlier.sendResolved:
		c.fail(ref.at, "%q has another send_resolved in line %d, use two contact methods", ref.name, earlier.at.Line)
		return false
	}
	return true
}

// oneOf matches a label that has one of some values.
func oneOf(label string, values []string) *labels.Matcher {
	if len(values) == 1 {
		return matcher(labels.MatchEqual, label, values[0])
	}
	return matcher(labels.MatchRegexp, label, alternatives(values))
}

// noneOf matches a label that has none of some values.
func noneOf(label string, values []string) *labels.Matcher {
	if len(values) == 1 {
		return matcher(labels.MatchNotEqual, label, values[0])
	}
	return matcher(labels.MatchNotRegexp, label, alternatives(values))
}

func alternatives(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return strings.Join(quoted, "|")
}

func matcher(t labels.MatchType, label, value string) *labels.Matcher {
	m, err := labels.NewMatcher(t, label, value)
	if err != nil {
		panic(fmt.Sprintf("an expression of quoted words doesn't compile: %v", err))
	}
	return m
}
