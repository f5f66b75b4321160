package routing

import (
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

// A declaredTest says which of the contact's methods an alert with these labels reaches: sooner or later, or, if it
// names an instant, those that are told when it begins to fire then.
type declaredTest struct {
	labels  model.LabelSet
	notify  []reference
	at      *yaml.Node
	instant string // on the contact's clock, or with an offset; "" for whatever the hour
	when    *yaml.Node
}

func (c *contactReader) readTests(n *yaml.Node) {
	for _, item := range c.list(n) {
		t := declaredTest{labels: model.LabelSet{}, at: item}
		at := c.object(item,
			field{"labels", func(n *yaml.Node) {
				for key, value := range c.named(n, "alertname: …") {
					c.says(key, "pattern", model.LabelNameRE.String())
					if !c.outline.has(key) && !model.LegacyValidation.IsValidLabelName(key.Value) {
						c.fail(key, "%q is not a label name", key.Value)
						continue
					}
					c.within(key.Value, func() {
						t.labels[model.LabelName(key.Value)] = model.LabelValue(c.scalar(value))
					})
				}
			}},
			field{"notify", func(n *yaml.Node) {
				t.at = n
				if m := resolve(n); m.Kind == yaml.SequenceNode && len(m.Content) == 0 {
					return // nobody is to be told
				}
				t.notify = c.references(n)
				c.says(n, "minItems", 0)
			}},
			field{"at", func(n *yaml.Node) {
				if t.when = resolve(n); t.when.ShortTag() == "!!timestamp" {
					t.instant = t.when.Value
				} else {
					t.instant = c.text(n)
				}
			}})
		c.need(item, at, "labels")
		c.need(item, at, "notify")
		c.contact.tests = append(c.contact.tests, t)
	}
}

// checkTests holds what the contact declares against Alertmanager's own matching on the contact's leaves
// of the merged tree. Labels that say whose alert it is are filled in where a test leaves them out.
func (c *Contact) checkTests(leaves []*dispatch.Route, hours hours, site Site) scanner.ErrorList {
	r := reader{file: c.File}
	for _, t := range c.tests {
		tells := func(*dispatch.Route) bool { return true }
		if t.instant != "" {
			at, err := c.instant(t.instant)
			if err != nil {
				continue // link has told it
			}
			tells = func(route *dispatch.Route) bool {
				o := route.RouteOpts
				return len(hours.mutedBy(o.MuteTimeIntervals, o.ActiveTimeIntervals, at.Add(o.GroupWait))) == 0
			}
		}
		var want []string
		for _, ref := range t.notify {
			want = append(want, ref.name)
		}
		slices.Sort(want)
		for _, alert := range c.alerts(t.labels, site) {
			if got := toldBy(leaves, alert, tells); !slices.Equal(got, want) {
				msg := fmt.Sprintf("test expects %s, but %s would be told about %s", orNobody(want), orNobody(got), alert)
				if t.instant != "" {
					msg += " at " + t.instant
				}
				r.fail(t.at, "%s", msg)
				break
			}
		}
	}
	return r.problems
}

// leavesByStem returns the leaves of each contact in a merged tree. Every one is tried for every alert,
// since those before it end with continue.
func leavesByStem(tree *dispatch.Route) map[string][]*dispatch.Route {
	leaves := map[string][]*dispatch.Route{}
	for _, route := range tree.Routes {
		if stem, ours := stemOf(route.RouteOpts.Receiver); ours {
			leaves[stem] = append(leaves[stem], route)
		}
	}
	return leaves
}

// stemOf returns the contact that a receiver is of.
func stemOf(receiver string) (stem string, ours bool) {
	rest, ours := strings.CutPrefix(receiver, reservedPrefix)
	stem, _, _ = strings.Cut(rest, "/")
	return stem, ours
}

// only returns the root of a merged tree with the leaves of some contacts, and nothing else below it. They do there what
// they do in the whole, and a tree of thousands takes a while to make.
func only(root *config.Route, stems map[string]bool) *config.Route {
	some := *root
	some.Routes = nil
	for _, route := range root.Routes {
		if stem, ours := stemOf(route.Receiver); ours && stems[stem] {
			some.Routes = append(some.Routes, route)
		}
	}
	return &some
}

// alerts returns labels completed by what makes an alert this contact's, so that each owner and each network is in one.
func (c *Contact) alerts(labels model.LabelSet, site Site) []model.LabelSet {
	alerts := []model.LabelSet{labels}
	fill := func(name string, values []string) {
		if _, given := labels[model.LabelName(name)]; given || len(values) == 0 {
			return
		}
		filled := make([]model.LabelSet, max(len(alerts), len(values)))
		for i := range filled {
			value := model.LabelValue(values[i%len(values)])
			filled[i] = alerts[i%len(alerts)].Merge(model.LabelSet{model.LabelName(name): value})
		}
		alerts = filled
	}
	if c.Kind == Subscriber {
		fill(audienceLabel, []string{publicAudience})
	} else {
		fill(site.IdentityLabel, c.Owners)
		fill(networkLabel, c.Networks)
	}
	return alerts
}

// instant reads a time on the contact's clock.
func (c *Contact) instant(text string) (time.Time, error) {
	location, err := time.LoadLocation(c.location)
	if err != nil {
		return time.Time{}, err
	}
	return ParseTime(text, location, time.Time{})
}

// told returns the sorted names of the methods by which one contact's leaves tell about an alert, whatever the hour.
func told(leaves []*dispatch.Route, alert model.LabelSet) []string {
	return toldBy(leaves, alert, func(*dispatch.Route) bool { return true })
}

// toldBy is told for some of the leaves.
func toldBy(leaves []*dispatch.Route, alert model.LabelSet, tells func(*dispatch.Route) bool) []string {
	var names []string
	for _, leaf := range leaves {
		for _, route := range leaf.Match(alert) {
			parts := strings.SplitN(route.RouteOpts.Receiver, "/", 4)
			if name := parts[2]; tells(route) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func orNobody(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}
