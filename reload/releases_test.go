package reload_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload"
)

// dated makes the live release look as old as it says, so that the order of releases doesn't depend on the clock of
// the file system.
func (b *bench) dated(at time.Time) {
	b.t.Helper()
	root, err := filepath.EvalSymlinks(filepath.Join(b.out, "live"))
	if err == nil {
		err = os.Chtimes(root, at, at)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func releases(t *testing.T, a *reload.Agent) []reload.Release {
	t.Helper()
	list, err := a.Releases()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The newest is first, and each says what changed since the one before.
func TestReleasesSayWhatChanged(t *testing.T) {
	b := newBench(t, map[string]string{
		"prometheus.yml": "rule_files: ['rules/*.yml']\n",
		"rules/a.yml":    "groups: []\n",
		"rules/b.yml":    "groups: []\n",
	})
	a := b.publishOnly(reload.NewPrometheus, nil)
	if list := releases(t, a); list != nil {
		t.Errorf("before the first release: %+v", list)
	}
	began := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	mustSync(t, a, true)
	b.dated(began)
	first := a.Status().Live

	b.write("rules/a.yml", "groups: [ ]\n")
	b.write("rules/b.yml", "")
	b.write("rules/<c>.yml", "groups: []\n")
	mustSync(t, a, true)
	b.dated(began.Add(time.Hour))
	second := a.Status().Live

	b.write("rules/a.yml", "groups: [\n]\n") // as many bytes as before
	mustSync(t, a, true)
	b.dated(began.Add(2 * time.Hour))
	third := a.Status().Live

	want := []reload.Release{
		{Name: third, Published: began.Add(2 * time.Hour), Live: true, Files: 3, Changed: []string{"~rules/a.yml"}},
		{Name: second, Published: began.Add(time.Hour), Files: 3, Changed: []string{"+rules/<c>.yml", "~rules/a.yml", "-rules/b.yml"}},
		{Name: first, Published: began, Files: 3},
	}
	for range 2 { // the second time from memory
		list := releases(t, a)
		if len(list) != len(want) {
			t.Fatalf("%d releases, want %d: %+v", len(list), len(want), list)
		}
		for i, r := range list {
			w := want[i]
			if r.Name != w.Name || !r.Published.Equal(w.Published) || r.Live != w.Live || r.Proved || r.Files != w.Files || !slices.Equal(r.Changed, w.Changed) {
				t.Errorf("release %d is %+v, want %+v", i, r, w)
			}
		}
	}
}

// What only stoker reads is one change, whatever it is, and no file of the server.
func TestReleasesKeepContactsTogether(t *testing.T) {
	b := newBench(t, map[string]string{"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\n"})
	contacts := map[string][]byte{".stoker/contacts/a.yml": []byte("name: A\n")}
	a := b.publishOnly(reload.NewAlertmanager, generated(contacts))
	mustSync(t, a, true)
	b.dated(time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC))
	contacts[".stoker/contacts/a.yml"] = []byte("name: A # of A\n")
	contacts[".stoker/contacts/b.yml"] = []byte("name: B\n")
	mustSync(t, a, true)
	if r := releases(t, a)[0]; r.Files != 1 || !slices.Equal(r.Changed, []string{"~.stoker/"}) {
		t.Errorf("release is %+v", r)
	}
}

// Old releases are removed while somebody looks.
func TestReleasesDuringAPrune(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	a := b.publishOnly(reload.NewPrometheus, nil)
	mustSync(t, a, true)
	done := make(chan error)
	go func() {
		var errs []error
		for i := range 100 {
			name := filepath.Join(b.source, "prometheus.yml")
			errs = append(errs, os.WriteFile(name, []byte(strings.ReplaceAll(goodMain, "one", strings.Repeat("x", i+1))), 0o644))
			_, err := sync(t, a)
			errs = append(errs, err)
		}
		done <- errors.Join(errs...)
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if list := releases(t, a); len(list) != 5 {
				t.Errorf("%d releases are left, want 5: %+v", len(list), list)
			}
			return
		default:
			if list := releases(t, a); len(list) == 0 {
				t.Fatal("no releases")
			}
		}
	}
}

// generated is a generator that adds files.
func generated(files map[string][]byte) reload.Generate {
	return func(context.Context, reload.Source) (map[string][]byte, error) {
		return maps.Clone(files), nil
	}
}
