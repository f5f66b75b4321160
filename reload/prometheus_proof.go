package reload

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// prometheusState is what of a configuration Prometheus can be asked about, in a form that all versions share. Its
// printed YAML is no measure, because each version prints its own.
type prometheusState struct {
	// jobs are the scrape jobs of the main file by name.
	jobs map[string]scrapeJob
	// groups are the rules of the rule groups by path of the file and name of the group, as in "rules/a.yml: up".
	groups map[string][]rule
}

// scrapeJob holds what every version prints alike. Times are zero if they aren't known.
type scrapeJob struct {
	interval, timeout time.Duration
	path, scheme      string
	targets           []string
}

type rule struct{ kind, name, expr string }

type mainFile struct {
	ScrapeConfigs     []jobYAML `yaml:"scrape_configs"`
	ScrapeConfigFiles []string  `yaml:"scrape_config_files"`
	RuleFiles         []string  `yaml:"rule_files"`
}

type jobYAML struct {
	JobName  string `yaml:"job_name"`
	Interval string `yaml:"scrape_interval"`
	Timeout  string `yaml:"scrape_timeout"`
	Path     string `yaml:"metrics_path"`
	Scheme   string `yaml:"scheme"`
	Static   []struct {
		Targets []string `yaml:"targets"`
	} `yaml:"static_configs"`
}

type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Record string `yaml:"record"`
			Alert  string `yaml:"alert"`
			Expr   string `yaml:"expr"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func (m mainFile) jobs() map[string]scrapeJob {
	jobs := map[string]scrapeJob{}
	for _, c := range m.ScrapeConfigs {
		job := scrapeJob{path: c.Path, scheme: c.Scheme}
		// What isn't a time is zero, and then not compared.
		interval, _ := model.ParseDuration(c.Interval)
		timeout, _ := model.ParseDuration(c.Timeout)
		job.interval, job.timeout = time.Duration(interval), time.Duration(timeout)
		for _, s := range c.Static {
			job.targets = append(job.targets, s.Targets...)
		}
		jobs[c.JobName] = job
	}
	return jobs
}

// wanted reads the state that a checked release asks for. dir is the folder of the main file if that stays in place.
func wanted(dir string, tree Tree) (prometheusState, error) {
	data := tree[(prometheusFiles{}).main()]
	var main mainFile
	if err := yaml.Unmarshal(data, &main); err != nil {
		return prometheusState{}, err
	}
	state := prometheusState{jobs: main.jobs(), groups: map[string][]rule{}}
	// Upstream knows what a job inherits. A file for another version may not load here; its defaults are as unknown.
	var loaded *config.Config
	if err := guard(func() (err error) {
		loaded, err = config.Load(string(data), promslog.NewNopLogger())
		return err
	}); err == nil {
		for _, c := range loaded.ScrapeConfigs {
			job := state.jobs[c.JobName]
			job.interval, job.timeout = time.Duration(c.ScrapeInterval), time.Duration(c.ScrapeTimeout)
			job.path, job.scheme = c.MetricsPath, c.Scheme
			state.jobs[c.JobName] = job
		}
	} else {
		for name := range state.jobs {
			state.jobs[name] = scrapeJob{targets: state.jobs[name].targets}
		}
	}
	for _, p := range tree.globs(dir, main.RuleFiles) {
		var file ruleFile
		if err := yaml.Unmarshal(tree[p], &file); err != nil {
			return prometheusState{}, err
		}
		for _, g := range file.Groups {
			var rules []rule
			for _, r := range g.Rules {
				if r.Record != "" {
					rules = append(rules, rule{"recording", r.Record, r.Expr})
				} else {
					rules = append(rules, rule{"alerting", r.Alert, r.Expr})
				}
			}
			if len(rules) > 0 { // Prometheus doesn't tell of a group without rules.
				state.groups[p+": "+g.Name] = rules
			}
		}
	}
	return state, nil
}

// globs returns the paths of the tree that match some pattern, as written in a main file in dir.
func (t Tree) globs(dir string, patterns []string) (paths []string) {
	for _, pattern := range patterns {
		if path.IsAbs(pattern) && dir != "" {
			pattern = treePath(dir, pattern)
		}
		paths = append(paths, t.glob(path.Clean(pattern))...)
	}
	return paths
}

// running asks Prometheus for its state (/api/v1/status/config and /api/v1/rules), with the paths of the release.
func running(ctx context.Context, s *server, tree Tree) (prometheusState, error) {
	var config struct {
		Data struct {
			YAML string `json:"yaml"`
		} `json:"data"`
	}
	if err := s.getJSON(ctx, &config, "api", "v1", "status", "config"); err != nil {
		return prometheusState{}, err
	}
	var main mainFile
	if err := yaml.Unmarshal([]byte(config.Data.YAML), &main); err != nil {
		return prometheusState{}, fmt.Errorf("GET /api/v1/status/config: %w", err)
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Name  string `json:"name"`
				File  string `json:"file"`
				Rules []struct {
					Type  string `json:"type"`
					Name  string `json:"name"`
					Query string `json:"query"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := s.getJSON(ctx, &rules, "api", "v1", "rules"); err != nil {
		return prometheusState{}, err
	}
	state := prometheusState{jobs: main.jobs(), groups: map[string][]rule{}}
	for _, g := range rules.Data.Groups {
		var list []rule
		for _, r := range g.Rules {
			list = append(list, rule{r.Type, r.Name, r.Query})
		}
		if len(list) > 0 { // as some version may yet tell
			state.groups[pathOfRules(tree, g.File)+": "+g.Name] = list
		}
	}
	return state, nil
}

// pathOfRules returns the path in a release of a file that a server names by the path at which it sees it: the longest
// end of that path which is one of the release.
func pathOfRules(tree Tree, file string) string {
	for p := file; ; {
		if _, ok := tree[p]; ok {
			return p
		}
		_, rest, more := strings.Cut(p, "/")
		if !more {
			return path.Base(file)
		}
		p = rest
	}
}

func (s *server) getJSON(ctx context.Context, into any, path ...string) error {
	body, err := s.get(ctx, path...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET /%s: %w", strings.Join(path, "/"), err)
	}
	return nil
}

func (prometheusFiles) difference(ctx context.Context, s *server, _ loaded, dir string, tree Tree) (string, error) {
	want, err := wanted(dir, tree)
	if err != nil {
		return "", err
	}
	have, err := running(ctx, s, tree)
	if err != nil {
		return "", err
	}
	return want.difference(have), nil
}

// difference says how the state of a server differs from what a release asks for, "" if it doesn't.
func (want prometheusState) difference(have prometheusState) string {
	var parts []string
	for _, d := range []string{
		setDifference("scrape jobs", setOf(want.jobs), setOf(have.jobs)),
		setDifference("rule groups", setOf(want.groups), setOf(have.groups)),
	} {
		if d != "" {
			parts = append(parts, d)
		}
	}
	var jobs, groups []string
	for _, name := range slices.Sorted(maps.Keys(want.jobs)) {
		if job, ok := have.jobs[name]; ok && !want.jobs[name].like(job) {
			jobs = append(jobs, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.groups)) {
		if rules, ok := have.groups[name]; ok && !slices.EqualFunc(want.groups[name], rules, rule.like) {
			groups = append(groups, name)
		}
	}
	if len(jobs) > 0 {
		parts = append(parts, "scrape jobs with other settings: "+shorten(jobs))
	}
	if len(groups) > 0 {
		parts = append(parts, "rule groups with other rules: "+shorten(groups))
	}
	return strings.Join(parts, "; ")
}

// setOf returns the keys of a map.
func setOf[V any](m map[string]V) map[string]bool {
	set := map[string]bool{}
	for k := range m {
		set[k] = true
	}
	return set
}

// like compares what is known of both.
func (want scrapeJob) like(have scrapeJob) bool {
	return (want.interval == 0 || have.interval == 0 || want.interval == have.interval) &&
		(want.timeout == 0 || have.timeout == 0 || want.timeout == have.timeout) &&
		(want.path == "" || have.path == "" || want.path == have.path) &&
		(want.scheme == "" || have.scheme == "" || want.scheme == have.scheme) &&
		slices.Equal(want.targets, have.targets)
}

// like compares expressions by their meaning: a server prints them in a form of its own. One that only the server's
// version understands is taken for equal.
func (want rule) like(have rule) bool {
	if want.kind != have.kind || want.name != have.name {
		return false
	}
	if strings.TrimSpace(want.expr) == have.expr {
		return true
	}
	p := parser.NewParser(anyFeature())
	one, err := p.ParseExpr(want.expr)
	if err != nil {
		return true
	}
	other, err := p.ParseExpr(have.expr)
	return err != nil || one.String() == other.String()
}

// anyFeature accepts what some server can have switched on.
func anyFeature() parser.Options {
	return parser.Options{
		EnableExperimentalFunctions:  true,
		ExperimentalDurationExpr:     true,
		EnableExtendedRangeSelectors: true,
		EnableBinopFillModifiers:     true,
	}
}

// configFile asks Prometheus for its --config.file (/api/v1/status/flags).
func (s *server) configFile(ctx context.Context) string {
	var flags struct {
		Data map[string]string `json:"data"`
	}
	if s.name != (prometheusFiles{}).server() || s.getJSON(ctx, &flags, "api", "v1", "status", "flags") != nil {
		return ""
	}
	return flags.Data["config.file"]
}

// serving compares the scrape pools with the jobs of a release, included ones too (/api/v1/scrape_pools). It takes
// Prometheus up to five seconds after a reload to make the pools: the discovery manager's tick.
func (prometheusFiles) serving(ctx context.Context, s *server, dir string, tree Tree) (string, error) {
	var main mainFile
	if err := yaml.Unmarshal(tree[(prometheusFiles{}).main()], &main); err != nil {
		return "", err
	}
	want := setOf(main.jobs())
	for _, p := range tree.globs(dir, main.ScrapeConfigFiles) {
		var file mainFile
		if err := yaml.Unmarshal(tree[p], &file); err != nil {
			return "", err
		}
		maps.Copy(want, setOf(file.jobs()))
	}
	var pools struct {
		Data struct {
			ScrapePools []string `json:"scrapePools"`
		} `json:"data"`
	}
	if err := s.getJSON(ctx, &pools, "api", "v1", "scrape_pools"); err != nil {
		return "", err
	}
	have := map[string]bool{}
	for _, name := range pools.Data.ScrapePools {
		have[name] = true
	}
	return setDifference("scrape pools", want, have), nil
}
