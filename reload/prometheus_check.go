package reload

import (
	"fmt"
	"go/scanner"
	"go/token"
	"path/filepath"
	"slices"
	"strings"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	yamlv2 "go.yaml.in/yaml/v2" // what upstream's types are made for
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

func (prometheusFiles) check(s staged) (warnings scanner.ErrorList, err error) {
	c := prometheusCheck{staged: s, promQL: newPromQL(prometheusJudge(s.facts)), jobs: map[string]token.Position{}}
	err = guard(func() error {
		c.run()
		return nil
	})
	if err != nil {
		c.errors = append(c.errors, problems(s.name((prometheusFiles{}).main()), s.files[(prometheusFiles{}).main()], err, nil)...)
	}
	c.tidy()
	return c.warnings, c.errors.Err()
}

// prometheusCheck is one check of a Prometheus release.
type prometheusCheck struct {
	staged
	promQL promQL
	findings
	// jobs holds the place in the release of every job name that is taken.
	jobs map[string]token.Position
}

func (c *prometheusCheck) run() {
	main := (prometheusFiles{}).main()
	filename, data := c.name(main), c.files[main]
	cfg, found := loadPrometheus(filename, data, c.facts)
	c.add(found)
	if cfg == nil {
		if len(found.errors) > 0 {
			return
		}
		// A server of another version may load it. What it refers to is judged all the same.
		cfg = unloaded(data)
	}
	cfg.SetDirectory(c.dir)
	doc := document(data)
	c.jobsIn(main, doc, cfg.ScrapeConfigs)
	c.clients(main, cfg)
	twice(&c.findings, filename, doc, "remote_write", cfg.RemoteWriteConfigs)
	twice(&c.findings, filename, doc, "remote_read", cfg.RemoteReadConfigs)
	c.serverSide(main, cfg)
	for _, p := range c.matches(cfg.ScrapeConfigFiles) {
		c.include(p, cfg.GlobalConfig)
	}
	scheme := cfg.GlobalConfig.MetricNameValidationScheme
	if scheme == model.UnsetValidation {
		scheme = model.UTF8Validation
	}
	for _, p := range c.matches(cfg.RuleFiles) {
		c.add(c.promQL.checkRules(c.name(p), c.files[p], scheme))
	}
	c.loadLikeTheServer(cfg)
}

// unloaded is what is known of a main file that our libraries can't load.
func unloaded(data []byte) *config.Config {
	cfg := &config.Config{}
	*cfg = config.DefaultConfig
	for _, ref := range referencesByKey(data) {
		switch ref.use {
		case useMember:
			cfg.RuleFiles = append(cfg.RuleFiles, ref.pattern)
		case useInclude:
			cfg.ScrapeConfigFiles = append(cfg.ScrapeConfigFiles, ref.pattern)
		}
	}
	return cfg
}

// matches returns the paths of the release that absolute patterns match, each once, in their order.
func (c *prometheusCheck) matches(patterns []string) (paths []string) {
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			continue // Gathering has said so.
		}
		for _, f := range files {
			if p := c.path(f); !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
	}
	return paths
}

// include judges a file of scrape_config_files, as GetScrapeConfigs of upstream's config does for all of them, but
// to the end and with positions.
func (c *prometheusCheck) include(p string, global config.GlobalConfig) {
	filename, data := c.name(p), c.files[p]
	cfg, found := loadScrapeConfigs(filename, data, c.facts)
	c.add(found)
	if cfg == nil {
		return
	}
	doc := document(data)
	jobs := jobNodes(doc)
	for i, job := range cfg.ScrapeConfigs {
		at := doc
		if i < len(jobs) {
			at = jobs[i]
		}
		if err := guard(func() error { return job.Validate(global) }); err != nil {
			if n := quotedNode(at, err.Error()); n != nil {
				at = n
			}
			c.add(c.promQL.sort(scanner.ErrorList{{Pos: strictyaml.Position(filename, at), Msg: err.Error()}}))
		}
		if job != nil {
			job.SetDirectory(filepath.Join(c.dir, filepath.FromSlash(filepath.Dir(p))))
		}
	}
	jobsOnly := slices.DeleteFunc(slices.Clone(cfg.ScrapeConfigs), func(j *config.ScrapeConfig) bool { return j == nil })
	c.jobsIn(p, doc, jobsOnly)
	for _, job := range jobsOnly {
		c.client(p, "job "+job.JobName, job.JobName, job.HTTPClientConfig)
	}
	c.serverSide(p, jobsOnly)
}

// jobNodes returns the scrape configs of a file as they are written.
func jobNodes(doc *yaml.Node) []*yaml.Node {
	if doc == nil {
		return nil
	}
	if jobs := value(doc, "scrape_configs"); jobs != nil && jobs.Kind == yaml.SequenceNode {
		return jobs.Content
	}
	return nil
}

// jobsIn notes where the names of jobs are taken. Upstream finds a name twice in the main file by itself.
func (c *prometheusCheck) jobsIn(p string, doc *yaml.Node, jobs []*config.ScrapeConfig) {
	places := map[string][]token.Position{}
	for _, n := range jobNodes(doc) {
		if name := value(n, "job_name"); name != nil {
			places[name.Value] = append(places[name.Value], strictyaml.Position(c.name(p), name))
		}
	}
	for _, job := range jobs {
		pos := token.Position{Filename: c.name(p), Line: 1, Column: 1}
		if found := places[job.JobName]; len(found) > 0 {
			pos, places[job.JobName] = found[0], found[1:]
		}
		if first, taken := c.jobs[job.JobName]; taken {
			c.errors.Add(pos, fmt.Sprintf("found multiple scrape configs with job name %q, first found in %s", job.JobName, first))
			continue
		}
		c.jobs[job.JobName] = token.Position{Filename: c.short(p), Line: pos.Line, Column: pos.Column}
	}
}

// twice finds entries of a list that look the same to the server, which refuses them when it applies the file: it
// compares them without their secrets (toHash in storage/remote).
func twice[T any](found *findings, filename string, doc *yaml.Node, key string, entries []T) {
	seen := map[string]bool{}
	for i, entry := range entries {
		text, err := yamlv2.Marshal(entry)
		if err == nil && seen[string(text)] {
			pos := token.Position{Filename: filename, Line: 1, Column: 1}
			if list := value(doc, key); list != nil && i < len(list.Content) {
				pos = strictyaml.Position(filename, list.Content[i])
			}
			found.errors.Add(pos, "differs from an entry before at most in its secrets, and the server takes only one of such: give it a name of its own")
		}
		seen[string(text)] = true
	}
}

// short names a file within a message that is about another one.
func (c *prometheusCheck) short(p string) string {
	if p == (prometheusFiles{}).main() {
		return filepath.Base(c.name(p))
	}
	return p
}

// clients builds the HTTP clients that the server builds. With a certificate that is none it refuses the file, or, for
// a job that is new to it, logs an error and never scrapes it. Service discovery is left out: of what it needs, such as
// the files of a cluster, much is only where the server runs.
func (c *prometheusCheck) clients(main string, cfg *config.Config) {
	for _, job := range cfg.ScrapeConfigs {
		c.client(main, "job "+job.JobName, job.JobName, job.HTTPClientConfig)
	}
	for _, rw := range cfg.RemoteWriteConfigs {
		c.client(main, "remote_write", rw.URL.String(), rw.HTTPClientConfig)
	}
	for _, rr := range cfg.RemoteReadConfigs {
		c.client(main, "remote_read", rr.URL.String(), rr.HTTPClientConfig)
	}
	for _, am := range cfg.AlertingConfig.AlertmanagerConfigs {
		c.client(main, "alerting", "", am.HTTPClientConfig)
	}
	c.client(main, "tracing", cfg.TracingConfig.Endpoint, commoncfg.HTTPClientConfig{TLSConfig: cfg.TracingConfig.TLSConfig})
}

// client builds one client. value is what the section is recognised by in the file.
func (c *prometheusCheck) client(p, what, value string, cfg commoncfg.HTTPClientConfig) {
	_, err := commoncfg.NewClientFromConfig(cfg, "stoker_check")
	if err == nil || c.outside(cfg.TLSConfig) {
		return
	}
	files := []string{cfg.TLSConfig.CAFile, cfg.TLSConfig.CertFile, cfg.TLSConfig.KeyFile}
	pos := place(c.name(p), c.files[p], func(s scalar) bool {
		return s.Value != "" && strings.HasSuffix(s.key, "_file") && slices.Contains(files, filepath.Join(c.dir, filepath.Dir(p), s.Value))
	})
	if pos.Line == 1 && pos.Column == 1 && value != "" {
		pos = place(c.name(p), c.files[p], func(s scalar) bool { return s.Value == value })
	}
	c.errors.Add(pos, what+": "+c.inRelease(err.Error()))
}

// outside reports whether a client needs a file that isn't part of the release, but the server's own. Then only the
// server can tell whether it can build the client.
func (s staged) outside(cfg commoncfg.TLSConfig) bool {
	return slices.ContainsFunc([]string{cfg.CAFile, cfg.CertFile, cfg.KeyFile}, func(f string) bool {
		return f != "" && filepath.IsAbs(s.path(f))
	})
}

// inRelease writes the paths of a message as they stand in the files.
func (s staged) inRelease(msg string) string { return strings.ReplaceAll(msg, s.dir+"/", "") }

func (c *prometheusCheck) serverSide(p string, cfg any) {
	c.warnings = append(c.warnings, c.aboutFiles(p, cfg, c.missing)...)
}

// loadLikeTheServer loads the release once more with the very functions that the server calls, in case they find
// something that the steps above don't.
func (c *prometheusCheck) loadLikeTheServer(cfg *config.Config) {
	if len(c.errors) > 0 || c.promQL.lenient() {
		return
	}
	if _, err := cfg.GetScrapeConfigs(); err != nil {
		p := c.mentionedPath(err)
		file := &written{name: c.name(p), data: c.files[p]}
		c.errors.Add(file.locate(err.Error(), nil), c.inRelease(err.Error()))
	}
}

// mentionedPath returns the path of the release that an error names, or that of the main file.
func (s staged) mentionedPath(err error) string {
	for _, p := range s.files.Paths() {
		if p != (prometheusFiles{}).main() && strings.Contains(err.Error(), filepath.Join(s.dir, p)) {
			return p
		}
	}
	return (prometheusFiles{}).main()
}
