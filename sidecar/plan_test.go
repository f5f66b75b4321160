package sidecar

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/silencing"
)

// text is what people read of one agent's plan, without the last line.
func text(t *testing.T, a AgentPlan, o PlanText) string {
	t.Helper()
	p := &Plan{}
	p.add(a)
	var b strings.Builder
	if err := p.WriteText(&b, o); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(b.String(), "\n")
	return strings.Join(lines[:max(0, len(lines)-2)], "")
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// A network's plan says who and why, and doesn't list hundreds of P-Reps that are refused for the same reason.
func TestPlanOfANetwork(t *testing.T) {
	n := discovery.Planned{
		Network: "mainnet", File: "/targets/mainnet.json", Before: []byte("[\na\n]\n"), After: []byte("[\na,\nb\n]\n"),
		Changes: []discovery.PrepChange{
			{Owner: "hx1", Name: "New", What: discovery.PrepJoins, To: "192.0.2.1"},
			{Owner: "hx2", Name: "Gone", What: discovery.PrepLeaves, From: "192.0.2.2"},
			{Owner: "hx3", Name: "Any", What: discovery.PrepRelabelled},
			{Owner: "hx4", Name: "Other", What: discovery.PrepRelabelled},
		},
		Exporters: map[string]int{"node": 5, "goloop": -1},
		Held: []discovery.PlannedHeld{
			{Held: discovery.Held{Owner: "hx5", Name: "Away", Reason: discovery.HeldAbsent, Since: noon}, Until: noon.Add(time.Hour)},
			{Held: discovery.Held{Owner: "hx6", Name: "Lost", Reason: discovery.HeldUnresolved}},
			{Held: discovery.Held{Owner: "hx7", Name: "One of many", Reason: discovery.HeldDrop, Since: noon}, Until: noon.Add(24 * time.Hour)},
		},
	}
	for i := range 23 {
		n.Refused = append(n.Refused, discovery.Refusal{Owner: fmt.Sprintf("hxa%d", i), Name: "R", Endpoint: "10.0.0.1:7100", Reason: discovery.ReasonPrivate})
	}
	n.Refused = append(n.Refused, discovery.Refusal{Owner: "hxb", Name: "S", Endpoint: "a\tb", Reason: discovery.ReasonMalformed})
	got := text(t, planDiscovery([]discovery.Planned{n}), PlanText{DiffLines: 100})
	for i := 1; i < 10; i++ {
		got = strings.Replace(got, fmt.Sprintf("! mainnet: R (hxa%d) is no target: private, its endpoint is \"10.0.0.1:7100\"\n", i), "", 1)
	}
	same(t, got, `
discovery
+ mainnet: New (hx1) joins at 192.0.2.1
- mainnet: Gone (hx2) leaves, it was at 192.0.2.2
~ mainnet: 2 P-Reps get other labels, such as their rank
- mainnet: exporter goloop goes with 1 target
+ mainnet: exporter node comes with 5 targets
= mainnet: Away (hx5) keeps its targets: absent since 2026-12-01 12:00 UTC, they go at 2026-12-01 13:00 UTC unless it comes back
= mainnet: Lost (hx6) keeps its targets: its hostname isn't found, which is for an alert to say
= mainnet: One of many (hx7) keeps its targets: too many are gone at once since 2026-12-01 12:00 UTC; they go at 2026-12-02 12:00 UTC, when another endpoint agrees, or by stoker sync --accept-drop=mainnet
! mainnet: R (hxa0) is no target: private, its endpoint is "10.0.0.1:7100"
! … and 13 more like these, see --format=json
! mainnet: S (hxb) is no target: malformed, its endpoint is "a\tb"
~ /targets/mainnet.json: 2 lines added, 1 line removed (--targets-diff shows them)`)

	// Other paths or ports, and a network that can't be asked.
	n = discovery.Planned{Network: "mainnet", File: "/targets/mainnet.json", Before: []byte("a\n"), After: []byte("b\n")}
	down := discovery.Planned{Network: "lisbon", File: "/targets/lisbon.json", Before: []byte("a\n"), After: []byte("a\n"), Err: errors.New("down")}
	same(t, text(t, planDiscovery([]discovery.Planned{n, down}), PlanText{DiffLines: 3, Targets: true}), `
discovery
lisbon: down
~ mainnet: targets get other paths or ports
--- live/mainnet.json
+++ planned/mainnet.json
@@ -1,1 +1,1 @@
… and 2 more lines of this file`)
}

// What becomes of a release, in every case that there is.
func TestPlanOfARelease(t *testing.T) {
	r := reload.Planned{Server: "prometheus", Live: "aaa", Next: "aaa", Runs: reload.RunsRelease, Reload: reload.ReloadNone}
	with := func(change func(*reload.Planned)) reload.Planned {
		c := r
		change(&c)
		return c
	}
	for want, p := range map[string]reload.Planned{
		"": r,
		"prometheus: runs something else than the live release: rule groups missing: a\n~ prometheus is told to load the live release, because it runs something else": with(func(p *reload.Planned) {
			p.Runs, p.Why, p.Reload = reload.RunsOther, "rule groups missing: a", reload.ReloadSent
		}),
		"prometheus\n~ prometheus is told to load the live release, which it wasn't proved to run yet": with(func(p *reload.Planned) { p.Reload = reload.ReloadSent }),
		"prometheus\n~ release bbb goes live in place of aaa\n~ prometheus is told to load it\n~ tmpl\\u202e: not shown\n+ b.yml\n~ .stoker/x": with(func(p *reload.Planned) {
			p.Next, p.Reload = "bbb", reload.ReloadSent
			p.Files = []reload.FileChange{
				{Path: "tmpl\u202e", Change: '~', Note: "not shown"}, {Path: "b.yml", Change: '+', Diff: "a diff"},
				{Path: ".stoker/x", Change: '~'}, {Path: ".stoker/contacts/acme.yml", Change: '~'},
			}
		}),
		"prometheus: unknown what it runs: gone\n+ release bbb goes live, the first one\n= prometheus can't be asked now: no reload is sent, it starts from the live release": with(func(p *reload.Planned) {
			p.Live, p.Next, p.Runs, p.Why, p.Reload = "", "bbb", reload.RunsUnknown, "gone", reload.ReloadUnknown
		}),
		"prometheus\nbad\n! release bbb is refused, aaa stays live":                         with(func(p *reload.Planned) { p.Next, p.Refused = "bbb", errors.New("bad") }),
		"prometheus\nbad\n! no release can be made, no release is live":                     with(func(p *reload.Planned) { p.Live, p.Next, p.Refused = "", "", errors.New("bad") }),
		"prometheus\nbad\n! /etc/p.yml is refused: no reload is sent":                       with(func(p *reload.Planned) { p.ConfigFile, p.Live, p.Refused = "/etc/p.yml", "", errors.New("bad") }),
		"prometheus\n~ prometheus is told to load /etc/p.yml, as always when stoker starts": with(func(p *reload.Planned) { p.ConfigFile, p.Live, p.Reload = "/etc/p.yml", "", reload.ReloadSent }),
	} {
		got := text(t, planRelease(p), PlanText{})
		same(t, strings.ReplaceAll(got, `"tmpl\u202e"`, `tmpl\u202e`), want)
	}
}

func TestPlanOfContacts(t *testing.T) {
	status := routing.Status{Contacts: []routing.ContactStatus{{File: "good.yml", Routed: true}, {File: "team/bad.yml", Problems: listOf(errors.New("bad"))}}}
	r := reload.Planned{Files: []reload.FileChange{{Path: "alertmanager.yml", Change: '~'}, {Path: ".stoker/contacts/new.yml", Change: '+'}, {Path: ".stoker/contacts/old.yml", Change: '-'}}}
	same(t, text(t, planContacts(status, errors.New("the same"), r), PlanText{}), `
routing
bad
+ contact new is accepted
- contact old is removed
! team/bad.yml is quarantined: its alerts reach nobody but the receivers of the base`)
	same(t, text(t, planContacts(routing.Status{}, errors.New("contacts: no such folder"), reload.Planned{}), PlanText{}), "routing\ncontacts: no such folder")
}

func TestPlanOfSilences(t *testing.T) {
	silence := silencing.Silence{
		ID: "1", Matchers: []silencing.Matcher{{Name: "alertname", Value: "Down", IsEqual: true}},
		StartsAt: noon, EndsAt: noon.Add(time.Hour), CreatedBy: "bo", Comment: "planned\nwork",
	}
	edit := func(change func(*silencing.Silence)) *silencing.Silence {
		s := silence
		change(&s)
		return &s
	}
	p := silencing.Preview{
		Steps: []silencing.Step{
			{Kind: silencing.Missing, Key: "a@once", After: &silence},
			{Kind: silencing.Changed, Key: "b@once", Before: &silence, After: edit(func(s *silencing.Silence) { s.EndsAt, s.Comment = noon.Add(2*time.Hour), "more" })},
			{Kind: silencing.Changed, Key: "c@once", Before: &silence, After: edit(func(s *silencing.Silence) { s.EndsAt = noon.Add(time.Minute) })},
			{Kind: silencing.Changed, Key: "d@once", Before: &silence, After: edit(func(s *silencing.Silence) { s.Matchers = nil }), Reason: "replaced"},
			{Kind: silencing.Extra, Key: "e@once", Before: &silence, Reason: "removed"},
		},
		Held:     []silencing.Occurrence{{Rule: &silencing.Rule{Name: "f"}, ID: "once", EndsAt: noon}},
		Disowned: []silencing.Silence{silence},
		Position: 1,
	}
	same(t, text(t, planSilences(p, errors.New("the cluster settles")), PlanText{}), `
silencing
the cluster settles
+ silence a@once is created, from 2026-12-01 12:00 UTC to 2026-12-01 13:00 UTC, alertname="Down": planned work
~ silence b@once is extended to 2026-12-01 14:00 UTC, it was to end at 2026-12-01 13:00 UTC, gets the comment "more"
~ silence c@once is shortened to 2026-12-01 12:01 UTC, it was to end at 2026-12-01 13:00 UTC
~ silence d@once is made anew, from 2026-12-01 12:00 UTC to 2026-12-01 13:00 UTC,`+" "+`
- silence e@once ends now, not at 2026-12-01 13:00 UTC: the file doesn't ask for it any more
= silence f@once was ended early by hand, and stays ended until its rule is edited
= silence 1 by bo has only half of the mark, and is left to whoever changed it
= 1 of the cluster's Alertmanagers come before this one, and leave it 30 s later each`)
}

// What is only kept or refused changes nothing, and the JSON has the keys that are documented.
func TestPlanJSON(t *testing.T) {
	p := &Plan{}
	p.add(planDiscovery([]discovery.Planned{{Network: "mainnet", Held: []discovery.PlannedHeld{{Held: discovery.Held{Owner: "hx1", Name: "A", Reason: "absent", Since: noon}, Until: noon}}}}))
	if p.Changes || p.Refused() {
		t.Errorf("a P-Rep that is held is a change or a problem: %+v", p)
	}
	p.add(planRelease(reload.Planned{
		Server: "prometheus", Live: "a", Next: "b", Runs: reload.RunsRelease, Reload: reload.ReloadSent,
		Files: []reload.FileChange{{Path: "p.yml", Change: '~', Diff: "d"}},
	}))
	p.add(planRelease(reload.Planned{Server: "alertmanager", Runs: reload.RunsUnknown, Reload: reload.ReloadNone, Refused: listOf(errors.New("bad")).Err()}))
	if !p.Changes || !p.Refused() {
		t.Errorf("%+v", p)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	same(t, strings.ReplaceAll(string(data), `},{"agent"`, "},\n{\"agent\""), `
{"changes":true,"agents":[{"agent":"discovery","changes":false,"steps":[{"action":"hold","subject":"hx1","name":"A","network":"mainnet","reason":"absent","until":"2026-12-01T12:00:00Z","text":"mainnet: A (hx1) keeps its targets: absent since 2026-12-01 12:00 UTC, they go at 2026-12-01 12:00 UTC unless it comes back"}],"problems":[],"warnings":[]},
{"agent":"prometheus","changes":true,"release":{"live":"a","next":"b","runs":"release","reload":"sent"},"steps":[{"action":"publish","subject":"b","text":"release b goes live in place of a"},{"action":"reload","subject":"prometheus","text":"prometheus is told to load it"}],"files":[{"file":"p.yml","change":"changed","diff":"d"}],"problems":[],"warnings":[]},
{"agent":"alertmanager","changes":false,"release":{"runs":"unknown","reload":"none"},"steps":[{"action":"refuse","text":"no release can be made, no release is live"}],"problems":[{"message":"bad"}],"warnings":[]}]}`)
}
