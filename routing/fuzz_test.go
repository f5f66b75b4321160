package routing

import (
	"errors"
	"go/scanner"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParseContact: a file is a contact that can be merged, or has problems with positions.
func FuzzParseContact(f *testing.F) {
	files, _ := filepath.Glob("testdata/invalid-*.yml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	addArchives(f, func(_, contact []byte) { f.Add(contact) })
	base := []byte(anyBase)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseContact("acme.yml", data, testSite())
		if err != nil {
			expectPositions(t, "acme.yml", err, len(data) <= maxContactFile)
			return
		}
		merged, err := Merge(base, []*Contact{c}, testSite())
		if err != nil {
			if len(c.tests) == 0 {
				t.Fatalf("a contact without problems can't be merged: %v", err)
			}
			expectPositions(t, "acme.yml", err, true)
			return
		}
		loadFile(t, merged)
	})
}

// FuzzMerge: whatever the base, Alertmanager loads the result or there is none.
func FuzzMerge(f *testing.F) {
	for _, data := range bases(f) {
		f.Add(data, []byte(hookContact("hx1")))
	}
	addArchives(f, func(base, contact []byte) { f.Add(base, contact) })
	f.Fuzz(func(t *testing.T, base, contact []byte) {
		c, err := ParseContact("acme.yml", contact, testSite())
		if err != nil {
			return
		}
		merged, err := Merge(base, []*Contact{c}, testSite())
		if err != nil {
			return
		}
		loadFile(t, merged)
		if again, err := Merge(base, []*Contact{c}, testSite()); err != nil || string(again) != string(merged) {
			t.Errorf("the same again gives other bytes, error %v", err)
		}
	})
}

func addArchives(f *testing.F, add func(base, contact []byte)) {
	files, _ := filepath.Glob("testdata/merge/*.txtar")
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var base []byte
		for _, member := range archive.Files {
			switch {
			case member.Name == "base.yml":
				base = member.Data
			case filepath.Dir(member.Name) == "contacts":
				add(base, member.Data)
			}
		}
	}
}

func expectPositions(t *testing.T, file string, err error, inside bool) {
	t.Helper()
	var problems scanner.ErrorList
	if !errors.As(err, &problems) || problems.Len() == 0 {
		t.Fatalf("not a list of problems: %v", err)
	}
	for _, p := range problems {
		if p.Pos.Filename != file || inside && (p.Pos.Line < 1 || p.Pos.Column < 1) {
			t.Errorf("problem without a position: %v", p)
		}
	}
}
