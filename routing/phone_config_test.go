package routing

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

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
