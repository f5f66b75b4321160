package routing

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// bases returns base configurations of many shapes, testdata/base-*.yml.
func bases(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/base-*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no bases", err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[f] = data
	}
	return all
}

// randomContacts makes valid contacts whose owners are drawn from few, so that they often share them.
func randomContacts(t testing.TB, r *rand.Rand, n int) []*Contact {
	t.Helper()
	var contacts []*Contact
	for i := range n {
		stem := fmt.Sprintf("c%d", i)
		source := randomOperator(r)
		if r.IntN(4) == 0 {
			source = randomSubscriber(r)
		}
		if r.IntN(3) == 0 { // by phone, alerts are grouped in another way
			source = strings.Replace(source, "webhook: { url: 'https://hooks.acme.example/m2' }", "phone: { number: '"+londonNumber+"', via: [sms, voice] }", 1)
		}
		c, err := ParseContact(stem+".yml", []byte(source), phoneSite(twilioConfig()))
		if err != nil {
			t.Fatalf("%v in\n%s", err, source)
		}
		contacts = append(contacts, c)
	}
	return contacts
}

func randomOperator(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kind: operator\nname: Random\nowner: [%s]\n", strings.Join(some(r, "hx0", "hx1", "hx2", "hx.", "a b"), ", "))
	if r.IntN(3) == 0 {
		fmt.Fprintf(&b, "networks: [%s]\n", strings.Join(some(r, "mainnet", "testnet"), ", "))
	}
	b.WriteString("contact_methods:\n")
	methods := []string{"m0", "m1", "m2"}
	for _, m := range methods {
		fmt.Fprintf(&b, "  %s: { webhook: { url: 'https://hooks.acme.example/%s' } }\n", m, m)
	}
	b.WriteString("notification_rules:\n")
	for range 1 + r.IntN(4) {
		fmt.Fprintf(&b, "- { notify: [%s]", strings.Join(some(r, methods...), ", "))
		if r.IntN(2) == 0 {
			fmt.Fprintf(&b, ", min_severity: %s", some(r, DefaultSeverities()...)[0])
		}
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, ", after: %dm", 1+r.IntN(2))
		}
		if r.IntN(3) == 0 {
			b.WriteString(", quiet_hours: night")
		}
		b.WriteString(" }\n")
	}
	fmt.Fprintf(&b, "quiet_hours:\n  night: { times: '22:00-07:00', bypass: [%s] }\n", strings.Join(some(r, DefaultSeverities()...), ", "))
	return b.String()
}

func randomSubscriber(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("kind: subscriber\nname: Random\ncontact_methods: { mail: { webhook: { url: 'https://exchange.example/' } } }\nsubscriptions:\n")
	for _, component := range some(r, "api", "network", "db") {
		fmt.Fprintf(&b, "- { components: [%s], notify: [mail], min_severity: %s }\n", component, some(r, DefaultSeverities()...)[0])
	}
	return b.String()
}

// some returns at least one of words, in random order.
func some(r *rand.Rand, words ...string) []string {
	words = slices.Clone(words)
	r.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	return words[:1+r.IntN(len(words))]
}

// labelValues are what the matchers of a configuration look for, and then some.
func labelValues(cfg string) []string {
	values := []string{"", "x", "critical", "warning", "info", "public", "mainnet", "testnet", "api", "network", "hx0", "hx1", "hx2", "hx.", "hxx", "a b"}
	for _, w := range regexp.MustCompile(`[\w.-]+`).FindAllString(cfg, -1) {
		if !slices.Contains(values, w) {
			values = append(values, w)
		}
	}
	return values
}

func randomLabels(r *rand.Rand, names, values []string) model.LabelSet {
	set := model.LabelSet{}
	for _, name := range names {
		if r.IntN(3) > 0 {
			set[model.LabelName(name)] = model.LabelValue(values[r.IntN(len(values))])
		}
	}
	return set
}

// decisions returns what the matched routes of the base, or those of the contacts, would do with an alert.
func decisions(tree *dispatch.Route, set model.LabelSet, contacts bool) []dispatch.RouteOpts {
	var opts []dispatch.RouteOpts
	for _, route := range tree.Match(set) {
		if strings.HasPrefix(route.RouteOpts.Receiver, reservedPrefix) == contacts {
			opts = append(opts, route.RouteOpts)
		}
	}
	return opts
}

// Whatever the base and the contacts, the base decides about every alert as it did alone: the same
// receivers in the same order, with the same grouping, timing and intervals.
func TestBaseIsUntouched(t *testing.T) {
	for name, data := range bases(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			alone := loadFile(t, data)
			before := dispatch.NewRoute(alone.Route, nil)
			names := append(labelNames(before), severityLabel, networkLabel, componentLabel, audienceLabel, DefaultIdentityLabel)
			values := labelValues(string(data))
			for _, n := range []int{0, 1, 8} {
				contacts := randomContacts(t, r, n)
				merged, err := Merge(data, contacts, testSite())
				if err != nil {
					t.Fatal(err)
				}
				cfg := loadFile(t, merged)
				if !reflect.DeepEqual(alone.Global, cfg.Global) || !reflect.DeepEqual(alone.InhibitRules, cfg.InhibitRules) ||
					!reflect.DeepEqual(alone.MuteTimeIntervals, cfg.MuteTimeIntervals) ||
					!beginsWith(cfg.Receivers, alone.Receivers) || !beginsWith(cfg.TimeIntervals, alone.TimeIntervals) {
					t.Errorf("%d contacts change something of the base besides its routes:\n%s", n, merged)
				}
				after := dispatch.NewRoute(cfg.Route, nil)
				told := 0
				for range 2000 {
					set := randomLabels(r, names, values)
					if diff := cmp.Diff(decisions(before, set, false), decisions(after, set, false)); diff != "" {
						t.Fatalf("%d contacts change what the base does with %s (-alone +merged):\n%s", n, set, diff)
					}
					told += len(decisions(after, set, true))
				}
				if n > 1 && told == 0 {
					t.Errorf("%d contacts, but none of them was ever told", n)
				}
			}
		})
	}
}

func beginsWith[T any](all, first []T) bool {
	return len(all) >= len(first) && slices.EqualFunc(all[:len(first)], first, func(a, b T) bool { return reflect.DeepEqual(a, b) })
}

func labelNames(tree *dispatch.Route) []string {
	var names []string
	tree.Walk(func(r *dispatch.Route) {
		for _, m := range r.Matchers {
			if !slices.Contains(names, m.Name) {
				names = append(names, m.Name)
			}
		}
	})
	return names
}

// An alert reaches only the contacts that own it, subscribers only what is public, and each receiver at
// most once.
func TestContactsAreIsolated(t *testing.T) {
	base := []byte(anyBase)
	r := rand.New(rand.NewPCG(3, 4))
	names := []string{severityLabel, networkLabel, componentLabel, audienceLabel, DefaultIdentityLabel, "alertname"}
	for range 30 {
		contacts := randomContacts(t, r, 12)
		merged, err := Merge(base, contacts, testSite())
		if err != nil {
			t.Fatal(err)
		}
		byStem := map[string]*Contact{}
		for _, c := range contacts {
			byStem[c.Stem] = c
		}
		tree := dispatch.NewRoute(loadFile(t, merged).Route, nil)
		leaves := leavesByStem(tree)
		for range 500 {
			set := randomLabels(r, names, labelValues(""))
			told := 0
			for _, own := range leaves {
				for _, leaf := range own {
					told += len(leaf.Match(set))
				}
			}
			if all := decisions(tree, set, true); len(all) != told {
				t.Fatalf("%d leaves match %s, but %d in the tree", told, set, len(all))
			}
			var seen []string
			for _, opts := range decisions(tree, set, true) {
				parts := strings.Split(opts.Receiver, "/")
				c := byStem[parts[1]]
				switch c.Kind {
				case Operator:
					if !slices.Contains(c.Owners, string(set[DefaultIdentityLabel])) {
						t.Fatalf("%s of %v is told about %s", opts.Receiver, c.Owners, set)
					}
					if len(c.Networks) > 0 && !slices.Contains(c.Networks, string(set[networkLabel])) {
						t.Fatalf("%s of %v is told about %s", opts.Receiver, c.Networks, set)
					}
				case Subscriber:
					if set[audienceLabel] != publicAudience {
						t.Fatalf("%s is told about %s, which is not public", opts.Receiver, set)
					}
				}
				if slices.Contains(seen, opts.Receiver) {
					t.Fatalf("%s is told twice about %s", opts.Receiver, set)
				}
				seen = append(seen, opts.Receiver)
			}
		}
	}
}

// The leaves of some contacts alone, which their tests are held against, do with every alert what they do in the whole
// tree.
func TestLeavesAloneDoAsInTheTree(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	names := []string{severityLabel, networkLabel, componentLabel, audienceLabel, DefaultIdentityLabel}
	const base = anyBase + "time_intervals: [{ name: night }]\n"
	matched := 0
	for range 30 {
		contacts := randomContacts(t, r, 12)
		merged, err := Merge([]byte(strings.Replace(base, "{receiver: base}", "{receiver: base, group_by: [a], group_wait: 7s, labels: { x: y }, routes: [{ matchers: [a=b] }]}", 1)), contacts, testSite())
		if err != nil {
			t.Fatal(err)
		}
		root := loadFile(t, merged).Route
		whole := leavesByStem(dispatch.NewRoute(root, nil))
		picked := map[string]bool{"c1": true, "c5": true, "c11": true}
		some := leavesByStem(dispatch.NewRoute(only(root, picked), nil))
		if len(some) != len(picked) {
			t.Fatalf("leaves of %d contacts", len(some))
		}
		for stem := range picked {
			if len(some[stem]) != len(whole[stem]) {
				t.Fatalf("%s has %d leaves, in the tree %d", stem, len(some[stem]), len(whole[stem]))
			}
			for i, leaf := range some[stem] {
				if diff := cmp.Diff(whole[stem][i].RouteOpts, leaf.RouteOpts); diff != "" {
					t.Fatalf("%s (-in the tree +alone):\n%s", stem, diff)
				}
			}
			for range 200 {
				set := randomLabels(r, names, labelValues(""))
				if diff := cmp.Diff(told(whole[stem], set), told(some[stem], set)); diff != "" {
					t.Fatalf("%s about %s (-in the tree +alone):\n%s\n%s", stem, set, diff, merged)
				}
				matched += len(told(some[stem], set))
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matches", matched)
	}
}

// The short way to write a matcher writes what Alertmanager's own does.
func TestMatchersAreWritten(t *testing.T) {
	for _, name := range []string{"prep", "a b", "é"} {
		for _, value := range []string{"", "hx0", "a b", `a\.b|c`, `"`, "a\nb", "é", "{}"} {
			for _, kind := range []labels.MatchType{labels.MatchEqual, labels.MatchNotEqual, labels.MatchRegexp, labels.MatchNotRegexp} {
				if m, err := labels.NewMatcher(kind, name, value); err == nil && written(m) != m.String() {
					t.Errorf("%s is written %s", m, written(m))
				}
			}
		}
	}
}

// What a contact's rules ask for is what the merged tree does: each rule read alone, for every severity,
// against the leaves that were made of all of them.
func TestRulesAreFulfilled(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	site := testSite()
	for range 200 {
		c := parse(t, "acme.yml", randomOperator(r), site)
		merged, err := Merge([]byte(anyBase), []*Contact{c}, site)
		if err != nil {
			t.Fatal(err)
		}
		tree := dispatch.NewRoute(loadFile(t, merged).Route, nil)
		for i, severity := range append(slices.Clone(site.Severities), "none", "") {
			if i >= len(site.Severities) {
				i = -1
			}
			want := map[string]bool{} // receiver: quiet at night
			for _, rule := range c.rules {
				if i < rule.minSeverity {
					continue
				}
				quiet := rule.quiet.name != "" && !slices.Contains(c.quietHours[0].bypass, severity)
				for _, ref := range rule.notify {
					receiver := reservedPrefix + "acme/" + ref.name
					if rule.after > 0 {
						receiver += "/" + rule.after.String()
					}
					other, covered := want[receiver]
					want[receiver] = quiet && (other || !covered)
				}
			}
			got := map[string]bool{}
			for _, alert := range c.alerts(model.LabelSet{severityLabel: model.LabelValue(severity)}, site) {
				for _, opts := range decisions(tree, alert, true) {
					got[opts.Receiver] = len(opts.MuteTimeIntervals) > 0
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("severity %q (-asked +done):\n%s", severity, diff)
			}
		}
	}
}
