package reload_test

import (
	"errors"
	"fmt"
	"go/scanner"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// files is a source folder in a test: the content by path.
type files map[string]string

// preview checks a source folder as `stoker check` does, and returns what it finds, without the folder's name. An agent
// that remembers an earlier check finds the same.
func preview(t *testing.T, source files, change func(*reload.Config)) (problems, warnings []string) {
	t.Helper()
	b := newBench(t, source)
	kind := reload.NewPrometheus
	if _, ok := source["alertmanager.yml"]; ok {
		kind = reload.NewAlertmanager
	}
	cfg := b.config("http://127.0.0.1:1")
	if change != nil {
		change(&cfg)
	}
	a, err := kind(cfg, reload.Options{})
	must(t, err)
	problems, warnings = b.preview(a)
	againProblems, againWarnings := b.preview(a)
	wantLines(t, "problems of the second check", againProblems, problems...)
	wantLines(t, "warnings of the second check", againWarnings, warnings...)
	return problems, warnings
}

// preview has the source folder checked by an agent.
func (b *bench) preview(a *reload.Agent) (problems, warnings []string) {
	b.t.Helper()
	_, list, err := a.Preview(b.t.Context())
	var found scanner.ErrorList
	var one *scanner.Error
	if err != nil && !errors.As(err, &found) {
		if !errors.As(err, &one) {
			b.t.Fatal(err)
		}
		found = scanner.ErrorList{one}
	}
	short := func(list scanner.ErrorList) (lines []string) {
		for _, e := range list {
			lines = append(lines, strings.ReplaceAll(e.Error(), b.source+string(filepath.Separator), ""))
		}
		return lines
	}
	return short(found), short(list)
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s are\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Upstream's loaders give most faults in a sentence. People get the file, the line and the column of each.
func TestPositionsOfPrometheusFaults(t *testing.T) {
	t.Parallel()
	const job = "scrape_configs:\n- job_name: a\n"
	for name, tt := range map[string]struct {
		source files
		want   []string
	}{
		"bad regex": {files{"prometheus.yml": job + "  relabel_configs:\n  - source_labels: [x]\n    regex: 'a('\n    action: keep\n"},
			[]string{"prometheus.yml:5:12: error parsing regexp: missing closing ): `^(?s:a()$`"}},
		"relabel rule without a target": {files{"prometheus.yml": job + "  metric_relabel_configs:\n  - { source_labels: [x], action: lowercase }\n"},
			[]string{"prometheus.yml:4:35: relabel configuration for lowercase action requires 'target_label' value"}},
		"timeout longer than the interval": {files{"prometheus.yml": job + "  scrape_interval: 5s\n  scrape_timeout: 10s\n"},
			[]string{`prometheus.yml:2:13: scrape timeout greater than scrape interval for scrape config with job name "a"`}},
		"service discovery without a role": {files{"prometheus.yml": job + "  kubernetes_sd_configs:\n  - role: pod\n  - api_server: http://localhost\n"},
			[]string{"prometheus.yml:5:5: role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"}},
		"wrong type": {files{"prometheus.yml": "scrape_configs: some\n"},
			[]string{"prometheus.yml:1:1: the text `some` is not a list"}},
		"no text": {files{"prometheus.yml": "global: {}\n# caf\xe9\n"},
			[]string{"prometheus.yml:2:6: incomplete UTF-8 octet sequence: save the file as UTF-8"}},
		"key twice": {files{"prometheus.yml": "global: {}\nglobal: {}\n"},
			[]string{"prometheus.yml:2:1: field global is set twice"}},
		"two rule files with faults": {files{
			"prometheus.yml": "rule_files: [rules/*.yml]\n",
			"rules/a.yml":    "groups:\n- name: a\n  rules:\n  - record: x\n    expr: |\n      sum(\n        rate(up)\n      )\n",
			"rules/b.yml":    "groups:\n- name: b\n  rules:\n  - alert: X\n    expr: 'up == == 0'\n    annotations:\n      summary: |\n        {{ $value }}\n        {{ nothing }}\n- name: b\n  rules: []\n",
		}, []string{
			`rules/a.yml:7:14: group "a", rule 1, "x": could not parse expression: expected type range vector in call to function "rate", got instant vector`,
			`rules/b.yml:5:18: group "b", rule 1, "X": could not parse expression: unexpected <op:==>`,
			`rules/b.yml:9:9: group "b", rule 1, "X": annotation "summary": function "nothing" not defined`,
			`rules/b.yml:10:9: groupname: "b" is repeated in the same file`,
		}},
		"rule without an expression": {files{"prometheus.yml": "rule_files: [r.yml]\n", "r.yml": "groups:\n- name: a\n  rules:\n  - alert: X\n    for: 5m\n"},
			[]string{`r.yml:4:5: group "a", rule 1, "X": field 'expr' must be set in rule`}},
		"folded expression": {files{"prometheus.yml": "rule_files: [r.yml]\n", "r.yml": "groups:\n- name: a\n  rules:\n  - alert: X\n    expr: >\n      up ==\n      == 0\n"},
			[]string{`r.yml:5:11: group "a", rule 1, "X": could not parse expression: 1:7: parse error: unexpected <op:==>`}},
		"faults in includes": {files{
			"prometheus.yml": "scrape_config_files: [scrape/*.yml]\n" + job,
			"scrape/b.yml":   "scrape_configs:\n- job_name: b\n- job_name: a\n",
			"scrape/c.yml":   "scrape_configs:\n- job_name: b\n  relabel_configs:\n  - { regex: '*', source_labels: [x], target_label: y }\n",
			"scrape/d.yml":   "scrape_configs:\n- job_name: d\n  scrape_timeout: 10m\n",
			"scrape/e.yml":   "scrape_configs:\n- job_name: e\n  metric_path: /m\n",
			"scrape/f.yml":   "scrape_configs:\n- job_name: b\n",
		}, []string{
			`scrape/b.yml:3:13: found multiple scrape configs with job name "a", first found in prometheus.yml:3:13`,
			"scrape/c.yml:4:14: error parsing regexp: missing argument to repetition operator: `*`",
			`scrape/d.yml:2:13: scrape timeout greater than scrape interval for scrape config with job name "d"`,
			`scrape/e.yml:3:3: field metric_path is not known here, did you mean "metrics_path"?`,
			`scrape/f.yml:2:13: found multiple scrape configs with job name "b", first found in scrape/b.yml:2:13`,
		}},
		"missing include": {files{"prometheus.yml": "scrape_config_files:\n- scrape/*.yml\n- scrape/gone.yml\n"},
			[]string{`prometheus.yml:3:3: "scrape/gone.yml": no such file below the folder of the main file`}},
		"missing file of an include": {files{
			"prometheus.yml": "scrape_config_files: [scrape/*.yml]\n",
			"scrape/a.yml":   "scrape_configs:\n- job_name: a\n  basic_auth: { username: u, password_file: pw }\n",
		}, []string{`scrape/a.yml:3:45: "scrape/pw": no such file below the folder of the main file`}},
		"folder in place of a file": {files{"prometheus.yml": "rule_files: [rules]\n", "rules/a.yml": goodRules},
			[]string{`prometheus.yml:1:14: "rules" is a folder: name the files in it, such as "rules/*.*"`}},
		"log inside the release": {files{"prometheus.yml": "global:\n  query_log_file: query.log\n"},
			[]string{`prometheus.yml:2:19: log file "query.log" would be written into a release, which is never changed and replaced by the next one: write an absolute path`}},
		"certificate that is none": {files{"prometheus.yml": job + "  tls_config:\n    ca_file: ca.pem\n", "ca.pem": "none"},
			[]string{`prometheus.yml:4:14: job a: unable to use specified CA cert file ca.pem`}},
		"certificate of tracing that is none": {files{"prometheus.yml": "tracing:\n  endpoint: 'localhost:1'\n  tls_config: { ca_file: ca.pem }\n", "ca.pem": "none"},
			[]string{`prometheus.yml:3:26: tracing: unable to use specified CA cert file ca.pem`}},
		"remote write twice": {files{"prometheus.yml": "remote_write:\n- { url: 'http://localhost', basic_auth: { username: a, password: b } }\n- { url: 'http://localhost', basic_auth: { username: a, password: c } }\n"},
			[]string{`prometheus.yml:3:3: differs from an entry before at most in its secrets, and the server takes only one of such: give it a name of its own`}},
		"certificate of remote write that is none": {files{"prometheus.yml": "remote_write:\n- url: http://localhost/write\n  tls_config: { ca: none }\n"},
			[]string{`prometheus.yml:2:8: remote_write: unable to use specified CA cert inline`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := preview(t, tt.source, nil)
			wantLines(t, "problems", problems, tt.want...)
			wantLines(t, "warnings", warnings)
		})
	}
}

// Of very many faults the first hundred are told, and the rest counted.
func TestManyFaults(t *testing.T) {
	t.Parallel()
	keys, wrong := "", "groups:\n- name: a\n  rules:\n"
	for i := range 5000 {
		keys += fmt.Sprintf("key%d: 1\n", i)
		wrong += "  - { record: a, expr: up == }\n"
	}
	for _, source := range []files{
		{"prometheus.yml": keys},
		{"alertmanager.yml": keys},
		{"prometheus.yml": "rule_files: [r.yml]\n", "r.yml": wrong},
	} {
		problems, _ := preview(t, source, nil)
		if len(problems) != 101 || !strings.HasSuffix(problems[100], " 4900 problems from here on") {
			t.Errorf("%d problems: %q", len(problems), problems[max(0, len(problems)-2):])
		}
	}
}

func TestPositionsOfAlertmanagerFaults(t *testing.T) {
	t.Parallel()
	const receivers = "receivers:\n- name: a\n"
	for name, tt := range map[string]struct {
		main string
		want string
	}{
		"undefined receiver":      {"route:\n  receiver: a\n  routes:\n  - receiver: b\n" + receivers, `alertmanager.yml:4:15: undefined receiver "b" used in route`},
		"receiver twice":          {"route: { receiver: a }\nreceivers:\n- name: a\n- name: a\n", `alertmanager.yml:4:9: notification config name "a" is not unique`},
		"receiver without a name": {"route: { receiver: a }\n" + receivers + "- webhook_configs: []\n", `alertmanager.yml:4:3: missing name in receiver`},
		"bad matcher":             {"route:\n  receiver: a\n  routes:\n  - matchers: ['severity']\n" + receivers, `alertmanager.yml:4:16: bad matcher format: severity`},
		"bad regex in a matcher":  {"route:\n  receiver: a\n  routes:\n  - matchers:\n    - severity=\"a\"\n    - severity=~\"(\"\n" + receivers, "alertmanager.yml:6:7: error parsing regexp: missing closing ): `^(?:()$`"},
		"bad match_re":            {"route:\n  receiver: a\n  routes:\n  - match_re: { x: '(' }\n" + receivers, "alertmanager.yml:4:20: error parsing regexp: missing closing ): `^(?:()$`"},
		"bad time interval":       {"route: { receiver: a }\n" + receivers + "time_intervals:\n- name: night\n  time_intervals:\n  - times:\n    - { start_time: '22:00', end_time: '06:00' }\n", `alertmanager.yml:8:7: start time cannot be equal or greater than end time`},
		"undefined time interval": {"route:\n  receiver: a\n  routes:\n  - mute_time_intervals: [night]\n" + receivers, `alertmanager.yml:4:27: undefined time interval "night" used in route`},
		"group_by twice":          {"route:\n  receiver: a\n  group_by: [job, job]\n" + receivers, `alertmanager.yml:3:19: duplicated label "job" in group_by`},
		"matchers at the root":    {"global: {}\nroute:\n  receiver: a\n  matchers: [a=\"b\"]\n" + receivers, `alertmanager.yml:2:1: root route must not have any matchers`},
		"no mail server":          {"route: { receiver: a }\n" + receivers + "  email_configs:\n  - to: a@example.org\n", `alertmanager.yml:4:3: no global SMTP smarthost set`},
		"no URL":                  {"route: { receiver: a }\n" + receivers + "  webhook_configs:\n  - send_resolved: true\n", `alertmanager.yml:5:5: one of url or url_file must be configured`},
		"two that exclude another": {"global:\n  slack_api_url: http://localhost\n  slack_api_url_file: /x\nroute: { receiver: a }\n" + receivers,
			`alertmanager.yml:3:3: at most one of slack_api_url & slack_api_url_file must be configured`},
		"inhibition":     {"route: { receiver: a }\n" + receivers + "inhibit_rules:\n- source_matchers: [a=\"b\"]\n  target_matchers: ['=']\n", `alertmanager.yml:6:21: bad matcher format: =`},
		"unknown key":    {"route: { receiver: a, group_bye: [x] }\n" + receivers, `alertmanager.yml:1:23: field group_bye is not known here, did you mean "group_by"?`},
		"no route":       {receivers, `alertmanager.yml:1:1: no routes provided`},
		"broken secrets": {"route: { receiver: a }\n" + receivers + "  webhook_configs:\n  - url: http://localhost\n    http_config: { tls_config: { ca: none } }\n", `alertmanager.yml:3:9: receiver a: unable to use specified CA cert inline`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := preview(t, files{"alertmanager.yml": tt.main}, nil)
			wantLines(t, "problems", problems, tt.want)
			wantLines(t, "warnings", warnings)
		})
	}
}
