package reload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// origin is where the files of an agent's releases come from.
type origin interface {
	// gather fills a candidate with one version of the files. What is edited in place must have been still
	// for the settle time first.
	gather(ctx context.Context, c *candidate, settle time.Duration) error
	// watched lists the folders, files and patterns in which the next change can show.
	watched() []string
}

// folder is a source_dir.
type folder struct {
	dir      string
	generate Generate
	// live returns the files of the live release for the generator.
	live func() fs.FS
}

func (f *folder) gather(ctx context.Context, c *candidate, settle time.Duration) error {
	c.sourceDir = f.dir
	return read(ctx, f.dir, settle, func(root string) error {
		return c.gather(ctx, root, f.generate, f.live())
	})
}

func (f *folder) watched() []string { return []string{f.dir} }

// fileInPlace is a config_file that a server reads where it is. Its folder may hold anything else, a server's data
// even, so only the files that it refers to are looked at.
type fileInPlace struct {
	file string

	mu sync.Mutex
	// paths are the file, and the files and patterns that it referred to when it was last read.
	paths []string
}

func (f *fileInPlace) watched() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{f.file}, f.paths...)
}

// gather reads the files until they were the same before and after: a volume may be swapped meanwhile, or an
// editor may be at work.
func (f *fileInPlace) gather(ctx context.Context, c *candidate, settle time.Duration) error {
	c.sourceDir, c.mainFile = filepath.Dir(f.file), f.file
	for range 30 {
		paths := f.watched()
		before := lookAtFiles(paths)
		err := c.gather(ctx, c.sourceDir, nil, nil)
		f.mu.Lock()
		f.paths = c.mentioned
		f.mu.Unlock()
		same := slices.Equal(paths, f.watched()) && lookAtFiles(paths) == before
		if same && (f.atomic(before) || time.Since(before.newest) >= settle) {
			return err
		}
		var pause <-chan time.Time
		if same {
			pause = time.After(settle)
		} else {
			closed := make(chan time.Time)
			close(closed)
			pause = closed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause:
		}
	}
	return fmt.Errorf("%s: %w", f.file, errMoved)
}

// atomic reports whether the file was swapped in by a link that is newer than everything it refers to.
func (f *fileInPlace) atomic(seen stamp) bool {
	src, err := resolve(f.file)
	return err == nil && src.atomic(seen)
}

// lookAtFiles takes the stamp of files and of those that match patterns, through links.
func lookAtFiles(paths []string) stamp {
	h := fnv.New64a()
	var s stamp
	var line []byte
	for _, p := range paths {
		matches, err := filepath.Glob(p)
		if err != nil {
			continue // The check says so.
		}
		for _, m := range matches {
			info, err := os.Stat(m)
			if err != nil {
				continue
			}
			inode, changed := inodeAndChange(info)
			line = append(line[:0], m...)
			line = append(line, 0)
			line = binary.AppendVarint(line, info.Size())
			line = binary.AppendUvarint(line, inode)
			line = binary.AppendVarint(line, changed.UnixNano())
			h.Write(line)
			if changed.After(s.newest) {
				s.newest = changed
			}
		}
	}
	s.sum = h.Sum64()
	return s
}

// errInPlace says why there is no way back.
var errInPlace = errors.New("the file stays as it is, and a server that restarts loads it: correct it (releases, with source_dir and output_dir instead of config_file, could be rolled back)")

// memory is the shelf of files that stay where they are: it knows what they held when they were last found good,
// and when the server was last seen to run them. What it forgets with the process costs one reload.
type memory struct {
	mu       sync.Mutex
	releases map[string]Tree
	links    map[string]string
	proved   bool // since the live release became that
}

func (m *memory) current(link string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links[link]
}

func (m *memory) read(release string) (Tree, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tree, ok := m.releases[release]
	if !ok {
		return nil, fmt.Errorf("release %s is no longer known", release)
	}
	return tree, nil
}

func (m *memory) accept(c *candidate, release string, judge func(dir string) error) error {
	if err := judge(c.sourceDir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.releases = map[string]Tree{release: c.tree}
	m.links = map[string]string{liveLink: release, provedLink: m.links[provedLink]}
	m.proved = false
	return nil
}

func (m *memory) point(link, release string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if link == liveLink && m.links[liveLink] != release {
		// The server refused what is on disk.
		delete(m.links, liveLink)
		return errInPlace
	}
	m.links[link] = release
	m.proved = link == provedLink && m.links[liveLink] == release
	return nil
}

func (m *memory) stands() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proved
}

// Whoever edits the file moves it. A process that starts sends one reload, whatever an earlier one sent.

func (m *memory) moved() time.Time       { return time.Time{} }
func (m *memory) remember(*posted) error { return nil }
func (m *memory) recall() *posted        { return nil }

func (m *memory) tidy() error { return nil }
