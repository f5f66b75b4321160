package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// stage is where the demo plays: it keeps the time, narrates, and clears up. It is the servertest.TB of the
// servers that take part.
type stage struct {
	ctx     context.Context
	out     io.Writer
	started time.Time
	err     error
	cleanup []func()
}

// curtain is the panic that ends the play early.
type curtain struct{}

func newStage(ctx context.Context, out io.Writer) *stage {
	return &stage{ctx: ctx, out: out, started: time.Now()}
}

// play runs f, clears up after it, newest first, and returns what made it fail.
func (s *stage) play(f func()) error {
	s.guard(f)
	if s.ctx.Err() != nil {
		fmt.Fprintln(s.out)
		s.say("stopping everything")
	}
	for len(s.cleanup) > 0 {
		last := len(s.cleanup) - 1
		f := s.cleanup[last]
		s.cleanup = s.cleanup[:last]
		s.guard(f)
	}
	return s.err
}

func (s *stage) guard(f func()) {
	defer func() {
		if reason := recover(); reason != nil && reason != (curtain{}) {
			panic(reason)
		}
	}()
	f()
}

// fail ends the play with an error.
func (s *stage) fail(err error) {
	if s.ctx.Err() != nil {
		err = s.ctx.Err() // what fails now fails because of it
	}
	if s.err == nil {
		s.err = err
	}
	panic(curtain{})
}

// say tells what happens, and when.
func (s *stage) say(format string, args ...any) {
	at := time.Since(s.started).Round(time.Second)
	fmt.Fprintf(s.out, "%d:%02d  %s\n", at/time.Minute, at%time.Minute/time.Second, fmt.Sprintf(format, args...))
}

// until waits for f to return nil.
func (s *stage) until(what string, timeout time.Duration, f func() error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-s.ctx.Done():
			s.fail(s.ctx.Err())
		case <-deadline.C:
			s.fail(fmt.Errorf("%s: not within %v: %w", what, timeout, err))
		case <-ticker.C:
		}
	}
}

// The rest makes it a servertest.TB.

func (s *stage) Helper()          {}
func (s *stage) Cleanup(f func()) { s.cleanup = append(s.cleanup, f) }
func (s *stage) Failed() bool     { return s.err != nil && s.ctx.Err() == nil }

func (s *stage) Fatalf(format string, args ...any) { s.fail(fmt.Errorf(format, args...)) }

func (s *stage) Errorf(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *stage) Logf(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "stoker-demo-")
	if err != nil {
		s.fail(err)
	}
	s.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			s.Errorf("%v", err)
		}
	})
	return dir
}
