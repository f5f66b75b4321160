package silencing

import (
	"errors"
	"fmt"
	"go/scanner"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fire posts firing alerts, each as name value name value.
func (h *house) fire(alerts ...string) {
	h.t.Helper()
	var list []map[string]any
	for _, a := range alerts {
		labels, fields := map[string]string{}, strings.Fields(a)
		for i := 0; i < len(fields); i += 2 {
			labels[fields[i]] = fields[i+1]
		}
		list = append(list, map[string]any{"labels": labels})
	}
	h.person("POST", "alerts", list)
}

// look surveys as the command does, without an agent, and describes what it sees.
func (h *house) look() (rows []string, fileErr error) {
	h.t.Helper()
	u, err := url.Parse(h.server.URL())
	if err != nil {
		h.t.Fatal(err)
	}
	s, fileErr, countErr, err := Look(h.t.Context(), Config{File: h.file, Owner: owner}, Options{AlertmanagerURL: u, Client: http.DefaultClient})
	if err != nil || countErr != nil {
		h.t.Fatal(err, countErr)
	}
	return describeSurvey(s), fileErr
}

// describeSurvey returns a line for each entry that isn't over, in no particular order.
func describeSurvey(s Survey) (rows []string) {
	for _, e := range s.Entries {
		alerts := "?"
		if e.Alerts != nil {
			alerts = fmt.Sprint(*e.Alerts)
		}
		if e.State != stateExpired {
			rows = append(rows, strings.Join(strings.Fields(fmt.Sprintf("%s %s:%d %s %s %s %q %s", e.Origin, e.Rule, e.Line, e.State, e.Note, e.CreatedBy, e.Comment, alerts)), " "))
		}
	}
	slices.Sort(rows)
	return rows
}

// What is silenced, by whom and how many alerts, is seen from the servers alone; and the agent says the same.
func TestSurvey(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.fire("alertname Disk instance node-01:9100 severity warning", "alertname Disk instance node-02:9100 severity warning",
			"alertname Disk instance node-03:9100 severity warning", "alertname Latency severity warning", "alertname Latency severity critical")
		const nightly = `- name: nightly
  matchers: ['alertname="Load"', 'severity="warning"']
  schedule: "0 0 29 2 *"
  location: UTC
  duration: 1h
  ends_at: {48}
  comment: backup
- name: yesterday
  matchers: ['alertname="Load"', 'severity="warning"']
  starts_at: {-24}
  ends_at: {-20}
  comment: was so
`
		h.write(threeRules + nightly)
		if rows, err := h.look(); err != nil || !slices.Contains(rows, `file disk:2 missing alice "disk swap" 0`) {
			t.Errorf("before the first pass: %q, %v", rows, err)
		}
		h.sync()
		byHand := Silence{
			Matchers: []Matcher{{Name: "alertname", Value: "Disk|Latency", IsRegex: true, IsEqual: true}},
			StartsAt: h.now, EndsAt: h.now.Add(time.Hour), CreatedBy: "bo", Comment: "mine",
		}
		h.personPosts(byHand)
		other := byHand
		other.CreatedBy, other.Comment = "stoker/elsewhere", "theirs [stoker:elsewhere/rule@once#12345678]"
		h.personPosts(other)
		half := byHand
		half.Comment = "copied [stoker:team/disk@once#12345678]"
		h.personPosts(half)
		h.person("DELETE", "silence/"+h.one("upgrade", "pending").ID, nil)

		want := []string{
			`file disk:2 active alice "disk swap" 2`,
			`file flapping:14 active "known, OPS-150" 1`,
			`file nightly:18 over "backup" 0`, // no 29 February before its end
			`file upgrade:8 held "coordinated upgrade" 0`,
			`file yesterday:25 over "was so" 0`,
			`other_file rule:0 active "theirs" 5`,
			`person :0 active bo "mine" 5`,
			`person :0 active disowned bo "copied" 5`,
		}
		rows, err := h.look()
		if d := cmp.Diff(want, rows); d != "" || err != nil {
			t.Errorf("from outside: %v %s", err, d)
		}
		h.restart()
		h.noWrites("as it was")
		if d := cmp.Diff(want, describeSurvey(h.agent.Survey())); d != "" {
			t.Errorf("from the agent: %s", d)
		}

		// An edited, a removed and a broken file, before the next pass.
		h.write(strings.Replace(threeRules[:strings.Index(threeRules, "- name: upgrade")], "disk swap", "disk swaps", 1))
		rows, _ = h.look()
		for _, want := range []string{`file disk:2 active changed alice "disk swaps" 2`, `file flapping:0 active extra "known, OPS-150" 1`} {
			if !slices.Contains(rows, want) {
				t.Errorf("with an edited file, no %s in %q", want, rows)
			}
		}
		h.write("silences: [")
		rows, err = h.look()
		if want := `file flapping:0 active "known, OPS-150" 1`; !errors.As(err, new(scanner.ErrorList)) || !slices.Contains(rows, want) {
			t.Errorf("with a broken file: %v, no %s in %q", err, want, rows)
		}
	})
}

// A rule that begins to silence says how much, once. A steady pass doesn't ask for it.
func TestCountOfAlerts(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.fire("alertname Latency severity warning", "alertname Latency severity critical", "alertname Latency severity warning instance b")
		h.write(threeRules)
		h.sync()
		if want := "msg=\"counted the alerts that a rule silences now\" rule=flapping alerts=2"; strings.Count(h.logs.String(), want) != 1 {
			t.Errorf("no %s in\n%s", want, h.logs.String())
		}
		wantMetric := `
# HELP stoker_silence_rule_alerts Firing alerts that a rule of silences.yaml silences, counted when a silence becomes active and every five minutes; absent while unknown.
# TYPE stoker_silence_rule_alerts gauge
stoker_silence_rule_alerts{rule="disk"} 0
stoker_silence_rule_alerts{rule="flapping"} 2
stoker_silence_rule_alerts{rule="upgrade"} 0
`
		if err := testutil.GatherAndCompare(h.registry, strings.NewReader(wantMetric), "stoker_silence_rule_alerts"); err != nil {
			t.Error(err)
		}
		h.noWrites("again")
		if h.wire.reads != 1 || strings.Count(h.logs.String(), "counted the alerts") != 2 {
			t.Errorf("a steady pass has %d requests; the log:\n%s", h.wire.reads, h.logs.String())
		}

		// Another rule, and the alerts can't be had: unknown is not none, and no failure.
		h.write(strings.Replace(threeRules, "severity!~\"critical|page\"", "severity=\"warning\"", 1))
		h.wire.fault = onlyFor("/api/v2/alerts", func(*http.Request) (*http.Response, error) { return nil, errors.New("no alerts today") })
		h.sync()
		h.noWrites("again")
		if n := strings.Count(h.logs.String(), "can't be counted, will retry in five minutes"); n != 1 {
			t.Errorf("said %d times that it can't count", n)
		}
		if n, err := testutil.GatherAndCount(h.registry, "stoker_silence_rule_alerts"); err != nil || n != 1 {
			t.Errorf("%d rules with a number, want that of upgrade, which isn't active: %v", n, err)
		}
		if rows := describeSurvey(h.agent.Survey()); !slices.Contains(rows, `file flapping:14 active "known, OPS-150" ?`) {
			t.Errorf("%q", rows)
		}

		h.wire.fault = nil
		h.write("silences: []\n")
		h.sync()
		if n, err := testutil.GatherAndCount(h.registry, "stoker_silence_rule_alerts"); err != nil || n != 0 {
			t.Errorf("%d rules with a number, want none: %v", n, err)
		}
	})
}

// While nothing changes, alerts are counted every five minutes.
func TestCountEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		am := newAlertmanager(time.Now)
		file := t.TempDir() + "/silences.yaml"
		put(t, file, oneRule)
		m := newMember(t, am, file, `{"status": "disabled"}`)
		asked := 0
		m.client.http = &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/alerts") {
				asked++
			}
			return m.RoundTrip(req)
		})}
		for range 41 { // 20 minutes
			if _, err := m.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(interval)
		}
		if asked != 5 {
			t.Errorf("counted %d times in 20 minutes, want 5", asked)
		}
	})
}

// The end of a rule that has lasted is said once, and before it ends.
func TestExpiringRules(t *testing.T) {
	h := newHouse(t, "alertmanager")
	const text = `silences:
- {name: short, matchers: ['alertname="a"', 'severity="warning"'], starts_at: {-1}, ends_at: {2}, comment: c}
- {name: long, matchers: ['alertname="b"', 'severity="warning"'], starts_at: {-48}, ends_at: {48}, comment: c}
- {name: daily, matchers: ['alertname="c"', 'severity="warning"'], schedule: "0 1 * * *", location: UTC, duration: 1h, ends_at: {48}, comment: c}
- {name: at-once, matchers: ['alertname="d"', 'severity="warning"'], ends_at: {48}, comment: c}
`
	h.write(text)
	h.sync()
	h.noWrites("again")
	for rule, want := range map[string]int{"short": 0, "long": 1, "daily": 1, "at-once": 0} {
		if n := strings.Count(h.logs.String(), "a rule ends soon, renew it by a change of the file if it is still needed\" rule="+rule+" "); n != want {
			t.Errorf("said of %s %d times that it ends soon, want %d", rule, n, want)
		}
		var got string
		for _, e := range h.agent.Survey().Entries {
			if e.Rule == rule {
				got = e.Expiring
			}
		}
		if (want == 1) != strings.HasPrefix(got, "rule "+rule+" ends in 1d23h") {
			t.Errorf("the survey says of %s %q", rule, got)
		}
	}
	wantMetric := `
# HELP stoker_silence_rule_expiring Whether a rule of silences.yaml ends within three days after having lasted longer than that, as every recurring one has.
# TYPE stoker_silence_rule_expiring gauge
stoker_silence_rule_expiring{rule="at-once"} 0
stoker_silence_rule_expiring{rule="daily"} 1
stoker_silence_rule_expiring{rule="long"} 1
stoker_silence_rule_expiring{rule="short"} 0
`
	if err := testutil.GatherAndCompare(h.registry, strings.NewReader(wantMetric), "stoker_silence_rule_expiring"); err != nil {
		t.Error(err)
	}
	h.write("silences: []\n")
	h.sync()
	if n, err := testutil.GatherAndCount(h.registry, "stoker_silence_rule_expiring"); err != nil || n != 0 {
		t.Errorf("%d rules of an empty file: %v", n, err)
	}
}

// What people wrote can't leave its cell, and the table says in its own words whose a silence is.
func TestTable(t *testing.T) {
	now := testNow
	three := 3
	entries := []Entry{
		{Origin: FromFile, Rule: "disk", File: "silences.yaml", Line: 3, State: "active", ID: "c0ffee", Matchers: []string{`alertname="Disk"`, `severity="warning"`},
			CreatedBy: "alice", Comment: "disk swap", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(100 * time.Minute), Alerts: &three},
		{Origin: FromPerson, State: "active", ID: "1", Matchers: []string{`a="x` + "\x1b" + `[2J"`}, CreatedBy: "file silences.yaml:3\tdisk\u202e",
			Comment: "line\nactive  2026-11-25 \r\x00 " + strings.Repeat("long ", 30), StartsAt: now, EndsAt: now.Add(2 * time.Hour)},
		{Origin: FromAck, Scope: CLI, State: "active", ID: "4", Matchers: []string{`prep_name="서울 노드"`}, CreatedBy: "김\u1109\u1165\u110b\u116e\u11af 🔥", Comment: "디스크 점검",
			StartsAt: now, EndsAt: now.Add(30 * time.Minute), Alerts: &three},
		{Origin: FromFile, Rule: "night", File: "silences.yaml", Line: 9, State: "held", Matchers: []string{`a="b"`}, EndsAt: now.Add(50 * time.Hour), Alerts: new(int)},
		{Origin: FromFile, Rule: "gone", State: "active", Note: "extra", ID: "2", Matchers: []string{`a="b"`}, StartsAt: now, EndsAt: now.Add(72 * time.Hour), Alerts: new(int)},
		{Origin: FromOthers, Rule: "x", Owner: "other", State: "pending", ID: "3", Matchers: []string{`a="größe"`}, StartsAt: now.Add(80 * time.Hour), EndsAt: now.Add(90 * time.Hour), Alerts: new(int)},
	}
	got := string(Table(entries, now))
	want, err := os.ReadFile("testdata/table.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s\n%s", d, got)
	}
}

// What a hush would do stands in straight columns, whatever the script.
func TestProposalText(t *testing.T) {
	now := testNow
	alert := func(name, prep, summary string) FiringAlert {
		return FiringAlert{Labels: map[string]string{"alertname": name, "prep_name": prep}, Annotations: map[string]string{"summary": summary}, StartsAt: now.Add(-5 * time.Minute)}
	}
	p := Proposal{
		Alerts:   []FiringAlert{alert("NodeDown", "서울 노드", "노드가\n멈췄다")},
		Also:     []FiringAlert{alert("NodeDown", "Acme", "is\x1b[2J down")},
		Sounding: []FiringAlert{alert("블록_없음", "부산", "")},
	}
	const want = `WHAT          FIRES FOR  ALERT                            SUMMARY
hushed        5m         NodeDown{prep_name="서울 노드"}  노드가 멈췄다
hushed too    5m         NodeDown{prep_name="Acme"}       is\x1b[2J down
still sounds  5m         블록_없음{prep_name="부산"}
hushed too is what a silence doesn't tell apart from what was asked for
`
	if d := cmp.Diff(want, string(p.Text(now))); d != "" {
		t.Error(d)
	}
}
