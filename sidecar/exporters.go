package sidecar

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/internal/secret"
	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
)

// ExporterStatus is one exporter of a P-Rep that a contact says how to reach. It holds no address.
type ExporterStatus struct {
	Prep     string `json:"prep"`
	Exporter string `json:"exporter"`
	// Contact is the contact's file, State "used" or why the target is what it would be without it.
	Contact string `json:"contact"`
	State   string `json:"state"`
}

// Unheard are the exporters for which a contact speaks in vain.
func (n NetworkStatus) Unheard() []ExporterStatus {
	return slices.DeleteFunc(slices.Clone(n.Exporters), func(e ExporterStatus) bool { return e.State == discovery.ClaimUsed })
}

// agentExporters has the targets follow what contacts say about exporters. It comes with discovery, and is a loop of its
// own so that a change of a contact doesn't wait for a network that doesn't answer, and isn't taken for its answer.
const agentExporters = "exporters"

// readsExporters reports whether what contacts say about exporters matters to the selected agents.
func (s *Sidecar) readsExporters(selected map[string]bool) bool {
	return s.cfg.Contacts != nil && s.cfg.Discovery != nil && (selected[agentDiscovery] || selected[agentPrometheus])
}

// addContacts adds the agent that reads the contacts: for Alertmanager, for the targets, or for both.
func (s *Sidecar) addContacts(selected map[string]bool) (err error) {
	told := selected[agentAlertmanager] && s.cfg.Contacts != nil
	if !told && !s.readsExporters(selected) {
		return nil
	}
	o := routingOptions(s.cfg)
	o.ExportersOnly = !told
	o.Logger, o.Registerer = s.logger.With("agent", agentRouting), s.registry
	if s.routing, err = routing.New(o); err != nil {
		return err
	}
	paths := []string{s.cfg.Contacts.Dir}
	for _, p := range []string{s.cfg.Contacts.SecretsDir, s.cfg.Contacts.AgeIdentityFile} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	if phone := phoneOf(s.cfg); phone != nil && told {
		paths = append(paths, phone.Files()...)
	}
	timing := reload.DefaultConfig()
	for _, c := range []*reload.Config{s.cfg.Prometheus, s.cfg.Alertmanager} {
		if c != nil {
			timing = *c
		}
	}
	contacts := &settled{agent: s.routing, path: s.cfg.Contacts.Dir, settle: time.Duration(timing.Settle)}
	l := s.add(agentRouting, contacts, every(confirmEvery))
	l.changed = func() {
		for _, follower := range s.followContacts {
			follower.poke()
		}
	}
	s.watch(l, timing.RescanInterval, paths...)
	return nil
}

// addExporters adds the loop of what contacts say about exporters.
func (s *Sidecar) addExporters() *loop {
	l := s.add(agentExporters, syncFunc(s.discovery.Apply), every(confirmEvery))
	s.followContacts = append(s.followContacts, l)
	if s.prometheus != nil {
		s.prometheus.changed = l.poke // a URL waits for its scrape job
	}
	return l
}

// overrides is what contacts say now.
func (s *Sidecar) overrides(ctx context.Context) ([]discovery.Override, error) {
	contacts, err := s.routing.Exporters(ctx)
	return overridesOf(contacts), err
}

// served reports whether the release that Prometheus starts from has the scrape jobs for an exporter of a contact. In a
// plan that is the one that would be live by then.
func (s *Sidecar) served(contact, exporter string) bool {
	if s.cfg.Prometheus == nil || s.cfg.Prometheus.OutputDir == "" {
		return false
	}
	file := discovery.ScrapeFile(contact, exporter)
	if s.planned != nil && s.planned.Refused == nil {
		for _, f := range s.planned.Files {
			if f.Path == file {
				return f.Change != '-'
			}
		}
	}
	live := reload.Live(s.cfg.Prometheus.OutputDir)
	if live == nil {
		return false
	}
	_, err := fs.Stat(live, file)
	return err == nil
}

// overridesOf hands over what routing read to discovery: they don't know each other.
func overridesOf(contacts []routing.ContactExporters) (all []discovery.Override) {
	for _, c := range contacts {
		o := discovery.Override{Contact: c.Stem, File: c.File, Owners: c.Owners, Networks: c.Networks, Quarantined: c.Quarantined}
		for _, e := range c.Exporters {
			o.Exporters = append(o.Exporters, discovery.OwnExporter{
				Name: e.Name, Port: e.Port, Path: e.Path, Scheme: e.Scheme,
				URL: e.URL, Username: e.Username, Password: e.Password, Position: e.Position,
			})
		}
		all = append(all, o)
	}
	return all
}

// scrapeJobs makes what contacts add to Prometheus' releases. A contact never keeps a release from being made: what is
// wrong is told, and the rest goes on.
type scrapeJobs struct {
	cfg       *Config
	overrides discovery.Overrides
	logger    *slog.Logger // nil: nobody is told

	mu       sync.Mutex
	said     map[string]bool
	problems scanner.ErrorList // of the last time
	warnings scanner.ErrorList
}

func (j *scrapeJobs) generate(ctx context.Context, from reload.Source) (map[string][]byte, error) {
	said, askErr := j.overrides(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file := filepath.Join(j.cfg.Prometheus.SourceDir, prometheusMain)
	jobs, err := discovery.MakeScrapeJobs(*j.cfg.Discovery, discovery.Base{File: file, Data: from.Base[prometheusMain]}, said, askErr, from.Live)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := map[string]bool{}
	for _, p := range slices.Concat(jobs.Problems, jobs.Warnings) {
		now[p.Error()] = true
		if j.logger != nil && !j.said[p.Error()] {
			j.logger.Warn("exporters of contacts are not scraped as asked for", "err", p)
		}
	}
	j.said, j.problems, j.warnings = now, jobs.Problems, jobs.Warnings
	return jobs.Files, nil
}

const prometheusMain = "prometheus.yml"

// offlineJobs is scrapeJobs for checking and rendering: no password is read, and a stand-in is in the place of each.
func offlineJobs(cfg *Config, said []discovery.Override) *scrapeJobs {
	return &scrapeJobs{cfg: cfg, overrides: func(context.Context) ([]discovery.Override, error) {
		for _, o := range said {
			for i := range o.Exporters {
				o.Exporters[i].Password = secret.New("not at hand")
			}
		}
		return said, nil
	}}
}

// checkExporters judges what contacts say about exporters: among themselves, against the networks, and what Prometheus
// needs for it.
func checkExporters(ctx context.Context, cfg *Config) (problems, warnings scanner.ErrorList) {
	contacts, err := routing.ReadExporters(ctx, routingOptions(cfg))
	if err != nil {
		return nil, nil // routing.Check says so
	}
	said := overridesOf(contacts)
	if cfg.Discovery == nil {
		return discovery.CheckOverrides(nil, said)
	}
	problems, warnings = discovery.CheckOverrides(cfg.Discovery.Networks, said)
	if cfg.Prometheus != nil && cfg.Prometheus.SourceDir != "" {
		jobs := offlineJobs(cfg, said)
		_, p, _ := checkRelease(ctx, reload.NewPrometheus, cfg.Prometheus, jobs.generate) // its warnings are those of the base
		return slices.Concat(problems, p, jobs.problems), slices.Concat(warnings, jobs.warnings)
	}
	for _, o := range said {
		for _, e := range o.Exporters {
			if e.URL != "" {
				warnings.Add(e.Position, "a URL needs scrape jobs that stoker generates, and so prometheus.source_dir and output_dir in stoker.yml: exporter "+
					e.Name+" is scraped as without this contact")
			}
		}
	}
	return problems, warnings
}

// userInURL is what a URL holds of whoever is let in.
var userInURL = regexp.MustCompile(`(://)[^@/\s"']*@`)

// RenderScrape returns the scrape jobs that contacts would add to a release of Prometheus, each file after its path. It
// holds no password: those are in files of their own.
func RenderScrape(ctx context.Context, cfg *Config) ([]byte, error) {
	switch {
	case cfg.Prometheus == nil || cfg.Prometheus.SourceDir == "":
		return nil, errors.New("the configuration file has no section prometheus with source_dir, whose releases the jobs would be part of")
	case cfg.Discovery == nil || cfg.Contacts == nil:
		return nil, errors.New("the configuration file needs the sections discovery and contacts")
	}
	contacts, err := routing.ReadExporters(ctx, routingOptions(cfg))
	if err != nil {
		return nil, err
	}
	jobs := offlineJobs(cfg, overridesOf(contacts))
	var files map[string][]byte
	a, err := reload.NewPrometheus(*cfg.Prometheus, reload.Options{Generate: func(ctx context.Context, from reload.Source) (_ map[string][]byte, err error) {
		files, err = jobs.generate(ctx, from)
		return files, err
	}})
	if err != nil {
		return nil, err
	}
	_, _, err = a.Preview(ctx)
	var out strings.Builder
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if ok, _ := filepath.Match(discovery.ScrapeInclude, file); ok {
			fmt.Fprintf(&out, "# %s\n%s\n", file, userInURL.ReplaceAll(files[file], []byte("${1}<secret>@")))
		}
	}
	if err == nil {
		err = jobs.problems.Err()
	}
	return []byte(out.String()), err
}
