package redact

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// example writes a document that has every key of a type, as upstream declares it. Keys of a type that is named
// Secret… hold a canary.
type example struct {
	types    *types
	version  string
	canaries int
	plain    int
}

func (e *example) node(t reflect.Type, depth int) *yaml.Node {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }
	if strings.HasPrefix(t.Name(), "Secret") {
		e.canaries++
		return text(fmt.Sprintf("https://canary.invalid/%s/%d", e.version, e.canaries))
	}
	switch {
	case depth > 12: // routes have routes
		return nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		item := e.node(t.Elem(), depth+1)
		if item == nil {
			return nil
		}
		return &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item}}
	case t.Kind() == reflect.Map:
		value := e.node(t.Elem(), depth+1)
		if value == nil {
			return nil
		}
		return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("any"), value}}
	case t.Kind() == reflect.Struct && len(e.types.shape(t).fields) > 0:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for key, ft := range e.types.shape(t).fields {
			if value := e.node(ft, depth+1); value != nil {
				n.Content = append(n.Content, text(key), value)
			}
		}
		return n
	}
	e.plain++
	return text(fmt.Sprintf("harmless-%d-", e.plain))
}

// Every key that upstream holds for a secret, in either server's files and in every service discovery, is hidden.
func TestEverySecretOfUpstream(t *testing.T) {
	for kind, least := range map[Kind]int{Alertmanager: 100, Prometheus: 500, ScrapeConfigs: 250} {
		d := New()
		var versions [2][]byte
		for i, version := range []string{"old", "new"} {
			e := &example{types: newTypes(), version: version}
			data, err := yaml.Marshal(e.node(kind.root(), 0))
			if err != nil {
				t.Fatal(err)
			}
			if e.canaries < least {
				t.Errorf("kind %d: only %d keys for secrets were found", kind, e.canaries)
			}
			versions[i] = data
		}
		for name, f := range map[string]File{
			"changed": {Name: "x", Kind: kind, Before: versions[0], After: versions[1]},
			"added":   {Name: "x", Kind: kind, After: versions[1]},
			"removed": {Name: "x", Kind: kind, Before: versions[0]},
		} {
			text, note := d.Diff(f)
			if text == "" || strings.Contains(text+note, "canary") {
				t.Errorf("kind %d, %s: %s\n%.2000s", kind, name, note, text)
			}
			if !strings.Contains(text, "harmless") {
				t.Errorf("kind %d, %s: everything is hidden", kind, name)
			}
		}
	}
}

// What upstream has no type for is hidden all the same, on both sides, and the rest can be read.
func TestHidden(t *testing.T) {
	const hidden = "canary"
	for name, c := range map[string]struct {
		kind          Kind
		before, after string
		source        string
		want          []string
	}{
		"a contact's address": {Alertmanager,
			"receivers: [{name: contact/acme/mail, email_configs: [{send_resolved: true, to: old-canary@acme.example}]}]\n",
			"receivers: [{name: contact/acme/mail, email_configs: [{send_resolved: false, to: new-canary@acme.example}]}]\n", "",
			[]string{"-receivers: [{name: contact/acme/mail, email_configs: [{send_resolved: true, to: <secret 1>}]}]", "send_resolved: false, to: <secret 2>"}},
		"a contact's phone number, chat and texts": {Alertmanager,
			"receivers: []\n",
			"receivers:\n- name: contact/acme/pager\n  sns_configs:\n  - phone_number: '+1415canary'\n    message: canary\n  telegram_configs: [{chat_id: -100123456789, bot_token_file: /secrets/acme.bot}]\n", "",
			[]string{"+  - phone_number: <secret>", "bot_token_file: /secrets/acme.bot"}},
		"a contact's texts that only show a template": {Alertmanager,
			"receivers: []\n",
			"receivers:\n- name: contact/acme/chat\n  x_configs:\n  - message: '{{ template \"stoker.text.message\" . }}'\n    title: '{{ template \"stoker.text.head\" . }} canary'\n    text: '{{ define \"canary\" }}{{ end }}'\n", "",
			[]string{`+  - message: '{{ template "stoker.text.message" . }}'`, "title: <secret>", "text: <secret>"}},
		"a contact's link to the page": {Alertmanager,
			"receivers:\n- name: contact/acme/talk\n  slack_configs:\n  - actions:\n    - type: button\n      url: '{{ define \"stoker.hush\" }}https://h.example/hush/acme/canary1?{{ template \"stoker.hush.query\" . }}{{ end }}{{ template \"stoker.hush\" . }}'\n",
			"receivers:\n- name: contact/acme/talk\n  slack_configs:\n  - actions:\n    - type: button\n      url: '{{ define \"stoker.hush\" }}https://h.example/hush/acme/canary2?{{ template \"stoker.hush.query\" . }}{{ end }}{{ template \"stoker.hush\" . }}'\n", "",
			[]string{"-      url: <secret 1>", "+      url: <secret 2>"}},
		"how a contact's URL is posted to": {Alertmanager,
			"receivers: []\n",
			"receivers:\n- name: contact/acme/hook\n  webhook_configs:\n  - url: https://canary.example/\n    http_config:\n      follow_redirects: false\n      proxy_url: http://u:canary@proxy\n      authorization: {credentials: canary}\n", "",
			[]string{"+      follow_redirects: false", "proxy_url: <secret", "credentials: <secret"}},
		"people in the team's own receivers": {Alertmanager,
			"receivers: [{name: ops, email_configs: [{to: 'canary@team.example, b@c.example'}]}]\n",
			"receivers: [{name: ops, sns_configs: [{phone_number: '+1415100123456789', subject: s}]}]\n", "",
			[]string{"email_configs: [{to: <secret 1>}]", "phone_number: <secret 2>, subject: s"}},
		"a contact's shape that nobody knows": {Alertmanager,
			"receivers: []\n",
			"receivers: [{name: contact/acme/x, canary-key: canary, x_configs: [canary, {to: {a: canary}}]}]\n", "",
			[]string{"name: contact/acme/x"}},
		"a contact's address in another place": {Alertmanager,
			"receivers: [{name: contact/acme/mail, email_configs: [{to: canary-1@acme.example}]}]\nroute: {receiver: a}\n",
			"receivers: []\nroute: {receiver: 'b canary-1@acme.example'}\n", "",
			[]string{"receiver: a"}},
		"a misspelt key": {Alertmanager, "global: {slack_api_ulr: https://hooks.example/canary}\n", "global: {}\n", "", []string{"slack_api_ulr: <secret>"}},
		"a wrong shape":  {Alertmanager, "global: canary\n", "receivers: {a: canary}\n", "", nil},
		"an anchor that is a password elsewhere": {Alertmanager,
			"global: {smtp_hello: &x canary-pw, smtp_auth_password: *x}\n", "global: {smtp_hello: &x canary-pw2, smtp_auth_password: *x}\n", "",
			[]string{"smtp_hello: <secret 1>, smtp_auth_password: <secret 1>", "smtp_hello: <secret 2>"}},
		"a merged mapping": {Alertmanager,
			"global: {}\n", "receivers: [{name: x, webhook_configs: [{<<: {url: 'https://canary.example/'}}]}]\n", "", []string{"name: x"}},
		"comments": {Alertmanager,
			"global: {} # canary\n", "# canary\nglobal: {smtp_hello: x}\n# canary\n", "", []string{"smtp_hello: x"}},
		"a header": {Prometheus,
			"remote_write: [{url: 'http://a', headers: {X-Api-Key: canary, X-Plain: a}}]\n", "remote_write: [{url: 'http://a', headers: {X-Api-Key: canary2, X-Plain: b}}]\n", "",
			[]string{"X-Api-Key: <secret 2>, X-Plain: b"}},
		"a URL with a user": {Prometheus,
			"remote_write: [{url: 'http://u:canary@a/'}]\n", "remote_write: [{url: 'http://b/'}]\n", "", []string{"http://b/"}},
		"a URL with a token": {Prometheus,
			"scrape_configs: [{job_name: a, http_sd_configs: [{url: 'http://a/?x=1&access_token=canary'}]}]\n", "scrape_configs: [{job_name: b}]\n", "", []string{"job_name: b"}},
		"parameters": {Prometheus,
			"scrape_configs: [{job_name: a, params: {token: [canary], module: [icmp]}}]\n", "scrape_configs: [{job_name: a, params: {module: [http]}}]\n", "", []string{"module: [icmp]"}},
		"a job of an included file": {ScrapeConfigs,
			"scrape_configs: [{job_name: a, basic_auth: {username: u, password: canary}}]\n", "scrape_configs: [{job_name: a, basic_auth: {username: u, password: canary2}}]\n", "",
			[]string{"username: u, password: <secret 1>"}},
		"variables, also those that are gone": {Prometheus,
			"global: {scrape_interval: 1m, external_labels: {old: canary-1, site: canary-2}}\n", "global: {scrape_interval: 2m, external_labels: {site: canary-3, new: x}}\n",
			"global: {scrape_interval: 2m, external_labels: {site: $(SITE), new: x}}\n",
			[]string{"+global: {scrape_interval: 2m, external_labels: {site: <secret 5>, new: x}}"}},
		"variables in rules": {Rules,
			"groups: [{name: canary-1, rules: []}] # canary\n", "groups: [{name: canary-2, rules: []}]\n", "groups: [{name: $(NAME), rules: []}]\n",
			[]string{"name: <secret 2>"}},
		"a file that isn't YAML":   {Alertmanager, "a: b: canary\n", "global: {}\n", "", nil},
		"a file of unknown use":    {Opaque, "canary: canary\n", "canary", "", nil},
		"a file that blows itself": {Alertmanager, "a: &a [canary, canary]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d, *d, *d]\n", "global: {}\n", "", nil},
		"a file within itself":     {Alertmanager, "a: &a [canary, *a]\n", "global: {}\n", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := File{Name: "f.yml", Kind: c.kind, Before: []byte(c.before), After: []byte(c.after)}
			if c.source != "" {
				f.Source = []byte(c.source)
			}
			text, note := New().Diff(f)
			if strings.Contains(text+note, hidden) || strings.Contains(text, "100123456789") {
				t.Errorf("not hidden:\n%s%s", text, note)
			}
			if strings.HasPrefix(name, "a file") && text != "" {
				t.Errorf("shown:\n%.1000s", text)
			}
			if text == "" && note == "" || len(c.want) > 0 && text == "" {
				t.Errorf("no difference: %q", note)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s", want, text)
				}
			}
		})
	}
}

// The diff of what holds no secret is the plain one.
func TestShown(t *testing.T) {
	text, note := New().Diff(File{
		Name: "rules/up.yml", Kind: Rules,
		Before: []byte("# who\ngroups:\n- name: up\n  rules: [{alert: Down, expr: up == 0}]\n"),
		After:  []byte("# who\ngroups:\n- name: up\n  rules: [{alert: Down, expr: up < 1}]\n"),
	})
	want := `--- live/rules/up.yml
+++ planned/rules/up.yml
@@ -1,4 +1,4 @@
 # who
 groups:
 - name: up
-  rules: [{alert: Down, expr: up == 0}]
+  rules: [{alert: Down, expr: up < 1}]
`
	if text != want || note != "" {
		t.Errorf("%s\n%s", text, note)
	}
}

// Equal secrets look equal, others don't, and which is which differs from diff to diff.
func TestNumbers(t *testing.T) {
	config := func(password, token string) []byte {
		return []byte("global:\n  smtp_auth_password: " + password + "\n  victorops_api_key: same\n  telegram_bot_token: " + token + "\n")
	}
	d := New()
	diff := func(before, after []byte) string {
		text, _ := d.Diff(File{Name: "a", Kind: Alertmanager, Before: before, After: after})
		return text[strings.Index(text, "@@ -"):]
	}
	for name, c := range map[string]struct{ got, want string }{
		"one changed": {diff(config("aaa", "bbb"), config("ccc", "bbb")),
			" global:\n-  smtp_auth_password: <secret 1>\n+  smtp_auth_password: <secret 2>\n   victorops_api_key: <secret>\n   telegram_bot_token: <secret>\n"},
		"two swapped": {diff(config("aaa", "bbb"), config("bbb", "aaa")),
			" global:\n-  smtp_auth_password: <secret 1>\n+  smtp_auth_password: <secret 2>\n   victorops_api_key: <secret>\n-  telegram_bot_token: <secret 2>\n+  telegram_bot_token: <secret 1>\n"},
		"one added": {diff([]byte("global:\n  victorops_api_key: same\n"), []byte("global:\n  victorops_api_key: same\n  telegram_bot_token: bbb\n")),
			" global:\n   victorops_api_key: <secret>\n+  telegram_bot_token: <secret>\n"},
	} {
		if _, body, _ := strings.Cut(c.got, "\n"); body != c.want {
			t.Errorf("%s:\n%s", name, body)
		}
	}
	// What looks like a placeholder can't be passed off as one.
	text := diff(config("secret-0123456789abcdef0123456789abcdef", "bbb"), config("aaa", "bbb"))
	if strings.Contains(text, "0123") || regexp.MustCompile(`[0-9a-f]{32}`).MatchString(text) {
		t.Errorf("%s", text)
	}
}

func TestNotes(t *testing.T) {
	for want, f := range map[string]File{
		"":                                   {Kind: Opaque, Before: []byte("a"), After: []byte("a")},
		"only comments or its layout differ": {Kind: Alertmanager, Before: []byte("global: {} # a\n"), After: []byte("global: {}\n")},
		"not shown":                          {Kind: Opaque, Before: []byte("a"), After: []byte("bcd")},
		"not shown, 1000 bytes":              {Kind: Opaque, After: make([]byte, 1000)},
		"not shown, 1001 bytes":              {Kind: Opaque, Before: make([]byte, 1001)},
		"not shown, 1000 bytes, was 5":       {Kind: Opaque, Before: []byte("12345"), After: make([]byte, 1000)},
	} {
		if text, note := New().Diff(f); text != "" || note != want {
			t.Errorf("want %q, got %q and %q", want, note, text)
		}
	}
}
