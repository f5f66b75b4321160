package reload_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// written returns everything below a folder with what a write would change: inodes, sizes, modes and times.
func written(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		// Besides the inode, Sys holds the time of the last access, which reading changes.
		fmt.Fprintln(&b, p, reload.Inode(info), info.Size(), info.Mode(), info.ModTime())
		return err
	}))
	return b.String()
}

// Files with the same content in whatever new clothes: nothing is sent, and nothing is written.
func TestNoopCostsNothing(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		main := filepath.Join(s.source, s.main)
		s.restart(nil) // also for the next process
		before, sent := written(t, s.out), s.sent()
		for name, touch := range map[string]func() error{
			"touch": func() error { return os.Chtimes(main, time.Time{}, time.Now().Add(-time.Hour)) },
			"chmod": func() error { return os.Chmod(main, 0o600) },
			"saved again": func() error {
				return errors.Join(os.WriteFile(main+"~", []byte(config("one")), 0o644), os.Rename(main+"~", main))
			},
			"a file that isn't referred to": func() error { return os.WriteFile(filepath.Join(s.source, "README.md"), nil, 0o644) },
			"nothing":                       func() error { return nil },
		} {
			must(t, touch())
			mustSync(t, s.agent, false)
			if after := written(t, s.out); after != before {
				t.Errorf("%s: the output folder was\n%sand is\n%s", name, before, after)
			}
		}
		if n := s.sent() - sent; n != 0 {
			t.Errorf("%d reloads were sent", n)
		}
		s.proved()
	})
}

// A server that has loaded nothing since its proof is only asked whether that is so: its rules aren't fetched and
// compared with every pass. Once somebody else reloads it, they are.
func TestProofIsDoneOncePerLoad(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus", firstFiles("prometheus", jobs))
	s.agent.Later(time.Minute)
	servertest.Eventually(t, time.Minute, func() error {
		mustSync(t, s.agent, false)
		if got := s.agent.Status(); got.Serving == nil || !*got.Serving {
			return fmt.Errorf("status is %+v", got)
		}
		return nil
	})
	asked := len(s.proxy.Requests())
	mustSync(t, s.agent, false)
	want := []string{"GET /-/ready", "GET /metrics", "GET /api/v1/status/flags"}
	if got := s.proxy.Requests()[asked:]; !slices.Equal(got, want) {
		t.Errorf("a pass without news asked %q, want %q", got, want)
	}
	if got := s.agent.Status(); got.Unproved != nil || got.Serving == nil || !*got.Serving {
		t.Errorf("status is %+v", got)
	}
	resp, err := http.Post(s.server.URL()+"/-/reload", "", nil)
	must(t, err)
	resp.Body.Close()
	rules := s.proxy.Count("GET", "/api/v1/rules")
	mustSync(t, s.agent, false)
	if n := s.proxy.Count("GET", "/api/v1/rules") - rules; n != 1 {
		t.Errorf("the rules were asked for %d times after somebody's reload", n)
	}
}

// The kubelet publishes a volume again with equal content in a new folder.
func TestNoopOfAVolume(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		volume := filepath.Join(t.TempDir(), "volume")
		must(t, os.Mkdir(volume, 0o755))
		n := 0
		publish := func(name string) {
			t.Helper()
			n++
			next := fmt.Sprintf("..2026_%d", n)
			for p, content := range firstFiles(binary, func(string) string { return config(name) }) {
				file := filepath.Join(volume, next, p)
				must(t, os.MkdirAll(filepath.Dir(file), 0o755))
				must(t, os.WriteFile(file, []byte(content), 0o644))
				top, _, _ := strings.Cut(p, "/")
				if err := os.Symlink(filepath.Join("..data", top), filepath.Join(volume, top)); err != nil && !errors.Is(err, fs.ErrExist) {
					t.Fatal(err)
				}
			}
			old, _ := os.Readlink(filepath.Join(volume, "..data"))
			must(t, os.Symlink(next, filepath.Join(volume, "..data_tmp")))
			must(t, os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")))
			if old != "" {
				must(t, os.RemoveAll(filepath.Join(volume, old)))
			}
		}
		publish("one")
		s.restart(func(cfg *reload.Config) { cfg.SourceDir = volume })
		before, sent := written(t, s.out), s.sent()
		for range 3 {
			publish("one")
			mustSync(t, s.agent, false)
		}
		if after := written(t, s.out); after != before || s.sent() != sent {
			t.Errorf("%d reloads were sent; the output folder was\n%sand is\n%s", s.sent()-sent, before, after)
		}
		publish("two")
		mustSync(t, s.agent, true)
		s.mustRun("two")
		if n := s.sent() - sent; n != 1 {
			t.Errorf("%d reloads were sent for one change", n)
		}
	})
}

// A template is no part of Alertmanager's fingerprint. That a change of nothing else has arrived is proved by the time
// of its last load, and costs one reload.
func TestTemplateIsProvedByTime(t *testing.T) {
	servers(t, []string{"alertmanager", "alertmanager-0.27"}, func(t *testing.T, binary string) {
		s := newStation(t, binary, map[string]string{
			"alertmanager.yml": receivers("one") + "templates: ['*.tmpl']\n",
			"a.tmpl":           `{{ define "x" }}one{{ end }}`,
		})
		hash, at, sent := s.metric("alertmanager_config_hash"), s.metric("alertmanager_config_last_reload_success_timestamp_seconds"), s.sent()
		s.write("a.tmpl", `{{ define "x" }}two{{ end }}`)
		mustSync(t, s.agent, true)
		if s.metric("alertmanager_config_hash") != hash || s.metric("alertmanager_config_last_reload_success_timestamp_seconds") == at {
			t.Error("the server shows no reload of an equal main file")
		}
		s.proved()
		mustSync(t, s.agent, false)
		if n := s.sent() - sent; n != 1 {
			t.Errorf("%d reloads were sent", n)
		}
	})
}

// What both servers would take for a configuration without anything in it, or die of, never reaches them.
func TestFilesThatNeverReachAServer(t *testing.T) {
	files := map[string]map[string]string{
		"prometheus": {
			"empty":              "",
			"nothing but notes":  "# removed for now\n---\n",
			"crashes the loader": "alerting: { alertmanagers: [null] }\n",
		},
		"alertmanager": {
			"empty":              "",
			"nothing but notes":  "# removed for now\n",
			"crashes the loader": "route: { receiver: a, routes: [null] }\nreceivers: [{ name: a }]\n",
		},
	}
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		sent := s.sent()
		for name, content := range files[binary] {
			must(t, os.WriteFile(filepath.Join(s.source, s.main), []byte(content), 0o644))
			s.fails("keeping release " + s.first)
			if got := s.agent.Status(); got.Unproved != nil || got.Withheld == nil {
				t.Errorf("%s: status is %+v", name, got)
			}
			s.mustBe(s.first)
		}
		if n := s.sent() - sent; n != 0 {
			t.Errorf("%d reloads were sent", n)
		}
		s.mustRun("one")

		// It is no false alarm: a server that is given the file itself ends.
		crashing := servertest.Prometheus
		if binary == "alertmanager" {
			crashing = servertest.Alertmanager
		}
		s.write(s.main, files[binary]["crashes the loader"])
		dead := crashing(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(s.source, s.main)), servertest.NoWait())
		servertest.Eventually(t, time.Minute, func() error {
			if dead.Running() {
				return errors.New("it runs")
			}
			return nil
		})
		if !strings.Contains(dead.Log(), "nil pointer dereference") {
			t.Errorf("it ended with %s", dead.Log())
		}
	})
}
