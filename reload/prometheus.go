package reload

import (
	"go/scanner"
	"go/token"
	"path"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/file"
	"github.com/prometheus/prometheus/model/rulefmt"
	_ "github.com/prometheus/prometheus/plugins" // every service discovery that a valid file may mention
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2" // what upstream's types are made for
)

// prometheusFiles is the dialect of prometheus.yml.
type prometheusFiles struct{}

func (prometheusFiles) server() string { return "prometheus" }
func (prometheusFiles) main() string   { return "prometheus.yml" }

func (prometheusFiles) parse(filename string, data []byte, _ facts) error {
	_, err := loadPrometheus(filename, data)
	return err
}

func loadPrometheus(filename string, data []byte) (cfg *config.Config, err error) {
	err = guard(func() (err error) {
		cfg, err = config.Load(string(data), promslog.NewNopLogger())
		return err
	})
	return cfg, problems(filename, data, err).Err()
}

func (prometheusFiles) references(p, filename string, data []byte, _ facts) ([]reference, error) {
	// The paths of an included file are relative to its own folder.
	if p != (prometheusFiles{}).main() {
		var cfg config.ScrapeConfigs
		if err := guard(func() error { return yaml.Unmarshal(data, &cfg) }); err != nil || len(cfg.ScrapeConfigs) == 0 {
			return nil, nil // What it is and whether it loads is the check's business.
		}
		for _, c := range cfg.ScrapeConfigs {
			c.SetDirectory(marker)
		}
		return mentioned(&cfg, path.Dir(p)), nil
	}
	cfg, err := loadPrometheus(filename, data)
	if err != nil {
		return nil, err
	}
	var refs []reference
	add := func(use use, patterns []string) {
		for _, p := range patterns {
			clean := filepath.ToSlash(filepath.Clean(p))
			refs = append(refs, reference{pattern: clean, use: use, written: clean})
		}
	}
	add(useMember, cfg.RuleFiles)
	add(useInclude, cfg.ScrapeConfigFiles)
	cfg.RuleFiles, cfg.ScrapeConfigFiles = nil, nil
	cfg.SetDirectory(marker)
	return append(refs, mentioned(cfg, ".")...), nil
}

// mentioned lists the relative paths of a configuration whose own folder is dir, and marks those of file_sd.
func mentioned(cfg any, dir string) []reference {
	targets := map[string]bool{}
	for _, sd := range fileSDConfigs(cfg) {
		for _, f := range sd.Files {
			if rel, ok := relative(f); ok {
				targets[rel] = true
			}
		}
	}
	var refs []reference
	for _, rel := range relativePaths(cfg) {
		ref := reference{pattern: path.Join(dir, rel), written: rel}
		if targets[rel] {
			ref.use = useTargets
		}
		refs = append(refs, ref)
	}
	return refs
}

func (prometheusFiles) check(s staged) (warnings scanner.ErrorList, err error) {
	dir, tree, name := s.dir, s.files, s.name
	main := (prometheusFiles{}).main()
	var list scanner.ErrorList
	err = guard(func() error {
		cfg, err := config.LoadFile(s.main, false, promslog.NewNopLogger())
		if err != nil {
			list = append(list, problems(name(main), tree[main], unstage(err))...)
			return nil
		}
		if _, err := cfg.GetScrapeConfigs(); err != nil {
			p := mentionedPath(dir, tree, main, err)
			list = append(list, problems(name(p), tree[p], unstage(err))...)
		}
		for _, pattern := range cfg.RuleFiles {
			files, err := filepath.Glob(pattern)
			if err != nil {
				return err
			}
			for _, f := range files {
				rel := s.path(f)
				list = append(list, checkRules(name(rel), tree[rel], cfg)...)
			}
		}
		return nil
	})
	if err != nil {
		list.Add(token.Position{Filename: name(main), Line: 1, Column: 1}, err.Error())
	}
	return nil, list.Err()
}

// checkRules parses a rule file as the rule manager does, with every language feature that some server can
// have switched on: the server itself judges whether its own flags allow it.
func checkRules(filename string, data []byte, cfg *config.Config) (list scanner.ErrorList) {
	exprs := parser.NewParser(parser.Options{
		EnableExperimentalFunctions:  true,
		ExperimentalDurationExpr:     true,
		EnableExtendedRangeSelectors: true,
		EnableBinopFillModifiers:     true,
	})
	_, errs := rulefmt.Parse(data, false, cfg.GlobalConfig.MetricNameValidationScheme, exprs, promslog.NewNopLogger())
	for _, err := range errs {
		list = append(list, problems(filename, data, err)...)
	}
	return list
}

// fileSDConfigs returns the file_sd sections of a configuration.
func fileSDConfigs(cfg any) (found []*file.SDConfig) {
	walkValues(reflect.ValueOf(cfg), func(v reflect.Value) {
		if v.Kind() == reflect.Pointer {
			if sd, ok := v.Interface().(*file.SDConfig); ok {
				found = append(found, sd)
			}
		}
	})
	return found
}

// mentionedPath returns the path of the release that an error names, or main.
func mentionedPath(dir string, tree Tree, main string, err error) string {
	for _, p := range tree.Paths() {
		if p != main && strings.Contains(err.Error(), filepath.Join(dir, p)) {
			return p
		}
	}
	return main
}
