package silencing

import (
	"fmt"
	"net/http"
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

func TestSteadyPassIsOneRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		proxy := servertest.NewProxy(t, h.server.URL())
		h.url = proxy.URL()
		h.restart()
		h.write(threeRules)
		h.sync()
		before := len(proxy.Requests())
		for range 3 {
			h.noWrites("steady")
		}
		want := []string{"GET /api/v2/silences", "GET /api/v2/silences", "GET /api/v2/silences"}
		if d := cmp.Diff(want, proxy.Requests()[before:]); d != "" {
			t.Error(d)
		}
	})
}

// amtool up to 0.31 and others edit a silence without the annotations that they
// don't know. The mark isn't one, so what is ours stays ours.
func TestEditByAClientWithoutAnnotations(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.write(threeRules)
		h.sync()
		first := h.one("disk", "active")
		for _, edit := range []func(*Silence){
			func(s *Silence) { s.EndsAt = s.EndsAt.Add(time.Hour) },
			func(s *Silence) { s.Comment += " (longer, says bo)" },
		} {
			edited := h.one("disk", "active") // Alertmanager's own model, which has no annotations before 0.32
			edit(&edited)
			h.personPosts(edited)
			if writes := h.sync(); len(writes) != 1 {
				t.Errorf("writes are %q, want 1", writes)
			}
			if d := cmp.Diff(first, h.one("disk", "active")); d != "" {
				t.Error(d)
			}
			h.noWrites("again")
		}
	})
}

func TestBeginsThoughNothingRunsHere(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		soon := time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
		h.write(strings.Replace(threeRules, "{24}", soon.Format(time.RFC3339), 1))
		h.sync()
		servertest.Eventually(t, time.Minute, func() error {
			if n := len(h.of("upgrade", "active")); n != 1 {
				return fmt.Errorf("%d are active", n)
			}
			return nil
		})
		h.restart()
		h.noWrites("after it has begun")
	})
}
