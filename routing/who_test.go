package routing

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

const whoBase = `
global: { smtp_smarthost: "localhost:25", smtp_from: a@example.org, telegram_bot_token: any }
route:
  receiver: team
  group_wait: 10s
  repeat_interval: 12h
  routes:
  - receiver: nobody
    matchers: [ team="none" ]
  - receiver: office
    matchers: [ severity="info" ]
    active_time_intervals: [ office, never ]
receivers:
- name: team
  webhook_configs: [ { url: "https://example.org/" } ]
  email_configs: [ { to: team@example.org } ]
- name: nobody
- name: office
  email_configs: [ { to: office@example.org } ]
time_intervals:
- name: office
  time_intervals: [ { times: [ { start_time: "09:00", end_time: "17:00" } ], weekdays: [ "monday:friday" ] } ]
- name: never
  time_intervals: [ { years: [ "2020" ] } ]
`

const whoAcme = `
kind: operator
name: "Acme: Größe"
owner: [ hx0b047c751658f7ce1b2595da34d57a0e7dad357d, hx3c58970034d5a923aa95058365450feed28979a2 ]
networks: [ mainnet ]
location: Europe/Berlin
contact_methods:
  chat: { telegram: { chat_id: "-1001234567890" } }
  mail: { email: { to: noc@acme.example } }
notification_rules:
- { notify: [chat], min_severity: warning, quiet_hours: night }
- { notify: [mail], min_severity: critical, after: 15m }
quiet_hours:
  night: { times: "22:00-07:00", weekdays: [monday:friday] }
`

const whoExchange = `
kind: subscriber
name: Exchange X
contact_methods: { mail: { email: { to: ops@exchange.example } } }
subscriptions: [ { components: [ api ], min_severity: critical, notify: [ mail ], send_resolved: false } ]
`

// routesOf are those of the merge of a base with contacts, by their files.
func routesOf(t *testing.T, base string, contacts map[string]string) *Routes {
	t.Helper()
	var parsed []*Contact
	tree := map[string][]byte{}
	for file, source := range contacts {
		parsed = append(parsed, parse(t, file, source, testSite()))
		tree[contactsFolder+"/"+file] = []byte(source)
	}
	merged, err := Merge([]byte(base), parsed, testSite())
	if err != nil {
		t.Fatal(err)
	}
	tree[MainFile] = merged
	r, err := ReadRoutes(FilesOf(tree), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// alertOf makes labels of a="x" b="y".
func alertOf(pairs ...string) model.LabelSet {
	set := model.LabelSet{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set
}

func TestWho(t *testing.T) {
	r := routesOf(t, whoBase, map[string]string{"acme.yml": whoAcme, "exchange.yml": whoExchange})
	const acme = "prep=hx0b047c751658f7ce1b2595da34d57a0e7dad357d"
	for _, test := range []struct {
		at     string
		labels model.LabelSet
		want   string
	}{
		{"2026-11-26T12:00:00Z", alertOf("alertname=NodeDown", "severity=critical", acme, "network=mainnet"), `
an alert that begins to fire at 2026-11-26 12:00 UTC and goes on tells:

WHO                METHOD  KIND            AFTER  WHEN (UTC)        REPEAT  RESOLVED
(base)             team    email, webhook  10s    2026-11-26 12:00  12h     some
acme: Acme: Größe  chat    telegram        10s    2026-11-26 12:00  12h     yes
acme: Acme: Größe  mail    email           15m    2026-11-26 12:15  12h     yes

an escalation (after …) is promised for the first alert of a group; one that joins later comes with the group's next notification
`},
		// It falls into the night of a friday, which ends on saturday.
		{"2026-11-27T21:30:00Z", alertOf("alertname=NodeDown", "severity=warning", acme, "network=mainnet"), `
an alert that begins to fire at 2026-11-27 21:30 UTC and goes on tells:

WHO                METHOD  KIND            AFTER  WHEN (UTC)                    REPEAT  RESOLVED
(base)             team    email, webhook  10s    2026-11-27 21:30              12h     some
acme: Acme: Größe  chat    telegram        10s    muted until 2026-11-28 06:00  12h     yes

what is muted is told with the group's next notification once the quiet hours are over, if it still fires; an end that falls into them isn't told
`},
		// What counts is when it is due: ten seconds later the night has begun.
		{"2026-11-26T20:59:55Z", alertOf("severity=warning", acme, "network=mainnet"), `
an alert that begins to fire at 2026-11-26 20:59 UTC and goes on tells:

WHO                METHOD  KIND            AFTER  WHEN (UTC)                    REPEAT  RESOLVED
(base)             team    email, webhook  10s    2026-11-26 21:00              12h     some
acme: Acme: Größe  chat    telegram        10s    muted until 2026-11-27 06:00  12h     yes

what is muted is told with the group's next notification once the quiet hours are over, if it still fires; an end that falls into them isn't told
`},
		{"2026-11-28T10:00:00Z", alertOf("severity=info", acme, "network=testnet"), `
an alert that begins to fire at 2026-11-28 10:00 UTC and goes on tells:

WHO     METHOD  KIND   AFTER  WHEN (UTC)                    REPEAT  RESOLVED
(base)  office  email  10s    muted until 2026-11-30 09:00  12h     no

nobody is told then
contact "acme" owns it and isn't told: none of its rules covers an alert without network="mainnet", severity=~"critical|warning"
what is muted is told with the group's next notification once the quiet hours are over, if it still fires; an end that falls into them isn't told
`},
		{"2026-11-28T10:00:00Z", alertOf("team=none", "severty=critcal", "severity=critcal", "prep=hx0b047c751658f7ce1b2595da34d57a0e7dad357e"), `
an alert that begins to fire at 2026-11-28 10:00 UTC and goes on tells:

WHO     METHOD  KIND  AFTER  WHEN (UTC)                 REPEAT  RESOLVED
(base)  nobody  -     10s    never: has no integration  12h     no

nobody is told then
no route knows the label "severty", did you mean "severity"?
severity "critcal" is not one of this site, did you mean "critical"?
no contact for prep="hx0b047c751658f7ce1b2595da34d57a0e7dad357e", did you mean "hx0b047c751658f7ce1b2595da34d57a0e7dad357d" of contact "acme"?
`},
		{"2026-11-28T10:00:00Z", alertOf("team=none", "severity=critical", "prep=Acme"), `
an alert that begins to fire at 2026-11-28 10:00 UTC and goes on tells:

WHO     METHOD  KIND  AFTER  WHEN (UTC)                 REPEAT  RESOLVED
(base)  nobody  -     10s    never: has no integration  12h     no

nobody is told then
no contact for prep="Acme", did you mean "hx0b047c751658f7ce1b2595da34d57a0e7dad357d" of contact "acme"?
`},
		{"2026-11-26T12:00:00Z", alertOf("audience=public", "component=api", "severity=critical"), `
an alert that begins to fire at 2026-11-26 12:00 UTC and goes on tells:

WHO                   METHOD  KIND            AFTER  WHEN (UTC)        REPEAT  RESOLVED
(base)                team    email, webhook  10s    2026-11-26 12:00  12h     some
exchange: Exchange X  mail    email           10s    2026-11-26 12:00  1d      no

without the label "prep" it is no operator's alert
`},
	} {
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		a := r.Who(test.labels, at)
		if diff := cmp.Diff(test.want, "\n"+string(a.Table(time.UTC))); diff != "" {
			t.Errorf("%s at %s (-want +got):\n%s", test.labels, test.at, diff)
		}
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"@", "100123", "https://"} {
			if strings.Contains(string(data)+test.want, address) {
				t.Errorf("%q in the answer: %s", address, data)
			}
		}
	}
}

// Most operators are Korean, and a syllable takes two cells of a terminal: the columns are straight all the same.
func TestWhoKoreanNames(t *testing.T) {
	r := routesOf(t, whoBase, map[string]string{"acme.yml": strings.Replace(whoAcme, "Acme: Größe", "서울 노드", 1)})
	labels := alertOf("severity=warning", "prep=hx0b047c751658f7ce1b2595da34d57a0e7dad357d", "network=mainnet")
	got := string(r.Who(labels, time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)).Table(time.UTC))
	const want = `an alert that begins to fire at 2026-11-26 12:00 UTC and goes on tells:

WHO              METHOD  KIND            AFTER  WHEN (UTC)        REPEAT  RESOLVED
(base)           team    email, webhook  10s    2026-11-26 12:00  12h     some
acme: 서울 노드  chat    telegram        10s    2026-11-26 12:00  12h     yes
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What people named can't break a table.
func TestWhoHostileNames(t *testing.T) {
	r := routesOf(t, "route: { receiver: \"a\\nb\\u202e\" }\nreceivers: [ { name: \"a\\nb\\u202e\" } ]\n", nil)
	table := string(r.Who(alertOf("a\nb=c", "severity=\x1b[2J"), time.Now()).Table(time.UTC))
	if !strings.Contains(table, `"a\nb\u202e"`) || strings.ContainsAny(table, "\x1b\u202e") || strings.Contains(table, "a\nb") {
		t.Error(table)
	}
}

// A contact whose source the site refuses today is told all the same, and named by its receiver.
func TestWhoWithoutSource(t *testing.T) {
	r := routesOf(t, whoBase, map[string]string{"exchange.yml": whoExchange})
	r.read = FilesOf(nil)
	a := r.Who(alertOf("audience=public", "component=api", "severity=critical"), time.Now())
	if got := a.Told[1]; got.Contact != "exchange" || got.Name != "" || !cmp.Equal(got.Kinds, []string{"email"}) {
		t.Errorf("%+v", got)
	}
	if _, err := r.Sample("exchange", "critical"); err == nil {
		t.Error("a sample without the source")
	}
}

// A sample is the contact's own.
func TestSample(t *testing.T) {
	r := routesOf(t, whoBase, map[string]string{"acme.yml": whoAcme, "exchange.yml": whoExchange})
	for _, test := range []struct{ contact, severity, want string }{
		{"acme", "critical", `{network="mainnet", prep="hx0b047c751658f7ce1b2595da34d57a0e7dad357d", severity="critical"}`},
		{"exchange", "critical", `{audience="public", component="api", severity="critical"}`},
		{"exchange", "info", `{audience="public", component="api", severity="info"}`},
		{"acmee", "critical", `contact "acmee" not known, did you mean "acme"?`},
		{"acme", "fatal", `severity "fatal" not known, known: info, warning, critical`},
	} {
		got, err := r.Sample(test.contact, test.severity)
		said := got.String()
		if err != nil {
			said = err.Error()
		}
		if said != test.want {
			t.Errorf("%s, %s: %s", test.contact, test.severity, said)
		}
	}
}

func TestParseLabels(t *testing.T) {
	for text, want := range map[string]string{
		`alertname=NodeDown prep=hx0`:    `{alertname="NodeDown", prep="hx0"}`,
		`a="b=c" d=`:                     `{a="b=c"}`,
		`a="b`:                           `{a="\"b"}`,
		`grüße=x`:                        `{grüße="x"}`,
		`NodeDown`:                       `"NodeDown" must be LABEL=VALUE, did you mean alertname=NodeDown?`,
		`Node/Down`:                      `"Node/Down" must be LABEL=VALUE`,
		`severity=~critical`:             `"severity=~critical" is a matcher: say what the alert's label is, as in severity=critical`,
		`severity!=critical`:             `"severity!=critical" is a matcher: say what the alert's label is, as in severity=critical`,
		`=x`:                             `"" is not the name of a label`,
		"a=\xff":                         `the value of label "a" is not UTF-8`,
		`a=b a=c`:                        `label "a" is given twice, as "b" and "c"`,
		strings.Repeat("a=b ", 101):      `more than 100 labels`,
		`a=` + strings.Repeat("b", 5000): `label "a=bbbbbbbbbbbbbbbbbb"… is longer than 4096 bytes`,
	} {
		labels, err := ParseLabels(strings.Fields(text))
		said := labels.String()
		if err != nil {
			said = err.Error()
		}
		if said != want {
			t.Errorf("%.40s is %s, want %s", text, said, want)
		}
	}
}

// A contact can't make an answer slow by quiet hours without an end, in as many pieces and for as many rules as it may
// have.
func BenchmarkWhoMutedForEver(b *testing.B) {
	var c strings.Builder
	c.WriteString("kind: operator\nname: Slow\nowner: hx1\nlocation: Europe/Berlin\ncontact_methods: { mail: { email: { to: noc@acme.example } } }\nnotification_rules:\n")
	for i := range maxItems {
		fmt.Fprintf(&c, "- { notify: [mail], after: %dm, quiet_hours: all }\n", maxItems-i)
	}
	c.WriteString("quiet_hours: { all: { times: [ '23:00-24:00'")
	for i := range maxItems - 1 {
		fmt.Fprintf(&c, ", '%02d:%02d-%02d:%02d'", i*29/60, i*29%60, (i+1)*29/60, (i+1)*29%60)
	}
	c.WriteString(" ] } }\n")
	contact, err := ParseContact("slow.yml", []byte(c.String()), testSite())
	if err != nil {
		b.Fatal(err)
	}
	merged, err := Merge([]byte(whoBase), []*Contact{contact}, testSite())
	if err != nil {
		b.Fatal(err)
	}
	r, err := ReadRoutes(FilesOf(map[string][]byte{MainFile: merged}), Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		a := r.Who(alertOf("prep=hx1"), time.Unix(0, 0))
		if len(a.Told) != 1+maxItems || a.Told[1].Reached() || !a.Told[1].MutedUntil.IsZero() {
			b.Fatal(a)
		}
	}
}
