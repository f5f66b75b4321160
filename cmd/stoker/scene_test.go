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
func newScene(t *testing.T, dir, main, keys string, server ...servertest.Option) *scene {
	t.Helper()
	s := &scene{t: t, dir: dir}
	config := func(url string) string {
		file := filepath.Join(dir, "stoker.yml")
		servertest.WriteFile(t, file, "prometheus: { url: '"+url+"', "+keys+" }\n")
		return file
	}
	stoker := program(t)
	if out, err := in(dir, stoker, "sync", "--publish-only", "--config.file="+config("http://127.0.0.1:1")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.prometheus = servertest.Prometheus(t, append(server, servertest.ConfigFile(filepath.Join(dir, main)))...)
	s.proxy = servertest.NewProxy(t, s.prometheus.URL())
	s.stoker = servertest.Stoker(t, stoker, servertest.ConfigFile(config(s.proxy.URL())))
	s.until("the first proof", func() error {
		return s.metric(`stoker_release_proved{server="prometheus"}`, 1)
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

// idle requires that passes without a change come to ask Prometheus no more than they must: what it runs is compared
// once after each load, and so is, some seconds later, whether all of that is at work.
func (s *scene) idle() {
	s.t.Helper()
	const noops = `stoker_syncs_total{agent="prometheus",result="noop"}`
	want := []string{"GET /-/ready", "GET /metrics", "GET /api/v1/status/flags"}
	s.until("one pass alone", func() error {
		passes, before := s.value(noops), len(s.proxy.Requests())
		s.settled()
		if asked := s.proxy.Requests()[before:]; !slices.Equal(asked, want) {
			return fmt.Errorf("an idle pass asks %q, want %q", asked, want)
		}
		return s.metric(noops, passes+1)
	})
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
