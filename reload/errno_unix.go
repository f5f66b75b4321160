//go:build unix

package reload

import "syscall"

const (
	errBusy     = syscall.EBUSY
	errInvalid  = syscall.EINVAL
	errNobody   = syscall.ECONNREFUSED
	errNoSpace  = syscall.ENOSPC
	errNotEmpty = syscall.ENOTEMPTY
	errReadOnly = syscall.EROFS
)
