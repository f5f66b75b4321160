package reload_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// Whatever is wrong with the sources is said with file, line and column, and what is live stays.
func TestBadSourcesChangeNothing(t *testing.T) {
	prometheus := map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules}
	alertmanager := map[string]string{"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\n"}
	for name, tt := range map[string]struct {
		good map[string]string
		path string
		bad  string
		want string // without the folder
	}{
		"unknown key": {prometheus, "prometheus.yml", "global:\n  scrape_intervall: 1m\n",
			`prometheus.yml:2:3: field scrape_intervall is not known here, did you mean "scrape_interval"?`},
		"wrong type": {prometheus, "prometheus.yml", "global:\n  scrape_interval: soon\n",
			`prometheus.yml:2:20: not a valid duration string: "soon"`},
		"not YAML":                 {prometheus, "prometheus.yml", "global: [\n", `prometheus.yml:2:1: did not find expected node content: a value or a closing bracket may be missing here or above`},
		"empty":                    {prometheus, "prometheus.yml", "# nothing left\n", `prometheus.yml:1:1: is empty: a server would take it for a configuration without anything in it`},
		"bad rule":                 {prometheus, "rules/up.yml", "groups:\n- name: up\n  rules:\n  - alert: Down\n    expr: up ==\n", `rules/up.yml:5:16: group "up", rule 1, "Down": could not parse expression: unexpected end of input`},
		"unknown key in a rule":    {prometheus, "rules/up.yml", "groups:\n- name: up\n  rulez: []\n", `rules/up.yml:3:3: field rulez is not known here, did you mean "rules"?`},
		"missing file":             {prometheus, "prometheus.yml", "rule_files: [rules/gone.yml]\n", `prometheus.yml:1:14: "rules/gone.yml": no such file below the folder of the main file`},
		"absolute rules":           {prometheus, "prometheus.yml", "rule_files:\n- /etc/rules/*.yml\n", `prometheus.yml:2:3: absolute path "/etc/rules/*.yml" is no part of the release, so a change there would neither be checked nor rolled back: move the files below source_dir and write their path relative to this file, such as "rules/*.yml"`},
		"path that climbs out":     {prometheus, "prometheus.yml", "rule_files: ['../rules.yml']\n", `prometheus.yml:1:14: path "../rules.yml" leads out of the release: move the files below source_dir`},
		"relative file_sd":         {prometheus, "prometheus.yml", "scrape_configs:\n- job_name: a\n  file_sd_configs: [{ files: [targets/*.json] }]\n", `prometheus.yml:3:31: file_sd path "targets/*.json" would be part of a release, and Prometheus would go on reading the old one: write an absolute path, such as the one of discovery.targets_dir`},
		"job twice":                {prometheus, "prometheus.yml", "scrape_configs:\n- job_name: a\n- job_name: a\n", `prometheus.yml:3:13: found multiple scrape configs with job name "a"`},
		"null in an include":       {map[string]string{"prometheus.yml": "scrape_config_files: [jobs.yml]\n", "jobs.yml": "scrape_configs: []\n"}, "jobs.yml", "scrape_configs: [null]\n", `jobs.yml:1:18: empty or null scrape config section`},
		"a secret URL with a typo": {alertmanager, "alertmanager.yml", "route: { receiver: a }\nreceivers:\n- name: a\n  slack_configs:\n  - api_url: https://hooks.example/S3CRET%zz\n", `alertmanager.yml:5:14: not a URL: invalid URL escape`},
		"undefined receiver":       {alertmanager, "alertmanager.yml", "route:\n  receiver: a\n  routes:\n  - receiver: b\nreceivers: [{ name: a }]\n", `alertmanager.yml:4:15: undefined receiver "b" used in route`},
		"null integration":         {alertmanager, "alertmanager.yml", "global: { slack_api_url: 'https://slack.example' }\nroute: { receiver: a }\nreceivers: [{ name: a, slack_configs: [null] }]\n", `alertmanager.yml:3:40: an empty entry crashes the loader that the server uses, so the server would crash too`},
		"null route":               {alertmanager, "alertmanager.yml", "route: { receiver: a, routes: [null] }\nreceivers: [{ name: a }]\n", `alertmanager.yml:1:32: the configuration crashes the loader that the server uses, so the server would crash too: runtime error: invalid memory address or nil pointer dereference`},
		"missing template":         {alertmanager, "alertmanager.yml", "route: { receiver: a }\nreceivers: [{ name: a }]\ntemplates: [mail.tmpl]\n", `alertmanager.yml:3:13: "mail.tmpl": no such file below the folder of the main file`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tt.good)
			kind := reload.NewPrometheus
			if _, ok := tt.good["alertmanager.yml"]; ok {
				kind = reload.NewAlertmanager
			}
			a := b.publishOnly(kind, nil)
			mustSync(t, a, true)
			before, release := b.live(), a.Status().Live
			b.write(tt.path, tt.bad)
			changed, err := sync(t, a)
			if changed || err == nil {
				t.Fatalf("Sync returned %v, %v", changed, err)
			}
			want := filepath.Join(b.source, tt.want) + "; keeping release " + release
			if err.Error() != want {
				t.Errorf("error is\n%s\nwant\n%s", err, want)
			}
			if after := b.live(); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("live files are %v, were %v", after, before)
			}
			for p, content := range tt.good {
				b.write(p, content)
			}
			mustSync(t, a, false)
		})
	}
}

// A broken template is found before Alertmanager sees it.
func TestBrokenTemplate(t *testing.T) {
	b := newBench(t, map[string]string{
		"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\ntemplates: ['*.tmpl']\n",
		"mail.tmpl":        "{{ define \"mail\" }}\n{{ .Labels \n",
	})
	_, err := sync(t, b.publishOnly(reload.NewAlertmanager, nil))
	if err == nil || !strings.Contains(err.Error(), "mail.tmpl:") || !strings.Contains(err.Error(), "unclosed action") {
		t.Errorf("error is %v", err)
	}
}
