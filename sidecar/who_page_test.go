package sidecar

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

const pageContact = `
kind: operator
name: "Acme <b>& Söhne"
owner: [hx0b047c751658f7ce1b2595da34d57a0e7dad357d, "<i>&labels=x"]
networks: [mainnet]
location: Europe/Berlin
contact_methods:
  chat: { telegram: { chat_id: "-1001234567890", bot_token: "12345:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } }
  mail: { email: { to: noc@acme.example } }
notification_rules:
- { notify: [chat], quiet_hours: night }
- { notify: [mail], min_severity: critical, after: 15m }
quiet_hours:
  night: { times: "22:00-07:00", weekdays: [monday:friday] }
`

// contactsSidecar returns a sidecar that publishes Alertmanager's release, and a function that writes below its folder.
func contactsSidecar(t *testing.T) (s *Sidecar, put func(name, content string)) {
	t.Helper()
	dir := t.TempDir()
	put = func(name, content string) {
		t.Helper()
		servertest.WriteFile(t, filepath.Join(dir, name), content)
	}
	put("stoker.yml", "alertmanager: { url: 'http://127.0.0.1:1', source_dir: alertmanager, output_dir: out, settle: 0s }\ncontacts: { dir: contacts }\n")
	put("alertmanager/alertmanager.yml", "global: { smtp_smarthost: 'localhost:25', smtp_from: a@example.org }\nroute: { receiver: team }\n"+
		"receivers: [ { name: team, webhook_configs: [ { url: 'https://example.org/' } ] } ]\n")
	put("contacts/acme.yml", pageContact)
	cfg, err := LoadConfig(filepath.Join(dir, "stoker.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = New(cfg, Options{PublishOnly: true}); err != nil {
		t.Fatal(err)
	}
	return s, put
}

// addresses are what no page may show of pageContact.
var addresses = []string{"noc@acme.example", "1001234567890", "12345:AAA", "<b>&", "<i>"}

// A visitor sees who is told, by which methods, and why a file isn't used; no address, and no text of a contact becomes
// a part of the page.
func TestContactsPage(t *testing.T) {
	s, put := contactsSidecar(t)
	onPage(t, s, "/contacts", []string{`<b class="soft">Unknown:</b>`}, []string{`class="good"`})
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	onPage(t, s, "/contacts", []string{
		"1 contact</caption>", "<bdi>Acme &lt;b&gt;&amp; Söhne</bdi>", `<span class="good">routed</span>`,
		`chat (telegram)</span>`, `mail (email)</span>`, "of mainnet",
		`<a href="who?labels=prep%3Dhx0b047c751658f7ce1b2595da34d57a0e7dad357d">`, `<a href="who?labels=prep%3D%3ci%3e%26labels%3dx">`,
	}, append(addresses, "quarantined"))
	onPage(t, s, "/", []string{`<a href="contacts">`, `<a href="who">`}, addresses)

	put("contacts/acme.yml", pageContact+"colour: red\n")
	put("contacts/team/bravo.yml", "kind: subscriber\n")
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	onPage(t, s, "/contacts", []string{
		`<span class="bad">quarantined</span>: its last good version is told`, `contacts/acme.yml:15:1: field &#34;colour&#34; not known`,
		`<code class="owner">team/bravo.yml</code>`, `<span class="bad">isn't told</span>`, "Acme &lt;b&gt;", "chat (telegram)",
	}, addresses)
	_, body := request(t, s, "GET", "/api/v1/status", nil)
	var status Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if c := status.Contacts[0]; c.Contact != "acme" || len(c.Methods) != 2 || c.Methods[0].Kind != "telegram" || c.Kind != "operator" {
		t.Errorf("%+v", c)
	}
	if err := os.RemoveAll(s.cfg.Contacts.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	const gone = "contacts: no such file or directory</span>"
	onPage(t, s, "/contacts", []string{gone, "Acme &lt;b&gt;"}, addresses)
	onPage(t, s, "/", []string{gone}, addresses)
}

// A visitor asks who is told, and is answered by the release that is live. What is written into the form comes back as
// text.
func TestWhoPage(t *testing.T) {
	s, put := contactsSidecar(t)
	ask := func(labels, at, location string) string {
		return "/who?" + url.Values{"labels": {labels}, "at": {at}, "location": {location}}.Encode()
	}
	onPage(t, s, "/who", []string{`<form action="who" method="get">`, `value="UTC"`}, []string{"<table>", "No answer"})
	onPage(t, s, ask("a=b", "", ""), []string{"no release is live yet"}, []string{"<table>"})
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	const labels = "alertname=NodeDown\r\nseverity=critical\r\n\r\nprep=hx0b047c751658f7ce1b2595da34d57a0e7dad357d\r\nnetwork=mainnet"
	onPage(t, s, ask(labels, "2026-11-27 23:30", "Europe/Berlin"), []string{
		`<h2 id="answer">It tells</h2>`, "2026-11-27 23:30 CET", "When (Europe/Berlin)", "of the team", "webhook", "chat: telegram", "mail: email",
		`<span class="warn">muted until 2026-11-28 07:00</span>`, "<td>2026-11-27 23:45</td>", "severity=critical\r\n",
		"promised for the first alert of a group", "an end that falls into them isn&#39;t told",
	}, append(addresses, "No answer"))
	// A source that isn't live yet doesn't count.
	put("alertmanager/alertmanager.yml", "route: { receiver: other }\nreceivers: [ { name: other } ]\n")
	onPage(t, s, ask("alertnam=x\nprep=hx1", "", ""), []string{"<bdi>team</bdi>", "did you mean &#34;alertname&#34;?", "no contact for prep=&#34;hx1&#34;"}, addresses)

	onPage(t, s, ask(`prep_name="Acme b=c"`, "", ""), []string{"<bdi>team</bdi>"}, []string{"No answer"})
	onPage(t, s, ask("prep_name=Acme & Sons", "", ""), []string{"<bdi>team</bdi>"}, []string{"No answer"})

	const script = "<script>alert(1)</script>"
	for _, question := range []string{
		ask(script, "", ""), ask("a="+script, "", ""), ask("a=b", script, ""), ask("a=b", "", script), ask("severity=</textarea>"+script+"\u202e", "", ""),
	} {
		onPage(t, s, question, []string{"&lt;script&gt;"}, []string{"<script", `class="error">"\u202e`})
	}
	for question, want := range map[string]string{
		ask("NodeDown", "", ""):                             "must be LABEL=VALUE",
		ask("alertname=NodeDown severity=critical", "", ""): "one label a line: &#34;severity=critical&#34; stands behind another one",
		ask("a=b", "tomorrow", ""):                          "must be a time such as",
		ask("a=b", "", "../../etc/passwd"):                  "not known, use a name such as Europe/Berlin",
		ask("a=b", "2026-03-29 02:30", "Europe/Berlin"):     "the clock is put forward over it",
		ask(strings.Repeat("a=b\n", 200), "", ""):           "more than 100 labels",
		ask(strings.Repeat("a", 20000)+"=b", "", ""):        "the question is too long",
	} {
		onPage(t, s, question, []string{"No answer:", want}, []string{"<table>"})
	}
}

// Without an Alertmanager there is nobody to tell, and in watch mode there is only the team.
func TestWhoPageElsewhere(t *testing.T) {
	s := newTestSidecar(t, map[string]string{"prometheus.yml": "global: {}\n"})
	onPage(t, s, "/contacts", []string{"No contact is known here"}, nil)
	onPage(t, s, "/who?labels=a%3Db", []string{"the configuration file has no section alertmanager"}, []string{"<table>"})

	file := filepath.Join(t.TempDir(), "own.yml")
	if err := os.WriteFile(file, []byte("route: { receiver: only }\nreceivers: [ { name: only } ]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := *s.cfg.Prometheus
	cfg.SourceDir, cfg.OutputDir, cfg.ConfigFile = "", "", file
	s.cfg.Alertmanager = &cfg
	onPage(t, s, "/who?labels=a%3Db", []string{"Nobody is told then", "<bdi>only</bdi>", "never: has no integration"}, nil)
}
