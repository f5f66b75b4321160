package sidecar

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload"
)

// write puts a file into the source folder of a test's Prometheus.
func write(t *testing.T, s *Sidecar, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.cfg.Prometheus.SourceDir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pass(t *testing.T, s *Sidecar) {
	t.Helper()
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// onPage checks what a page holds.
func onPage(t *testing.T, s *Sidecar, path string, wants, others []string) {
	t.Helper()
	code, page := request(t, s, "GET", path, nil)
	if code != 200 {
		t.Fatalf("GET %s: %d %s", path, code, page)
	}
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	for _, other := range others {
		if strings.Contains(page, other) {
			t.Errorf("%s has %q", path, other)
		}
	}
	if t.Failed() {
		t.Fatalf("GET %s:\n%s", path, page)
	}
}

// A visitor sees what is live, what changed, and why something isn't live; what nobody has asked a server is
// unknown. No name of a file becomes a part of the page.
func TestReleasesPage(t *testing.T) {
	const hostile = "<img src=x onerror=alert(1)>\u202e.yml"
	const shown = "&lt;img src=x onerror=alert(1)&gt;\\u202e.yml&#34;"
	s := newTestSidecar(t, map[string]string{"prometheus.yml": "rule_files: ['r*.yml', '<*.yml']\n", "rules.yml": "groups: []\n"})
	onPage(t, s, "/releases", []string{"<b class=\"soft\">Unknown:</b> no pass has ended yet."}, []string{`class="good"`})

	pass(t, s)
	// The clock of the file system may not tell two releases of one moment apart.
	root, err := filepath.EvalSymlinks(filepath.Join(s.cfg.Prometheus.OutputDir, "live"))
	if err == nil {
		err = os.Chtimes(root, time.Time{}, time.Now().Add(-3*time.Hour))
	}
	if err != nil {
		t.Fatal(err)
	}
	first := filepath.Base(root)
	onPage(t, s, "/releases", []string{
		"<b class=\"soft\">Unknown</b> whether Prometheus runs release", "nobody has asked it yet", first,
		"2 files, the oldest release that is kept", "Its files are as in that release",
	}, []string{`class="good"`, "Refused"})

	write(t, s, hostile, "groups: []\n")
	write(t, s, "rules.yml", "groups: [ ]\n")
	pass(t, s)
	onPage(t, s, "/releases", []string{
		"3 files, 1 added, 1 changed", "changed <code><bdi>rules.yml<", "added <code><bdi>&#34;" + shown, "3 h ago", first,
	}, []string{"<img", "\u202e"})

	write(t, s, "rules.yml", "groups:\n- name: up\n  rules: [{ alert: A, expr: 'up ==' }, { alert: B, expr: '<b>' }]\n")
	pass(t, s)
	onPage(t, s, "/releases", []string{
		`<b class="bad">Refused:</b> stoker doesn't publish the newest files, since <time datetime=`,
		filepath.Join(s.cfg.Prometheus.SourceDir, "rules.yml") + ":3:", "&#34;A&#34;: could not parse", "&#34;B&#34;: could not parse",
	}, []string{"Its files are as", "<b>'"})
	onPage(t, s, "/", []string{`<a href="releases">`, `<span class="bad">refused</span>`}, nil)

	write(t, s, "rules.yml", "groups: [ ]\n")
	pass(t, s)
	onPage(t, s, "/releases", []string{"Its files are as in that release", "3 files, 1 added, 1 changed"}, []string{"Refused"})
}

// Programs get the same.
func TestReleasesInJSON(t *testing.T) {
	s := newTestSidecar(t, map[string]string{"prometheus.yml": "global: {}\n"})
	pass(t, s)
	write(t, s, "prometheus.yml", "global: [\n")
	pass(t, s)
	_, body := request(t, s, "GET", "/api/v1/status", nil)
	var status Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	r := status.Releases[0]
	if r.Server != "prometheus" || r.State != StateUnknown || r.Withheld == nil || !strings.Contains(r.Withheld.Problems[0], "prometheus.yml:2:1: ") {
		t.Errorf("prometheus is %+v", r)
	}
	if len(r.OnDisk) != 1 || r.OnDisk[0].Name != r.Live || !r.OnDisk[0].Live || r.OnDisk[0].Files != 1 || r.OnDisk[0].Published.IsZero() {
		t.Errorf("on disk are %+v", r.OnDisk)
	}
}

// Only what a server said of its live release in the last pass is shown as good.
func TestReleaseStates(t *testing.T) {
	now := time.Now()
	trouble := func(kind string) *reload.Trouble {
		return &reload.Trouble{Kind: kind, Since: now.Add(-5 * time.Minute), Problems: []string{"because of it"}}
	}
	for name, tt := range map[string]struct {
		status reload.Status
		want   State
		words  string
	}{
		"nothing known":            {reload.Status{}, StateUnknown, "Unknown:</b> no pass has ended yet"},
		"bad from the start":       {reload.Status{Withheld: trouble("")}, StateNone, "No release:</b> Prometheus has nothing to start from"},
		"just started":             {reload.Status{Live: "a", Proved: "a"}, StateUnknown, "Unknown</b> whether Prometheus runs release"},
		"proved long ago":          {reload.Status{Live: "a", Proved: "a", Confirmed: now.Add(-time.Hour)}, StateUnknown, "nobody has asked it since the last proof, 1 h ago"},
		"proved":                   {reload.Status{Live: "a", Proved: "a", Confirmed: now}, StateProved, "Proved:</b> Prometheus runs release"},
		"proved, pools to come":    {reload.Status{Live: "a", Proved: "a", Confirmed: now, Serving: new(bool)}, StateProved, "Not all of it is at work yet:</b> scrape pools"},
		"proved, and files bad":    {reload.Status{Live: "a", Proved: "a", Confirmed: now, Withheld: trouble("")}, StateProved, "Refused:</b> stoker doesn't publish the newest files, since"},
		"proved, the next refused": {reload.Status{Live: "a", Proved: "a", Confirmed: now, Withheld: trouble(reload.Refused)}, StateProved, "Refused:</b> Prometheus doesn't take the newest files, since"},
		"away":                     {reload.Status{Live: "a", Proved: "a", Confirmed: now, Unproved: trouble(reload.Waiting)}, StateWaiting, "Waiting for the server:</b> unknown whether"},
		"reads another file":       {reload.Status{Live: "a", Unproved: trouble(reload.Mismatch)}, StateMismatch, "Mismatch:</b> Prometheus runs something else than release"},
		"refused, no way back":     {reload.Status{Live: "a", Unproved: trouble(reload.Refused)}, StateRefused, "Refused:</b> Prometheus isn't proved to run release"},
		"no answer":                {reload.Status{Live: "a", Proved: "a", Confirmed: now, Unproved: trouble("")}, StateUnproved, "Not proved</b> that Prometheus runs release"},
		"proved another":           {reload.Status{Live: "a", Proved: "b", Confirmed: now}, StateUnproved, "Not proved</b> that Prometheus runs release"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.status.Server = "prometheus"
			if got := stateOf(tt.status, now); got != tt.want {
				t.Errorf("state is %s, want %s", got, tt.want)
			}
			status := Status{Releases: []ReleaseStatus{{
				Status: tt.status, State: stateOf(tt.status, now),
				OnDisk: []reload.Release{{Name: "a", Live: true, Proved: tt.status.Proved == "a"}},
			}}}
			for _, page := range []string{"releases.html", "status.html"} {
				w := httptest.NewRecorder()
				var data any = struct {
					Status
					Now time.Time
				}{status, now}
				if page == "status.html" {
					data = status
				}
				showPage(w, page, data)
				body := w.Body.String()
				if w.Code != 200 || strings.Contains(body, `class="good"`) != (tt.want == StateProved) {
					t.Errorf("%s: %d, good where it isn't, or the other way round:\n%s", page, w.Code, body)
				}
				if page == "releases.html" && !strings.Contains(body, tt.words) {
					t.Errorf("%s lacks %q:\n%s", page, tt.words, body)
				}
				troubled := tt.status.Withheld != nil || tt.status.Unproved != nil
				if page == "releases.html" && strings.Contains(body, "<li>because of it</li>") != troubled {
					t.Errorf("%s doesn't say why:\n%s", page, body)
				}
			}
		})
	}
}

func TestAgo(t *testing.T) {
	now := time.Now()
	var got []string
	for _, d := range []time.Duration{-time.Second, 59 * time.Second, time.Minute, 59 * time.Minute, 47 * time.Hour, 48 * time.Hour} {
		got = append(got, ago(now, now.Add(-d)))
	}
	if want := []string{"0 s ago", "59 s ago", "1 min ago", "59 min ago", "47 h ago", "2 days ago"}; !slices.Equal(got, want) {
		t.Errorf("ago gives %q, want %q", got, want)
	}
	if got := ago(now, time.Time{}); got != "never" {
		t.Errorf("without a time: %q", got)
	}
}
