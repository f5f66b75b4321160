package reload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/common/model"
)

// killAt makes a process of this test binary do a pass and kill itself before its n-th file operation. With killServer
// the pass has a server.
const (
	killAt     = "STOKER_TEST_KILL_AT"
	killServer = "STOKER_TEST_KILL_SERVER"
)

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(killAt)); err == nil {
		syncAndDie(n)
	}
	os.Exit(m.Run())
}

// syncAndDie exits with 0 or 1 if the pass ended before its n-th operation.
func syncAndDie(n int) {
	a := servedAgent(os.Args[len(os.Args)-1], os.Getenv(killServer))
	a.shelf.(*store).before = func(string, string) error {
		if n--; n == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	if _, err := a.Sync(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// crashAgent publishes <dir>/source to <dir>/out.
func crashAgent(dir string) *Agent { return servedAgent(dir, "") }

// servedAgent does the same for a server.
func servedAgent(dir, url string) *Agent {
	cfg := DefaultConfig()
	cfg.URL, cfg.SourceDir, cfg.OutputDir, cfg.Settle = url, filepath.Join(dir, "source"), filepath.Join(dir, "out"), model.Duration(0)
	a, err := NewPrometheus(cfg, Options{PublishOnly: url == ""})
	if err != nil {
		panic(err)
	}
	return a
}

// dieAt runs a pass in a process of its own that is killed before its n-th file operation. It reports whether the pass
// ended before, and what the process printed.
func dieAt(t *testing.T, dir, url string, n int) (ended bool, output string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), killAt+"="+strconv.Itoa(n), killServer+"="+url)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return false, string(out)
	}
	if err != nil && exit == nil {
		t.Fatal(err)
	}
	return true, string(out)
}

func writeSource(t *testing.T, dir, job string) {
	t.Helper()
	files := map[string]string{
		"prometheus.yml": "rule_files: [rules/a/*.yml, rules/b/*.yml]\nscrape_configs: [{ job_name: " + job + " }]\n",
		"rules/a/a.yml":  "groups: [{ name: " + job + ", rules: [{ alert: Down, expr: up == 0 }] }]\n",
		"rules/b/b.yml":  "groups: [{ name: other, rules: [{ alert: Down, expr: up == 0 }] }]\n",
	}
	for name, content := range files {
		p := filepath.Join(dir, "source", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkLive is the invariant: live is absent, or a complete release, which its name proves. So is whatever else has the
// name of a release, for it may be gone back to.
func checkLive(t *testing.T, dir string) (job string) {
	t.Helper()
	s := store{dir: filepath.Join(dir, "out")}
	entries, _ := os.ReadDir(filepath.Join(s.dir, releasesDir))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			continue
		}
		if tree, err := readTree(s.path(e.Name())); err != nil || tree.Hash() != e.Name() {
			t.Fatalf("release %s holds other content: %v, %v", e.Name(), tree.Paths(), err)
		}
	}
	target, err := os.Readlink(filepath.Join(s.dir, liveLink))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	} else if err != nil {
		t.Fatal(err)
	}
	hash := filepath.Base(target)
	tree, err := readTree(s.path(hash))
	if err != nil {
		t.Fatalf("live points to %s: %v", target, err)
	}
	if tree.Hash() != hash {
		t.Fatalf("live release %s holds other content: %v", hash, tree.Paths())
	}
	_, job, _ = strings.Cut(string(tree["prometheus.yml"]), "job_name: ")
	job, _, _ = strings.Cut(job, " ")
	return job
}

// checkTidy says whether nothing half-done is left.
func checkTidy(t *testing.T, dir string) {
	t.Helper()
	out := filepath.Join(dir, "out")
	for _, left := range append(leftovers(out), leftovers(filepath.Join(out, releasesDir))...) {
		t.Errorf("%s is left behind", left)
	}
}

// Killed before any of its file operations, a publisher leaves the old release live or the new one, whole; and the
// next start ends where it would have. With more releases than are kept, the old ones are removed in the same pass.
func TestKilledAtEveryStep(t *testing.T) {
	for _, before := range []int{0, 1, keepReleases + 2} {
		t.Run(fmt.Sprintf("after %d releases", before), func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				dir := t.TempDir()
				old := ""
				for i := range before {
					old = fmt.Sprintf("old%d", i)
					writeSource(t, dir, old)
					if _, err := crashAgent(dir).Sync(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				writeSource(t, dir, "new")
				ended, out := dieAt(t, dir, "", n)
				if job := checkLive(t, dir); job != old && job != "new" {
					t.Fatalf("killed at operation %d, live runs %q", n, job)
				}
				if _, err := crashAgent(dir).Sync(t.Context()); err != nil {
					t.Fatalf("killed at operation %d, the next start failed: %v", n, err)
				}
				if job := checkLive(t, dir); job != "new" {
					t.Fatalf("killed at operation %d, the next start left %q live", n, job)
				}
				checkTidy(t, dir)
				if ended {
					if n < 15 {
						t.Errorf("the pass has only %d operations; are some not counted?\n%s", n-1, out)
					}
					return
				}
			}
		})
	}
}

// With a full disk, or any other failure of any file operation, the pass says so, the old release stays live, and
// the same agent ends where it should as soon as the disk works again.
func TestDiskFullAtEveryStep(t *testing.T) {
	for n := 1; ; n++ {
		dir := t.TempDir()
		writeSource(t, dir, "old")
		a := crashAgent(dir)
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		writeSource(t, dir, "new")
		failed := false
		count := 0
		a.shelf.(*store).before = func(op, _ string) error {
			if count++; count == n && op != "remove" {
				failed = true
				return syscall.ENOSPC
			}
			return nil
		}
		_, err := a.Sync(t.Context())
		job := checkLive(t, dir)
		switch {
		case failed && err == nil:
			t.Fatalf("operation %d failed, and the pass didn't say so", n)
		case failed && !errors.Is(err, syscall.ENOSPC):
			t.Fatalf("operation %d failed, and the pass said %v", n, err)
		case job != "old" && job != "new":
			t.Fatalf("operation %d failed, live runs %q", n, job)
		}
		a.shelf.(*store).before = nil
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if job := checkLive(t, dir); job != "new" {
			t.Fatalf("operation %d failed, later live runs %q", n, job)
		}
		checkTidy(t, dir)
		if !failed && count < n {
			return
		}
	}
}
