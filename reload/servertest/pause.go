//go:build unix

package servertest

import "syscall"

// Pause stops the process from running until it is resumed, as a machine without a moment for it does: it is there,
// it listens, and it does nothing.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.current.cmd.Process.Signal(signal); err != nil {
		s.t.Fatalf("%v: %v", signal, err)
	}
}
