package routing

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// Routes answer who is told about an alert, by the files of one release:
//
//	labels, an instant ──► dispatch.Route.Match ──► receivers ──► told, or muted until when, or nobody and why
//
// They are asked nothing about silences and inhibitions, which only a running Alertmanager knows.
type Routes struct {
	tree      *dispatch.Route
	leaves    map[string][]*dispatch.Route // of contacts, by stem
	hours     hours
	receivers map[string]config.Receiver
	site      Site
	read      func(file string) ([]byte, error)
	contacts  map[string]*Contact // by stem; nil for one whose source can't be read
}

// ReadRoutes reads the MainFile of a release, and the sources of its contacts when they are asked for. read returns a
// file of the release; of one that isn't there an error that is fs.ErrNotExist.
func ReadRoutes(read func(file string) ([]byte, error), opts Options) (*Routes, error) {
	site, err := opts.site()
	if err != nil {
		return nil, err
	}
	data, err := read(MainFile)
	if err != nil {
		return nil, err
	}
	cfg, _, err := load(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", MainFile, withoutValues(err.Error()))
	}
	r := &Routes{
		tree:      dispatch.NewRoute(cfg.Route, nil),
		hours:     hoursOf(cfg),
		receivers: map[string]config.Receiver{},
		site:      site,
		read:      read,
		contacts:  map[string]*Contact{},
	}
	r.leaves = leavesByStem(r.tree)
	for _, receiver := range cfg.Receivers {
		r.receivers[receiver.Name] = receiver
	}
	return r, nil
}

// FilesOf returns what ReadRoutes reads files of a tree with.
func FilesOf(tree map[string][]byte) func(file string) ([]byte, error) {
	return func(file string) ([]byte, error) {
		data, ok := tree[file]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
		}
		return data, nil
	}
}

// An Answer is who is told about an alert that begins to fire at an instant and goes on firing. It holds no address.
type Answer struct {
	// Labels are those of the alert, At is when it begins to fire.
	Labels model.LabelSet `json:"labels"`
	At     time.Time      `json:"at"`
	// Told are the receivers in the order of the routes: those of the base, then contacts by their stems.
	Told []Told `json:"told"`
	// Notes are what explains the answer, in words: why a contact isn't told, what a label was probably meant to be.
	Notes []string `json:"notes,omitempty"`
}

// Told is one receiver of an alert.
type Told struct {
	Receiver string `json:"receiver"`
	// Contact is the stem of the contact that it belongs to, Name and Method are the contact's; empty for a receiver of
	// the base. Name is also empty if the contact's source can't be read.
	Contact string `json:"contact,omitempty"`
	Name    string `json:"name,omitempty"`
	Method  string `json:"method,omitempty"`
	// Kinds are how it is told, such as email: the kind of the method, or those of the receiver's integrations. Empty:
	// the receiver has none and nobody is told.
	Kinds []string `json:"kinds,omitempty"`
	// Integrations are what the receiver consists of, each by the name that Alertmanager's metrics have for it.
	Integrations []string `json:"integrations,omitempty"`
	// After is how long the alert fires before. Due is when that is.
	After Duration  `json:"after"`
	Due   time.Time `json:"due"`
	// Escalates says that After is what a rule of the contact asks for. That is promised for the first alert of a
	// group; later ones come with the group's next notification.
	Escalates bool `json:"escalates,omitempty"`
	// MutedBy are the time intervals by which nobody is told at Due; none: somebody is. MutedUntil is when no interval
	// mutes any more; zero: not within years. If the alert still fires then, it is told with the next notification of
	// its group, at most GroupInterval later.
	MutedBy    []string  `json:"muted_by,omitempty"`
	MutedUntil time.Time `json:"muted_until,omitzero"`
	// GroupBy are the labels that make a group, "..." for all.
	GroupBy []string `json:"group_by,omitempty"`
	// GroupInterval is the time between two notifications of a group that changes, Repeat of one that doesn't.
	GroupInterval Duration `json:"group_interval"`
	Repeat        Duration `json:"repeat"`
	// Resolved says whether the end of the alert is told, too: yes, no or some (of the integrations).
	Resolved string `json:"resolved"`
}

// A Duration prints as Prometheus' do.
type Duration = model.Duration

// Reached reports whether a notification goes out at Due.
func (t Told) Reached() bool { return len(t.Kinds) > 0 && len(t.MutedBy) == 0 }

// Reached reports whether somebody is told when it is due.
func (a Answer) Reached() bool { return slices.ContainsFunc(a.Told, Told.Reached) }

// Who returns who is told about an alert with these labels that begins to fire at an instant.
func (r *Routes) Who(labels model.LabelSet, at time.Time) Answer {
	a := Answer{Labels: labels, At: at.UTC(), Told: []Told{}}
	told := map[string]bool{}
	never := map[string]bool{}
	for _, route := range r.tree.Match(labels) {
		t := r.told(route, at, never)
		told[t.Contact] = true
		a.Told = append(a.Told, t)
	}
	a.Notes = append(a.Notes, r.labelNotes(labels)...)
	a.Notes = append(a.Notes, r.ownerNotes(labels, told)...)
	return a
}

// told says what becomes of an alert at one route. Of the intervals in never it is known already that they leave no time
// from at on: a contact can have many routes with the same ones, and that takes a long search.
func (r *Routes) told(route *dispatch.Route, at time.Time, never map[string]bool) Told {
	o := route.RouteOpts
	t := Told{
		Receiver:      o.Receiver,
		After:         Duration(o.GroupWait),
		Due:           at.Add(o.GroupWait).UTC(),
		GroupInterval: Duration(o.GroupInterval),
		Repeat:        Duration(o.RepeatInterval),
	}
	for name := range o.GroupBy {
		t.GroupBy = append(t.GroupBy, string(name))
	}
	slices.Sort(t.GroupBy)
	if o.GroupByAll {
		t.GroupBy = []string{"..."}
	}
	if t.MutedBy = r.hours.mutedBy(o.MuteTimeIntervals, o.ActiveTimeIntervals, t.Due); len(t.MutedBy) > 0 {
		if names := fmt.Sprintf("%q %q", o.MuteTimeIntervals, o.ActiveTimeIntervals); !never[names] {
			until, found := r.hours.unmuted(o.MuteTimeIntervals, o.ActiveTimeIntervals, t.Due)
			t.MutedUntil = until.UTC()
			if !found {
				_, found = r.hours.unmuted(o.MuteTimeIntervals, o.ActiveTimeIntervals, at)
				never[names] = !found
			}
		}
	}
	t.Integrations, t.Resolved = integrationsOf(r.receivers[o.Receiver])
	for _, kind := range t.Integrations {
		if !slices.Contains(t.Kinds, kind) {
			t.Kinds = append(t.Kinds, kind)
		}
	}
	if stem, method, after, ours := splitReceiver(o.Receiver); ours {
		t.Contact, t.Method, t.Escalates = stem, method, after > 0
		if c := r.contact(stem); c != nil {
			t.Name = c.Name
			if i := slices.IndexFunc(c.methods, func(m contactMethod) bool { return m.name == method }); i >= 0 {
				t.Kinds = []string{c.methods[i].kind}
			}
		}
	}
	return t
}

// splitReceiver takes the name of a contact's receiver apart; false for any other name.
func splitReceiver(name string) (stem, method string, after model.Duration, ours bool) {
	rest, ours := strings.CutPrefix(name, reservedPrefix)
	if !ours {
		return "", "", 0, false
	}
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) == 3 {
		after, _ = model.ParseDuration(parts[2])
	}
	return parts[0], parts[min(1, len(parts)-1)], after, true
}

// integrationsOf returns the kinds of a receiver's integrations, such as email, and whether they tell what resolved.
func integrationsOf(receiver config.Receiver) (kinds []string, resolved string) {
	var tells, silent bool
	v := reflect.ValueOf(receiver)
	for i := range v.NumField() {
		section, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		kind, ok := strings.CutSuffix(section, "_configs")
		if !ok || v.Field(i).Kind() != reflect.Slice {
			continue
		}
		for j := range v.Field(i).Len() {
			if c, ok := v.Field(i).Index(j).Interface().(interface{ SendResolved() bool }); ok {
				tells, silent = tells || c.SendResolved(), silent || !c.SendResolved()
			}
			kinds = append(kinds, kind)
		}
	}
	switch {
	case tells && silent:
		return kinds, "some"
	case tells:
		return kinds, "yes"
	}
	return kinds, "no"
}

// contact reads the source of a contact in the release, in structure only; nil if that can't be read, as that of a
// contact whose last good version breaks a rule that the site made since.
func (r *Routes) contact(stem string) *Contact {
	c, known := r.contacts[stem]
	if known {
		return c
	}
	if source, err := r.read(contactsFolder + "/" + stem + ".yml"); err == nil {
		c, _ = ParseContact(stem+".yml", source, r.site)
	}
	r.contacts[stem] = c
	return c
}

// Contacts returns the stems of the contacts in the release, in order.
func (r *Routes) Contacts() []string { return slices.Sorted(maps.Keys(r.leaves)) }

// Sample returns labels of an alert of this severity that the contact is told about: an operator's first owner and
// network, what a subscriber has subscribed to. It is an error if there is no such contact in the release.
func (r *Routes) Sample(stem, severity string) (model.LabelSet, error) {
	if _, ok := r.leaves[stem]; !ok {
		return nil, fmt.Errorf("contact %q not known%s", stem, strictyaml.DidYouMean(stem, r.Contacts()))
	}
	if !slices.Contains(r.site.Severities, severity) {
		return nil, fmt.Errorf("severity %q not known%s", severity, strictyaml.DidYouMean(severity, r.site.Severities))
	}
	c := r.contact(stem)
	if c == nil {
		return nil, errors.New("the contact's last good version can't be read by the rules of today")
	}
	labels := model.LabelSet{severityLabel: model.LabelValue(severity)}
	one := func(label string, values []string) {
		if len(values) > 0 {
			labels[model.LabelName(label)] = model.LabelValue(values[0])
		}
	}
	if c.Kind == Operator {
		one(r.site.IdentityLabel, c.Owners)
		one(networkLabel, c.Networks)
		return labels, nil
	}
	one(audienceLabel, []string{publicAudience})
	// The first subscription that covers the severity, or else the first.
	covering := slices.IndexFunc(c.subscriptions, func(s subscription) bool {
		return s.minSeverity <= slices.Index(r.site.Severities, severity)
	})
	s := c.subscriptions[max(0, covering)]
	one(componentLabel, s.components)
	one(networkLabel, s.networks)
	return labels, nil
}

// usualLabels are those of alerts that no route needs to name.
var usualLabels = []string{model.AlertNameLabel, severityLabel, networkLabel, componentLabel, audienceLabel,
	"job", "instance", "exporter", "prep_name"}

// maxMisspelt is how long a word may be that is compared with known ones: none of those is longer.
const maxMisspelt = 128

// labelNotes says which labels and severities look like misspelt ones.
func (r *Routes) labelNotes(labels model.LabelSet) (notes []string) {
	known := append(slices.Clone(usualLabels), r.site.IdentityLabel)
	r.tree.Walk(func(route *dispatch.Route) {
		for _, m := range route.Matchers {
			known = append(known, m.Name)
		}
		for name := range route.RouteOpts.GroupBy {
			known = append(known, string(name))
		}
	})
	slices.Sort(known)
	known = slices.Compact(known)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if slices.Contains(known, string(name)) || len(name) > maxMisspelt {
			continue
		}
		if meant := strictyaml.Nearest(string(name), known); meant != "" {
			notes = append(notes, fmt.Sprintf("no route knows the label %q, did you mean %q?", name, meant))
		}
	}
	if s, ok := labels[severityLabel]; ok && !slices.Contains(r.site.Severities, string(s)) {
		notes = append(notes, fmt.Sprintf("severity %q is not one of this site%s", s, strictyaml.DidYouMean(string(s), r.site.Severities)))
	}
	return notes
}

// ownerNotes says why operators aren't told whose alert it is, or may be meant to be.
func (r *Routes) ownerNotes(labels model.LabelSet, told map[string]bool) (notes []string) {
	owner := string(labels[model.LabelName(r.site.IdentityLabel)])
	if owner == "" {
		if len(r.leaves) > 0 {
			notes = append(notes, fmt.Sprintf("without the label %q it is no operator's alert", r.site.IdentityLabel))
		}
		return notes
	}
	owned := false
	for _, stem := range r.Contacts() {
		lacks, mine := r.lacks(stem, labels)
		owned = owned || mine
		if mine && !told[stem] {
			notes = append(notes, fmt.Sprintf("contact %q owns it and isn't told: none of its rules covers an alert without %s", stem, lacks))
		}
	}
	if !owned {
		owners := map[string]string{} // contacts by owner
		named := ""                   // an owner of one that is called like this
		for _, stem := range r.Contacts() {
			if c := r.contact(stem); c != nil {
				for _, o := range c.Owners {
					owners[o] = stem
					if named == "" && (strings.EqualFold(owner, c.Name) || strings.EqualFold(owner, stem)) {
						named = o
					}
				}
			}
		}
		note := fmt.Sprintf("no contact for %s=%q", r.site.IdentityLabel, owner)
		if len(owner) > maxMisspelt {
			owner = ""
		}
		if near := cmp.Or(named, strictyaml.Nearest(owner, slices.Sorted(maps.Keys(owners)))); near != "" {
			note += fmt.Sprintf(", did you mean %q of contact %q?", near, owners[near])
		}
		notes = append(notes, note)
	}
	return notes
}

// lacks returns what an alert would need besides for the leaf of a contact that comes nearest, and whether the contact
// owns the alert.
func (r *Routes) lacks(stem string, labels model.LabelSet) (nearest string, owned bool) {
	fewest := 0
	for _, leaf := range r.leaves[stem] {
		var failed []string
		mine := false
		for _, m := range leaf.Matchers {
			matches := m.Matches(string(labels[model.LabelName(m.Name)]))
			if m.Name == r.site.IdentityLabel {
				mine = matches
			} else if !matches {
				failed = append(failed, m.String())
			}
		}
		if !mine {
			continue
		}
		if !owned || len(failed) < fewest {
			owned, fewest, nearest = true, len(failed), strings.Join(failed, ", ")
		}
	}
	return nearest, owned
}
