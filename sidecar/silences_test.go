package sidecar

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/silencing"
)

// silencesSidecar returns a sidecar that keeps the silences of a real Alertmanager behind a proxy.
func silencesSidecar(t *testing.T) (s *Sidecar, proxy *servertest.Proxy, file string) {
	t.Helper()
	proxy = servertest.NewProxy(t, servertest.Alertmanager(t).URL())
	dir := t.TempDir()
	file = filepath.Join(dir, "silences.yaml")
	putSilences(t, file, "[]")
	config := filepath.Join(dir, "stoker.yml")
	text := fmt.Sprintf("alertmanager: { url: %q, config_file: alertmanager.yml }\nsilencing: { file: silences.yaml, owner: team }\n", proxy.URL())
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = New(cfg, Options{Agents: []string{"silencing"}}); err != nil {
		t.Fatal(err)
	}
	return s, proxy, file
}

// putSilences writes the file as if it had been there for long; {H} is H hours from now.
func putSilences(t *testing.T, file, rules string) {
	t.Helper()
	now := time.Now().UTC()
	for h := -100; h <= 100; h++ {
		rules = strings.ReplaceAll(rules, fmt.Sprintf("{%d}", h), now.Add(time.Duration(h)*time.Hour).Format(time.RFC3339))
	}
	if err := os.WriteFile(file, []byte("silences: "+rules), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Time{}, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
}

// postJSON posts to Alertmanager as people's tools do.
func postJSON(t *testing.T, url, body string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s", url, resp.Status)
	}
}

const pageRules = `
- { name: disk, matchers: ['alertname="Disk"', 'severity="warning"'], starts_at: "{-90}", ends_at: "{10}", created_by: alice, comment: "<b>swap</b>" }
- { name: later, matchers: ['alertname="Later"', 'severity="warning"'], starts_at: "{5}", duration: 1h, comment: planned }
- { name: ended, matchers: ['alertname="Ended"', 'severity="warning"'], ends_at: "{9}", comment: was not needed }
- { name: past, matchers: ['alertname="Past"', 'severity="warning"'], starts_at: "{-9}", ends_at: "{-5}", comment: was so }
`

// A visitor sees what the file asks for and what became of it, and what people silence by hand, which no text of theirs
// can make look like more. Looking is no request to Alertmanager.
func TestSilencesPage(t *testing.T) {
	s, proxy, file := silencesSidecar(t)
	onPage(t, s, "/silences", []string{`<b class="soft">Unknown:</b> Alertmanager hasn't listed its silences yet.`}, []string{`class="good"`})
	onPage(t, s, "/", nil, []string{"<h2>Silences</h2>"})

	putSilences(t, file, pageRules)
	postJSON(t, proxy.URL()+"/api/v2/alerts", `[{"labels": {"alertname": "Disk", "severity": "warning"}}, {"labels": {"alertname": "Other"}}]`)
	end := time.Now().UTC().Add(time.Hour).Format(time.RFC3339)
	byHand := `{"matchers": [{"name": "alertname", "value": %q, "isRegex": false}], "startsAt": "` + time.Now().UTC().Format(time.RFC3339) +
		`", "endsAt": "` + end + `", "createdBy": %q, "comment": %q}`
	postJSON(t, proxy.URL()+"/api/v2/silences", fmt.Sprintf(byHand, "Other", "<script>alert(1)</script>", "mine\u202e<img src=x>"))
	postJSON(t, proxy.URL()+"/api/v2/silences", fmt.Sprintf(byHand, "None", "bo", "half [stoker:team/disk@once#12345678]"))
	postJSON(t, proxy.URL()+"/api/v2/silences", fmt.Sprintf(byHand, "None", "stoker/elsewhere", "theirs [stoker:elsewhere/rule@once#12345678]"))
	pass(t, s)
	for _, e := range s.silencing.Survey().Entries {
		if e.Rule == "ended" {
			request, err := http.NewRequest(http.MethodDelete, proxy.URL()+"/api/v2/silence/"+e.ID, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := http.DefaultClient.Do(request); err != nil {
				t.Fatal(err)
			}
		}
	}
	pass(t, s)
	asked := len(proxy.Requests())
	onPage(t, s, "/silences", []string{
		"Alertmanager listed its silences 0 s ago; the alerts that they silence were counted",
		`disk <span class="owner name">line 2</span>`, `<span class="good">active</span>`, "<td>1</td>", "&lt;b&gt;swap&lt;/b&gt;</bdi> (<bdi>alice</bdi>)",
		"rule disk ends in 9h59m",
		"<td>pending</td>", "begins in 4 h", "ends in 9 h", `<span class="warn">held</span>: ended early by hand`, `<span class="soft">over</span>`,
		"3 silences, never touched from here", "&lt;script&gt;alert(1)&lt;/script&gt;", `mine\u202e&lt;img src=x&gt;`,
		"changed by hand</span>: it no longer is as it was made from here", "the file of <code>elsewhere</code>, rule rule",
	}, []string{"<script", "<img", "\u202e", "[stoker:", "Unknown", "failed"})
	onPage(t, s, "/", []string{`<a href="silences">`, `<span class="warn">held</span>`}, []string{"<script", "elsewhere"})
	_, body := request(t, s, "GET", "/api/v1/status", nil)
	var status Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Silences) != 7 || status.SilencesListed.IsZero() || status.AlertsCounted.IsZero() {
		t.Errorf("%d silences in JSON, listed at %s, counted at %s", len(status.Silences), status.SilencesListed, status.AlertsCounted)
	}
	if n := len(proxy.Requests()); n != asked {
		t.Errorf("looking took %d requests to Alertmanager", n-asked)
	}

	// A removed rule that Alertmanager doesn't let end, and a broken file.
	proxy.Intercept("POST", "/api/v2/silences", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, `"no writes today"`, http.StatusServiceUnavailable)
	})
	putSilences(t, file, "[]")
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	onPage(t, s, "/silences", []string{`<b class="bad">The last pass failed:</b>`, "no writes today", "not in the file any more"}, nil)
	putSilences(t, file, "{}")
	if _, err := s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	onPage(t, s, "/silences", []string{`<b class="bad">The file has problems:</b>`, "silences.yaml:1:11: silences must be a list, not a mapping"}, nil)
}

// What was true once isn't shown as good, and what nobody knows isn't none.
func TestSilencesPageWithoutNews(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for name, p := range map[string]silencesOf{
		"stale": {Known: true, Status: Status{SilencesListed: old, AlertsCounted: old}},
		"never": {Known: true},
		"none":  {},
	} {
		p.Now = time.Now()
		if name == "stale" {
			active := silencing.Entry{Origin: silencing.FromFile, Rule: "a", State: "active", EndsAt: p.Now}
			p.Ours, p.Theirs = []silencing.Entry{active}, []silencing.Entry{active}
		}
		w := httptest.NewRecorder()
		showPage(w, "silences.html", p)
		page := w.Body.String()
		want := map[string]string{
			"stale": "Unknown for now:</b> Alertmanager last listed its silences 1 h ago",
			"never": "Unknown:</b> Alertmanager hasn't listed", "none": "isn't configured or not selected",
		}[name]
		if !strings.Contains(page, want) || strings.Contains(page, `class="good"`) {
			t.Errorf("%s: lacks %q, or is good:\n%s", name, want, page)
		}
		if name == "stale" && strings.Count(page, `<td><span class="soft">unknown</span></td>`) != 2 {
			t.Errorf("the alerts aren't unknown:\n%s", page)
		}
	}
}

// A page stays one that a browser can show, and says so where it doesn't show all.
func TestLongTables(t *testing.T) {
	for n, all := range map[int]bool{1000: true, 1001: false} {
		p := silencesOf{Known: true, Now: time.Now(), Status: Status{SilencesListed: time.Now()}}
		p.Theirs = slices.Repeat([]silencing.Entry{{Origin: silencing.FromPerson, State: "active", CreatedBy: "bo", EndsAt: p.Now}}, n)
		w := httptest.NewRecorder()
		showPage(w, "silences.html", p)
		rows, said := strings.Count(w.Body.String(), "<bdi>bo</bdi>"), strings.Contains(w.Body.String(), "Only the first 1000 are shown here.")
		if rows != 1000 || said == all {
			t.Errorf("of %d, %d are shown; that these aren't all: %t", n, rows, said)
		}
	}
}
