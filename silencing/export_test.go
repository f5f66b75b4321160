package silencing

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a person made by hand becomes a rule that stands for the same alerts and times; what the file doesn't allow as
// it is says so beside it.
func TestExport(t *testing.T) {
	warning := Matcher{Name: "severity", Value: "warning", IsEqual: true}
	disk := Matcher{Name: "alertname", Value: "Disk.+", IsEqual: true, IsRegex: true}
	start, end := testNow.Add(-time.Hour+123*time.Millisecond), testNow.Add(2*time.Hour+456*time.Millisecond)
	long := 45 * 24 * time.Hour
	for name, tt := range map[string]struct {
		silence Silence
		want    string
	}{
		"as amtool makes it": {
			Silence{Matchers: []Matcher{warning, disk}, StartsAt: start, EndsAt: end, CreatedBy: "alice", Comment: "OPS-142: disk swap"},
			`- name: ops-142-disk-swap
  matchers: ['alertname=~"Disk.+"', 'severity="warning"']
  starts_at: 2026-11-24T23:00:00Z
  ends_at: 2026-11-25T02:00:00Z
  created_by: alice
  comment: 'OPS-142: disk swap'
`,
		},
		"critical too, and no reason": {
			Silence{ID: "0af3b1c2-9a77", Matchers: []Matcher{disk}, StartsAt: start, EndsAt: end},
			`- name: disk
  matchers: ['alertname=~"Disk.+"']
  starts_at: 2026-11-24T23:00:00Z
  ends_at: 2026-11-25T02:00:00Z
  comment: exported from Alertmanager # the silence doesn't say why
  allow_critical: true # no matcher spares severity="critical"
`,
		},
		"for longer than a rule may": {
			Silence{Matchers: []Matcher{disk, warning}, StartsAt: testNow.Add(-long), EndsAt: testNow.Add(long), CreatedBy: "bo", Comment: "Taken: twice"},
			`- name: taken-twice-3
  matchers: ['alertname=~"Disk.+"', 'severity="warning"']
  ends_at: 2026-12-25T00:00:00Z # the silence's is 2027-01-09T00:00:00Z, a rule's limit is 30d
  created_by: bo
  comment: 'Taken: twice'
`,
		},
		"since long ago": {
			Silence{Matchers: []Matcher{disk, warning}, StartsAt: testNow.Add(-long), EndsAt: end, CreatedBy: "bo", Comment: "x"},
			`- name: x
  matchers: ['alertname=~"Disk.+"', 'severity="warning"']
  ends_at: 2026-11-25T02:00:00Z
  created_by: bo
  comment: x
`,
		},
		"planned for longer": {
			Silence{Matchers: []Matcher{disk, warning}, StartsAt: testNow.Add(time.Hour), EndsAt: testNow.Add(long), CreatedBy: "bo", Comment: "x"},
			`- name: x
  matchers: ['alertname=~"Disk.+"', 'severity="warning"']
  starts_at: 2026-11-25T01:00:00Z
  ends_at: 2026-12-25T01:00:00Z # the silence's is 2027-01-09T00:00:00Z, a rule's limit is 30d
  created_by: bo
  comment: x
`,
		},
		"over": {
			Silence{Matchers: []Matcher{disk, warning}, StartsAt: testNow.Add(-long), EndsAt: testNow.Add(-time.Hour), CreatedBy: "bo", Comment: "x"},
			`- name: x
  matchers: ['alertname=~"Disk.+"', 'severity="warning"']
  ends_at: 2026-11-24T23:00:00Z # is over: the rule does nothing until this is later
  created_by: bo
  comment: x
`,
		},
		"hostile": {
			Silence{
				Matchers: []Matcher{
					{Name: "größe.in m", Value: "a'b\"c\\d\ne\tf\x1b: #", IsEqual: true},
					{Name: "severity", Value: "critical|(?i)'page", IsRegex: true},
					{Name: "null", Value: "~", IsEqual: false},
				},
				StartsAt: start, EndsAt: end, CreatedBy: "stoker/team", Comment: "- name: x\n  matchers: []\x1b[2J\u202e # [stoker: é" + strings.Repeat("é", maxComment),
			},
			`- name: name-x-matchers-x1b-2j-u202e-stoker
  matchers: ['"größe.in m"="a''b\"c\\d\ne` + "\t" + `f` + "\x1b" + `: #"', 'null!="~"', 'severity!~"critical|(?i)''page"']
`,
		},
	} {
		taken := []Rule{{Name: "taken-twice"}, {Name: "taken-twice-2"}}
		got, err := export(tt.silence, taken, testNow)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "hostile" {
			if !strings.Contains(string(got), "name: name-x-matchers-x1b-2j-u202e-stoker\n") || strings.ContainsAny(string(got), "\x1b\u202e") || strings.Contains(string(got), "created_by") {
				t.Errorf("%s: %q", name, got)
			}
		} else if d := cmp.Diff(tt.want, string(got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		rules, err := Parse("f", []byte("silences:\n"+string(got)), testNow)
		if err != nil || len(rules) != 1 {
			t.Errorf("%s: %v\n%s", name, err, got)
			continue
		}
		if d := cmp.Diff(normalize(tt.silence.Matchers), rules[0].Matchers); d != "" {
			t.Errorf("%s: matchers %s", name, d)
		}
	}
}

// What no rule may be like isn't exported, and the error says why.
func TestExportRefuses(t *testing.T) {
	for want, s := range map[string]Silence{
		"silence nearly everything":               {Matchers: []Matcher{{Name: "a", Value: "b"}}},
		"ends_at must be after starts_at":         {Matchers: []Matcher{{Name: "a", Value: "b", IsEqual: true}}, EndsAt: testNow},
		"error parsing regexp: missing closing ]": {Matchers: []Matcher{{Name: "a", Value: "[b", IsEqual: true, IsRegex: true}}},
		"unexpected ): `a)(b`":                    {Matchers: []Matcher{{Name: "a", Value: "a)(b", IsEqual: true, IsRegex: true}}},
		"matchers silence nearly everythi":        {},
	} {
		s.ID, s.StartsAt, s.Comment = "1", testNow, "x"
		if s.EndsAt.IsZero() {
			s.EndsAt = testNow.Add(time.Hour)
		}
		if got, err := export(s, nil, testNow); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "silence 1") {
			t.Errorf("%q, %v, want %s", got, err, want)
		}
	}
}

// A rule made from what a person did by hand asks for what is there; an ID may be cut short.
func TestExportFromServer(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		byHand := Silence{
			Matchers: []Matcher{{Name: "alertname", Value: "Down", IsEqual: true}, {Name: "path", Value: `C:\x "y"`, IsEqual: true}},
			StartsAt: h.now, EndsAt: h.now.Add(2 * time.Hour), CreatedBy: "bo", Comment: "disk",
		}
		id := h.personPosts(byHand)
		u, err := url.Parse(h.server.URL())
		if err != nil {
			t.Fatal(err)
		}
		export := func(id string) (string, error) {
			got, err := Export(t.Context(), Config{File: h.file, Owner: owner}, Options{AlertmanagerURL: u, Client: http.DefaultClient}, id)
			return string(got), err
		}
		full, err := export(id)
		if err != nil || !strings.HasPrefix(full, "- name: disk-2\n") {
			t.Fatalf("%s %v", full, err)
		}
		if short, err := export(id[:13]); err != nil || short != full {
			t.Errorf("with the beginning of the ID: %q %v", short, err)
		}
		for id, want := range map[string]string{
			"":                       `no silence ""`,
			"00000000-none":          "no silence \"00000000-none\" in Alertmanager",
			h.one("disk", "").ID:     "is made from rule disk of ",
			h.one("flapping", "").ID: "is made from rule flapping of ",
		} {
			if got, err := export(id); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %q, %v, want %s", id, got, err, want)
			}
		}
		text, err := os.ReadFile(h.file)
		if err != nil {
			t.Fatal(err)
		}
		put(t, h.file, string(text)+full)
		h.sync()
		s := h.one("disk-2", "active")
		if d := cmp.Diff(byHand.Matchers, s.Matchers); d != "" || s.EndsAt.Unix() != byHand.EndsAt.Unix() {
			t.Errorf("until %s, want %s: %s", s.EndsAt, byHand.EndsAt, d)
		}
	})
}
