package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// cgroup is a control group of its own with a limit on memory, as a container has it.
type cgroup struct {
	b   *testing.B
	dir string
	// version is 1 or 2.
	version int
	// join is a line of shell that puts the shell, and what it becomes, into the group.
	join string
}

// newCgroup makes a group below this process' own, or beside it. It is an error where that isn't allowed, as in most
// containers and for users who have no group of their own.
func newCgroup(b *testing.B, limit int) (*cgroup, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var errs []error
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // 0::/path, or 4:memory:/path of version 1
		version := 0
		switch {
		case len(fields) != 3:
		case fields[0] == "0":
			version = 2
		case strings.Contains(","+fields[1]+",", ",memory,"):
			version = 1
		}
		root := cgroupRoot(string(mounts), version)
		if root == "" {
			continue
		}
		for _, parent := range []string{filepath.Join(root, fields[2]), filepath.Dir(filepath.Join(root, fields[2]))} {
			g := &cgroup{b: b, version: version, dir: filepath.Join(parent, fmt.Sprintf("stoker-bench-%d", os.Getpid()))}
			if err := g.make(limit); err != nil {
				errs = append(errs, err)
				continue
			}
			return g, nil
		}
	}
	return nil, errors.Join(append(errs, errors.New("no control group to be made"))...)
}

// cgroupRoot is where the groups of a version that can limit memory are mounted; "" if they aren't.
func cgroupRoot(mounts string, version int) string {
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		if version == 2 && fields[2] == "cgroup2" ||
			version == 1 && fields[2] == "cgroup" && strings.Contains(","+fields[3]+",", ",memory,") {
			return fields[1]
		}
	}
	return ""
}

func (g *cgroup) make(limit int) error {
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return err
	}
	file := map[int]string{1: "memory.limit_in_bytes", 2: "memory.max"}[g.version]
	// The group is there without the file where the memory of its parent's groups isn't counted.
	f, err := os.OpenFile(filepath.Join(g.dir, file), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(limit))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return errors.Join(err, os.Remove(g.dir))
	}
	g.join = fmt.Sprintf("echo $$ >'%s' || exit", filepath.Join(g.dir, "cgroup.procs"))
	g.b.Cleanup(func() {
		if err := os.Remove(g.dir); err != nil {
			g.b.Errorf("control group left behind: %v", err)
		}
	})
	return nil
}

// peak is the most memory in MB that was counted at once, with the page cache; it is at most the limit.
func (g *cgroup) peak() float64 {
	g.b.Helper()
	data, err := os.ReadFile(filepath.Join(g.dir, map[int]string{1: "memory.max_usage_in_bytes", 2: "memory.peak"}[g.version]))
	if errors.Is(err, os.ErrNotExist) {
		return -1 // before Linux 5.19
	}
	must(g.b, err)
	n, err := strconv.ParseFloat(strings.TrimSpace(string(data)), 64)
	must(g.b, err)
	return n / 1e6
}

// kills is how many processes of the group were killed because of the limit.
func (g *cgroup) kills() float64 {
	g.b.Helper()
	data, err := os.ReadFile(filepath.Join(g.dir, map[int]string{1: "memory.oom_control", 2: "memory.events"}[g.version]))
	must(g.b, err)
	for line := range strings.Lines(string(data)) {
		var n float64
		if _, err := fmt.Sscanf(line, "oom_kill %f", &n); err == nil {
			return n
		}
	}
	return -1
}

// usualReadAhead is how many kilobytes Linux reads at once from most disks, and the most that a page which is missing
// may cost where memory is short. Some virtual machines have disks that read 8 MB, a tenth of the program, and push as
// much of it out: what is measured then is the disk.
const usualReadAhead = 128

// usualDisk returns a folder for the program on a disk that reads ahead as usual: a temporary one, or a file that is
// mounted as a disk of its own.
func usualDisk(b *testing.B, size int64) (string, error) {
	dir := b.TempDir()
	if kb, err := readAhead(dir); err != nil || kb <= usualReadAhead {
		return dir, err
	}
	image := filepath.Join(b.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, (2*size>>20+16)<<20)); err != nil {
		return "", err
	}
	if _, err := command("mkfs.ext4", "-q", image); err != nil {
		return "", err
	}
	device, err := command("losetup", "--find", "--show", "--direct-io=on", image)
	if err != nil {
		return "", err
	}
	b.Cleanup(func() {
		if _, err := command("losetup", "--detach", device); err != nil {
			b.Error(err)
		}
	})
	setting := filepath.Join("/sys/block", filepath.Base(device), "queue/read_ahead_kb")
	if err := os.WriteFile(setting, []byte(strconv.Itoa(usualReadAhead)), 0); err != nil {
		return "", err
	}
	if _, err := command("mount", device, dir); err != nil {
		return "", err
	}
	b.Cleanup(func() {
		if _, err := command("umount", dir); err != nil {
			b.Error(err)
		}
	})
	return dir, nil
}

// readAhead is how many kilobytes the disk of a folder reads at once, 0 if its file system doesn't tell.
func readAhead(dir string) (int, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return 0, err
	}
	device := fmt.Sprintf("%d:%d", st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&^0xff) // as makedev(3) joins them
	data, err := os.ReadFile(filepath.Join("/sys/class/bdi", device, "read_ahead_kb"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

func command(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}
