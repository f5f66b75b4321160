package reload

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Release is a release that is on disk.
type Release struct {
	// Name is the hash of its content.
	Name string `json:"name"`
	// Published is when its files were written. Going back to a release doesn't change that.
	Published time.Time `json:"published"`
	// Live is whether the server starts from it, Proved whether the server last confirmed to run it.
	Live   bool `json:"live"`
	Proved bool `json:"proved"`
	// Files is how many files its server has in it.
	Files int `json:"files"`
	// Changed are the paths that it has besides those of the release published before it (+), that it lacks
	// (-), and whose content differs (~), in order of the paths. What only stoker reads is there as "~.stoker/".
	// Nil for the oldest release.
	Changed []string `json:"changed,omitempty"`
}

// Releases lists the releases on disk, the newest first; none for a config_file, which stays where it is. It only
// reads, and may be called at any time: a release that is removed meanwhile is left out.
func (a *Agent) Releases() ([]Release, error) {
	if a.cfg.OutputDir == "" {
		return nil, nil
	}
	dir := filepath.Join(a.cfg.OutputDir, releasesDir)
	for try := 1; ; try++ {
		releases, err := a.list(dir)
		if err == nil {
			err = a.history.tell(dir, releases)
		}
		switch {
		case err == nil:
			slices.Reverse(releases)
			return releases, nil
		case !errors.Is(err, fs.ErrNotExist) || try == 20: // even on a busy machine that isn't a prune any more
			return nil, err
		}
	}
}

// list returns the releases, the oldest first.
func (a *Agent) list(dir string) ([]Release, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing has been published yet
	} else if err != nil {
		return nil, err
	}
	live, proved := a.shelf.current(liveLink), a.shelf.current(provedLink)
	var releases []Release
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) || !e.IsDir() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		releases = append(releases, Release{
			Name: e.Name(), Published: info.ModTime(),
			Live: e.Name() == live, Proved: e.Name() == proved,
		})
	}
	slices.SortFunc(releases, func(a, b Release) int {
		return cmp.Or(a.Published.Compare(b.Published), cmp.Compare(a.Name, b.Name))
	})
	return releases, nil
}

// history remembers how releases differ: their folders are never written again, and reading all of them takes long
// where there are thousands of files.
type history struct {
	mu    sync.Mutex
	known map[step]difference
}

// step is from one release to the next. There is none before the oldest.
type step struct{ from, to string }

type difference struct {
	files   int
	changed []string
}

// tell fills in how each release differs from the one before it.
func (h *history) tell(dir string, releases []Release) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := map[step]difference{}
	from := ""
	for i, r := range releases {
		s := step{from, r.Name}
		d, ok := h.known[s]
		if !ok {
			var err error
			if d, err = compare(dir, s); err != nil {
				return err
			}
		}
		known[s] = d
		releases[i].Files, releases[i].Changed = d.files, d.changed
		from = r.Name
	}
	h.known = known
	return nil
}

// compare reads both releases of a step.
func compare(dir string, s step) (difference, error) {
	to, err := sizes(filepath.Join(dir, s.to))
	if err != nil {
		return difference{}, err
	}
	var d difference
	for p := range to {
		if !private(p) {
			d.files++
		}
	}
	if s.from == "" {
		return d, nil
	}
	from, err := sizes(filepath.Join(dir, s.from))
	if err != nil {
		return difference{}, err
	}
	changed := map[string]byte{}
	for p, size := range to {
		before, ok := from[p]
		if !ok {
			changed[p] = '+'
			continue
		}
		same := size == before
		if same {
			if same, err = equal(filepath.Join(dir, s.from, p), filepath.Join(dir, s.to, p)); err != nil {
				return difference{}, err
			}
		}
		if !same {
			changed[p] = '~'
		}
	}
	for p := range from {
		if _, ok := to[p]; !ok {
			changed[p] = '-'
		}
	}
	for _, p := range slices.Sorted(maps.Keys(changed)) {
		switch {
		case !private(p):
			d.changed = append(d.changed, string(changed[p])+p)
		case !slices.Contains(d.changed, "~"+privateDir+"/"):
			d.changed = append(d.changed, "~"+privateDir+"/")
		}
	}
	return d, nil
}

// sizes returns the sizes of the files below a folder, by slash-separated path.
func sizes(root string) (map[string]int64, error) {
	files := map[string]int64{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		files[filepath.ToSlash(rel)] = info.Size()
		return err
	})
	return files, err
}

// equal reports whether two files hold the same.
func equal(a, b string) (bool, error) {
	one, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	other, err := os.ReadFile(b)
	return bytes.Equal(one, other), err
}
