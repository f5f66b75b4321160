package reload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/prometheus/alertmanager/config"
	commoncfg "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v2" // what upstream's types are made for
)

// alertmanagerFiles is the dialect of alertmanager.yml.
type alertmanagerFiles struct{}

func (alertmanagerFiles) server() string { return "alertmanager" }
func (alertmanagerFiles) main() string   { return "alertmanager.yml" }

func alertmanagerJudge(f facts) judge {
	return judge{server: "Alertmanager", library: alertmanagerLibrary, facts: f}
}

var alertmanagerType = reflect.TypeFor[config.Config]()

func (alertmanagerFiles) parse(filename string, data []byte, f facts) error {
	_, found := loadAlertmanager(filename, data, f)
	return found.errors.Err()
}

// loadAlertmanager loads a main file from memory, as config.LoadFile does before it resolves paths. The
// configuration is nil if there are errors, and also if a server of another version may understand what our
// libraries can't load.
func loadAlertmanager(filename string, data []byte, f facts) (cfg *config.Config, found findings) {
	j := alertmanagerJudge(f)
	err := guard(func() (err error) {
		cfg, err = config.Load(string(data))
		return err
	})
	if err == nil {
		err = nullIntegration(cfg)
	}
	if err == nil {
		return cfg, found
	}
	found = j.sort(problems(filename, data, err, alertmanagerType))
	if !j.lenient() {
		return nil, found
	}
	// Without strictness unknown keys are no errors, and what stands behind them is judged as well.
	cfg = &config.Config{}
	err = guard(func() error {
		err := yaml.Unmarshal(data, cfg)
		switch {
		case err != nil:
			return err
		case cfg.Route == nil:
			return errors.New("no route provided in config")
		case cfg.Route.Continue:
			return errors.New("cannot have continue in root route")
		}
		return nullIntegration(cfg)
	})
	if err != nil {
		found.add(j.sort(problems(filename, data, err, alertmanagerType)))
		cfg = nil
	}
	found.tidy()
	if len(found.errors) > 0 {
		return nil, found
	}
	return cfg, found
}

// nullIntegration is the error of a receiver with an empty entry. Upstream's Load lets some kinds of them pass, and
// LoadFile, and so a running Alertmanager, crashes when it resolves their paths.
func nullIntegration(cfg *config.Config) error {
	for _, r := range cfg.Receivers {
		v := reflect.ValueOf(r)
		for i := range v.NumField() {
			for j := 0; v.Field(i).Kind() == reflect.Slice && j < v.Field(i).Len(); j++ {
				if v.Field(i).Index(j).IsNil() {
					return fmt.Errorf("an empty entry %w", errCrash)
				}
			}
		}
	}
	return nil
}

func (alertmanagerFiles) references(p, filename string, data []byte, f facts, l *lastLoad) ([]reference, error) {
	if p != (alertmanagerFiles{}).main() {
		return nil, nil // Templates can't include files.
	}
	cfg, found := l.alertmanager(filename, data, f)
	if err := found.errors.Err(); err != nil {
		return nil, err
	}
	var refs []reference
	if cfg == nil {
		for _, s := range scalars(data) {
			if s.key == "templates" && s.Value != "" {
				clean := filepath.ToSlash(filepath.Clean(s.Value))
				refs = append(refs, reference{pattern: clean, use: useMember, written: clean})
			}
		}
		return refs, nil
	}
	for _, t := range cfg.Templates {
		clean := filepath.ToSlash(filepath.Clean(t))
		refs = append(refs, reference{pattern: clean, use: useMember, written: clean})
	}
	for _, out := range cfg.EventRecorder.FileOutputs {
		refs = append(refs, reference{pattern: filepath.ToSlash(filepath.Clean(out.Path)), use: useOutput, written: filepath.ToSlash(filepath.Clean(out.Path))})
	}
	parts := directories(cfg)
	setDirectories(parts, marker)
	for _, rel := range relativePaths(parts) {
		refs = append(refs, reference{pattern: rel, written: rel})
	}
	unmark(parts)
	return refs, nil
}

// directories are the parts of a configuration whose paths Alertmanager makes relative to the folder of its main file
// (resolveFilepaths in its config package), apart from those of templates and event files. It opens all others where
// it happens to run.
func directories(cfg *config.Config) (parts []commoncfg.DirectorySetter) {
	skip := map[*commoncfg.HTTPClientConfig]bool{}
	for _, r := range cfg.Receivers {
		for _, c := range r.IncidentioConfigs {
			skip[c.HTTPConfig] = c.HTTPConfig != cfg.Global.HTTPConfig
		}
	}
	walkPointers(reflect.ValueOf(cfg), func(c *commoncfg.HTTPClientConfig) {
		if !skip[c] {
			parts = append(parts, c)
		}
	})
	for _, out := range cfg.EventRecorder.KafkaOutputs {
		if out.TLSConfig != nil {
			parts = append(parts, out.TLSConfig)
		}
	}
	return parts
}

func setDirectories(parts []commoncfg.DirectorySetter, dir string) {
	for _, p := range parts {
		p.SetDirectory(dir)
	}
}

// difference compares the fingerprint of the main file. Templates are not part of it.
func (alertmanagerFiles) difference(_ context.Context, _ *server, l loaded, _ string, tree Tree) (string, error) {
	if want := configHash(tree[(alertmanagerFiles{}).main()]); l.hash != want {
		return fmt.Sprintf("alertmanager_config_hash is %.0f, not %.0f", l.hash, want), nil
	}
	return "", nil
}

// serving: Alertmanager is at work as soon as it has loaded a file.
func (alertmanagerFiles) serving(context.Context, *server, string, Tree) (string, error) {
	return "", nil
}
