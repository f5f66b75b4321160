package routing

import (
	"cmp"
	"fmt"
	"go/scanner"
	"net/mail"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// Lint returns what a configuration without contacts says that Alertmanager takes without a word and that is hardly
// meant. [Check] has the same to say of a base.
func Lint(file string, data []byte, opts Options) (warnings scanner.ErrorList) {
	site, err := opts.site()
	if err != nil {
		return nil // of no concern without contacts
	}
	b, problems := readBase(file, data, opts.AlertmanagerVersion)
	if problems.Len() > 0 {
		return problems
	}
	return b.lint(site, time.Now())
}

// lint looks at a base. Time intervals count from now on.
func (b *base) lint(site Site, now time.Time) scanner.ErrorList {
	l := linter{reader: reader{file: b.file}, base: b, site: site, now: now, hours: hoursOf(b.config), used: map[string]bool{}, asked: map[string]bool{}}
	root := b.doc.Content[0]
	l.routes(get(root, "route"), b.config.Route, dispatch.NewRoute(b.config.Route, nil), nil)
	l.receivers(get(root, receiversList))
	l.intervals(get(root, "mute_time_intervals"))
	l.intervals(get(root, intervalsList))
	l.inhibitions(get(root, "inhibit_rules"))
	if from := get(get(root, "global"), "smtp_from"); !isNull(from) {
		l.mailAddress(from)
	}
	l.problems.Sort()
	return l.problems
}

// A linter looks at a base that Alertmanager takes.
type linter struct {
	reader
	base  *base
	site  Site
	now   time.Time
	hours hours
	used  map[string]bool // receivers that a route has
	asked map[string]bool // time intervals that a route has
}

// defaultRetention is for how long Alertmanager remembers what it has sent, if its --data.retention says nothing else.
const defaultRetention = model.Duration(120 * time.Hour)

// routes looks at a route as it is written, as it was read, and as it works, and at those below it. above are the matchers
// that lead to it.
func (l *linter) routes(n *yaml.Node, r *config.Route, works *dispatch.Route, above labels.Matchers) {
	opts := works.RouteOpts
	l.used[opts.Receiver] = true
	l.mutes(n, opts)
	if opts.RepeatInterval < opts.GroupInterval && (r.RepeatInterval != nil || r.GroupInterval != nil) {
		l.fail(n, "repeat_interval %s is shorter than group_interval %s: nothing is repeated before the next group_interval",
			model.Duration(opts.RepeatInterval), model.Duration(opts.GroupInterval))
	}
	if r.RepeatInterval != nil && *r.RepeatInterval > defaultRetention {
		l.fail(n, "repeat_interval %s is longer than Alertmanager remembers what it has sent: it is repeated after %s, unless --data.retention is longer",
			*r.RepeatInterval, defaultRetention)
	}
	children := get(n, routesList)
	if len(children.Content) != len(works.Routes) {
		return
	}
	var matchers, leaves []string // of each child
	for i, child := range works.Routes {
		at := resolve(children.Content[i])
		for _, m := range child.Matchers {
			l.matcher(at, m)
		}
		matchers, leaves = append(matchers, fmt.Sprintf("%q", words(child.Matchers))), append(leaves, leafKey(child))
		path := slices.Concat(above, child.Matchers)
		impossible := contradiction(path)
		if impossible != nil {
			l.fail(at, "never reached: its matchers and those above it never match together, because of %s", impossible)
		}
		for j, earlier := range works.Routes[:i] {
			line := resolve(children.Content[j]).Line
			switch {
			case !earlier.Continue && takesAll(earlier.Matchers):
				l.fail(at, "never reached: the route in line %d takes every alert, and has no continue", line)
			case !earlier.Continue && matchers[i] == matchers[j]:
				l.fail(at, "never reached: the route in line %d has the same matchers, and no continue", line)
			case !earlier.Continue && impossible == nil && implied(earlier.Matchers, path):
				l.fail(at, "never reached: the route in line %d takes all that it matches, and has no continue", line)
			case leaves[i] == leaves[j] && len(earlier.Routes)+len(child.Routes) == 0:
				l.fail(at, "the same matchers, receiver and group_by as the route in line %d: Alertmanager takes what one of them sent for sent by both", line)
			default:
				continue
			}
			break
		}
		l.routes(at, r.Routes[i], child, path)
	}
}

// words returns matchers in one order.
func words(matchers labels.Matchers) []string {
	var all []string
	for _, m := range matchers {
		all = append(all, m.String())
	}
	slices.Sort(all)
	return all
}

// leafKey is by what Alertmanager remembers what it has sent for a route without routes below.
func leafKey(r *dispatch.Route) string {
	var by []string
	for label := range r.RouteOpts.GroupBy {
		by = append(by, string(label))
	}
	slices.Sort(by)
	return fmt.Sprintf("%q %q %q %t", r.RouteOpts.Receiver, words(r.Matchers), by, r.RouteOpts.GroupByAll)
}

// takesAll reports whether matchers let everything pass.
func takesAll(matchers labels.Matchers) bool {
	return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !matchesAll(m) })
}

func matchesAll(m *labels.Matcher) bool {
	return m.Type == labels.MatchRegexp && slices.Contains([]string{".*", "^.*$", "(.*)", ".*|"}, m.Value)
}

// matcher looks for a label or a severity that is probably misspelt.
func (l *linter) matcher(at *yaml.Node, m *labels.Matcher) {
	known := []string{model.AlertNameLabel, severityLabel, networkLabel, componentLabel, audienceLabel, l.site.IdentityLabel}
	if !slices.Contains(known, m.Name) && len(m.Name) > 4 {
		if near := strictyaml.Nearest(m.Name, known); near != "" && near[0] == m.Name[0] {
			l.fail(at, "label %q of a matcher is not one that alerts are known to have, did you mean %q?", m.Name, near)
		}
	}
	if m.Name == severityLabel && m.Type == labels.MatchEqual && !slices.Contains(l.site.Severities, m.Value) && m.Value != "" {
		l.fail(at, "severity %q is not one of severities in stoker.yml%s", m.Value, strictyaml.DidYouMean(m.Value, l.site.Severities))
	}
	if matchesAll(m) {
		l.fail(at, "matcher %s matches every alert, also one without that label", m)
	}
}

// receivers looks at what receivers send to. Values that hold a template are known to alerts only.
func (l *linter) receivers(list *yaml.Node) {
	for _, r := range list.Content {
		name := get(r, "name")
		if !l.used[name.Value] {
			l.fail(name, "receiver %q is used by no route", name.Value)
		}
		for _, mail := range get(r, "email_configs").Content {
			for _, key := range []string{"to", "from"} {
				if n := get(mail, key); !isNull(n) {
					l.mailAddress(n)
				}
			}
		}
		for _, sns := range get(r, "sns_configs").Content {
			if n := get(sns, "phone_number"); !isNull(n) && !strings.Contains(n.Value, "{{") && !e164.MatchString(n.Value) {
				l.fail(n, "phone_number must be + and the digits of an international number")
			}
		}
	}
}

func (l *linter) mailAddress(n *yaml.Node) {
	if _, err := mail.ParseAddressList(n.Value); err != nil && !strings.Contains(n.Value, "{{") {
		l.fail(n, "not an email address, nor a list of them")
	}
}

// inhibitions looks for rules that mute more than anybody means.
func (l *linter) inhibitions(list *yaml.Node) {
	for i, rule := range l.base.config.InhibitRules {
		if i >= len(list.Content) {
			return
		}
		at := resolve(list.Content[i])
		source := len(rule.SourceMatch) + len(rule.SourceMatchRE) + len(rule.SourceMatchers)
		target := len(rule.TargetMatch) + len(rule.TargetMatchRE) + len(rule.TargetMatchers)
		switch {
		case source+target == 0:
			l.fail(at, "inhibit rule without matchers")
		case target == 0:
			l.fail(at, "inhibit rule without target_matchers: its source mutes every other alert")
		case source == 0:
			l.fail(at, "inhibit rule without source_matchers: any other alert mutes its target")
		}
	}
}

// sharedAddresses warns about contacts that tell the same address about the same owner, as far as they are at hand.
func sharedAddresses(candidates []candidate) scanner.ErrorList {
	type place struct {
		contact *Contact
		method  contactMethod
	}
	var r reader
	seen := map[string][]place{}
	for _, c := range slices.SortedFunc(slices.Values(candidates), func(a, b candidate) int { return cmp.Compare(a.stem, b.stem) }) {
		for _, m := range c.contact.methods {
			address, ok := addressOf(m.method)
			if !ok {
				continue
			}
			for _, p := range seen[address] {
				if p.contact.Kind == c.contact.Kind && (c.contact.Kind == Subscriber || slices.ContainsFunc(p.contact.Owners, func(owner string) bool {
					return slices.Contains(c.contact.Owners, owner)
				})) && p.contact != c.contact {
					r.file = c.contact.File
					r.fail(m.key, "%q has the address of %q in %s, which is told about the same alerts", m.name, p.method.name, p.contact.File)
					break
				}
			}
			seen[address] = append(seen[address], place{c.contact, m})
		}
	}
	return r.problems
}

// addressOf returns what a method reaches, to be compared and never to be shown: its kind, its values, and what chooses
// among those that share one; false if it isn't at hand.
func addressOf(m method) (string, bool) {
	v := reflect.Indirect(reflect.ValueOf(m))
	address := []string{v.Type().Name()}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Type() == reflect.TypeFor[*value]() && !f.IsNil() {
			f = f.Elem()
		}
		switch name := v.Type().Field(i).Name; {
		case f.Type() == reflect.TypeFor[value]():
			if name == "credential" {
				continue // the team's
			}
			plain := f.FieldByName("plain")
			if plain.IsNil() {
				return "", false
			}
			address = append(address, name, plain.Elem().String())
		case name == "channel" || name == "device":
			address = append(address, name, f.String())
		}
	}
	return strings.Join(address, "\x00"), true
}

// subscribersWorthAWarning is how many subscribers make one public alert felt. BenchmarkSubscribers measures what it says.
const subscribersWorthAWarning = 500

// manySubscribers warns about what so many subscribers cost.
func manySubscribers(dir string, candidates []candidate) scanner.ErrorList {
	n := 0
	for _, c := range candidates {
		if c.contact.Kind == Subscriber {
			n++
		}
	}
	if n < subscribersWorthAWarning {
		return nil
	}
	return scanner.ErrorList{noPosition(dir, fmt.Sprintf("%d subscribers: every public alert makes a group and a notification for each of them at once. "+
		"For 1,000, on two cores and to a webhook that answers at once, that took Alertmanager 0.6 s, 75 MB of memory and 3,000 goroutines; it grows with their number, "+
		"and mail servers may limit how many messages they take", n))}
}
