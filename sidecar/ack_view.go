package sidecar

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/silencing"
)

// ackView is what the page shows.
type ackView struct {
	// Kind is what there is to say: ask (something fires), over (nothing does), shared, many, or why the page isn't shown.
	Kind string
	// Note is what has just happened: ended, changed, unchosen, or nothing.
	Note string
	// Sets are what fires, each with its hush.
	Sets []ackSet
	// Sounding goes on to sound. Idle are the contact's hushes of what doesn't fire any more.
	Sounding []ackAlert
	Idle     []ackHush
	// Choices are for how long.
	Choices []ackChoice
}

// ackSet is what one hush would hush.
type ackSet struct {
	Key    string
	Alerts []ackAlert
	// Chosen is whether it is hushed unless somebody says otherwise.
	Chosen bool
	// Hush is there already; nil if it isn't. Elsewhere: somebody else's silence covers all of it.
	Hush      *ackHush
	Elsewhere bool
	// Matchers say what would be hushed, in words.
	Matchers []ackLabel
}

type ackLabel struct{ Name, Value string }

// ackAlert is an alert in words.
type ackAlert struct {
	Name, Severity, Whose, Network, Instance, Text string
	Since                                          string
	// Worst is whether it is as bad as it gets.
	Worst  bool
	Labels []ackLabel
}

type ackHush struct {
	ID, Until     string
	UntilResolved bool
	Comment       string
	Name          string // of its alerts
}

type ackChoice struct {
	Value, Text, Hint string
	Chosen            bool
}

// Hushed reports whether everything that fires is hushed already.
func (v ackView) Hushed() bool {
	return len(v.Sets) > 0 && !slices.ContainsFunc(v.Sets, func(s ackSet) bool { return s.Hush == nil })
}

// Some reports whether something of it is hushed already.
func (v ackView) Some() bool { return len(v.Untold()) < len(v.Sets) }

// First is the first of what fires.
func (v ackView) First() ackAlert { return v.Sets[0].Alerts[0] }

// Untold are the sets that have no hush.
func (v ackView) Untold() (sets []ackSet) {
	for _, s := range v.Sets {
		if s.Hush == nil {
			sets = append(sets, s)
		}
	}
	return sets
}

// An ackPeriod is for how long something can be hushed: as the form has it, as people read it, and as it is.
type ackPeriod struct {
	value, text string
	d           time.Duration
}

// ackFor are the choices of the page, the shortest first.
var ackFor = []ackPeriod{
	{"30m", "30 minutes", 30 * time.Minute},
	{"2h", "2 hours", 2 * time.Hour},
	{"8h", "8 hours", 8 * time.Hour},
}

const (
	untilResolved = "resolved"
	usualChoice   = "2h"
)

// choices are those that the site allows.
func (p *ackPage) choices(now time.Time, clock *time.Location) (list []ackChoice) {
	for _, c := range ackFor {
		if c.d <= p.longest {
			list = append(list, ackChoice{Value: c.value, Text: c.text, Hint: "until " + clockTime(now.Add(c.d), now, clock), Chosen: c.value == usualChoice})
		}
	}
	list = append(list, ackChoice{Value: untilResolved, Text: "Until resolved", Hint: "at most " + inWords(p.longest)})
	if !slices.ContainsFunc(list, func(c ackChoice) bool { return c.Chosen }) {
		list[0].Chosen = true
	}
	return list
}

// inWords is a duration for people, in whole hours where it is some.
func inWords(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0 && d > 24*time.Hour:
		return plural(int(d/(24*time.Hour)), "day")
	case d%time.Hour == 0:
		return plural(int(d/time.Hour), "hour")
	default:
		return model.Duration(d).String()
	}
}

// clockTime is a time on the contact's clock, with the day if it isn't today.
func clockTime(t, now time.Time, clock *time.Location) string {
	t, now = t.In(clock), now.In(clock)
	zone := t.Format("MST")
	if strings.HasPrefix(zone, "+") || strings.HasPrefix(zone, "-") {
		zone = "UTC" + zone
	}
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04 ") + zone
	}
	if t.Sub(now).Abs() < 6*24*time.Hour {
		return t.Format("Mon 15:04 ") + zone
	}
	return t.Format("2 Jan 15:04 ") + zone
}

// look asks Alertmanager what there is to show.
func (p *ackPage) look(ctx context.Context, v visit) (view ackView, proposal silencing.Proposal, err error) {
	now := time.Now()
	view = ackView{Kind: "ask", Choices: p.choices(now, v.clock)}
	proposal, err = p.desk.Propose(ctx, p.request(v))
	switch {
	case errors.Is(err, silencing.ErrNothingFires):
		view.Kind = "over"
	case errors.Is(err, silencing.ErrShared):
		view.Kind = "shared"
	case errors.Is(err, silencing.ErrTooMany):
		view.Kind = "many"
	case err != nil:
		return view, proposal, err
	}
	there, err := p.desk.Hushes(ctx)
	if err != nil {
		return view, proposal, err
	}
	there = slices.DeleteFunc(there, func(h silencing.Hush) bool { return h.Scope != v.stem })
	used := map[string]bool{}
	for _, h := range proposal.Hushes {
		set := ackSet{Key: hushKey(h.Matchers)}
		elsewhere := true
		for _, a := range slices.Concat(proposal.Alerts, proposal.Also) {
			if !matches(h.Matchers, a.Labels) {
				continue
			}
			set.Alerts = append(set.Alerts, p.alert(a, now, v.clock))
			elsewhere = elsewhere && len(a.SilencedBy) > 0
		}
		if len(set.Alerts) == 0 {
			continue
		}
		for _, m := range h.Matchers {
			if m.Value != "" {
				set.Matchers = append(set.Matchers, ackLabel{m.Name, printable.Line(m.Value, 200)})
			}
		}
		set.Chosen = !set.Alerts[0].Worst
		for _, t := range there {
			if t.ID == h.ID && h.ID != "" {
				set.Hush = p.hush(t, now, v.clock)
				used[t.ID] = true
			}
		}
		set.Elsewhere = elsewhere && set.Hush == nil
		view.Sets = append(view.Sets, set)
	}
	if !slices.ContainsFunc(view.Sets, func(s ackSet) bool { return s.Chosen }) {
		// Whoever follows a link about the worst alone means it.
		for i := range view.Sets {
			view.Sets[i].Chosen = len(view.Sets) == 1
		}
	}
	for _, a := range proposal.Sounding {
		view.Sounding = append(view.Sounding, p.alert(a, now, v.clock))
	}
	for _, h := range there {
		if !used[h.ID] && h.Alerts == 0 && concerns(h, v.labels) {
			view.Idle = append(view.Idle, *p.hush(h, now, v.clock))
		}
	}
	if view.Kind == "ask" && len(view.Sets) == 0 {
		view.Kind = "over"
	}
	return view, proposal, nil
}

// matches reports whether a hush is of alerts with these labels.
func matches(matchers []silencing.Matcher, labels map[string]string) bool {
	return !slices.ContainsFunc(matchers, func(m silencing.Matcher) bool { return m.IsRegex || !m.IsEqual || labels[m.Name] != m.Value })
}

// concerns reports whether a hush is of what a link is about.
func concerns(h silencing.Hush, asked map[string]string) bool {
	return !slices.ContainsFunc(h.Matchers, func(m silencing.Matcher) bool {
		value, ok := asked[m.Name]
		return ok && value != m.Value
	})
}

func (p *ackPage) hush(h silencing.Hush, now time.Time, clock *time.Location) *ackHush {
	a := &ackHush{ID: h.ID, UntilResolved: h.UntilResolved, Comment: printable.Line(h.Comment, 300)}
	end := h.EndsAt
	if h.UntilResolved {
		end = h.Latest
	}
	a.Until = clockTime(end, now, clock)
	for _, m := range h.Matchers {
		if m.Name == model.AlertNameLabel {
			a.Name = printable.Line(m.Value, 100)
		}
	}
	return a
}

// alert puts an alert into words.
func (p *ackPage) alert(a silencing.FiringAlert, now time.Time, clock *time.Location) ackAlert {
	w := ackAlert{
		Worst:    a.Labels["severity"] == p.worst,
		Name:     printable.Line(cmp.Or(a.Labels[model.AlertNameLabel], "alert"), 100),
		Severity: printable.Line(a.Labels["severity"], 40),
		Whose:    printable.Line(cmp.Or(a.Labels[p.identity+"_name"], a.Labels[p.identity]), 80),
		Network:  printable.Line(a.Labels["network"], 60),
		Instance: printable.Line(a.Labels["instance"], 100),
		Text:     printable.Line(cmp.Or(a.Annotations["summary"], a.Annotations["description"], a.Annotations["message"]), 400),
		Since:    clockTime(a.StartsAt, now, clock) + " (" + ago(now, a.StartsAt) + ")",
	}
	for name, value := range a.Labels {
		w.Labels = append(w.Labels, ackLabel{printable.Line(name, 100), printable.Line(value, 300)})
	}
	slices.SortFunc(w.Labels, func(a, b ackLabel) int { return strings.Compare(a.Name, b.Name) })
	return w
}

//go:embed ack.css
var ackFiles embed.FS

// ackStyle is the page's style sheet. It is part of the page, so that one answer is all of it; its hash is what the page's
// Content-Security-Policy allows.
var ackStyle = sync.OnceValue(func() template.CSS {
	css, err := ackFiles.ReadFile("ack.css")
	if err != nil {
		panic(err) // a fault of the build
	}
	return template.CSS("\n" + string(css))
})

var ackStyleHash = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(ackStyle()))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
})

// answer writes a page.
func (p *ackPage) answer(w http.ResponseWriter, status int, v ackView) {
	var page strings.Builder
	if err := pages.ExecuteTemplate(&page, "ack.html", v); err != nil {
		p.logger.Error("page not written", "err", err)
		http.Error(w, "this page has a fault, see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, page.String()) // the client is gone
}
