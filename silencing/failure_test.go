package silencing

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWipedServer(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		h.server.Kill()
		if err := os.RemoveAll(filepath.Join(h.dir, "data")); err != nil {
			t.Fatal(err)
		}
		h.server.Restart()
		if n := len(h.list()); n != 0 {
			t.Fatalf("%d silences after losing the data", n)
		}
		h.sync()
		h.one("disk", "active")
		h.one("upgrade", "pending")
		h.one("flapping", "active")
	})
}

func TestResurrectedSilenceIsSwept(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		h.server.Restart() // with what it has on disk
		h.write("silences: []\n")
		h.sync()
		h.server.Kill()
		h.server.Restart()
		h.one("disk", "active") // back from before
		h.sync()
		h.one("disk", "expired")
		h.noWrites("again")
	})
}

func TestNothingEndsWhileTheServerFails(t *testing.T) {
	answer := func(code int, body string) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
		}
	}
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		before := h.list()
		h.write("silences: []\n") // would end all
		for name, fault := range map[string]struct {
			do   func(*http.Request) (*http.Response, error)
			want string
		}{
			"refused":     {func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, "connection refused"},
			"500":         {answer(500, `"silence has multiple matcher sets"`), "GET silences: 500 Internal Server Error: silence has multiple matcher sets"},
			"401":         {answer(401, "Unauthorized\n"), "GET silences: 401 Unauthorized: Unauthorized"},
			"page":        {answer(200, "<html>log in</html>"), "GET silences: not Alertmanager's API: invalid character '<' looking for beginning of value"},
			"null":        {answer(200, "null"), "GET silences: not a list"},
			"object":      {answer(200, `{"status": "success"}`), "GET silences: not Alertmanager's API: json: cannot unmarshal object into Go value of type []silencing.Silence"},
			"cut":         {answer(200, `[{"id": "1", "com`), "GET silences: not Alertmanager's API: unexpected end of JSON input"},
			"other list":  {answer(200, `[{"name": "x"}]`), "GET silences: entry 0 is not a silence"},
			"empty":       {answer(200, ""), "GET silences: not Alertmanager's API: unexpected end of JSON input"},
			"status only": {onlyFor("/api/v2/status", answer(503, "starting")), "3 changes are waiting: GET status: 503 Service Unavailable: starting"},
			"settling":    {onlyFor("/api/v2/status", answer(200, `{"cluster": {"status": "settling"}}`)), `3 changes are waiting: GET status: the cluster is "settling", not ready`},
		} {
			h.wire.fault = fault.do
			writes, err := h.trySync()
			if err == nil || !strings.Contains(err.Error(), fault.want) || len(writes) > 0 {
				t.Errorf("%s: error %v, want %s; writes %q", name, err, fault.want, writes)
			}
		}
		h.wire.fault = nil
		h.server.Stop()
		if writes, err := h.trySync(); err == nil || len(writes) != 0 {
			t.Errorf("stopped: error %v, writes %q", err, writes)
		}
		h.server.Restart()
		if d := cmp.Diff(before, h.list()); d != "" {
			t.Errorf("silences have changed:\n%s", d)
		}
		h.sync()
		h.one("disk", "expired")
	})
}

func onlyFor(path string, f func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(req.URL.Path, path) {
			return nil, nil
		}
		return f(req)
	}
}

func TestEndInterruptedHalfway(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		h.write("silences: []\n")
		h.wire.fault = onlyFor("/api/v2/silence/", func(*http.Request) (*http.Response, error) {
			return nil, errors.New("connection reset")
		})
		if writes, err := h.trySync(); err == nil || !strings.Contains(err.Error(), "2 more changes not tried") || len(writes) != 1 {
			t.Errorf("error %v, writes %q", err, writes)
		}
		h.wire.fault = nil
		if got := len(h.sync()); got != 5 { // one DELETE, and two silences that take two requests
			t.Errorf("%d writes: %q", got, h.wire.writes)
		}
		for _, rule := range []string{"disk", "upgrade", "flapping"} {
			if m, _, _ := parseMark(h.one(rule, "expired").Comment); m.ended != removed {
				t.Errorf("%s is ended as %q", rule, m.ended)
			}
		}
	})
}

func TestEndWithoutRoomForTheReason(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		h.write("silences: []\n")
		h.wire.fault = func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodPost {
				return nil, nil
			}
			body := io.NopCloser(strings.NewReader(`"silence exceeded maximum size: 310 bytes (limit: 300 bytes)"`))
			return &http.Response{StatusCode: 400, Body: body, Request: req}, nil
		}
		h.sync()
		for _, rule := range []string{"disk", "upgrade", "flapping"} {
			h.one(rule, "expired")
		}
		if !strings.Contains(h.logs.String(), "ending it without") {
			t.Error("not logged")
		}
	})
}

func TestBrokenFileHoldsLastGood(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		if writes, err := h.trySync(); !errors.Is(err, os.ErrNotExist) || len(writes) > 0 {
			t.Errorf("no file yet: error %v, writes %q", err, writes)
		}
		h.write(threeRules)
		h.sync()
		before := h.list()
		for _, text := range []string{"", threeRules[:len(threeRules)/2], "silences:\n", "silence: []", threeRules + threeRules} {
			h.write(text)
			if writes, err := h.trySync(); err == nil || len(writes) > 0 {
				t.Errorf("%q: error %v, writes %q", text, err, writes)
			}
			if h.agent.Status().FileError == nil {
				t.Errorf("%q: the status shows no error", text)
			}
		}
		if err := os.Remove(h.file); err != nil {
			t.Fatal(err)
		}
		if writes, err := h.trySync(); !errors.Is(err, os.ErrNotExist) || len(writes) > 0 {
			t.Errorf("file gone: error %v, writes %q", err, writes)
		}
		if d := cmp.Diff(before, h.list()); d != "" {
			t.Errorf("silences have changed:\n%s", d)
		}

		// The last good set is still kept true.
		h.personPosts(func() Silence { s := h.one("disk", "active"); s.EndsAt = s.EndsAt.Add(time.Hour); return s }())
		if writes, err := h.trySync(); err == nil || len(writes) != 1 {
			t.Errorf("file gone, silence changed: error %v, writes %q", err, writes)
		}
		h.write(threeRules)
		h.noWrites("file back")
	})
}

func TestBrokenFileAtTheStartEndsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		before := h.list()
		h.restart()
		h.write("silences:\n")
		if writes, err := h.trySync(); err == nil || len(writes) > 0 {
			t.Errorf("error %v, writes %q", err, writes)
		}
		if d := cmp.Diff(before, h.list()); d != "" {
			t.Errorf("silences have changed:\n%s", d)
		}
	})
}

func TestPersonEndsOneThatIsBeingEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		disk := h.one("disk", "active")
		h.write("silences: []\n")
		h.wire.fault = onlyFor("/api/v2/silences", func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPost {
				h.wire.fault = nil
				h.person("DELETE", "silence/"+disk.ID, nil)
			}
			return nil, nil
		})
		h.sync() // the server makes a new silence of the one that is to be marked
		if n := len(h.of("disk", "active")); n != 0 {
			t.Errorf("%d are active", n)
		}
		h.noWrites("again")
	})
}

func TestLimitOfSilences(t *testing.T) {
	h := newHouse(t, "alertmanager", "--silences.max-silences=2")
	h.write(threeRules)
	writes, err := h.trySync()
	want := "silence flapping@once: POST silences: 400 Bad Request: exceeded maximum number of silences: 2 (limit: 2)"
	if err == nil || err.Error() != want || len(writes) != 3 {
		t.Errorf("error %v, want %s; writes %q", err, want, writes)
	}
	h.one("disk", "active")
	h.one("upgrade", "pending")

	// It isn't tried again and again.
	if next := h.agent.Next(h.now); !next.Equal(h.now.Add(interval)) {
		t.Errorf("next pass after %s", next.Sub(h.now))
	}
	h.wire.writes = nil
	if changed, _ := h.agent.Sync(t.Context()); changed || len(h.wire.writes) != 1 {
		t.Errorf("changed is %t, writes are %q, want 1", changed, h.wire.writes)
	}

	// An edit needs no place, and doesn't wait for what comes before it.
	first := strings.Index(threeRules, "- name: disk")
	last := strings.Index(threeRules, "- name: flapping")
	h.write(threeRules[:first] + threeRules[last:] + strings.Replace(threeRules[first:last], "disk swap", "disk swaps", 1))
	if writes, err := h.trySync(); err == nil || err.Error() != want || len(writes) != 2 {
		t.Errorf("error %v, want %s; writes %q", err, want, writes)
	}
	if c := h.one("disk", "active").Comment; !strings.HasPrefix(c, "disk swaps ") {
		t.Errorf("comment is %q", c)
	}
	h.write("silences: []\n")
	h.sync()
	h.one("disk", "expired")
}

func TestOneThatIsRefusedDoesNotStopOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.wire.fault = func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodPost {
				return nil, nil
			}
			h.wire.fault = nil // only the first
			body := io.NopCloser(strings.NewReader(`{"code":602,"message":"matchers in body is required"}`))
			return &http.Response{StatusCode: 422, Body: body, Request: req}, nil
		}
		_, err := h.trySync()
		if want := "silence disk@once: POST silences: 422 Unprocessable Entity: matchers in body is required"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		h.one("upgrade", "pending")
		h.one("flapping", "active")
		if n := len(h.sync()); n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
		h.one("disk", "active")
	})
}
