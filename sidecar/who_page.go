package sidecar

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/stoker-project/stoker/routing"
)

// contactsPage shows the contacts to people. It needs no JavaScript.
func (s *Sidecar) contactsPage(w http.ResponseWriter, _ *http.Request) {
	showPage(w, "contacts.html", struct {
		Status
		Now time.Time
		// Known is whether contacts are read for Alertmanager here.
		Known    bool
		Identity string
	}{s.Status(), time.Now(), s.routing != nil && s.cfg.Alertmanager != nil, s.identity()})
}

func (s *Sidecar) identity() string {
	return cmp.Or(s.cfg.IdentityLabel, routing.DefaultIdentityLabel)
}

// whoOf is what the page of answers shows.
type whoOf struct {
	Status
	// Labels, At and Location are what the visitor asked, as it was written.
	Labels, At, Location string
	Identity             string
	// Error is why there is no Answer to a question.
	Error  string
	Answer *routing.Answer
	zone   *time.Location
}

// Zone is the one of the times that are shown.
func (p *whoOf) Zone() string { return p.zone.String() }

// Shown returns a time on the clock of the zone.
func (p *whoOf) Shown(t time.Time) string { return t.In(p.zone).Format("2006-01-02 15:04 MST") }

// When says when somebody is told.
func (p *whoOf) When(t routing.Told) string { return t.When(p.zone) }

// maxQuestion bounds what a visitor may ask.
const maxQuestion = 16 << 10

// whoPage answers who is told about an alert, by the live release: what stoker who would print of it. It needs no
// JavaScript, and asks no server.
func (s *Sidecar) whoPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p := &whoOf{Status: s.Status(), Identity: s.identity(), zone: time.UTC, Location: "UTC"}
	if len(r.URL.RawQuery) > maxQuestion {
		p.Error = "the question is too long"
		showPage(w, "who.html", p)
		return
	}
	p.Labels, p.At, p.Location = query.Get("labels"), query.Get("at"), cmp.Or(query.Get("location"), p.Location)
	if strings.TrimSpace(p.Labels) != "" {
		if answer, err := s.ask(p); err != nil {
			p.Error = err.Error()
		} else {
			p.Answer = &answer
		}
	}
	showPage(w, "who.html", p)
}

// nextLabel finds a label that was written behind another one, as on a command line.
var nextLabel = regexp.MustCompile(`^[^="]+=[^"\s]\S*\s+([a-zA-Z_]\w*=\S*)`)

func (s *Sidecar) ask(p *whoOf) (routing.Answer, error) {
	var pairs []string
	for line := range strings.Lines(p.Labels) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if m := nextLabel.FindStringSubmatch(line); m != nil {
			return routing.Answer{}, fmt.Errorf("one label a line: %q stands behind another one (a value that means it is written in double quotes)", m[1])
		}
		pairs = append(pairs, line)
	}
	labels, err := routing.ParseLabels(pairs)
	if err != nil {
		return routing.Answer{}, err
	}
	at := time.Now().Truncate(time.Second)
	location, when, err := ParseInstant(p.Location, strings.TrimSpace(p.At), at)
	if err != nil {
		return routing.Answer{}, err
	}
	p.zone = location
	s.asking.Lock()
	defer s.asking.Unlock()
	defer giveBack(allocated())
	answers, err := s.liveAnswers()
	if err != nil {
		return routing.Answer{}, err
	}
	return answers.Who(labels, when), nil
}
