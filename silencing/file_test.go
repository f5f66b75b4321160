package silencing

import (
	"errors"
	"go/scanner"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testNow = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

func TestLoad(t *testing.T) {
	rules, err := Load("testdata/good.yml", testNow)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rules {
		var ms []string
		for _, m := range r.Matchers {
			ms = append(ms, m.String())
		}
		got = append(got, r.Position.String()+" "+r.Name+" {"+strings.Join(ms, ",")+"}")
		if r.Name == "nightly-backup" && (r.Schedule == nil || r.Schedule.Location.String() != "Asia/Seoul" || r.Schedule.Duration != 2*time.Hour) {
			t.Errorf("%s: schedule is %+v", r.Name, r.Schedule)
		}
	}
	want := []string{
		`testdata/good.yml:3:5 seoul-disk-swap {instance=~"node-seoul-0[12]:9100",severity="warning"}`,
		`testdata/good.yml:11:5 nightly-backup {alertname="high_cpu_load",instance="backup-01:9100",severity="warning"}`,
		`testdata/good.yml:20:5 prep-alpha-latency {alertname="PRepLatencyHigh",name="alpha",network_name="mainnet",severity="warning"}`,
		`testdata/good.yml:28:5 mainnet-1-4-upgrade {alertname=~"PRepBlockLag|PRepDown",network_name="mainnet"}`,
		`testdata/good.yml:37:5 until-friday {größe.in.m="2",severity!~"critical|page"}`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if end := rules[2].EndsAt; !end.Equal(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%s ends at %s", rules[2].Name, end)
	}
	if r := rules[3]; !r.AllowCritical || !r.Recreate {
		t.Errorf("%s: %+v", r.Name, r)
	}
}

func TestNoSilencesIsValid(t *testing.T) {
	for _, text := range []string{"silences: []", "---\nsilences: []\n", "# nothing\nsilences: [] # planned\n...\n"} {
		if rules, err := Parse("f", []byte(text), testNow); err != nil || rules == nil || len(rules) != 0 {
			t.Errorf("%q: %v, %v", text, rules, err)
		}
	}
}

func TestInvalidFiles(t *testing.T) {
	want := map[string][]string{ // by file, each at its line:column
		"invalid-alias.yml": {
			"7:13: matchers must be written out, aliases are not followed",
		},
		"invalid-anchor.yml": {
			"2:3: unknown anchor 'x' referenced: quote a text that begins with *",
		},
		"invalid-comments.yml": {
			"5:15: created_by must say something",
			"6:12: comment must say something",
			"10:12: comment must not contain \"[stoker:\", it marks silences made from this file",
		},
		"invalid-empty.yml": {
			"1:1: the file is empty, write `silences: []` for none",
		},
		"invalid-entry.yml": {
			"2:3: a silence must be a mapping (name: …), not \"seoul-disk-swap\"",
			"4:3: a silence must be a mapping (name: …), not an alias",
		},
		"invalid-keys.yml": {
			"3:3: field \"matcher\" not known, did you mean \"matchers\"?",
			"4:3: field \"strats_at\" not known, did you mean \"starts_at\"?",
			"6:3: field \"coment\" not known, did you mean \"comment\"?",
			"7:3: field \"color\" not known, known: name, matchers, starts_at, ends_at, duration, schedule, location, created_by, comment, allow_critical, on_manual_expire",
			"8:3: field \"name\" is already set in line 2",
			"9:3: a field's name must be a word, not a list",
		},
		"invalid-matchers.yml": {
			"3:13: matchers silence nearly everything, add one that names what is silenced, like alertname=\"DiskFull\"",
			"8:14: bad matcher format: alertname, write it like alertname=\"DiskFull\" or instance=~\"db-.+\"",
			"8:49: a matcher is empty",
			"12:14: error parsing regexp: missing closing ): `^(?:a()$`",
			"12:33: error parsing regexp: unexpected ): `a)(b`",
			"16:13: matchers silence nearly everything, add one that names what is silenced, like alertname=\"DiskFull\"",
			"20:13: matchers silence nearly everything, add one that names what is silenced, like alertname=\"DiskFull\"",
			"24:13: matchers silence severity=\"critical\" too, add severity!=\"critical\" or allow_critical: true",
			"28:13: matchers silence severity=\"critical\" too, add severity!=\"critical\" or allow_critical: true",
			"33:13: matchers silence nearly everything, add one that names what is silenced, like alertname=\"DiskFull\"",
		},
		"invalid-missing.yml": {
			"2:3: comment is missing",
			"2:3: ends_at or duration is missing, a silence must end",
			"2:3: matchers is missing",
			"2:3: name is missing",
		},
		"invalid-names.yml": {
			"2:9: name \"Seoul_Disk\" must be 1 to 63 of a-z, 0-9 and -",
			"10:3: name \"twice\" is already that of the rule in line 6",
		},
		"invalid-no-list.yml": {
			"1:10: silences must be a list, not empty; write `silences: []` for none",
		},
		"invalid-no-silences.yml": {
			"1:1: field \"silence\" not known, did you mean \"silences\"?",
		},
		"invalid-only-comment.yml": {
			"1:1: the file is empty, write `silences: []` for none",
		},
		"invalid-recurring.yml": {
			"2:3: duration is missing: how long each silence lasts",
			"2:3: ends_at is missing: the end of the rule itself",
			"2:3: location is missing: the time zone of the schedule, like Europe/Berlin or UTC",
			"8:13: schedule must be like \"30 23 * * 1-5\": expected exactly 5 fields, found 4: [0 2 * *]",
			"9:14: starts_at doesn't go with a schedule",
			"12:13: location \"Mars/Olympus\" not known, write a time zone like Europe/Berlin or UTC",
			"16:13: schedule must not name a time zone, location does",
			"19:13: location \"Local\" not known, write a time zone like Europe/Berlin or UTC",
			"23:13: schedule \"0 2 30 2 *\" never comes",
			"32:13: each silence lasts 3h but the next begins after 2h",
			"38:12: a recurring rule must end within a year, renew it by a change of the file",
			"39:13: each silence would last 31d, the limit is 30d",
			"44:13: schedule must be a string, not the number 5",
			"47:13: location must be a string, not the number 5",
		},
		"invalid-second-document.yml": {
			"2:1: second document, one file holds one document",
		},
		"invalid-syntax.yml": {
			"3:3: did not find expected ',' or ']': a comma, a quote or a bracket may be missing here or above",
		},
		"invalid-times.yml": {
			"2:3: ends_at or duration is missing, a silence must end",
			"8:14: starts_at has no UTC offset, write 2026-12-01T02:00:00Z for UTC or end it in the offset, like +09:00",
			"9:12: ends_at has no UTC offset, write 2026-12-01T00:00:00Z for UTC or end it in the offset, like +09:00",
			"11:3: duration needs starts_at, without it every restart would begin anew",
			"15:3: ends_at and duration are both set, keep one",
			"24:12: ends_at must be after starts_at",
			"29:12: the silence would last 30d1m, the limit is 30d",
			"34:13: the silence would last 5w, the limit is 30d",
			"38:12: the silence would last 37d, the limit is 30d",
			"43:13: duration must be whole seconds and more than none, not 0",
			"48:13: duration must be like 90m, 2h or 3d: unknown unit \" hours\" in duration \"2 hours\"",
			"53:13: duration must be whole seconds and more than none, not 500ms",
			"54:13: location goes with a schedule, a time has its own offset",
			"58:14: starts_at is out of range: 0001-01-01T00:00:00Z",
		},
		"invalid-top.yml": {
			"1:1: the file must be a mapping (silences: …), not a list",
		},
		"invalid-types.yml": {
			"2:9: name must be a string, not the number 12",
			"3:13: matchers must be a list, not \"alertname=\\\"a\\\"\"",
			"4:14: starts_at must be a time like 2006-01-02T15:04:05Z, not \"tomorrow\"",
			"5:12: ends_at must be a time like 2006-01-02T15:04:05Z, not a list",
			"6:15: created_by must be a string, not the boolean true",
			"7:11: comment must be a string, not empty",
			"8:19: allow_critical must be true or false, not \"yes\"",
			"9:21: on_manual_expire must be respect or recreate, not \"never\"",
			"10:9: name must be a string, not a list",
			"11:14: a matcher must be a string, not the number 12",
			"11:18: a matcher must be a string, not a mapping",
			"12:14: starts_at must be in whole seconds, not 2026-12-01T04:00:00.5Z",
			"13:13: duration must be like 90m, 2h or 3d, not a mapping",
			"14:12: comment must be a string, not a mapping",
			"15:19: allow_critical must be true or false, not \"yes\"",
			"16:2: a silence must be a mapping (name: …), not empty",
		},
	}
	seen := map[string]bool{}
	for name, problems := range want {
		seen[name] = true
		_, err := Load(filepath.Join("testdata", name), testNow)
		if d := cmp.Diff(problems, messages(t, err)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	files, err := filepath.Glob("testdata/invalid-*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[filepath.Base(f)] {
			_, err := Load(f, testNow)
			t.Errorf("no case for it: %q: %#v", filepath.Base(f), messages(t, err))
		}
	}
}

// messages returns the problems without the name of their file.
func messages(t *testing.T, err error) []string {
	t.Helper()
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		t.Errorf("not a list of problems: %v", err)
		return nil
	}
	var lines []string
	for _, e := range list {
		e.Pos.Filename = ""
		lines = append(lines, e.Error())
	}
	return lines
}

func TestLoadRefusesLargeAndMissingFiles(t *testing.T) {
	if _, err := Load("testdata/none.yml", testNow); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	name := filepath.Join(t.TempDir(), "silences.yaml")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(name, testNow); err == nil || !strings.HasSuffix(err.Error(), "silences.yaml: larger than 16 MiB") {
		t.Errorf("large file: %v", err)
	}
}
