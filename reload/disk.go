package reload

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// tmpPrefix begins the names of everything that is half-done. No glob of a server's ends in such a name, and
// what a crash left behind is told from the rest by it.
const tmpPrefix = ".tmp-"

// disk is the file operations that change an output_dir, each one durable or all but invisible until a later
// one. Tests make any of them fail, or the process die before it.
type disk struct {
	// before is called before every operation; an error stands for the operation's own. Nil outside tests.
	before func(operation, path string) error
}

func (d disk) step(operation, path string) error {
	if d.before == nil {
		return nil
	}
	if err := d.before(operation, path); err != nil {
		return &fs.PathError{Op: operation, Path: path, Err: err}
	}
	return nil
}

// mkdir makes a folder with exactly these permissions, whatever the umask says; one that is there is left alone. A
// folder that hands its group on to what is made in it (setgid, as Kubernetes' fsGroup sets it) makes one that does too.
func (d disk) mkdir(dir string, perm fs.FileMode) error {
	if err := d.step("mkdir", dir); err != nil {
		return err
	}
	err := os.Mkdir(dir, perm)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, perm|info.Mode()&fs.ModeSetgid)
}

// newFile is a file to be written, with exactly these permissions.
type newFile struct {
	name string
	data []byte
	perm fs.FileMode
}

// syncAtOnce is how many files wait for the disk together. A file system writes its journal once for all that wait, so
// that 1,000 small files take 0.2 s instead of 1.8 s, on ext4; with more than these it gets no faster.
const syncAtOnce = 16

// writeAll writes new files; when it returns, their content is on disk.
func (d disk) writeAll(files []newFile) error {
	for some := range slices.Chunk(files, syncAtOnce) {
		if err := d.writeSome(some); err != nil {
			return err
		}
	}
	return nil
}

func (d disk) writeSome(files []newFile) (err error) {
	var open []*os.File
	for _, n := range files {
		var f *os.File
		if f, err = d.create(n); f != nil {
			open = append(open, f)
		}
		if err != nil {
			break
		}
	}
	errs := make([]error, len(open))
	var waiting sync.WaitGroup
	for i, f := range open {
		if err != nil {
			break
		}
		if err = d.step("fsync", f.Name()); err == nil {
			waiting.Go(func() { errs[i] = f.Sync() })
		}
	}
	waiting.Wait()
	for i, f := range open {
		errs[i] = errors.Join(errs[i], f.Close())
	}
	return errors.Join(append(errs, err)...)
}

// create writes a file that isn't on disk yet when it returns. The file is to be closed also if there is an error.
func (d disk) create(n newFile) (f *os.File, err error) {
	if err := d.step("create", n.name); err != nil {
		return nil, err
	}
	if f, err = os.OpenFile(n.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, n.perm); err != nil {
		return nil, err
	}
	if err = d.step("write", n.name); err == nil {
		_, err = f.Write(n.data)
	}
	if err == nil {
		err = f.Chmod(n.perm)
	}
	return f, err
}

// rename gives a folder or link its final name, durably: the folder that holds it is on disk then too.
func (d disk) rename(from, to string) error {
	if err := d.step("rename", to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return d.sync(filepath.Dir(to))
}

// sync makes the entries of a folder durable. Some file systems can't, and say so with EINVAL.
func (d disk) sync(dir string) error {
	if err := d.step("fsync", dir); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, errInvalid) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// link makes a symbolic link, or makes one that is there point elsewhere, by one rename.
func (d disk) link(target, name string) error {
	// A name of its own, so that what a crash left behind is never in the way.
	tmp := filepath.Join(filepath.Dir(name), fmt.Sprintf("%s%s-%x", tmpPrefix, filepath.Base(name), rand.Uint64()))
	if err := d.step("symlink", tmp); err != nil {
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	err := d.rename(tmp, name)
	if err != nil {
		os.Remove(tmp) // it may be in place already
	}
	return err
}

// remove removes a folder, link or file with everything below it.
func (d disk) remove(name string) error {
	if err := d.step("remove", name); err != nil {
		return err
	}
	return os.RemoveAll(name)
}

// leftovers lists what a crash left half-done in a folder.
func leftovers(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}
