package routing

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Routes that no alert reaches or that are muted for ever, and intervals that are over.
func TestLintReach(t *testing.T) {
	const base = `
route:
  receiver: team
  routes:
  - receiver: a
    matchers: [ severity="critical" ]
    routes:
    - receiver: b
      matchers: [ severity="warning" ]
    - receiver: b
      matchers: [ team=~"x|y", team!="x", team!~"y|z" ]
    - receiver: b
      matchers: [ team=~"x|y", team!="x" ]
  - receiver: a
    matchers: [ severity="critical", team="x" ]
  - receiver: b
    matchers: [ severity=~"warning|info" ]
    continue: true
  - receiver: a
    matchers: [ severity=~"warning|info" ]
  - receiver: b
    match: { severity: info }
  - receiver: muted
    matchers: [ a="1" ]
    mute_time_intervals: [ even, odd ]
  - receiver: muted
    matchers: [ a="2" ]
    active_time_intervals: [ past, empty ]
  - receiver: muted
    matchers: [ a="3" ]
    active_time_intervals: [ past, even ]
  - receiver: muted
    matchers: [ b=~".*" ]
  - receiver: a
    matchers: [ a="9" ]
receivers:
- name: team
- name: a
- name: b
- name: c
- name: muted
time_intervals:
- name: even
  time_intervals: [ { times: [ { start_time: "00:00", end_time: "12:00" } ] } ]
- name: odd
  time_intervals: [ { times: [ { start_time: "12:00", end_time: "24:00" } ] } ]
- name: past
  time_intervals: [ { years: [ "2020:2025" ] } ]
- name: empty
  time_intervals: []
- name: idle
  time_intervals: [ { weekdays: [ monday ] } ]
`
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var got []string
	b, problems := readBase(MainFile, []byte(base), "")
	if problems.Len() > 0 {
		t.Fatal(problems)
	}
	for _, w := range b.lint(testSite(), now) {
		got = append(got, w.Error())
	}
	want := []string{
		`alertmanager.yml:8:7: never reached: its matchers and those above it never match together, because of severity="warning"`,
		`alertmanager.yml:10:7: never reached: its matchers and those above it never match together, because of team!~"y|z"`,
		`alertmanager.yml:14:5: never reached: the route in line 5 takes all that it matches, and has no continue`,
		`alertmanager.yml:21:5: never reached: the route in line 19 takes all that it matches, and has no continue`,
		`alertmanager.yml:23:5: muted for ever: its time intervals leave no time at which it tells`,
		`alertmanager.yml:26:5: muted for ever: its time intervals leave no time at which it tells`,
		`alertmanager.yml:32:5: matcher b=~".*" matches every alert, also one without that label`,
		`alertmanager.yml:34:5: never reached: the route in line 32 takes every alert, and has no continue`,
		`alertmanager.yml:40:9: receiver "c" is used by no route`,
		`alertmanager.yml:47:9: time interval "past" is over, or has no time at all`,
		`alertmanager.yml:49:9: time interval "empty" is over, or has no time at all`,
		`alertmanager.yml:51:9: no route has time interval "idle"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLintRules(t *testing.T) {
	c := parse(t, "acme.yml", `
kind: operator
name: Acme
owner: hx1
contact_methods:
  mail: { email: { to: noc@acme.example } }
  chat: { telegram: { chat_id: "1" } }
notification_rules:
- { notify: [mail] }
- { notify: [mail], min_severity: critical }
- { notify: [chat], min_severity: warning, quiet_hours: never }
- { notify: [chat], min_severity: critical, quiet_hours: always }
- { notify: [chat, mail], after: 5m, quiet_hours: always, min_severity: warning }
- { notify: [chat], after: 1h, quiet_hours: always }
- { notify: [chat], after: 2h, quiet_hours: night }
- { notify: [chat], after: 2h }
- { notify: [mail], after: 2h }
- { notify: [mail], after: 2h }
quiet_hours:
  never: { times: "22:00-07:00", bypass: [warning, critical] }
  always: { times: ["07:00-22:00", "21:00-07:00"], bypass: [critical] }
  night: { times: ["22:00-07:00"], weekdays: [monday:saturday] }
`, testSite())
	want := []string{
		`acme.yml:10:3: this rule changes nothing: other rules tell the same methods about all that it covers`,
		`acme.yml:11:57: quiet hours "never" never hold for this rule: all that it is about bypasses them`,
		`acme.yml:12:3: this rule changes nothing: other rules tell the same methods about all that it covers`,
		`acme.yml:12:58: quiet hours "always" never hold for this rule: all that it is about bypasses them`,
		`acme.yml:13:51: this rule tells only about what bypasses quiet hours "always", which are all of the week: say so with min_severity`,
		`acme.yml:14:45: this rule tells only about what bypasses quiet hours "always", which are all of the week: say so with min_severity`,
		`acme.yml:15:3: this rule changes nothing: other rules tell the same methods about all that it covers`,
		`acme.yml:18:3: this rule changes nothing: other rules tell the same methods about all that it covers`,
	}
	var got []string
	c.Warnings.Sort()
	for _, w := range c.Warnings {
		got = append(got, w.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c = parse(t, "acme.yml", `
kind: operator
name: Acme
owner: hx1
contact_methods: { mail: { email: { to: noc@acme.example } } }
notification_rules: [ { notify: [mail], quiet_hours: all } ]
quiet_hours: { all: { times: "00:00-24:00" } }
`, testSite())
	if len(c.Warnings) != 1 || !strings.HasSuffix(c.Warnings[0].Msg, `this rule never tells anybody: quiet hours "all" are all of the week`) {
		t.Error(c.Warnings)
	}
}

// Owners and networks are held against what is known of the networks, and nothing is said where that isn't all.
func TestCheckNetworks(t *testing.T) {
	const a, b = "hx0b047c751658f7ce1b2595da34d57a0e7dad357d", "hx3c58970034d5a923aa95058365450feed28979a2"
	contact := func(file, owners, networks string) *Contact {
		return parse(t, file, "kind: operator\nname: Acme\nowner: "+owners+"\nnetworks: "+networks+
			"\ncontact_methods: { mail: { email: { to: noc@acme.example } } }\nnotification_rules: [ { notify: [ mail ] } ]\n", testSite())
	}
	exchange := parse(t, "exchange.yml", strings.Replace(whoExchange, "components: [ api ]", "networks: [ mainnte ]", 1), testSite())
	mainnet := Network{Name: "mainnet", File: "mainnet.json", PReps: map[string]string{a: "Acme \u202e", b: "Bravo", "hx1": ""}}
	all := []*Contact{contact("acme.yml", "[ "+a+", "+a[:41]+"e ]", "[ mainnet ]"), contact("bravo.yml", "bravo", "[ mainnet, testnet ]"), exchange}
	for _, test := range []struct {
		o    Options
		want []string
	}{
		{Options{}, nil},
		{Options{Networks: []Network{mainnet}, AllNetworks: true}, []string{
			`acme.yml:3:54: owner "hx0b047c751658f7ce1b2595da34d57a0e7dad357e" is not known in mainnet, did you mean "hx0b047c751658f7ce1b2595da34d57a0e7dad357d" ("Acme \u202e")?`,
			`bravo.yml:4:22: network "testnet" is none of stoker.yml, so nobody is told about it, known: mainnet`,
			`bravo.yml:3:8: owner "bravo" is not known in mainnet, did you mean "hx3c58970034d5a923aa95058365450feed28979a2" ("Bravo")?`,
			`exchange.yml:5:32: network "mainnte" is none of stoker.yml, so nobody is told about it, did you mean "mainnet"?`,
			`note: 2 of 3 P-Reps of mainnet have no contact: hx1, hx3c58970034d5a923aa95058365450feed28979a2 ("Bravo")`,
		}},
		// A file alone says nothing about other networks.
		{Options{Networks: []Network{mainnet}}, []string{
			`acme.yml:3:54: owner "hx0b047c751658f7ce1b2595da34d57a0e7dad357e" is not known in mainnet, did you mean "hx0b047c751658f7ce1b2595da34d57a0e7dad357d" ("Acme \u202e")?`,
			`note: 2 of 3 P-Reps of mainnet have no contact: hx1, hx3c58970034d5a923aa95058365450feed28979a2 ("Bravo")`,
		}},
		{Options{Networks: []Network{{Name: "mainnet"}, {Name: "mainnte"}, {Name: "testnet"}}, AllNetworks: true}, nil},
	} {
		var got []string
		for _, w := range test.o.checkNetworks(all) {
			got = append(got, w.Error())
		}
		for _, n := range test.o.uncovered(all) {
			got = append(got, "note: "+n)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// Who reviews a contact sees that its owner has another one already: nothing else says that it may be somebody else's.
func TestSharedOwners(t *testing.T) {
	contact := func(file, owners string) *Contact {
		return parse(t, file, "kind: operator\nname: Acme\nowner: "+owners+
			"\ncontact_methods: { mail: { email: { to: noc@acme.example } } }\nnotification_rules: [ { notify: [ mail ] } ]\n", testSite())
	}
	all := []*Contact{contact("eu/evil.yml", "[ hx1, hx9 ]"), contact("acme.yml", "hx1"), contact("bravo.yml", "hx2")}
	want := []string{"1 owner has several contacts, who all hear the same: hx1 (acme.yml, evil.yml)"}
	if diff := cmp.Diff(want, sharedOwners(all)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := sharedOwners(all[1:]); got != nil {
		t.Errorf("%q", got)
	}
	many := numbered(maxListed+2, "hx%d ")
	twice := "[ " + strings.Join(strings.Fields(many), ", ") + " ]"
	got := sharedOwners([]*Contact{contact("a.yml", twice), contact("b.yml", twice)})
	if len(got) != 1 || !strings.HasPrefix(got[0], "12 owners have several contacts, ") || !strings.HasSuffix(got[0], ", and 2 more") {
		t.Errorf("%q", got)
	}
}
