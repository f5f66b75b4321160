package routing

import (
	"cmp"
	"fmt"
	"go/scanner"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Merge adds contacts to a base configuration:
//
//	route:                                 route:
//	  receiver: team                         receiver: team
//	  routes:                                routes:
//	  - (the team's own)           ──►       - receiver: team          everything as it was,
//	                                           continue: true          whatever follows
//	                                           routes:
//	                                           - (the team's own)
//	                                         - receiver: contact/acme/mail
//	                                           continue: true          one leaf, or several that
//	                                           matchers: …             don't overlap, a receiver
//
// The base keeps its comments and what Alertmanager's library doesn't know. Equal input gives equal bytes,
// in whatever order the contacts come. A problem of the base is a scanner.ErrorList that names MainFile,
// one of a contact is one that names its file.
func Merge(data []byte, contacts []*Contact, site Site) ([]byte, error) {
	b, problems := readBase(MainFile, data, "")
	if problems.Len() > 0 {
		return nil, problems
	}
	var candidates []candidate
	for _, c := range contacts {
		if c.closed {
			problems = append(problems, noPosition(c.File, "has values that are not at hand"))
		}
		candidates = append(candidates, candidate{stem: c.Stem, contact: c})
	}
	merged, err := b.merge(candidates, site)
	if err != nil {
		return nil, err
	}
	for _, rejected := range merged.rejected {
		problems = append(problems, rejected...)
	}
	if problems.Len() > 0 {
		problems.Sort()
		return nil, problems
	}
	return merged.data, nil
}

// A candidate asks to be merged: a contact, or the fragment that it was in an earlier release.
type candidate struct {
	stem     string
	source   []byte
	contact  *Contact
	fragment *fragment
}

// A merge is the outcome of merging as many candidates as possible.
type merge struct {
	data     []byte
	accepted []candidate
	rejected map[string]scanner.ErrorList // by stem
}

// merge merges all candidates that Alertmanager accepts beside the base and that reach whom they say.
func (b *base) merge(candidates []candidate, site Site) (*merge, error) {
	m := &merge{rejected: map[string]scanner.ErrorList{}}
	for _, c := range candidates {
		if c.contact != nil {
			var problems scanner.ErrorList
			if c.fragment, problems = c.contact.compile(b.terms(site)); problems.Len() > 0 {
				m.rejected[c.stem] = problems
				continue
			}
		}
		m.accepted = append(m.accepted, c)
	}
	slices.SortFunc(m.accepted, func(a, b candidate) int { return cmp.Compare(a.stem, b.stem) })
	for i := 1; i < len(m.accepted); i++ {
		if stem := m.accepted[i].stem; stem == m.accepted[i-1].stem {
			return m, fmt.Errorf("contact %q is given twice", stem)
		}
	}

	cfg, err := m.write(b)
	if err != nil {
		// Somebody's fault: find out whose, and go on without them.
		m.reject(func(c candidate) scanner.ErrorList {
			alone := &merge{accepted: []candidate{c}}
			if _, err := alone.write(b); err != nil {
				return scanner.ErrorList{noPosition(c.fragment.file, "refused by Alertmanager: "+withoutValues(err.Error()))}
			}
			return nil
		})
		if cfg, err = m.write(b); err != nil {
			return m, fmt.Errorf("merged configuration: %s", withoutValues(err.Error()))
		}
	}

	leaves, hours := leavesByStem(dispatch.NewRoute(cfg.Route, nil)), hoursOf(cfg)
	if m.reject(func(c candidate) scanner.ErrorList {
		if c.contact == nil {
			return nil // a fragment, accepted with its tests before
		}
		return c.contact.checkTests(leaves[c.stem], hours, site)
	}) {
		_, err = m.write(b)
	}
	return m, err
}

// reject moves the accepted candidates that have problems to the rejected ones and reports whether there
// were any.
func (m *merge) reject(problems func(candidate) scanner.ErrorList) bool {
	before := len(m.accepted)
	m.accepted = slices.DeleteFunc(m.accepted, func(c candidate) bool {
		p := problems(c)
		if p.Len() > 0 {
			m.rejected[c.stem] = p
		}
		return p.Len() > 0
	})
	return len(m.accepted) < before
}

// write makes the merged file and reads it as Alertmanager would.
func (m *merge) write(b *base) (*config.Config, error) {
	data, err := b.write(m.accepted)
	if err != nil {
		return nil, err
	}
	m.data = data
	cfg, _, err := load(data)
	return cfg, err
}

// withoutValues cuts what a YAML library quotes from a file that may hold secrets.
func withoutValues(msg string) string {
	parts := strings.Split(msg, "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "…"
	}
	return strings.Join(parts, "`")
}

// minEscalationInterval is the least time between two notifications of a group that escalates.
const minEscalationInterval = model.Duration(5 * time.Minute)

// compile turns a contact into what Alertmanager is to be given, or says what it needs of the base.
func (c *Contact) compile(t terms) (*fragment, scanner.ErrorList) {
	r := reader{file: c.File}
	var leaves, receivers, intervals []*yaml.Node
	prefix := reservedPrefix + c.Stem + "/"
	for i, l := range c.leaves {
		receiver := prefix + l.method
		if l.after > 0 {
			receiver += "/" + l.after.String()
		}
		leaves = append(leaves, l.route(receiver, prefix))
		if slices.ContainsFunc(c.leaves[:i], func(earlier leaf) bool { return earlier.step == l.step }) {
			continue // another leaf of the same receiver
		}
		m := c.methods[slices.IndexFunc(c.methods, func(m contactMethod) bool { return m.name == l.method })]
		integrations, err := m.integrations(t)
		if err != nil {
			r.fail(m.key, "%v", err)
			continue
		}
		n := object("name", word(receiver))
		for _, i := range integrations {
			entry := object("send_resolved", boolean(l.sendResolved && !i.firingOnly))
			entry.Content = append(entry.Content, i.settings.Content...)
			set(n, i.section, extend(get(n, i.section), entry))
		}
		receivers = append(receivers, n)
	}
	for _, q := range c.quietHours {
		if slices.ContainsFunc(c.leaves, func(l leaf) bool { return l.quiet == q.name }) {
			intervals = append(intervals, q.interval(prefix+q.name, c.location))
		}
	}
	f, err := newFragment(c.File, leaves, receivers, intervals)
	if err != nil {
		r.problems = append(r.problems, noPosition(c.File, err.Error()))
	}
	return f, r.problems
}

// route writes a leaf. It sets all that it must not inherit.
func (l leaf) route(receiver, prefix string) *yaml.Node {
	var matchers, groupBy []*yaml.Node
	for _, m := range l.matchers {
		n := word(m.String())
		n.Style = yaml.SingleQuotedStyle
		matchers = append(matchers, n)
	}
	for _, label := range l.groupBy {
		groupBy = append(groupBy, text(label))
	}
	labels := list(groupBy...)
	labels.Style = yaml.FlowStyle
	n := object("receiver", word(receiver), "continue", boolean(true), "matchers", list(matchers...), "group_by", labels)
	if l.after > 0 {
		set(n, "group_wait", word(l.after.String()))
		set(n, "group_interval", word(max(l.after, minEscalationInterval).String()))
	}
	if l.repeat > 0 {
		set(n, "repeat_interval", word(l.repeat.String()))
	}
	if l.quiet != "" {
		set(n, "mute_time_intervals", list(word(prefix+l.quiet)))
	}
	return n
}
