package sidecar

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	commoncfg "github.com/prometheus/common/config"

	"github.com/stoker-project/stoker/silencing"
)

// silencingOptions returns how Alertmanager is reached for its silences.
func silencingOptions(cfg *Config) (o silencing.Options, err error) {
	if cfg.Alertmanager == nil {
		return o, errNoAlertmanager
	}
	o.Client, err = commoncfg.NewClientFromConfig(cfg.Alertmanager.HTTPConfig, "stoker_silencing")
	if err != nil {
		return o, fmt.Errorf("http_config: %w", err)
	}
	o.Client.Timeout = 10 * time.Second
	if o.AlertmanagerURL, err = url.Parse(cfg.Alertmanager.URL); err != nil {
		return o, fmt.Errorf("url: %w", err)
	}
	o.StateDir = cfg.StateDir
	return o, nil
}

// silencesSection returns the section silencing, or none.
func silencesSection(cfg *Config) silencing.Config {
	if cfg.Silencing == nil {
		return silencing.Config{}
	}
	return *cfg.Silencing
}

// Silences asks Alertmanager what is silenced and by what, as [silencing.Look] does. It needs no running stoker, and
// without a section silencing all silences are people's.
func Silences(ctx context.Context, cfg *Config) (s silencing.Survey, fileErr, countErr, err error) {
	o, err := silencingOptions(cfg)
	if err != nil {
		return s, nil, nil, err
	}
	return silencing.Look(ctx, silencesSection(cfg), o)
}

// ExportSilence returns a silence of Alertmanager as a rule for silences.yaml.
func ExportSilence(ctx context.Context, cfg *Config, id string) ([]byte, error) {
	o, err := silencingOptions(cfg)
	if err != nil {
		return nil, err
	}
	return silencing.Export(ctx, silencesSection(cfg), o, id)
}

// listLasts is how long Alertmanager's list of silences counts. It is asked every 30 seconds.
const listLasts = 5 * time.Minute

// readSilences adds to a status what is silenced and by what. It is apart from Status because probes ask for that all
// the time.
func (s *Sidecar) readSilences(status *Status) {
	if s.silencing == nil {
		return
	}
	survey := s.silencing.Survey()
	status.Silences = survey.Entries
	status.SilencesListed, status.AlertsCounted = survey.At, survey.CountedAt
	if err := s.silencing.Status().FileError; err != nil {
		for _, p := range listOf(err) {
			status.SilencesProblems = append(status.SilencesProblems, p.Error())
		}
	}
}

// silencesOf is what the page of silences shows.
type silencesOf struct {
	Status
	Now time.Time
	// Known is whether silencing runs here; File what it reads, Position its Alertmanager's place among its peers.
	Known    bool
	File     string
	Position int
	// Current is whether the list of silences is of the last minutes.
	Current bool
	// Ours are those of the file, or that it asks for; Hushed those that hush; Theirs all others.
	Ours, Hushed, Theirs []silencing.Entry
	// Acks are what was done on the page that notifications lead to, since this process began, newest first; Acking is
	// whether it is served here.
	Acks   []AckEntry
	Acking bool
}

// silencesPage shows the silences to people. It needs no JavaScript, and asks Alertmanager nothing: visitors are no
// load for it.
func (s *Sidecar) silencesPage(w http.ResponseWriter, _ *http.Request) {
	p := silencesOf{Status: s.Status(), Now: time.Now(), Acks: s.audit.last(), Acking: s.ack != nil}
	s.readSilences(&p.Status)
	if s.silencing != nil {
		p.Known, p.File, p.Position = true, s.cfg.Silencing.File, s.silencing.Status().Position
	}
	p.Current = p.Now.Sub(p.SilencesListed) <= listLasts
	for _, e := range p.Silences {
		switch e.Origin {
		case silencing.FromFile:
			p.Ours = append(p.Ours, e)
		case silencing.FromAck:
			p.Hushed = append(p.Hushed, e)
		default:
			p.Theirs = append(p.Theirs, e)
		}
	}
	// What has to do with this moment is above what is over.
	slices.SortStableFunc(p.Ours, func(a, b silencing.Entry) int { return silenceRank(a) - silenceRank(b) })
	showPage(w, "silences.html", p)
}

func silenceRank(e silencing.Entry) int {
	return slices.Index([]string{"missing", "held", "active", "pending", "waiting", "over", "expired"}, e.State)
}
