package reload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// bench is an agent's surroundings in a test: a source folder, an output folder, and what is live in it.
type bench struct {
	t           *testing.T
	source, out string
}

func newBench(t *testing.T, files map[string]string) *bench {
	dir := t.TempDir()
	b := &bench{t: t, source: filepath.Join(dir, "source"), out: filepath.Join(dir, "out")}
	for p, content := range files {
		b.write(p, content)
	}
	return b
}

// write puts a file into the source folder, as an editor does; "" removes it.
func (b *bench) write(p, content string) {
	b.t.Helper()
	name := filepath.Join(b.source, p)
	if content == "" {
		if err := os.Remove(name); err != nil {
			b.t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) config(url string) reload.Config {
	cfg := reload.DefaultConfig()
	cfg.URL, cfg.SourceDir, cfg.OutputDir, cfg.Settle = url, b.source, b.out, model.Duration(0)
	return cfg
}

// publishOnly makes an agent that asks no server.
func (b *bench) publishOnly(kind func(reload.Config, reload.Options) (*reload.Agent, error), g reload.Generate) *reload.Agent {
	b.t.Helper()
	a, err := kind(b.config("http://127.0.0.1:1"), reload.Options{PublishOnly: true, Generate: g})
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// live returns the files of the live release with their content.
func (b *bench) live() map[string]string {
	b.t.Helper()
	files := map[string]string{}
	root, err := filepath.EvalSymlinks(filepath.Join(b.out, "live"))
	if errors.Is(err, fs.ErrNotExist) {
		return files
	} else if err != nil {
		b.t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(root, p)
		files[rel] = string(data)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return files
}

func sync(t *testing.T, a *reload.Agent) (bool, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return a.Sync(ctx)
}

func mustSync(t *testing.T, a *reload.Agent, wantChanged bool) {
	t.Helper()
	changed, err := sync(t, a)
	if err != nil {
		t.Fatal(err)
	}
	if changed != wantChanged {
		t.Fatalf("Sync reported changed %v, want %v", changed, wantChanged)
	}
}

const (
	goodMain  = "global: { scrape_interval: 1m }\nrule_files: [rules/*.yml]\nscrape_configs:\n- job_name: one\n  static_configs: [{ targets: ['127.0.0.1:1'] }]\n"
	otherMain = "global: { scrape_interval: 1m }\nrule_files: [rules/*.yml]\nscrape_configs:\n- job_name: two\n  static_configs: [{ targets: ['127.0.0.1:1'] }]\n"
	goodRules = "groups:\n- name: up\n  rules:\n  - alert: Down\n    expr: up == 0\n"
)

// A release holds the main file and what it refers to, and nothing else; it is published once.
func TestReleaseIsWhatTheMainFileRefersTo(t *testing.T) {
	b := newBench(t, map[string]string{
		"prometheus.yml":  "rule_files: [rules/*.yml]\nscrape_config_files: [scrape/*.yml]\nscrape_configs:\n- job_name: a\n  basic_auth: { username: u, password_file: secrets/a }\n  static_configs: [{ targets: ['127.0.0.1:1'] }]\n",
		"rules/up.yml":    goodRules,
		"rules/README.md": "not part of it",
		"scrape/b.yml":    "scrape_configs:\n- job_name: b\n  authorization: { credentials_file: tokens/b }\n",
		"scrape/tokens/b": "token",
		"secrets/a":       "password",
		"secrets/unused":  "no",
		"prometheus.yml~": "an editor's",
	})
	a := b.publishOnly(reload.NewPrometheus, nil)
	mustSync(t, a, true)
	want := []string{"prometheus.yml", "rules/up.yml", "scrape/b.yml", "scrape/tokens/b", "secrets/a"}
	live := b.live()
	for _, p := range want {
		if _, ok := live[p]; !ok {
			t.Errorf("%s is not in the release", p)
		}
	}
	if len(live) != len(want) {
		t.Errorf("the release holds %d files, want %d: %v", len(live), len(want), live)
	}
	info, err := os.Stat(filepath.Join(b.out, "live", "secrets", "a"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode of a file is %v, %v, want 0640", info.Mode(), err)
	}

	b.write("rules/README.md", "edited")
	mustSync(t, a, false)
	b.write("rules/up.yml", strings.ReplaceAll(goodRules, "Down", "Gone"))
	mustSync(t, a, true)
}

// What a generator makes is part of the release, readable by nobody else where it is stoker's own; and what it
// can't make leaves the live release alone.
func TestGeneratedFiles(t *testing.T) {
	b := newBench(t, map[string]string{"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\n"})
	var fail error
	var sawLive bool
	a := b.publishOnly(reload.NewAlertmanager, func(_ context.Context, from reload.Source) (map[string][]byte, error) {
		sawLive = from.Live != nil
		return map[string][]byte{
			"alertmanager.yml":       append([]byte("# generated\n"), from.Base["alertmanager.yml"]...),
			".stoker/contacts/a.yml": []byte("name: A\n"),
		}, fail
	})
	mustSync(t, a, true)
	if sawLive {
		t.Error("the generator was shown a live release before there was one")
	}
	live := b.live()
	if !strings.HasPrefix(live["alertmanager.yml"], "# generated\n") || live[".stoker/contacts/a.yml"] == "" {
		t.Errorf("live files are %v", live)
	}
	info, err := os.Stat(filepath.Join(b.out, "live", ".stoker", "contacts", "a.yml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of a contact is %v, %v, want 0600", info.Mode(), err)
	}
	fail = errors.New("no key")
	b.write("alertmanager.yml", "route: { receiver: b }\nreceivers: [{ name: b }]\n")
	if _, err := sync(t, a); err == nil || !strings.HasPrefix(err.Error(), "no key; keeping release ") {
		t.Errorf("error is %v", err)
	}
	if !sawLive {
		t.Error("the generator was not shown the live release")
	}
}

// Old releases go, but never the live one.
func TestOldReleasesArePruned(t *testing.T) {
	b := newBench(t, map[string]string{"prometheus.yml": goodMain})
	a := b.publishOnly(reload.NewPrometheus, nil)
	for i := range 9 {
		b.write("prometheus.yml", strings.ReplaceAll(goodMain, "one", fmt.Sprint("job", i)))
		mustSync(t, a, true)
	}
	entries, err := os.ReadDir(filepath.Join(b.out, "releases"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 6 {
		t.Errorf("%d releases are left", len(entries))
	}
	if !strings.Contains(b.live()["prometheus.yml"], "job8") {
		t.Errorf("live is %v", b.live())
	}
}

// servers runs a test against every version of a server that is supported.
func servers(t *testing.T, names []string, test func(t *testing.T, binary string)) {
	for _, n := range names {
		t.Run(n, func(t *testing.T) { t.Parallel(); test(t, n) })
	}
}

// prometheus publishes a first release, starts a real server on it, and returns an agent that reloads it.
func (b *bench) prometheus(binary string) (*servertest.Server, *reload.Agent) {
	b.t.Helper()
	mustSync(b.t, b.publishOnly(reload.NewPrometheus, nil), true)
	server := servertest.Prometheus(b.t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(b.out, "live", "prometheus.yml")))
	a, err := reload.NewPrometheus(b.config(server.URL()), reload.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return server, a
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPrometheusRunsTheRelease(t *testing.T) {
	servers(t, []string{"prometheus", "prometheus-2.53"}, func(t *testing.T, binary string) {
		b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
		server, a := b.prometheus(binary)
		mustSync(t, a, false) // it started from the release; the pass proves it
		if s := a.Status(); s.Proved != s.Live {
			t.Errorf("status is %+v", s)
		}
		b.write("prometheus.yml", otherMain)
		b.write("rules/up.yml", strings.ReplaceAll(goodRules, "name: up", "name: down"))
		mustSync(t, a, true)
		if rules := get(t, server.URL()+"/api/v1/rules"); !strings.Contains(rules, `"name":"down"`) {
			t.Errorf("rules are %s", rules)
		}
		if config := get(t, server.URL()+"/api/v1/status/config"); !strings.Contains(config, "job_name: two") {
			t.Errorf("config is %s", config)
		}
	})
}

// A server refuses what the libraries accept: 2.53 doesn't know a key of 3.x. The old release must be live on
// disk and in the server then.
func TestRefusedReleaseIsRolledBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	server, a := b.prometheus("prometheus-2.53")
	mustSync(t, a, false)
	good := a.Status().Live
	b.write("prometheus.yml", otherMain+"  fallback_scrape_protocol: PrometheusText0.0.4\n")
	changed, err := sync(t, a)
	if changed || err == nil {
		t.Fatalf("Sync returned %v, %v", changed, err)
	}
	for _, words := range []string{"prometheus refused release", "fallback_scrape_protocol not found", "went back to release " + good} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("error lacks %q: %v", words, err)
		}
	}
	if s := a.Status(); s.Live != good || s.Proved != good || s.Refused == "" {
		t.Errorf("status is %+v", s)
	}
	if config := get(t, server.URL()+"/api/v1/status/config"); !strings.Contains(config, "job_name: one") {
		t.Errorf("config is %s", config)
	}
	// It is not tried over and over, but at once when somebody asks for it, and the fix goes live at once.
	if _, err := sync(t, a); err == nil || !strings.Contains(err.Error(), "was refused") {
		t.Errorf("second pass returned %v", err)
	}
	b.write("prometheus.yml", otherMain)
	mustSync(t, a, true)
}

func TestAlertmanagerRunsTheRelease(t *testing.T) {
	servers(t, []string{"alertmanager", "alertmanager-0.27"}, func(t *testing.T, binary string) {
		b := newBench(t, map[string]string{
			"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\ntemplates: ['t/*.tmpl']\n",
			"t/a.tmpl":         `{{ define "x" }}one{{ end }}`,
		})
		mustSync(t, b.publishOnly(reload.NewAlertmanager, nil), true)
		server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(b.out, "live", "alertmanager.yml")))
		a, err := reload.NewAlertmanager(b.config(server.URL()), reload.Options{})
		if err != nil {
			t.Fatal(err)
		}
		mustSync(t, a, false)
		b.write("alertmanager.yml", "route: { receiver: b }\nreceivers: [{ name: b }]\ntemplates: ['t/*.tmpl']\n")
		mustSync(t, a, true)
		if status := get(t, server.URL()+"/api/v2/status"); !strings.Contains(status, "receiver: b") {
			t.Errorf("status is %s", status)
		}
		// A template is no part of the server's fingerprint; the time of its last load proves it.
		b.write("t/a.tmpl", `{{ define "x" }}two{{ end }}`)
		mustSync(t, a, true)
		mustSync(t, a, false)
		if s := a.Status(); s.Proved != s.Live {
			t.Errorf("status is %+v", s)
		}
	})
}

// A server that is away changes nothing on disk, and is served when it is back.
func TestServerAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	server, a := b.prometheus("prometheus")
	mustSync(t, a, false)
	server.Stop()
	b.write("prometheus.yml", otherMain)
	changed, err := sync(t, a)
	if !changed || err == nil || !strings.Contains(err.Error(), "prometheus is not ready") {
		t.Fatalf("Sync returned %v, %v", changed, err)
	}
	server.Restart()
	if config := get(t, server.URL()+"/api/v1/status/config"); !strings.Contains(config, "job_name: two") {
		t.Errorf("config is %s", config)
	}
	mustSync(t, a, false)
	if s := a.Status(); s.Proved != s.Live {
		t.Errorf("status is %+v", s)
	}
}

// One writer an output_dir; the second one learns whom to ask.
func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	unlock, err := reload.Lock(dir, "http://127.0.0.1:9096")
	if err != nil {
		t.Fatal(err)
	}
	var locked *reload.ErrLocked
	if _, err := reload.Lock(dir, ""); !errors.As(err, &locked) || locked.Address != "http://127.0.0.1:9096" {
		t.Errorf("second lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = reload.Lock(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
