package reload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// served is a real Prometheus on the first release of a folder, which an agent has proved.
func served(t *testing.T, binary string) (dir string, server *servertest.Server, first string) {
	t.Helper()
	dir = t.TempDir()
	writeSource(t, dir, "one")
	if _, err := crashAgent(dir).Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	server = servertest.Prometheus(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(dir, "out", liveLink, "prometheus.yml")))
	a := servedAgent(dir, server.URL())
	if _, err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return dir, server, a.Status().Live
}

// writeRefused makes the source one that passes the check, and that Prometheus 2.53 refuses.
func writeRefused(t *testing.T, dir, job string) {
	t.Helper()
	writeSource(t, dir, job)
	name := filepath.Join(dir, "source", "prometheus.yml")
	data, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, []byte(strings.Replace(string(data), job+" }", job+" , fallback_scrape_protocol: PrometheusText0.0.4 }", 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// loads returns the scrape job and the rule group that a server runs; releases of writeSource give both one name.
func loads(t *testing.T, server *servertest.Server) (job, group string) {
	t.Helper()
	config, err := server.Get("/api/v1/status/config")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := server.Get("/api/v1/rules")
	if err != nil {
		t.Fatal(err)
	}
	_, job, _ = strings.Cut(string(config), "job_name: ")
	job, _, _ = strings.Cut(job, `\n`)
	_, group, _ = strings.Cut(string(rules), `"name":"`)
	group, _, _ = strings.Cut(group, `"`)
	return job, group
}

// mustComeBack runs passes of a new process until the first release is live, proved and run.
func mustComeBack(t *testing.T, dir string, server *servertest.Server, first, when string) {
	t.Helper()
	a := servedAgent(dir, server.URL())
	servertest.Eventually(t, time.Minute, func() error {
		_, err := a.Sync(t.Context())
		a.Later(5 * time.Minute) // what left no trace is sent again
		if s := a.Status(); s.Live != first || s.Proved != first || s.Unproved != nil {
			return fmt.Errorf("%s: %+v, %v", when, s, err)
		}
		return nil
	})
	if job, group := loads(t, server); job != "one" || group != "one" {
		t.Fatalf("%s, the server came to run job %q and rules %q", when, job, group)
	}
	checkLive(t, dir)
}

// stoker is killed before any file operation of a pass whose release the server refuses and that goes back: the next
// process ends where it would have.
func TestKilledDuringARollback(t *testing.T) {
	t.Parallel()
	dir, server, first := served(t, "prometheus-2.53")
	for n := 1; ; n++ {
		bad := fmt.Sprintf("bad%d", n)
		writeRefused(t, dir, bad)
		ended, out := dieAt(t, dir, server.URL(), n)
		if job := checkLive(t, dir); job != "one" && job != bad {
			t.Fatalf("killed at operation %d, live runs %q", n, job)
		}
		mustComeBack(t, dir, server, first, fmt.Sprintf("killed at operation %d", n))
		if !ended {
			continue
		}
		if n < 25 || !strings.Contains(out, "went back to release "+first) {
			t.Errorf("the pass has only %d operations; are some not counted?\n%s", n-1, out)
		}
		return
	}
}

// The disk is full at any file operation of such a pass.
func TestDiskFullDuringARollback(t *testing.T) {
	t.Parallel()
	dir, server, first := served(t, "prometheus-2.53")
	for n := 1; ; n++ {
		writeRefused(t, dir, fmt.Sprintf("bad%d", n))
		a := servedAgent(dir, server.URL())
		count := 0
		a.shelf.(*store).before = func(op, _ string) error {
			if count++; count >= n && op != "remove" { // from now on
				return syscall.ENOSPC
			}
			return nil
		}
		if _, err := a.Sync(t.Context()); err == nil {
			t.Fatalf("the disk was full from operation %d on, and the pass didn't say so", n)
		}
		checkLive(t, dir)
		a.shelf.(*store).before = nil
		// The same process goes on, and then another one.
		servertest.Eventually(t, time.Minute, func() error {
			_, err := a.Sync(t.Context())
			if s := a.Status(); s.Live != first || s.Proved != first || s.Unproved != nil {
				return fmt.Errorf("after a full disk at operation %d: %+v, %v", n, s, err)
			}
			return nil
		})
		mustComeBack(t, dir, server, first, fmt.Sprintf("after a full disk at operation %d", n))
		if count < n {
			return
		}
	}
}

// stoker is killed before any file operation of a pass, and the server restarts then: it runs the old release or the
// new one, and never something of both.
func TestServerRestartsAfterACrash(t *testing.T) {
	t.Parallel()
	dir, server, _ := served(t, "prometheus")
	old := "one"
	for n := 1; ; n++ {
		next := fmt.Sprintf("job%d", n)
		writeSource(t, dir, next)
		ended, out := dieAt(t, dir, server.URL(), n)
		server.Kill()
		server.Restart()
		if job, group := loads(t, server); job != group || job != old && job != next {
			t.Fatalf("killed at operation %d, the server started with job %q and rules %q", n, job, group)
		}
		a := servedAgent(dir, server.URL())
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatalf("killed at operation %d: %v", n, err)
		}
		if job, group := loads(t, server); job != next || group != next {
			t.Fatalf("killed at operation %d, the server came to run job %q and rules %q", n, job, group)
		}
		if s := a.Status(); s.Live != s.Proved {
			t.Fatalf("killed at operation %d: %+v", n, s)
		}
		checkTidy(t, dir)
		old = next
		if ended {
			if n < 20 {
				t.Errorf("the pass has only %d operations; are some not counted?\n%s", n-1, out)
			}
			return
		}
	}
}
