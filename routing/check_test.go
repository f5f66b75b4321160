package routing

import (
	"context"
	"go/scanner"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (h *house) check(base map[string][]byte) (problems, warnings []string) {
	h.t.Helper()
	lines := func(list scanner.ErrorList) (all []string) {
		for _, p := range list {
			all = append(all, strings.ReplaceAll(p.Error(), h.dir+"/", ""))
		}
		return all
	}
	p, w, _ := Check(context.Background(), h.opts, base)
	return lines(p), lines(w)
}

func (h *house) expectCheck(base map[string][]byte, problems, warnings []string) {
	h.t.Helper()
	gotProblems, gotWarnings := h.check(base)
	if diff := cmp.Diff(problems, gotProblems); diff != "" {
		h.t.Errorf("problems (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(warnings, gotWarnings); diff != "" {
		h.t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// expectNote holds what contacts alone are noted with against one note, or none.
func (h *house) expectNote(want ...string) {
	h.t.Helper()
	if _, _, notes := Check(h.t.Context(), h.opts, nil); !slices.Equal(notes, want) {
		h.t.Errorf("notes %q, want %q", notes, want)
	}
}

func TestCheck(t *testing.T) {
	h := newHouse(t)
	h.opts.BaseDir = h.dir + "/base"
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.expectCheck(h.base, nil, nil)

	h.write("contacts/bravo.yml", "kind: operater\n")
	h.write("contacts/charlie.yml", strings.ReplaceAll(hookContact("hx3"), `"https://hooks.acme.example/hx3"`, "{ secret: url }"))
	h.write("contacts/delta.yml", hookContact("hx4")+"tests: [ { labels: { severity: info }, notify: [] } ]\n")
	h.base[MainFile] = []byte(houseBase + "future: 1\ninhibit_rules:\n- source_matchers: [ a=b ]\n  target_matchers: [ c=d ]\n  equal: [ network ]\n- source_matchers: [ a=b ]\n  target_matchers: [ c=d ]\n  equal: [ prep ]\n")
	warnings := []string{
		`base/alertmanager.yml:13:1: field future not found in type config.plain, Alertmanager refuses it unless it is newer than stoker`,
		`base/alertmanager.yml:15:3: inhibit rule without "prep" in equal: an alert of one operator mutes those of others`,
	}
	problems := []string{
		`contacts/bravo.yml:1:7: kind "operater" not known, did you mean "operator"?`,
		`contacts/charlie.yml:5:54: secret "url" can't be read: open secrets/charlie.url: no such file or directory`,
		`contacts/delta.yml:7:48: test expects nobody, but hook would be told about {prep="hx4", severity="info"}`,
	}
	h.expectCheck(h.base, problems, warnings)

	h.base[MainFile] = []byte("route:\n  receiver: tema\n")
	h.expectCheck(h.base, append([]string{`base/alertmanager.yml:2:13: undefined receiver "tema" used in route`}, problems[:2]...), nil)
	delete(h.base, MainFile)
	h.expectCheck(h.base, append([]string{"base/alertmanager.yml: missing"}, problems[:2]...), nil)
}

// The repository of contacts is checked where there is no base, no secret and no key.
func TestCheckContactsOnly(t *testing.T) {
	h := newHouse(t)
	h.opts = Options{Contacts: ContactsConfig{Dir: h.opts.Contacts.Dir}}
	h.expectCheck(nil, []string{"contacts: holds no contact file, <stem>.yml"}, nil)

	key := newKeyPair(t)
	h.write("contacts/acme.yml", `
kind: operator
name: Acme
owner: hx1
contact_methods:
  a: { email: { to: `+key.encrypt("noc@acme.example")+` } }
  b: { telegram: { chat_id: { secret: chat }, bot_token: { secret: bot } } }
  c: { telegram: { chat_id: { secret: chat } } }
  d: { slack: { api_url: { secret: talk } } }
  e: { slack: { channel: "#acme" } }
  f: { webhook: { url: { secret: url } } }
notification_rules:
- { notify: [a, b, c, d, e, f] }
tests:
- { labels: { alertname: NodeDown }, notify: [a, b, c, d, e, f] }
`)
	h.expectCheck(nil, nil, nil)
	h.expectNote("some secrets or encrypted values are not at hand here, they were checked in structure only")

	h.write("contacts/bravo.yml", hookContact("hx2")+"tests: [ { labels: { severity: info }, notify: [hok] } ]\n")
	h.expectCheck(nil, []string{`contacts/bravo.yml:7:49: contact method "hok" not known, did you mean "hook"?`}, nil)

	h.remove("contacts")
	h.expectCheck(nil, []string{"contacts: no such file or directory"}, nil)
	h.opts.IdentityLabel = "not a label"
	h.expectCheck(nil, []string{`identity_label: "not a label" is not a label name, it must match [a-zA-Z_][a-zA-Z0-9_]*`}, nil)
}

// Templates of the base that have names of the shipped ones would be other templates in a release.
func TestCheckReservedTemplates(t *testing.T) {
	h := newHouse(t)
	h.opts.BaseDir = h.dir + "/base"
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.base["templates/a.tmpl"] = []byte("{{ define \"team.stoker.x\" }}{{ end }}\n  {{- define `stoker.hush` }}{{ end }}\n{{ template \"stoker.hush\" . }}{{ block \"stoker.x\" . }}{{ end }}\n")
	h.base[templatesFile] = []byte("{{ define \"mine\" }}{{ end }}")
	h.expectCheck(h.base, []string{
		"base/stoker/contacts.tmpl: the name of this file belongs to contacts, rename it",
		"base/templates/a.tmpl:2:3: templates whose names begin with stoker. belong to contacts, rename this one",
		"base/templates/a.tmpl:3:31: templates whose names begin with stoker. belong to contacts, rename this one",
	}, nil)
}

// A repository that holds only contacts doesn't say which Alertmanager runs, and one that nobody has stands in for it. Beside
// a base, the oldest does.
func TestCheckVersion(t *testing.T) {
	h := newHouse(t)
	h.opts.BaseDir = h.dir + "/base"
	contact := strings.ReplaceAll(hookContact("hx1"), "{ webhook: { url:", "{ msteams: { webhook_url:")
	h.write("contacts/acme.yml", contact)
	h.expectCheck(nil, nil, nil)
	const unknown = "contacts/acme.yml:5:20: msteams needs Alertmanager 0.28 or newer, and it isn't known which one runs: alertmanager.version in stoker.yml can say it"
	h.expectCheck(h.base, []string{unknown}, nil)
	for version, want := range map[string][]string{
		"0.27.0": {"contacts/acme.yml:5:20: msteams needs Alertmanager 0.28 or newer, 0.27.0 runs"},
		"0.28.0": nil, "v0.34.2": nil, "0.100.0-rc.1": nil, "1.0.0": nil,
	} {
		h.opts.AlertmanagerVersion = version
		h.expectCheck(h.base, want, nil)
		h.expectCheck(nil, want, nil)
	}

	// That is said once, at however many times the method is told.
	h.opts.AlertmanagerVersion = "0.27.0"
	h.write("contacts/acme.yml", strings.Replace(contact, "[hook] }", "[hook] }, { notify: [hook], after: 15m }", 1))
	h.expectCheck(nil, []string{"contacts/acme.yml:5:20: msteams needs Alertmanager 0.28 or newer, 0.27.0 runs"}, nil)
}
