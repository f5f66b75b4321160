package silencing

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// endsEarly is a person who ends the rule's silence, whichever state it is in.
func (h *house) endsEarly(rule string) Silence {
	h.t.Helper()
	for _, s := range h.of(rule, "") {
		if s.live() {
			h.person("DELETE", "silence/"+s.ID, nil)
			return s
		}
	}
	h.t.Fatalf("rule %s has no silence to end", rule)
	return Silence{}
}

func TestEarlyEndOutlivesAlertmanagersMemory(t *testing.T) {
	forgetful := []string{"--data.retention=100ms", "--data.maintenance-interval=200ms"}
	endAndForget := func(t *testing.T, h *house) {
		h.restart()
		h.write(threeRules)
		h.sync()
		h.endsEarly("disk")
		h.noWrites("ended by a person")
		servertest.Eventually(t, time.Minute, func() error {
			if len(h.of("disk", "")) > 0 {
				return errors.New("Alertmanager still remembers it")
			}
			return nil
		})
		h.restart()
	}
	t.Run("without a state_dir", func(t *testing.T) {
		onBoth(t, func(t *testing.T, h *house) {
			endAndForget(t, h)
			h.sync()
			h.one("disk", "active")
		}, forgetful...)
	})
	t.Run("with one", func(t *testing.T) {
		onBoth(t, func(t *testing.T, h *house) {
			h.state = filepath.Join(t.TempDir(), "made", "by", "stoker")
			endAndForget(t, h)
			h.noWrites("forgotten by Alertmanager")
			info, err := os.Stat(filepath.Join(h.state, "silences-team.json"))
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			h.write(strings.Replace(threeRules, "ends_at: {2}", "ends_at: {3}", 1))
			h.sync()
			h.one("disk", "active")
			if data := h.stateFile(); strings.Contains(data, "disk") {
				t.Errorf("still remembered after the rule was edited: %s", data)
			}
		}, forgetful...)
	})
}

func (h *house) stateFile() string {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join(h.state, "silences-team.json"))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

func TestEarlyEndThatACrashUndid(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.state = t.TempDir()
		h.restart()
		h.write(threeRules)
		h.sync()
		h.server.Restart() // with what it has on disk
		h.endsEarly("disk")
		h.endsEarly("upgrade")
		h.noWrites("ended by a person")
		h.server.Kill()
		h.server.Restart()
		h.one("disk", "active") // back from before
		h.one("upgrade", "pending")

		h.restart()
		if writes := h.sync(); len(writes) != 2 {
			t.Errorf("writes are %q, want 2", writes)
		}
		for _, rule := range []string{"disk", "upgrade"} {
			if m, _, _ := parseMark(h.one(rule, "expired").Comment); m.ended != "" {
				t.Errorf("%s is ended as %q, which no person did", rule, m.ended)
			}
		}
		h.one("flapping", "active")
		h.noWrites("again")

		h.state = ""
		h.restart()
		h.noWrites("by a replica without the memory")

		// Another one is a person's wish.
		again := h.of("disk", "expired")[0]
		again.ID, again.EndsAt = "", h.now.Add(2*time.Hour)
		h.personPosts(again)
		h.noWrites("made again by a person")
		h.one("disk", "active")
	})
}

func TestStateThatCannotBeUsed(t *testing.T) {
	h := newHouse(t, "alertmanager")
	h.state = t.TempDir()
	file := filepath.Join(h.state, "silences-team.json")
	h.write(threeRules)
	for _, text := range []string{"", "{", `{"holds": []}`, `{"holds": {"disk@once": {}}}`, `{"silences": {}}`, "\x00\xff"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		h.logs.Reset()
		h.restart()
		h.sync()
		if n := strings.Count(h.logs.String(), "starting anew with what Alertmanager remembers"); n != 1 || !strings.Contains(h.logs.String(), file) {
			t.Errorf("%q: told %d times: %s", text, n, &h.logs)
		}
		h.noWrites("once more")
		if text := h.stateFile(); text != "{\n  \"holds\": {}\n}\n" {
			t.Errorf("is now %q", text)
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	h.logs.Reset()
	h.restart()
	h.noWrites("with a sound one")
	if h.logs.Len() > 0 && strings.Contains(h.logs.String(), "starting anew") {
		t.Errorf("told though it is sound: %s", &h.logs)
	}
	h.one("disk", "active")
}

// A folder that can't be written costs the memory, and nothing else.
func TestStateThatCannotBeKept(t *testing.T) {
	h := newHouse(t, "alertmanager")
	h.state = filepath.Join(h.file, "below-a-file")
	h.restart()
	h.write(threeRules)
	if writes, _ := h.trySync(); len(writes) != 3 {
		t.Errorf("writes are %q, want 3", writes)
	}
	h.endsEarly("disk")
	for range 2 {
		_, err := h.trySync()
		if err == nil || !strings.Contains(err.Error(), "what people ended early is not remembered: ") {
			t.Errorf("error is %v", err)
		}
	}
	h.one("disk", "expired")
	h.write(strings.Replace(threeRules, "coordinated upgrade", "upgrade", 1))
	if writes, err := h.trySync(); len(writes) != 1 || err == nil {
		t.Errorf("writes %q, error %v", writes, err)
	}
	if c := h.one("upgrade", "pending").Comment; !strings.HasPrefix(c, "upgrade ") {
		t.Errorf("comment is %q", c)
	}
}

func TestNoStateWithoutNeed(t *testing.T) {
	h := newHouse(t, "alertmanager")
	h.state = filepath.Join(t.TempDir(), "none")
	h.restart()
	h.write(threeRules)
	h.sync()
	if _, err := os.Stat(h.state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made for nothing: %v", err)
	}
	h.endsEarly("disk")
	h.endsEarly("flapping")
	h.noWrites("ended by a person")
	kept := h.stateFile()
	for _, rule := range []string{"disk@once", "flapping@once"} {
		if !strings.Contains(kept, rule) {
			t.Errorf("%s is not remembered: %s", rule, kept)
		}
	}
	h.write("silences: []\n")
	h.sync()
	h.sync()
	if text := h.stateFile(); text != "{\n  \"holds\": {}\n}\n" {
		t.Errorf("remembered after the rules are gone: %s", text)
	}
}

func TestHoldIsBounded(t *testing.T) {
	var h Hold
	for i := range 100 {
		rule := oneOffRule("r", testNow, testNow.Add(time.Hour), alertA)
		o := Occurrence{Rule: &rule, ID: once, StartsAt: rule.StartsAt, EndsAt: rule.EndsAt}
		m := o.mark(owner)
		h = h.with(m.hash, []owned{{on(strings.Repeat("x", i+1), "expired", rule), m}})
	}
	if len(h.IDs) != maxHeldIDs || len(h.lastID()) != 100 {
		t.Errorf("%d IDs, the last has %d letters", len(h.IDs), len(h.lastID()))
	}
}
