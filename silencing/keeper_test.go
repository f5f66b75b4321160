package silencing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// told is a house whose Alertmanager notifies an inbox.
type told struct {
	*house
	inbox *inboxtest.Inbox
	// prometheus is whether one repeats by itself what it has to say.
	prometheus bool
}

// onBothTold runs a test against the newest and the oldest Alertmanager. Every alert has a group of its own; what is
// said is said again only after four hours.
func onBothTold(t *testing.T, test func(*testing.T, *told)) {
	for _, binary := range []string{"alertmanager", "alertmanager-0.27"} {
		t.Run(binary, func(t *testing.T) {
			t.Parallel()
			h := &told{inbox: inboxtest.New(t)}
			config := filepath.Join(t.TempDir(), "alertmanager.yml")
			put(t, config, fmt.Sprintf(`
route:
  receiver: inbox
  group_by: ['...']
  group_wait: 0s
  group_interval: 2s
  repeat_interval: 4h
receivers:
- name: inbox
  webhook_configs:
  - url: %s
    send_resolved: true
`, h.inbox.WebhookURL("operator")))
			h.house = newHouseWith(t, servertest.Binary(binary), servertest.ConfigFile(config))
			test(t, h)
		})
	}
}

// keeper returns one for the house's Alertmanager.
func (h *house) keeper() *Keeper {
	h.t.Helper()
	o := h.options()
	o.Logger = promslog.New(&promslog.Config{Writer: &h.logs})
	k, err := NewKeeper(o)
	if err != nil {
		h.t.Fatal(err)
	}
	return k
}

// keeps does a pass that has to succeed, and returns the writes that it made.
func (h *house) keeps(k *Keeper) []string {
	h.t.Helper()
	h.wire.writes = nil
	changed, err := k.Sync(h.t.Context())
	if err != nil || changed != (len(h.wire.writes) > 0) {
		h.t.Fatalf("changed is %t after %q: %v", changed, h.wire.writes, err)
	}
	return h.wire.writes
}

// messages returns what has been said of an alert: firing, resolved and so on.
func (h *told) messages(alert string) []string {
	said := []string{}
	for _, m := range h.inbox.Messages() {
		var payload struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.Unmarshal(m.Raw, &payload); err != nil {
			h.t.Fatal(err)
		}
		for _, a := range payload.Alerts {
			if cmp.Equal(a.Labels, labelsOf(alert)) {
				said = append(said, a.Status)
			}
		}
	}
	return said
}

// says waits until all that has been said of an alert is this, and repeats meanwhile what Prometheus repeats.
func (h *told) says(alert string, want ...string) {
	h.t.Helper()
	servertest.Eventually(h.t, time.Minute, func() error {
		got := h.messages(alert)
		if slices.Equal(got, want) {
			return nil
		}
		if want[len(want)-1] == "resolved" && !h.prometheus {
			h.resolve(alert)
		}
		return fmt.Errorf("messages of %s are %q, want %q", alert, got, want)
	})
}

// flushes waits until all groups that there are have been looked at twice: an alert that begins now has been resolved
// and has said so, and one that began after that too.
func (h *told) flushes() {
	h.t.Helper()
	for i := range 2 {
		sentinel := fmt.Sprintf("alertname=Sentinel at=%d-%d", time.Now().UnixNano(), i)
		h.starts(sentinel)
		h.says(sentinel, "firing")
		h.resolve(sentinel)
		h.says(sentinel, "firing", "resolved")
	}
}

func untilResolved(r *HushRequest) { r.For, r.UntilResolved = 0, true }

// The point of it all: whoever hushes an alert until it is resolved hears that it is, and hears at once if it fires
// again.
func TestUntilResolved(t *testing.T) {
	onBothTold(t, func(t *testing.T, h *told) {
		h.starts(diskOne)
		h.says(diskOne, "firing")
		made, err := h.desk().Hush(t.Context(), request(untilResolved))
		if err != nil || len(made) != 1 {
			t.Fatalf("%+v, %v", made, err)
		}
		k := h.keeper()
		if writes := h.keeps(k); len(writes) > 0 {
			t.Errorf("writes while it fires: %q", writes)
		}
		h.equal("silenced", h.silenced(), []string{diskOne})
		h.starts(diskCritical)
		h.says(diskCritical, "firing") // the sibling sounds

		h.resolve(diskOne)
		if writes := h.keeps(k); len(writes) != 2 {
			t.Errorf("writes when it is resolved: %q", writes)
		}
		s := h.list()[0]
		if m, text, _ := parseMark(s.Comment); s.ID != made[0].ID || s.Status.State != stateExpired || m.ended != resolved || text != "new disk on Monday" {
			t.Errorf("silence is %+v", s)
		}
		if writes := h.keeps(k); len(writes) > 0 {
			t.Errorf("writes afterwards: %q", writes)
		}
		h.says(diskOne, "firing", "resolved")
		h.flushes()
		h.starts(diskOne)
		h.says(diskOne, "firing", "resolved", "firing")
	})
}

// What a plain silence does, and why there is a keeper: the same alert, and nobody ever hears that it is resolved, or
// that it fires again.
func TestPlainSilence(t *testing.T) {
	onBothTold(t, func(t *testing.T, h *told) {
		h.starts(diskOne)
		h.says(diskOne, "firing")
		made, err := h.desk().Hush(t.Context(), request(func(r *HushRequest) { r.For = time.Hour }))
		if err != nil || len(made) != 1 {
			t.Fatalf("%+v, %v", made, err)
		}
		h.resolve(diskOne)
		if writes := h.keeps(h.keeper()); len(writes) > 0 {
			t.Errorf("a hush until some time is kept: %q", writes)
		}
		h.flushes()
		h.person("DELETE", "silence/"+made[0].ID, nil)
		h.flushes()
		h.starts(diskOne)
		h.flushes()
		if got := h.messages(diskOne); !slices.Equal(got, []string{"firing"}) {
			t.Errorf("messages are %q", got)
		}
	})
}

// A flush between the end of an alert and that of its hush says nothing, and takes the alert out of its group. The
// keeper needn't be faster than that: Prometheus repeats for 15 minutes that the alert is resolved, and the next flush
// says so.
func TestFlushBeforeTheEndOfTheHush(t *testing.T) {
	onBothTold(t, func(t *testing.T, h *told) {
		h.starts(diskOne)
		h.says(diskOne, "firing")
		k := h.keeper()
		if _, err := h.desk().Hush(t.Context(), request(untilResolved)); err != nil {
			t.Fatal(err)
		}
		h.keeps(k)
		h.resolve(diskOne)
		h.flushes()
		if got := h.messages(diskOne); !slices.Equal(got, []string{"firing"}) {
			t.Errorf("messages are %q", got)
		}
		h.keeps(k)
		h.says(diskOne, "firing", "resolved")
		h.starts(diskOne)
		h.says(diskOne, "firing", "resolved", "firing")
	})
}

// The same with a real Prometheus, which says what it says when it wants to.
func TestUntilResolvedWithPrometheus(t *testing.T) {
	onBothTold(t, func(t *testing.T, h *told) {
		var broken atomic.Bool
		broken.Store(true)
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "disk_full %d\n", map[bool]int{true: 1}[broken.Load()])
		}))
		t.Cleanup(node.Close)
		dir := t.TempDir()
		put(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf(`
global: { scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }
alerting: { alertmanagers: [{ static_configs: [{ targets: [%q] }] }] }
rule_files: [rules.yml]
scrape_configs: [{ job_name: node, static_configs: [{ targets: [%q] }] }]
`, strings.TrimPrefix(h.server.URL(), "http://"), node.Listener.Addr()))
		put(t, filepath.Join(dir, "rules.yml"), `
groups:
- name: disks
  rules:
  - alert: Disk
    expr: max(disk_full) == 1
    labels: { device: sda, instance: a1, network: mainnet, prep: alpha, severity: warning }
`)
		servertest.Prometheus(t, servertest.ConfigFile(filepath.Join(dir, "prometheus.yml")), servertest.Flags("--rules.alert.resend-delay=1s"))
		fires := func(n int) {
			servertest.Eventually(t, time.Minute, func() error {
				alerts, err := h.desk().Firing(t.Context(), map[string]string{"alertname": "Disk"})
				if err == nil && len(alerts) != n {
					err = fmt.Errorf("%d alerts fire", len(alerts))
				}
				return err
			})
		}
		h.says(diskOne, "firing")
		if _, err := h.desk().Hush(t.Context(), request(untilResolved)); err != nil {
			t.Fatal(err)
		}
		k := h.keeper()
		h.keeps(k)
		broken.Store(false)
		fires(0)
		h.flushes() // and only then is there somebody to end the hush
		if got := h.messages(diskOne); !slices.Equal(got, []string{"firing"}) {
			t.Errorf("messages are %q", got)
		}
		h.keeps(k)
		h.prometheus = true
		h.says(diskOne, "firing", "resolved")
		broken.Store(true)
		h.says(diskOne, "firing", "resolved", "firing")
	})
}

func TestKeeperExtendsInPlace(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne, diskTwo)
		byHand := Silence{
			Matchers:  HushConfig{Labels: hushLabels}.matchers(FiringAlert{Labels: labelsOf(disk)}),
			StartsAt:  time.Now(),
			EndsAt:    time.Now().Add(5 * time.Minute),
			CreatedBy: "bo", Comment: "mine",
		}
		// By a person, of the same matchers; and as a person changes a hush in Alertmanager: it is theirs from then on.
		theirs := []string{string(h.person("GET", "silence/"+h.personPosts(byHand), nil))}
		d := h.desk()
		ago := func(left time.Duration) func() time.Time {
			return func() time.Time { return time.Now().Add(left - lease) }
		}
		d.now = ago(9 * time.Minute)
		made, err := d.Hush(t.Context(), request(untilResolved))
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []func(*Silence){
			func(s *Silence) { s.EndsAt = s.EndsAt.Add(-time.Minute) },
			func(s *Silence) { s.CreatedBy = "bo" },
			func(s *Silence) { s.Matchers = s.Matchers[:4] },
			func(s *Silence) { s.Comment = strings.Replace(s.Comment, "/alpha@", "/beta@", 1) },
		} {
			s := h.list()[slices.IndexFunc(h.list(), func(s Silence) bool { return s.ID == made[0].ID })]
			s.ID = ""
			change(&s)
			theirs = append(theirs, string(h.person("GET", "silence/"+h.personPosts(s), nil)))
		}

		for _, keeper := range []*Keeper{h.keeper(), h.keeper()} { // the second one is after a restart
			before := h.list()
			h.keeps(keeper)
			if writes := h.keeps(keeper); len(writes) > 0 {
				t.Errorf("extends again: %q", writes)
			}
			after := h.list()
			if len(after) != len(before) {
				t.Fatalf("silences were %+v, are %+v", before, after)
			}
			hushes, err := d.Hushes(t.Context())
			if err != nil || len(hushes) != 1 || hushes[0].ID != made[0].ID || !hushes[0].UntilResolved || hushes[0].Alerts != 2 || !hushes[0].Latest.Equal(made[0].Latest) {
				t.Fatalf("%+v, %v", hushes, err)
			}
			if left := time.Until(hushes[0].EndsAt); left > lease || left < lease-time.Minute {
				t.Errorf("ends in %s", left)
			}
		}
		// One of two that were hushed together still fires.
		k := h.keeper()
		h.keeps(k)
		h.resolve(diskOne)
		if writes := h.keeps(k); len(writes) > 0 {
			t.Errorf("writes %q", writes)
		}
		h.resolve(diskTwo)
		if writes := h.keeps(k); len(writes) != 2 {
			t.Errorf("writes %q", writes)
		}
		for _, want := range theirs {
			var s Silence
			if err := json.Unmarshal([]byte(want), &s); err != nil {
				t.Fatal(err)
			}
			if got := string(h.person("GET", "silence/"+s.ID, nil)); got != want {
				t.Errorf("a person's silence was %s, is %s", want, got)
			}
		}
	})
}

// An Alertmanager that starts has forgotten its alerts. That none fires is not believed until Prometheus had time to
// repeat them.
func TestKeeperAfterARestartOfAlertmanager(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne)
		if _, err := h.desk().Hush(t.Context(), request(untilResolved)); err != nil {
			t.Fatal(err)
		}
		k := h.keeper()
		h.keeps(k)
		h.server.Stop()
		h.server.Restart()
		if writes := append(h.keeps(k), h.keeps(h.keeper())...); len(writes) > 0 {
			t.Errorf("without a word from Prometheus: %q", writes)
		}
		h.starts(diskOne)
		h.keeps(k)
		h.resolve(diskOne)
		if writes := h.keeps(k); len(writes) != 2 {
			t.Errorf("writes %q", writes)
		}

		// A keeper that comes when all is over believes it in the end.
		h.starts(diskOne)
		made, err := h.desk().Hush(t.Context(), request(untilResolved))
		if err != nil {
			t.Fatal(err)
		}
		h.resolve(diskOne)
		k = h.keeper()
		if writes := h.keeps(k); len(writes) > 0 {
			t.Errorf("too early: %q", writes)
		}
		k.unsure = 0
		if writes := h.keeps(k); len(writes) != 2 {
			t.Errorf("writes %q", writes)
		}
		var s Silence
		if err := json.Unmarshal(h.person("GET", "silence/"+made[0].ID, nil), &s); err != nil || s.Status.State != stateExpired {
			t.Errorf("silence is %+v, %v", s, err)
		}
	})
}

// Whoever ends a hush may die between its two requests.
func TestHalfAnEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne)
		d := h.desk()
		if _, err := d.Hush(t.Context(), request(nil)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		h.wire.after = func(r *http.Request) {
			if r.Method == "POST" {
				cancel()
			}
		}
		if _, err := d.End(ctx, h.list()[0].ID, "", nil); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		h.wire.after = nil
		h.equal("silenced", h.silenced(), []string{diskOne})
		if writes := h.keeps(h.keeper()); !slices.Equal(writes, []string{"DELETE /api/v2/silence/" + h.list()[0].ID}) {
			t.Errorf("writes %q", writes)
		}
		h.equal("silenced", h.silenced(), []string{})
	})
}

// Somebody undoes a hush while it is being extended: Alertmanager makes another silence of what comes after that.
func TestUndoneWhileItIsExtended(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne)
		d := h.desk()
		d.now = func() time.Time { return time.Now().Add(9*time.Minute - lease) }
		made, err := d.Hush(t.Context(), request(untilResolved))
		if err != nil {
			t.Fatal(err)
		}
		k := h.keeper()
		undo := sync.OnceFunc(func() { h.person("DELETE", "silence/"+made[0].ID, nil) })
		h.wire.after = func(req *http.Request) {
			if req.URL.Path == "/api/v2/alerts" {
				undo()
			}
		}
		h.keeps(k)
		h.equal("silenced", h.silenced(), []string{})
		if writes := h.keeps(k); len(writes) > 0 {
			t.Errorf("writes %q", writes)
		}
	})
}

// A hush that Alertmanager refuses to extend doesn't stop the next one, unless Alertmanager is of no use at all.
func TestRefusedExtension(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		for code, want := range map[int]struct {
			err      string
			extended int
		}{
			http.StatusBadRequest:          {"hush .*: POST silences: 400 Bad Request: told to$", 1},
			http.StatusInternalServerError: {"(?s)hush .*: POST silences: 500 Internal Server Error: told to\n1 more hushes not tried$", 0},
		} {
			h.starts(diskOne, diskOther)
			d := h.desk()
			d.now = func() time.Time { return time.Now().Add(9*time.Minute - lease) }
			for _, prep := range []string{"alpha", "beta"} {
				if _, err := d.Hush(t.Context(), request(func(r *HushRequest) { untilResolved(r); r.Labels["prep"] = prep })); err != nil {
					t.Fatal(err)
				}
			}
			refused := false
			h.wire.fault = func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodGet || refused {
					return nil, nil
				}
				refused = true
				return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("told to"))}, nil
			}
			if _, err := h.keeper().Sync(t.Context()); err == nil || !regexp.MustCompile(want.err).MatchString(err.Error()) {
				t.Errorf("%d: %v", code, err)
			}
			h.wire.fault = nil
			extended := 0
			hushes, err := d.Hushes(t.Context())
			for _, hush := range hushes {
				if time.Until(hush.EndsAt) > 10*time.Minute {
					extended++
				}
				if _, err := d.End(t.Context(), hush.ID, "", nil); err != nil {
					t.Error(err)
				}
			}
			if err != nil || len(hushes) != 2 || extended != want.extended {
				t.Errorf("%d: %+v, %v", code, hushes, err)
			}
		}
	})
}
