//go:build unix

package reload

import "syscall"

const (
	errBusy     = syscall.EBUSY
	errInvalid  = syscall.EINVAL
	errNoSpace  = syscall.ENOSPC
	errNotEmpty = syscall.ENOTEMPTY
	errReadOnly = syscall.EROFS
)
