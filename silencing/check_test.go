package silencing

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	name := filepath.Join(t.TempDir(), "silences.yaml")
	if err := os.WriteFile(name, []byte(`silences:
- {name: past, matchers: ['alertname="a"', 'severity="warning"'], starts_at: 2026-11-24T00:00:00Z, duration: 3h, comment: c}
- {name: soon-over, matchers: ['alertname="a"', 'severity="warning"'], starts_at: 2026-11-20T00:00:00Z, ends_at: 2026-11-26T06:30:00+09:00, comment: c}
- {name: short, matchers: ['alertname="a"', 'severity="warning"'], starts_at: 2026-11-25T02:00:00Z, duration: 3h, comment: c}
- {name: far, matchers: ['alertname="a"', 'severity="warning"'], starts_at: 2026-11-20T00:00:00Z, duration: 4w, comment: c}
- {name: no-start, matchers: ['alertname="a"', 'severity="warning"'], ends_at: 2026-11-28T00:00:00Z, comment: c}
- {name: daily, matchers: ['alertname="a"', 'severity="warning"'], schedule: "0 1 * * *", location: UTC, duration: 3h, ends_at: 2026-11-27T00:00:00Z, comment: c}
- {name: broad, matchers: ['severity="warning"', 'job!="x"', 'team=~".+"'], starts_at: 2026-11-25T02:00:00Z, duration: 3h, comment: c}
- {name: last-was, matchers: ['alertname="a"', 'severity="warning"'], schedule: "0 1 1 * *", location: UTC, duration: 3h, ends_at: 2026-11-30T00:00:00Z, comment: c}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	problems, warnings := Check(name, testNow)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, w := range warnings {
		w.Pos.Filename = filepath.Base(w.Pos.Filename)
		got = append(got, w.Error())
	}
	want := []string{
		"silences.yaml:2:3: rule past is over since 2026-11-24T03:00:00Z and does nothing, remove it",
		"silences.yaml:3:3: rule soon-over ends in 21h30m, at 2026-11-26T06:30:00+09:00",
		"silences.yaml:6:3: rule no-start ends in 3d, at 2026-11-28T00:00:00Z",
		"silences.yaml:7:3: rule daily ends in 2d, at 2026-11-27T00:00:00Z",
		"silences.yaml:8:3: rule broad silences all alerts of a severity, add a matcher that names which",
		"silences.yaml:9:3: rule last-was has no silence left before it ends at 2026-11-30T00:00:00Z, remove it",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCheckProblems(t *testing.T) {
	problems, _ := Check("testdata/invalid-alias.yml", testNow)
	if len(problems) != 1 || problems[0].Error() != "testdata/invalid-alias.yml:7:13: matchers must be written out, aliases are not followed" {
		t.Error(problems)
	}
	problems, _ = Check("testdata/none.yml", testNow)
	if len(problems) != 1 || problems[0].Error() != "testdata/none.yml: no such file or directory" {
		t.Error(problems)
	}
}

func TestRender(t *testing.T) {
	rules, err := Load("testdata/good.yml", testNow)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/good.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(Render(rules, testNow))); d != "" {
		t.Errorf("%s\n%s", d, Render(rules, testNow))
	}
}

// A night in which the clock changes, and the first after a change, are marked; the times in UTC show the shift.
func TestRenderMarksChangesOfTheClock(t *testing.T) {
	rules, err := Parse("silences.yaml", []byte(`silences:
- {name: night, matchers: ['alertname="a"', 'severity="warning"'], schedule: "30 1 * * *", location: Europe/Berlin, duration: 3h, ends_at: 2027-06-01T00:00:00Z, comment: c}
- {name: noon, matchers: ['alertname="a"', 'severity="warning"'], schedule: "0 12 * * 1,6", location: Australia/Lord_Howe, duration: 90s, ends_at: 2027-06-01T00:00:00Z, comment: c}
`), testNow)
	if err != nil {
		t.Fatal(err)
	}
	for file, now := range map[string]time.Time{
		"testdata/spring.txt": time.Date(2027, 3, 26, 12, 0, 0, 0, time.UTC),
		"testdata/autumn.txt": time.Date(2027, 4, 2, 12, 0, 0, 0, time.UTC), // Lord Howe's
	} {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(Render(rules, now))); d != "" {
			t.Errorf("%s: %s\n%s", file, d, Render(rules, now))
		}
	}
}
