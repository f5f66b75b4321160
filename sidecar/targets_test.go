package sidecar

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// Targets that have changed are written a second time by the next process, too, some seconds after it has started and
// then not any more. A pass that changes them makes them due, and is none of those that write them again.
func TestTargetsAreWrittenTwice(t *testing.T) {
	dir := t.TempDir()
	api := apiServer(t, icontest.Generate(5, 1))
	named := func(s *Sidecar, name string) *loop {
		t.Helper()
		i := slices.IndexFunc(s.loops, func(l *loop) bool { return l.name == name })
		if i < 0 {
			t.Fatalf("no agent %s", name)
		}
		return s.loops[i]
	}
	s := networkSidecar(t, dir, api.URL)
	targets := named(s, agentTargets)
	for _, want := range []bool{true, false} {
		if r := named(s, agentDiscovery).pass(t.Context()); (r.Outcome == "success") != want {
			t.Fatalf("%+v", r)
		}
		select {
		case <-targets.trigger:
			if !want {
				t.Error("nothing changed, and something is to be written again")
			}
		default:
			if want {
				t.Error("the targets changed, and nobody is told")
			}
		}
	}
	if due := time.Until(targets.next(time.Now())); due <= 0 || due > 10*time.Second {
		t.Errorf("due in %s", due)
	}
	results, err := s.SyncOnce(t.Context())
	if err != nil || len(results) != 1 || results[0].Agent != agentDiscovery {
		t.Errorf("%+v, %v", results, err)
	}

	file := filepath.Join(dir, "mainnet.json")
	inspect := func() (os.FileInfo, string) {
		t.Helper()
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return info, string(data)
	}
	synctest.Test(t, func(t *testing.T) {
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		targets := named(networkSidecar(t, dir, api.URL), agentTargets)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { targets.run(ctx); close(done) }()
		before, content := inspect()
		time.Sleep(11 * time.Second)
		again, same := inspect()
		if os.SameFile(before, again) {
			t.Error("not written again")
		}
		if same != content {
			t.Errorf("was\n%s\nand is\n%s", content, same)
		}
		time.Sleep(time.Hour)
		if later, _ := inspect(); !os.SameFile(again, later) {
			t.Error("written more than once")
		}
		if r := targets.result(); r.Outcome != "noop" {
			t.Errorf("%+v", r)
		}
		cancel()
		<-done
	})
}
