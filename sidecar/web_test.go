package sidecar

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// newTestSidecar returns a sidecar with a Prometheus whose files are good and that nobody runs.
func newTestSidecar(t *testing.T, files map[string]string) *Sidecar {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		servertest.WriteFile(t, filepath.Join(dir, "source", name), content)
	}
	cfg := reload.DefaultConfig()
	cfg.URL, cfg.SourceDir, cfg.OutputDir, cfg.Settle = "http://127.0.0.1:1", filepath.Join(dir, "source"), filepath.Join(dir, "out"), 0
	s, err := New(&Config{Prometheus: &cfg}, Options{PublishOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func request(t *testing.T, s *Sidecar, method, path string, header http.Header) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

// Ready means that every server has a checked release to start from, and the body says what each agent does.
func TestReadiness(t *testing.T) {
	s := newTestSidecar(t, map[string]string{"prometheus.yml": "global: {}\nrule_files: [gone.yml]\n"})
	if code, body := request(t, s, "GET", "/-/ready", nil); code != 503 || !strings.Contains(body, "prometheus: unknown") {
		t.Errorf("before the first pass: %d %s", code, body)
	}
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, body := request(t, s, "GET", "/-/ready", nil); code != 503 || !strings.Contains(body, "gone.yml") {
		t.Errorf("with a bad source: %d %s", code, body)
	}
	if err := os.WriteFile(filepath.Join(s.cfg.Prometheus.SourceDir, "prometheus.yml"), []byte("global: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, body := request(t, s, "GET", "/-/ready", nil); code != 200 || !strings.Contains(body, "prometheus: success") {
		t.Errorf("with a release: %d %s", code, body)
	}
}

func TestPages(t *testing.T) {
	s := newTestSidecar(t, map[string]string{"prometheus.yml": "global: {}\n"})
	for path, want := range map[string]string{
		"/":              "<h1>stoker is",
		"/releases":      "<h1>Releases</h1>",
		"/-/healthy":     "stoker is healthy.",
		"/api/v1/status": `"ready": false`,
		"/metrics":       "stoker_build_info",
	} {
		if code, body := request(t, s, "GET", path, nil); code != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d, lacks %q:\n%s", path, code, want, body)
		}
	}
	if code, _ := request(t, s, "GET", "/nothing", nil); code != 404 {
		t.Errorf("unknown path: %d", code)
	}
	if code, _ := request(t, s, "GET", "/-/sync", nil); code != 405 {
		t.Errorf("GET /-/sync: %d", code)
	}
}

// A page of another site can't start a pass in a visitor's name.
func TestSyncRefusesOtherSites(t *testing.T) {
	s := newTestSidecar(t, map[string]string{"prometheus.yml": "global: {}\n"})
	code, _ := request(t, s, "POST", "/-/sync", http.Header{"Sec-Fetch-Site": {"cross-site"}})
	if code != 403 {
		t.Errorf("cross-site POST: %d", code)
	}
}
