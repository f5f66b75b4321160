package reload

import (
	"path"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/file"
	_ "github.com/prometheus/prometheus/plugins" // every service discovery that a valid file may mention
	"go.yaml.in/yaml/v2"                         // what upstream's types are made for
)

// prometheusFiles is the dialect of prometheus.yml.
type prometheusFiles struct{}

func (prometheusFiles) server() string { return "prometheus" }
func (prometheusFiles) main() string   { return "prometheus.yml" }

func prometheusJudge(f facts) judge {
	return judge{server: "Prometheus", library: prometheusLibrary, facts: f}
}

var (
	prometheusType    = reflect.TypeFor[config.Config]()
	scrapeConfigsType = reflect.TypeFor[config.ScrapeConfigs]()
)

func (prometheusFiles) parse(filename string, data []byte, f facts) error {
	_, found := loadPrometheus(filename, data, f)
	return found.errors.Err()
}

// loadPrometheus loads a main file from memory, as config.LoadFile does before it resolves paths. The configuration
// is nil if there are errors, and also if a server of another version may understand what our libraries can't load.
func loadPrometheus(filename string, data []byte, f facts) (cfg *config.Config, found findings) {
	err := guard(func() (err error) {
		cfg, err = config.Load(string(data), promslog.NewNopLogger())
		return err
	})
	if err == nil {
		return cfg, found
	}
	found = prometheusJudge(f).sort(problems(filename, data, err, prometheusType))
	if !prometheusJudge(f).lenient() {
		return nil, found
	}
	// Without strictness unknown keys are no errors, and what stands behind them is judged as well.
	cfg = &config.Config{}
	*cfg = config.DefaultConfig
	if err := guard(func() error { return yaml.Unmarshal(data, cfg) }); err != nil {
		found.add(prometheusJudge(f).sort(problems(filename, data, err, prometheusType)))
		cfg = nil
	}
	found.tidy()
	if len(found.errors) > 0 {
		return nil, found
	}
	return cfg, found
}

// loadScrapeConfigs does the same for a file of scrape_config_files.
func loadScrapeConfigs(filename string, data []byte, f facts) (cfg *config.ScrapeConfigs, found findings) {
	cfg = &config.ScrapeConfigs{}
	err := guard(func() error { return yaml.UnmarshalStrict(data, cfg) })
	if err == nil {
		return cfg, found
	}
	found = prometheusJudge(f).sort(problems(filename, data, err, scrapeConfigsType))
	if !prometheusJudge(f).lenient() {
		return nil, found
	}
	cfg = &config.ScrapeConfigs{}
	if err := guard(func() error { return yaml.Unmarshal(data, cfg) }); err != nil {
		found.add(prometheusJudge(f).sort(problems(filename, data, err, scrapeConfigsType)))
		cfg = nil
	}
	found.tidy()
	return cfg, found
}

func (prometheusFiles) references(p, filename string, data []byte, f facts, _ *lastLoad) ([]reference, error) {
	// The paths of an included file are relative to its own folder.
	if p != (prometheusFiles{}).main() {
		cfg, _ := loadScrapeConfigs(filename, data, f)
		if cfg == nil {
			return nil, nil // What it is and whether it loads is the check's business.
		}
		for _, c := range cfg.ScrapeConfigs {
			if c != nil {
				c.SetDirectory(marker)
			}
		}
		return mentioned(cfg, path.Dir(p)), nil
	}
	cfg, found := loadPrometheus(filename, data, f)
	if err := found.errors.Err(); err != nil {
		return nil, err
	}
	if cfg == nil {
		return referencesByKey(data), nil
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

// mentioned lists the relative paths of a configuration whose own folder is dir, and marks those of file_sd and of
// logs.
func mentioned(cfg any, dir string) []reference {
	uses := map[string]use{}
	for _, sd := range fileSDConfigs(cfg) {
		for _, f := range sd.Files {
			if rel, ok := relative(f); ok {
				uses[rel] = useTargets
			}
		}
	}
	walkFields(cfg, func(key string, v reflect.Value) {
		if rel, ok := relative(v.String()); ok && writtenByServer(key) {
			uses[rel] = useOutput
		}
	})
	var refs []reference
	for _, rel := range relativePaths(cfg) {
		refs = append(refs, reference{pattern: path.Join(dir, rel), written: rel, use: uses[rel]})
	}
	return refs
}

// writtenByServer reports whether a key names a file that Prometheus writes to.
func writtenByServer(key string) bool {
	return key == "query_log_file" || key == "scrape_failure_log_file"
}

// referencesByKey finds the references in a main file that our libraries can't load, and that a server of another
// version may: by the names of keys.
func referencesByKey(data []byte) (refs []reference) {
	for _, s := range scalars(data) {
		ref := reference{pattern: path.Clean(s.Value), written: path.Clean(s.Value)}
		switch {
		case s.Value == "":
			continue
		case s.key == "rule_files":
			ref.use = useMember
		case s.key == "scrape_config_files":
			ref.use = useInclude
		case s.key == "files":
			ref.use = useTargets
		case writtenByServer(s.key):
			ref.use = useOutput
		case !strings.HasSuffix(s.key, "_file"):
			continue
		}
		refs = append(refs, ref)
	}
	return refs
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
