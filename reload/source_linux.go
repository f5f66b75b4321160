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
