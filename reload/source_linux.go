package reload

import (
	"io/fs"
	"syscall"
	"time"
)

// inodeAndChange returns a file's inode and the time of its last change. That is the kernel's ctime: unlike
// the modification time, which cp -p and rsync -t set back, no program can choose it.
func inodeAndChange(info fs.FileInfo) (uint64, time.Time) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino, time.Unix(st.Ctim.Unix())
	}
	return 0, info.ModTime()
}

// folderID is what a folder is, whatever its name.
type folderID struct{ device, inode uint64 }

// identify returns what tells a folder from another one that later has the same name.
func identify(dir string) (folderID, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return folderID{}, err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return folderID{}, syscall.ENOTDIR
	}
	return folderID{device: uint64(st.Dev), inode: st.Ino}, nil
}
