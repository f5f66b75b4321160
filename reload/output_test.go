package reload

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What is wrong with an output_dir is named with its remedy.
func TestOutputHints(t *testing.T) {
	for name, tt := range map[string]struct {
		op   string // the file operation that fails
		path string // on a path with this end
		err  error
		want string
	}{
		"mount":     {"rename", "/live", syscall.EBUSY, "that name is itself a mount point, so it can never be replaced: mount output_dir or a folder above it instead"},
		"read-only": {"mkdir", "/releases", syscall.EROFS, "mount the volume of output_dir writable for stoker; the server can have it read-only"},
		"full":      {"write", "", syscall.ENOSPC, "the disk of output_dir is full"},
		"owner":     {"mkdir", "/releases", syscall.EACCES, "output_dir must be writable for user "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeSource(t, dir, "one")
			a := crashAgent(dir)
			a.shelf.(*store).before = func(op, path string) error {
				if op == tt.op && strings.HasSuffix(path, tt.path) {
					return tt.err
				}
				return nil
			}
			if _, err := a.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// A missing volume is said, not replaced by a folder that no server sees.
func TestMissingVolume(t *testing.T) {
	if _, err := Lock(filepath.Join(t.TempDir(), "volume", "prometheus"), ""); err == nil || !strings.Contains(err.Error(), "make the folder, or mount the volume, that should hold it") {
		t.Errorf("error is %v", err)
	}
}

// The mode of published files can be chosen, whatever the umask says; stoker's own stay private.
func TestFileMode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := t.TempDir()
	tree := Tree{"a/b.yml": nil, ".stoker/contacts/c.yml": nil}
	if err := (disk{}).writeTree(filepath.Join(dir, "r"), tree, 0o644); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]fs.FileMode{"a": 0o750, "a/b.yml": 0o644, ".stoker": 0o700, ".stoker/contacts": 0o700, ".stoker/contacts/c.yml": 0o600} {
		info, err := os.Stat(filepath.Join(dir, "r", p))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s is %v, %v, want %v", p, info.Mode().Perm(), err, want)
		}
	}
}

// Where the live link should be is a folder: a mount of the link itself shows as one, and never as another.
func TestLiveIsAFolder(t *testing.T) {
	dir := t.TempDir()
	writeSource(t, dir, "one")
	live := filepath.Join(dir, "out", "live")
	if err := os.MkdirAll(filepath.Join(live, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	a := crashAgent(dir)
	for range 2 {
		if _, err := a.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), live+" is no link: if it is a mount, mount output_dir or a folder above it instead; if somebody made it, remove it") {
			t.Errorf("error is %v", err)
		}
	}
	if err := os.RemoveAll(live); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Sync(t.Context()); err != nil || checkLive(t, dir) != "one" {
		t.Errorf("without it: %v", err)
	}
}

// A release that somebody has tampered with is written anew when it is asked for.
func TestTamperedRelease(t *testing.T) {
	dir := t.TempDir()
	a := crashAgent(dir)
	pass := func(job string) {
		t.Helper()
		writeSource(t, dir, job)
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pass("one")
	first := a.Status().Live
	pass("two")
	if err := os.Remove(filepath.Join(dir, "out", "releases", first, "rules", "a", "a.yml")); err != nil {
		t.Fatal(err)
	}
	pass("one")
	if job := checkLive(t, dir); job != "one" || a.Status().Live != first {
		t.Errorf("live runs %q", job)
	}
	checkTidy(t, dir)
}
