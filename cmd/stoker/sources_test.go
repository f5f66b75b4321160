package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// scene is a running stoker before a real Prometheus, with a folder for the files of both.
type scene struct {
	t   *testing.T
	dir string
	// proxy stands before Prometheus, and web is stoker's own listener.
	proxy      *servertest.Proxy
	prometheus *servertest.Server
	stoker     *servertest.Server
	// sent is how many reloads it took to get ready.
	sent int
}

// newScene starts both. keys are those of the section prometheus apart from url; main is the main file that Prometheus
// reads, below dir.
func newScene(t *testing.T, dir, main, keys string) *scene {
	t.Helper()
	s := &scene{t: t, dir: dir}
	config := func(url string) string {
		file := filepath.Join(dir, "stoker.yml")
		put(t, file, "prometheus: { url: '"+url+"', "+keys+" }\n")
		return file
	}
	stoker := program(t)
	if out, err := in(dir, stoker, "sync", "--publish-only", "--config.file="+config("http://127.0.0.1:1")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.prometheus = servertest.Prometheus(t, servertest.ConfigFile(filepath.Join(dir, main)))
	s.proxy = servertest.NewProxy(t, s.prometheus.URL())
	s.stoker = servertest.Stoker(t, stoker, servertest.ConfigFile(config(s.proxy.URL())))
	s.until("the first proof", func() error {
		return s.metric(`stoker_reloads_total{result="proved",server="prometheus"}`, 1)
	})
	s.settled()
	s.sent = s.posts()
	return s
}

// program is this test dressed as stoker (see TestMain).
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "stoker")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// in returns a command that runs in a folder.
func in(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (s *scene) until(what string, f func() error) {
	s.t.Helper()
	servertest.Eventually(s.t, patience, func() error {
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// value returns a sample of stoker's metrics.
func (s *scene) value(series string) float64 {
	s.t.Helper()
	body, err := s.stoker.Get("/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// metric is an error unless a sample of stoker's metrics has this value.
func (s *scene) metric(series string, want float64) error {
	s.t.Helper()
	if got := s.value(series); got != want {
		return fmt.Errorf("%s is %v, want %v", series, got, want)
	}
	return nil
}

// settled waits for a whole pass that begins now, so that nothing is left to do.
func (s *scene) settled() {
	s.t.Helper()
	if answer, err := ask(http.MethodPost, s.stoker.URL()+"/-/sync", ""); err != nil || !strings.HasPrefix(answer, "200") {
		s.t.Fatalf("%v: %s", err, answer)
	}
}

// posts is how many reloads Prometheus was asked for.
func (s *scene) posts() int { return s.proxy.Count(http.MethodPost, "/-/reload") }

// runs is an error unless Prometheus runs exactly the groups of these names.
func (s *scene) runs(groups ...string) error {
	s.t.Helper()
	body, err := s.prometheus.Get("/api/v1/rules")
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			Groups []struct{ Name string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	var names []string
	for _, g := range answer.Data.Groups {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, groups) {
		return fmt.Errorf("groups are %q, want %q", names, groups)
	}
	return nil
}

// group is a rule file with one group.
func group(name string) string {
	return "groups: [{ name: '" + name + "', rules: [{ alert: Down, expr: up == 0 }] }]\n"
}

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
			put(t, filepath.Join(dir, "source", "prometheus.yml"), "rule_files: [rules/*.yml]\n")
			if err := os.Symlink("../git/link/rules", filepath.Join(dir, "source", "rules")); err != nil {
				t.Fatal(err)
			}
			return servertest.NewWorktrees(t, filepath.Join(dir, "git", "link"))
		}},
		"rules linked to a plain folder": {published + "source_dir: source, " + plain, live, "", func(t *testing.T, dir string) publisher {
			put(t, filepath.Join(dir, "source", "prometheus.yml"), "rule_files: [rules/*.yml]\n")
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
		put(e.t, filepath.Join(e.dir, p), content)
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
			s := newScene(t, dir, k.main, k.keys)
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

// noop does something that is noticed, and requires that nothing comes of it.
func (s *scene) noop(what string, do func() error) {
	s.t.Helper()
	const noops = `stoker_syncs_total{agent="prometheus",result="noop"}`
	before, passes, sent := s.onDisk(), s.value(noops), s.posts()
	if err := do(); err != nil {
		s.t.Fatal(err)
	}
	s.until(what, func() error {
		if s.value(noops) == passes {
			return errors.New("no pass for it")
		}
		return nil
	})
	s.settled()
	if n := s.posts() - sent; n != 0 {
		s.t.Errorf("%s: %d reloads", what, n)
	}
	if after := s.onDisk(); after != before {
		s.t.Errorf("%s: on disk was\n%s\nand is\n%s", what, before, after)
	}
	if s.t.Failed() {
		s.t.Logf("log of stoker:\n%s", s.stoker.Log())
	}
}

// idle requires that a pass without a change asks Prometheus no more than it must.
func (s *scene) idle() {
	s.t.Helper()
	const noops = `stoker_syncs_total{agent="prometheus",result="noop"}`
	var asked []string
	s.until("one pass alone", func() error {
		passes, before := s.value(noops), len(s.proxy.Requests())
		s.settled()
		asked = s.proxy.Requests()[before:]
		return s.metric(noops, passes+1)
	})
	want := []string{"GET /-/ready", "GET /metrics", "GET /api/v1/status/flags", "GET /api/v1/status/config", "GET /api/v1/rules"}
	if !slices.Equal(asked, want) {
		s.t.Errorf("an idle pass asks %q, want %q", asked, want)
	}
}

// onDisk describes everything in the output_dir so that any write shows.
func (s *scene) onDisk() string {
	s.t.Helper()
	var b strings.Builder
	root := filepath.Join(s.dir, "out")
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p == root {
			return nil
		} else if err != nil {
			return err
		}
		info, err := os.Lstat(p)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%s %v %d %v inode %d\n", p, info.Mode(), info.Size(), info.ModTime(), st.Ino)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

// A folder that is copied to slowly becomes one release, not several: it is read when the copy has paused for the
// settle time.
func TestSlowCopyIsOneRelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	put(t, filepath.Join(source, "prometheus.yml"), "rule_files: [rules/*.yml]\n")
	s := newScene(t, dir, "out/live/prometheus.yml", "source_dir: source, output_dir: out, settle: 5s, rescan_interval: 1h")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var names []string
	for i := range 20 {
		<-tick.C
		name := fmt.Sprintf("g%02d", i)
		put(t, filepath.Join(source, "rules", name+".yml"), group(name))
		names = append(names, name)
	}
	s.until("the whole copy", func() error { return s.runs(names...) })
	if n := s.posts() - s.sent; n != 1 {
		t.Errorf("%d reloads for one copy", n)
	}
}

// Two that start at the same moment: one writes, the others say so and go.
func TestOneWriterOfMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "source", "prometheus.yml"), "rule_files: [rules/*.yml]\n")
	put(t, filepath.Join(dir, "stoker.yml"), "prometheus: { url: 'http://127.0.0.1:1', source_dir: source, output_dir: out }\n")
	stoker := program(t)
	const many = 4
	type end struct {
		err error
		out string
	}
	ends := make(chan end, many)
	var running []func()
	for range many {
		cmd := in(dir, stoker, "run", "--web.listen-address=127.0.0.1:0")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, func() { cmd.Process.Signal(os.Interrupt) })
		go func() { err := cmd.Wait(); ends <- end{err, out.String()} }()
	}
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	for range many - 1 {
		e := <-ends
		if e.err == nil || !strings.Contains(e.out, "is being written by another stoker: one output_dir has one writer") {
			t.Errorf("a stoker beside another ended with %v:\n%s", e.err, e.out)
		}
	}
	// The one that is left is at work, and does what others ask it to.
	servertest.Eventually(t, patience, func() error {
		out, err := in(dir, stoker, "sync").CombinedOutput() // it fails, since there is no server
		if !strings.Contains(string(out), "asking the stoker that runs at http://127.0.0.1:") || !strings.Contains(string(out), "prometheus: error: ") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	for _, stop := range running {
		stop()
	}
	if e := <-ends; e.err != nil {
		t.Errorf("the writer ended with %v:\n%s", e.err, e.out)
	}
}
