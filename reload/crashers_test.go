package reload_test

import (
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// Some files crash the libraries that the servers are made of, and so the servers. The check says where.
func TestCrashersAreErrors(t *testing.T) {
	t.Parallel()
	const crash = "crashes the loader that the server uses, so the server would crash too"
	for name, tt := range map[string]struct {
		source files
		want   string // the place
	}{
		"null filter":       {files{"prometheus.yml": "scrape_configs:\n- job_name: a\n  ec2_sd_configs:\n  - filters: [null]\n"}, "prometheus.yml:4:5: "},
		"null Alertmanager": {files{"prometheus.yml": "alerting:\n  alertmanagers:\n  - null\n"}, "prometheus.yml:3:5: "},
		"null filter in an include": {files{"prometheus.yml": "scrape_config_files: [s.yml]\n", "s.yml": "scrape_configs:\n- job_name: a\n  ec2_sd_configs:\n  - filters: [null]\n"},
			"s.yml:4:5: "},
		"null HTTP settings":   {files{"alertmanager.yml": "global:\n  http_config:\nroute: { receiver: a }\nreceivers: [{ name: a, slack_configs: [{ api_url: 'http://localhost' }] }]\n"}, "alertmanager.yml:2:3: "},
		"null route":           {files{"alertmanager.yml": "route:\n  receiver: a\n  routes:\n  - { receiver: a, routes: [null] }\nreceivers: [{ name: a }]\n"}, "alertmanager.yml:4:29: "},
		"null Slack":           {files{"alertmanager.yml": "global: { slack_api_url: 'http://localhost' }\nroute: { receiver: a }\nreceivers: [{ name: a, slack_configs: [null] }]\n"}, "alertmanager.yml:3:40: "},
		"null OpsGenie":        {files{"alertmanager.yml": "global: { opsgenie_api_key: x }\nroute: { receiver: a }\nreceivers: [{ name: a, opsgenie_configs: [null] }]\n"}, "alertmanager.yml:3:43: "},
		"null WeChat":          {files{"alertmanager.yml": "global: { wechat_api_secret: x, wechat_api_corp_id: y }\nroute: { receiver: a }\nreceivers: [{ name: a, wechat_configs: [null] }]\n"}, "alertmanager.yml:3:41: "},
		"null Rocket.Chat":     {files{"alertmanager.yml": "global: { rocketchat_token: x, rocketchat_token_id: y }\nroute: { receiver: a }\nreceivers: [{ name: a, rocketchat_configs: [null] }]\n"}, "alertmanager.yml:3:45: "},
		"update without a URL": {files{"alertmanager.yml": "route: { receiver: a }\nreceivers:\n- name: a\n  slack_configs:\n  - channel: x\n    update_message: true\n"}, "alertmanager.yml:5:5: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, version := range []string{"", "0.1.0"} {
				problems, _ := preview(t, tt.source, func(c *reload.Config) { c.Version = version })
				if len(problems) != 1 || !strings.HasPrefix(problems[0], tt.want) || !strings.Contains(problems[0], crash) {
					t.Errorf("version %q: problems are %q", version, problems)
				}
			}
		})
	}
}

// What takes its parsers minutes, or their stack more than there is, is refused before they see it.
func TestEndlessNestingIsRefused(t *testing.T) {
	t.Parallel()
	deep := func(open, inner, shut string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	aliases := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		previous := string(c - 1)
		aliases += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+previous+", ", 9), ", ") + "]\n"
	}
	for name, tt := range map[string]struct {
		source files
		want   string
	}{
		"expression":          {ruleFiles(deep("(", "1", ")", 300_000)), `r.yml:5:11: group "a", rule 1, "a": could not parse expression: the expression has more than 10000 parts`},
		"sum of sums":         {ruleFiles(deep("1 + ", "1", "", 300_000)), "has more than 10000 parts"},
		"annotation":          {files{"prometheus.yml": "rule_files: [r.yml]\n", "r.yml": "groups: [{ name: a, rules: [{ alert: a, expr: up, annotations: { x: '" + deep("{{if true}}", "", "{{end}}", 300_000) + "' } }] }]\n"}, "r.yml:1:11072: templates are nested more than 1000 deep"},
		"YAML":                {files{"prometheus.yml": "global: " + deep("[", "", "]", 300_000) + "\n"}, "exceeded max depth"},
		"aliases":             {files{"prometheus.yml": aliases + "global: *j\n"}, "prometheus.yml:"},
		"aliases of receiver": {files{"alertmanager.yml": aliases + "route: *j\n"}, "alertmanager.yml:"},
		"aliases of rules":    {files{"prometheus.yml": "rule_files: [r.yml]\n", "r.yml": aliases + "groups: *j\n"}, "r.yml:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, _ := preview(t, tt.source, nil)
			if len(problems) == 0 || !strings.Contains(problems[0], tt.want) {
				t.Errorf("problems are %.300q", problems)
			}
			for _, p := range problems {
				if len(p) > 5000 {
					t.Errorf("a message of %d bytes: %.300s", len(p), p)
				}
			}
		})
	}
}
