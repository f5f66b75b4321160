package routing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/routing/twilio"
)

// NotVia is the label of alerts that a way can't carry because they are about it. Those with the value phone never go
// over the bridge: that it fails, or that stoker is down.
const NotVia = "not_via"

const (
	// minPhoneRepeat is the least time after which a phone is told again about what goes on.
	minPhoneRepeat = model.Duration(time.Hour)
	// maxPhoneAlerts is how many alerts of a group the bridge is sent. It tells how many there are, and names few.
	maxPhoneAlerts = "100"
)

// A phone is called or sent text messages.
type phone struct {
	provider   *PhoneConfig
	number     value
	sms, voice bool
	language   string // as twilio.Languages has it; "" if none is given
	credential value  // what the provider's credential file holds
}

func (c *contactReader) phone(kind, n *yaml.Node) method {
	m := phone{provider: c.site.Phone}
	if m.provider == nil {
		c.fail(kind, "phone needs routing.phone in stoker.yml, with a provider: sns, twilio or webhook")
		m.provider = &PhoneConfig{}
	}
	at := c.object(n,
		field{"number", func(n *yaml.Node) {
			// +442079460123 is an integer of YAML, and keeps its + here.
			n = c.asText(n)
			m.number = c.value(n, numberProblem)
			c.orNumber(n)
		}},
		field{"via", func(n *yaml.Node) { m.sms, m.voice = c.via(n, m.provider) }},
		field{"language", func(n *yaml.Node) { m.language = c.language(n) }})
	c.need(n, at, "number")
	switch {
	case at["via"] != nil:
	case m.provider.sms():
		m.sms = true
	case resolve(n).Kind == yaml.MappingNode:
		c.fail(n, "say via: [voice], routing.phone.provider %s has no sms here", m.provider.Provider)
	}
	if at["language"] != nil && !m.voice && at["via"] != nil {
		c.fail(at["language"], "language is that of calls, and via has no voice")
	}
	if m.sms && m.number.plain != nil && landline(*m.number.plain) {
		c.contact.Warnings.Add(position(c.file, at["number"]), "number is a landline, which text messages may not reach: via: [voice] calls it")
	}
	m.credential = c.credential(kind, m.provider.credentialFile())
	return m
}

// via reads the ways on which a phone is reached.
func (c *contactReader) via(n *yaml.Node, provider *PhoneConfig) (sms, voice bool) {
	items := c.list(n)
	c.unique(items)
	for _, item := range items {
		switch way := c.oneOf(item, "way", []string{twilio.SMS, twilio.Voice}); {
		case way == "":
		case way == twilio.SMS && sms, way == twilio.Voice && voice:
			c.fail(item, "%q is listed twice", way)
		case way == twilio.SMS:
			if sms = true; !provider.sms() {
				c.fail(item, "routing.phone.provider %s has no sms here", provider.Provider)
			}
		default:
			if voice = true; !provider.voice() && provider.Provider == SNS {
				c.fail(item, "routing.phone.provider sns makes no calls, twilio and webhook do")
			} else if !provider.voice() {
				c.fail(item, "routing.phone.provider %s has no voice here", provider.Provider)
			}
		}
	}
	return sms, voice
}

func (c *contactReader) language(n *yaml.Node) string {
	tag := c.text(n)
	if tag == "" {
		return ""
	}
	language, ok := twilio.Language(tag)
	if !ok {
		c.fail(n, "language %q can't be spoken, there are %s", tag, strings.Join(twilio.Languages(), ", "))
	}
	return language
}

// credential reads what the provider knows the team by. It is part of what Alertmanager is given, so it changes what a
// contact becomes, like a value of its own.
func (c *contactReader) credential(kind *yaml.Node, file string) (v value) {
	if file == "" {
		return v
	}
	if c.site.readCredential == nil {
		c.contact.closed = true
		return v
	}
	plain, err := c.site.readCredential(file)
	if err != nil {
		c.fail(kind, "phone needs a file that routing.phone names and that can't be read: %v", err)
		return v
	}
	c.hash(plain)
	v.plain = &plain
	return v
}

func numberProblem(s string) string {
	if !e164.MatchString(s) {
		return "must be a phone number with + and country code and nothing but digits, such as +442079460123"
	}
	n, err := phonenumbers.Parse(s, "")
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return "is not a phone number that can exist, check its country code and digits"
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST:
		// Who is called earns by it, and who reviews an encrypted number can't see what it is.
		return "is one whose callers pay extra, and the team would call: give one of a person's own phone"
	}
	return ""
}

// landline reports whether a number can't be that of a mobile phone.
func landline(s string) bool {
	n, err := phonenumbers.Parse(s, "")
	return err == nil && phonenumbers.GetNumberType(n) == phonenumbers.FIXED_LINE
}

// anyNumber stands in for a number that is not at hand: one of those that are kept free for films.
const anyNumber = "+442079460000"

func (m phone) integrations(t terms) ([]integration, error) {
	switch m.provider.Provider {
	case Twilio:
		return m.overBridge(t), nil
	case SNS:
		return m.overSNS(t), nil
	case Webhook:
		return m.overWebhook(t)
	}
	// It isn't known who reaches phones here.
	return one("webhook_configs", object("url", text("https://example.invalid/")))
}

// ways returns the ways of the phone.
func (m phone) ways() (ways []string) {
	if m.sms {
		ways = append(ways, twilio.SMS)
	}
	if m.voice {
		ways = append(ways, twilio.Voice)
	}
	return ways
}

// The bridge finds the number by the names of the contact and the method.
func (m phone) overBridge(t terms) (list []integration) {
	for _, way := range m.ways() {
		http := object(
			"authorization", object("credentials", text(twilio.Token(m.credential.text("closed")))),
			"follow_redirects", boolean(false))
		if m.provider.BridgeCAFile != "" {
			set(http, "tls_config", object("ca_file", text(m.provider.BridgeCAFile)))
		}
		list = append(list, integration{
			section: "webhook_configs",
			settings: object(
				"url", text(strings.Join([]string{m.provider.bridge(), way, t.stem, t.method}, "/")),
				"max_alerts", number(maxPhoneAlerts),
				"http_config", http),
			firingOnly: way == twilio.Voice,
		})
	}
	return list
}

func (m phone) overSNS(t terms) []integration {
	sigv4 := object("region", text(m.provider.Sigv4.Region))
	for _, key := range []struct{ name, value string }{
		{"access_key", m.provider.Sigv4.AccessKey},
		{"secret_key", m.credential.text("")},
		{"profile", m.provider.Sigv4.Profile},
		{"role_arn", m.provider.Sigv4.RoleARN},
	} {
		if key.value == "" && key.name == "secret_key" && m.provider.Sigv4.SecretKeyFile != "" {
			key.value = "closed"
		}
		if key.value != "" {
			set(sigv4, key.name, text(key.value))
		}
	}
	settings := object(
		"phone_number", text(m.number.text(anyNumber)),
		"sigv4", sigv4,
		"subject", text(""), // text messages have none
		"message", template(phoneText(t.site.IdentityLabel)+"{{ $text }}"),
		// What AWS delivers first, and at any hour.
		"attributes", object("AWS.SNS.SMS.SMSType", text("Transactional")))
	if m.provider.APIURL != "" {
		set(settings, "api_url", text(m.provider.APIURL))
	}
	return []integration{{section: "sns_configs", settings: settings}}
}

func (m phone) overWebhook(t terms) (list []integration, err error) {
	// Those before turn a number with a plus sign into an integer.
	if err := t.needs("phone by webhook", 0, 34); err != nil {
		return nil, err
	}
	http := object("follow_redirects", boolean(false))
	if a := m.provider.BasicAuth; a != nil {
		set(http, "basic_auth", object("username", text(a.Username), "password_file", text(a.PasswordFile)))
	}
	if a := m.provider.Authorization; a != nil {
		authorization := object("credentials_file", text(a.CredentialsFile))
		if a.Type != "" {
			set(authorization, "type", text(a.Type))
		}
		set(http, "authorization", authorization)
	}
	for _, way := range m.ways() {
		request := m.provider.SMS
		if way == twilio.Voice {
			request = m.provider.Voice
		}
		payload, err := m.payload(request.Payload, t.site.IdentityLabel)
		if err != nil {
			return nil, err
		}
		list = append(list, integration{
			section:    "webhook_configs",
			settings:   object("url", text(request.URL), "payload", template(payload), "http_config", http),
			firingOnly: way == twilio.Voice,
		})
	}
	return list, nil
}

// phoneText is a template that sets $text to what a group of alerts is about, in one line of at most 300 characters. It
// is made of functions that Alertmanager has had since 0.27, and stands where it's used: what a named template says
// can't be made part of JSON.
func phoneText(identity string) string {
	return `{{ $told := .Alerts.Firing }}{{ if eq .Status "resolved" }}{{ $told = .Alerts }}{{ end }}` +
		`{{ $names := "" }}{{ $last := "" }}{{ range $told }}{{ if ne .Labels.alertname $last }}` +
		`{{ if $names }}{{ $names = printf "%s, %s" $names .Labels.alertname }}{{ else }}{{ $names = .Labels.alertname }}{{ end }}` +
		`{{ $last = .Labels.alertname }}{{ end }}{{ end }}` +
		`{{ $text := printf "%s: %d %.100s" (.Status | toUpper) (len $told) $names }}` +
		`{{ with index .CommonLabels "` + identity + `_name" }}{{ $text = printf "%s (%.50s)" $text . }}{{ end }}` +
		`{{ if $told }}{{ with (index $told 0).Annotations.summary }}{{ $text = printf "%s: %s" $text . }}{{ end }}{{ end }}` +
		`{{ $text = reReplaceAll "[\\p{C}\\p{Z}\\x{fffe}\\x{ffff}]+" " " $text | printf "%.300s" }}`
}

// payload makes a template of a payload: JSON, in which everything that isn't known yet goes through toJson.
func (m phone) payload(source, identity string) (string, error) {
	dec := json.NewDecoder(strings.NewReader(source))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", err
	}
	language := m.language
	if language == "" {
		language = "en-US"
	}
	known := strings.NewReplacer("$(number)", m.number.text(anyNumber), "$(language)", language)
	var b bytes.Buffer
	b.WriteString(phoneText(identity))
	writePayload(&b, v, known.Replace)
	return b.String(), nil
}

func writePayload(b *bytes.Buffer, v any, known func(string) string) {
	switch v := v.(type) {
	case map[string]any:
		b.WriteString("{")
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for i, key := range keys {
			if i > 0 {
				b.WriteString(", ")
			} else {
				b.WriteString(" ") // {{ would begin an action of the template
			}
			writeJSON(b, key)
			b.WriteString(": ")
			writePayload(b, v[key], known)
		}
		b.WriteString(" }")
	case []any:
		b.WriteString("[")
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writePayload(b, item, known)
		}
		b.WriteString("]")
	case string:
		parts := strings.Split(known(v), "$(text)")
		if len(parts) == 1 {
			writeJSON(b, parts[0])
			return
		}
		b.WriteString("{{ printf ")
		b.WriteString(strconv.Quote(strings.Repeat("%s", 2*len(parts)-1)))
		for i, part := range parts {
			if i > 0 {
				b.WriteString(" $text")
			}
			b.WriteString(" " + strconv.Quote(part))
		}
		b.WriteString(" | toJson }}")
	default:
		writeJSON(b, v)
	}
}

func writeJSON(b *bytes.Buffer, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("what came out of JSON doesn't go back: %v", err))
	}
	b.Write(data)
}

// overPhone makes a leaf one for a phone, if its method is one: it rings once for all that goes wrong at once, and not
// every few minutes. What is about the bridge doesn't go over it.
func (c *contactReader) overPhone(l leaf) leaf {
	i := slices.IndexFunc(c.contact.methods, func(m contactMethod) bool { return m.name == l.method })
	if i < 0 {
		return l // a problem by now
	}
	m, ok := c.contact.methods[i].method.(phone)
	if !ok {
		return l
	}
	l.minRepeat = minPhoneRepeat
	l.groupBy = []string{c.site.IdentityLabel}
	if c.contact.Kind == Subscriber {
		l.groupBy = []string{networkLabel}
	}
	if m.provider.Provider == Twilio {
		l.matchers = append(slices.Clone(l.matchers), matcher(labels.MatchNotEqual, NotVia, "phone"))
	}
	return l
}
