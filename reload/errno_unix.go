//go:build unix

package reload

import "syscall"

const (
	errBusy     = syscall.EBUSY
	errInvalid  = syscall.EINVAL
	errNotEmpty = syscall.ENOTEMPTY
)
