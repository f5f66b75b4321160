package servertest

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// process is one run of a server.
type process struct {
	cmd    *exec.Cmd
	log    *Log
	exited chan struct{}
	err    error // why it exited; set before exited is closed
}

func launch(binary, dir string, env, flags []string) (*process, error) {
	p := &process{
		cmd:    exec.Command(binary, flags...),
		log:    new(Log),
		exited: make(chan struct{}),
	}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = dieWithParent()

	started := make(chan error)
	go func() {
		// Linux ties a child's life to the thread that started it, so that thread is kept until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// stopped tells whether the process has ended by itself or by stop.
func (p *process) stopped() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop sends the signal and waits for the end of the process, which it enforces after the timeout.
func (p *process) stop(signal os.Signal, timeout time.Duration) error {
	if p.stopped() {
		return nil
	}
	_ = p.cmd.Process.Signal(signal) // fails only if it has just ended
	select {
	case <-p.exited:
		return nil
	case <-time.After(timeout):
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	return fmt.Errorf("still running %v after %v, killed", timeout, signal)
}

// tail is the last lines: enough to see why a process ended.
func (l *Log) tail() string {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// exporter-toolkit, the listener of both servers, logs this line as soon as it listens: all versions from
// 0.11 (Alertmanager 0.27, Prometheus 2.53) on.
var listensLine = regexp.MustCompile(`msg="TLS is (enabled|disabled)\.".* address=(\S+)`)

// listensOn is the URL that the process said it listens on, or empty if it hasn't yet.
func (l *Log) listensOn() string {
	match := listensLine.FindStringSubmatch(l.String())
	switch {
	case match == nil:
		return ""
	case match[1] == "enabled":
		return "https://" + match[2]
	default:
		return "http://" + match[2]
	}
}
