package reload

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// The same with the kernel's real limits. They are those of a user namespace, so that nobody else runs out of notices.
func TestWatcherAtTheLimitsOfTheKernel(t *testing.T) {
	const inside = "STOKER_TEST_USER_NAMESPACE"
	if os.Getenv(inside) != "" {
		watchAtTheLimits(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		t.Log("no user namespaces here, so the limits are only those that TestWatcherWithoutTheKernel makes up")
		return
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func watchAtTheLimits(t *testing.T) {
	limit := func(name, value string) {
		t.Helper()
		if err := os.WriteFile("/proc/sys/user/"+name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "a", "file"), filepath.Join(dir, "b", "file"), filepath.Join(dir, "c", "file")}
	for _, file := range files {
		write(t, file, "0")
	}
	limit("max_inotify_instances", "0")
	k := &kernel{}
	c := k.watch(t, 10*time.Millisecond, dir)
	write(t, files[0], "polled")
	notice(t, c, "a change without an instance")

	// Three watches: the folder above, the folder itself and one more.
	limit("max_inotify_watches", "3")
	limit("max_inotify_instances", "1")
	for _, file := range files {
		for len(c) > 0 {
			<-c
		}
		write(t, file, "with some watches")
		notice(t, c, "a change with too few watches")
	}
	k.eventually(t, "three watches", func() bool { return k.fsw != nil && len(k.fsw.WatchList()) == 3 })
	k.locked(func() {
		if log := k.log.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, `hint="raise fs.inotify.max_user_instances`) || !strings.Contains(log, `folders=2 err=`) || !strings.Contains(log, `hint="raise fs.inotify.max_user_watches"`) {
			t.Errorf("log is %s", log)
		}
	})
	if n := testutil.ToFloat64(k.metrics.errors); n < 2 {
		t.Errorf("%v errors are counted", n)
	}

	limit("max_inotify_watches", "100")
	k.eventually(t, "all watches", func() bool { return len(k.fsw.WatchList()) == 5 })
	k.eventually(t, "word that all is well", func() bool {
		return strings.Contains(k.log.String(), "the kernel tells of all changes again")
	})
}
