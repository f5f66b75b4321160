package sidecar

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

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

// ackFor are the choices of the page, the shortest first.
var ackFor = []struct {
	value, text string
	d           time.Duration
}{
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

// request is what a visitor may hush with this link.
func (p *ackPage) request(v visit) silencing.HushRequest {
	prefix := "contact/" + v.stem + "/"
	return silencing.HushRequest{
		Labels:   v.labels,
		Receiver: func(name string) bool { return strings.HasPrefix(name, prefix) },
		For:      ackFor[0].d,
		Scope:    v.stem,
		By:       v.stem,
	}
}

// hushKey names what a hush is of. It is how the page knows what somebody saw.
func hushKey(matchers []silencing.Matcher) string {
	var texts []string
	for _, m := range matchers {
		texts = append(texts, m.String())
	}
	slices.Sort(texts)
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return hex.EncodeToString(sum[:8])
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
				set.Matchers = append(set.Matchers, ackLabel{m.Name, readable(m.Value, 200)})
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
	a := &ackHush{ID: h.ID, UntilResolved: h.UntilResolved, Comment: readable(h.Comment, 300)}
	end := h.EndsAt
	if h.UntilResolved {
		end = h.Latest
	}
	a.Until = clockTime(end, now, clock)
	for _, m := range h.Matchers {
		if m.Name == model.AlertNameLabel {
			a.Name = readable(m.Value, 100)
		}
	}
	return a
}

// alert puts an alert into words.
func (p *ackPage) alert(a silencing.FiringAlert, now time.Time, clock *time.Location) ackAlert {
	w := ackAlert{
		Worst:    a.Labels["severity"] == p.worst,
		Name:     readable(cmp.Or(a.Labels[model.AlertNameLabel], "alert"), 100),
		Severity: readable(a.Labels["severity"], 40),
		Whose:    readable(cmp.Or(a.Labels[p.identity+"_name"], a.Labels[p.identity]), 80),
		Network:  readable(a.Labels["network"], 60),
		Instance: readable(a.Labels["instance"], 100),
		Text:     readable(cmp.Or(a.Annotations["summary"], a.Annotations["description"], a.Annotations["message"]), 400),
		Since:    clockTime(a.StartsAt, now, clock) + " (" + ago(now, a.StartsAt) + ")",
	}
	for name, value := range a.Labels {
		w.Labels = append(w.Labels, ackLabel{readable(name, 100), readable(value, 300)})
	}
	slices.SortFunc(w.Labels, func(a, b ackLabel) int { return strings.Compare(a.Name, b.Name) })
	return w
}

// readable is text that others wrote, on one line, without what would hide or turn round what a reader sees, and not too long.
func readable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	if runes := []rune(strings.Join(strings.Fields(s), " ")); len(runes) > most {
		return string(runes[:most-1]) + "…"
	} else {
		return string(runes)
	}
}

// doneParam says in the address of the page what was just done; no label that Prometheus allows has such a name.
const doneParam = "stoker-done"

// show answers GET and HEAD. It changes nothing: mailers and chats follow links, too.
func (p *ackPage) show(w http.ResponseWriter, v visit) {
	view, _, err := p.look(v.Context(), v)
	if err != nil {
		p.fail(w, v, err)
		return
	}
	if v.URL.Query().Get(doneParam) == "ended" {
		view.Note = "ended"
	}
	p.answer(w, http.StatusOK, view)
}

// maxForm bounds what the page's form sends.
const maxForm = 16 << 10

// act answers POST.
func (p *ackPage) act(w http.ResponseWriter, v visit) {
	if !p.sameOrigin(v.Request) {
		p.refuse(w, v, ackCrossOrigin, http.StatusForbidden)
		return
	}
	if !p.acts.allow(v.stem, time.Now()) {
		p.refuse(w, v, ackLimited, http.StatusTooManyRequests)
		return
	}
	v.Body = http.MaxBytesReader(w, v.Body, maxForm)
	kind, _, err := mime.ParseMediaType(v.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || v.ParseForm() != nil {
		p.refuse(w, v, ackInvalid, http.StatusBadRequest)
		return
	}
	switch v.PostForm.Get("do") {
	case "hush":
		p.doHush(w, v)
	case "end":
		p.doEnd(w, v)
	default:
		p.refuse(w, v, ackInvalid, http.StatusBadRequest)
	}
}

// doHush hushes what was shown and chosen, as far as it still fires. If something fires that wasn't shown, as a severity that
// joined in the meantime, nothing is done and all of it is shown.
func (p *ackPage) doHush(w http.ResponseWriter, v visit) {
	r := p.request(v)
	r.For, r.Comment = 0, cmp.Or(readable(v.PostForm.Get("comment"), 300), "hushed from a notification")
	switch choice := v.PostForm.Get("for"); {
	case choice == untilResolved:
		r.UntilResolved = true
	default:
		i := slices.IndexFunc(ackFor, func(c struct {
			value, text string
			d           time.Duration
		}) bool {
			return c.value == choice && c.d <= p.longest
		})
		if i < 0 {
			p.refuse(w, v, ackInvalid, http.StatusBadRequest)
			return
		}
		r.For = ackFor[i].d
	}
	view, proposal, err := p.look(v.Context(), v)
	if err != nil {
		p.fail(w, v, err)
		return
	}
	if view.Kind != "ask" {
		p.results.WithLabelValues(ackNothing).Inc()
		p.answer(w, http.StatusOK, view)
		return
	}
	shown, chosen := v.PostForm["shown"], v.PostForm["hush"]
	var do []silencing.Hush
	for _, h := range proposal.Hushes {
		key := hushKey(h.Matchers)
		if !slices.Contains(shown, key) {
			p.again(w, v, view, "changed")
			return
		}
		if slices.Contains(chosen, key) {
			do = append(do, h)
		}
	}
	if len(do) == 0 {
		p.again(w, v, view, "unchosen")
		return
	}
	var done []silencing.Hush
	result := ackExtended
	for _, h := range do {
		one := r
		one.Labels = map[string]string{}
		for _, m := range h.Matchers {
			one.Labels[m.Name] = m.Value
		}
		var made []silencing.Hush
		made, err = p.desk.Hush(v.Context(), one)
		did := "extended"
		if h.ID == "" {
			did, result = "hushed", ackHushed
		}
		for _, m := range made {
			p.record(v, did, m)
		}
		if len(made) > 0 {
			p.hushed()
		}
		done = append(done, made...)
		if errors.Is(err, silencing.ErrNothingFires) {
			err = nil // in this moment
		}
		if err != nil {
			break
		}
	}
	switch {
	case err != nil && len(done) > 0:
		p.results.WithLabelValues(ackPartly).Inc()
		p.logger.Error("only a part was hushed", "contact", v.stem, "err", err)
		p.answer(w, http.StatusBadGateway, ackView{Kind: ackPartly})
		return
	case err != nil:
		p.fail(w, v, err)
		return
	case len(done) == 0:
		result = ackNothing
	}
	p.results.WithLabelValues(result).Inc()
	p.back(w, v, "")
}

// doEnd ends a hush of the contact.
func (p *ackPage) doEnd(w http.ResponseWriter, v visit) {
	h, err := p.desk.End(v.Context(), v.PostForm.Get("id"), v.stem, func(h silencing.Hush) bool {
		return h.Scope == v.stem && h.ID == v.PostForm.Get("id")
	})
	switch {
	case errors.Is(err, silencing.ErrNoHush):
		p.results.WithLabelValues(ackNothing).Inc() // it is over already
	case err != nil:
		p.fail(w, v, err)
		return
	default:
		p.results.WithLabelValues(ackEnded).Inc()
		p.record(v, "ended", h)
	}
	p.back(w, v, "ended")
}

// record says in the log, and on the page of silences, who did what.
func (p *ackPage) record(v visit, did string, h silencing.Hush) {
	e := AckEntry{At: time.Now(), Contact: v.stem, Did: did, Until: h.EndsAt, UntilResolved: h.UntilResolved, Client: v.client.String(), ID: h.ID}
	if h.UntilResolved && did != "ended" {
		e.Until = h.Latest
	}
	for _, m := range h.Matchers {
		if m.Value != "" {
			e.Matchers = append(e.Matchers, m.String())
		}
	}
	p.audit.add(e)
	p.logger.Info("alerts "+did+" from a notification", "contact", e.Contact, "matchers", strings.Join(e.Matchers, ", "),
		"until", e.Until.UTC().Format(time.RFC3339), "until_resolved", e.UntilResolved, "silence", e.ID, "client", e.Client)
}

// again shows the page once more instead of doing anything.
func (p *ackPage) again(w http.ResponseWriter, v visit, view ackView, why string) {
	p.results.WithLabelValues(map[string]string{"changed": ackChanged, "unchosen": ackInvalid}[why]).Inc()
	view.Note = why
	p.answer(w, http.StatusConflict, view)
}

// back leads a browser to the page, so that loading it again does nothing again.
func (p *ackPage) back(w http.ResponseWriter, v visit, done string) {
	query := v.URL.Query()
	query.Del(doneParam)
	if done != "" {
		query.Set(doneParam, done)
	}
	// The path is this request's, whose token is good, so it leads nowhere else.
	w.Header().Set("Location", v.URL.EscapedPath()+"?"+query.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// fail says that Alertmanager didn't do its part.
func (p *ackPage) fail(w http.ResponseWriter, v visit, err error) {
	p.results.WithLabelValues(ackError).Inc()
	p.logger.Error("nothing hushed or shown", "contact", v.stem, "err", err)
	p.answer(w, http.StatusBadGateway, ackView{Kind: ackError})
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
