package routing

import (
	"context"
	"fmt"
	"go/scanner"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/config"
)

// generate returns the merged file, and how often the whole was loaded for it.
func (h *house) generate() (merged string, loads int) {
	h.t.Helper()
	files, err := h.agent.Generate(context.Background(), Source{Base: h.base, Live: h.live, Load: func(data []byte) (*config.Config, error) {
		loads++
		cfg, _, err := load(data)
		return cfg, err
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	return string(files[MainFile]), loads
}

// contacts returns what the agent read of each file.
func (h *house) contacts() map[string]*Contact {
	found := map[string]*Contact{}
	for _, f := range h.agent.files {
		found[f.stem] = f.contact
	}
	return found
}

// fragments returns what was made of each contact in the last Generate.
func (h *house) fragments() map[string]*fragment {
	found := map[string]*fragment{}
	for _, made := range h.agent.made.now {
		found[made.contact.Stem] = made.fragment
	}
	return found
}

// A pass reads and makes anew what changed, and nothing else. It remembers nothing of what is gone.
func TestPassRemembersTheLast(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.sync()
	first, loads := h.generate()
	read, made := h.contacts(), h.fragments()
	if loads != 1 || len(read) != 2 || len(made) != 2 {
		t.Fatalf("%d loads, read %v, made %v", loads, read, made)
	}

	again := func(what string, sameAcme, sameBravo bool) {
		t.Helper()
		h.sync()
		merged, loads := h.generate()
		if loads != 1 {
			t.Errorf("%s: the whole was loaded %d times", what, loads)
		}
		nowRead, nowMade := h.contacts(), h.fragments()
		if (nowRead["acme"] == read["acme"]) != sameAcme || (nowMade["acme"] == made["acme"]) != sameAcme {
			t.Errorf("%s: acme was read or made anew: %v", what, sameAcme)
		}
		if (nowRead["bravo"] == read["bravo"]) != sameBravo || (nowMade["bravo"] == made["bravo"]) != sameBravo {
			t.Errorf("%s: bravo was read or made anew: %v", what, sameBravo)
		}
		read, made = nowRead, nowMade
		// What is remembered changes nothing of the outcome.
		h.restart()
		h.sync()
		if fresh, _ := h.generate(); fresh != merged {
			t.Errorf("%s: a new process makes something else of it:\n%s", what, cmp.Diff(fresh, merged))
		}
	}
	// again restarts the house at its end, so each step begins with a pass that fills the memory.
	step := func(what string, change func(), sameAcme, sameBravo bool) {
		t.Helper()
		h.sync()
		h.generate()
		read, made = h.contacts(), h.fragments()
		change()
		again(what, sameAcme, sameBravo)
	}
	step("nothing changed", func() {}, true, true)
	step("acme changed", func() { h.write("contacts/acme.yml", hookContact("hx3")) }, false, true)
	step("acme is back as it was", func() { h.write("contacts/acme.yml", hookContact("hx1")) }, false, true)
	h.sync()
	if merged, _ := h.generate(); merged != first {
		t.Errorf("the same files give something else:\n%s", cmp.Diff(first, merged))
	}

	// Another base makes all fragments anew, of the same contacts.
	read, made = h.contacts(), h.fragments()
	h.base = map[string][]byte{MainFile: []byte(houseBase + "# changed\n")}
	h.sync()
	h.generate()
	if now := h.contacts(); now["acme"] != read["acme"] || h.fragments()["acme"] == made["acme"] {
		t.Error("another base reads contacts anew, or makes nothing anew")
	}

	h.remove("contacts/bravo.yml")
	for range 2 {
		h.sync()
		h.generate()
	}
	for what, n := range map[string]int{"read": len(h.agent.read.now), "made": len(h.agent.made.now)} {
		if n != 1 {
			t.Errorf("of one contact %d are remembered as %s", n, what)
		}
	}
	if h.agent.read.last != nil || h.agent.made.last != nil {
		t.Error("what the last pass had no use for is remembered")
	}
}

// A secret that changes, or goes, changes the contact, whatever its file says.
func TestSecretsAreNotRemembered(t *testing.T) {
	h := newHouse(t)
	h.write("secrets/acme.hook", "https://hooks.acme.example/1")
	h.write("contacts/acme.yml", strings.Replace(hookContact("hx1"), `url: "https://hooks.acme.example/hx1"`, "url: { secret: hook }", 1))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	if _, problems := h.sync(); problems != "" || !strings.Contains(string(h.agent.files[0].source), "secret") {
		t.Fatal(problems, string(h.agent.files[0].source))
	}
	if changed, _ := h.sync(); changed {
		t.Error("the same is taken for a change")
	}
	h.write("secrets/acme.hook", "https://hooks.acme.example/2")
	if changed, problems := h.sync(); !changed || problems != "" {
		t.Errorf("a changed secret: changed %v, problems %q", changed, problems)
	}
	h.remove("secrets/acme.hook")
	if changed, problems := h.sync(); !changed || !strings.Contains(problems, `secret "hook" can't be read`) {
		t.Errorf("a secret that is gone: changed %v, problems %q", changed, problems)
	}
}

// One whose last good version stands in is no reason to load the whole twice, nor to read the others of the live
// release.
func TestQuarantineLoadsOnce(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.sync()
	h.publish()
	h.write("contacts/acme.yml", "kind: operator\n")
	h.sync()
	merged, loads := h.generate()
	if loads != 1 || !strings.Contains(merged, "contact/acme/hook") {
		t.Errorf("loaded %d times:\n%s", loads, merged)
	}
	held := h.agent.reread.now[contactsFolder+"/acme.yml"].contact
	if held == nil || len(h.agent.reread.now) != 1 {
		t.Error("of the live release not just acme was read")
	}
	h.sync()
	h.generate()
	if h.agent.reread.now[contactsFolder+"/acme.yml"].contact != held {
		t.Error("the last good version was read anew")
	}
}

// What Alertmanager refuses, or is crashed by, is taken out if it is somebody's fault, and refused as a whole if it is
// nobody's alone.
func TestRefusedByAlertmanager(t *testing.T) {
	list := func(key, items string) map[string][]byte { return map[string][]byte{key: []byte(items)} }
	good := func(stem string) candidate {
		return candidate{stem: stem, fragment: &fragment{file: stem + ".yml", items: list(receiversList, "- name: contact/"+stem+"/mail\n")}}
	}
	for name, test := range map[string]struct {
		guilty candidate
		want   string // "" if nobody is guilty alone
		err    string
	}{
		"undefined receiver": {
			candidate{stem: "bad", fragment: &fragment{file: "bad.yml", items: list(routesList, "- receiver: contact/bad/x\n")}},
			`bad.yml: refused by Alertmanager: undefined receiver "contact/bad/x" used in route`, "",
		},
		"crasher": {
			candidate{stem: "bad", fragment: &fragment{file: "bad.yml", items: list(routesList, "- null\n")}},
			"bad.yml: refused by Alertmanager: crashes Alertmanager when it is loaded: runtime error: invalid memory address or nil pointer dereference", "",
		},
		"collision": {
			candidate{stem: "bad", fragment: &fragment{file: "bad.yml", items: list(receiversList, "- name: contact/acme/mail\n")}},
			"", `merged configuration: notification config name "contact/acme/mail" is not unique`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, problems := readBase(MainFile, []byte(anyBase), "")
			if problems.Len() > 0 {
				t.Fatal(problems)
			}
			m, err := b.merge([]candidate{good("acme"), test.guilty, good("zulu")}, testSite())
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil || len(m.accepted) != 2 || len(m.rejected) != 1 || m.rejected["bad"].Error() != test.want {
				t.Fatalf("accepted %v, rejected %v, error %v", m.accepted, m.rejected, err)
			}
			loadFile(t, m.data)
		})
	}
}

// A contact that only Alertmanager refuses keeps its last good version, and isn't tried again.
func TestRefusedContactIsHeld(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.sync()
	h.publish()
	h.write("contacts/acme.yml", hookContact("hx3"))
	// With it all fails, then it alone, then the rest is loaded by itself, and with the last good version.
	for pass, want := range []int{4, 1, 1} {
		loads := 0
		h.sync()
		files, err := h.agent.Generate(context.Background(), Source{Base: h.base, Live: h.live, Load: func(data []byte) (*config.Config, error) {
			loads++
			if strings.Contains(string(data), "hx3") {
				return nil, fmt.Errorf("%w", scanner.ErrorList{noPosition("alertmanager.yml", "I don't like `hx3`")})
			}
			cfg, _, err := load(data)
			return cfg, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		// The good one was tried alone, too.
		if pass == 0 {
			loads--
		}
		if merged := string(files[MainFile]); loads != want || !strings.Contains(merged, "hx1") || !strings.Contains(merged, "hx2") {
			t.Errorf("pass %d: %d loads, merged\n%s", pass, loads, merged)
		}
		if got := h.agent.Status().Contacts[0]; !got.Routed || !strings.Contains(got.Problems.Error(), "acme.yml: refused by Alertmanager: I don't like `…`") {
			t.Errorf("pass %d: status %+v", pass, got)
		}
	}
}

// A contact whose test fails is found out once, and then left out without another load.
func TestFailedTestIsRemembered(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", hookContact("hx2")+"tests: [ { labels: { alertname: X }, notify: [] } ]\n")
	for pass, want := range []int{2, 1, 1} {
		h.sync()
		merged, loads := h.generate()
		if loads != want || !strings.Contains(merged, "contact/acme/") || strings.Contains(merged, "contact/bravo/") {
			t.Errorf("pass %d: %d loads, merged\n%s", pass, loads, merged)
		}
		if problems := h.agent.Status().Contacts[1].Problems; problems.Len() != 1 || !strings.Contains(problems[0].Msg, "test expects nobody") {
			t.Errorf("pass %d: %v", pass, problems)
		}
	}
	h.write("contacts/bravo.yml", hookContact("hx2")+"tests: [ { labels: { alertname: X }, notify: [hook] } ]\n")
	h.sync()
	if merged, loads := h.generate(); loads != 1 || !strings.Contains(merged, "contact/bravo/") {
		t.Errorf("corrected: %d loads, merged\n%s", loads, merged)
	}
}

// Another key of the page means other links for everybody who has one, at once and for what is remembered or kept as well.
func TestPassKnowsAnotherKey(t *testing.T) {
	h := newHouse(t)
	key := "first"
	h.opts.HushURL = func(stem string) string {
		if key == "" {
			return ""
		}
		return "https://hush.example.org/hush/" + stem + "/" + key
	}
	h.restart()
	h.write("contacts/acme.yml", strings.ReplaceAll(hookContact("hx1"), `webhook: { url: "https://hooks.acme.example/hx1" }`, `email: { to: a@acme.example }`))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	links := func(want string) {
		t.Helper()
		h.publish()
		main := string(h.live.(fstest.MapFS)[MainFile].Data)
		if n := strings.Count(main, "https://hush.example.org/"); n != strings.Count(main, "https://hush.example.org/hush/acme/"+want+"?{{") || n != 2 {
			t.Errorf("%d links, not all to %s:\n%s", n, want, main)
		}
	}
	h.expect(true, "", "acme/hook", "bravo/hook")
	links("first")
	bravo := h.fragments()["bravo"]
	h.expect(false, "", "acme/hook", "bravo/hook")
	key = "second"
	h.expect(true, "", "acme/hook", "bravo/hook")
	links("second")
	if bravo == h.fragments()["bravo"] {
		t.Error("what was made with another key is taken for this one's")
	}
	h.write("contacts/acme.yml", "kind: operator\n")
	key = "third"
	if changed, problems := h.sync(); !changed || problems == "" {
		t.Errorf("changed %t, problems %s", changed, problems)
	}
	links("third")
	key = ""
	h.sync()
	h.publish()
	if main := string(h.live.(fstest.MapFS)[MainFile].Data); strings.Contains(main, "hush.example.org") || strings.Contains(main, "stoker.hush.query") {
		t.Errorf("there is no page, but a link:\n%s", main)
	}
	if log := h.log.String(); strings.Contains(log, "hush.example.org") || strings.Contains(log, "third") {
		t.Errorf("a link is logged:\n%s", log)
	}
}
