package silencing

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// member is the sidecar beside one Alertmanager of a cluster, whose silences
// are the same on all of them.
type member struct {
	*Agent
	am       *alertmanager
	cluster  string
	registry *prometheus.Registry
}

func (m *member) RoundTrip(req *http.Request) (*http.Response, error) {
	m.am.cluster = m.cluster
	return m.am.RoundTrip(req)
}

func newMember(t *testing.T, am *alertmanager, file, cluster string) *member {
	t.Helper()
	m := &member{am: am, cluster: cluster, registry: prometheus.NewRegistry()}
	agent, err := New(Config{File: file, Owner: owner}, Options{
		AlertmanagerURL: &url.URL{Scheme: "http", Host: "alertmanager"},
		Client:          &http.Client{Transport: m},
		Registerer:      m.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Agent = agent
	return m
}

// wrote does a pass and returns how many requests it wrote with.
func (m *member) wrote(t *testing.T) int {
	t.Helper()
	before := m.am.writes
	if _, err := m.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	return m.am.writes - before
}

// put writes a file as if it had been there for long.
func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Time{}, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
}

const oneRule = `silences:
- name: disk
  matchers: ['alertname="Disk"', 'severity="warning"']
  starts_at: 2000-01-01T00:00:00Z
  ends_at: 2000-01-01T04:00:00Z
  comment: disk swap
`

const (
	firstOfTwo  = `{"status": "ready", "name": "a", "peers": [{"name": "b"}, {"name": "a"}]}`
	secondOfTwo = `{"status": "ready", "name": "b", "peers": [{"name": "b"}, {"name": "a"}]}`
)

func TestSecondLeavesItToTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		am := newAlertmanager(time.Now)
		file := filepath.Join(t.TempDir(), "silences.yaml")
		put(t, file, oneRule)
		first, second := newMember(t, am, file, firstOfTwo), newMember(t, am, file, secondOfTwo)

		if n := second.wrote(t); n != 0 {
			t.Errorf("the second wrote %d times at once", n)
		}
		if n := first.wrote(t); n != 1 {
			t.Errorf("the first wrote %d times, want 1", n)
		}
		time.Sleep(time.Hour)
		if n := second.wrote(t); n != 0 {
			t.Errorf("the second wrote %d times after the first", n)
		}
	})
}

func TestSecondTakesOverAfterItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		am := newAlertmanager(time.Now)
		file := filepath.Join(t.TempDir(), "silences.yaml")
		put(t, file, oneRule)
		second := newMember(t, am, file, secondOfTwo)

		for _, step := range []struct {
			text   string
			writes int
		}{
			{oneRule, 1},
			{"silences: []\n", 2}, // each difference waits for its own turn
		} {
			put(t, file, step.text)
			if n := second.wrote(t); n != 0 {
				t.Errorf("%d writes at once", n)
			}
			wait := time.Until(second.Next(time.Now()))
			if wait != turn {
				t.Errorf("next pass in %s, want %s", wait, turn)
			}
			time.Sleep(wait - time.Nanosecond)
			if n := second.wrote(t); n != 0 {
				t.Errorf("%d writes before its turn", n)
			}
			time.Sleep(time.Until(second.Next(time.Now())))
			if n := second.wrote(t); n != step.writes {
				t.Errorf("%d writes in its turn, want %d", n, step.writes)
			}
			time.Sleep(time.Minute)
			if n := second.wrote(t); n != 0 {
				t.Errorf("%d writes with nothing to do", n)
			}
		}
	})
}

func TestHalfAFileIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		am := newAlertmanager(time.Now)
		file := filepath.Join(t.TempDir(), "silences.yaml")
		whole := oneRule + strings.Replace(strings.TrimPrefix(oneRule, "silences:\n"), "disk", "other", 1)
		put(t, file, whole)
		only := newMember(t, am, file, firstOfTwo)
		if n := only.wrote(t); n != 2 {
			t.Fatalf("%d writes, want 2", n)
		}

		// The same again with another comment, but not at one go.
		whole = strings.ReplaceAll(whole, "disk swap", "disk swaps")
		write := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
			at := time.Now() // not the kernel's, who doesn't live in this bubble
			if err := os.Chtimes(file, at, at); err != nil {
				t.Error(err)
			}
		}
		write(whole[:strings.LastIndex(whole, "- name")])
		time.AfterFunc(settle/2, func() { write(whole) })
		if n := only.wrote(t); n != 2 {
			t.Errorf("%d writes, want 2 edits", n)
		}
		for _, s := range am.list() {
			if m, text, _ := parseMark(s.Comment); s.Status.State != stateActive || m.ended != "" || text != "disk swaps" {
				t.Errorf("%s: %s %q", s.ID, s.Status.State, s.Comment)
			}
		}

		// Over and over.
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for text := oneRule; ctx.Err() == nil; text += "#" {
				write(text)
				select {
				case <-ctx.Done():
				case <-time.After(settle / 2):
				}
			}
		}()
		time.Sleep(time.Second / 2)
		if _, err := only.Sync(ctx); err == nil || !strings.HasSuffix(err.Error(), "silences.yaml: is being written all the time") {
			t.Errorf("error is %v", err)
		}
		cancel()
	})
}

func TestMetricsAndStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		am := newAlertmanager(time.Now)
		file := filepath.Join(t.TempDir(), "silences.yaml")
		second := newMember(t, am, file, secondOfTwo)
		gauges := func(want string) {
			t.Helper()
			if err := testutil.GatherAndCompare(second.registry, strings.NewReader(want),
				"stoker_silences_desired", "stoker_silences_owned", "stoker_silences_drift",
				"stoker_silences_position", "stoker_silence_rule_ends_timestamp_seconds"); err != nil {
				t.Error(err)
			}
		}
		const help = `
# HELP stoker_silences_desired Silences that silences.yaml asks for now, running or about to begin.
# TYPE stoker_silences_desired gauge
# HELP stoker_silences_position Place of the Alertmanager among its cluster's peers, which this sidecar waits for with its writes; 0 without a cluster, -1 while unknown.
# TYPE stoker_silences_position gauge
# HELP stoker_silences_drift Differences between silences.yaml and Alertmanager that the last pass left, by kind.
# TYPE stoker_silences_drift gauge
# HELP stoker_silences_owned Silences in Alertmanager that were made from silences.yaml, by their state.
# TYPE stoker_silences_owned gauge
# HELP stoker_silence_rule_ends_timestamp_seconds When a rule of silences.yaml ends, as Unix time.
# TYPE stoker_silence_rule_ends_timestamp_seconds gauge
`
		gauges(`
# HELP stoker_silences_desired Silences that silences.yaml asks for now, running or about to begin.
# TYPE stoker_silences_desired gauge
stoker_silences_desired 0
# HELP stoker_silences_position Place of the Alertmanager among its cluster's peers, which this sidecar waits for with its writes; 0 without a cluster, -1 while unknown.
# TYPE stoker_silences_position gauge
stoker_silences_position -1
`)

		put(t, file, oneRule)
		second.wrote(t)
		gauges(help + `
stoker_silence_rule_ends_timestamp_seconds{rule="disk"} 9.466992e+08
stoker_silences_desired 1
stoker_silences_drift{kind="changed"} 0
stoker_silences_drift{kind="disowned"} 0
stoker_silences_drift{kind="duplicate"} 0
stoker_silences_drift{kind="extra"} 0
stoker_silences_drift{kind="held"} 0
stoker_silences_drift{kind="missing"} 1
stoker_silences_owned{state="active"} 0
stoker_silences_owned{state="expired"} 0
stoker_silences_owned{state="pending"} 0
stoker_silences_position 1
`)
		status := second.Status()
		if s := status.Silences; len(s) != 1 || s[0].State != "missing" || s[0].Position.Line != 2 || status.Position != 1 {
			t.Errorf("status is %+v", status)
		}

		time.Sleep(turn)
		second.wrote(t)
		if s := second.Status().Silences; len(s) != 1 || s[0].State != "active" || s[0].ID == "" {
			t.Errorf("status is %+v", s)
		}
		put(t, file, strings.ReplaceAll(oneRule, "disk", "other"))
		second.wrote(t)
		time.Sleep(turn)
		second.wrote(t)
		gauges(help + `
stoker_silence_rule_ends_timestamp_seconds{rule="other"} 9.466992e+08
stoker_silences_desired 1
stoker_silences_drift{kind="changed"} 0
stoker_silences_drift{kind="disowned"} 0
stoker_silences_drift{kind="duplicate"} 0
stoker_silences_drift{kind="extra"} 0
stoker_silences_drift{kind="held"} 0
stoker_silences_drift{kind="missing"} 0
stoker_silences_owned{state="active"} 1
stoker_silences_owned{state="expired"} 1
stoker_silences_owned{state="pending"} 0
stoker_silences_position 1
`)
	})
}
