package routing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (h *house) link(target, name string) {
	h.t.Helper()
	if err := os.Symlink(target, filepath.Join(h.dir, name)); err != nil {
		h.t.Fatal(err)
	}
}

// readable lists what readFolder finds: the stems of contacts, and the problems of other files.
func (h *house) readable() []string {
	h.t.Helper()
	files, err := readFolder(context.Background(), h.opts.Contacts.Dir, testSite())
	if err != nil {
		h.t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		if f.contact != nil {
			found = append(found, f.name+": "+f.contact.Stem)
		}
		for _, p := range f.problems {
			found = append(found, strings.ReplaceAll(p.Error(), h.dir+"/", ""))
		}
	}
	return found
}

func TestFolder(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/eu/de/bravo.yml", hookContact("hx2"))
	h.write("contacts/charlie.yaml", hookContact("hx3"))
	h.write("contacts/Delta.yml", hookContact("hx4"))
	h.write("contacts/echo.yml", hookContact("hx5"))
	h.write("contacts/us/echo.yml", hookContact("hx6"))
	h.write("contacts/foxtrot.yml/golf.yml", hookContact("hx7"))
	h.write("contacts/README.md", "no contact")
	h.write("contacts/.github/workflows/check.yml", "no contact")
	h.write("contacts/.hidden.yml", "no contact")
	h.write("outside.yml", hookContact("hx8"))
	h.link("../outside.yml", "contacts/hotel.yml")
	h.link(filepath.Join(h.dir, "outside.yml"), "contacts/india.yml")
	h.link("acme.yml", "contacts/juliett.yml")
	h.link("eu", "contacts/kilo")
	h.link("nowhere", "contacts/lima.yml")
	want := []string{
		"contacts/Delta.yml: file name must match [a-z0-9-]+.yml",
		"acme.yml: acme",
		"contacts/charlie.yaml: contact files end in .yml, rename it to charlie.yml",
		"contacts/echo.yml: has the same name as contacts/us/echo.yml, rename one of them",
		"eu/de/bravo.yml: bravo",
		"foxtrot.yml/golf.yml: golf",
		"contacts/hotel.yml: is a link that isn't followed, path escapes from parent: put the file itself here",
		"contacts/india.yml: is a link that isn't followed, path escapes from parent: put the file itself here",
		"juliett.yml: juliett",
		"contacts/kilo: is a link to a folder, which is not followed",
		"contacts/lima.yml: is a link that isn't followed, no such file or directory: put the file itself here",
		"contacts/us/echo.yml: has the same name as contacts/echo.yml, rename one of them",
	}
	if diff := cmp.Diff(want, h.readable()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// A mounted ConfigMap links every file to ..data, which links to a folder of one version. The links to new
// files come last.
func TestFolderOfConfigMap(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/..2026_11_25/acme.yml", hookContact("hx1"))
	h.write("contacts/..2026_11_25/bravo.yml", hookContact("hx2"))
	h.write("contacts/..2026_11_25/new.yml", hookContact("hx3"))
	h.link("..2026_11_25", "contacts/..data")
	h.link("..data/acme.yml", "contacts/acme.yml")
	h.link("..data/bravo.yml", "contacts/bravo.yml")
	if diff := cmp.Diff([]string{"acme.yml: acme", "bravo.yml: bravo", "new.yml: new"}, h.readable()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// What looks like a ConfigMap in a folder of files hides nobody's contact: a pull request could bring it.
func TestFolderIsNoConfigMap(t *testing.T) {
	for name, data := range map[string]func(*house){
		"folder": func(h *house) { h.write("contacts/..data/evil.yml", hookContact("hx2")) },
		"link": func(h *house) {
			h.write("contacts/..v1/evil.yml", hookContact("hx2"))
			h.link("..v1", "contacts/..data")
		},
		"link beside links": func(h *house) {
			h.write("contacts/..v1/evil.yml", hookContact("hx2"))
			h.link("..v1", "contacts/..data")
			h.link("acme.yml", "contacts/bravo.yml")
		},
		"broken link": func(h *house) { h.link("gone", "contacts/..data") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.write("contacts/acme.yml", hookContact("hx1"))
			data(h)
			if got := h.readable(); got[0] != "acme.yml: acme" || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "evil") }) {
				t.Errorf("found %q", got)
			}
		})
	}
}

// git-sync moves a link to the folder itself.
func TestFolderBehindLink(t *testing.T) {
	h := newHouse(t)
	h.write("worktrees/1/contacts/acme.yml", hookContact("hx1"))
	h.link("worktrees/1", "current")
	h.opts.Contacts.Dir = filepath.Join(h.dir, "current/contacts")
	if diff := cmp.Diff([]string{"acme.yml: acme"}, h.readable()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// A version is never half-read: while git-sync moves the link over and over, and removes every old version at once, it
// is always all contacts of one version.
func TestFolderIsReadInOneVersion(t *testing.T) {
	for _, kind := range []string{"git-sync", "ConfigMap"} {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t)
			dir, link := filepath.Join(h.dir, "current"), filepath.Join(h.dir, "current")
			if kind == "ConfigMap" {
				dir = filepath.Join(h.dir, "contacts")
				link = filepath.Join(dir, "..data")
			}
			const contacts = 20
			old := ""
			swap := func(version int) {
				next := filepath.Join(filepath.Dir(link), fmt.Sprintf("..v%d", version))
				errs := []error{os.MkdirAll(next, 0o755)}
				for i := range contacts {
					errs = append(errs, os.WriteFile(filepath.Join(next, fmt.Sprintf("c%02d.yml", i)), fmt.Appendf(nil, "version %d", version), 0o644))
				}
				errs = append(errs, os.Symlink(filepath.Base(next), link+".tmp"), os.Rename(link+".tmp", link))
				if old != "" {
					errs = append(errs, os.RemoveAll(old))
				}
				old = next
				if err := errors.Join(errs...); err != nil {
					t.Error(err)
				}
			}
			swap(0)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for version := 1; ctx.Err() == nil; version++ {
					swap(version)
				}
			}()
			defer func() { cancel(); <-done }()
			good := 0
			for range 300 {
				files, err := readFolder(t.Context(), dir, Site{})
				if err != nil {
					if !strings.Contains(err.Error(), "faster than it can be read") && !strings.Contains(err.Error(), "no such file") {
						t.Fatal(err)
					}
					continue // Too fast to follow, and said so.
				}
				good++
				if len(files) != contacts {
					t.Fatalf("%d contacts, want %d", len(files), contacts)
				}
				for _, f := range files {
					if string(f.source) != string(files[0].source) {
						t.Fatalf("%s and %s of one folder", f.source, files[0].source)
					}
				}
			}
			if good == 0 {
				t.Error("no version was ever read")
			}
		})
	}
}
