package reload

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/config"
)

// The paths that a release of Alertmanager takes in are those that Alertmanager itself looks up beside its main file.
func TestAlertmanagerPathsAreResolvedAsByItself(t *testing.T) {
	t.Parallel()
	http := func(name string) string {
		return "http_config: { tls_config: { ca_file: " + name + ".ca, cert_file: " + name + ".cert, key_file: " + name + ".key }, basic_auth: { username: u, password_file: " + name + ".password } }"
	}
	integrations := map[string]string{
		"discord": "webhook_url: 'http://localhost'", "email": "to: a", "incidentio": "url: 'http://localhost', alert_source_token: x",
		"pagerduty": "routing_key: x", "slack": "api_url_file: slack.url", "webhook": "url_file: webhook.url", "opsgenie": "api_key: x",
		"wechat": "api_secret: x, corp_id: x", "pushover": "user_key: x, token: x", "victorops": "api_key: x, routing_key: x",
		"sns": "topic_arn: x", "telegram": "chat_id: 1, bot_token_file: telegram.token", "webex": "room_id: x",
		"msteams": "webhook_url: 'http://localhost'", "msteamsv2": "webhook_url: 'http://localhost'",
		"jira":       "api_url: 'http://localhost', project: x, issue_type: x",
		"rocketchat": "token: x, token_id: y", "mattermost": "webhook_url: 'http://localhost'",
	}
	main := "global: { smtp_smarthost: 'localhost:1', smtp_from: a, smtp_auth_password_file: smtp, smtp_tls_config: { ca_file: smtp.ca }, " + http("global") + " }\n" +
		"templates: [t.tmpl]\nroute: { receiver: a }\ntracing: { endpoint: x, tls_config: { ca_file: tracing.ca } }\n" +
		"event_recorder: { file_outputs: [{ path: events }], webhook_outputs: [{ url: 'http://localhost', " + http("events") + " }], kafka_outputs: [{ brokers: ['localhost:1'], topic: x, tls_config: { ca_file: kafka.ca } }] }\n" +
		"receivers:\n- name: a\n"
	for _, name := range slices.Sorted(maps.Keys(integrations)) {
		one := integrations[name] + ", " + http(name)
		if name == "incidentio" {
			one = integrations[name] + ", http_config: { authorization: { credentials_file: incidentio.token } }"
			one = strings.Replace(one, ", alert_source_token: x", "", 1)
		}
		if name == "webex" {
			one = integrations[name] + ", http_config: { authorization: { credentials_file: webex.token } }"
		}
		if name == "email" {
			one = "to: a, tls_config: { ca_file: email.ca }"
		}
		main += "  " + name + "_configs: [{ " + one + " }]\n"
	}
	for i := range reflect.TypeFor[config.Receiver]().NumField() {
		f := reflect.TypeFor[config.Receiver]().Field(i)
		if f.Type.Kind() == reflect.Slice && integrations[strings.TrimSuffix(strings.Split(f.Tag.Get("yaml"), ",")[0], "_configs")] == "" {
			t.Errorf("there is no section for %s", f.Name)
		}
	}

	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	walkFields(loaded, func(_ string, v reflect.Value) {
		if rel, ok := strings.CutPrefix(v.String(), dir+"/"); ok {
			want[rel] = true
		}
	})
	var l lastLoad
	refs, err := alertmanagerFiles{}.references("alertmanager.yml", "alertmanager.yml", []byte(main), facts{}, &l)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, ref := range refs {
		got[ref.pattern] = true
	}
	if len(want) < 60 || !reflect.DeepEqual(got, want) {
		t.Errorf("the release takes in %v, Alertmanager looks up %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	// What the check is given after that is what it would load.
	if took := l.take([]byte(main), dir); !reflect.DeepEqual(took, loaded) {
		t.Errorf("the check is given\n%+v\nAlertmanager loads\n%+v", took, loaded)
	}
	if again := l.take([]byte(main), dir); again != nil {
		t.Error("a configuration whose paths are in a folder is given twice")
	}
}

// A path that climbs far out of the release leads out of it, and is what it was when the check is given it.
func TestPathsThatClimbOut(t *testing.T) {
	t.Parallel()
	const main = "route: { receiver: a }\nreceivers: [{ name: a, webhook_configs: [{ url: 'http://localhost', http_config: { tls_config: { ca_file: ../../../x/ca.pem } } }] }]\n"
	var l lastLoad
	refs, err := alertmanagerFiles{}.references("alertmanager.yml", "alertmanager.yml", []byte(main), facts{}, &l)
	if err != nil || len(refs) != 1 || refs[0].pattern != "../../../x/ca.pem" {
		t.Errorf("references %+v, error %v", refs, err)
	}
	if got := l.take([]byte(main), "/a/b/c/d").Receivers[0].WebhookConfigs[0].HTTPConfig.TLSConfig.CAFile; got != "/a/x/ca.pem" {
		t.Errorf("the check looks for %s", got)
	}
}
