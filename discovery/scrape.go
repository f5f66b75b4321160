package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Where in a release of Prometheus the scrape jobs for contacts are.
const (
	scrapeDir  = "scrape"
	secretsDir = "secrets" // below scrapeDir; paths in a file there are relative to it

	// saidFile keeps what contacts with URLs said, without passwords, so that what
	// a quarantined one said last survives a restart.
	saidFile = ".stoker/exporters.json"
)

// ScrapeInclude is what has to stand under scrape_config_files in prometheus.yml.
const ScrapeInclude = scrapeDir + "/*.yml"

// ScrapeFile is the path, in a release of Prometheus, of the scrape jobs for one
// exporter of one contact. No contact's name has a dot, so no two have one file.
func ScrapeFile(contact, exporter string) string {
	return scrapeDir + "/" + contact + "." + exporter + ".yml"
}

func passwordFile(contact, exporter string) string {
	return secretsDir + "/" + contact + "." + exporter
}

// A Base is the hand-written prometheus.yml that scrape jobs are made for.
type Base struct {
	File string // for people
	Data []byte
}

// ScrapeJobs is what contacts add to a release of Prometheus.
type ScrapeJobs struct {
	// Files are by their paths in the release. Those in scrape/ hold the jobs, those
	// in scrape/secrets/ their passwords.
	Files map[string][]byte
	// Problems keep exporters of contacts from being scraped, and nothing else.
	Problems, Warnings scanner.ErrorList
}

// MakeScrapeJobs makes the scrape jobs for what contacts gave URLs for:
//
//	one for each exporter of a contact, and job of the base that reads the targets
//	of its networks: what the base's job is for everybody, with the contact's
//	password, for the contact's targets alone, and limited
//
// What contacts say is of said; askErr is why nobody knows. What a quarantined
// contact said last is in live, the live release, nil for none, and so is a
// password that isn't at hand. Equal input gives equal bytes. It is an error if
// live can't be read.
//
// A job of the base counts if it is in the base itself, its file_sd_configs read
// <targets_dir>/<network>.json, and it scrapes that address: not one that hands
// it to another exporter. Copied from it are interval, protocols, parameters, proxy,
// limits and relabelling, never a password, a header or TLS settings. Where there
// is none, Prometheus' own defaults hold.
//
// All jobs have the same file_sd_configs, because that makes Prometheus share one
// watch among them: each needs an inotify instance, of which a user has 128. The
// first relabelling rule keeps the contact's own targets, and the last ones put
// back what the base's rules made of the address.
func MakeScrapeJobs(cfg Config, base Base, said []Override, askErr error, live fs.FS) (ScrapeJobs, error) {
	last, err := readSaid(live)
	if err != nil {
		return ScrapeJobs{}, fmt.Errorf("live release: %w", err)
	}
	said = inForce(said, askErr, last)
	jobs := ScrapeJobs{Files: map[string][]byte{}}
	kept, err := writeSaid(said)
	if err != nil {
		return jobs, err
	}
	if kept == nil {
		return jobs, nil
	}
	jobs.Files[saidFile] = kept
	wanted := wantedJobs(cfg, said)
	if len(wanted) == 0 {
		return jobs, nil
	}
	b, problem := readBase(base)
	if problem == nil {
		problem = b.included(wanted[0])
	}
	switch {
	case problem != nil:
	case cfg.TargetsDir == "":
		problem = &scanner.Error{Msg: fmt.Sprintf("contacts have exporters behind URLs, such as %s of %s, and their targets need a discovery.targets_dir in stoker.yml", wanted[0].exporter.Name, wanted[0].contact)}
	case strings.Contains(cfg.TargetsDir, "*"):
		problem = &scanner.Error{Msg: fmt.Sprintf("discovery.targets_dir %q has a *, which Prometheus doesn't take in the path of a folder", cfg.TargetsDir)}
	}
	if problem != nil {
		jobs.Problems = append(jobs.Problems, problem)
		return jobs, nil
	}
	unread := map[string]bool{}
	for _, w := range wanted {
		if err := jobs.add(w, b, cfg.TargetsDir, live, unread); err != nil {
			return jobs, err
		}
	}
	for _, n := range cfg.Networks {
		if unread[n.Name] {
			jobs.Warnings.Add(b.position(nil), fmt.Sprintf("no scrape job here reads %s, so the exporters of contacts are scraped with defaults and without relabelling",
				filepath.Join(cfg.TargetsDir, n.Name+".json")))
		}
	}
	return jobs, nil
}

// inForce puts in what quarantined contacts said last.
func inForce(said []Override, askErr error, last []Override) (all []Override) {
	if askErr != nil {
		return last
	}
	seen := map[string]bool{}
	for _, o := range said {
		if seen[o.Contact] {
			continue
		}
		seen[o.Contact] = true
		if o.Quarantined {
			i := slices.IndexFunc(last, func(l Override) bool { return l.Contact == o.Contact })
			if i < 0 {
				continue
			}
			o = last[i]
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Override) int { return strings.Compare(a.Contact, b.Contact) })
	return all
}

// writeSaid returns what is to be remembered of contacts: those with URLs.
func writeSaid(said []Override) ([]byte, error) {
	var kept []Override
	for _, o := range said {
		o.Exporters = slices.DeleteFunc(slices.Clone(o.Exporters), func(e OwnExporter) bool { return e.URL == "" })
		if len(o.Exporters) > 0 {
			kept = append(kept, o)
		}
	}
	if kept == nil {
		return nil, nil
	}
	data, err := json.MarshalIndent(kept, "", "  ")
	return append(data, '\n'), err
}

// readSaid reads what was remembered. A damaged file is as good as none: it must not
// keep every later release from being made.
func readSaid(live fs.FS) (last []Override, err error) {
	if live == nil {
		return nil, nil
	}
	data, err := fs.ReadFile(live, saidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &last); err != nil {
		return nil, nil
	}
	return last, nil
}

// A wantedJob is one exporter of one contact that is scraped at a URL.
type wantedJob struct {
	contact  string
	exporter OwnExporter
	networks []string
	targets  int // at most
}

// wantedJobs lists what is to be scraped by jobs of its own: claims that stand by
// themselves on some network, by contact and exporter.
func wantedJobs(cfg Config, said []Override) (all []wantedJob) {
	used := map[slot]*wantedJob{} // by contact and exporter
	for _, n := range cfg.Networks {
		for _, c := range claims(n.Name, n.Exporters, said, true, nil) {
			if c.State != ClaimUsed || c.URL == "" {
				continue
			}
			key := slot{c.Contact, c.Exporter}
			w := used[key]
			if w == nil {
				w = &wantedJob{contact: c.Contact}
				used[key] = w
			}
			if !slices.Contains(w.networks, n.Name) {
				w.networks = append(w.networks, n.Name)
			}
			w.targets++
		}
	}
	for _, o := range said {
		for _, e := range o.Exporters {
			if w := used[slot{o.Contact, e.Name}]; w != nil && e.URL != "" {
				w.exporter = e
				all = append(all, *w)
			}
		}
	}
	slices.SortFunc(all, func(a, b wantedJob) int {
		return strings.Compare(ScrapeFile(a.contact, a.exporter.Name), ScrapeFile(b.contact, b.exporter.Name))
	})
	return all
}

// add makes the files of one exporter of one contact. Networks whose targets no job
// of the base reads are added to unread.
func (s *ScrapeJobs) add(w wantedJob, b *base, targetsDir string, live fs.FS, unread map[string]bool) error {
	if w.exporter.Username != "" {
		password, err := w.password(live)
		if err != nil {
			return err
		}
		if password == nil {
			s.Problems = append(s.Problems, &scanner.Error{Pos: w.exporter.Position,
				Msg: fmt.Sprintf("password of exporter %q of contact %s is not at hand, so it isn't scraped there", w.exporter.Name, w.contact)})
			return nil
		}
		s.Files[scrapeDir+"/"+passwordFile(w.contact, w.exporter.Name)] = password
	}
	var list []*yaml.Node
	served := map[string]bool{}
	for _, j := range b.jobs {
		networks := slices.DeleteFunc(slices.Clone(w.networks), func(n string) bool {
			return !j.reads(filepath.Join(targetsDir, n+".json")) || !j.wants(n, w.exporter.Name)
		})
		if len(networks) > 0 {
			list = append(list, w.job(j, networks, b.global, targetsDir))
		}
		for _, n := range networks {
			served[n] = true
		}
	}
	rest := slices.DeleteFunc(slices.Clone(w.networks), func(n string) bool { return served[n] })
	if len(rest) > 0 {
		list = append(list, w.job(nil, rest, b.global, targetsDir))
	}
	for _, n := range rest {
		unread[n] = true
	}
	var out bytes.Buffer
	out.WriteString(scrapeHeader)
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := errors.Join(enc.Encode(mapping("scrape_configs", list)), enc.Close()); err != nil {
		return err
	}
	s.Files[ScrapeFile(w.contact, w.exporter.Name)] = out.Bytes()
	return nil
}

const scrapeHeader = `# Generated by stoker from a contact and prometheus.yml. Do not edit: the next change of either
# writes it again.

`

// password returns what to write to the password's file; nil if it isn't known.
func (w *wantedJob) password(live fs.FS) ([]byte, error) {
	if w.exporter.Password.Known() {
		return []byte(w.exporter.Password.Reveal()), nil
	}
	if live == nil {
		return nil, nil
	}
	data, err := fs.ReadFile(live, path.Join(scrapeDir, passwordFile(w.contact, w.exporter.Name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// limits is what a stranger's exporter may cost, where the base says nothing else.
var limits = [...]struct{ key, value string }{
	{"body_size_limit", "10MB"},
	{"sample_limit", "20000"},
	{"label_limit", "64"},
	{"label_name_length_limit", "256"},
	{"label_value_length_limit", "1024"},
}

// job writes one scrape job. like is the base's one, nil for none.
func (w *wantedJob) job(like *baseJob, networks []string, global map[string]*yaml.Node, targetsDir string) *yaml.Node {
	name := "stoker/" + w.contact + "/" + w.exporter.Name
	if like != nil {
		name += "/" + like.name
	}
	pairs := []any{"job_name", name}
	if like != nil {
		for _, key := range copied {
			if n := like.settings[key]; n != nil {
				pairs = append(pairs, key, n)
			}
		}
	}
	pairs = append(pairs, "scheme", "https", "honor_labels", false, "honor_timestamps", false, "follow_redirects", false)
	if w.exporter.Username != "" {
		pairs = append(pairs, "basic_auth", mapping("username", w.exporter.Username, "password_file", passwordFile(w.contact, w.exporter.Name)))
	}
	for _, l := range limits {
		switch n := like.limit(l.key); {
		case n != nil:
			pairs = append(pairs, l.key, n)
		case global[l.key] == nil:
			pairs = append(pairs, l.key, &yaml.Node{Kind: yaml.ScalarNode, Value: l.value})
		}
	}
	pairs = append(pairs, "target_limit", w.targets, "keep_dropped_targets", 1,
		"file_sd_configs", []*yaml.Node{mapping("files", []string{filepath.Join(targetsDir, OwnedDir, "*.json")}, "refresh_interval", "1m")})

	quoted := make([]string, len(networks))
	for i, n := range networks {
		quoted[i] = regexp.QuoteMeta(n)
	}
	rules := []*yaml.Node{mapping(
		"source_labels", []string{labelContact, labelExporter, labelNetwork},
		"regex", w.contact+";"+regexp.QuoteMeta(w.exporter.Name)+";("+strings.Join(quoted, "|")+")",
		"action", "keep")}
	if like != nil {
		rules = append(rules, mapping("target_label", "job", "replacement", strings.ReplaceAll(like.name, "$", "$$")))
		rules = append(rules, like.relabelling...)
		for _, l := range [...]struct{ from, to string }{{labelAddress, "__address__"}, {labelOwnTLS, labelScheme}, {labelOwnPath, labelMetricsPath}} {
			rules = append(rules, mapping("source_labels", []string{l.from}, "target_label", l.to))
		}
	}
	pairs = append(pairs, "relabel_configs", rules)
	if like != nil && like.settings["metric_relabel_configs"] != nil {
		pairs = append(pairs, "metric_relabel_configs", like.settings["metric_relabel_configs"])
	}
	return mapping(pairs...)
}

// mapping makes a YAML mapping of alternating keys and values.
func mapping(pairs ...any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: pairs[i].(string)}
		m.Content = append(m.Content, key, value(pairs[i+1]))
	}
	return m
}

func value(v any) *yaml.Node {
	switch v := v.(type) {
	case *yaml.Node:
		return v
	case []*yaml.Node:
		return &yaml.Node{Kind: yaml.SequenceNode, Content: v}
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v, Style: yaml.DoubleQuotedStyle}
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range v {
			list.Content = append(list.Content, value(s))
		}
		return list
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
	}
}

func (b *base) position(n *yaml.Node) token.Position {
	pos := token.Position{Filename: b.file, Line: 1, Column: 1}
	if n != nil {
		pos.Line, pos.Column = n.Line, n.Column
	}
	return pos
}
