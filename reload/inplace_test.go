package reload_test

import (
	"context"
	"fmt"
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

// inPlace makes an agent for a main file that a server reads where it is.
func (b *bench) inPlace(kind func(reload.Config, reload.Options) (*reload.Agent, error), file, url string) *reload.Agent {
	b.t.Helper()
	cfg := reload.DefaultConfig()
	cfg.URL, cfg.ConfigFile, cfg.Settle = url, filepath.Join(b.source, file), model.Duration(0)
	a, err := kind(cfg, reload.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// reloads is how many reloads passed a proxy.
func reloads(p *servertest.Proxy) int { return p.Count("POST", "/-/reload") }

// A config_file is watched with everything that it refers to, wherever that is; a bad one is never sent, what the
// server refuses is said and not sent again, and nothing is written.
func TestConfigFileInPlace(t *testing.T) {
	t.Parallel()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere.rules")
	must(t, os.WriteFile(elsewhere, []byte(goodRules), 0o644))
	main := "rule_files: [more/*.yml, " + elsewhere + "]\nscrape_configs:\n- job_name: one\n  file_sd_configs: [{ files: [targets/*.json] }]\n"
	b := newBench(t, map[string]string{"prom.yaml": main, "unrelated": "x"})
	server := servertest.Prometheus(t, servertest.Binary("prometheus-2.53"), servertest.ConfigFile(filepath.Join(b.source, "prom.yaml")))
	proxy := servertest.NewProxy(t, server.URL())
	a := b.inPlace(reload.NewPrometheus, "prom.yaml", proxy.URL())

	mustSync(t, a, true) // it had not looked at the file before
	mustSync(t, a, false)
	sent := reloads(proxy)
	b.write("unrelated", "y")
	mustSync(t, a, false)
	if n := reloads(proxy); n != sent {
		t.Errorf("%d reloads for a file that isn't referred to", n-sent)
	}

	// A rule file joins by a pattern, and the one outside changes.
	b.write("more/new.yml", strings.ReplaceAll(goodRules, "name: up", "name: joined"))
	mustSync(t, a, true)
	must(t, os.WriteFile(elsewhere, []byte(strings.ReplaceAll(goodRules, "name: up", "name: outside")), 0o644))
	mustSync(t, a, true)
	rules := get(t, server.URL()+"/api/v1/rules")
	for _, group := range []string{`"name":"joined"`, `"name":"outside"`} {
		if !strings.Contains(rules, group) {
			t.Errorf("%s is not among the rules %s", group, rules)
		}
	}

	sent = reloads(proxy)
	must(t, os.WriteFile(elsewhere, []byte("groups: 1\n"), 0o644))
	_, err := sync(t, a)
	if err == nil || !strings.HasPrefix(err.Error(), elsewhere+":1:") {
		t.Errorf("error is %v", err)
	}
	if n := reloads(proxy); n != sent {
		t.Errorf("%d reloads of a bad file", n-sent)
	}
	must(t, os.WriteFile(elsewhere, []byte(goodRules), 0o644))
	mustSync(t, a, true)

	// 2.53 refuses what the libraries know.
	sent = reloads(proxy)
	b.write("prom.yaml", main+"  fallback_scrape_protocol: PrometheusText0.0.4\n")
	_, err = sync(t, a)
	if err == nil || !strings.Contains(err.Error(), "fallback_scrape_protocol not found") || !strings.Contains(err.Error(), "the file stays as it is") {
		t.Errorf("error is %v", err)
	}
	if _, err := sync(t, a); err == nil || !strings.Contains(err.Error(), "was refused") {
		t.Errorf("second pass returned %v", err)
	}
	if n := reloads(proxy); n != sent+1 {
		t.Errorf("%d reloads of a refused file", n-sent)
	}
	b.write("prom.yaml", main)
	mustSync(t, a, true)
	if s := a.Status(); s.Proved != s.Live || s.Live == "" {
		t.Errorf("status is %+v", s)
	}
	entries, err := os.ReadDir(b.source)
	must(t, err)
	for _, e := range entries {
		if e.Name() != "prom.yaml" && e.Name() != "unrelated" && e.Name() != "more" {
			t.Errorf("%s was written", e.Name())
		}
	}
}

// An Alertmanager whose configuration is a ConfigMap: each swap is one reload, an equal one is none.
func TestConfigFileInAVolume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := 0
	publish := func(main, tmpl string) {
		t.Helper()
		version++
		next := "..v" + strings.Repeat("i", version)
		must(t, os.Mkdir(filepath.Join(dir, next), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, next, "alertmanager.yml"), []byte(main), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, next, "a.tmpl"), []byte(tmpl), 0o644))
		old, _ := os.Readlink(filepath.Join(dir, "..data"))
		must(t, os.Symlink(next, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if old != "" {
			must(t, os.RemoveAll(filepath.Join(dir, old)))
		}
	}
	const main = "route: { receiver: a }\nreceivers: [{ name: a }]\ntemplates: ['*.tmpl']\n"
	publish(main, "one")
	for _, name := range []string{"alertmanager.yml", "a.tmpl"} {
		must(t, os.Symlink("..data/"+name, filepath.Join(dir, name)))
	}
	server := servertest.Alertmanager(t, servertest.ConfigFile(filepath.Join(dir, "alertmanager.yml")))
	proxy := servertest.NewProxy(t, server.URL())
	cfg := reload.DefaultConfig()
	// The settle time would outlast the test: a volume is read at once.
	cfg.URL, cfg.ConfigFile, cfg.Settle = proxy.URL(), filepath.Join(dir, "alertmanager.yml"), model.Duration(10*time.Minute)
	a, err := reload.NewAlertmanager(cfg, reload.Options{})
	must(t, err)
	mustSync(t, a, true)
	sent := reloads(proxy)
	publish(main, "two")
	mustSync(t, a, true)
	publish(main, "two")
	mustSync(t, a, false)
	publish("# edited\n"+main, "two")
	mustSync(t, a, true)
	if n := reloads(proxy) - sent; n != 2 {
		t.Errorf("%d reloads for two changes", n)
	}
	if s := a.Status(); s.Proved != s.Live {
		t.Errorf("status is %+v", s)
	}
}

// A reload loads a config_file as it is at that moment, so none is sent while that is a bad one: not for the good one
// before either, which the server hasn't got yet.
func TestBadConfigFileIsNeverSent(t *testing.T) {
	for name, lose := range map[string]func(*servertest.Proxy){
		"not ready": func(p *servertest.Proxy) {
			p.Intercept("GET", "/-/ready", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
			})
		},
		"lost": func(p *servertest.Proxy) {
			p.Intercept("POST", "/-/reload", func(http.ResponseWriter, *http.Request, http.Handler) { breakOff() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, map[string]string{"prom.yml": jobs("one"), "rules/up.yml": goodRules})
			server := servertest.Prometheus(t, servertest.ConfigFile(filepath.Join(b.source, "prom.yml")))
			proxy := servertest.NewProxy(t, server.URL())
			a := b.inPlace(reload.NewPrometheus, "prom.yml", proxy.URL())
			mustSync(t, a, true)
			lose(proxy)
			b.write("prom.yml", jobs("two"))
			if _, err := sync(t, a); err == nil {
				t.Fatal("no error")
			}
			proxy.Intercept("GET", "/-/ready", nil)
			proxy.Intercept("POST", "/-/reload", nil)
			a.Later(longerThanAReload)
			sent := reloads(proxy)
			b.write("prom.yml", "# a crash in the middle of a write\n")
			for range 2 {
				if _, err := sync(t, a); err == nil || !strings.Contains(err.Error(), "is empty") {
					t.Errorf("error is %v", err)
				}
			}
			if n := reloads(proxy) - sent; n != 0 {
				t.Errorf("%d reloads were sent with a bad file in place", n)
			}
			if config := get(t, server.URL()+"/api/v1/status/config"); !strings.Contains(config, "job_name: one") {
				t.Errorf("the server runs %s", config)
			}
			b.write("prom.yml", jobs("three"))
			mustSync(t, a, true)
			if config := get(t, server.URL()+"/api/v1/status/config"); !strings.Contains(config, "job_name: three") {
				t.Errorf("the server runs %s", config)
			}
		})
	}
}

// The files of a config_file are never of two versions: while the volume that holds them is swapped over and over, they
// are read until they were all the same before and after.
func TestConfigFileIsReadInOneVersion(t *testing.T) {
	dir := t.TempDir()
	volume := servertest.NewVolume(t, dir)
	publish := func(version int) {
		rules := fmt.Sprintf("groups: [{ name: v%d }]\n", version)
		volume.Publish(map[string]string{
			"prom.yml":    fmt.Sprintf("global: { external_labels: { v: v%d } }\nrule_files: [rules/*.yml]\n", version),
			"rules/a.yml": rules, "rules/b.yml": rules,
		})
	}
	publish(0)
	cfg := reload.DefaultConfig()
	cfg.URL, cfg.ConfigFile = "http://127.0.0.1:1", filepath.Join(dir, "prom.yml")
	a, err := reload.NewPrometheus(cfg, reload.Options{})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for version := 1; ctx.Err() == nil; version++ {
			publish(version)
		}
	}()
	defer func() { cancel(); <-done }()
	good := 0
	for range 200 {
		tree, _, err := a.Preview(t.Context())
		if err != nil {
			// Too fast to follow, and said so; or the check, which reads the files where they are, came later.
			continue
		}
		good++
		version := strings.TrimSuffix(strings.TrimPrefix(string(tree["rules/a.yml"]), "groups: [{ name: "), " }]\n")
		if !strings.Contains(string(tree["rules/b.yml"]), "name: "+version+" ") || !strings.Contains(string(tree["prometheus.yml"]), "v: "+version+" ") {
			t.Fatalf("read were %s", tree)
		}
	}
	if good == 0 {
		t.Error("no version was ever read")
	}
}
