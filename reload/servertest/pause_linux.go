package servertest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Pause stops the process from running until it is resumed, as a machine without a moment for it does: it is there,
// it listens, and it does nothing.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	threads := fmt.Sprintf("/proc/%d/task/*/stat", s.current.cmd.Process.Pid)
	Eventually(s.t, stopTimeout, func() error {
		files, err := filepath.Glob(threads)
		if err != nil {
			return err
		}
		for _, f := range files {
			stat, err := os.ReadFile(f)
			if err != nil {
				continue // The thread has ended.
			}
			// The state follows the name, which is in parentheses (proc(5)).
			if _, state, _ := bytes.Cut(stat, []byte(") ")); !bytes.HasPrefix(state, []byte("T")) {
				return fmt.Errorf("still running: %.20s", state)
			}
		}
		return nil
	})
}

// Resume lets a paused process go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.current.cmd.Process.Signal(signal); err != nil {
		s.t.Fatalf("%v: %v", signal, err)
	}
}
