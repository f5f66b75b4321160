package routing

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// A replica that starts from the same release, and never saw a good version of a file, says and does the same.
func TestQuarantineOnEveryReplica(t *testing.T) {
	first := newHouse(t)
	first.write("contacts/acme.yml", hookContact("hx1"))
	first.write("contacts/bravo.yml", hookContact("hx2"))
	first.expect(true, "", "acme/hook", "bravo/hook")

	bad := strings.Replace(hookContact("hx1"), "https", "http", 1)
	const problem = "contacts/acme.yml:5:44: url must begin with https://"
	second := newHouse(t)
	second.live = first.live
	for _, h := range []*house{first, second} {
		h.write("contacts/acme.yml", bad)
		h.write("contacts/bravo.yml", hookContact("hx3"))
		h.write("contacts/new.yml", bad)
		h.restart()
		if _, problems := h.sync(); problems != problem+" (and 1 more errors)" {
			t.Errorf("problems: %s", problems)
		}
		if d := cmp.Diff([]string{"acme/hook", "bravo/hook"}, h.publish()); d != "" {
			t.Errorf("receivers (-want +got):\n%s", d)
		}
		h.expectMetrics(1, 2, 0, `file="acme.yml",routed="true"`, `file="new.yml",routed="false"`)
	}
	a, b := first.live.(fstest.MapFS), second.live.(fstest.MapFS)
	if len(a) != len(b) {
		t.Errorf("%d files, and %d on the other replica", len(a), len(b))
	}
	for name := range a {
		if d := cmp.Diff(string(a[name].Data), string(b[name].Data)); d != "" {
			t.Errorf("%s differs from replica to replica:\n%s", name, d)
		}
	}
	if string(a[contactsFolder+"/acme.yml"].Data) != hookContact("hx1") {
		t.Error("the good source is forgotten")
	}
}

// The name of a file or a folder may be any bytes. One that isn't text is that file's problem, and not that of the others, nor
// that of the metrics.
func TestNamesThatAreNotText(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.expect(true, "", "acme/hook")
	h.write("contacts/acme.yml", hookContact("hx2"))
	h.write("contacts/b\xff.yml", hookContact("hx3"))
	h.write(`contacts/b\xff.yml`, hookContact("hx3"))
	h.write("contacts/c\xff/charlie.yml", hookContact("hx4"))
	h.expect(true, "contacts/b\\xff.yml: file name must match [a-z0-9-]+.yml (and 2 more errors)", "acme/hook")
	if !strings.Contains(string(h.live.(fstest.MapFS)[MainFile].Data), "hx2") {
		t.Error("the others don't go on")
	}
	h.expectMetrics(1, 3, 0, `file="c\\xff",routed="false"`, `file="b\\xff.yml",routed="false"`, `file="b\\\\xff.yml",routed="false"`)
}

// A file full of problems doesn't fill the log.
func TestLogIsBounded(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", hookContact("hx2")+numbered(1000, "b%d: 1\n"))
	h.sync()
	h.publish()
	if n := strings.Count(h.log.String(), "contact rejected"); n != maxLogged {
		t.Errorf("%d lines about one file:\n%s", n, h.log)
	}
	if want := `msg="and more problems, stoker check lists them" file=bravo.yml problems=1000`; !strings.Contains(h.log.String(), want) {
		t.Errorf("log:\n%s\nwant %s", h.log, want)
	}
}

// Whatever keeps the folder from being read, nothing changes; with no release yet, the base goes live alone.
func TestFolderThatCantBeRead(t *testing.T) {
	h := newHouse(t)
	unreadable := map[string]func(){
		"contacts: not a directory":                   func() { h.write("contacts", "x") },
		"contacts: too many levels of symbolic links": func() { h.link("contacts", "contacts") },
		"contacts: no such file or directory":         func() {},
		"contacts: holds no contact file, <stem>.yml": func() { h.write("contacts/README.md", "x") },
		"contacts: ..data: no such file or directory": func() {
			h.write("contacts/..version/acme.yml", hookContact("hx9"))
			h.link("..data/acme.yml", "contacts/acme.yml")
			h.link("..gone", "contacts/..data")
		},
	}
	try := func(receivers ...string) {
		t.Helper()
		for problem, make := range unreadable {
			h.remove("contacts")
			make()
			h.restart()
			h.expect(false, problem, receivers...)
			h.expectMetrics(len(receivers), 0, 1)
		}
		h.remove("contacts")
	}
	try()
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.restart()
	h.expect(true, "", "acme/hook", "bravo/hook")
	before := h.live.(fstest.MapFS)
	try("acme/hook", "bravo/hook")
	for name, f := range h.live.(fstest.MapFS) {
		if string(f.Data) != string(before[name].Data) {
			t.Errorf("%s changed", name)
		}
	}
}

// Of two files with one stem neither is believed: the contact stays as it was, or is in no release at all.
func TestDoublesKeepTheLastGood(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.expect(true, "", "acme/hook")
	h.write("contacts/eu/acme.yml", hookContact("hx2"))
	h.write("contacts/us/new.yml", hookContact("hx3"))
	h.write("contacts/eu/new.yml", hookContact("hx4"))
	if _, problems := h.sync(); problems != "contacts/acme.yml: has the same name as contacts/eu/acme.yml, rename one of them (and 3 more errors)" {
		t.Errorf("problems: %s", problems)
	}
	if d := cmp.Diff([]string{"acme/hook"}, h.publish()); d != "" {
		t.Errorf("receivers (-want +got):\n%s", d)
	}
	if string(h.live.(fstest.MapFS)[contactsFolder+"/acme.yml"].Data) != hookContact("hx1") {
		t.Error("one of the two was believed")
	}
	h.expectMetrics(0, 4, 0, `file="acme.yml",routed="true"`, `file="eu/acme.yml",routed="true"`,
		`file="us/new.yml",routed="false"`, `file="eu/new.yml",routed="false"`)
}
