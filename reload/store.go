package reload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// keepReleases is how many releases stay on disk for people to look at and go back to.
const keepReleases = 5

const (
	liveLink    = "live"
	provedLink  = "proved"
	releasesDir = "releases"
	tmpPrefix   = ".tmp-"
)

// store is an output_dir. Whoever calls a method that writes holds its lock.
type store struct{ dir string }

// ErrLocked says that another process writes to an output_dir.
type ErrLocked struct {
	// Dir is the output_dir, Address the base URL of the web listener of the process that holds it, or ""
	// if that process has none.
	Dir, Address string
}

func (e *ErrLocked) Error() string {
	return fmt.Sprintf("%s is being written by another stoker", e.Dir)
}

// Lock makes this process the only writer of an output_dir until release is called or the process ends,
// however it ends. Others find address, the base URL of this process's web listener, in their [ErrLocked].
func Lock(dir, address string) (release func() error, err error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, ".lock")
	lock := flock.New(file, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o640))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock of output_dir: %w", err)
	}
	if !ok {
		held, _ := os.ReadFile(file)
		return nil, &ErrLocked{Dir: dir, Address: strings.TrimSpace(string(held))}
	}
	if err := os.WriteFile(file, []byte(address+"\n"), 0o640); err != nil {
		return nil, errors.Join(fmt.Errorf("lock of output_dir: %w", err), lock.Close())
	}
	return lock.Close, nil
}

// makeDir makes an output folder. The parent must exist: a forgotten volume would otherwise be replaced by a
// folder inside the container that no server sees.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o750)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("output_dir: %w: make the folder, or mount the volume, that should hold it", err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("output_dir: %w: it must be writable for user %d", err, os.Getuid())
	}
	return fmt.Errorf("output_dir: %w", err)
}

// current returns the release that a link points to, "" if there is no such link or release.
func (s store) current(link string) string {
	target, err := os.Readlink(filepath.Join(s.dir, link))
	if err != nil {
		return ""
	}
	hash := filepath.Base(target)
	if _, err := os.Stat(s.path(hash)); err != nil {
		return ""
	}
	return hash
}

func (s store) path(hash string) string { return filepath.Join(s.dir, releasesDir, hash) }

// stage writes a tree to a folder that no server looks at, and returns it. The caller checks it and then
// commits or removes it.
func (s store) stage(tree Tree) (string, error) {
	if err := makeDir(s.dir); err != nil {
		return "", err
	}
	if err := makeDir(filepath.Join(s.dir, releasesDir)); err != nil {
		return "", err
	}
	stage, err := os.MkdirTemp(filepath.Join(s.dir, releasesDir), tmpPrefix)
	if err != nil {
		return "", fmt.Errorf("staging a release: %w", err)
	}
	if err := writeTree(stage, tree); err != nil {
		return "", errors.Join(fmt.Errorf("staging a release: %w", err), os.RemoveAll(stage))
	}
	return stage, nil
}

// writeTree writes the files of a release durably: when it returns, the content is on disk, and so are the
// folders' entries.
func writeTree(dir string, tree Tree) error {
	if err := os.Chmod(dir, 0o750); err != nil {
		return err
	}
	dirs := map[string]bool{dir: true}
	for _, p := range tree.Paths() {
		file := filepath.Join(dir, filepath.FromSlash(p))
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			return fmt.Errorf("path %q leads out of the release", p)
		}
		for d := filepath.Dir(file); !dirs[d]; d = filepath.Dir(d) {
			perm := fs.FileMode(0o750)
			if mode(p) == 0o600 {
				perm = 0o700
			}
			if err := os.MkdirAll(d, perm); err != nil {
				return err
			}
			if err := os.Chmod(d, perm); err != nil { // whatever the umask says
				return err
			}
			dirs[d] = true
		}
		if err := writeFile(file, tree[p], mode(p)); err != nil {
			return err
		}
	}
	for d := range dirs {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm) // whatever the umask says
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the entries of a folder durable. Some file systems can't, and say so with EINVAL.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, errInvalid) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// commit gives a staged folder its final name. A release of the same name has the same content.
func (s store) commit(stage, hash string) error {
	err := os.Rename(stage, s.path(hash))
	if errors.Is(err, fs.ErrExist) || errors.Is(err, errNotEmpty) {
		return os.RemoveAll(stage)
	}
	if err != nil {
		return fmt.Errorf("publishing release %s: %w", hash, err)
	}
	return syncDir(filepath.Join(s.dir, releasesDir))
}

// point makes a link point to a release by one rename, durably.
func (s store) point(link, hash string) error {
	if s.current(link) == hash {
		return nil
	}
	name := filepath.Join(s.dir, link)
	// A temporary link that a crash left behind has a random name, so it can't be in the way.
	if err := renameio.Symlink(filepath.Join(releasesDir, hash), name); err != nil {
		return fmt.Errorf("making release %s %s: %w%s", hash, link, err, mountHint(err))
	}
	return syncDir(s.dir)
}

// mountHint explains the errors of a link that can't be replaced.
func mountHint(err error) string {
	if errors.Is(err, errBusy) {
		return ": the link itself is a mount point, so it can never change: mount output_dir or a folder above it instead"
	}
	return ""
}

// prune removes what a crash left half-written and all but the newest releases; never the live one, never
// the proved one.
func (s store) prune() error {
	dir := filepath.Join(s.dir, releasesDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type release struct {
		name string
		info fs.FileInfo
	}
	var releases []release
	var errs error
	// renameio.Symlink works in a folder of this name.
	for _, link := range []string{liveLink, provedLink} {
		left, _ := filepath.Glob(filepath.Join(s.dir, "."+link+"[0-9]*"))
		for _, l := range left {
			errs = errors.Join(errs, os.RemoveAll(l))
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			errs = errors.Join(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
			continue
		}
		if info, err := e.Info(); err == nil {
			releases = append(releases, release{e.Name(), info})
		}
	}
	slices.SortFunc(releases, func(a, b release) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	live, proved := s.current(liveLink), s.current(provedLink)
	for i, r := range releases {
		if i >= keepReleases && r.name != live && r.name != proved {
			errs = errors.Join(errs, os.RemoveAll(filepath.Join(dir, r.name)))
		}
	}
	return errs
}

// readTree reads a release from disk.
func readTree(dir string) (Tree, error) {
	tree := Tree{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		tree[filepath.ToSlash(rel)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading a release: %w", err)
	}
	return tree, nil
}
