package routing

import (
	"cmp"
	"context"
	"errors"
	"go/scanner"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Check judges the contacts folder and its merge with a base, offline and without changing anything.
// base is the source tree by path; nil checks a repository that holds only contacts. Secrets and
// encrypted values are checked as far as the secrets folder and the key are at hand.
//
// Problems without a position are about a file or folder as a whole. Notes are no fault of anybody: which P-Reps no
// contact is for, which have several, and that values are not at hand.
func Check(ctx context.Context, opts Options, base map[string][]byte) (problems, warnings scanner.ErrorList, notes []string) {
	site, err := opts.site()
	if err != nil {
		return scanner.ErrorList{noPosition("", err.Error())}, nil, nil
	}
	if base == nil && site.Phone == nil {
		site.Phone = &PhoneConfig{} // how they are reached is decided elsewhere
	}
	structure := site
	site = opts.atHand(site)
	methods := site
	if opts.ExportersOnly {
		methods = structure
	}
	files, err := readFolder(ctx, opts.Contacts.Dir, methods)
	errors.As(err, &problems)
	var candidates []candidate
	closed := false
	for _, f := range files {
		problems = append(problems, f.problems...)
		if f.contact != nil {
			warnings = append(warnings, f.contact.Warnings...)
			closed = closed || f.contact.closed && !opts.ExportersOnly
			candidates = append(candidates, candidate{stem: f.stem, contact: f.contact})
		}
	}
	var contacts []*Contact
	for _, c := range candidates {
		contacts = append(contacts, c.contact)
	}
	warnings = append(warnings, opts.checkNetworks(contacts)...)
	notes = append(opts.uncovered(contacts), sharedOwners(contacts)...)
	exporters, missing := readExporters(files, site)
	problems = append(problems, missing...)
	for _, c := range exporters {
		closed = closed || site.ReadSecret == nil && slices.ContainsFunc(c.Exporters, func(e Exporter) bool { return e.Username != "" })
	}
	if closed {
		notes = append(notes, "some secrets or encrypted values are not at hand here, they were checked in structure only")
	}
	lint := base != nil
	version := opts.AlertmanagerVersion
	if base == nil {
		base = map[string][]byte{MainFile: []byte(anyBase)}
		version = cmp.Or(version, libraryVersion)
	}
	b, baseProblems := opts.readMainFile(base, version)
	problems = append(problems, baseProblems...)
	problems = append(problems, reservedTemplates(base, func(p string) string { return filepath.Join(opts.BaseDir, p) })...)
	if baseProblems.Len() == 0 {
		warnings = append(warnings, b.warnings...)
		warnings = append(warnings, manySubscribers(opts.Contacts.Dir, candidates)...)
		if lint {
			warnings = append(warnings, b.lint(site, time.Now())...)
		}
		if len(candidates) > 0 {
			warnings = append(warnings, b.sharedInhibitions(site)...)
			warnings = append(warnings, sharedAddresses(candidates)...)
		}
		m, err := b.merge(candidates, site)
		if err != nil {
			problems = append(problems, noPosition(b.file, err.Error()))
		}
		for _, rejected := range m.rejected {
			problems = append(problems, rejected...)
		}
	}
	problems.Sort()
	warnings.Sort()
	return problems, warnings, notes
}

// atHand returns the site with those secrets, keys and credentials that are here.
func (o *Options) atHand(s Site) Site {
	open := o.withSecrets(s)
	if _, err := os.Stat(s.SecretsDir); err == nil {
		s.ReadSecret = open.ReadSecret
	}
	if _, err := os.Stat(o.Contacts.AgeIdentityFile); err == nil {
		s.Decrypt = open.Decrypt
	}
	if o.Phone != nil {
		if _, err := os.Stat(o.Phone.credentialFile()); err == nil {
			s.readCredential = open.readCredential
		}
	}
	return s
}

// anyBase stands in for the base where there is none: it has all that contact methods rest on.
const anyBase = `
global:
  smtp_smarthost: localhost:25
  smtp_from: alertmanager@example.invalid
  slack_api_url: https://example.invalid/
  telegram_bot_token: any
  mattermost_webhook_url: https://example.invalid/
route: {receiver: base}
receivers: [{name: base}]
`

// sharedInhibitions warns about inhibit rules by which an alert of one operator mutes another's.
func (b *base) sharedInhibitions(site Site) scanner.ErrorList {
	r := reader{file: b.file}
	rules := get(b.doc.Content[0], "inhibit_rules")
	for i, rule := range b.config.InhibitRules {
		if !slices.Contains(rule.Equal, site.IdentityLabel) && i < len(rules.Content) {
			r.fail(rules.Content[i], "inhibit rule without %q in equal: an alert of one operator mutes those of others", site.IdentityLabel)
		}
	}
	return r.problems
}
