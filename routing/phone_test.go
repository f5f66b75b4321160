package routing

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/notify"
	amwebhook "github.com/prometheus/alertmanager/notify/webhook"
	amtemplate "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"go.yaml.in/yaml/v3"
	yamlv2 "gopkg.in/yaml.v2"

	"github.com/stoker-project/stoker/routing/twilio"
	"github.com/stoker-project/stoker/routing/twiliotest"
)

// Numbers that belong to nobody.
const (
	londonNumber   = "+442079460123"
	parisNumber    = "+33199001235"
	mobileNumber   = "+61491570156"
	twilioPassword = twiliotest.AuthToken
)

func twilioConfig() *PhoneConfig {
	return &PhoneConfig{Provider: Twilio, AccountSID: twiliotest.AccountSID, AuthTokenFile: "twilio-token", From: twiliotest.From}
}

func snsConfig() *PhoneConfig {
	return &PhoneConfig{Provider: SNS, Sigv4: &Sigv4Config{Region: "eu-central-1", AccessKey: "AKIA0", SecretKeyFile: "aws-key"}}
}

func webhookConfig() *PhoneConfig {
	return &PhoneConfig{
		Provider: Webhook,
		SMS:      &PhoneRequest{URL: "https://api.example.com/sms", Payload: `{"to": ["$(number)"], "body": "$(text)"}`},
		Voice: &PhoneRequest{URL: "https://api.example.com/call",
			Payload: `{"method": "tts", "tts": {"to": {"type": "number", "endpoint": "$(number)"}, "locale": "$(language)", "text": "Alarm: $(text). Bye \"<&>\".", "volume": 1.50, "big": 12345678901234567890, "none": null}}`},
		BasicAuth: &PhoneBasicAuth{Username: "key", PasswordFile: "/run/secrets/provider"},
	}
}

// phoneSite is a site with a provider, whose credentials are at hand.
func phoneSite(c *PhoneConfig) Site {
	site := testSite()
	site.Phone = c
	site.readCredential = func(file string) (string, error) {
		switch file {
		case "twilio-token":
			return twilioPassword, nil
		case "aws-key":
			return "secret-aws", nil
		}
		return "", fs.ErrNotExist
	}
	return site
}

const phoneContact = `
kind: operator
name: Acme
owner: [hx1, hx2]
contact_methods:
  mail: { email: { to: noc@acme.example } }
  oncall: { phone: { number: +442079460123, via: [sms, voice], language: de-AT } }
  text: { phone: { number: "+61491570156" } }
notification_rules:
- { notify: [mail, text], min_severity: warning }
- { notify: [oncall], min_severity: critical, after: 15m }
`

const phoneSubscriber = `
kind: subscriber
name: Exchange
contact_methods: { desk: { phone: { number: "+33199001235" } } }
subscriptions:
- { components: [api, db], min_severity: critical, notify: [desk] }
`

const phoneBase = `global: { smtp_smarthost: "localhost:25", smtp_from: a@example.org }
route: { receiver: team, repeat_interval: 5m }
receivers: [ { name: team } ]
`

// mergeAs merges contacts into a base for an Alertmanager of a version.
func mergeAs(t *testing.T, version, base string, site Site, contacts ...*Contact) (string, string) {
	t.Helper()
	b, problems := readBase(MainFile, []byte(base), version)
	if problems.Len() > 0 {
		t.Fatal(problems)
	}
	var candidates []candidate
	for _, c := range contacts {
		candidates = append(candidates, candidate{stem: c.Stem, contact: c})
	}
	m, err := b.merge(candidates, site)
	if err != nil {
		t.Fatal(err)
	}
	var rejected []string
	for _, stem := range slices.Sorted(maps.Keys(m.rejected)) {
		rejected = append(rejected, m.rejected[stem].Error())
	}
	return string(m.data), strings.Join(rejected, "\n")
}

// What Alertmanager is given for phones, by each provider; -update rewrites it.
func TestMergePhones(t *testing.T) {
	snsContact := strings.Replace(phoneContact, "via: [sms, voice], language: de-AT", "via: [sms]", 1)
	for name, test := range map[string]struct {
		config   *PhoneConfig
		operator string
	}{
		Twilio:  {twilioConfig(), phoneContact},
		SNS:     {snsConfig(), snsContact},
		Webhook: {webhookConfig(), phoneContact},
	} {
		t.Run(name, func(t *testing.T) {
			site := phoneSite(test.config)
			contacts := []*Contact{parse(t, "acme.yml", test.operator, site), parse(t, "exchange.yml", phoneSubscriber, site)}
			got, rejected := mergeAs(t, "0.34.2", phoneBase, site, contacts...)
			if rejected != "" {
				t.Fatal(rejected)
			}
			file := filepath.Join("testdata", "phone", name+".yml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			cfg := loadFile(t, []byte(got))
			if name == Twilio {
				for _, n := range []string{londonNumber, parisNumber, mobileNumber, twilioPassword} {
					if strings.Contains(got, strings.TrimPrefix(n, "+")) {
						t.Errorf("%s is in it", n)
					}
				}
			}
			// However short the base repeats, nobody is called more than once an hour.
			for _, route := range dispatch.NewRoute(cfg.Route, nil).Routes[1:] {
				phone := !strings.HasSuffix(route.RouteOpts.Receiver, "/mail")
				if hour := route.RouteOpts.RepeatInterval >= time.Hour; hour != phone {
					t.Errorf("%s repeats every %s", route.RouteOpts.Receiver, route.RouteOpts.RepeatInterval)
				}
			}
		})
	}
}

// A longer repeat_interval of the base counts for phones, too.
func TestPhoneRepeats(t *testing.T) {
	site := phoneSite(twilioConfig())
	for base, want := range map[string]time.Duration{"30m": time.Hour, "1h": time.Hour, "12h": 12 * time.Hour, "": 4 * time.Hour} {
		text := strings.Replace(phoneBase, ", repeat_interval: 5m", "", 1)
		if base != "" {
			text = strings.Replace(phoneBase, "5m", base, 1)
		}
		got, _ := mergeAs(t, "", text, site, parse(t, "acme.yml", phoneContact, site))
		for _, route := range dispatch.NewRoute(loadFile(t, []byte(got)).Route, nil).Routes[1:] {
			if strings.HasSuffix(route.RouteOpts.Receiver, "/text") && route.RouteOpts.RepeatInterval != want {
				t.Errorf("base %q: %s", base, route.RouteOpts.RepeatInterval)
			}
		}
	}
}

// What is about the bridge doesn't go over the bridge. Other providers know of none.
func TestNotViaPhone(t *testing.T) {
	about := model.LabelSet{"prep": "hx1", "severity": "critical", NotVia: "phone"}
	for _, test := range []struct {
		config *PhoneConfig
		want   []string
	}{
		{twilioConfig(), []string{"mail"}},
		{webhookConfig(), []string{"mail", "oncall", "text"}},
	} {
		site := phoneSite(test.config)
		got, _ := mergeAs(t, "0.34.2", phoneBase, site, parse(t, "acme.yml", phoneContact, site))
		leaves := leavesByStem(dispatch.NewRoute(loadFile(t, []byte(got)).Route, nil))["acme"]
		if diff := cmp.Diff(test.want, told(leaves, about)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.config.Provider, diff)
		}
		other := about.Clone()
		other[NotVia] = "mail"
		if diff := cmp.Diff([]string{"mail", "oncall", "text"}, told(leaves, other)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.config.Provider, diff)
		}
	}
}

// A phone that the site's provider can't reach is a problem at its line.
func TestPhoneProviders(t *testing.T) {
	onlyCalls, onlySMS := webhookConfig(), webhookConfig()
	onlyCalls.SMS, onlySMS.Voice = nil, nil
	unreadable := twilioConfig()
	unreadable.AuthTokenFile = "lost"
	for name, test := range map[string]struct {
		config *PhoneConfig
		want   []string
	}{
		"none":       {nil, []string{"7:13: phone needs routing.phone in stoker.yml, with a provider: sns, twilio or webhook", "8:11: phone needs routing.phone in stoker.yml, with a provider: sns, twilio or webhook"}},
		"any":        {&PhoneConfig{}, nil},
		"twilio":     {twilioConfig(), nil},
		"sns":        {snsConfig(), []string{"7:56: routing.phone.provider sns makes no calls, twilio and webhook do"}},
		"webhook":    {webhookConfig(), nil},
		"no sms":     {onlyCalls, []string{"7:51: routing.phone.provider webhook has no sms here", "8:18: say via: [voice], routing.phone.provider webhook has no sms here"}},
		"no calls":   {onlySMS, []string{"7:56: routing.phone.provider webhook has no voice here"}},
		"no token":   {unreadable, []string{"7:13: phone needs a file that routing.phone names and that can't be read: file does not exist", "8:11: phone needs a file that routing.phone names and that can't be read: file does not exist"}},
		"no secrets": {twilioConfig(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			site := phoneSite(test.config)
			if name == "no secrets" {
				site.readCredential = nil
			}
			c, err := ParseContact("acme.yml", []byte(phoneContact), site)
			if diff := cmp.Diff(test.want, problemLines(t, "acme.yml", err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c != nil && c.closed != (name == "no secrets") {
				t.Errorf("closed: %t", c.closed)
			}
		})
	}
}

// Another auth token makes other receivers, so it makes another contact.
func TestPhoneCredentialCounts(t *testing.T) {
	site := phoneSite(twilioConfig())
	one := parse(t, "acme.yml", phoneContact, site)
	site.readCredential = func(string) (string, error) { return "another", nil }
	if other := parse(t, "acme.yml", phoneContact, site); one.sum == other.sum {
		t.Error("a contact doesn't change with the auth token")
	}
}

// A payload is for an Alertmanager that sends it as it stands.
func TestPayloadVersion(t *testing.T) {
	site := phoneSite(webhookConfig())
	c := parse(t, "acme.yml", phoneContact, site)
	const at = "acme.yml:8:3: "
	for version, want := range map[string]string{
		"":           at + "phone by webhook needs Alertmanager 0.34 or newer, and it isn't known which one runs: alertmanager.version in stoker.yml can say it (and 1 more errors)",
		"0.27.0":     at + "phone by webhook needs Alertmanager 0.34 or newer, 0.27.0 runs (and 1 more errors)",
		"0.33.9":     at + "phone by webhook needs Alertmanager 0.34 or newer, 0.33.9 runs (and 1 more errors)",
		"0.34.0":     "",
		"0.34.0-rc1": "",
		"1.0.0":      "",
	} {
		if _, rejected := mergeAs(t, version, phoneBase, site, c); rejected != want {
			t.Errorf("%s: %s", version, rejected)
		}
	}
}

// What Alertmanager's own notifier makes of a payload is JSON in which every text is one, whatever an alert says.
func TestPayload(t *testing.T) {
	for name, summary := range map[string]string{
		"plain":   "It burns",
		"hostile": "\"}, \"to\": \"+441\" # ' \\ {{ .Status }} <b>& \x7f\u2028\u0085\ufffe\U0001f525: - yes\n\ttab",
		"long":    strings.Repeat("경", 5000),
		"yaml":    "value:",
		"empty":   "",
	} {
		t.Run(name, func(t *testing.T) {
			var got []map[string]any
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				var body map[string]any
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				got = append(got, body)
			}))
			defer server.Close()
			c := webhookConfig()
			c.BasicAuth = nil
			site := phoneSite(c)
			acme := parse(t, "acme.yml", phoneContact, site)
			merged, _ := mergeAs(t, "0.34.2", phoneBase, site, acme)
			for _, r := range loadFile(t, []byte(merged)).Receivers {
				for _, conf := range r.WebhookConfigs {
					notifyAt(t, conf, server.URL, summary)
				}
			}
			if len(got) != 3 {
				t.Fatalf("%d requests", len(got))
			}
			text, _ := got[0]["body"].(string)
			if !strings.HasPrefix(text, "FIRING: 2 DiskFull, NodeDown (Acme)") || len([]rune(text)) > 300 || strings.Contains(text, "<no value>") {
				t.Errorf("text %q", text)
			}
			if summary == "It burns" && text != "FIRING: 2 DiskFull, NodeDown (Acme): It burns" {
				t.Errorf("text %q", text)
			}
			want := []map[string]any{
				{"to": []any{mobileNumber}, "body": text},
				{"to": []any{londonNumber}, "body": text},
				{"method": "tts", "tts": map[string]any{
					"to":     map[string]any{"type": "number", "endpoint": londonNumber},
					"locale": "de-DE", "text": "Alarm: " + text + `. Bye "<&>".`, "volume": 1.5, "big": 12345678901234567890.0, "none": nil}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// notifyAt sends two alerts as Alertmanager does, to another URL.
func notifyAt(t *testing.T, conf *amwebhook.WebhookConfig, to, summary string) {
	t.Helper()
	tmpl, err := amtemplate.FromGlobs(nil)
	if err != nil {
		t.Fatal(err)
	}
	if tmpl.ExternalURL, err = url.Parse("http://alertmanager.example"); err != nil {
		t.Fatal(err)
	}
	here := *conf
	if err := yamlv2.Unmarshal([]byte(to), &here.URL); err != nil {
		t.Fatal(err)
	}
	n, err := amwebhook.New(&here, tmpl, promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	ctx := notify.WithGroupKey(t.Context(), "key")
	ctx = notify.WithReceiverName(ctx, "contact/acme/oncall")
	var alerts []*alert.Alert
	for _, name := range []string{"DiskFull", "NodeDown"} {
		alerts = append(alerts, &alert.Alert{Alert: model.Alert{
			Labels:      model.LabelSet{"alertname": model.LabelValue(name), "prep": "hx1", "prep_name": "Acme"},
			Annotations: model.LabelSet{"summary": model.LabelValue(summary)},
			StartsAt:    time.Now().Add(-time.Minute), EndsAt: time.Now().Add(time.Hour),
		}})
	}
	if _, err := n.Notify(ctx, alerts...); err != nil {
		t.Error(err)
	}
}

// Every mistake in routing.phone, all at once, by its key.
func TestPhoneConfigProblems(t *testing.T) {
	const account = "account_sid: AC0123456789abcdef0123456789abcdef\nauth_token_file: token\nfrom: +33199001234\n"
	const payload = "payload: '{\"to\": \"$(number)\"}'"
	for name, test := range map[string]struct{ source, want string }{
		"twilio":           {"provider: twilio\n" + account, ""},
		"twilio elsewhere": {"provider: twilio\n" + account + "bridge_listen: :9098\nbridge_url: https://stoker.example:9098/\nbridge_web_config_file: web.yml\nbridge_ca_file: ca.pem\napi_url: http://127.0.0.1:1\n", ""},
		"sns":              {"provider: sns\nsigv4: { region: eu-central-1, profile: alerts, role_arn: 'arn:aws:iam::1:role/x' }\napi_url: https://sns.example", ""},
		"webhook":          {"provider: webhook\nsms: { url: https://api.example.com/, " + payload + " }\nauthorization: { credentials_file: key }", ""},
		"empty":            {"{}", "phone.provider: missing, it is sns, twilio or webhook"},
		"unknown":          {"provider: twillio", `phone.provider: "twillio" not known, it is sns, twilio or webhook`},
		"nothing else": {"provider: twilio", `phone.account_sid: missing, provider twilio needs it
phone.auth_token_file: missing, provider twilio needs it
phone.from: missing, provider twilio needs it`},
		"another's keys": {"provider: sns\nsigv4: { region: eu }\nfrom: '+1'\nsms: {}\nbridge_url: x", `phone.from: is not for provider sns
phone.bridge_url: is not for provider sns
phone.sms: is not for provider sns`},
		"bad values": {"provider: twilio\naccount_sid: SK1\nauth_token_file: t\nfrom: 0199\nbridge_listen: '9098'\nbridge_url: ftp://x/y\napi_url: http://twilio.example", `phone.api_url: must begin with https://, phone numbers and passwords go there
phone.account_sid: must be AC and 32 of 0-9a-f
phone.from: must be a phone number with + and country code and nothing but digits, such as +442079460123
phone.bridge_listen: must be host:port, such as 127.0.0.1:9098
phone.bridge_url: must be http:// or https://, a host and a port, and no path`},
		"any address": {"provider: twilio\n" + account + "bridge_listen: ':9098'", "phone.bridge_url: missing, bridge_listen doesn't say by which host Alertmanager reaches the bridge"},
		"any port":    {"provider: twilio\n" + account + "bridge_listen: '127.0.0.1:0'", "phone.bridge_listen: must be host:port, such as 127.0.0.1:9098"},
		"TLS without URL": {"provider: twilio\n" + account + "bridge_web_config_file: web.yml",
			"phone.bridge_url: missing, give the https:// URL that bridge_web_config_file has a certificate for"},
		"TLS with http": {"provider: twilio\n" + account + "bridge_web_config_file: web.yml\nbridge_url: http://a:1",
			"phone.bridge_url: must begin with https:// where bridge_web_config_file is set"},
		"half a key":      {"provider: sns\nsigv4: { access_key: AKIA }", "phone.sigv4.region: missing, such as eu-central-1\nphone.sigv4: access_key and secret_key_file come together"},
		"no request":      {"provider: webhook", "phone.sms: missing, provider webhook needs sms or voice"},
		"bad request":     {"provider: webhook\nsms: { url: 'http://api.example.com', payload: 'to: x' }", "phone.sms.url: must begin with https://, phone numbers and passwords go there\nphone.sms.payload: must be JSON: invalid character 'o' in literal true (expecting 'r')"},
		"empty request":   {"provider: webhook\nvoice: {}", "phone.voice.url: missing\nphone.voice.payload: missing"},
		"password in URL": {"provider: webhook\nvoice: { url: 'https://a:b@c.example', " + payload + " }", "phone.voice.url: must not hold a user or password"},
		"template in URL": {"provider: webhook\nvoice: { url: 'https://c.example/{{ x }}', " + payload + " }", "phone.voice.url: must not contain {{, Alertmanager would run it as a template"},
		"list payload":    {"provider: webhook\nsms: { url: https://c.example, payload: '[]' }", "phone.sms.payload: must be a JSON object"},
		"no number":       {"provider: webhook\nsms: { url: https://c.example, payload: '{\"text\": \"$(text)\"}' }", "phone.sms.payload: has no $(number), nobody would be reached"},
		"bad placeholder": {"provider: webhook\nsms: { url: https://c.example, payload: '{\"a\": [\"$(nubmer)\"]}' }", "phone.sms.payload: $(nubmer) not known, there are $(number), $(text) and $(language)"},
		"in a key":        {"provider: webhook\nsms: { url: https://c.example, payload: '{\"$(number)\": 1}' }", `phone.sms.payload: "$(number)" can't be a key`},
		"a template":      {"provider: webhook\nsms: { url: https://c.example, payload: '{\"a\": \"\\u007b\\u007b $(number)\"}' }", "phone.sms.payload: must not contain {{, use $(number), $(text) and $(language)"},
		"two passwords":   {"provider: webhook\nsms: { url: https://c.example, " + payload + " }\nbasic_auth: {}\nauthorization: {}", "phone.authorization: is not for use beside basic_auth"},
		"half a password": {"provider: webhook\nsms: { url: https://c.example, " + payload + " }\nbasic_auth: { username: x }", "phone.basic_auth: needs username and password_file"},
		"no credentials":  {"provider: webhook\nsms: { url: https://c.example, " + payload + " }\nauthorization: { type: Basic }", "phone.authorization: needs credentials_file"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Phone: &PhoneConfig{}}
			if err := yaml.Unmarshal([]byte(test.source), c.Phone); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPhoneSetDirectory(t *testing.T) {
	c := Config{Phone: &PhoneConfig{
		AuthTokenFile: "a", BridgeWebConfigFile: "/b", BridgeCAFile: "c", Sigv4: &Sigv4Config{SecretKeyFile: "d"},
		BasicAuth: &PhoneBasicAuth{PasswordFile: "e"}, Authorization: &PhoneAuthorization{CredentialsFile: "f"},
	}}
	c.SetDirectory("/dir")
	want := []string{"/dir/a", "/b", "/dir/c", "/dir/d", "/dir/e", "/dir/f"}
	var got []string
	for _, p := range c.Phone.paths() {
		got = append(got, *p)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	(&Config{}).SetDirectory("/dir")
}

// phoneHouse is a house whose phones are reached over the bridge.
func phoneHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.opts.Phone = twilioConfig()
	h.opts.Phone.AuthTokenFile = filepath.Join(h.dir, "twilio-token")
	h.write("twilio-token", twilioPassword+"\n")
	h.restart()
	return h
}

// numbers returns what the bridge finds for methods of acme.
func (h *house) numbers(methods ...string) string {
	h.t.Helper()
	var all []string
	for _, m := range methods {
		p, ok, err := h.agent.Phone("acme", m)
		switch {
		case err != nil:
			all = append(all, err.Error())
		case !ok:
			all = append(all, "none")
		case !p.Number.Known():
			all = append(all, "not at hand")
		default:
			all = append(all, p.Number.Reveal())
		}
	}
	return strings.Join(all, ", ")
}

// The bridge finds the number of what Alertmanager runs: also of what stays because it can't be renewed.
func TestPhonebook(t *testing.T) {
	h := phoneHouse(t)
	key := newKeyPair(t)
	h.write("age-key", key.identity.String()+"\n")
	contact := func(methods string) string {
		var names []string
		for line := range strings.Lines(methods) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			names = append(names, name)
		}
		return "kind: operator\nname: Acme\nowner: hx1\ncontact_methods:\n" + methods + "notification_rules: [ { notify: [" + strings.Join(names, ", ") + "] } ]\n"
	}
	phones := func(want string) {
		t.Helper()
		if got := h.numbers("open", "sealed", "secret"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	phones("the contacts have not been read yet, the contacts have not been read yet, the contacts have not been read yet")

	h.write("secrets/acme.number", parisNumber)
	h.write("contacts/acme.yml", contact("  open: { phone: { number: +442079460123, via: [voice] } }\n"+
		"  sealed: { phone: { number: "+key.encrypt(mobileNumber)+" } }\n  secret: { phone: { number: { secret: number } } }\n"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.expect(true, "", "acme/open", "acme/sealed", "acme/secret", "bravo/hook")
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)
	if p, _, _ := h.agent.Phone("acme", "open"); p.SMS || !p.Voice {
		t.Errorf("%+v", p)
	}
	if strings.Contains(h.log.String()+fmt.Sprint(h.agent.Status()), londonNumber[1:]) {
		t.Error("a number is in the log or the status")
	}

	// The key is gone: who is in the live release stays, and what isn't encrypted is called.
	h.remove("age-key")
	h.restart()
	h.sync()
	h.publish()
	phones(londonNumber + ", not at hand, " + parisNumber)
	h.remove("secrets/acme.number")
	h.restart()
	h.sync()
	h.publish()
	phones(londonNumber + ", not at hand, not at hand")
	h.write("age-key", key.identity.String()+"\n")
	h.write("secrets/acme.number", parisNumber)
	h.sync()
	h.publish()
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)

	// So it is without the auth token: then Alertmanager keeps the one that it has.
	before := h.live.(fstest.MapFS)[MainFile].Data
	h.remove("twilio-token")
	h.restart()
	h.sync()
	h.publish()
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)
	if diff := cmp.Diff(string(before), string(h.live.(fstest.MapFS)[MainFile].Data)); diff != "" {
		t.Errorf("the configuration changes (-before +after):\n%s", diff)
	}
	h.write("twilio-token", twilioPassword)

	// What becomes of a new version isn't known yet: Alertmanager may still run the one before, or go back to it.
	h.write("contacts/acme.yml", contact("  sealed: { phone: { number: +33199001236 } }\n"))
	h.sync()
	was := h.live
	h.publish()
	phones(londonNumber + ", +33199001236, " + parisNumber)
	h.publish()
	phones("none, +33199001236, none")
	h.live = was
	h.publish()
	phones(londonNumber + ", +33199001236, " + parisNumber)
	h.remove("contacts/acme.yml")
	h.sync()
	h.live = was
	h.publish()
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)
	h.publish()
	phones("none, none, none")
}

// Whoever reviews a pull request has neither the provider's files nor a stoker.yml.
func TestCheckPhones(t *testing.T) {
	h := phoneHouse(t)
	h.write("contacts/acme.yml", strings.Replace(phoneContact, "via: [sms, voice]", "via: [voice]", 1))
	h.expectCheck(h.base, nil, nil)
	h.write("contacts/acme.yml", phoneContact)
	warning := []string{"contacts/acme.yml:7:22: number is a landline, which text messages may not reach: via: [voice] calls it"}
	h.expectCheck(h.base, nil, warning)
	h.remove("twilio-token")
	h.expectCheck(h.base, nil, warning)
	h.expectNote("some secrets or encrypted values are not at hand here, they were checked in structure only")
	h.opts.Phone = nil
	h.expectCheck(nil, nil, warning)
	h.expectCheck(h.base, []string{
		"contacts/acme.yml:7:13: phone needs routing.phone in stoker.yml, with a provider: sns, twilio or webhook",
		"contacts/acme.yml:8:11: phone needs routing.phone in stoker.yml, with a provider: sns, twilio or webhook",
	}, nil)
	h.opts.Phone, h.opts.AlertmanagerVersion = webhookConfig(), "0.33.0"
	h.expectCheck(h.base, []string{
		"contacts/acme.yml:7:3: phone by webhook needs Alertmanager 0.34 or newer, 0.33.0 runs",
		"contacts/acme.yml:8:3: phone by webhook needs Alertmanager 0.34 or newer, 0.33.0 runs",
	}, warning)
	h.opts.ExportersOnly = true
	h.opts.Phone = nil
	h.expectCheck(nil, nil, warning)
}

// No phone number, password or key prints.
func TestPhoneNeverPrints(t *testing.T) {
	for _, config := range []*PhoneConfig{twilioConfig(), snsConfig()} {
		site := phoneSite(config)
		c := parse(t, "acme.yml", strings.Replace(phoneContact, "via: [sms, voice], language: de-AT", "via: [sms]", 1), site)
		printed := []string{fmt.Sprintf("%+v %#v", *c, c.methods)}
		for _, m := range c.methods {
			printed = append(printed, fmt.Sprintf("%v %+v %#v", m.method, m.method, m.method))
		}
		asJSON, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(printed, string(asJSON)) {
			for _, secret := range []string{londonNumber[1:], mobileNumber[1:], twilioPassword, "secret-aws"} {
				if strings.Contains(p, secret) {
					t.Errorf("prints %s: %s", secret, p)
				}
			}
		}
	}
}

// What an earlier release does by a payload goes on where nobody can say which Alertmanager runs, as in an init container.
func TestPayloadIsHeld(t *testing.T) {
	h := newHouse(t)
	h.opts.Phone = webhookConfig()
	h.restart()
	h.write("contacts/acme.yml", phoneContact)
	h.sync()
	publish := func(version string) []byte {
		t.Helper()
		files, err := h.agent.Generate(t.Context(), Source{Base: h.base, Live: h.live, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		live := fstest.MapFS{}
		for name, data := range files {
			live[name] = &fstest.MapFile{Data: data}
		}
		h.live = live
		return files[MainFile]
	}
	before := publish("0.34.2")
	h.restart()
	if after := publish(""); string(after) != string(before) {
		t.Errorf("(-before +after):\n%s", cmp.Diff(string(before), string(after)))
	}
}

// A new auth token makes new webhooks, though no contact file has changed.
func TestAuthTokenChanges(t *testing.T) {
	h := phoneHouse(t)
	h.write("contacts/acme.yml", phoneContact)
	token := func() string {
		t.Helper()
		h.publish()
		main := string(h.live.(fstest.MapFS)[MainFile].Data)
		_, rest, _ := strings.Cut(main, "credentials: \"")
		found, _, _ := strings.Cut(rest, "\"")
		if strings.Count(main, found) != 3 {
			t.Errorf("%s is not in all of\n%s", found, main)
		}
		return found
	}
	h.sync()
	if got := token(); got != twilio.Token(twilioPassword) {
		t.Errorf("token %s", got)
	}
	if changed, _ := h.sync(); changed {
		t.Error("changed without a reason")
	}
	h.write("twilio-token", "another")
	if changed, _ := h.sync(); !changed {
		t.Error("not changed by another auth token")
	}
	if got := token(); got != twilio.Token("another") {
		t.Errorf("token %s", got)
	}
}

// A contact of the live release that can't be read by today's rules is still called by Alertmanager: the bridge doesn't
// say that there is no such phone, but that it can't tell the number now.
func TestPhonebookOfOtherRules(t *testing.T) {
	h := phoneHouse(t)
	h.write("contacts/acme.yml", phoneContact)
	h.sync()
	h.publish()
	if got := h.numbers("oncall", "text", "mail"); got != londonNumber+", "+mobileNumber+", none" {
		t.Errorf("got %s", got)
	}
	h.opts.Severities = []string{"low", "high"}
	h.restart()
	h.sync()
	if diff := cmp.Diff([]string{"acme/mail", "acme/text", "acme/oncall/15m"}, h.publish()); diff != "" {
		t.Errorf("receivers (-want +got):\n%s", diff)
	}
	if got := h.numbers("oncall", "text"); got != "not at hand, not at hand" {
		t.Errorf("got %s", got)
	}
}
