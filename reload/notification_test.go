package reload_test

import (
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// alertmanagerWith makes a release whose receiver is written like this, with one template file.
func alertmanagerWith(receiver, template string) files {
	return files{
		"alertmanager.yml": "global: { smtp_smarthost: 'localhost:25', smtp_from: a@example.org }\n" +
			"templates: ['t/*.tmpl']\nroute: { receiver: a }\nreceivers:\n- name: a\n" + receiver,
		"t/team.tmpl": template,
	}
}

// What a receiver writes is tried on a sample of alerts: Alertmanager itself finds out when the first alert fires, and
// then nobody is told of it.
func TestTemplatesAreExecuted(t *testing.T) {
	t.Parallel()
	const sampled = " (with a sample of alerts)"
	for name, tt := range map[string]struct {
		receiver, template string
		problems, warnings []string
	}{
		"all is well": {receiver: `  email_configs:
  - to: '{{ .CommonLabels.team }}@example.org'
    headers: { Subject: '{{ template "subject" . }}' }
    html: '<a href="{{ .ExternalURL }}">{{ range .Alerts.Firing }}{{ .Labels.instance }}{{ end }}</a>'
  slack_configs:
  - api_url: http://localhost
    text: |
      {{ range .Alerts }}{{ .Annotations.summary | toUpper }} {{ .StartsAt.Format "15:04" }}
      {{ end }}{{ .NotificationReason }}
    fields: [{ title: '{{ .GroupLabels.SortedPairs.Values | join " " }}', value: x }]
  webhook_configs:
  - url: 'http://localhost/{{ .GroupLabels.alertname }}'
  pagerduty_configs:
  - routing_key: '{{ .CommonLabels.team }}'
    details: { instances: '{{ len .Alerts.Resolved }}' }
`, template: `{{ define "subject" }}[{{ .Status | title }}] {{ template "__subject" . }}{{ end }}`},
		"undefined template": {
			receiver: "  slack_configs:\n  - api_url: http://localhost\n    title: '{{ template \"slack.titel\" . }}'\n",
			problems: []string{`alertmanager.yml:8:25: receiver a: slack_configs.title: executing "" at <{{template "slack.titel" .}}>: template "slack.titel" not defined`},
		},
		"undefined template in HTML": {
			receiver: "  email_configs:\n  - to: b@example.org\n    html: '{{ template \"mail\" . }}'\n",
			problems: []string{`alertmanager.yml:8:24: receiver a: email_configs.html: no such template "mail"`},
		},
		"unknown function": {
			receiver: "  slack_configs:\n  - api_url: http://localhost\n    text: |-\n      Hello\n      {{ shout .Status }}\n",
			problems: []string{`alertmanager.yml:10:7: receiver a: slack_configs.text: function "shout" not defined`},
		},
		"field that no notification has": {
			receiver: "  discord_configs:\n  - webhook_url: http://localhost\n    message: '{{ .Labels.instance }}'\n",
			problems: []string{`alertmanager.yml:8:25: receiver a: discord_configs.message: executing "" at <.Labels.instance>: can't evaluate field Labels in type *template.Data`},
		},
		"field that no alert has": {
			receiver: "  discord_configs:\n  - webhook_url: http://localhost\n    message: '{{ template \"team\" . }}'\n",
			template: "{{ define \"team\" }}\n{{ range .Alerts }}\n  {{ .Label.instance }}\n{{ end }}{{ end }}",
			problems: []string{`t/team.tmpl:3:12: receiver a: discord_configs.message: executing "team" at <.Label.instance>: can't evaluate field Label in type template.Alert`},
		},
		"template file that can't be parsed": {
			template: "{{ define \"team\" }}\n{{ .Alerts \n{{ end }}",
			problems: []string{`t/team.tmpl:3:1: unexpected "{" in operand`},
		},
		"unknown function in a file": {
			template: "{{ define \"team\" }}\n{{ shout }}{{ end }}",
			problems: []string{`t/team.tmpl:2:1: function "shout" not defined`},
		},
		"what depends on the alerts": {
			receiver: "  discord_configs:\n  - webhook_url: http://localhost\n    message: '{{ (index .Alerts 7).Status }}'\n",
			warnings: []string{`alertmanager.yml:8:19: receiver a: discord_configs.message: executing "" at <index .Alerts 7>: error calling index: index out of range: 7` + sampled},
		},
		"a receiver that no route uses": {
			receiver: "- name: b\n  discord_configs:\n  - webhook_url: http://localhost\n    message: '{{ template \"gone\" . }}'\n    http_config: { tls_config: { ca: none } }\n",
			warnings: []string{
				`alertmanager.yml:6:9: receiver b: unable to use specified CA cert inline`,
				`alertmanager.yml:9:27: receiver b: discord_configs.message: executing "" at <{{template "gone" .}}>: template "gone" not defined` + sampled,
			},
		},
		"a secret that looks like a template": {
			receiver: "  pagerduty_configs:\n  - routing_key: 'geheim {{ nothing }}'\n",
			warnings: []string{`alertmanager.yml:7:18: receiver a: pagerduty_configs.routing_key: the template in this secret can't be executed`},
		},
		"texts that differ in an address only": {
			receiver: "  discord_configs:\n" +
				"  - { webhook_url: http://localhost, message: '{{ .Status }}https://hush.example.org/a?{{ .Gone }}' }\n" +
				"  - { webhook_url: http://localhost, message: '{{ .Status }}https://hush.example.org/b?{{ .Gone }}' }\n" +
				"  - { webhook_url: http://localhost, message: '{{ .Status }}https://hush.example.org/b?{{ .Lost }}' }\n" +
				"  - { webhook_url: http://localhost, message: '{{ .Status }}{{ .Gone }}' }\n",
			problems: []string{
				`alertmanager.yml:7:91: receiver a: discord_configs.message: executing "" at <.Gone>: can't evaluate field Gone in type *template.Data`,
				`alertmanager.yml:9:91: receiver a: discord_configs.message: executing "" at <.Lost>: can't evaluate field Lost in type *template.Data`,
				`alertmanager.yml:10:64: receiver a: discord_configs.message: executing "" at <.Gone>: can't evaluate field Gone in type *template.Data`,
			},
		},
		"a user name that isn't executed": {receiver: "  discord_configs:\n  - webhook_url: http://localhost\n    username: '{{ nothing }}'\n"},
		"a template without an end":       {receiver: "  discord_configs:\n  - webhook_url: http://localhost\n    message: '{{ template \"loop\" . }}'\n", template: `{{ define "loop" }}{{ template "loop" . }}{{ end }}`, warnings: []string{`t/team.tmpl:1:32: receiver a: discord_configs.message: executing "loop" at <{{template "loop" .}}>: exceeded maximum template depth (100000)` + sampled}},
		"templates nested without an end": {receiver: "  discord_configs:\n  - webhook_url: http://localhost\n", template: strings.Repeat("{{ if true }}", 2000) + strings.Repeat("{{ end }}", 2000), problems: []string{"t/team.tmpl:1:13003: templates are nested more than 1000 deep here, which can crash the server"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := preview(t, alertmanagerWith(tt.receiver, tt.template+" "), nil)
			wantLines(t, "problems", problems, tt.problems...)
			if len(tt.problems) == 0 {
				wantLines(t, "warnings", warnings, tt.warnings...)
			}
			for _, line := range append(problems, warnings...) {
				if strings.Contains(line, "geheim") {
					t.Errorf("a secret is shown: %s", line)
				}
			}
		})
	}
}

// What an agent remembers of a check is about the templates and the server of that check.
func TestTemplatesAreExecutedAgain(t *testing.T) {
	t.Parallel()
	const one = "  discord_configs: [{ webhook_url: 'http://localhost', message: '{{ template \"one\" . }}' }]\n"
	b := newBench(t, alertmanagerWith(one, `{{ define "one" }}1{{ end }}`))
	a, err := reload.NewAlertmanager(b.config("http://127.0.0.1:1"), reload.Options{})
	must(t, err)
	want := func(problems ...string) {
		t.Helper()
		got, _ := b.preview(a)
		wantLines(t, "problems", got, problems...)
	}
	const gone = `alertmanager.yml:6:78: receiver a: discord_configs.message: executing "" at <{{template "one" .}}>: template "one" not defined`
	want()
	b.write("t/team.tmpl", `{{ define "two" }}2{{ end }}`)
	want(gone)
	b.write("t/more.tmpl", `{{ define "one" }}1{{ end }}`)
	want()
	b.write("t/more.tmpl", "")
	want(gone)
	b.write("alertmanager.yml", alertmanagerWith(strings.ReplaceAll(one, "one", "two"), "")["alertmanager.yml"])
	want()
	b.write("t/team.tmpl", `{{ define "two" }}{{ .Gone }}{{ end }}`)
	want(`t/team.tmpl:1:22: receiver a: discord_configs.message: executing "two" at <.Gone>: can't evaluate field Gone in type *template.Data`)
}

// A route's labels are templates too; Alertmanager goes on without one that fails.
func TestRouteLabelsAreExecuted(t *testing.T) {
	t.Parallel()
	problems, warnings := preview(t, files{"alertmanager.yml": "route:\n  receiver: a\n  labels: { team: '{{ .CommonLabels.team }}', where: '{{ template \"gone\" }}' }\nreceivers: [{ name: a }]\n"}, nil)
	wantLines(t, "problems", problems)
	wantLines(t, "warnings", warnings, `alertmanager.yml:3:67: label where of a route: executing "" at <{{template "gone"}}>: template "gone" not defined`)
}

// Files that aren't part of the release are the server's: that they aren't here means nothing, and is said. A file
// that Alertmanager looks up somewhere else than people think is said too.
func TestFilesOfTheServer(t *testing.T) {
	t.Parallel()
	const mounted = "because it may be mounted for the server alone"
	for name, tt := range map[string]struct {
		source   files
		warnings []string
	}{
		"prometheus": {files{
			"prometheus.yml": `global: { query_log_file: /var/log/gone/query.log }
scrape_config_files: [s.yml]
scrape_configs:
- job_name: a
  tls_config: { ca_file: /gone/ca.pem }
  basic_auth: { username: u, password_file: /gone/password }
- job_name: b
  tls_config: { ca_file: /gone/ca.pem }
remote_write: [{ url: 'http://localhost', authorization: { credentials_file: /gone/write } }]
alerting:
  alertmanagers: [{ tls_config: { ca_file: /gone/am.pem } }]
`,
			"s.yml": "scrape_configs:\n- job_name: c\n  kubernetes_sd_configs: [{ role: pod, kubeconfig_file: /gone/kube }]\n  file_sd_configs: [{ files: [/gone/*.json] }]\n",
		}, []string{
			`prometheus.yml:5:26: ca_file: "/gone/ca.pem" isn't here: only the server can tell, ` + mounted,
			`prometheus.yml:6:45: password_file: "/gone/password" isn't here: only the server can tell, ` + mounted,
			`prometheus.yml:9:78: credentials_file: "/gone/write" isn't here: only the server can tell, ` + mounted,
			`prometheus.yml:11:44: ca_file: "/gone/am.pem" isn't here: only the server can tell, ` + mounted,
			`s.yml:3:57: kubeconfig_file: "/gone/kube" isn't here: only the server can tell, ` + mounted,
		}},
		"alertmanager": {files{"alertmanager.yml": `global:
  smtp_smarthost: localhost:25
  smtp_from: a@example.org
  smtp_auth_username: a
  smtp_auth_password_file: secrets/smtp
  http_config: { tls_config: { ca_file: ca.pem } }
route: { receiver: a }
receivers:
- name: a
  email_configs: [{ to: b@example.org }]
  slack_configs: [{ api_url_file: /gone/slack, http_config: { tls_config: { ca_file: /gone/ca.pem } } }]
  webhook_configs: [{ url: 'http://localhost' }]
`, "ca.pem": string(ca(t))}, []string{
			`alertmanager.yml:5:28: smtp_auth_password_file: Alertmanager looks up "secrets/smtp" in the folder that it was started in, and not beside this file: write an absolute path`,
			`alertmanager.yml:11:35: api_url_file: "/gone/slack" isn't here: only the server can tell, ` + mounted,
			`alertmanager.yml:11:86: ca_file: "/gone/ca.pem" isn't here: only the server can tell, ` + mounted,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, warnings := preview(t, tt.source, nil)
			wantLines(t, "problems", problems)
			wantLines(t, "warnings", warnings, tt.warnings...)
		})
	}

	// Of very many, most are counted.
	main := "scrape_configs:\n"
	for i := range 50 {
		n := string(rune('a'+i/26)) + string(rune('a'+i%26))
		main += "- { job_name: " + n + ", bearer_token_file: /gone/" + n + " }\n"
	}
	_, warnings := preview(t, files{"prometheus.yml": main}, func(*reload.Config) {})
	if len(warnings) != 21 || !strings.Contains(strings.Join(warnings, "\n"), "the same goes for 30 more files") {
		t.Errorf("%d warnings: %q", len(warnings), warnings)
	}
}
