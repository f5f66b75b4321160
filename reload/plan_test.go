package reload_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// plan plans with a new agent, as the command does.
func (b *bench) plan(kind func(reload.Config, reload.Options) (*reload.Agent, error), cfg reload.Config) reload.Planned {
	b.t.Helper()
	a, err := kind(cfg, reload.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	return a.Plan(b.t.Context())
}

// changedFiles describes the changes of a plan.
func changedFiles(p reload.Planned) (all []string) {
	for _, f := range p.Files {
		all = append(all, string(f.Change)+f.Path)
	}
	return all
}

// What a plan says is what the next pass does: it names the release, tells whether a reload is sent, and sends none.
func TestPlanIsWhatAPassDoes(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	mustSync(t, b.publishOnly(reload.NewPrometheus, nil), true)
	server := servertest.Prometheus(t, servertest.ConfigFile(filepath.Join(b.out, "live", "prometheus.yml")))
	proxy := servertest.NewProxy(t, server.URL())
	cfg := b.config(proxy.URL())
	for _, c := range []struct {
		what   string
		do     func()
		files  []string
		reload reload.Reload // "": whatever it says, as long as that is done
		runs   reload.Runs
		bad    string
	}{
		{"a server has just started", func() {}, nil, "", reload.RunsRelease, ""},
		{"nothing changes", func() {}, nil, reload.ReloadNone, reload.RunsRelease, ""},
		{"a rule changes, a file comes", func() {
			b.write("rules/up.yml", strings.ReplaceAll(goodRules, "== 0", "< 1"))
			b.write("rules/new.yml", strings.ReplaceAll(goodRules, "name: up", "name: new"))
		}, []string{"+rules/new.yml", "~rules/up.yml"}, reload.ReloadSent, reload.RunsRelease, ""},
		{"a file goes", func() { b.write("rules/new.yml", "") }, []string{"-rules/new.yml"}, reload.ReloadSent, reload.RunsRelease, ""},
		{"a rule is bad", func() { b.write("rules/up.yml", strings.ReplaceAll(goodRules, "== 0", "==")) }, nil, reload.ReloadNone, reload.RunsRelease,
			"rules/up.yml:5:16: "},
		{"a variable isn't set", func() {
			b.write("rules/up.yml", goodRules)
			b.write("prometheus.yml", strings.ReplaceAll(goodMain, "1m", "$(NOT_SET_HERE)"))
			cfg.ExpandEnv = []string{"prometheus.yml"}
		}, nil, reload.ReloadNone, reload.RunsRelease, "environment variable NOT_SET_HERE isn't set"},
		{"the server runs something else", func() {
			b.write("prometheus.yml", goodMain)
			mustSync(t, mustNew(t, cfg), true)
			live := filepath.Join(b.out, "live", "prometheus.yml")
			must(t, os.WriteFile(live, []byte(otherMain), 0o644))
			server.Restart()
			must(t, os.WriteFile(live, []byte(goodMain), 0o644))
		}, nil, reload.ReloadSent, reload.RunsOther, ""},
	} {
		c.do()
		sent := reloads(proxy)
		p := b.plan(reload.NewPrometheus, cfg)
		if n := reloads(proxy); n != sent {
			t.Fatalf("%s: a plan sent %d reloads", c.what, n-sent)
		}
		if !slices.Equal(changedFiles(p), c.files) || c.reload != "" && p.Reload != c.reload || p.Runs != c.runs {
			t.Errorf("%s: %q, reload %s, runs %s %s", c.what, changedFiles(p), p.Reload, p.Runs, p.Why)
		}
		if (p.Refused != nil) != (c.bad != "") || p.Refused != nil && !strings.Contains(p.Refused.Error(), c.bad) {
			t.Errorf("%s: refused is %v", c.what, p.Refused)
		}
		_, err := sync(t, mustNew(t, cfg))
		if (err != nil) != (c.bad != "") {
			t.Errorf("%s: the pass says %v", c.what, err)
		}
		want := p.Next
		if p.Refused != nil {
			want = p.Live
		}
		if live, _ := os.Readlink(filepath.Join(b.out, "live")); filepath.Base(live) != want {
			t.Errorf("%s: %s is live, not %s", c.what, live, want)
		}
		if n := reloads(proxy) - sent; (n == 1) != (p.Reload == reload.ReloadSent) {
			t.Errorf("%s: %d reloads were sent", c.what, n)
		}
	}
}

func mustNew(t *testing.T, cfg reload.Config) *reload.Agent {
	t.Helper()
	a, err := reload.NewPrometheus(cfg, reload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A server that can't be asked hides nothing of what would happen on disk; and a plan makes nothing there, not even
// a folder, and says of a volume that is missing what a pass would say.
func TestPlanWithoutAServer(t *testing.T) {
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	p := b.plan(reload.NewPrometheus, b.config("http://127.0.0.1:1"))
	if !slices.Equal(changedFiles(p), []string{"+prometheus.yml", "+rules/up.yml"}) || p.Live != "" || p.Next == "" {
		t.Errorf("%q, live %q, next %q", changedFiles(p), p.Live, p.Next)
	}
	if p.Runs != reload.RunsUnknown || !strings.Contains(p.Why, "connection refused") || p.Reload != reload.ReloadUnknown || p.Refused != nil {
		t.Errorf("runs %s %s, reload %s, refused %v", p.Runs, p.Why, p.Reload, p.Refused)
	}
	if _, err := os.Stat(b.out); !os.IsNotExist(err) {
		t.Errorf("output_dir: %v", err)
	}
	cfg := b.config("http://127.0.0.1:1")
	cfg.OutputDir = filepath.Join(b.out, "volume", "prometheus")
	if p := b.plan(reload.NewPrometheus, cfg); p.Refused == nil || !strings.Contains(p.Refused.Error(), "make the folder, or mount the volume, that should hold it") {
		t.Errorf("without the volume: %v", p.Refused)
	}
}

// Of a config_file nothing is on disk to compare to: the plan says whether it is good, what the server runs, and
// that a reload is sent, as every stoker does when it starts.
func TestPlanInPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"am.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\n"})
	server := servertest.Alertmanager(t, servertest.ConfigFile(filepath.Join(b.source, "am.yml")))
	proxy := servertest.NewProxy(t, server.URL())
	cfg := reload.DefaultConfig()
	cfg.URL, cfg.ConfigFile, cfg.Settle = proxy.URL(), filepath.Join(b.source, "am.yml"), model.Duration(0)
	p := b.plan(reload.NewAlertmanager, cfg)
	if p.ConfigFile != cfg.ConfigFile || p.Live != "" || len(p.Files) > 0 || p.Runs != reload.RunsRelease || p.Reload != reload.ReloadSent {
		t.Errorf("%+v", p)
	}
	b.write("am.yml", "route: { receiver: b }\nreceivers: [{ name: b }]\n")
	if p = b.plan(reload.NewAlertmanager, cfg); p.Runs != reload.RunsOther || !strings.Contains(p.Why, "alertmanager_config_hash") || p.Reload != reload.ReloadSent {
		t.Errorf("%+v", p)
	}
	b.write("am.yml", "route: { receiver: c }\nreceivers: [{ name: b }]\n")
	if p = b.plan(reload.NewAlertmanager, cfg); p.Refused == nil || p.Reload != reload.ReloadNone {
		t.Errorf("%+v", p)
	}
	if n := reloads(proxy); n > 0 {
		t.Errorf("%d reloads", n)
	}
}

// What isn't the configuration itself is told by its size, whatever it looks like; values of variables, now and
// before, and passwords are hidden; what only stoker reads is named and no more.
func TestPlanHidesSecrets(t *testing.T) {
	main := "rule_files: [rules/*.yml]\nscrape_config_files: [scrape/*.yml]\nglobal: { external_labels: { site: $(SITE), n: 'N' } }\nscrape_configs:\n- job_name: a\n  basic_auth: { username: u, password_file: secrets/a }\n"
	b := newBench(t, map[string]string{
		"prometheus.yml": strings.ReplaceAll(main, "N", "1"),
		"rules/up.yml":   goodRules,
		"scrape/b.yml":   "scrape_configs:\n- job_name: b\n  basic_auth: { username: u, password: canary-inline-old }\n",
		"secrets/a":      "canary: file-old\n",
	})
	cfg := b.config("http://127.0.0.1:1")
	cfg.ExpandEnv = []string{"prometheus.yml"}
	t.Setenv("SITE", "canary-env-old")
	a, err := reload.NewPrometheus(cfg, reload.Options{PublishOnly: true})
	must(t, err)
	mustSync(t, a, true)
	for p, content := range map[string]string{
		"prometheus.yml": strings.ReplaceAll(main, "N", "2"),
		"scrape/b.yml":   "scrape_configs:\n- job_name: b2\n  basic_auth: { username: u, password: canary-inline-new }\n",
		"secrets/a":      "canary: file-newer\n",
	} {
		b.write(p, content)
	}
	t.Setenv("SITE", "canary-env-new")
	p := b.plan(reload.NewPrometheus, cfg)
	if !slices.Equal(changedFiles(p), []string{"~prometheus.yml", "~scrape/b.yml", "~secrets/a"}) {
		t.Errorf("%q, %v", changedFiles(p), p.Refused)
	}
	var all strings.Builder
	for _, f := range p.Files {
		all.WriteString(f.Diff + f.Note + "\n")
	}
	for _, want := range []string{
		"+global: {external_labels: {site: <secret 3>, n: '2'}}\n",
		"-- job_name: b\n-  basic_auth: {username: u, password: <secret 1>}\n+- job_name: b2\n+  basic_auth: {username: u, password: <secret 2>}\n",
		"not shown\n",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Contains(all.String(), "canary") || t.Failed() {
		t.Errorf("%s", all.String())
	}

	// A password file that makes way for rules isn't shown as rules.
	b.write("prometheus.yml", "rule_files: [secrets/*]\n")
	b.write("secrets/a", goodRules)
	p = b.plan(reload.NewPrometheus, cfg)
	if !slices.Contains(changedFiles(p), "~secrets/a") {
		t.Errorf("%q, %v", changedFiles(p), p.Refused)
	}
	for _, f := range p.Files {
		if strings.Contains(f.Diff, "canary") {
			t.Errorf("%s: %s", f.Path, f.Diff)
		}
	}
}
