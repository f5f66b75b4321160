package reload_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/reload"
)

// Whatever lies in a source folder: a pass ends, a watcher looks, and either it is no part of the release and ignored,
// or the error says which file it is and what is wrong with it.
func TestOddSources(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(dir string) error
		want string // in the error, with the folder as DIR; "" if it is ignored
	}{
		"link to itself":              {func(dir string) error { return os.Symlink("loop", filepath.Join(dir, "loop")) }, ""},
		"link to the folder above":    {func(dir string) error { return os.Symlink("..", filepath.Join(dir, "rules", "up")) }, ""},
		"link to everything":          {func(dir string) error { return os.Symlink("/", filepath.Join(dir, "all")) }, ""},
		"dangling link":               {func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "link")) }, ""},
		"FIFO":                        {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644) }, ""},
		"FIFO that nobody matches":    {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "rules", "pipe"), 0o644) }, ""},
		"socket":                      {listen, ""},
		"files of editors":            {editors, ""},
		"lost+found":                  {unreadable("lost+found"), ""},
		"repository":                  {unreadable(".git"), ""},
		"thousands of other files":    {func(dir string) error { return fill(filepath.Join(dir, "other"), 2000) }, ""},
		"..data that leads elsewhere": {func(dir string) error { return os.Symlink("/etc", filepath.Join(dir, "..data")) }, ""},
		"..data that leads up":        {func(dir string) error { return os.Symlink("..", filepath.Join(dir, "..data")) }, ""},
		"..data that leads below":     {func(dir string) error { return os.Symlink("rules/sub", filepath.Join(dir, "..data")) }, ""},
		"..data that is a file":       {func(dir string) error { return os.WriteFile(filepath.Join(dir, "..data"), nil, 0o644) }, ""},

		"..data that leads nowhere": {func(dir string) error {
			return firstError(os.RemoveAll(dir), os.Mkdir(dir, 0o755), os.Symlink("..gone", filepath.Join(dir, "..data")))
		}, "source folder: lstat DIR/..gone: no such file or directory"},
		"rule that links to itself":  {func(dir string) error { return os.Symlink("x.yml", filepath.Join(dir, "rules", "x.yml")) }, "DIR/rules/x.yml: too many levels of symbolic links"},
		"rule that links to nothing": {func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "rules", "x.yml")) }, "DIR/rules/x.yml: no such file or directory"},
		"unreadable rule":            {unreadable("rules/x.yml"), "DIR/rules/x.yml: permission denied"},
		"unreadable rules":           {unreadable("rules"), "DIR/rules: permission denied"},
		"unreadable folder":          {unreadable("private"), "DIR/private: permission denied"},
		"unreadable linked rules":    {unreadableLinked, "source folder: open DIR/rules: permission denied"},
		"main file that is a folder": {func(dir string) error {
			main := filepath.Join(dir, "prometheus.yml")
			return firstError(os.Remove(main), os.Mkdir(main, 0o755))
		}, "DIR/prometheus.yml is a folder, and only files can be read: the server would fail too"},
		"source_dir that is a file": {func(dir string) error {
			return firstError(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644))
		}, "source_dir DIR is a file: it must be the folder that holds prometheus.yml"},
		"source_dir that is missing":           {os.RemoveAll, "source folder: lstat DIR: no such file or directory"},
		"source_dir that links to itself":      {func(dir string) error { return firstError(os.RemoveAll(dir), os.Symlink(filepath.Base(dir), dir)) }, "DIR: links without end"},
		"source_dir without the main file":     {func(dir string) error { return os.Remove(filepath.Join(dir, "prometheus.yml")) }, "DIR/prometheus.yml: no such file: source_dir must hold prometheus.yml"},
		"source_dir that can't be listed":      {func(dir string) error { return os.Chmod(dir, 0o300) }, "source folder: open DIR: permission denied"},
		"source_dir below one without a right": {func(dir string) error { return os.Chmod(filepath.Dir(dir), 0) }, "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules, "rules/sub/unrelated": "x"})
			must(t, tt.make(b.source))
			t.Cleanup(func() { os.Chmod(filepath.Dir(b.source), 0o755); os.Chmod(b.source, 0o755) })
			must(t, os.Mkdir(b.out, 0o755))
			asNobody(t, b.out)
			w := &reload.Watcher{Paths: []string{b.source}, Rescan: 10 * time.Millisecond}
			n := looks(w)
			quiet(t, watch(t, w), n, "nothing")

			_, err := sync(t, b.publishOnly(reload.NewPrometheus, nil))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				if live := b.live(); len(live) != 2 {
					t.Errorf("live are %v", live)
				}
				return
			}
			want := strings.ReplaceAll(tt.want, "DIR", b.source)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want %s", err, want)
			}
		})
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func listen(dir string) error {
	// A path of a socket is short, so it is made where it can be and moved.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(os.TempDir(), fmt.Sprint("stoker-", time.Now().UnixNano())), Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return firstError(os.Rename(l.Addr().String(), filepath.Join(dir, "socket")), l.Close())
}

func editors(dir string) error {
	for _, name := range []string{".prometheus.yml.swp", "4913", "prometheus.yml~", "#prometheus.yml#", "rules/.up.yml.swp", "rules/up.yml~", "rules/up.yml.bak"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half a fi"), 0o600); err != nil {
			return err
		}
	}
	return os.Symlink("user@host.1234:1700000000", filepath.Join(dir, ".#prometheus.yml"))
}

func fill(dir string, n int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unreadable makes a file or folder that only root can read.
func unreadable(name string) func(dir string) error {
	return func(dir string) error {
		p := filepath.Join(dir, name)
		if _, err := os.Stat(p); err != nil && strings.HasSuffix(p, ".yml") {
			return os.WriteFile(p, []byte(goodRules), 0)
		} else if err != nil {
			return os.Mkdir(p, 0)
		}
		return os.Chmod(p, 0)
	}
}

func unreadableLinked(dir string) error {
	elsewhere := filepath.Join(filepath.Dir(dir), "elsewhere", "rules")
	return firstError(
		os.RemoveAll(filepath.Join(dir, "rules")), os.MkdirAll(elsewhere, 0o755),
		os.Symlink("../elsewhere/rules", filepath.Join(dir, "rules")), os.Chmod(elsewhere, 0))
}

// A config_file that refers to what can't be seen is not taken for one that refers to nothing.
func TestConfigFileThatRefersToTheUnseen(t *testing.T) {
	b := newBench(t, map[string]string{"prom.yml": goodMain, "rules/up.yml": goodRules})
	must(t, os.Chmod(filepath.Join(b.source, "rules"), 0))
	t.Cleanup(func() { os.Chmod(filepath.Join(b.source, "rules"), 0o755) })
	asNobody(t, b.source)
	cfg := reload.DefaultConfig()
	cfg.URL, cfg.ConfigFile, cfg.Settle = "http://127.0.0.1:1", filepath.Join(b.source, "prom.yml"), model.Duration(0)
	a, err := reload.NewPrometheus(cfg, reload.Options{PublishOnly: true})
	must(t, err)
	want := filepath.Join(b.source, "prom.yml") + " refers to files that can't be seen: open " + filepath.Join(b.source, "rules") + ": permission denied"
	if _, err := sync(t, a); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// asNobody makes the file operations of the test's goroutine those of a user who may write to dir and is otherwise
// nobody, until the test ends: root may read everything.
func asNobody(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	const nobody = 65534
	must(t, os.Chown(dir, nobody, nobody))
	// The folders of tests are root's alone.
	for p := filepath.Dir(dir); p != filepath.Dir(p); p = filepath.Dir(p) {
		info, err := os.Stat(p)
		must(t, err)
		if info.Mode().Perm()&0o011 == 0 && info.Mode().Perm() != 0 {
			must(t, os.Chmod(p, info.Mode().Perm()|0o011))
		}
	}
	runtime.LockOSThread()
	must(t, syscall.Setfsuid(nobody))
	t.Cleanup(func() {
		must(t, syscall.Setfsuid(0))
		runtime.UnlockOSThread()
	})
}
