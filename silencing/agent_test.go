package silencing

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/reload/servertest"
)

func TestApplyTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		if got := len(h.sync()); got != 3 {
			t.Errorf("%d writes, want 3", got)
		}
		first := h.list()
		if len(first) != 3 {
			t.Fatalf("%d silences, want 3: %+v", len(first), first)
		}
		h.one("disk", "active")
		h.one("flapping", "active")
		if got := h.one("upgrade", "pending"); !got.StartsAt.Equal(h.now.Add(24*time.Hour)) || !got.EndsAt.Equal(h.now.Add(28*time.Hour)) {
			t.Errorf("upgrade is from %s to %s", got.StartsAt, got.EndsAt)
		}
		if c := h.one("disk", "").Comment; !strings.HasPrefix(c, "disk swap (alice) [stoker:team/disk@once#") {
			t.Errorf("comment is %q", c)
		}

		h.noWrites("second pass")
		if h.wire.reads != 1 {
			t.Errorf("%d requests in a steady pass, want 1", h.wire.reads)
		}
		h.restart()
		h.noWrites("after a restart")
		h.write(strings.Replace(threeRules, `['instance=~"node-0[12]:9100"', 'alertname="Disk"',`, `['alertname="Disk"', 'instance=~"node-0[12]:9100"', 'alertname="Disk"',`, 1))
		h.noWrites("matchers in another order")
		if d := cmp.Diff(first, h.list()); d != "" {
			t.Errorf("silences have changed:\n%s", d)
		}
	})
}

func TestEditKeepsID(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		disk, upgrade := h.one("disk", "active"), h.one("upgrade", "pending")
		for _, edit := range []struct{ from, to string }{
			{"comment: disk swap", "comment: disk swaps"},
			{"ends_at: {2}", "ends_at: {4}"},        // later
			{"ends_at: {2}", "ends_at: {1}"},        // earlier
			{"starts_at: {-1}", "starts_at: {-2}"},  // both past
			{"starts_at: {24}", "starts_at: {23}"},  // still pending
			{"created_by: alice", "created_by: bo"}, // shown in the comment
		} {
			h.write(strings.Replace(threeRules, edit.from, edit.to, 1))
			if writes := h.sync(); len(writes) == 0 || len(writes) > 2 {
				t.Errorf("%s: writes are %q", edit.to, writes)
			}
			if s := h.one("disk", "active"); s.ID != disk.ID || !s.StartsAt.Equal(disk.StartsAt) {
				t.Errorf("%s: disk was %s from %s, is %s from %s", edit.to, disk.ID, disk.StartsAt, s.ID, s.StartsAt)
			}
			if s := h.one("upgrade", "pending"); s.ID != upgrade.ID {
				t.Errorf("%s: upgrade was %s, is %s", edit.to, upgrade.ID, s.ID)
			}
			if len(h.list()) != 3 {
				t.Errorf("%s: %d silences, want 3", edit.to, len(h.list()))
			}
			h.noWrites(edit.to + " again")
		}
	})
}

func TestOtherMatchersWithoutAGap(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		before := h.one("disk", "active")
		h.wire.after = func(req *http.Request) {
			if len(h.of("disk", "active")) == 0 {
				t.Errorf("after %s %s nothing is active", req.Method, req.URL.Path)
			}
		}
		h.write(strings.Replace(threeRules, "node-0[12]", "node-0[123]", 1))
		h.sync()
		after := h.one("disk", "active")
		if after.ID == before.ID {
			t.Error("the ID is the same")
		}
		if m, _, _ := parseMark(h.one("disk", "expired").Comment); m.ended != replaced {
			t.Errorf("the old one is ended as %q", m.ended)
		}
		h.noWrites("again")
	})
}

func TestRemovedRule(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		h.write("silences: []\n")
		h.sync()
		for _, rule := range []string{"disk", "upgrade", "flapping"} {
			m, text, _ := parseMark(h.one(rule, "expired").Comment)
			if m.ended != removed || text == "" {
				t.Errorf("%s: ended as %q, text is %q", rule, m.ended, text)
			}
		}
		h.noWrites("again")

		h.write(threeRules)
		h.sync()
		h.one("disk", "active")
		h.one("upgrade", "pending")
		h.noWrites("again after adding them again")
	})
}

func TestPeoplesSilencesStayByteForByte(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		ours := h.one("disk", "active")
		same, copied, half := ours, ours, ours
		same.ID, same.CreatedBy, same.Comment = "", "bo", "mine"
		copied.ID, copied.CreatedBy = "", "bo" // with the mark
		half.ID, half.Comment = "", "mine"     // with the author
		before := map[string]string{}
		for _, s := range []Silence{same, copied, half} {
			id := h.personPosts(s)
			before[id] = string(h.person("GET", "silence/"+id, nil))
		}

		h.noWrites("with people's silences there")
		for _, text := range []string{
			strings.Replace(threeRules, "disk swap", "disk swaps", 1),
			strings.Replace(threeRules, "node-0[12]", "node-0[123]", 1),
			"silences: []\n",
			threeRules,
		} {
			h.write(text)
			h.sync()
		}
		for id, was := range before {
			if is := string(h.person("GET", "silence/"+id, nil)); is != was {
				t.Errorf("was %s\nis  %s", was, is)
			}
		}
		if got := strings.Count(h.logs.String(), "only half of our mark"); got != 2 {
			t.Errorf("half marks were logged %d times, want once each for 2", got)
		}
	})
}

func TestEarlyEndByAPersonIsRespected(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		h.person("DELETE", "silence/"+h.one("disk", "active").ID, nil)
		h.person("DELETE", "silence/"+h.one("upgrade", "pending").ID, nil)
		for range 10 {
			h.noWrites("ended by a person")
		}
		h.restart()
		h.noWrites("ended by a person, before a restart")
		for _, s := range h.agent.Status().Silences {
			if want := map[bool]string{true: "held", false: "active"}[s.Rule != "flapping"]; s.State != want {
				t.Errorf("%s is %s, want %s", s.Rule, s.State, want)
			}
		}

		h.write(strings.Replace(threeRules, "ends_at: {2}", "ends_at: {3}", 1))
		h.sync()
		h.one("disk", "active")
		if n := len(h.of("upgrade", "pending")); n > 0 {
			t.Error("the rule that wasn't edited is back")
		}
		h.person("DELETE", "silence/"+h.one("disk", "active").ID, nil)
		h.noWrites("ended again")
		h.write(strings.Replace(threeRules, "  ends_at: {2}", "  ends_at: {3}\n  on_manual_expire: recreate", 1))
		h.sync()
		h.one("disk", "active")
	})
}

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

func TestDuplicatesCollapse(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		first := h.one("disk", "active")
		for range 2 {
			again := first
			again.ID = ""
			h.personPosts(again)
		}
		h.sync()
		if got := h.one("disk", "active"); got.ID != first.ID {
			t.Errorf("kept %s, want the oldest, %s", got.ID, first.ID)
		}
		for _, s := range h.of("disk", "expired") {
			if m, _, _ := parseMark(s.Comment); m.ended != duplicated {
				t.Errorf("%s is ended as %q", s.ID, m.ended)
			}
		}
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

func TestConcurrentPasses(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if _, err := h.agent.Sync(t.Context()); err != nil {
					t.Error(err)
				}
				h.agent.Status()
				h.agent.Next(h.now)
			})
		}
		group.Wait()
		if n := len(h.list()); n != 3 {
			t.Errorf("%d silences, want 3", n)
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

func TestClusterOfOne(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		servertest.Eventually(t, time.Minute, func() error {
			_, err := h.trySync() // waits for the cluster to settle
			return err
		})
		h.one("disk", "active")
		if p := h.agent.Status().Position; p != 0 {
			t.Errorf("position is %d", p)
		}
	}, "--cluster.listen-address=127.0.0.1:0", "--cluster.settle-timeout=1s")
}

func TestRecurringIsThereAheadOfTime(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		at := h.now.Add(5 * time.Minute)
		h.write(fmt.Sprintf(`silences:
- name: nightly
  matchers: ['alertname="Load"', 'severity="warning"']
  schedule: "%d %d * * *"
  location: UTC
  duration: 1h
  ends_at: {48}
  comment: backup
- name: not-yet
  matchers: ['alertname="Load"', 'severity="warning"']
  schedule: "%d %d * * *"
  location: UTC
  duration: 1h
  ends_at: {48}
  comment: backup
`, at.Minute(), at.Hour(), at.Minute(), (at.Hour()+2)%24))
		h.sync()
		s := h.one("nightly", "pending")
		if want := at.Truncate(time.Minute); !s.StartsAt.Equal(want) || !s.EndsAt.Equal(want.Add(time.Hour)) {
			t.Errorf("from %s to %s, want an hour from %s", s.StartsAt, s.EndsAt, want)
		}
		if n := len(h.list()); n != 1 {
			t.Errorf("%d silences, want 1", n)
		}
		h.noWrites("again")
	})
}

func TestAnnotationsSurviveEdits(t *testing.T) {
	h := newHouse(t, "alertmanager")
	h.write(threeRules)
	h.sync()
	s := h.one("disk", "active")
	s.Annotations = map[string]string{"ticket": "OPS-142"}
	if id := h.personPosts(s); id != s.ID {
		t.Fatalf("annotating gave it the ID %s, was %s", id, s.ID)
	}
	h.noWrites("annotated")
	h.write(strings.Replace(threeRules, "disk swap", "disk swaps", 1))
	h.sync()
	edited := h.one("disk", "active")
	if d := cmp.Diff(s.Annotations, edited.Annotations); d != "" || !strings.HasPrefix(edited.Comment, "disk swaps (alice) [") {
		t.Errorf("comment %q, annotations:\n%s", edited.Comment, d)
	}
	h.write("silences: []")
	h.sync()
	if d := cmp.Diff(s.Annotations, h.one("disk", "expired").Annotations); d != "" {
		t.Error(d)
	}
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
