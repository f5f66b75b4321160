package sidecar

import (
	"context"
	"errors"
	"go/scanner"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
)

const (
	team  = "route: { receiver: team }\n"
	teams = "receivers:\n- name: team\n"
	acme  = "kind: operator\nname: Acme\nowner: hx1\ncontact_methods: { hook: { webhook: { url: 'https://hooks.acme.example/' } } }\nnotification_rules: [ { notify: [hook] } ]\n"
)

// What Alertmanager's own loader lets pass, dies of, or says without a place, `stoker check` says with one: errors where
// the server would crash or refuse it, warnings where it is hardly meant.
var alertmanagerFacts = map[string]struct {
	main     string
	problems []string
	warnings []string
}{
	"nothing wrong": {main: team + teams},

	// It crashes.
	"null Slack":       {main: "global: { slack_api_url: 'https://x.example' }\n" + team + teams + "  slack_configs: [null]\n", problems: []string{"5:19: an empty entry crashes the loader that the server uses, so the server would crash too"}},
	"null OpsGenie":    {main: "global: { opsgenie_api_key: x }\n" + team + teams + "  opsgenie_configs:\n  -\n", problems: []string{"6:4: an empty entry crashes the loader that the server uses, so the server would crash too"}},
	"null Rocket.Chat": {main: "global: { rocketchat_token: x, rocketchat_token_id: y }\n" + team + teams + "  rocketchat_configs: [~]\n", problems: []string{"5:24: an empty entry crashes the loader that the server uses, so the server would crash too"}},
	"null route":       {main: "route: { receiver: team, routes: [null] }\n" + teams, problems: []string{"1:35: the configuration crashes the loader that the server uses, so the server would crash too: runtime error: invalid memory address or nil pointer dereference"}},
	"update_message":   {main: team + teams + "  slack_configs:\n  - { channel: x, update_message: true }\n", problems: []string{"5:5: the configuration crashes the loader that the server uses, so the server would crash too: runtime error: invalid memory address or nil pointer dereference"}},

	// It says nothing.
	"templates that match nothing": {main: team + teams + "templates: ['*.tmpl']\n", warnings: []string{`4:13: no template matches "*.tmpl"`}},
	"text that can't be parsed":    {main: team + teams + "  webhook_configs: [{ url: 'https://x.example/{{ .Status' }]\n", problems: []string{"4:28: invalid template syntax: template: :1: unclosed action"}},
	"unknown template":             {main: "global: { slack_api_url: 'https://x.example' }\n" + team + teams + "  slack_configs: [{ text: '{{ template \"x\" . }}' }]\n", problems: []string{`5:40: receiver team: slack_configs.text: executing "" at <{{template "x" .}}>: template "x" not defined`}},
	"route label":                  {main: "route: { receiver: team, labels: { a: '{{ .X }}' } }\n" + teams, warnings: []string{`1:43: label a of a route: executing "" at <.X>: can't evaluate field X in type *template.Data`}},
	"missing file":                 {main: team + teams + "  webhook_configs: [{ url_file: /nonexistent/url }]\n", warnings: []string{`4:33: url_file: "/nonexistent/url" isn't here: only the server can tell, because it may be mounted for the server alone`}},
	"relative file":                {main: team + teams + "  webhook_configs: [{ url_file: secrets/url }]\n", warnings: []string{`4:33: url_file: Alertmanager looks up "secrets/url" in the folder that it was started in, and not beside this file: write an absolute path`}},
	"never reached":                {main: "route:\n  receiver: team\n  routes:\n  - { receiver: team }\n  - { receiver: team, matchers: [ a=b ] }\n" + teams, warnings: []string{"5:5: never reached: the route in line 4 takes every alert, and has no continue"}},
	"never reached, same matchers": {main: "route:\n  receiver: team\n  routes:\n  - { matchers: [ a=b, c=d ] }\n  - { matchers: [ c=d, a=b ], group_wait: 1s }\n" + teams, warnings: []string{"5:5: never reached: the route in line 4 has the same matchers, and no continue"}},
	"equal leaves":                 {main: "route:\n  receiver: team\n  routes:\n  - { matchers: [ a=b ], continue: true }\n  - { matchers: [ x=y ] }\n  - { matchers: [ a=b ], group_wait: 1m }\n" + teams, warnings: []string{"6:5: the same matchers, receiver and group_by as the route in line 4: Alertmanager takes what one of them sent for sent by both"}},
	"unused receiver":              {main: team + teams + "- name: spare\n", warnings: []string{`4:9: receiver "spare" is used by no route`}},
	"repeat before group":          {main: "route: { receiver: team, group_interval: 1h, repeat_interval: 5m }\n" + teams, warnings: []string{"1:8: repeat_interval 5m is shorter than group_interval 1h: nothing is repeated before the next group_interval"}},
	"repeat once forgotten":        {main: "route: { receiver: team, routes: [ { matchers: [ a=b ], repeat_interval: 1w } ] }\n" + teams, warnings: []string{"1:36: repeat_interval 1w is longer than Alertmanager remembers what it has sent: it is repeated after 5d, unless --data.retention is longer"}},
	"email":                        {main: "global: { smtp_smarthost: 'x:25', smtp_from: nobody }\n" + team + teams + "  email_configs: [ { to: 'a@b.example, the team' }, { to: '{{ .CommonLabels.mail }}' } ]\n", warnings: []string{"1:46: not an email address, nor a list of them", "5:26: not an email address, nor a list of them"}},
	"SNS":                          {main: team + teams + "  sns_configs: [{ phone_number: call me maybe, sigv4: { region: eu-west-1 } }]\n", warnings: []string{"4:33: phone_number must be + and the digits of an international number"}},
	"matches everything":           {main: "route:\n  receiver: team\n  routes:\n  - { matchers: [ 'team=~\".*\"', severity=critical ] }\n" + teams, warnings: []string{`4:5: matcher team=~".*" matches every alert, also one without that label`}},
	"empty inhibit rule":           {main: "inhibit_rules:\n- { equal: [prep] }\n- { source_matchers: [ a=b ], equal: [prep] }\n- { target_matchers: [ a=b ], equal: [prep] }\n" + team + teams, warnings: []string{"2:3: inhibit rule without matchers", "3:3: inhibit rule without target_matchers: its source mutes every other alert", "4:3: inhibit rule without source_matchers: any other alert mutes its target"}},
	"second document":              {main: team + teams + "---\nroute: {}\n", warnings: []string{"4:1: second document, one file holds one document"}},
	"null receiver":                {main: team + teams + "-\n", warnings: []string{"4:2: empty entry in receivers, fill or remove it"}},
	"secret from the page":         {main: team + teams + "  webhook_configs: [{ url: <secret> }]\n", warnings: []string{"4:28: <secret> is what servers print in place of a secret, give the real value"}},
	"misspelt label":               {main: "route:\n  receiver: team\n  routes:\n  - { matchers: [ severty=critical ] }\n  - { matchers: [ alert_name=~\"Node.+\" ] }\n" + teams, warnings: []string{`4:5: label "severty" of a matcher is not one that alerts are known to have, did you mean "severity"?`, `5:5: label "alert_name" of a matcher is not one that alerts are known to have, did you mean "alertname"?`}},
	"misspelt severity":            {main: "route:\n  receiver: team\n  routes:\n  - { matchers: [ severity=critcal ] }\n" + teams, warnings: []string{`4:5: severity "critcal" is not one of severities in stoker.yml, did you mean "critical"?`}},

	// It says so, without a place.
	"unknown key":      {main: "route: { receiver: team, colour: red }\n" + teams, problems: []string{"1:26: field colour is not known here"}},
	"key twice":        {main: team + team + teams, problems: []string{"2:1: field route is set twice"}},
	"unknown receiver": {main: "route: { receiver: team, routes: [ { receiver: tema } ] }\n" + teams, problems: []string{`1:48: undefined receiver "tema" used in route`}},
	"unknown interval": {main: "route:\n  receiver: team\n  routes:\n  - mute_time_intervals: [night]\n" + teams, problems: []string{`4:27: undefined time interval "night" used in route`}},
	"receiver twice":   {main: team + teams + "- name: team\n", problems: []string{`4:9: notification config name "team" is not unique`}},
	"unknown zone":     {main: team + teams + "time_intervals:\n- name: a\n  time_intervals:\n  - location: Europe/Berln\n", problems: []string{"7:15: unknown time zone Europe/Berln"}},
	"over midnight":    {main: team + teams + "time_intervals:\n- name: a\n  time_intervals:\n  - times: [ { start_time: '22:00', end_time: '07:00' } ]\n", problems: []string{"7:14: start time cannot be equal or greater than end time"}},
	"group_by twice":   {main: "route: { receiver: team, group_by: [ a, a ] }\n" + teams, problems: []string{`1:41: duplicated label "a" in group_by`}},
}

func TestAlertmanagerFacts(t *testing.T) {
	for name, fact := range alertmanagerFacts {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, routing.MainFile), []byte(fact.main), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := &Config{Alertmanager: &reload.Config{}}
			*cfg.Alertmanager = reload.DefaultConfig()
			cfg.Alertmanager.URL, cfg.Alertmanager.SourceDir, cfg.Alertmanager.OutputDir = "http://127.0.0.1:1", dir, dir+"-out"
			problems, warnings, _ := Check(context.Background(), cfg, CheckOptions{})

			// With contacts it is the same, once, except that what the merge can't take is an error then.
			contacts := filepath.Join(t.TempDir(), "contacts")
			if err := errors.Join(os.Mkdir(contacts, 0o755), os.WriteFile(filepath.Join(contacts, "acme.yml"), []byte(acme), 0o600)); err != nil {
				t.Fatal(err)
			}
			cfg.Contacts = &routing.ContactsConfig{Dir: contacts}
			beside, besideWarnings, _ := Check(context.Background(), cfg, CheckOptions{})
			all := func(lists ...scanner.ErrorList) (all []string) {
				for _, p := range slices.Concat(lists...) {
					all = append(all, p.Error())
				}
				slices.Sort(all)
				return all
			}
			if d := cmp.Diff(all(problems, warnings), all(beside, besideWarnings)); d != "" {
				t.Errorf("without contacts and with them (-without +with):\n%s", d)
			}
			if len(beside) < len(problems) {
				t.Errorf("fewer errors with contacts: %v", beside)
			}
			lines := func(list []string) []string { return append([]string{}, list...) }
			var got [2][]string
			for _, p := range problems {
				got[0] = append(got[0], strings.TrimPrefix(p.Error(), filepath.Join(dir, routing.MainFile)+":"))
			}
			for _, w := range warnings {
				got[1] = append(got[1], strings.TrimPrefix(w.Error(), filepath.Join(dir, routing.MainFile)+":"))
			}
			if d := cmp.Diff(lines(fact.problems), lines(got[0])); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
			if d := cmp.Diff(lines(fact.warnings), lines(got[1])); d != "" {
				t.Errorf("warnings (-want +got):\n%s", d)
			}
		})
	}
}
