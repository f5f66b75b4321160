package routing

import (
	"errors"
	"go/scanner"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/dispatch"
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
		merged, err := mergeFor(libraryVersion, base, []*Contact{c}, testSite())
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

// FuzzMerge: whatever the base and the contact, Alertmanager loads the result and does with alerts what the base asks, or
// there is no result.
func FuzzMerge(f *testing.F) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, data := range bases(f) {
		f.Add(data, []byte(randomOperator(r)))
	}
	for range 20 {
		f.Add([]byte(randomBase(r)), []byte(randomSubscriber(r)))
	}
	for _, fact := range []string{
		"route: {receiver: a, routes: [null]}\nreceivers: [{name: a}]\n", "route: &r {receiver: a}\nreceivers: [{name: a}]\nx: *r\n",
		"route: {receiver: a, routes: &l [{receiver: a}]}\nreceivers: [{name: a}]\ntime_intervals: ~\n", "route: {receiver: contact/x/y}\nreceivers: [{name: contact/x/y}]\n",
		"? route\n: receiver: contacts\nreceivers:\n- name: contacts\n", "route: {receiver: contactsroutes}\nreceivers: [{name: contactsroutes}]\n",
	} {
		f.Add([]byte(fact), []byte(hookContact("hx1")))
	}
	addArchives(f, func(base, contact []byte) { f.Add(base, contact) })
	others := randomContacts(f, r, 3)
	f.Fuzz(func(t *testing.T, base, source []byte) {
		contacts := others
		if c, err := ParseContact("acme.yml", source, testSite()); err == nil {
			c.tests = nil // they say what they say
			contacts = append(slices.Clone(others), c)
		}
		r := rand.New(rand.NewPCG(11, 12))
		merged, err := Merge(base, contacts, testSite())
		if err != nil {
			var problems scanner.ErrorList
			if errors.As(err, &problems) && strings.HasPrefix(problems[0].Pos.Filename, "acme.yml") {
				expectPositions(t, "acme.yml", err, true) // it needs something of the base
				return
			}
			expectPositions(t, MainFile, err, true)
			return
		}
		alone, _, err := load(base)
		if err != nil {
			t.Fatalf("Alertmanager refuses the base, but not the result: %v", err)
		}
		before, after := dispatch.NewRoute(alone.Route, nil), dispatch.NewRoute(loadFile(t, merged).Route, nil)
		names, values := append(labelNames(before), severityLabel, DefaultIdentityLabel), labelValues(string(base))
		for range 20 {
			set := randomLabels(r, names, values)
			if diff := cmp.Diff(decisions(before, set, false), decisions(after, set, false)); diff != "" {
				t.Fatalf("contacts change what the base does with %s (-alone +merged):\n%s", set, diff)
			}
		}
		if again, err := Merge(base, contacts, testSite()); err != nil || string(again) != string(merged) {
			t.Errorf("the same again gives other bytes, error %v", err)
		}
		Lint(MainFile, base, Options{})
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
