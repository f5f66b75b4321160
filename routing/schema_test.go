package routing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/schematest"
)

// docs/contact.schema.json is what `stoker schema contact` prints.
func TestContactSchemaInDocs(t *testing.T) { schematest.InDocs(t, "contact", ContactSchema()) }

// validContacts returns files without problems: those that people copy, those of the tests, random ones.
func validContacts(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{"secret": fmt.Sprintf(secretContact, "{ secret: mail }")}
	err := filepath.WalkDir("../examples", func(file string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir // as stoker does
		}
		if err == nil && strings.Contains(file, "contacts/") && filepath.Ext(file) == ".yml" {
			var data []byte
			data, err = os.ReadFile(file)
			texts[file] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	archives, _ := filepath.Glob("testdata/merge/*.txtar")
	for _, file := range archives {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if strings.HasPrefix(f.Name, "contacts/") {
				texts[file+", "+f.Name] = string(f.Data)
			}
		}
	}
	r := rand.New(rand.NewPCG(21, 22))
	for i := range 50 {
		texts[fmt.Sprintf("random operator %d", i)] = randomOperator(r)
		texts[fmt.Sprintf("random subscriber %d", i)] = randomSubscriber(r)
	}
	page, err := os.ReadFile("../docs/contacts.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range regexp.MustCompile("(?s)```yaml\n(kind:.*?)```").FindAllStringSubmatch(string(page), -1) {
		texts[fmt.Sprintf("docs/contacts.md, example %d", i+1)] = block[1]
	}
	key := newKeyPair(t)
	texts["everything"] = fmt.Sprintf(`
x-note: { anything: [goes] }
kind: operator
name: Acme
owner: [hx0b047c751658f7ce1b2595da34d57a0e7dad357d]
networks: [mainnet]
location: Australia/Lord_Howe
contact_methods:
  mail: { email: { to: %s, x-why: 1 } }
  chat: { telegram: { chat_id: { secret: chat }, bot_token: { secret: bot } } }
  talk: { slack: { api_url: { secret: hook }, channel: "#ops" } }
  site: { slack: { channel: "#acme" } }
  hook: { webhook: { url: "https://hooks.acme.example/" } }
  more: { discord: { webhook_url: "https://discord.com/api/webhooks/1/x" } }
  work: { msteams: { webhook_url: { secret: hook } } }
  matter: { mattermost: { webhook_url: "https://chat.acme.example/hooks/x", channel: ops } }
  page: { pagerduty: { routing_key: 0123456789abcdef0123456789abcdef, region: eu } }
  push: { pushover: { user_key: 0123456789abcdefghijABCDEFGHIJ, token: 0123456789abcdefghijABCDEFGHIJ, device: phone } }
  call: { phone: { number: +442079460123, via: [sms, voice], language: de-DE } }
  text: { phone: { number: "+442079460123" } }
notification_rules:
- { notify: [more, work, matter, page, push, call, text], min_severity: critical }
- { notify: [mail, chat], min_severity: info, after: 1h30m, quiet_hours: night }
- { notify: [talk, hook, site], quiet_hours: lunch, x-note: why }
quiet_hours:
  night: { times: ["22:00-07:00", "00:00-24:00"], weekdays: [monday:friday, sunday], bypass: [critical, warning] }
  lunch: { times: "12:00-13:00", weekdays: sunday }
exporters:
- { name: goloop, port: 9010, path: /m, scheme: https }
- { name: node, url: "https://metrics.acme.example/node/metrics", basic_auth: { username: stoker, password: { secret: metrics } } }
tests:
- { labels: {}, notify: [] }
- { labels: { alertname: NodeDown, severity: critical }, notify: [chat] }
`, key.encrypt("noc@acme.example"))
	return texts
}

// Every file that ParseContact takes is good by the schema.
func TestContactSchemaTakesWhatParseTakes(t *testing.T) {
	s := schematest.Compile(t, ContactSchema())
	site := phoneSite(twilioConfig())
	site.ReadSecret = nil
	texts := validContacts(t)
	if len(texts) < 110 {
		t.Errorf("only %d files", len(texts))
	}
	for name, text := range texts {
		if _, err := ParseContact("acme.yml", []byte(text), site); err != nil {
			if strings.HasPrefix(name, "../examples") {
				site := site
				site.AllowPrivate = true
				_, err = ParseContact("acme.yml", []byte(text), site)
			}
			if err != nil {
				t.Errorf("%s isn't valid: %v", name, err)
			}
		}
		if err := s.Validate(t, text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// A valid file with something put in place of any of its values, or with a key left out: what the schema refuses,
// ParseContact does.
func TestContactSchemaIsNeverStricter(t *testing.T) {
	s := schematest.Compile(t, ContactSchema())
	site := phoneSite(twilioConfig())
	texts := validContacts(t)
	scalars := []*yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, {Kind: yaml.ScalarNode, Tag: "!!int", Value: "7"},
		{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"}, text(""), text("x"), text("critical"), text("{{ .Status }}"), text(" x"),
		text("<secret>"), text("22:00-07:00"), text("15m"), text("https://hooks.acme.example/x"), text("monday:sunday"), text("hook"),
		text("a@acme.example"), text("-12"), object(), list(), list(text("x")), list(text("x"), text("x")), object("secret", text("hook")), object("x-a", text("b")),
		{Kind: yaml.ScalarNode, Tag: "!!int", Value: "+33199001234"}, text("+33199001234"), text("de-DE"), list(text("voice")),
	}
	both, parseOnly := 0, 0
	for _, name := range []string{"everything", "random subscriber 1"} {
		b, p := s.NeverStricter(t, texts[name], scalars, func(data []byte) error {
			_, err := ParseContact("acme.yml", data, site)
			return err
		})
		both, parseOnly = both+b, parseOnly+p
	}
	if both < 1000 || both < 2*parseOnly {
		t.Errorf("of %d bad files, the schema refuses only %d", both+parseOnly, both)
	}
}

// Of the files that ParseContact is tested to refuse, the schema may take only those whose fault it can't know.
func TestContactSchemaAndInvalidFiles(t *testing.T) {
	s := schematest.Compile(t, ContactSchema())
	beyond := map[string]string{
		"duplicate-key":         "not YAML",
		"second-document":       "an editor looks at each document",
		"syntax":                "not YAML",
		"empty":                 "an editor has nothing to say of nothing",
		"exporters-owner":       "owners are anything without exporters",
		"location":              "takes the time zones",
		"quiet-hours-conflict":  "takes all rules together",
		"subscriptions-overlap": "takes all subscriptions together",
	}
	for name := range invalidContacts() {
		data, err := os.ReadFile("testdata/invalid-" + name + ".yml")
		if err != nil {
			t.Fatal(err)
		}
		var n yaml.Node
		taken := yaml.Unmarshal(data, &n) != nil || n.Kind == 0 || s.ValidateNode(&n) == nil
		if _, ok := beyond[name]; ok != taken {
			t.Errorf("the schema takes invalid-%s.yml: %t", name, taken)
		}
	}
}

// What can be said of each field alone is wrong in an editor already.
func TestContactSchemaRefuses(t *testing.T) {
	s := schematest.Compile(t, ContactSchema())
	operator := func(old, new string) string {
		const source = "kind: operator\nname: Acme\nowner: hx1\ncontact_methods:\n  a: { email: { to: a@acme.example } }\n" +
			"notification_rules:\n- { notify: [a] }\nquiet_hours:\n  night: { times: '22:00-07:00' }\n"
		if old != "" && !strings.Contains(source, old) {
			t.Fatal(old)
		}
		return strings.Replace(source, old, new, 1)
	}
	if err := s.Validate(t, operator("", "")); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"[]\n", "kind: operator\n", "kind: subscriber\n", "kind: operater\n", "name: Acme\n",
		operator("kind: operator", "kind: subscriber"), operator("name: Acme", "name: ''"), operator("name: Acme", "name: 7"),
		operator("name: Acme", "name: '{{ x }}'"), operator("name: Acme", "name: ' x'"), operator("name: Acme", `name: "a\tb"`),
		operator("hx1", "[]"), operator("hx1", "[hx1, hx1]"), operator("hx1", `'a"b'`), operator("hx1", "{a: b}"), operator("hx1", "17"),
		operator("hx1", "hx1\nnetworks: [Mainnet]"), operator("hx1", "hx1\nnetworks: mainnet"), operator("hx1", "hx1\nnetworks: [a, a]"),
		operator("hx1", "hx1\nlocation: Local"), operator("hx1", "hx1\nlocation: 1"), operator("hx1", "hx1\nsubscriptions: []"),
		operator("hx1", "hx1\ncolor: red"), operator("hx1", "hx1\nexporters: [{ name: a }]"), operator("hx1", "hx1\nexporters: [{ name: a, port: 0 }]"),
		operator("hx1", "hx1\nexporters: [{ name: a, port: 1, url: 'https://a.example/m' }]"), operator("hx1", "hx1\nexporters: [{ name: a, url: 'ftp://a.example/m' }]"),
		operator("hx1", "hx1\nexporters: [{ name: a, url: 'https://a:b@a.example/m' }]"), operator("hx1", "hx1\nexporters: [{ name: a, port: 1, scheme: gopher }]"),
		operator("hx1", "hx1\nexporters: [{ name: a, url: 'https://a.example/m', basic_auth: { username: a, password: b } }]"),
		operator("hx1", "hx1\nexporters: [{ name: a, url: 'https://a.example/m', basic_auth: { username: a } }]"),
		operator("hx1", "hx1\nexporters: [{ name: a, port: 1, basic_auth: { username: a, password: { secret: b } } }]"),
		operator("a: {", "A: {"), operator("email:", "emial:"), operator("to:", "too:"), operator("{ to: a@acme.example }", "{}"),
		operator("{ email: { to: a@acme.example } }", "{}"), operator("{ email: { to: a@acme.example } }", "{ email: { to: a@acme.example }, slack: {} }"),
		operator("a@acme.example", "[a@acme.example]"), operator("a@acme.example", "12"), operator("a@acme.example", "{ secret: a.b }"), operator("a@acme.example", "{ secret: ../a }"),
		operator("a@acme.example", "{ secret: a, age: b }"), operator("a@acme.example", "{ age: b }"), operator("a@acme.example", "{ file: /etc/passwd }"), operator("a@acme.example", "{}"),
		operator("a@acme.example", "<secret>"), operator("a@acme.example", "'ENC[AES256_GCM'"), operator("a@acme.example", "$ANSIBLE_VAULT;1"), operator("a@acme.example", "AGE-SECRET-KEY-1"),
		operator("a@acme.example", strings.Repeat("a", maxValue+1)),
		operator("notify: [a]", "notify: []"), operator("notify: [a]", "notify: a"), operator("notify: [a]", "notify: [a, a]"), operator("notify: [a]", "after: 1m"),
		operator("notify: [a]", "notify: [a], continue: true"), operator("notify: [a]", "notify: [a], after: soon"), operator("notify: [a]", "notify: [a], after: 5"),
		operator("notify: [a]", "notify: [a], matchers: [x]"), operator("notify: [a]", "notify: [a], min_severity: '!'"), operator("notify: [a]", "notify: [a], quiet_hours: [night]"),
		operator("times:", "location: UTC, times:"), operator("times: '22:00-07:00'", "bypass: [critical]"), operator("22:00-07:00", "22-7"), operator("'22:00-07:00'", "[]"),
		operator("times:", "weekdays: mondy, times:"), operator("times:", "weekdays: ['1:5'], times:"), operator("times:", "bypass: critical, times:"), operator("night:", "Night:"),
		operator("hx1", "hx1\ntests: [{ labels: {} }]"), operator("hx1", "hx1\ntests: [{ notify: [] }]"), operator("hx1", "hx1\ntests: [{ labels: { 'a b': c }, notify: [] }]"),
		operator("hx1", "hx1\ntests: [{ labels: { a: 1 }, notify: [] }]"), operator("hx1", "hx1\ntests: []"),
	} {
		if _, err := ParseContact("acme.yml", []byte(text), testSite()); err == nil {
			t.Errorf("ParseContact takes it:\n%s", text)
		}
		if err := s.Validate(t, text); err == nil {
			t.Errorf("the schema takes it:\n%s", text)
		}
	}
}

// Every field that ParseContact knows has a type and says what it means, and nothing is described that isn't there.
func TestContactSchemaIsComplete(t *testing.T) {
	used := map[string]bool{}
	var walk func(s schema, path string)
	walk = func(s schema, path string) {
		_, typed := s["type"]
		_, ref := s["$ref"]
		_, alternatives := s["anyOf"]
		if !typed && !ref && !alternatives {
			t.Errorf("%q can be anything, its reader has to say what it takes", path)
		}
		if _, ok := descriptions[path]; ok {
			used[path] = true
		}
		below := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
		if items, ok := s["items"].(schema); ok {
			walk(items, path)
		}
		if values, ok := s["additionalProperties"].(schema); ok {
			walk(values, below("*"))
		}
		properties, _ := s["properties"].(schema)
		for name, inner := range properties {
			if inner.(schema)["description"] == nil {
				t.Errorf("%q has no description, add it to descriptions in schema.go", below(name))
			}
			walk(inner.(schema), below(name))
		}
	}
	walk(contactSchema(), "")
	for path := range descriptions {
		if !used[path] {
			t.Errorf("%q is described and isn't a field", path)
		}
	}

	known := func(source string) []string {
		_, err := ParseContact("acme.yml", []byte(source), testSite())
		_, list, ok := strings.Cut(strings.Join(problemLines(t, "acme.yml", err), "\n"), "known: ")
		if !ok {
			t.Fatal(err)
		}
		list, _, _ = strings.Cut(list, "\n")
		return slices.Sorted(slices.Values(strings.Split(list, ", ")))
	}
	properties := contactSchema()["properties"].(schema)
	if d := cmp.Diff(known("kind: operator\nzzzzzzzzz: 1\n"), slices.Sorted(maps.Keys(properties))); d != "" {
		t.Error(d)
	}
	methods := properties["contact_methods"].(schema)["additionalProperties"].(schema)["properties"].(schema)
	if d := cmp.Diff(known("kind: operator\ncontact_methods: { a: { zzzzzzzzz: {} } }\n"), slices.Sorted(maps.Keys(methods))); d != "" {
		t.Error(d)
	}
}
