package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// TestRepeat: each change is written twice, the second time with the same bytes and
// to another inode, so that whoever watches the folder hears of it.
func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 5)
		acme := s.network.PReps()[0].Address()
		s.serve("acme.node")
		path, owned := filepath.Join(s.dir, "testnet.json"), filepath.Join(s.dir, OwnedDir, "testnet.json")
		// repeat expects that a Repeat now writes the given files only, and no other bytes.
		repeat := func(what string, want ...string) {
			t.Helper()
			before := readFiles(t, path, owned)
			wrote, err := s.agent.Repeat(time.Now())
			if err != nil || wrote != (len(want) > 0) {
				t.Errorf("%s: wrote %t, %v", what, wrote, err)
			}
			after := readFiles(t, path, owned)
			for _, p := range []string{path, owned} {
				if before[p].data != after[p].data {
					t.Errorf("%s: %s has other bytes", what, p)
				}
				if written := before[p].inode != after[p].inode; written != slices.Contains(want, p) {
					t.Errorf("%s: %s was written: %t", what, p, written)
				}
			}
		}
		dueIn := func(what string, want time.Duration) {
			t.Helper()
			if next := s.agent.NextRepeat(); !next.Equal(time.Now().Add(want)) {
				t.Errorf("%s: due in %s, want %s", what, time.Until(next), want)
			}
		}
		notDue := func(what string) {
			t.Helper()
			repeat(what)
			if next := s.agent.NextRepeat(); !next.IsZero() {
				t.Errorf("%s: due in %s", what, time.Until(next))
			}
		}

		notDue("before there is a file")
		mustSync(t, s.agent, true)
		dueIn("the first targets", repeatAfter)
		time.Sleep(repeatAfter - time.Nanosecond)
		repeat("too early")
		time.Sleep(time.Nanosecond)
		repeat("the first targets", path)
		notDue("once is enough")
		s.network.Advance(10)
		mustSync(t, s.agent, false)
		notDue("nothing new")

		// The last of several changes counts.
		s.network.Rename(acme, "One")
		mustSync(t, s.agent, true)
		time.Sleep(repeatAfter - time.Nanosecond)
		s.network.Rename(acme, "Two")
		mustSync(t, s.agent, true)
		time.Sleep(time.Nanosecond)
		repeat("another change meanwhile")
		dueIn("another change meanwhile", repeatAfter-time.Nanosecond)
		time.Sleep(repeatAfter)
		repeat("after the last change", path)

		// What contacts gave URLs for is a file of its own, which may go.
		s.said = []Override{atURL("acme", acme, "node", "https://127.0.0.1:8443/node")}
		s.apply(true)
		time.Sleep(repeatAfter)
		repeat("a URL", path, owned)
		s.said = []Override{atURL("acme", acme, "node", "https://127.0.0.1:8444/node")}
		s.apply(true)
		time.Sleep(repeatAfter)
		repeat("another URL", owned)
		s.said[0].Exporters[0].URL = "https://127.0.0.1:8445/node"
		s.apply(true)
		s.said = nil
		s.apply(true)
		time.Sleep(repeatAfter)
		repeat("no URL", path)
		notDue("no URL")

		// A process that ends before its second write leaves it to the next one, which
		// can't know whether it did, and doesn't care about files of long ago.
		for age, want := range map[time.Duration]bool{
			0:                true,
			rereadAfter - 1:  true,
			rereadAfter:      false,
			1000 * time.Hour: false,
			-time.Hour:       true, // the clock was set back
		} {
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
			s.restart()
			what := fmt.Sprintf("restarted %s after the change", age)
			if !want {
				notDue(what)
				continue
			}
			dueIn(what, repeatAfter)
			time.Sleep(repeatAfter)
			repeat(what, path)
			notDue(what)
		}

		// What can't be written stays due; what is gone doesn't come back.
		s.network.Rename(acme, "Three")
		mustSync(t, s.agent, true)
		time.Sleep(repeatAfter)
		unfinished := filepath.Join(s.dir, ".stoker")
		if err := errors.Join(os.Rename(unfinished, unfinished+".away"), os.WriteFile(unfinished, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		if wrote, err := s.agent.Repeat(time.Now()); wrote || err == nil || !strings.HasPrefix(err.Error(), "testnet: mkdir "+unfinished) {
			t.Errorf("nowhere to write: wrote %t, %v", wrote, err)
		}
		dueIn("nowhere to write", 0)
		if err := errors.Join(os.Remove(unfinished), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
		notDue("removed by hand")

		s.dir = ""
		s.restart()
		mustSync(t, s.agent, true)
		notDue("in memory")
	})
}

// A fileVersion is the zero value for a file that isn't there.
type fileVersion struct {
	inode uint64
	data  string
}

func readFiles(t *testing.T, paths ...string) map[string]fileVersion {
	t.Helper()
	found := map[string]fileVersion{}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		info, statErr := os.Stat(p)
		if err := errors.Join(err, statErr); err != nil {
			t.Fatal(err)
		}
		found[p] = fileVersion{info.Sys().(*syscall.Stat_t).Ino, string(data)}
	}
	return found
}

// TestPrometheusMissesAChange makes a change fall between Prometheus' first look and
// its watch: it stops in between to read a pipe, as one more targets file. The change
// is lost on it, and the same bytes once more aren't.
func TestPrometheusMissesAChange(t *testing.T) {
	for _, version := range []string{"prometheus", "prometheus-2.53"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 5)
			gate := filepath.Join(t.TempDir(), "gate.json")
			if err := syscall.Mkfifo(gate, 0o644); err != nil {
				t.Fatal(err)
			}
			main := filepath.Join(t.TempDir(), "prometheus.yml")
			if err := os.WriteFile(main, fmt.Appendf(nil, `
scrape_configs:
- job_name: preps
  scrape_interval: 1h
  relabel_configs: [{ source_labels: [exporter], regex: goloop, action: keep }]
  file_sd_configs: [{ files: ['%s/*.json', '%s'], refresh_interval: 1d }]
`, s.dir, gate), 0o644); err != nil {
				t.Fatal(err)
			}
			server := servertest.Prometheus(t, servertest.Binary(version), servertest.ConfigFile(main))
			metric := func(line string) (found bool) {
				t.Helper()
				page, err := server.Get("/metrics")
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(string(page), "\n"+line)
			}

			var pipe *os.File
			servertest.Eventually(t, time.Minute, func() (err error) { // there is nobody to write to before Prometheus reads
				pipe, err = os.OpenFile(gate, os.O_WRONLY|syscall.O_NONBLOCK, 0)
				return err
			})
			mustSync(t, s.agent, true)
			_, err := pipe.WriteString("[]")
			if err := errors.Join(err, os.Remove(gate), pipe.Close()); err != nil {
				t.Fatal(err)
			}
			servertest.Eventually(t, time.Minute, func() error {
				if !metric("prometheus_sd_file_scan_duration_seconds_count 1\n") {
					return errors.New("Prometheus still has its first look")
				}
				return nil
			})
			seen := `prometheus_sd_file_mtime_seconds{filename="` + filepath.Join(s.dir, "testnet.json") + `"}`
			if metric(seen) {
				t.Fatal("Prometheus didn't miss the change")
			}

			if wrote, err := s.agent.Repeat(s.agent.NextRepeat()); err != nil || !wrote {
				t.Fatalf("wrote %t, %v", wrote, err)
			}
			want := map[string]string{}
			for _, p := range s.network.PReps() {
				want[p.Address()] = hostOf(p) + ":9000"
			}
			servertest.Eventually(t, time.Minute, func() error {
				have, err := activeTargets(server)
				if err == nil && !maps.Equal(have, want) {
					err = fmt.Errorf("targets are %v, want %v", have, want)
				}
				return err
			})
			if !metric(seen) {
				t.Errorf("no %s", seen)
			}
		})
	}
}
