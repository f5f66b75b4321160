package reload_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// never is a rescan interval that no test lives to see: what is noticed then was told by the kernel.
const never = 24 * time.Hour

// watch runs a watcher until the test ends and returns the channel of its notices, once its watches are in place.
func watch(t *testing.T, w *reload.Watcher) <-chan struct{} {
	t.Helper()
	w.Logger = promslog.NewNopLogger()
	c := make(chan struct{}, 10_000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx, func() { c <- struct{}{} }); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	expect(t, c, "the watches being in place")
	return c
}

func expect(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("no notice of %s", what)
	}
}

// looks counts the looks of a watcher: it asks for its patterns before each.
func looks(w *reload.Watcher) *atomic.Int64 {
	var n atomic.Int64
	before := w.Patterns
	w.Patterns = func() []string {
		n.Add(1)
		if before == nil {
			return nil
		}
		return before()
	}
	return &n
}

// quiet requires that a watcher looks three times more and notices nothing.
func quiet(t *testing.T, c <-chan struct{}, looks *atomic.Int64, what string) {
	t.Helper()
	from := looks.Load()
	servertest.Eventually(t, 30*time.Second, func() error {
		if looks.Load() < from+3 {
			return context.DeadlineExceeded
		}
		return nil
	})
	if len(c) > 0 {
		t.Errorf("notice of %s", what)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a file, and the folders above it.
func put(t *testing.T, name, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, []byte(content), 0o644))
}

// Every swap is noticed, not only the first: ten times, wherever the watched path is and whatever is swapped.
func TestWatcherNoticesEverySwap(t *testing.T) {
	volume := func(t *testing.T, dir string) func(content string) {
		v := servertest.NewVolume(t, dir)
		return func(content string) { v.Publish(map[string]string{"file": content, "rules/a.yml": content}) }
	}
	for name, tt := range map[string]struct {
		path    string // to watch, or
		pattern string
		swap    func(t *testing.T, dir string) (swap func(content string))
	}{
		"git-sync": {path: "link", swap: func(t *testing.T, dir string) func(string) {
			w := servertest.NewWorktrees(t, filepath.Join(dir, "link"))
			return func(content string) { w.Publish(map[string]string{"file": content}) }
		}},
		"folder below a git-sync link": {path: "link/sub/sub", swap: func(t *testing.T, dir string) func(string) {
			w := servertest.NewWorktrees(t, filepath.Join(dir, "link"))
			return func(content string) { w.Publish(map[string]string{"sub/sub/file": content}) }
		}},
		"link to a folder below a git-sync link": {path: "mine", swap: func(t *testing.T, dir string) func(string) {
			w := servertest.NewWorktrees(t, filepath.Join(dir, "git", "link"))
			must(t, os.Symlink("git/link/sub", filepath.Join(dir, "mine")))
			return func(content string) { w.Publish(map[string]string{"sub/file": content}) }
		}},
		"pattern below a git-sync link": {pattern: "link/*/*.yml", swap: func(t *testing.T, dir string) func(string) {
			w := servertest.NewWorktrees(t, filepath.Join(dir, "link"))
			return func(content string) { w.Publish(map[string]string{"sub/a.yml": content}) }
		}},
		"volume":                      {path: "volume", swap: func(t *testing.T, dir string) func(string) { return volume(t, filepath.Join(dir, "volume")) }},
		"file of a volume":            {path: "volume/file", swap: func(t *testing.T, dir string) func(string) { return volume(t, filepath.Join(dir, "volume")) }},
		"folder of a volume":          {path: "volume/rules", swap: func(t *testing.T, dir string) func(string) { return volume(t, filepath.Join(dir, "volume")) }},
		"pattern in a volume":         {pattern: "volume/rules/*.yml", swap: func(t *testing.T, dir string) func(string) { return volume(t, filepath.Join(dir, "volume")) }},
		"volume mounted in a folder":  {path: "folder", swap: func(t *testing.T, dir string) func(string) { return volume(t, filepath.Join(dir, "folder", "volume")) }},
		"volume that isn't there yet": {path: "volume", swap: func(t *testing.T, dir string) func(string) { return volume(t, filepath.Join(dir, "volume")) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			swap := tt.swap(t, dir)
			if name != "volume that isn't there yet" {
				swap("0")
			}
			w := &reload.Watcher{Rescan: never}
			if tt.path != "" {
				w.Paths = []string{filepath.Join(dir, tt.path)}
			} else {
				w.Patterns = func() []string { return []string{filepath.Join(dir, tt.pattern)} }
			}
			c := watch(t, w)
			for i := 1; i <= 10; i++ {
				swap(strconv.Itoa(i))
				expect(t, c, "swap "+strconv.Itoa(i))
				for len(c) > 0 {
					<-c
				}
			}
		})
	}
}

// A folder that doesn't exist yet, nor the one above it, and one that is removed or renamed and made again: the kernel
// tells of all of it.
func TestWatcherFindsFoldersThatComeAndGo(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b", "c")
	c := watch(t, &reload.Watcher{Paths: []string{dir}, Rescan: never})
	for i := range 3 {
		put(t, filepath.Join(dir, "file"), strconv.Itoa(i))
		expect(t, c, "a folder that came")
		put(t, filepath.Join(dir, "sub", "file"), strconv.Itoa(i))
		expect(t, c, "a file in a new folder of it")
		must(t, os.RemoveAll(filepath.Join(top, "a")))
		expect(t, c, "a folder that went")
		for len(c) > 0 {
			<-c
		}
	}
	put(t, filepath.Join(dir, "file"), "")
	expect(t, c, "a folder that came")
	must(t, os.Rename(dir, dir+".old"))
	expect(t, c, "a folder that was renamed")
	put(t, filepath.Join(dir, "file"), "")
	expect(t, c, "its successor")
	put(t, filepath.Join(dir, "file"), "again")
	expect(t, c, "a change in its successor")
}

// The kernel doesn't tell when a folder far above is replaced, as by a mount. A look finds out, and what happens then
// is told again.
func TestWatcherFollowsANameNotAFolder(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "a", "b", "c", "d", "file")
	put(t, file, "")
	again := make(chan struct{}, 1)
	var patterns atomic.Pointer[[]string]
	patterns.Store(&[]string{})
	c := watch(t, &reload.Watcher{
		Paths: []string{filepath.Dir(file)}, Rescan: never, Again: again,
		Patterns: func() []string { return *patterns.Load() },
	})
	must(t, os.Rename(filepath.Join(top, "a"), filepath.Join(top, "old")))
	put(t, file, "another")
	patterns.Store(&[]string{file}) // makes it look
	again <- struct{}{}
	expect(t, c, "another folder of this name")
	put(t, file, "changed")
	expect(t, c, "a change in the folder that has the name now")
}

// Network disks have no notices: what happens there is found by looking.
func TestWatcherLooksByItself(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	c := watch(t, &reload.Watcher{Paths: []string{dir}, Rescan: 20 * time.Millisecond})
	for range 3 {
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
		expect(t, c, "a folder that came")
		must(t, os.RemoveAll(dir))
		expect(t, c, "a folder that went")
		for len(c) > 0 {
			<-c
		}
	}
}

// What is looked at and found unchanged is no news: reading a file, or an event that undoes another.
func TestWatcherKeepsQuietWithoutChange(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("x"), 0o644))
	w := &reload.Watcher{Paths: []string{dir}, Rescan: 10 * time.Millisecond}
	n := looks(w)
	c := watch(t, w)
	for range 20 {
		_, err := os.ReadFile(file)
		must(t, err)
	}
	quiet(t, c, n, "reading")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	must(t, os.WriteFile(elsewhere, []byte("y"), 0o644))
	must(t, os.Rename(elsewhere, file))
	expect(t, c, "a change")
	quiet(t, c, n, "one change twice")
}

// What a pass writes is no change of what it reads, even side by side: it would go round for ever.
func TestWatcherKeepsQuietAboutItsNeighbours(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "source", "file"), "x")
	put(t, filepath.Join(dir, "server", "server.yml"), "x")
	w := &reload.Watcher{
		Paths:    []string{filepath.Join(dir, "source")},
		Patterns: func() []string { return []string{filepath.Join(dir, "server", "server.yml")} },
		Rescan:   10 * time.Millisecond,
	}
	n := looks(w)
	c := watch(t, w)
	for i := range 10 {
		put(t, filepath.Join(dir, "out", "release", "file"), strconv.Itoa(i))
		put(t, filepath.Join(dir, "beside"), strconv.Itoa(i))
		put(t, filepath.Join(dir, "server", "data", "block"), strconv.Itoa(i))
		put(t, filepath.Join(dir, "server", "lock"), strconv.Itoa(i))
		quiet(t, c, n, "what isn't watched")
	}
}

// A folder in which something happens all the time is looked at all the same: what changes in it doesn't wait until
// it is still.
func TestWatcherIsNotStarved(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "log"), "")
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped })
	c := watch(t, &reload.Watcher{Paths: []string{dir}, Rescan: never})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if err := os.WriteFile(filepath.Join(dir, "log"), []byte(strconv.Itoa(i)), 0o644); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 5 {
		expect(t, c, "a change among many")
	}
}

// The files that are referred to change with every edit of the main file: from then on the new ones are watched, and
// the old ones aren't.
func TestWatcherFollowsThePatterns(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one", "*.yml"), filepath.Join(dir, "two", "[a-c]*", "*.yml")
	put(t, filepath.Join(dir, "one", "a.yml"), "")
	var patterns atomic.Pointer[[]string]
	patterns.Store(&[]string{one})
	again := make(chan struct{}, 1)
	w := &reload.Watcher{Patterns: func() []string { return *patterns.Load() }, Again: again, Rescan: never}
	n := looks(w)
	c := watch(t, w)

	put(t, filepath.Join(dir, "one", "b.yml"), "")
	expect(t, c, "a file that matches")
	again <- struct{}{}
	patterns.Store(&[]string{one, two})
	again <- struct{}{}
	expect(t, c, "what may have changed before the new pattern was watched")

	put(t, filepath.Join(dir, "two", "beta", "x.yml"), "")
	expect(t, c, "a file in a folder that came")
	put(t, filepath.Join(dir, "two", "beta", "x.yml"), "changed")
	expect(t, c, "a change there")
	must(t, os.RemoveAll(filepath.Join(dir, "two")))
	expect(t, c, "the folders going")

	patterns.Store(&[]string{two})
	again <- struct{}{}
	expect(t, c, "the patterns being others")
	before := n.Load()
	put(t, filepath.Join(dir, "one", "c.yml"), "")
	put(t, filepath.Join(dir, "one", "c.yml"), "changed")
	put(t, filepath.Join(dir, "two", "charlie", "x.yml"), "")
	expect(t, c, "a file that matches")
	if looked := n.Load() - before; looked > 4 {
		t.Errorf("%d looks for three new folders and a file", looked)
	}
}
