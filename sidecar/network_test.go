package sidecar

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/discovery/icontest"
)

// networkSidecar returns a sidecar that discovers mainnet from the given APIs, with its targets below dir; "" is no
// targets_dir.
func networkSidecar(t *testing.T, dir string, apis ...string) *Sidecar {
	t.Helper()
	config := filepath.Join(t.TempDir(), "stoker.yml")
	text := fmt.Sprintf(`
discovery:
  targets_dir: %q
  networks:
  - name: mainnet
    api: [%s]
    allow_private: true
    exporters: [{ name: goloop, port: 9000 }, { name: node, port: 9100 }]
`, dir, strings.Join(apis, ", "))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func apiServer(t *testing.T, n *icontest.Network) *icontest.Server {
	t.Helper()
	server := icontest.NewServer(n)
	t.Cleanup(server.Close)
	return server
}

// A visitor sees what each network said, what is kept and why, who has no targets and why, and which endpoint fails.
// No name of a P-Rep becomes a part of the page.
func TestNetworkPage(t *testing.T) {
	network := icontest.Generate(40, 1)
	preps := network.PReps()
	first, second := apiServer(t, network), apiServer(t, network)
	dir := t.TempDir()
	s := networkSidecar(t, dir, first.URL, second.URL)
	onPage(t, s, "/network", []string{`<b class="soft">Unknown:</b> it hasn't been asked yet`, "is unknown until an answer is accepted"}, []string{`class="good"`, "answers"})
	onPage(t, s, "/", []string{`<a href="network">`, `<span class="soft">unknown</span>`}, []string{`class="good">current`})

	network.Rename(preps[0].Address(), "<img src=x onerror=alert(1)>\u202e&")
	network.Move(preps[0].Address(), "169.254.169.254:80")
	network.Move(preps[1].Address(), "<script>:1")
	network.Move(preps[2].Address(), preps[3].Endpoint())
	network.Update(preps[4].Address(), func(p icontest.PRep) {
		p["jailFlags"], p["penalty"], p["grade"], p["totalBlocks"], p["validatedBlocks"] = "0x1", "0x3", "0x2", "0x64", "0x32"
	})
	network.Update(preps[5].Address(), func(p icontest.PRep) { delete(p, "totalBlocks"); delete(p, "penalty"); p["totalBlocks"] = "many" })
	pass(t, s)
	onPage(t, s, "/network", []string{
		`<b class="good">Current:</b> the last answer was accepted`,
		fmt.Sprintf("Last new block: %d from <code>%s</code>", network.Height(), host(first)),
		"38 P-Reps with targets, 38 for <code>goloop</code>, 38 for <code>node</code>",
		"1 P-Rep whose endpoint isn't on the public internet (private)", "<code><bdi>169.254.169.254:80</bdi></code>",
		"1 P-Rep whose endpoint isn't a host and a port (malformed)", "<code><bdi>&lt;script&gt;:1</bdi></code>",
		"&lt;img src=x onerror=alert(1)&gt;&amp;", preps[0].Address(), "no targets: private",
		"Endpoints that several P-Reps have registered", preps[3].Endpoint() + ": ",
		`<span class="good">answers</span>`, "unknown: the ones before it were enough",
		"40 P-Reps in the last accepted answer", "in jail; penalty: validation failure", "candidate, 50.00\u00a0% of its blocks validated",
		"blocks unknown", "penalty unknown",
	}, []string{"<img", "<script", "\u202e", "Kept:"})
	onPage(t, s, "/", []string{`<span class="good">current</span>`, "38; 2 have none"}, []string{"only kept"})

	// Some leave; one endpoint fails.
	network.Leave(preps[10].Address(), preps[11].Address())
	first.Misbehave(icontest.ServerError())
	pass(t, s)
	onPage(t, s, "/network", []string{
		"Current:", "<b>Kept:</b> 2 P-Reps that the last answer lacks", preps[10].Address(), "<td>in 59 min</td>",
		`<span class="bad">fails</span> since`, "HTTP status 500 Internal Server Error",
	}, []string{"Drop"})
	onPage(t, s, "/", []string{"38, <span class=\"warn\">2 of them only kept</span>; 2 have none"}, nil)

	// Too many leave, and nobody else can say so.
	for _, p := range preps[12:32] {
		network.Leave(p.Address())
	}
	pass(t, s)
	onPage(t, s, "/network", []string{
		`<b class="bad">Drop held:</b>`, "22 P-Reps that vanished at once", "stoker sync --accept-drop=mainnet", "which ends in 23 h", preps[12].Address(),
	}, []string{`<b class="good">`})
	onPage(t, s, "/", []string{`<span class="bad">drop held</span>`, "22 of them only kept"}, []string{">current<"})

	// After a restart without the API the targets are known, and what the chain says isn't.
	first.Close()
	second.Close()
	s = networkSidecar(t, dir, first.URL, second.URL)
	pass(t, s)
	onPage(t, s, "/network", []string{
		`<b class="bad">Failing:</b>`, "keeping the targets of 38 P-Reps", "connection refused", "38 P-Reps with targets", "is unknown until an answer is accepted",
	}, []string{`class="good"`})
}

func host(s *icontest.Server) string {
	return strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/api/v3")
}

// Without discovery there is nothing to see, and nothing that could be taken for an empty network.
func TestNetworkPagesWithoutDiscovery(t *testing.T) {
	s := newTestSidecar(t, map[string]string{"prometheus.yml": "global: {}\n"})
	onPage(t, s, "/network", []string{"No network is known here"}, []string{`class="good"`})
	for _, path := range []string{"/network/metrics", "/sd/mainnet"} {
		if code, body := request(t, s, "GET", path, nil); code != 404 || !strings.Contains(body, "discovery isn't configured") {
			t.Errorf("GET %s: %d %s", path, code, body)
		}
	}
}

// Programs get the same. A number that the revision doesn't have isn't 0.
func TestNetworksInJSON(t *testing.T) {
	network := icontest.Generate(30, 1, icontest.WithRevision(icontest.IISS3))
	preps := network.PReps()
	api := apiServer(t, network)
	s := networkSidecar(t, t.TempDir(), api.URL)
	network.Move(preps[0].Address(), "169.254.169.254:80")
	pass(t, s)
	network.Leave(preps[1].Address())
	pass(t, s)
	api.Misbehave(icontest.ServerError())
	pass(t, s)
	_, body := request(t, s, "GET", "/api/v1/status", nil)
	var status Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	n := status.Networks[0]
	if n.Name != "mainnet" || n.State != NetworkFailing || !strings.Contains(n.Error, "HTTP status 500") || n.Height != network.Height() ||
		n.LastAttempt.IsZero() || n.LastGood.IsZero() || n.Next.IsZero() || n.Preps != 29 || n.Targets["node"] != 29 {
		t.Errorf("mainnet is %+v", n)
	}
	if len(n.Held) != 1 || n.Held[0].Prep != preps[1].Address() || n.Held[0].Reason != "absent" || n.Held[0].Until.Sub(n.Held[0].Since) != time.Hour {
		t.Errorf("held: %+v", n.Held)
	}
	if len(n.Refused) != 1 || n.Refused[0].Endpoint != "169.254.169.254:80" || n.Refused[0].Reason != "private" {
		t.Errorf("refused: %+v", n.Refused)
	}
	if len(n.Endpoints) != 1 || n.Endpoints[0].Host != host(api) || n.Endpoints[0].SickSince.IsZero() || n.Endpoints[0].RetryAt.IsZero() || !strings.Contains(n.Endpoints[0].Error, "500") {
		t.Errorf("endpoints: %+v", n.Endpoints)
	}
	if len(n.Listed) != 29 || n.Listed[0].Prep != preps[0].Address() || n.Listed[0].Refused != "private" || n.Listed[1].Rank != 2 || n.Listed[1].Refused != "" ||
		n.Listed[1].JailFlags != nil || n.Listed[1].TotalBlocks == nil {
		t.Errorf("listed: %+v", n.Listed[:2])
	}
}

// Only an answer that is accepted, new and not overdue is shown as good.
func TestNetworkStates(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	drop := []discovery.Held{{Owner: "hx", Reason: discovery.HeldDrop}}
	for name, tt := range map[string]struct {
		status discovery.NetworkStatus
		want   NetworkState
	}{
		"never asked":              {discovery.NetworkStatus{}, NetworkUnknown},
		"accepted":                 {discovery.NetworkStatus{LastAttempt: ago(time.Minute), LastGood: ago(time.Minute), Next: now.Add(time.Minute)}, NetworkCurrent},
		"asked once a day":         {discovery.NetworkStatus{LastAttempt: ago(23 * time.Hour), LastGood: ago(23 * time.Hour), Next: now.Add(time.Hour)}, NetworkCurrent},
		"the next pass is running": {discovery.NetworkStatus{LastAttempt: ago(6 * time.Minute), LastGood: ago(6 * time.Minute), Next: ago(time.Minute)}, NetworkCurrent},
		"the next pass hangs":      {discovery.NetworkStatus{LastAttempt: ago(time.Hour), LastGood: ago(time.Hour), Next: ago(50 * time.Minute)}, NetworkUnknown},
		"same block, seconds":      {discovery.NetworkStatus{LastAttempt: ago(time.Minute), LastGood: ago(2 * time.Minute), Next: now}, NetworkCurrent},
		"same block, an hour":      {discovery.NetworkStatus{LastAttempt: ago(time.Minute), LastGood: ago(time.Hour), Next: now}, NetworkStalled},
		"down":                     {discovery.NetworkStatus{LastAttempt: now, LastGood: now, Next: now, Err: errors.New("down")}, NetworkFailing},
		"a drop":                   {discovery.NetworkStatus{LastAttempt: now, LastGood: now, Next: now, Err: errors.New("drop"), Held: drop}, NetworkHeld},
	} {
		got := networkStateOf(&tt.status, now)
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		for _, page := range []string{"network.html", "status.html"} {
			status := Status{Networks: []NetworkStatus{{
				Name: "mainnet", State: got, LastAttempt: tt.status.LastAttempt, LastGood: tt.status.LastGood, Next: tt.status.Next, Error: errorLine(tt.status.Err),
			}}}
			var data any = status
			if page == "network.html" {
				data = struct {
					Status
					Now time.Time
				}{status, now}
			}
			w := httptest.NewRecorder()
			showPage(w, page, data)
			if w.Code != 200 || strings.Contains(strings.ReplaceAll(w.Body.String(), `class="good">ready`, ""), `class="good"`) != (tt.want == NetworkCurrent) {
				t.Errorf("%s: %s: %d, good where it isn't, or the other way round:\n%s", name, page, w.Code, w.Body)
			}
		}
	}
}

// What the networks say is apart from what stoker says of itself.
func TestNetworkMetrics(t *testing.T) {
	network := icontest.Generate(5, 1)
	api := apiServer(t, network)
	s := networkSidecar(t, t.TempDir(), api.URL)
	if code, body := request(t, s, "GET", "/network/metrics", nil); code != 200 || strings.Contains(body, "icon_") {
		t.Errorf("before the first answer: %d\n%s", code, body)
	}
	pass(t, s)
	for path, prefix := range map[string]string{"/metrics": "stoker_", "/network/metrics": "icon_"} {
		code, body := request(t, s, "GET", path, nil)
		if code != 200 || !strings.Contains(body, "\n"+prefix) {
			t.Errorf("GET %s: %d, has no %s:\n%s", path, code, prefix, body)
		}
		for other := range map[string]bool{"stoker_": true, "icon_": true, "go_": true} {
			if path == "/network/metrics" && other != prefix && strings.Contains(body, "\n"+other) || path == "/metrics" && strings.Contains(body, "\nicon_") {
				t.Errorf("GET %s has metrics of another kind", path)
			}
		}
	}
	requests := api.Requests()
	request(t, s, "GET", "/network/metrics", nil)
	if got := api.Requests() - requests; got != 0 {
		t.Errorf("a scrape took %d requests", got)
	}
}
