package routing

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"

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
			golden(t, "phone/"+name+".yml", got)
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
