package reload

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A volume that belongs to another user than the one stoker runs as.
func TestOutputDirOfAnotherUser(t *testing.T) {
	dir := t.TempDir()
	writeSource(t, dir, "one")
	if err := os.Mkdir(dir+"/out", 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// Root may write anywhere: this thread's file operations are those of nobody for a while.
		if err := os.Chmod(dir+"/..", 0o755); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer syscall.Setfsuid(0)
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Lock(dir+"/out", "")
	if err == nil || !strings.Contains(err.Error(), "output_dir must be writable for user") {
		t.Errorf("error is %v", err)
	}
}
