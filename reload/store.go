package reload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// keepReleases is how many releases stay on disk for people to look at and go back to.
const keepReleases = 5

const (
	liveLink    = "live"
	provedLink  = "proved"
	releasesDir = "releases"
	// reloadingFile tells of the reload that is under way.
	reloadingFile = ".reloading"
)

// store is an output_dir. Whoever calls a method that writes holds its lock.
type store struct {
	dir string
	// fileMode is that of a release's files. Those of stoker itself are 0600.
	fileMode fs.FileMode
	disk
}

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
		return nil, fmt.Errorf("lock of output_dir: %w", outputHint(err))
	}
	if !ok {
		held, _ := os.ReadFile(file)
		return nil, &ErrLocked{Dir: dir, Address: strings.TrimSpace(string(held))}
	}
	if err := os.WriteFile(file, []byte(address+"\n"), 0o640); err != nil {
		return nil, errors.Join(fmt.Errorf("lock of output_dir: %w", outputHint(err)), lock.Close())
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
	return fmt.Errorf("output_dir: %w", outputHint(err))
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
	releases := filepath.Join(s.dir, releasesDir)
	if err := s.mkdir(releases, 0o750); err != nil {
		return "", fmt.Errorf("staging a release: %w", outputHint(err))
	}
	stage := s.temporary(releases)
	if err := s.writeTree(stage, tree, s.fileMode); err != nil {
		return "", errors.Join(fmt.Errorf("staging a release: %w", outputHint(err)), s.remove(stage))
	}
	return stage, nil
}

// writeTree writes the files of a release to a new folder, durably: when it returns, the content is on disk, and
// so are the folders' entries.
func (d disk) writeTree(root string, tree Tree, mode fs.FileMode) error {
	made := map[string]bool{}
	var order []string
	var mkdirs func(dir string, perm fs.FileMode) error
	mkdirs = func(dir string, perm fs.FileMode) error {
		if made[dir] {
			return nil
		}
		if dir != root {
			if err := mkdirs(filepath.Dir(dir), perm); err != nil {
				return err
			}
		}
		made[dir] = true
		order = append(order, dir)
		return d.mkdir(dir, perm)
	}
	if err := mkdirs(root, 0o750); err != nil {
		return err
	}
	var files []newFile
	for _, p := range tree.Paths() {
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			return fmt.Errorf("path %q leads out of the release", p)
		}
		file := filepath.Join(root, filepath.FromSlash(p))
		folder, perm := fs.FileMode(0o750), mode
		if private(p) {
			folder, perm = 0o700, 0o600
		}
		if err := mkdirs(filepath.Dir(file), folder); err != nil {
			return err
		}
		files = append(files, newFile{file, tree[p], perm})
	}
	if err := d.writeAll(files); err != nil {
		return err
	}
	for _, dir := range order {
		if err := d.sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// commit gives a staged folder its final name. A release of the same name that is there already stays, unless
// somebody has tampered with it.
func (s store) commit(stage, hash string) error {
	err := s.rename(stage, s.path(hash))
	if errors.Is(err, fs.ErrExist) || errors.Is(err, errNotEmpty) {
		if there, err := s.read(hash); err == nil && there.Hash() == hash {
			return s.remove(stage)
		}
		if err = s.discard(hash); err == nil {
			err = s.rename(stage, s.path(hash))
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("publishing release %s: %w", hash, outputHint(err)), s.remove(stage))
	}
	return nil
}

// point makes a link point to a release by one rename, durably. The proved link is also made anew if it is older
// than the live one.
func (s store) point(link, hash string) error {
	if s.current(link) == hash && (link != provedLink || s.stands()) {
		return nil
	}
	name := filepath.Join(s.dir, link)
	_, err := os.Stat(s.path(hash))
	if err == nil {
		err = notFrozen(name)
	}
	if err == nil {
		err = s.link(filepath.Join(releasesDir, hash), name)
	}
	if err != nil {
		return fmt.Errorf("making release %s %s: %w", hash, link, outputHint(err))
	}
	return nil
}

// changed returns when a link was made, zero if there is none.
func (s store) changed(link string) time.Time {
	info, err := os.Lstat(filepath.Join(s.dir, link))
	if err != nil {
		return time.Time{}
	}
	_, changed := inodeAndChange(info)
	return changed
}

func (s store) moved() time.Time { return s.changed(liveLink) }

// stands compares the links on disk, so that what one process proved counts for the next one.
func (s store) stands() bool {
	live := s.current(liveLink)
	return live != "" && live == s.current(provedLink) && !s.changed(provedLink).Before(s.changed(liveLink))
}

// remember keeps a reload beside the links: the server may be at it when this process ends. The file needs no care: a
// process that dies while it writes has sent nothing yet, and a machine that does takes the server with it.
func (s store) remember(p *posted) error {
	name := filepath.Join(s.dir, reloadingFile)
	if p == nil {
		return s.remove(name)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := s.step("note", name); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o640)
}

func (s store) recall() *posted {
	data, err := os.ReadFile(filepath.Join(s.dir, reloadingFile))
	if err != nil {
		return nil
	}
	var p posted
	if err := json.Unmarshal(data, &p); err != nil || p.release == "" {
		return nil
	}
	return &p
}

// temporary returns a new name for what is half-done.
func (s store) temporary(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("%s%x", tmpPrefix, rand.Uint64()))
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
	for _, name := range slices.Concat(leftovers(s.dir), leftovers(dir)) {
		errs = errors.Join(errs, s.remove(name))
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
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
			errs = errors.Join(errs, s.discard(r.name))
		}
	}
	return errs
}

// discard removes a release. Its name goes first: a crash half-way must not leave a folder that has the name of a
// release and not all of its files.
func (s store) discard(hash string) error {
	doomed := s.temporary(filepath.Join(s.dir, releasesDir))
	if err := s.rename(s.path(hash), doomed); err != nil {
		return err
	}
	return s.remove(doomed)
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
