package reload_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// ruleFiles makes a release with one rule of this expression.
func ruleFiles(expr string) files {
	return files{
		"prometheus.yml": "rule_files: [r.yml]\n",
		"r.yml":          "groups:\n- name: a\n  rules:\n  - record: a\n    expr: " + expr + "\n",
	}
}

// What our libraries don't know is an error for a server of their version, and for the server to decide if it is of
// another. What is wrong in every version is an error for each.
func TestVersionsAreJudgedByWhatIsKnown(t *testing.T) {
	t.Parallel()
	unsure := func(what, server, version, library string) string {
		return fmt.Sprintf("%s: only the server can tell, because it is %s %s and this was checked by the rules of %s", what, server, version, library)
	}
	histograms := files{"prometheus.yml": "scrape_configs:\n- job_name: a\n  scrape_classic_histograms: true\n  basic_auth: { username: u, password_file: pw }\n", "pw": "x"}
	newer := files{"alertmanager.yml": "route: { receiver: a }\nreceivers:\n- name: a\n  carrier_pigeon_configs: [{ to: b }]\n"}
	for name, tt := range map[string]struct {
		source             files
		version            string
		features           []string
		problems, warnings []string
	}{
		"unknown key, our version":      {source: histograms, version: "3.15.7", problems: []string{`prometheus.yml:3:3: field scrape_classic_histograms is not known here`}},
		"unknown key, unknown version":  {source: histograms, problems: []string{`prometheus.yml:3:3: field scrape_classic_histograms is not known here`}},
		"unknown key, older version":    {source: histograms, version: "2.53.4", warnings: []string{unsure(`prometheus.yml:3:3: field scrape_classic_histograms is not known here`, "Prometheus", "2.53.4", "3.15")}},
		"unknown key, newer version":    {source: histograms, version: "3.99.0", warnings: []string{unsure(`prometheus.yml:3:3: field scrape_classic_histograms is not known here`, "Prometheus", "3.99.0", "3.15")}},
		"unknown key, somebody's build": {source: histograms, version: "main-8f3a", warnings: []string{unsure(`prometheus.yml:3:3: field scrape_classic_histograms is not known here`, "Prometheus", "main-8f3a", "3.15")}},
		"unknown key and real faults": {
			source: files{
				"prometheus.yml": "global: { new_key: 1 }\nscrape_config_files: [s.yml]\nrule_files: [r.yml]\nscrape_configs:\n- job_name: a\n- job_name: b\n",
				"s.yml":          "scrape_configs:\n- job_name: b\n  new_key: 1\n- job_name: c\n  scrape_timeout: 10m\n",
				"r.yml":          "groups:\n- name: a\n  new_key: 1\n  rules:\n  - { record: a, expr: sum( }\n",
			},
			version: "3.99.0",
			problems: []string{
				`r.yml:5:28: group "a", rule 1, "a": could not parse expression: unclosed left parenthesis`,
				`s.yml:2:13: found multiple scrape configs with job name "b", first found in prometheus.yml:6:13`,
				`s.yml:4:13: scrape timeout greater than scrape interval for scrape config with job name "c"`,
			},
			warnings: []string{
				unsure(`prometheus.yml:1:11: field new_key is not known here`, "Prometheus", "3.99.0", "3.15"),
				unsure(`r.yml:3:3: field new_key is not known here`, "Prometheus", "3.99.0", "3.15"),
				unsure(`s.yml:3:3: field new_key is not known here`, "Prometheus", "3.99.0", "3.15"),
			},
		},
		"a fault in the main file behind an unknown key": {
			source:   files{"prometheus.yml": "global: { new_key: 1 }\nscrape_configs:\n- job_name: a\n- job_name: a\n"},
			version:  "3.99.0",
			problems: []string{`prometheus.yml:4:13: found multiple scrape configs with job name "a"`},
		},
		"a value that only another version knows": {
			source: files{
				"prometheus.yml": "rule_files: [r.yml]\nscrape_config_files: [s.yml]\nscrape_configs:\n- job_name: a\n  scrape_protocols: [Morse]\n  basic_auth: { username: u, password_file: pw }\n",
				"r.yml":          "groups: [{ name: a, rules: [{ record: a, expr: up == }] }]\n",
				"s.yml":          "scrape_configs:\n- job_name: c\n  kubernetes_sd_configs: [{ role: captain }]\n",
				"pw":             "x",
			},
			version:  "3.99.0",
			problems: []string{`r.yml:1:53: group "a", rule 1, "a": could not parse expression: unexpected end of input`},
			warnings: []string{
				unsure(`prometheus.yml:4:13: scrape_protocols: unknown scrape protocol Morse, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 OpenMetricsText2.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0] for scrape config with job name "a"`, "Prometheus", "3.99.0", "3.15"),
				unsure(`s.yml:3:35: unknown Kubernetes SD role "captain"`, "Prometheus", "3.99.0", "3.15"),
			},
		},
		"the Alertmanager API of old": {
			source:   files{"prometheus.yml": "alerting:\n  alertmanagers:\n  - api_version: v1\n"},
			version:  "2.53.4",
			warnings: []string{unsure("prometheus.yml:3:18: expected Alertmanager api version to be one of [v2] but got v1", "Prometheus", "2.53.4", "3.15")},
		},
		"a function of old":                      {source: ruleFiles("holt_winters(a[1h], 0.5, 0.5)"), version: "2.53.4", warnings: []string{unsure(`r.yml:5:11: group "a", rule 1, "a": could not parse expression: unknown function with name "holt_winters"`, "Prometheus", "2.53.4", "3.15")}},
		"a function of old, our version":         {source: ruleFiles("holt_winters(a[1h], 0.5, 0.5)"), version: "3.15.0", problems: []string{`r.yml:5:11: group "a", rule 1, "a": could not parse expression: unknown function with name "holt_winters"`}},
		"new syntax":                             {source: ruleFiles("up quietly"), version: "3.99.0", warnings: []string{unsure(`r.yml:5:14: group "a", rule 1, "a": could not parse expression: unexpected identifier "quietly"`, "Prometheus", "3.99.0", "3.15")}},
		"the same is no syntax of old":           {source: ruleFiles("up quietly"), version: "2.53.4", problems: []string{`r.yml:5:14: group "a", rule 1, "a": could not parse expression: unexpected identifier "quietly"`}},
		"experimental function, flags unknown":   {source: ruleFiles("mad_over_time(up[1h])"), version: "3.15.0"},
		"experimental function, with its flag":   {source: ruleFiles("mad_over_time(up[1h])"), version: "3.15.0", features: []string{"promql-experimental-functions"}},
		"experimental function, without":         {source: ruleFiles("mad_over_time(up[1h])"), version: "3.15.0", features: []string{"extra-scrape-metrics"}, problems: []string{`r.yml:5:11: group "a", rule 1, "a": could not parse expression: function "mad_over_time" is not enabled: start Prometheus with --enable-feature=promql-experimental-functions`}},
		"experimental function, without, older":  {source: ruleFiles("mad_over_time(up[1h])"), version: "2.53.4", features: []string{}, warnings: []string{unsure(`r.yml:5:11: group "a", rule 1, "a": could not parse expression: function "mad_over_time" is not enabled: start Prometheus with --enable-feature=promql-experimental-functions`, "Prometheus", "2.53.4", "3.15")}},
		"experimental aggregation, without":      {source: ruleFiles("limitk(2, up)"), features: []string{}, problems: []string{`r.yml:5:11: group "a", rule 1, "a": could not parse expression: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions`}},
		"range selectors, without":               {source: ruleFiles("rate(up[5m] smoothed)"), features: []string{}, problems: []string{`r.yml:5:16: group "a", rule 1, "a": could not parse expression: smoothed modifier is experimental and not enabled: start Prometheus with --enable-feature=promql-extended-range-selectors`}},
		"range selectors, with their flag":       {source: ruleFiles("rate(up[5m] smoothed)"), features: []string{"promql-extended-range-selectors"}},
		"fill modifiers, without":                {source: ruleFiles("a + fill(0) b"), features: []string{}, problems: []string{`r.yml:5:11: group "a", rule 1, "a": could not parse expression: binop fill modifiers are experimental and not enabled: start Prometheus with --enable-feature=promql-binop-fill-modifiers`}},
		"fill modifiers, with their flag":        {source: ruleFiles("a + fill(0) b"), features: []string{"promql-binop-fill-modifiers"}},
		"durations are calculated by everybody":  {source: ruleFiles("rate(up[5m * 2])"), features: []string{}},
		"wrong even with the flag that it lacks": {source: ruleFiles("mad_over_time(up)"), features: []string{}, problems: []string{`r.yml:5:25: group "a", rule 1, "a": could not parse expression: expected type range vector in call to function "mad_over_time", got instant vector`}},

		"receiver of a newer Alertmanager": {source: newer, version: "0.99.0", warnings: []string{unsure(`alertmanager.yml:4:3: field carrier_pigeon_configs is not known here`, "Alertmanager", "0.99.0", "0.34")}},
		"receiver that nobody knows":       {source: newer, version: "0.34.2", problems: []string{`alertmanager.yml:4:3: field carrier_pigeon_configs is not known here`}},
		"unknown key and real faults of Alertmanager": {
			source: files{
				"alertmanager.yml": "global: { new_key: 1 }\ntemplates: [t.tmpl]\nroute: { receiver: a }\nreceivers:\n- name: a\n  webhook_configs: [{ url: 'http://localhost' }]\n  slack_configs:\n  - { api_url: 'http://localhost', text: '{{ template \"x\" . }}', title: '{{ .Nothing }' }\n",
				"t.tmpl":           `{{ define "x" }}{{ shout "y" }}{{ end }}{{ define "z" }}{{ template "news.default" . }}{{ end }}`,
			},
			version:  "0.27.0",
			problems: []string{`alertmanager.yml:8:73: receiver a: slack_configs.title: unexpected "}" in operand`},
			warnings: []string{
				unsure(`alertmanager.yml:1:11: field new_key is not known here`, "Alertmanager", "0.27.0", "0.34"),
				unsure(`t.tmpl:1:1: function "shout" not defined`, "Alertmanager", "0.27.0", "0.34"),
			},
		},
		"empty entry behind an unknown key": {
			source:   files{"alertmanager.yml": "global: { new_key: 1, slack_api_url: 'http://localhost' }\nroute: { receiver: a }\nreceivers: [{ name: a, slack_configs: [null] }]\n"},
			version:  "0.27.0",
			problems: []string{`alertmanager.yml:3:40: an empty entry crashes the loader that the server uses, so the server would crash too`},
			warnings: nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := preview(t, tt.source, func(c *reload.Config) { c.Version, c.EnableFeatures = tt.version, tt.features })
			wantLines(t, "problems", problems, tt.problems...)
			if len(tt.problems) == 0 || len(tt.warnings) > 0 {
				wantLines(t, "warnings", warnings, tt.warnings...)
			}
		})
	}
}

// The versions that a check is strict about are those of the libraries in go.mod.
func TestLibrariesAreOfTheVersionsThatTheCheckIsStrictAbout(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../go.mod")
	must(t, err)
	required := func(module string) (minor, patch int) {
		_, line, _ := strings.Cut(string(data), "\t"+module+" v0.")
		if _, err := fmt.Sscanf(line, "%d.%d", &minor, &patch); err != nil {
			t.Fatalf("version of %s in go.mod: %v", module, err)
		}
		return minor, patch
	}
	minor, patch := required("github.com/prometheus/prometheus")
	ours := fmt.Sprintf("%d.%d.%d", minor/100, minor%100, patch) // v0.315.0 is Prometheus 3.15.0
	unknown := files{"prometheus.yml": "new_key: 1\n"}
	if problems, _ := preview(t, unknown, func(c *reload.Config) { c.Version = ours }); len(problems) != 1 {
		t.Errorf("a check for Prometheus %s is not strict", ours)
	}
	unknown = files{"alertmanager.yml": "new_key: 1\nroute: { receiver: a }\nreceivers: [{ name: a }]\n"}
	minor, patch = required("github.com/prometheus/alertmanager")
	ours = fmt.Sprintf("0.%d.%d", minor, patch)
	if problems, _ := preview(t, unknown, func(c *reload.Config) { c.Version = ours }); len(problems) != 1 {
		t.Errorf("a check for Alertmanager %s is not strict", ours)
	}
}

// An old Prometheus is given what only it knows: the server accepts it, runs it and proves it.
func TestOldPrometheusRunsWhatOnlyItKnows(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	server, _ := b.prometheus("prometheus-2.53")
	var log bytes.Buffer
	a, err := reload.NewPrometheus(b.config(server.URL()), reload.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	mustSync(t, a, false)
	b.write("prometheus.yml", otherMain+"  scrape_classic_histograms: true\n")
	b.write("rules/up.yml", strings.ReplaceAll(goodRules, "up == 0", "holt_winters(up[5m], 0.5, 0.5) > 0"))
	mustSync(t, a, true)
	if s := a.Status(); s.Proved != s.Live || s.Refused != "" {
		t.Errorf("status is %+v", s)
	}
	if config := get(t, server.URL()+"/api/v1/status/config"); !strings.Contains(config, "scrape_classic_histograms: true") {
		t.Errorf("config is %s", config)
	}
	if rules := get(t, server.URL()+"/api/v1/rules"); !strings.Contains(rules, "holt_winters") {
		t.Errorf("rules are %s", rules)
	}
	for _, warning := range []string{"scrape_classic_histograms", "holt_winters", "it is Prometheus 2.53."} {
		if !strings.Contains(log.String(), warning) {
			t.Errorf("the log doesn't warn of %s: %s", warning, &log)
		}
	}
}

// An experimental function reaches a Prometheus that has it switched on, and none other.
func TestExperimentalFunctionNeedsTheServersFlag(t *testing.T) {
	t.Parallel()
	experimental := strings.ReplaceAll(goodRules, "up == 0", "mad_over_time(up[5m]) > 0")
	t.Run("with", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
		mustSync(t, b.publishOnly(reload.NewPrometheus, nil), true)
		server := servertest.Prometheus(t, servertest.ConfigFile(filepath.Join(b.out, "live", "prometheus.yml")),
			servertest.Flags("--enable-feature=promql-experimental-functions"))
		a, err := reload.NewPrometheus(b.config(server.URL()), reload.Options{})
		must(t, err)
		mustSync(t, a, false)
		b.write("rules/up.yml", experimental)
		mustSync(t, a, true)
		if rules := get(t, server.URL()+"/api/v1/rules"); !strings.Contains(rules, "mad_over_time") {
			t.Errorf("rules are %s", rules)
		}
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
		server, a := b.prometheus("prometheus")
		mustSync(t, a, false)
		proxy := servertest.NewProxy(t, server.URL())
		a, err := reload.NewPrometheus(b.config(proxy.URL()), reload.Options{})
		must(t, err)
		b.write("rules/up.yml", experimental)
		changed, err := sync(t, a)
		if changed || err == nil || !strings.Contains(err.Error(), "rules/up.yml:5:11: ") || !strings.Contains(err.Error(), "--enable-feature=promql-experimental-functions") {
			t.Errorf("Sync returned %v, %v", changed, err)
		}
		if n := proxy.Count("POST", "/-/reload"); n != 0 {
			t.Errorf("the server was reloaded %d times", n)
		}
	})
}

// What stoker.yml says of the version is what a check goes by until the server says it itself.
func TestServersOwnVersionDecides(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	server, a := b.prometheus("prometheus")
	mustSync(t, a, false)
	good := a.Status().Live
	cfg := b.config(server.URL())
	cfg.Version = "3.99.0"
	b.write("prometheus.yml", otherMain+"  new_key: 1\n")

	a, err := reload.NewPrometheus(cfg, reload.Options{})
	must(t, err)
	_, warnings, err := a.Preview(t.Context())
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Msg, "field new_key is not known here: only the server can tell") {
		t.Errorf("the check offline: %v, %v", warnings, err)
	}
	changed, err := sync(t, a)
	if changed || err == nil || !strings.Contains(err.Error(), "prometheus.yml:6:3: field new_key is not known here; keeping release "+good) {
		t.Errorf("Sync returned %v, %v", changed, err)
	}
}

// Alertmanager 0.27 is judged by itself: what it doesn't know it refuses, and the release before runs on.
func TestOldAlertmanagerJudgesByItself(t *testing.T) {
	t.Parallel()
	const main = "route: { receiver: a }\nreceivers:\n- name: a\n  webhook_configs: [{ url: 'http://127.0.0.1:1' }]\n"
	b := newBench(t, map[string]string{"alertmanager.yml": main})
	mustSync(t, b.publishOnly(reload.NewAlertmanager, nil), true)
	server := servertest.Alertmanager(t, servertest.Binary("alertmanager-0.27"), servertest.ConfigFile(filepath.Join(b.out, "live", "alertmanager.yml")))
	var log bytes.Buffer
	a, err := reload.NewAlertmanager(b.config(server.URL()), reload.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	mustSync(t, a, false)
	good := a.Status().Live

	b.write("alertmanager.yml", main+"new_key: 1\n")
	changed, err := sync(t, a)
	if changed || err == nil || !strings.Contains(err.Error(), "field new_key not found") || !strings.Contains(err.Error(), "went back to release "+good) {
		t.Errorf("Sync returned %v, %v", changed, err)
	}
	if !strings.Contains(log.String(), "it is Alertmanager 0.27.") {
		t.Errorf("the log is %s", &log)
	}
	b.write("alertmanager.yml", main+"- name: b\n")
	mustSync(t, a, true)
	if s := a.Status(); s.Proved != s.Live {
		t.Errorf("status is %+v", s)
	}
}
