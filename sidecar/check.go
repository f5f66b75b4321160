package sidecar

import (
	"cmp"
	"context"
	"errors"
	"go/scanner"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/internal/strictyaml"
	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/silencing"
)

// Check judges everything that people write: the base files of both servers, contacts, their merge, silences.
// It contacts nobody and writes nothing. Problems would keep a server from running what is asked for; warnings
// are worth a look. Both are in order of file and line. Notes say what couldn't be checked here, and which
// P-Reps no contact is for, or several are.
func Check(ctx context.Context, cfg *Config, options CheckOptions) (problems, warnings scanner.ErrorList, notes []string) {
	var known routing.Options
	if cfg.Contacts != nil {
		notes, problems = networksToCheck(cfg, &known, options.NetworkFiles)
	}
	if cfg.Prometheus != nil {
		_, p, w := checkRelease(ctx, reload.NewPrometheus, cfg.Prometheus, nil)
		problems, warnings = append(problems, p...), append(warnings, w...)
	}
	if cfg.Alertmanager != nil {
		p, w, n := checkAlertmanager(ctx, cfg, known)
		problems, warnings, notes = append(problems, p...), append(warnings, w...), append(notes, n...)
	} else if cfg.Contacts != nil {
		o := routingOptions(cfg)
		o.ExportersOnly = true
		o.Networks, o.AllNetworks = known.Networks, known.AllNetworks
		p, w, n := routing.Check(ctx, o, nil)
		problems, warnings, notes = append(problems, p...), append(warnings, w...), append(notes, n...)
	}
	if cfg.Contacts != nil {
		p, w := checkExporters(ctx, cfg)
		problems, warnings = append(problems, p...), append(warnings, w...)
	}
	if err := newHushLinks(cfg).ready(); errors.Is(err, fs.ErrNotExist) {
		notes = append(notes, "not checked: ack.key_file, which isn't here")
	} else if err != nil {
		problems.Add(token.Position{Filename: cfg.Ack.KeyFile}, err.Error())
	}
	if cfg.Silencing != nil {
		p, w := silencing.Check(cfg.Silencing.File, time.Now())
		problems, warnings = append(problems, p...), append(warnings, w...)
	}
	problems.Sort()
	problems = slices.CompactFunc(problems, func(a, b *scanner.Error) bool { return *a == *b })
	warnings.Sort()
	return problems, warnings, notes
}

// checkAlertmanager checks the base by itself, the contacts, and the release that they make together. known is what is
// known of the networks.
func checkAlertmanager(ctx context.Context, cfg *Config, known routing.Options) (problems, warnings scanner.ErrorList, notes []string) {
	base, problems, warnings := checkRelease(ctx, reload.NewAlertmanager, cfg.Alertmanager, nil)
	if cfg.Contacts == nil {
		file := cmp.Or(cfg.Alertmanager.ConfigFile, filepath.Join(cfg.Alertmanager.SourceDir, routing.MainFile))
		if main, ok := base[routing.MainFile]; ok && len(problems) == 0 {
			warnings = append(warnings, routing.Lint(file, main, routingOptions(cfg))...)
		}
		return problems, warnings, nil
	}
	if len(problems) > 0 {
		base = nil // A merge into it would show the same faults once more.
	}
	o := routingOptions(cfg)
	o.Networks, o.AllNetworks = known.Networks, known.AllNetworks
	p, w, notes := routing.Check(ctx, o, base)
	problems, warnings = append(problems, p...), append(warnings, w...)
	if len(problems) > 0 {
		return problems, warnings, notes
	}
	a, _, err := newAlertmanager(cfg)
	if err == nil {
		_, _, err = a.Preview(ctx)
	}
	return listOf(err), warnings, notes
}

// CheckContacts judges folders of contacts by themselves, as in a repository that holds nothing else. cfg
// gives the settings that all contacts share; its other sections are not looked at.
func CheckContacts(ctx context.Context, cfg *Config, dirs []string, options CheckOptions) (problems, warnings scanner.ErrorList, notes []string) {
	var known routing.Options
	notes, problems = networksToCheck(cfg, &known, options.NetworkFiles)
	for _, dir := range dirs {
		o := routingOptions(cfg)
		o.Networks, o.AllNetworks = known.Networks, known.AllNetworks
		o.Contacts.Dir = dir
		p, w, n := routing.Check(ctx, o, nil)
		problems, warnings, notes = append(problems, p...), append(warnings, w...), append(notes, n...)
		if contacts, err := routing.ReadExporters(ctx, o); err == nil {
			p, w := discovery.CheckOverrides(nil, overridesOf(contacts))
			problems, warnings = append(problems, p...), append(warnings, w...)
		}
	}
	return problems, warnings, notes
}

// checkRelease judges one release, and returns its files.
func checkRelease(ctx context.Context, kind func(reload.Config, reload.Options) (*reload.Agent, error), cfg *reload.Config, generate reload.Generate) (files map[string][]byte, problems, warnings scanner.ErrorList) {
	a, err := kind(*cfg, reload.Options{Generate: generate})
	if err != nil {
		return nil, listOf(err), nil
	}
	files, warnings, err = a.Preview(ctx)
	return files, listOf(err), warnings
}

func routingOptions(cfg *Config) routing.Options {
	o := routing.Options{IdentityLabel: cfg.IdentityLabel, Severities: cfg.Severities}
	if cfg.Contacts != nil {
		o.Contacts = *cfg.Contacts
	}
	o.Phone = phoneOf(cfg)
	if links := newHushLinks(cfg); links != nil {
		o.HushURL = links.hushURL
	}
	if cfg.Alertmanager != nil {
		o.BaseDir, o.AlertmanagerVersion = cfg.Alertmanager.SourceDir, cfg.Alertmanager.Version
	}
	return o
}

// listOf returns the problems in an error; one without a position is a problem of no file.
func listOf(err error) scanner.ErrorList {
	list := strictyaml.Problems(err)
	if err != nil && list == nil {
		list.Add(token.Position{}, err.Error())
	}
	return list
}

// RenderAlertmanager returns the alertmanager.yml that would be published. Contacts with problems are left out of it, or in
// it with their last good version: it comes beside a scanner.ErrorList that names them.
func RenderAlertmanager(ctx context.Context, cfg *Config) ([]byte, error) {
	a, contacts, err := newAlertmanager(cfg)
	if err != nil {
		return nil, err
	}
	tree, _, err := a.Preview(ctx)
	if err != nil {
		return nil, err
	}
	var problems scanner.ErrorList
	if contacts != nil {
		status := contacts.Status()
		if status.Unavailable != "" {
			err = errors.New(status.Unavailable)
		}
		for _, c := range status.Contacts {
			problems = append(problems, c.Problems...)
		}
	}
	return tree[routing.MainFile], errors.Join(err, problems.Err())
}

// RenderTargets returns the targets file that would be written for each network, by its name; owners/ and the name is
// that of what contacts gave URLs for. It asks the networks, and may return files beside an error: those of the networks
// that answered.
func RenderTargets(ctx context.Context, cfg *Config) (map[string][]byte, error) {
	if cfg.Discovery == nil {
		return nil, errors.New("the configuration file has no section discovery")
	}
	s, err := New(cfg, Options{Agents: []string{agentDiscovery}})
	if err != nil {
		return nil, err
	}
	return s.discovery.Render(ctx)
}

// RenderSilences returns a table of the silences of the next seven days.
func RenderSilences(cfg *Config) ([]byte, error) {
	if cfg.Silencing == nil {
		return nil, errors.New("the configuration file has no section silencing")
	}
	now := time.Now()
	rules, err := silencing.Load(cfg.Silencing.File, now)
	if err != nil {
		return nil, err
	}
	return silencing.Render(rules, now), nil
}
