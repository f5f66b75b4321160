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

// killAt makes a process of this test binary publish a release and kill itself before its n-th file operation.
const killAt = "STOKER_TEST_KILL_AT"

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(killAt)); err == nil {
		publishAndDie(n)
	}
	os.Exit(m.Run())
}

// publishAndDie exits with 0 if the pass ended before its n-th operation.
func publishAndDie(n int) {
	a := crashAgent(os.Args[len(os.Args)-1])
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
func crashAgent(dir string) *Agent {
	cfg := DefaultConfig()
	cfg.URL, cfg.SourceDir, cfg.OutputDir, cfg.Settle = "http://127.0.0.1:1", filepath.Join(dir, "source"), filepath.Join(dir, "out"), model.Duration(0)
	a, err := NewPrometheus(cfg, Options{PublishOnly: true})
	if err != nil {
		panic(err)
	}
	return a
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

// checkLive is the invariant: live is absent, or a complete release, which its name proves.
func checkLive(t *testing.T, dir string) (job string) {
	t.Helper()
	s := store{dir: filepath.Join(dir, "out")}
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
// next start ends where it would have.
func TestKilledAtEveryStep(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("first=%v", first), func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				dir := t.TempDir()
				old := ""
				if !first {
					old = "old"
					writeSource(t, dir, old)
					if _, err := crashAgent(dir).Sync(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				writeSource(t, dir, "new")
				cmd := exec.Command(os.Args[0], dir)
				cmd.Env = append(os.Environ(), killAt+"="+strconv.Itoa(n))
				out, err := cmd.CombinedOutput()
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
				if err == nil {
					if n < 15 {
						t.Errorf("the pass has only %d operations; are some not counted?", n-1)
					}
					return
				}
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("operation %d: %v\n%s", n, err, out)
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
