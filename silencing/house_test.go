package silencing

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/reload/servertest"
)

// house is an agent with its file and a real Alertmanager.
type house struct {
	t        *testing.T
	server   *servertest.Server
	dir      string // the server's
	file     string
	state    string // the agent's state_dir, none by default
	url      string // where the agent finds the server, by default at its own
	wire     *wire
	agent    *Agent
	registry *prometheus.Registry
	logs     bytes.Buffer
	now      time.Time
}

// wire counts what goes to the server, and can be cut.
type wire struct {
	writes []string // method and path
	reads  int
	fault  func(*http.Request) (*http.Response, error) // nil, nil lets the request through
	after  func(*http.Request)
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.fault != nil {
		if resp, err := w.fault(req); resp != nil || err != nil {
			return resp, err
		}
	}
	if req.Method == http.MethodGet {
		w.reads++
	} else {
		w.writes = append(w.writes, req.Method+" "+req.URL.Path)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if w.after != nil {
		w.after(req)
	}
	return resp, err
}

// onBoth runs a test against the newest and the oldest Alertmanager.
func onBoth(t *testing.T, test func(*testing.T, *house), flags ...string) {
	for _, binary := range []string{"alertmanager", "alertmanager-0.27"} {
		t.Run(binary, func(t *testing.T) {
			t.Parallel()
			test(t, newHouse(t, binary, flags...))
		})
	}
}

func newHouse(t *testing.T, binary string, flags ...string) *house {
	t.Helper()
	return newHouseWith(t, servertest.Binary(binary), servertest.Flags(flags...))
}

func newHouseWith(t *testing.T, opts ...servertest.Option) *house {
	t.Helper()
	h := &house{
		t:    t,
		dir:  t.TempDir(),
		file: filepath.Join(t.TempDir(), "silences.yaml"),
		wire: &wire{},
		now:  time.Now().UTC().Truncate(time.Second),
	}
	h.server = servertest.Alertmanager(t, append([]servertest.Option{servertest.Dir(h.dir)}, opts...)...)
	h.restart()
	return h
}

// restart puts a new agent in the place of the former.
func (h *house) restart() {
	h.t.Helper()
	u, err := url.Parse(cmp.Or(h.url, h.server.URL()))
	if err != nil {
		h.t.Fatal(err)
	}
	h.registry = prometheus.NewRegistry()
	h.agent, err = New(Config{File: h.file, Owner: owner}, Options{
		AlertmanagerURL: u,
		Client:          &http.Client{Transport: h.wire, Timeout: 10 * time.Second},
		Logger:          promslog.New(&promslog.Config{Writer: &h.logs, Style: promslog.SlogStyle, Level: level(slog.LevelDebug)}),
		Registerer:      h.registry,
		StateDir:        h.state,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func level(l slog.Level) *promslog.Level {
	v := promslog.NewLevel()
	_ = v.Set(strings.ToLower(l.String()))
	return v
}

// write replaces the file; {h} and {-h} in it are times that many hours from now.
func (h *house) write(text string) {
	h.t.Helper()
	for hours := -48; hours <= 48; hours++ {
		at := h.now.Add(time.Duration(hours) * time.Hour).Format(time.RFC3339)
		text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", hours), at)
	}
	put(h.t, h.file, text)
}

// sync does a pass that has to succeed and returns the writes that it made.
func (h *house) sync() []string {
	h.t.Helper()
	writes, err := h.trySync()
	if err != nil {
		h.t.Fatalf("sync: %v", err)
	}
	return writes
}

func (h *house) trySync() ([]string, error) {
	h.t.Helper()
	h.wire.writes, h.wire.reads = nil, 0
	changed, err := h.agent.Sync(h.t.Context())
	if changed != (len(h.wire.writes) > 0) {
		h.t.Errorf("changed is %t after writes %q", changed, h.wire.writes)
	}
	return h.wire.writes, err
}

// list returns the server's silences by themselves, not through the agent.
func (h *house) list() []Silence {
	h.t.Helper()
	body, err := h.server.Get("/api/v2/silences")
	if err != nil {
		h.t.Fatal(err)
	}
	var list []Silence
	if err := json.Unmarshal(body, &list); err != nil {
		h.t.Fatal(err)
	}
	return list
}

// of returns the silences of a rule, in the given state unless it is empty.
func (h *house) of(rule, state string) []Silence {
	h.t.Helper()
	var list []Silence
	for _, s := range h.list() {
		if m, mine, _ := ownership(s, owner); mine && m.rule == rule && (state == "" || s.Status.State == state) {
			list = append(list, s)
		}
	}
	return list
}

// one returns the rule's only silence in the state.
func (h *house) one(rule, state string) Silence {
	h.t.Helper()
	list := h.of(rule, state)
	if len(list) != 1 {
		h.t.Fatalf("rule %s has %d silences in state %s, want 1: %+v", rule, len(list), state, h.of(rule, ""))
	}
	return list[0]
}

// person sends a request as people's tools do and returns the answer.
func (h *house) person(method, path string, body any) []byte {
	h.t.Helper()
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			h.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL()+"/api/v2/"+path, bytes.NewReader(data))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		h.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	return answer
}

// personPosts returns the ID of a silence that somebody posts.
func (h *house) personPosts(s Silence) string {
	h.t.Helper()
	s.Status.State = ""
	var answer struct{ SilenceID string }
	if err := json.Unmarshal(h.person("POST", "silences", s), &answer); err != nil {
		h.t.Fatal(err)
	}
	return answer.SilenceID
}

func (h *house) noWrites(why string) {
	h.t.Helper()
	if writes := h.sync(); len(writes) > 0 {
		h.t.Errorf("%s: %q", why, writes)
	}
}

const threeRules = `silences:
- name: disk
  matchers: ['instance=~"node-0[12]:9100"', 'alertname="Disk"', 'severity="warning"']
  starts_at: {-1}
  ends_at: {2}
  created_by: alice
  comment: disk swap
- name: upgrade
  matchers: ['network_name="mainnet"', '"größe.in.m"!="3"']
  starts_at: {24}
  duration: 4h
  allow_critical: true
  comment: coordinated upgrade
- name: flapping
  matchers: ['alertname="Latency"', 'severity!~"critical|page"']
  ends_at: {24}
  comment: known, OPS-150
`
