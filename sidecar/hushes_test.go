package sidecar

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

// Hushes are kept wherever Alertmanager or its silences are looked after, as long as that runs: one pass can't keep
// anything.
func TestWhereHushesAreKept(t *testing.T) {
	am := servertest.Alertmanager(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "alertmanager.yml"), []byte("route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte("global: {}\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "silences.yaml"), []byte("silences: []\n"), 0o644))
	config := filepath.Join(dir, "stoker.yml")
	must(t, os.WriteFile(config, []byte("alertmanager: { url: "+am.URL()+", config_file: alertmanager.yml }\n"+
		"prometheus: { url: http://127.0.0.1:1, config_file: prometheus.yml }\n"+
		"silencing: { file: silences.yaml, owner: team }\n"), 0o644))
	cfg, err := LoadConfig(config)
	must(t, err)
	for _, test := range []struct {
		o    Options
		kept bool
	}{
		{Options{}, true},
		{Options{Agents: []string{"alertmanager"}}, true},
		{Options{Agents: []string{"silencing"}}, true},
		{Options{Agents: []string{"prometheus"}}, false},
		{Options{PublishOnly: true}, false},
	} {
		s, err := New(cfg, test.o)
		must(t, err)
		if kept := slices.ContainsFunc(s.loops, func(l *loop) bool { return l.name == agentHushes }); kept != test.kept {
			t.Errorf("%+v: kept is %t", test.o, kept)
		}
	}
	s, err := New(cfg, Options{Agents: []string{"silencing"}})
	must(t, err)
	results, err := s.SyncOnce(t.Context())
	must(t, err)
	if len(results) != 1 || results[0].Agent != agentSilencing {
		t.Errorf("results are %+v", results)
	}
}
