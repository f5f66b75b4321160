package servertest

import (
	"path/filepath"
	"syscall"
)

// Run starts any other program, such as nginx, and ends it with the test. What it has printed is shown if the test
// fails.
func Run(t TB, program string, args ...string) {
	t.Helper()
	p, err := launch(program, t.TempDir(), nil, args)
	if err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	t.Cleanup(func() {
		if p.stopped() {
			t.Errorf("%s has ended by itself: %v\n%s", filepath.Base(program), p.err, p.log.tail())
			return
		}
		if err := p.stop(syscall.SIGTERM, stopTimeout); err != nil {
			t.Errorf("stop %s: %v", filepath.Base(program), err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(program), p.log.String())
		}
	})
}
