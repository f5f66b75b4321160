//go:build !linux

package reload

import (
	"io/fs"
	"time"
)

// inodeAndChange returns what is portable: no inode and the modification time.
func inodeAndChange(info fs.FileInfo) (uint64, time.Time) { return 0, info.ModTime() }
