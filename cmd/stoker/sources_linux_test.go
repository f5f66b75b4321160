package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// Every swap of every kind of source is one release, proved once: the second, the third and the tenth like the first,
// by the kernel's notice alone, and where the source is swapped as a whole without waiting for anything to settle.
func TestEverySwapIsOneProvedRelease(t *testing.T) {
	const atomic = "settle: 1h, rescan_interval: 1h"
	const plain = "settle: 100ms, rescan_interval: 1h"
	const published = "output_dir: out, "
	const live = "out/live/prometheus.yml"
	files := func(below string, version int) map[string]string {
		return map[string]string{
			below + "prometheus.yml": "rule_files: [rules/*.yml]\n",
			below + "rules/a.yml":    group(fmt.Sprintf("a%d", version)),
			below + "rules/b.yml":    group(fmt.Sprintf("b%d", version)),
			"unrelated/file":         fmt.Sprint(version),
		}
	}
	for name, tt := range map[string]struct {
		keys, main string
		below      string // where the files are in what is swapped
		source     func(t *testing.T, dir string) publisher
	}{
		"plain folder": {published + "source_dir: source, " + plain, live, "", func(t *testing.T, dir string) publisher {
			return edited{t, filepath.Join(dir, "source")}
		}},
		"volume": {published + "source_dir: source, " + atomic, live, "", func(t *testing.T, dir string) publisher {
			return servertest.NewVolume(t, filepath.Join(dir, "source"))
		}},
		"folder of a projected volume": {published + "source_dir: volume/prometheus/base, " + atomic, live, "prometheus/base/", func(t *testing.T, dir string) publisher {
			return servertest.NewVolume(t, filepath.Join(dir, "volume"))
		}},
		"git-sync": {published + "source_dir: git/link, " + atomic, live, "", func(t *testing.T, dir string) publisher {
			return servertest.NewWorktrees(t, filepath.Join(dir, "git", "link"))
		}},
		"folder below git-sync": {published + "source_dir: git/link/monitoring/prometheus, " + atomic, live, "monitoring/prometheus/", func(t *testing.T, dir string) publisher {
			return servertest.NewWorktrees(t, filepath.Join(dir, "git", "link"))
		}},
		"rules linked to git-sync": {published + "source_dir: source, " + plain, live, "", func(t *testing.T, dir string) publisher {
			servertest.WriteFile(t, filepath.Join(dir, "source", "prometheus.yml"), "rule_files: [rules/*.yml]\n")
			if err := os.Symlink("../git/link/rules", filepath.Join(dir, "source", "rules")); err != nil {
				t.Fatal(err)
			}
			return servertest.NewWorktrees(t, filepath.Join(dir, "git", "link"))
		}},
		"rules linked to a plain folder": {published + "source_dir: source, " + plain, live, "", func(t *testing.T, dir string) publisher {
			servertest.WriteFile(t, filepath.Join(dir, "source", "prometheus.yml"), "rule_files: [rules/*.yml]\n")
			if err := os.Symlink("../elsewhere/rules", filepath.Join(dir, "source", "rules")); err != nil {
				t.Fatal(err)
			}
			return edited{t, filepath.Join(dir, "elsewhere")}
		}},
		"config_file in a volume": {"config_file: volume/prometheus.yml, " + atomic, "volume/prometheus.yml", "", func(t *testing.T, dir string) publisher {
			return servertest.NewVolume(t, filepath.Join(dir, "volume"))
		}},
		"config_file below git-sync": {"config_file: git/link/a/prometheus.yml, " + atomic, "git/link/a/prometheus.yml", "a/", func(t *testing.T, dir string) publisher {
			return servertest.NewWorktrees(t, filepath.Join(dir, "git", "link"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source := tt.source(t, dir)
			source.Publish(files(tt.below, 0))
			s := newScene(t, dir, tt.main, tt.keys)
			for i := 1; i <= 10; i++ {
				if e, ok := source.(edited); ok {
					// However long the edit takes here, it is one.
					s.stoker.Pause()
					e.Publish(files(tt.below, i))
					s.stoker.Resume()
				} else {
					source.Publish(files(tt.below, i))
				}
				s.until("swap "+strconv.Itoa(i), func() error { return s.runs(fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)) })
			}
			s.settled()
			if n := s.posts() - s.sent; n != 10 {
				t.Errorf("%d reloads for ten swaps", n)
			}
			for result, want := range map[string]float64{"proved": 10 + float64(s.sent), "refused": 0, "mismatch": 0, "timeout": 0} {
				if err := s.metric(`stoker_reloads_total{result="`+result+`",server="prometheus"}`, want); err != nil {
					t.Error(err)
				}
			}
			if err := s.metric("stoker_watch_errors_total", 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// edited is a folder in which files are edited in place.
type edited struct {
	t   *testing.T
	dir string
}

// Publish writes each file anew, one after the other.
func (e edited) Publish(files map[string]string) {
	for p, content := range files {
		servertest.WriteFile(e.t, filepath.Join(e.dir, p), content)
	}
}

// What leaves the files of the release as they are writes nothing and reloads nothing, whatever happened to them.
func TestNoopsCostNothing(t *testing.T) {
	files := map[string]string{"prometheus.yml": "rule_files: [rules/*.yml]\n", "rules/a.yml": group("a")}
	kinds := map[string]struct {
		keys, main string
	}{
		"published": {"source_dir: source, output_dir: out, settle: 10ms, rescan_interval: 1h", "out/live/prometheus.yml"},
		"in place":  {"config_file: source/prometheus.yml, settle: 10ms, rescan_interval: 1h", "source/prometheus.yml"},
	}
	for kind, k := range kinds {
		t.Run("plain folder, "+kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source := filepath.Join(dir, "source")
			edited{t, source}.Publish(files)
			var server []servertest.Option
			if kind == "in place" {
				server = append(server, servertest.Dir(source)) // with its data beside the files
			}
			s := newScene(t, dir, k.main, k.keys, server...)
			rule := filepath.Join(source, "rules", "a.yml")
			for _, change := range []struct {
				what string
				do   func() error
			}{
				{"touch", func() error { return os.Chtimes(rule, time.Now(), time.Now()) }},
				{"chmod", func() error { return os.Chmod(rule, 0o600) }},
				{"the same written again", func() error { return os.WriteFile(rule, []byte(files["rules/a.yml"]), 0o644) }},
				{"the same as a new file", func() error {
					return errors.Join(os.WriteFile(rule+"~", []byte(files["rules/a.yml"]), 0o644), os.Rename(rule+"~", rule))
				}},
			} {
				s.noop(change.what, change.do)
			}
			s.idle()
			if kind == "in place" {
				return // Nobody looks at what isn't referred to.
			}
			for _, name := range []string{"README.md", "4913", ".prometheus.yml.swp", "prometheus.yml~", "rules/README", ".git"} {
				s.noop(name, func() error { return os.WriteFile(filepath.Join(source, name), []byte("x"), 0o644) })
			}
		})
		t.Run("volume, "+kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source := servertest.NewVolume(t, filepath.Join(dir, "source"))
			source.Publish(files)
			s := newScene(t, dir, k.main, k.keys)
			for i := range 3 {
				s.noop(fmt.Sprint("equal version ", i), func() error { source.Publish(files); return nil })
			}
			if kind == "published" {
				more := map[string]string{"README": "not referred to"}
				for p, content := range files {
					more[p] = content
				}
				s.noop("a version with another README", func() error { source.Publish(more); return nil })
			}
		})
	}
}

// A folder that is copied to slowly becomes one release, not several: it is read when the copy has paused for the
// settle time.
func TestSlowCopyIsOneRelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	servertest.WriteFile(t, filepath.Join(source, "prometheus.yml"), "rule_files: [rules/*.yml]\n")
	s := newScene(t, dir, "out/live/prometheus.yml", "source_dir: source, output_dir: out, settle: 5s, rescan_interval: 1h")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var names []string
	for i := range 20 {
		<-tick.C
		name := fmt.Sprintf("g%02d", i)
		servertest.WriteFile(t, filepath.Join(source, "rules", name+".yml"), group(name))
		names = append(names, name)
	}
	s.until("the whole copy", func() error { return s.runs(names...) })
	if n := s.posts() - s.sent; n != 1 {
		t.Errorf("%d reloads for one copy", n)
	}
}
