package routing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// testSite is a site that holds a few secrets for every contact.
func testSite() Site {
	return Site{
		IdentityLabel: DefaultIdentityLabel,
		Severities:    DefaultSeverities(),
		SecretsDir:    "/run/secrets/stoker",
		Phone:         &PhoneConfig{}, // somehow
		ReadSecret: func(file string) (string, error) {
			_, name, _ := strings.Cut(file, ".")
			switch name {
			case "hook":
				return "https://hooks.acme.example/secret-hook\n", nil
			case "bot":
				return "12345:secret-bot\n", nil
			case "mail":
				return "secret-mail@acme.example", nil
			case "chat":
				return "-7234567890", nil
			case "key":
				return "0123456789abcdef0123456789abcdef\n", nil
			case "user":
				return "u23456789012345678901234567890\n", nil
			case "token":
				return "a23456789012345678901234567890\n", nil
			case "local":
				return "https://127.0.0.1/\n", nil
			case "empty":
				return " \n", nil
			}
			return "", &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
		},
	}
}

func parse(t *testing.T, file, source string, site Site) *Contact {
	t.Helper()
	c, err := ParseContact(file, []byte(source), site)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return c
}

// A keyPair encrypts as people do for a site, and opens as that site does.
type keyPair struct {
	t        *testing.T
	identity *age.X25519Identity
}

func newKeyPair(t *testing.T) keyPair {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{t, id}
}

// encrypt returns plain as an age value in YAML's flow style.
func (k keyPair) encrypt(plain string) string {
	k.t.Helper()
	var buf bytes.Buffer
	armored := armor.NewWriter(&buf)
	w, err := age.Encrypt(armored, k.identity.Recipient())
	if err != nil {
		k.t.Fatal(err)
	}
	fmt.Fprintln(w, plain)
	if err := w.Close(); err != nil {
		k.t.Fatal(err)
	}
	if err := armored.Close(); err != nil {
		k.t.Fatal(err)
	}
	return fmt.Sprintf("{ age: %q }", buf.String())
}

func (k keyPair) decrypter() func(string) (string, error) {
	k.t.Helper()
	decrypt, err := decrypter(strings.NewReader("# a comment\n" + k.identity.String() + "\n"))
	if err != nil {
		k.t.Fatal(err)
	}
	return decrypt
}

const mailContact = `
kind: operator
name: Acme
owner: hx1
contact_methods:
  mail: { email: { to: %s } }
notification_rules:
- { notify: [mail] }
`

func TestAgeValues(t *testing.T) {
	ours, theirs := newKeyPair(t), newKeyPair(t)
	source := fmt.Sprintf(mailContact, ours.encrypt("noc@acme.example"))

	site := testSite()
	site.Decrypt = ours.decrypter()
	if got := parse(t, "acme.yml", source, site).methods[0].method.(email).to.text(""); got != "noc@acme.example" {
		t.Errorf("decrypted to %q", got)
	}

	site.Decrypt = nil
	if c := parse(t, "acme.yml", source, site); !c.closed {
		t.Error("without a key, but not closed")
	} else if _, err := Merge([]byte(anyBase), []*Contact{c}, site); err == nil || err.Error() != "acme.yml: has values that are not at hand" {
		t.Errorf("merged a contact whose values are not known: %v", err)
	}

	site.Decrypt = theirs.decrypter()
	_, err := ParseContact("acme.yml", []byte(source), site)
	if want := "acme.yml:6:31: age can't be decrypted: it is not encrypted for this site's key"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}

	// What is inside is checked like what is plain, and never quoted.
	site.Decrypt = ours.decrypter()
	_, err = ParseContact("acme.yml", fmt.Appendf(nil, mailContact, ours.encrypt("+4917012345")), site)
	if want := "acme.yml:6:24: to must be one email address such as noc@acme.example, without a name"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = ParseContact("acme.yml", fmt.Appendf(nil, mailContact, ours.encrypt("noc@acme\xff.example")), site)
	if want := "acme.yml:6:24: to must be UTF-8"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// secretContact has a value of every form; each of them contains the word secret or a 7.
const secretContact = `
kind: operator
name: Acme
owner: hx1
contact_methods:
  a: { webhook: { url: "https://hooks.acme.example/secret-plain" } }
  b: { webhook: { url: { secret: hook } } }
  c: { slack: { api_url: { secret: hook } } }
  d: { telegram: { chat_id: "-7234567890", bot_token: { secret: bot } } }
  e: { email: { to: %s } }
  f: { email: { to: secret-plain@acme.example } }
notification_rules:
- { notify: [a, b, c, d, e, f] }
`

func TestValuesNeverPrint(t *testing.T) {
	key := newKeyPair(t)
	site := testSite()
	site.Decrypt = key.decrypter()
	c := parse(t, "acme.yml", fmt.Sprintf(secretContact, key.encrypt("secret-mail@acme.example")), site)

	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	printed := []string{fmt.Sprint(c), fmt.Sprintf("%+v", *c), fmt.Sprintf("%#v", *c)}
	for _, m := range c.methods {
		printed = append(printed, fmt.Sprint(m), fmt.Sprintf("%+v", m.method), fmt.Sprintf("%#v", m.method))
		var v value
		switch m := m.method.(type) {
		case webhook:
			v = m.url
		case slack:
			v = *m.apiURL
		case telegram:
			v = m.chatID
			printed = append(printed, fmt.Sprintf("%v %+v %#v", *m.botToken, *m.botToken, *m.botToken))
		case email:
			v = m.to
		}
		asJSON, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("contact", "value", v, "method", m.method, "contact", c)
		printed = append(printed, string(asJSON), string(asYAML), fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, v))
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(printed, string(asJSON), log.String()) {
		for _, secret := range []string{"secret-", "7234567890"} {
			if strings.Contains(p, secret) {
				t.Errorf("prints a value: %s", p)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	c := parse(t, "acme.yml", `
kind: operator
name: Acme
owner: hx1
contact_methods:
  mail: { email: { to: noc@acme.example } }
  chat: { telegram: { chat_id: "1" } }
notification_rules:
- { notify: [mail] }
quiet_hours:
  night: { times: "22:00-07:00" }
tests:
- { labels: {}, notify: [mail] }
`, testSite())
	want := []string{
		`acme.yml:7:3: contact method "chat" is never notified`,
		`acme.yml:11:3: quiet hours "night" are never used`,
	}
	for i, w := range c.Warnings {
		if i >= len(want) || w.Error() != want[i] {
			t.Errorf("unexpected warning %v", w)
		}
	}
	if len(c.Warnings) != len(want) {
		t.Errorf("%d warnings, want %d", len(c.Warnings), len(want))
	}
}

// A time zone is known by one name, the one that every machine has, also where this one would find a file by another.
func TestLocations(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Etc/GMT+12", "EST5EDT"} {
		if c := parse(t, "acme.yml", fmt.Sprintf(locatedContact, name), testSite()); c.location != name {
			t.Errorf("%s: got %q", name, c.location)
		}
	}
	for _, name := range []string{"localtime", "posixrules", "posix/Europe/Berlin", "right/UTC", "Europe//Berlin", "./UTC", "Europe/Berlin/", "utc"} {
		_, err := ParseContact("acme.yml", fmt.Appendf(nil, locatedContact, name), testSite())
		if want := fmt.Sprintf("acme.yml:4:11: time zone %q not known, use a name such as Europe/Berlin", name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

const locatedContact = `kind: operator
name: Acme
owner: hx1
location: %s
contact_methods: { mail: { email: { to: noc@acme.example } } }
notification_rules: [ { notify: [mail] } ]
`

// What was refused as private is fine where the site allows it; everything else stays refused.
func TestAllowPrivate(t *testing.T) {
	site := testSite()
	site.AllowPrivate = true
	for url, want := range map[string]string{
		"http://127.0.0.1:9999/x":  "",
		"http://inbox:8080/":       "",
		"https://10.0.0.1/":        "",
		"https://hooks.acme.test/": "",
		"file:///etc/passwd":       "must be a URL such as https://hooks.acme.example/alerts",
		"ftp://inbox/":             "must begin with https://",
		"acme":                     "must be a URL such as https://hooks.acme.example/alerts",
	} {
		if got := site.urlProblem(url); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}

// A test of a contact is about every owner and every network, and not about each pair of them, of which 50 and 50 would make
// 2,500 alerts to try on every leaf.
func TestTestsCoverOwnersAndNetworks(t *testing.T) {
	c := &Contact{Kind: Operator, Owners: strings.Fields("a b c"), Networks: strings.Fields("x y")}
	for _, test := range []struct {
		labels model.LabelSet
		want   string
	}{
		{model.LabelSet{}, `[{network="x", prep="a"} {network="y", prep="b"} {network="x", prep="c"}]`},
		{model.LabelSet{"prep": "b"}, `[{network="x", prep="b"} {network="y", prep="b"}]`},
		{model.LabelSet{"prep": "b", "network": "z"}, `[{network="z", prep="b"}]`},
	} {
		if got := fmt.Sprint(c.alerts(test.labels, testSite())); got != test.want {
			t.Errorf("%s: got %s, want %s", test.labels, got, test.want)
		}
	}
}
