package reload

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Kubernetes' fsGroup gives a volume a group of its own and the setgid bit, so that containers of different users share
// what is in it: that holds at every depth of a release.
func TestGroupIsInherited(t *testing.T) {
	dir := t.TempDir()
	gid := os.Getgid()
	if os.Getuid() == 0 {
		gid = 2000 // only root may choose one that it isn't in
	}
	if err := errors.Join(os.Chown(dir, -1, gid), os.Chmod(dir, 0o770|fs.ModeSetgid)); err != nil {
		t.Fatal(err)
	}
	s := store{dir: filepath.Join(dir, "out"), fileMode: 0o640}
	stage, err := s.stage(Tree{"a/b/c.yml": nil})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"a", "a/b", "a/b/c.yml"} {
		info, err := os.Stat(filepath.Join(stage, p))
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Gid); got != gid {
			t.Errorf("group of %s is %d, want %d", p, got, gid)
		}
		if info.IsDir() && info.Mode()&fs.ModeSetgid == 0 {
			t.Errorf("%s has mode %v, and so doesn't hand on its group", p, info.Mode())
		}
	}
}
