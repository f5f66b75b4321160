package reload_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

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
