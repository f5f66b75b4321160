package reload

import (
	"context"
	"errors"
	"fmt"
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
	// patterns are the files that are to be watched besides the source_dir, if there is one, in order: they change
	// with what the files refer to.
	patterns() []string
}

// Patterns are the files that the agent's releases are made of, as patterns, apart from those in the source_dir itself.
// They are what a [Watcher] has to watch besides that folder, and may be others after each pass.
func (a *Agent) Patterns() []string { return a.origin.patterns() }

// paths are the patterns of an origin.
type paths struct {
	mu   sync.Mutex
	list []string
}

// patterns implements [origin].
func (p *paths) patterns() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list
}

// set replaces the patterns. A configuration is searched for references in no certain order.
func (p *paths) set(list []string) {
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
}

// folder is a source_dir.
type folder struct {
	dir      string
	generate Generate
	// live returns the files of the live release for the generator.
	live func() fs.FS
	// paths are what the files refer to through links that lead out of the folder.
	paths
}

func (f *folder) gather(ctx context.Context, c *candidate, settle time.Duration) error {
	c.sourceDir = f.dir
	return read(ctx, f.dir, f.patterns, settle, func(root string) error {
		if info, err := os.Stat(root); err == nil && !info.IsDir() {
			return fmt.Errorf("source_dir %s is a file: it must be the folder that holds %s", f.dir, c.dialect.main())
		}
		err := c.gather(ctx, root, f.generate, f.live())
		f.set(outside(f.dir, root, c.mentioned))
		return err
	})
}

// outside returns those of the patterns, which are relative to root, that reach out of it through a link to a folder.
// A link to a file is seen in the folder itself.
func outside(dir, root string, patterns []string) (out []string) {
	inside := map[string]bool{}
	for _, p := range patterns {
		folder := filepath.Dir(filepath.FromSlash(p))
		if _, known := inside[folder]; !known {
			// Without a match there is nothing to watch yet; a new link is seen where it is made.
			inside[folder] = true
			matches, _ := filepath.Glob(filepath.Join(literal(root), folder)) // a bad pattern is the check's business
			for _, m := range matches {
				if real, err := filepath.EvalSymlinks(m); err == nil && !below(root, real) {
					inside[folder] = false
				}
			}
		}
		if !inside[folder] {
			out = append(out, filepath.Join(literal(dir), filepath.FromSlash(p)))
		}
	}
	return out
}

// fileInPlace is a config_file that a server reads where it is. Its folder may hold anything else, a server's data
// even, so only the files that it refers to are looked at.
type fileInPlace struct {
	file string
	// paths are the file, and the files and patterns that it referred to when it was last read.
	paths
}

func newFileInPlace(file string) *fileInPlace {
	f := &fileInPlace{file: file}
	f.set([]string{literal(file)})
	return f
}

// gather reads the files until they were the same before and after: a volume may be swapped meanwhile, or an
// editor may be at work.
func (f *fileInPlace) gather(ctx context.Context, c *candidate, settle time.Duration) error {
	c.sourceDir, c.mainFile = filepath.Dir(f.file), f.file
	var last stamp
	for try := range 30 {
		patterns := f.patterns()
		before, _ := lookAtFiles(patterns)
		err := c.gather(ctx, c.sourceDir, nil, nil)
		f.set(append(c.mentioned, literal(f.file)))
		after, lookErr := lookAtFiles(f.patterns())
		if lookErr != nil {
			// The server may see more there than stoker does, and it is the server's view that counts.
			return fmt.Errorf("%s refers to files that can't be seen: %w", f.file, lookErr)
		}
		mentioned := slices.Equal(patterns, f.patterns())
		atomic := f.atomic(after)
		// As for a folder: two equal looks are enough where the clocks don't agree.
		still := atomic || time.Since(after.newest) >= settle || (try > 0 && after == last)
		if mentioned && after == before && still {
			c.moved = func() bool {
				now, err := lookAtFiles(patterns)
				return err != nil || now != after
			}
			return err
		}
		last = after
		pause := settle
		if !mentioned || atomic {
			// A first look at what it refers to, or the next version of a volume: there is nothing to wait for.
			last, pause = stamp{}, 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return fmt.Errorf("%s: %w", f.file, errMoved)
}

// atomic reports whether the file was swapped in by a link that is newer than everything it refers to.
func (f *fileInPlace) atomic(seen stamp) bool {
	src, err := resolve(f.file)
	return err == nil && src.atomic(seen)
}

// lookAtFiles takes the stamp of the files that match patterns, through links.
func lookAtFiles(patterns []string) (stamp, error) {
	g := newGlance(nil)
	for _, p := range patterns {
		g.pattern(p)
	}
	return g.stamp(), g.err
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
