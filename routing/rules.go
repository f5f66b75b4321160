package routing

import (
	"fmt"
	"go/token"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// A reference is a name that must be defined elsewhere in the file.
type reference struct {
	name string
	at   *yaml.Node
}

// A rule says by which methods an operator is told about what.
type rule struct {
	at          *yaml.Node
	notify      []reference
	minSeverity int            // index into the site's severities; -1: any, also none of them
	after       model.Duration // how long an alert fires before
	quiet       reference      // which quiet hours hold
}

// A subscription says by which methods a subscriber is told about what.
type subscription struct {
	at           *yaml.Node
	components   []string // empty: all
	networks     []string // empty: all
	networksAt   []token.Position
	minSeverity  int
	notify       []reference
	sendResolved bool
}

func (c *contactReader) readRules(n *yaml.Node) {
	for _, item := range c.list(n) {
		r := rule{at: item, minSeverity: -1}
		at := c.object(item,
			field{"notify", func(n *yaml.Node) { r.notify = c.references(n) }},
			field{"min_severity", func(n *yaml.Node) { r.minSeverity = c.severity(n) }},
			field{"after", func(n *yaml.Node) { r.after = c.duration(n) }},
			field{"quiet_hours", func(n *yaml.Node) {
				c.says(n, "pattern", wordPattern.String())
				r.quiet = reference{c.text(n), n}
			}},
		)
		c.need(item, at, "notify", whoIsTold)
		c.contact.rules = append(c.contact.rules, r)
	}
}

func (c *contactReader) readSubscriptions(n *yaml.Node) {
	for _, item := range c.list(n) {
		s := subscription{at: item, minSeverity: -1, sendResolved: true}
		at := c.object(item,
			field{"components", func(n *yaml.Node) { s.components = c.words(c.list(n), secretPattern, "[a-z0-9_-]+") }},
			field{"networks", func(n *yaml.Node) {
				items := c.list(n)
				s.networks, s.networksAt = c.words(items, wordPattern, "[a-z0-9-]+"), c.positions(items)
			}},
			field{"min_severity", func(n *yaml.Node) { s.minSeverity = c.severity(n) }},
			field{"notify", func(n *yaml.Node) { s.notify = c.references(n) }},
			field{"send_resolved", func(n *yaml.Node) { s.sendResolved = c.flag(n) }},
		)
		c.need(item, at, "notify", whoIsTold)
		c.contact.subscriptions = append(c.contact.subscriptions, s)
	}
}

const whoIsTold = "name who of contact_methods is told"

func (c *contactReader) references(n *yaml.Node) []reference {
	var refs []reference
	items := c.list(n)
	c.unique(items)
	for _, item := range items {
		c.says(item, "pattern", wordPattern.String())
		name := c.text(item)
		if slices.ContainsFunc(refs, func(r reference) bool { return r.name == name }) {
			c.fail(item, "%q is listed twice", name)
		}
		if name != "" {
			refs = append(refs, reference{name, item})
		}
	}
	return refs
}

func (c *contactReader) severity(n *yaml.Node) int {
	return slices.Index(c.site.Severities, c.oneOf(n, "severity", c.site.Severities))
}

// durationPattern is what model.ParseDuration takes, zero aside.
const durationPattern = `^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$`

const maxAfter = 7 * 24 * time.Hour

func (c *contactReader) duration(n *yaml.Node) model.Duration {
	c.says(n, "pattern", durationPattern)
	s := c.text(c.asText(n))
	if s == "" {
		return 0
	}
	d, err := model.ParseDuration(s)
	if err != nil || d <= 0 || time.Duration(d) > maxAfter {
		c.fail(n, "%q must be a duration such as 15m, at most %s", s, model.Duration(maxAfter))
		return 0
	}
	return d
}

// link checks that what the file refers to is there, and warns about what nobody refers to.
func (c *contactReader) link() {
	var methods, quiet []string
	for _, m := range c.contact.methods {
		methods = append(methods, m.name)
	}
	for _, q := range c.contact.quietHours {
		quiet = append(quiet, q.name)
	}
	check := func(ref reference, what string, known []string) {
		if !slices.Contains(known, ref.name) {
			c.fail(ref.at, "%s %q not known%s", what, ref.name, strictyaml.DidYouMean(ref.name, known))
		}
	}
	notified, observed := map[string]bool{}, map[string]bool{}
	for _, r := range c.contact.rules {
		for _, ref := range r.notify {
			notified[ref.name] = true
			check(ref, "contact method", methods)
		}
		if r.quiet.name != "" {
			observed[r.quiet.name] = true
			check(r.quiet, "quiet hours", quiet)
		}
	}
	for _, s := range c.contact.subscriptions {
		for _, ref := range s.notify {
			notified[ref.name] = true
			check(ref, "contact method", methods)
		}
	}
	for _, t := range c.contact.tests {
		for _, ref := range t.notify {
			check(ref, "contact method", methods)
		}
		if t.instant != "" {
			if _, err := c.contact.instant(t.instant); err != nil {
				c.fail(t.when, "at: %v", err)
			}
		}
	}
	for _, m := range c.contact.methods {
		if !notified[m.name] {
			c.contact.Warnings.Add(position(c.file, m.key), fmt.Sprintf("contact method %q is never notified", m.name))
		}
	}
	for _, q := range c.contact.quietHours {
		if !observed[q.name] {
			c.contact.Warnings.Add(position(c.file, q.key), fmt.Sprintf("quiet hours %q are never used", q.name))
		}
	}
}
