package reload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	amtemplate "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
)

// stage puts a main file by itself where a check looks for it.
func stage(t *testing.T, d dialect, main string, f facts) staged {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, d.main())
	if err := os.WriteFile(file, []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	return staged{dir: dir, main: file, files: Tree{d.main(): []byte(main)}, name: func(p string) string { return p }, facts: f, last: new(lastLoad)}
}

// checkAll runs everything that a check runs on a main file, for servers of which different things are known, and
// returns the verdict for one of our version.
func checkAll(t *testing.T, d dialect, main string) error {
	t.Helper()
	var verdict error
	for _, f := range []facts{{}, {version: "2.53.4", features: []string{}}, {version: "99.0.0"}} {
		s := stage(t, d, main, f)
		parseErr := d.parse(d.main(), []byte(main), f)
		_, referencesErr := guarded(func() ([]reference, error) { return d.references(d.main(), d.main(), []byte(main), f, new(lastLoad)) })
		_, checkErr := d.check(s)
		if f.version != "" {
			continue
		}
		for _, err := range []error{parseErr, referencesErr, checkErr} {
			if err != nil {
				verdict = err
			}
		}
	}
	return verdict
}

// guarded is how gathering asks for references.
func guarded(fn func() ([]reference, error)) (refs []reference, err error) {
	err = guard(func() (err error) {
		refs, err = fn()
		return err
	})
	return refs, err
}

// A check survives whatever is in a main file, and what passes it is loaded by Prometheus.
func FuzzCheckPrometheus(f *testing.F) {
	for _, seed := range []string{
		"global: { scrape_interval: 1m, external_labels: { a: $B } }\nrule_files: [rules/*.yml]\nscrape_configs:\n- job_name: a\n  static_configs: [{ targets: ['localhost:1'] }]\n",
		"scrape_config_files: [s.yml]\nremote_write:\n- url: http://localhost\n  write_relabel_configs: [{ regex: '(', action: drop }]\n",
		"alerting: { alertmanagers: [{ api_version: v1, static_configs: [{ targets: [x] }] }, null] }\n",
		"scrape_configs:\n- job_name: a\n  ec2_sd_configs: [{ filters: [null] }]\n- &b { job_name: a, <<: *b }\n",
		"scrape_configs:\n- job_name: b\n  file_sd_configs: [{ files: [../a.json] }]\n  tls_config: { ca: none, ca_file: /gone }\n  basic_auth: { password_file: pw }\n",
		"storage: { tsdb: { retention: { time: 1d } } }\ntracing: { endpoint: x, client_type: http }\notlp: { translation_strategy: Morse }\n",
		"\xff: [", "? {}\n: []\n", "--- a\n--- b\n", "!!binary x: !!map []\n", "global: !!int 1\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, main string) {
		err := checkAll(t, prometheusFiles{}, main)
		upstream := guard(func() error {
			cfg, err := config.Load(main, promslog.NewNopLogger())
			if err != nil {
				return err
			}
			cfg.SetDirectory(t.TempDir())
			_, err = cfg.GetScrapeConfigs()
			return err
		})
		if err == nil && upstream != nil {
			t.Errorf("passes the check, and Prometheus says %v", upstream)
		}
		if parseErr := (prometheusFiles{}).parse("x", []byte(main), facts{}); parseErr != nil && upstream == nil {
			t.Errorf("Prometheus loads it, and the check says %v", parseErr)
		}
	})
}

// A check survives whatever is in a main file, and what passes it is loaded by Alertmanager.
func FuzzCheckAlertmanager(f *testing.F) {
	for _, seed := range []string{
		"route: { receiver: a }\nreceivers: [{ name: a }]\n",
		"global: { slack_api_url: 'http://localhost' }\nroute: { receiver: a, routes: [null] }\nreceivers: [{ name: a, slack_configs: [null] }]\n",
		"templates: [x]\nroute: { receiver: a, group_by: ['...'] }\nreceivers: [{ name: a, webhook_configs: [{ url: 'http://localhost/{{ .Status }}' }] }]\n",
		"route: { receiver: a, labels: { b: '{{ routeLabels \"b\" }}' } }\nreceivers:\n- name: a\n  slack_configs: [{ api_url: 'http://localhost', text: '{{ template \"x\" }}', update_message: true }]\n",
		"global: { smtp_smarthost: 'a:1', smtp_from: b }\nroute: { receiver: a }\nreceivers: [{ name: a, email_configs: [{ to: b, html: '<a href=\"{{ .X }}', tls_config: { ca_file: y } }] }]\n",
		"route: { receiver: a, routes: [{ matchers: ['a=~\"(\"'], mute_time_intervals: [n] }] }\nreceivers: [{ name: a }, { name: a }]\ntime_intervals: [{ name: n, time_intervals: [{ times: [{ start_time: '10:00', end_time: '09:00' }] }] }]\n",
		"event_recorder: { file_outputs: [{ path: x }], kafka_outputs: [null] }\nroute: { receiver: a }\nreceivers: [null]\n",
		"\xff: [", "? {}\n: []\n", "--- a\n--- b\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, main string) {
		err := checkAll(t, alertmanagerFiles{}, main)
		file := filepath.Join(t.TempDir(), "alertmanager.yml")
		if err := os.WriteFile(file, []byte(main), 0o600); err != nil {
			t.Fatal(err)
		}
		upstream := guard(func() error {
			cfg, err := amconfig.LoadFile(file)
			if err != nil {
				return err
			}
			used := map[string]bool{}
			walkRoutes(cfg.Route, func(r *amconfig.Route) { used[r.Receiver] = true })
			tmpl, err := amtemplate.FromGlobs(nil)
			if err != nil {
				return err
			}
			for _, r := range cfg.Receivers {
				if !used[r.Name] {
					continue
				}
				if _, err := receiver.BuildReceiverIntegrations(r, tmpl, nil); err != nil && !strings.Contains(err.Error(), "no such file") {
					return err
				}
			}
			return nil
		})
		if err == nil && upstream != nil {
			t.Errorf("passes the check, and Alertmanager says %v", upstream)
		}
		if parseErr := (alertmanagerFiles{}).parse("x", []byte(main), facts{}); parseErr != nil && upstream == nil {
			t.Errorf("Alertmanager loads it, and the check says %v", parseErr)
		}
	})
}
