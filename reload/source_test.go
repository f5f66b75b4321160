package reload

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An atomic source is never half-read: while its link is swapped over and over, and every old version is removed at
// once, a and b are always of one version.
func TestReadSeesOneVersion(t *testing.T) {
	for _, kind := range []string{"git-sync", "ConfigMap"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			link, source := filepath.Join(dir, "link"), filepath.Join(dir, "link")
			if kind == "ConfigMap" {
				link, source = filepath.Join(dir, "..data"), dir
			}
			old := ""
			swap := func(version int) {
				next := fmt.Sprintf("..v%d", version)
				for _, name := range []string{"a", "b"} {
					p := filepath.Join(dir, next, name)
					if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, fmt.Append(nil, version), 0o644)); err != nil {
						t.Error(err)
					}
				}
				if err := errors.Join(os.Symlink(next, link+".tmp"), os.Rename(link+".tmp", link)); err != nil {
					t.Error(err)
				}
				if old != "" {
					if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
						t.Error(err)
					}
				}
				old = next
			}
			swap(0)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for version := 1; ctx.Err() == nil; version++ {
					swap(version)
				}
			}()
			good := 0
			for range 300 {
				var a, b []byte
				err := read(ctx, source, func() []string { return nil }, time.Millisecond, func(root string) (err error) {
					if a, err = os.ReadFile(filepath.Join(root, "a")); err != nil {
						return err
					}
					b, err = os.ReadFile(filepath.Join(root, "b"))
					return err
				})
				switch {
				case errors.Is(err, errMoved): // Too fast to follow: said, not guessed.
				case errors.Is(err, fs.ErrNotExist): // The folder itself was gone between two looks.
				case err != nil:
					t.Fatal(err)
				case string(a) != string(b):
					t.Fatalf("a is of version %s, b of %s", a, b)
				default:
					good++
				}
			}
			cancel()
			<-done
			if good == 0 {
				t.Error("no version was ever read")
			}
		})
	}
}

// What is atomic is told by the links: a swap makes the newest thing on the way, an edit in place doesn't.
func TestAtomicSources(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "tree", "sub"), 0o755))
	must(os.WriteFile(filepath.Join(dir, "tree", "sub", "file"), nil, 0o644))
	must(os.Symlink("tree", filepath.Join(dir, "link")))
	atomic := func(p string) bool {
		t.Helper()
		src, err := resolve(p)
		must(err)
		seen, err := lookAt(src.root, nil)
		must(err)
		return src.atomic(seen)
	}
	if atomic(filepath.Join(dir, "tree")) {
		t.Error("a plain folder is taken for an atomic one")
	}
	if !atomic(filepath.Join(dir, "link")) || !atomic(filepath.Join(dir, "link", "sub")) {
		t.Error("a link made after its files isn't taken for a swap")
	}
	// The kernel's clock for files has a tick of some milliseconds: edit until the edit is newer.
	for atomic(filepath.Join(dir, "link")) {
		must(os.WriteFile(filepath.Join(dir, "tree", "sub", "file"), []byte("edited"), 0o644))
	}
}

// A folder that is being written to is read only when its writer has paused.
func TestSettleWaitsForTheWriter(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	finished := make(chan struct{})
	write := func(i int) {
		if err := os.WriteFile(file, fmt.Append(nil, i), 0o644); err != nil {
			t.Error(err)
		}
	}
	write(0)
	go func() {
		defer close(finished)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := range 20 {
			<-tick.C
			write(i)
		}
	}()
	if err := Settle(t.Context(), dir, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	select {
	case <-finished:
	default:
		t.Error("Settle returned while the folder was being written to")
	}
	// What has been still for long enough already is not waited for: ten days would outlast the test.
	if err := Settle(t.Context(), dir, time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	if err := Settle(t.Context(), filepath.Join(dir, "nothing"), 240*time.Hour); err != nil {
		t.Fatal(err)
	}
}

// A path is followed as the kernel does, through links of every kind.
func TestTrail(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "b", "file"), "")
	for name, target := range map[string]string{
		"a/up": "..", "a/b/absolute": filepath.Join(dir, "a"), "chain": "a/up/a/b/absolute/b", "a/dangling": "../nothing/file",
		"a/loop": "loop", "a/one": "../two", "two": "a/one", "slashes": ".//a/./b/", "through": "a/b/file/x", "a/b/far": "../../../../../../../../..",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{
		"", "a", "a/b/file", "a/up", "a/up/a/up/a/b", "a/b/absolute/b/file", "chain", "chain/file", "chain/../b", "a/dangling", "a/loop",
		"a/one", "two", "slashes/file", "through", "a/b/far", "nothing/at/all", "a/b/file/below", "a//b/./../b",
	} {
		p = dir + "/" + p
		links := 0
		got, err := trail(p, func(link string, info fs.FileInfo) {
			links++
			if seen, err := os.Lstat(link); err != nil || !os.SameFile(seen, info) || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("%s: %s is no link", p, link)
			}
		})
		want, wantErr := filepath.EvalSymlinks(p)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Errorf("%s leads to %s, %v, want %s, %v", p, got, err, want, wantErr)
		}
		if err != nil {
			if _, err := os.Lstat(got); err != nil {
				t.Errorf("%s: what is left of the way isn't there: %v", p, err)
			}
		}
	}
}

// What changes while a plain folder is read is read again: a file that vanishes half-way is no error.
func TestReadAgainAfterAChange(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "")
	write(t, filepath.Join(dir, "b"), "")
	reads := 0
	err := read(t.Context(), dir, func() []string { return nil }, 0, func(root string) error {
		if reads++; reads == 1 {
			if err := os.Remove(filepath.Join(dir, "b")); err != nil {
				t.Fatal(err)
			}
			return fs.ErrNotExist
		}
		return nil
	})
	if err != nil || reads != 2 {
		t.Errorf("%d reads, error %v", reads, err)
	}
}

// meddling changes a file while it is being checked.
type meddling struct {
	prometheusFiles
	change func()
}

func (m meddling) check(s staged) (scanner.ErrorList, error) {
	m.change()
	return m.prometheusFiles.check(s)
}

// A config_file that changes between reading and checking it is no release: what the check saw isn't what was read.
func TestConfigFileThatChangesDuringTheCheck(t *testing.T) {
	cfg := DefaultConfig()
	cfg.URL, cfg.ConfigFile, cfg.Settle = "http://127.0.0.1:1", filepath.Join(t.TempDir(), "prom.yml"), 0
	a, err := NewPrometheus(cfg, Options{PublishOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	write(t, cfg.ConfigFile, "rule_files: [bad.yml]\n")
	write(t, filepath.Join(filepath.Dir(cfg.ConfigFile), "bad.yml"), "groups: [{}]\n")
	a.dialect = meddling{change: func() { write(t, cfg.ConfigFile, "global: {}\n") }}
	if _, err := a.Sync(t.Context()); !errors.Is(err, errMoved) {
		t.Errorf("error is %v", err)
	}
	if live := a.Status().Live; live != "" {
		t.Errorf("live is %s", live)
	}
	a.dialect = prometheusFiles{}
	if _, err := a.Sync(t.Context()); err != nil || a.Status().Live == "" {
		t.Errorf("the next pass: %v, live is %q", err, a.Status().Live)
	}
}

// A folder with a ..data link is a volume if all that it holds is behind that link.
func TestWhatIsAVolume(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(dir string) error
		want string // where the files are
	}{
		"volume":         {func(string) error { return nil }, "..v1"},
		"leftover link":  {func(dir string) error { return os.Symlink("..v2", filepath.Join(dir, "..data_tmp")) }, "..v1"},
		"file beside it": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "file"), nil, 0o644) }, ""},
		"mount in it":    {func(dir string) error { return os.Mkdir(filepath.Join(dir, "rules"), 0o755) }, ""},
		"link elsewhere": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "..data")), os.Symlink("/etc", filepath.Join(dir, "..data")))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "..v1", "a.yml"), "")
			if err := errors.Join(os.Symlink("..v1", filepath.Join(dir, "..data")), os.Symlink("..data/a.yml", filepath.Join(dir, "a.yml")), tt.make(dir)); err != nil {
				t.Fatal(err)
			}
			src, err := resolve(dir)
			if want := filepath.Join(dir, tt.want); err != nil || src.root != want || src.dir != dir {
				t.Errorf("resolved to %+v, %v, want %s", src, err, want)
			}
		})
	}
}
