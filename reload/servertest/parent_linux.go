package servertest

import "syscall"

// dieWithParent has the kernel kill the child when the test process is gone, also after a panic or a
// timeout that runs no cleanup. A process group of its own keeps Ctrl-C in a terminal from reaching the
// child before the parent has stopped it in order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
