//go:build !linux

package reload

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// inodeAndChange returns what is portable: no inode and the modification time.
func inodeAndChange(info fs.FileInfo) (uint64, time.Time) { return 0, info.ModTime() }

// folderID is what is portable of what a folder is: its name.
type folderID struct{ name string }

// identify returns the identity of a folder.
func identify(dir string) (folderID, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return folderID{name: dir}, err
}
