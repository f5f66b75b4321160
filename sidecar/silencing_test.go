package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

const silencesFile = `silences:
- name: disk
  matchers: ['alertname="Disk"', 'severity="warning"']
  ends_at: %s
  comment: %s
`

// silencingSidecar returns one that only keeps silences, with the silences.yaml of a ConfigMap volume, and a
// function that swaps that for another text.
func silencingSidecar(t *testing.T, url string) (s *Sidecar, swap func(text string)) {
	t.Helper()
	dir := t.TempDir()
	volume := filepath.Join(dir, "volume")
	versions := 0
	swap = func(text string) {
		t.Helper()
		// As the kubelet does it: a new folder, and one rename of the link to it.
		version := fmt.Sprintf("..version_%d", versions)
		versions++
		must(t, os.MkdirAll(filepath.Join(volume, version), 0o755))
		must(t, os.WriteFile(filepath.Join(volume, version, "silences.yaml"), []byte(text), 0o644))
		must(t, os.Symlink(version, filepath.Join(volume, "..data_tmp")))
		must(t, os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")))
	}
	must(t, os.MkdirAll(volume, 0o755))
	must(t, os.Symlink("..data/silences.yaml", filepath.Join(volume, "silences.yaml")))

	config := filepath.Join(dir, "stoker.yml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `alertmanager:
  url: %s
  config_file: alertmanager.yml
  settle: 1d # nothing that is edited in place would ever be read
silencing:
  file: volume/silences.yaml
  owner: team
state_dir: state
`, url), 0o644))
	cfg, err := LoadConfig(config)
	must(t, err)
	s, err = New(cfg, Options{Agents: []string{"silencing"}})
	must(t, err)
	return s, swap
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSilencesOfASwappedVolumeCountAtOnce(t *testing.T) {
	am := servertest.Alertmanager(t)
	s, swap := silencingSidecar(t, am.URL())
	end := time.Now().Add(time.Hour).Format(time.RFC3339)
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for _, comment := range []string{"first", "second"} {
		swap(fmt.Sprintf(silencesFile, end, comment))
		_, err := s.SyncOnce(impatient)
		if fileErr := s.silencing.Status().FileError; !errors.Is(err, context.Canceled) || fileErr != nil {
			t.Errorf("%s: the file is waited for: %v, %v", comment, fileErr, err)
		}
		if result, err := s.SyncOnce(t.Context()); err != nil || result[0].Outcome != "success" {
			t.Fatalf("%+v, %v", result, err)
		}
		body, err := am.Get("/api/v2/silences")
		if err != nil || !strings.Contains(string(body), `"comment":"`+comment+" [") {
			t.Errorf("%s: %s, %v", comment, body, err)
		}
	}
}

func TestSilencesEditedInPlaceAreWaitedFor(t *testing.T) {
	s, _ := silencingSidecar(t, "http://127.0.0.1:1")
	must(t, os.Remove(s.cfg.Silencing.File))
	must(t, os.WriteFile(s.cfg.Silencing.File, []byte("silences: []\n"), 0o644))
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.SyncOnce(impatient)
	if fileErr := s.silencing.Status().FileError; !errors.Is(err, context.Canceled) || !errors.Is(fileErr, context.Canceled) {
		t.Errorf("not waited for: %v, %v", fileErr, err)
	}
}

func TestStateDirOfStokerYML(t *testing.T) {
	am := servertest.Alertmanager(t)
	s, swap := silencingSidecar(t, am.URL())
	swap(fmt.Sprintf(silencesFile, time.Now().Add(time.Hour).Format(time.RFC3339), "work"))
	_, err := s.SyncOnce(t.Context())
	must(t, err)

	var list []struct{ ID string }
	body, err := am.Get("/api/v2/silences")
	must(t, err)
	must(t, json.Unmarshal(body, &list))
	req, err := http.NewRequestWithContext(t.Context(), "DELETE", am.URL()+"/api/v2/silence/"+list[0].ID, nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()

	_, err = s.SyncOnce(t.Context())
	must(t, err)
	data, err := os.ReadFile(filepath.Join(s.cfg.StateDir, "silences-team.json"))
	if err != nil || !strings.Contains(string(data), list[0].ID) || !filepath.IsAbs(s.cfg.StateDir) {
		t.Errorf("%s: %s, %v", s.cfg.StateDir, data, err)
	}
}
