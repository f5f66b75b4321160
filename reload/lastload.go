package reload

import (
	"bytes"
	"reflect"
	"strings"

	"github.com/prometheus/alertmanager/config"
	commoncfg "github.com/prometheus/common/config"
)

// lastLoad remembers what Alertmanager's library made of a main file in a pass: to load it is most of what a pass with
// thousands of receivers costs, and three steps need it.
type lastLoad struct {
	data []byte
	cfg  *config.Config
}

// alertmanager is [loadAlertmanager]. It remembers what there is nothing to say about.
func (l *lastLoad) alertmanager(filename string, data []byte, f facts) (*config.Config, findings) {
	if l.cfg != nil && bytes.Equal(l.data, data) {
		return l.cfg, findings{}
	}
	cfg, found := loadAlertmanager(filename, data, f)
	*l = lastLoad{}
	if cfg != nil && len(found.warnings) == 0 {
		*l = lastLoad{data: data, cfg: cfg}
	}
	return cfg, found
}

// take returns the configuration that was made of a main file, with its paths in dir as config.LoadFile leaves them,
// and forgets it; nil if there is none.
func (l *lastLoad) take(data []byte, dir string) *config.Config {
	if l.cfg == nil || !bytes.Equal(l.data, data) {
		return nil
	}
	cfg := l.cfg
	*l = lastLoad{}
	inFolder(cfg, dir)
	return cfg
}

// inFolder makes the paths of a configuration absolute, as config.LoadFile does it for a main file in dir.
func inFolder(cfg *config.Config, dir string) {
	for i, t := range cfg.Templates {
		cfg.Templates[i] = commoncfg.JoinDir(dir, t)
	}
	for i := range cfg.EventRecorder.FileOutputs {
		out := &cfg.EventRecorder.FileOutputs[i]
		out.Path = commoncfg.JoinDir(dir, out.Path)
	}
	setDirectories(directories(cfg), dir)
}

// unmark makes paths relative again that have the marker.
func unmark(cfg any) {
	walkValues(reflect.ValueOf(cfg), func(v reflect.Value) {
		if v.Kind() != reflect.String || !strings.HasPrefix(v.String(), markerRoot) {
			return
		}
		if rel, ok := relative(v.String()); ok {
			v.SetString(rel)
		}
	})
}
