package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
)

// Answers say who is told about an alert.
type Answers struct {
	*routing.Routes
	contacts []routing.ContactStatus
	// unavailable is why the contacts folder can't be used.
	unavailable string
	// alertmanager makes the release that was read; nil if that is live.
	alertmanager *reload.Agent
}

var errNoAlertmanager = errors.New("the configuration file has no section alertmanager")

// newAlertmanager returns what makes the release that a pass would publish now, and what reads the contacts for it, nil where
// there are none.
func newAlertmanager(cfg *Config) (*reload.Agent, *routing.Agent, error) {
	if cfg.Alertmanager == nil {
		return nil, nil, errNoAlertmanager
	}
	var options reload.Options
	var contacts *routing.Agent
	if cfg.Contacts != nil {
		var err error
		if contacts, err = routing.New(routingOptions(cfg)); err != nil {
			return nil, nil, err
		}
		options.Generate = fromContacts(contacts)
	}
	a, err := reload.NewAlertmanager(*cfg.Alertmanager, options)
	return a, contacts, err
}

// ReadAnswers reads the release that a pass would publish now, with the last good version of each contact that has
// problems. It asks no server and writes nothing.
func ReadAnswers(ctx context.Context, cfg *Config) (*Answers, error) {
	a, contacts, err := newAlertmanager(cfg)
	if err != nil {
		return nil, err
	}
	tree, _, err := a.Preview(ctx)
	if err != nil {
		return nil, err
	}
	routes, err := routing.ReadRoutes(routing.FilesOf(tree), routingOptions(cfg))
	if err != nil {
		return nil, err
	}
	answers := &Answers{Routes: routes, alertmanager: a}
	if contacts != nil {
		answers.contacts, answers.unavailable = contacts.Status().Contacts, contacts.Status().Unavailable
	}
	return answers, nil
}

// liveAnswers reads the release that is live now, or the main file that stays in its place.
func (s *Sidecar) liveAnswers() (*Answers, error) {
	cfg := s.cfg.Alertmanager
	if cfg == nil {
		return nil, errNoAlertmanager
	}
	read := func(file string) ([]byte, error) {
		if file == routing.MainFile {
			return os.ReadFile(cfg.ConfigFile)
		}
		return nil, fs.ErrNotExist
	}
	if cfg.ConfigFile == "" {
		live := reload.Live(cfg.OutputDir)
		if live == nil {
			return nil, errors.New("no release is live yet")
		}
		read = func(file string) ([]byte, error) { return fs.ReadFile(live, file) }
	}
	routes, err := routing.ReadRoutes(read, routingOptions(s.cfg))
	if err != nil {
		return nil, err
	}
	answers := &Answers{Routes: routes}
	if s.routing != nil {
		answers.contacts, answers.unavailable = s.routing.Status().Contacts, s.routing.Status().Unavailable
	}
	return answers, nil
}

// Who is [routing.Routes.Who], with notes on the contacts that have problems.
func (a *Answers) Who(labels model.LabelSet, at time.Time) routing.Answer {
	answer := a.Routes.Who(labels, at)
	told := map[string]bool{}
	for _, t := range answer.Told {
		told[t.Contact] = true
	}
	var untold []string // files
	for _, c := range a.contacts {
		if c.Problems.Len() == 0 {
			continue
		}
		if !c.Routed {
			untold = append(untold, c.File)
		} else if told[c.Stem] {
			answer.Notes = append(answer.Notes, fmt.Sprintf("contact %q is told by its last good version: its file has problems, which stoker check lists", c.Stem))
		}
	}
	if n := len(untold); n > 0 {
		const most = 10
		if n > most {
			untold = append(untold[:most], fmt.Sprintf("and %d more", n-most))
		}
		answer.Notes = append(answer.Notes, fmt.Sprintf("%s with problems and without a last good version: who is meant there isn't told, perhaps about this alert, and stoker check lists why: %s",
			plural(n, "contact file"), strings.Join(untold, ", ")))
	}
	if a.unavailable != "" {
		answer.Notes = append(answer.Notes, "the contacts are those of the live release, because the folder can't be used: "+a.unavailable)
	}
	return answer
}

// contact returns what is known of a contact by its stem.
func (a *Answers) contact(stem string) (routing.ContactStatus, bool) {
	for _, c := range a.contacts {
		if c.Stem == stem {
			return c, true
		}
	}
	return routing.ContactStatus{}, false
}

// ParseInstant reads a time zone and a time on its clock; "" is now.
func ParseInstant(zone, at string, now time.Time) (*time.Location, time.Time, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("location: time zone %q not known, use a name such as Europe/Berlin", zone)
	}
	if at == "" {
		return location, now.Truncate(time.Second), nil
	}
	when, err := routing.ParseTime(at, location, now)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("at: %w", err)
	}
	return location, when, nil
}
