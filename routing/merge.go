package routing

import (
	"cmp"
	"errors"
	"fmt"
	"go/scanner"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/pkg/labels"
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
// one of a contact is one that names its file. What is generated suits every Alertmanager that is supported.
func Merge(data []byte, contacts []*Contact, site Site) ([]byte, error) {
	return mergeFor("", data, contacts, site)
}

// mergeFor is Merge for one version of Alertmanager.
func mergeFor(version string, data []byte, contacts []*Contact, site Site) ([]byte, error) {
	b, problems := readBase(MainFile, data, version)
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
	made     *made // of the contact, once it is compiled
	fragment *fragment
}

// A merge is the outcome of merging as many candidates as possible.
type merge struct {
	data     []byte
	accepted []candidate
	rejected map[string]scanner.ErrorList // by stem
	zoned    []candidate                  // those of them whose time zone isn't known
}

// merge merges all candidates that Alertmanager accepts beside the base and that reach whom they say.
func (b *base) merge(candidates []candidate, site Site) (*merge, error) {
	m, err := b.compile(candidates, site)
	if err != nil {
		return m, err
	}
	return m, m.write(b, site)
}

// compile makes the fragments of contacts, and rejects those that need something of the base that isn't there.
func (b *base) compile(candidates []candidate, site Site) (*merge, error) {
	m := &merge{rejected: map[string]scanner.ErrorList{}}
	for _, c := range candidates {
		if c.contact != nil { // else it is a fragment
			c.made = b.make(c.contact, site)
			if c.made.problems.Len() > 0 {
				m.rejected[c.stem] = c.made.problems
				continue
			}
			c.fragment = c.made.fragment
		}
		if b.unknown[c.fragment.zone] {
			m.rejected[c.stem] = c.zoneProblem() // not what it is made of: that stays
			m.zoned = append(m.zoned, c)
			continue
		}
		m.accepted = append(m.accepted, c)
	}
	slices.SortFunc(m.accepted, func(a, b candidate) int { return cmp.Compare(a.stem, b.stem) })
	for i := 1; i < len(m.accepted); i++ {
		if stem := m.accepted[i].stem; stem == m.accepted[i-1].stem {
			return m, fmt.Errorf("contact %q is given twice", stem)
		}
	}
	return m, nil
}

// make returns what was made of a contact for this base before, or makes it.
func (b *base) make(c *Contact, site Site) *made {
	hushURL := ""
	if c.Kind != Subscriber {
		hushURL = site.hushURL(c.Stem)
	}
	m, ok := b.made.get(c.File)
	if !ok || m.contact != c || m.hushURL != hushURL {
		m = &made{contact: c, hushURL: hushURL}
		t := b.terms(site)
		t.hushURL = hushURL
		t.versioned = &m.versioned
		m.fragment, m.problems = c.compile(t)
	}
	b.made.keep(c.File, m)
	return m
}

// versioned reports whether another Alertmanager might be given another file. What a fragment of an earlier release came
// from isn't known.
func (m *merge) versioned() bool {
	return slices.ContainsFunc(m.accepted, func(c candidate) bool { return c.made == nil || c.made.versioned })
}

// write makes the merged file and has it loaded as Alertmanager would. It rejects who makes that fail, and who doesn't
// reach whom they say; if there is anybody, the file isn't of use.
func (m *merge) write(b *base, site Site) error {
	cfg, err := m.try(b)
	if err != nil {
		// Somebody's fault: find out whose, and go on without them.
		m.reject(func(c candidate) scanner.ErrorList {
			alone := &merge{accepted: []candidate{c}}
			if _, err := alone.try(b); err != nil {
				return scanner.ErrorList{noPosition(c.fragment.file, "refused by Alertmanager: "+reason(err))}
			}
			return nil
		})
		if cfg, err = m.try(b); err != nil {
			return fmt.Errorf("merged configuration: %s", reason(err))
		}
	}
	m.test(cfg, site)
	return nil
}

// try makes the merged file and loads it.
func (m *merge) try(b *base) (cfg *config.Config, err error) {
	if m.data, err = b.write(m.accepted); err != nil {
		return nil, err
	}
	if cfg, err = b.load(m.data); cfg == nil && err == nil {
		cfg, _, err = load(m.data)
	}
	return cfg, err
}

// test holds the tests of contacts that haven't been tested yet against the loaded configuration. A fragment was accepted
// with its tests before.
func (m *merge) test(cfg *config.Config, site Site) {
	untested := map[string]bool{}
	for _, c := range m.accepted {
		untested[c.stem] = c.contact != nil && !c.made.tested && len(c.contact.tests) > 0
	}
	leaves, hours := leavesByStem(dispatch.NewRoute(only(cfg.Route, untested), nil)), hoursOf(cfg)
	m.reject(func(c candidate) scanner.ErrorList {
		if c.contact == nil || c.made.tested {
			return nil
		}
		c.made.tested = true
		return c.contact.checkTests(leaves[c.stem], hours, site)
	})
}

// reject moves the accepted candidates that have problems to the rejected ones, and remembers why.
func (m *merge) reject(problems func(candidate) scanner.ErrorList) {
	m.accepted = slices.DeleteFunc(m.accepted, func(c candidate) bool {
		p := problems(c)
		if p.Len() == 0 {
			return false
		}
		m.rejected[c.stem] = p
		if c.made != nil {
			c.made.problems = p
		}
		return true
	})
}

// reason is what a loader says of a merged file. Places in that are nobody's.
func reason(err error) string {
	var list scanner.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return withoutValues(list[0].Msg)
	}
	return withoutValues(err.Error())
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
	t.stem, t.location, t.kind, t.held = c.Stem, c.location, c.Kind, c.held
	r := reader{file: c.File}
	var leaves, receivers, intervals []*yaml.Node
	failed := map[string]bool{}
	prefix := reservedPrefix + c.Stem + "/"
	for i, l := range c.leaves {
		if l.repeat == 0 && t.repeat < l.minRepeat {
			l.repeat = l.minRepeat
		}
		receiver := c.receiver(l.step)
		leaves = append(leaves, l.route(receiver, prefix))
		if slices.ContainsFunc(c.leaves[:i], func(earlier leaf) bool { return earlier.step == l.step }) {
			continue // another leaf of the same receiver
		}
		m := c.methods[slices.IndexFunc(c.methods, func(m contactMethod) bool { return m.name == l.method })]
		t.method = m.name
		integrations, err := m.integrations(t)
		if err != nil {
			if !failed[m.name] { // a method may be told at several times
				r.fail(m.key, "%v", err)
			}
			failed[m.name] = true
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
	if len(intervals) == 0 && t.ownClock() {
		// Nothing uses it, but an Alertmanager that doesn't know the zone refuses it now, where it would fail to write
		// every message later.
		intervals = append(intervals, object("name", word(prefix+"location"),
			"time_intervals", list(object("location", text(c.location)))))
	}
	f, err := newFragment(c.File, leaves, receivers, intervals)
	if err != nil {
		r.problems = append(r.problems, noPosition(c.File, err.Error()))
	}
	return f, r.problems
}

// receiver names the receiver that is made for a step.
func (c *Contact) receiver(s step) string {
	name := reservedPrefix + c.Stem + "/" + s.method
	if s.after > 0 {
		name += "/" + s.after.String()
	}
	return name
}

// route writes a leaf. It sets all that it must not inherit.
func (l leaf) route(receiver, prefix string) *yaml.Node {
	var matchers, groupBy []*yaml.Node
	for _, m := range l.matchers {
		n := word(written(m))
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

// written is m.String() in a tenth of the time for what needs no escapes, and most values of contacts don't.
func written(m *labels.Matcher) string {
	if !model.LegacyValidation.IsValidLabelName(m.Name) || strings.ContainsAny(m.Value, "\"\\\n") {
		return m.String()
	}
	return m.Name + m.Type.String() + `"` + m.Value + `"`
}
