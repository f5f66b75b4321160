package reload

import (
	"path/filepath"
	"strconv"
	"strings"
)

// warnOfMounts says once if the main file is a mount of its own. Most editors, and git, put a new file in the place of
// the old one, and a mount goes on showing the old one.
func (a *Agent) warnOfMounts() {
	if a.mounts {
		return
	}
	a.mounts = true
	file := a.cfg.ConfigFile
	if file == "" {
		file = filepath.Join(a.cfg.SourceDir, a.dialect.main())
	}
	file, err := filepath.Abs(file)
	if err == nil && isMount(file) {
		a.logger.Warn("a file that is a mount of its own goes on showing what it was mounted with when another file is put in its place: mount its folder instead",
			"server", a.dialect.server(), "file", file)
	}
}

// mountedAt reports whether something is mounted at exactly this path, by the content of /proc/self/mountinfo: the
// mount point is its fifth field, with blanks and backslashes as octal numbers (proc_pid_mountinfo(5)).
func mountedAt(mountinfo, path string) bool {
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 && unescapeOctal(fields[4]) == path {
			return true
		}
	}
	return false
}

func unescapeOctal(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if n, err := strconv.ParseUint(rest[:min(3, len(rest))], 8, 8); err == nil && len(rest) >= 3 {
			b.WriteByte(byte(n))
			s = rest[3:]
			continue
		}
		b.WriteByte('\\')
		s = rest
	}
}
