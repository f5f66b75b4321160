package reload_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// frozen is a server that reads a copy of the first release, which never changes, as through a mount of a single file
// or of the link itself; and an agent that takes it for one that reads the live release.
func frozen(t *testing.T, binary string, files map[string]string) *station {
	t.Helper()
	copied := t.TempDir()
	for p, content := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(copied, p)), 0o755))
		must(t, os.WriteFile(filepath.Join(copied, p), []byte(content), 0o644))
	}
	main := "prometheus.yml"
	if strings.HasPrefix(binary, "alertmanager") {
		main = "alertmanager.yml"
	}
	return newStation(t, binary, files, servertest.ConfigFile(filepath.Join(copied, main)))
}

// A server that never sees a change answers every reload with 200. That is said at the first change of whatever kind,
// with what is likely to be wrong; nothing is rolled back, for the release isn't, and the server isn't reloaded over
// and over.
func TestFrozenMount(t *testing.T) {
	prom := func(main, rules string) map[string]string {
		return map[string]string{"prometheus.yml": main, "rules/up.yml": rules}
	}
	for name, tt := range map[string]struct {
		binaries []string
		before   map[string]string
		after    map[string]string
		want     string
	}{
		"scrape job":      {[]string{"prometheus", "prometheus-2.53"}, prom(jobs("one"), goodRules), prom(jobs("two"), goodRules), "scrape jobs missing: two, scrape jobs too many: one"},
		"rule group":      {[]string{"prometheus", "prometheus-2.53"}, prom(jobs("one"), rules("a", "up == 0")), prom(jobs("one"), rules("b", "up == 0")), "rule groups missing: rules/up.yml: b, rule groups too many: rules/up.yml: a"},
		"expression":      {[]string{"prometheus", "prometheus-2.53"}, prom(jobs("one"), rules("a", "up == 0")), prom(jobs("one"), rules("a", "up == 1")), "rule groups with other rules: rules/up.yml: a"},
		"scrape interval": {[]string{"prometheus", "prometheus-2.53"}, prom(jobs("one"), goodRules), prom(strings.Replace(jobs("one"), "1m", "30s", 1), goodRules), "scrape jobs with other settings: one"},
		"target":          {[]string{"prometheus", "prometheus-2.53"}, prom(jobs("one"), goodRules), prom(strings.Replace(jobs("one"), "127.0.0.1:1", "127.0.0.1:2", 1), goodRules), "scrape jobs with other settings: one"},
		"anything at all": {[]string{"alertmanager", "alertmanager-0.27"}, map[string]string{"alertmanager.yml": receivers("one")}, map[string]string{"alertmanager.yml": receivers("one") + "# a note\n"}, "alertmanager_config_hash is "},
	} {
		for _, binary := range tt.binaries {
			t.Run(name+" of "+binary, func(t *testing.T) {
				t.Parallel()
				s := frozen(t, binary, tt.before)
				for p, content := range tt.after {
					s.write(p, content)
				}
				sent := s.sent()
				s.fails("the server answered 200 and runs something else: "+tt.want, filepath.Join(s.out, "live", s.main))
				got := s.agent.Status()
				if got.Live == s.first || got.Unproved == nil || got.Unproved.Kind != reload.Mismatch || got.Withheld != nil {
					t.Errorf("status is %+v", got)
				}
				for range 3 {
					s.fails("runs something else: "+tt.want, "is live on disk")
				}
				if n := s.sent() - sent; n != 1 {
					t.Errorf("%d reloads were sent for one change", n)
				}
				if s.counted("stoker_reloads_total", "mismatch") != 1 || s.counted("stoker_rollbacks_total", "") != 0 {
					t.Error("it wasn't counted as one mismatch")
				}
				s.agent.Later(longerThanARefusal)
				s.fails("runs something else: ")
				s.agent.Retry()
				s.fails("runs something else: ")
				if n := s.sent() - sent; n != 3 {
					t.Errorf("%d reloads were sent, want one more after a while and one that was asked for", n)
				}
			})
		}
	}
}

// What is likely to be wrong: the path that the server itself says it reads, or, if that is right, a mount.
func TestCauseOfAMismatch(t *testing.T) {
	t.Parallel()
	files := firstFiles("prometheus", jobs)
	s := frozen(t, "prometheus", files)
	s.write("prometheus.yml", jobs("two"))
	s.fails("it was started with --config.file=/", " where "+filepath.Join(s.out, "live", "prometheus.yml")+" is expected")

	// The right path, which shows the server something else: here by a server that tells so.
	want := filepath.Join(s.out, "live", "prometheus.yml")
	s.proxy.Intercept("GET", "/api/v1/status/flags", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		fmt.Fprintf(w, `{"status":"success","data":{"config.file":%q}}`, want)
	})
	s.fails("does it see the same files as stoker at "+want+"?", "a mount of the link itself, or of a single file, never changes: mount output_dir or a folder above it instead")

	am := frozen(t, "alertmanager", map[string]string{"alertmanager.yml": receivers("one")})
	am.write("alertmanager.yml", receivers("two"))
	am.fails("does it see the same files as stoker at "+filepath.Join(am.out, "live", "alertmanager.yml")+"?", "a mount of the link itself")
}

// As soon as the mount is mended, by a restart that it takes anyway, the release is proved without a reload.
func TestMendedMount(t *testing.T) {
	t.Parallel()
	s := frozen(t, "prometheus", firstFiles("prometheus", jobs))
	s.write("prometheus.yml", jobs("two"))
	s.fails("runs something else")
	s.server.Stop()
	mended := servertest.Prometheus(t, servertest.ConfigFile(filepath.Join(s.out, "live", "prometheus.yml")))
	s.server, s.proxy = mended, servertest.NewProxy(t, mended.URL())
	s.newProcess()
	s.restart(nil)
	mustSync(t, s.agent, false)
	s.mustRun("two")
	s.proved()
	if n := s.sent(); n != 0 {
		t.Errorf("%d reloads were sent", n)
	}
}

// The rules of a release are compared by their meaning: a server prints expressions in its own way, and the same group
// may be in several files of one name.
func TestProofOfEveryNotation(t *testing.T) {
	servers(t, []string{"prometheus", "prometheus-2.53"}, func(t *testing.T, binary string) {
		files := map[string]string{
			"prometheus.yml": `
global: { scrape_interval: 90s, scrape_timeout: 0m30s, external_labels: { a: b } }
rule_files: ['rules/a/*.yml', 'rules/b/[xy].yml']
scrape_configs:
- job_name: plain
- { job_name: all, scrape_interval: 120s, scrape_timeout: 1m0s, metrics_path: /m, scheme: https, static_configs: [{ targets: [ '127.0.0.1:1', "127.0.0.1:2" ] }, { targets: ['[::1]:3'], labels: { a: b } }] }
- job_name: found
  file_sd_configs: [{ files: [/nowhere/*.json] }]
`,
		}
		expr := []string{
			"up", "  up   ==\n 0 # why", "sum by(job)(rate(x[5m0s]))", "sum(rate(x[5m])) by (job)", `{__name__="up"}`, `{job=~'a|b', x!="\u00e4"}`,
			"up offset 60m", "up @ 1.5e3", "max_over_time(up[1h:90s])", "-up", "+up", "1e3 + 0x10", "up and on() vector(1)", "a / on(job) group_left (x) b",
			"topk(5, up) > bool 1", "count_values('v', up)", "absent(up{a='b'})", "quantile(.5, up)", "time() - 1m", "up unless ignoring(job) down", "(((up)))",
		}
		if binary == "prometheus-2.53" {
			expr = append(expr[:18], expr[19:]...) // a duration as a number is 3.x
		} else {
			expr = append(expr, `{"up.time", "a.b"="c"}`)
		}
		var group strings.Builder
		group.WriteString("groups:\n- name: g\n  rules:\n")
		for i, e := range expr {
			fmt.Fprintf(&group, "  - { record: 'r:%d', expr: %q }\n  - { alert: A%d, expr: %q, for: 90s }\n", i, e, i, e)
		}
		files["rules/a/x.yml"] = group.String()
		files["rules/b/x.yml"] = rules("g", "up == 2")
		files["rules/b/y.yml"] = "groups: [{ name: empty }, { name: other, interval: 30s, limit: 5, rules: [] }]\n"
		s := newStation(t, binary, files)
		s.proved()
		files["rules/b/x.yml"] = rules("g", "up == 3")
		s.write("rules/b/x.yml", files["rules/b/x.yml"])
		mustSync(t, s.agent, true)
		s.proved()
	})
}

// Scrape pools follow some seconds after a reload. They hold the proof up for nobody, and are asked for later: also
// those of included jobs, which the server's configuration doesn't show.
func TestServing(t *testing.T) {
	servers(t, []string{"prometheus", "prometheus-2.53"}, func(t *testing.T, binary string) {
		files := firstFiles("prometheus", jobs)
		files["prometheus.yml"] = "scrape_config_files: ['scrape/*.yml']\n" + jobs("one")
		files["scrape/more.yml"] = "scrape_configs: [{ job_name: included }]\n"
		s := newStation(t, binary, files)
		s.agent.Later(-time.Minute) // as if the reload had just been
		mustSync(t, s.agent, false)
		if got := s.agent.Status(); got.Serving != nil || got.Confirmed.IsZero() {
			t.Errorf("right after a reload: %+v", got)
		}
		s.agent.Later(time.Minute)
		s.proxy.Intercept("GET", "/api/v1/scrape_pools", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			io.WriteString(w, `{"status":"success","data":{"scrapePools":["one"]}}`)
		})
		mustSync(t, s.agent, false)
		if got := s.agent.Status(); got.Serving == nil || *got.Serving || got.Unproved != nil {
			t.Errorf("without a pool: %+v", got)
		}
		s.proxy.Intercept("GET", "/api/v1/scrape_pools", nil)
		servertest.Eventually(t, time.Minute, func() error {
			mustSync(t, s.agent, false)
			if got := s.agent.Status(); got.Serving == nil || !*got.Serving {
				return fmt.Errorf("status is %+v", got)
			}
			return nil
		})
		s.agent.Later(0)
		s.write("prometheus.yml", jobs("one"))
		mustSync(t, s.agent, true)
		if got := s.agent.Status(); got.Serving != nil {
			t.Errorf("of a release that nobody has asked about: %+v", got)
		}
	})
}

// A config_file may name its own folder by absolute paths.
func TestProofOfAbsolutePaths(t *testing.T) {
	servers(t, []string{"prometheus", "prometheus-2.53"}, func(t *testing.T, binary string) {
		b := newBench(t, map[string]string{"rules/up.yml": goodRules, "scrape/a.yml": "scrape_configs: [{ job_name: included }]\n"})
		b.write("prom.yml", "rule_files: ['"+b.source+"/rules/*.yml']\nscrape_config_files: ['"+b.source+"/scrape/*.yml']\n")
		server := servertest.Prometheus(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(b.source, "prom.yml")))
		a := b.inPlace(reload.NewPrometheus, "prom.yml", server.URL())
		mustSync(t, a, true)
		a.Later(time.Minute)
		servertest.Eventually(t, time.Minute, func() error {
			mustSync(t, a, false)
			if s := a.Status(); s.Serving == nil || !*s.Serving {
				return fmt.Errorf("status is %+v", s)
			}
			return nil
		})
	})
}
