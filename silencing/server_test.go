package silencing

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/reload/servertest"
)

func TestServerThatIsDownAtTheStart(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.server.Stop()
		h.write(threeRules)
		for range 2 {
			if writes, err := h.trySync(); err == nil || !strings.Contains(err.Error(), "connection refused") || len(writes) > 0 {
				t.Errorf("error %v, writes %q", err, writes)
			}
			if p := h.agent.Status().Position; p != -1 {
				t.Errorf("position is %d", p)
			}
		}
		h.server.Restart()
		if n := len(h.sync()); n != 3 {
			t.Errorf("%d writes, want 3", n)
		}
	})
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		proxy := servertest.NewProxy(t, h.server.URL())
		h.url = proxy.URL()
		h.restart()
		h.write(threeRules)
		h.sync()
		before := h.list()
		h.write("silences: []\n") // would end all

		patience := h.agent.client.http.Timeout
		h.agent.client.http.Timeout = 100 * time.Millisecond
		hang := func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }
		proxy.Intercept("GET", "/api/v2/silences", hang)
		var timeout interface{ Timeout() bool }
		if _, err := h.trySync(); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("error is %v", err)
		}
		// Half an answer is none.
		proxy.Intercept("GET", "/api/v2/silences", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.WriteString(w, "[")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		if _, err := h.trySync(); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("error is %v", err)
		}
		if d := cmp.Diff(before, h.list()); d != "" {
			t.Errorf("silences have changed:\n%s", d)
		}
		proxy.Intercept("GET", "/api/v2/silences", nil)
		h.agent.client.http.Timeout = patience
		h.sync()
		h.one("disk", "expired")
	})
}

// The server does it, and its answer never arrives: it isn't done twice.
func TestAnswerThatNeverArrives(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		proxy := servertest.NewProxy(t, h.server.URL())
		h.url = proxy.URL()
		h.restart()
		h.write(threeRules)
		proxy.Intercept("POST", "/api/v2/silences", func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		})
		for i := range 3 {
			_, _ = h.agent.Sync(t.Context())
			if n := len(h.list()); n != i+1 {
				t.Errorf("pass %d: %d silences, want %d", i, n, i+1)
			}
		}
		proxy.Intercept("POST", "/api/v2/silences", nil)
		h.noWrites("all are there")
	})
}

// A silence with several sets of matchers can be in Alertmanager 0.34's data, put
// there by gossip or by a later version. Its API v2 can't show it and refuses the
// whole list.
func TestListThatTheServerCannotShow(t *testing.T) {
	h := newHouse(t, "alertmanager")
	h.write(threeRules)
	h.sync()
	before := h.list()
	h.server.Stop()
	snapshot := filepath.Join(h.dir, "data", "silences")
	sound, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(snapshot, withMatcherSet(t, sound), 0o600); err != nil {
		t.Fatal(err)
	}
	h.server.Restart()
	h.write("silences: []\n") // would end all
	for range 2 {
		writes, err := h.trySync()
		if err == nil || !strings.HasPrefix(err.Error(), "GET silences: 500 Internal Server Error: ") || len(writes) > 0 {
			t.Errorf("error %v, writes %q", err, writes)
		}
	}
	h.server.Stop()
	if err := os.WriteFile(snapshot, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	h.server.Restart()
	if d := cmp.Diff(before, h.list()); d != "" {
		t.Errorf("silences have changed:\n%s", d)
	}
	h.sync()
	h.one("disk", "expired")
}

// withMatcherSet adds a set of matchers, x="y", to the first silence of a
// snapshot: entries of a length and a MeshSilence of silence/silencepb. A second
// part of a protobuf message adds to the repeated fields of the first.
func withMatcherSet(t *testing.T, snapshot []byte) []byte {
	t.Helper()
	field := func(number byte, value string) string { return string([]byte{number<<3 | 2, byte(len(value))}) + value }
	matcher := field(2, "x") + field(3, "y")
	more := field(1, field(11, field(1, matcher)))
	length, n := binary.Uvarint(snapshot)
	if n <= 0 || length > uint64(len(snapshot)-n) {
		t.Fatalf("not a snapshot: %q", snapshot)
	}
	end := n + int(length)
	out := binary.AppendUvarint(nil, length+uint64(len(more)))
	out = append(append(out, snapshot[n:end]...), more...)
	return append(out, snapshot[end:]...)
}
