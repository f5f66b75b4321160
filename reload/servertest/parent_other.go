//go:build !linux

package servertest

import "syscall"

// dieWithParent is nothing where the kernel doesn't offer it: Ctrl-C reaches the child in the parent's
// process group, a crash of the parent leaves it behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
