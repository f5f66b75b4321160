package reload_test

import (
	"context"
	"fmt"
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

// Every swap is noticed, not only the first: ten times, wherever the watched path is, whatever is swapped, and whether
// the old version goes or stays.
func TestWatcherNoticesEverySwap(t *testing.T) {
	// What is swapped below a folder, and, if it isn't that, what is watched.
	type swapped func(content string)
	volume := func(dir string) func(*testing.T, string, bool) swapped {
		return func(t *testing.T, top string, keep bool) swapped {
			v := servertest.NewVolume(t, filepath.Join(top, dir))
			v.KeepOld = keep
			return func(content string) { v.Publish(map[string]string{"file": content, "rules/a.yml": content}) }
		}
	}
	worktrees := func(links map[string]string) func(*testing.T, string, bool) swapped {
		return func(t *testing.T, top string, keep bool) swapped {
			w := servertest.NewWorktrees(t, filepath.Join(top, "git", "link"))
			w.KeepOld = keep
			for name, target := range links {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(top, name)), 0o755))
				must(t, os.Symlink(target, filepath.Join(top, name)))
			}
			return func(content string) { w.Publish(map[string]string{"file": content, "rules/a.yml": content}) }
		}
	}
	for name, tt := range map[string]struct {
		path    string // to watch, or
		pattern string
		source  func(t *testing.T, top string, keep bool) swapped
	}{
		"git-sync":                               {path: "git/link", source: worktrees(nil)},
		"folder below a git-sync link":           {path: "git/link/rules", source: worktrees(nil)},
		"pattern below a git-sync link":          {pattern: "git/link/*/*.yml", source: worktrees(nil)},
		"link to a folder below a git-sync link": {path: "mine", source: worktrees(map[string]string{"mine": "git/link/rules"})},
		"folder with such a link":                {path: "mine", source: worktrees(map[string]string{"mine/rules": "../git/link/rules"})},
		"folder with a link to a file there":     {path: "mine", source: worktrees(map[string]string{"mine/a.yml": "../git/link/rules/a.yml"})},
		"pattern of links to files there":        {pattern: "mine/*.yml", source: worktrees(map[string]string{"mine/a.yml": "../git/link/rules/a.yml"})},
		"volume":                                 {path: "volume", source: volume("volume")},
		"file of a volume":                       {path: "volume/file", source: volume("volume")},
		"folder of a volume":                     {path: "volume/rules", source: volume("volume")},
		"pattern in a volume":                    {pattern: "volume/rules/*.yml", source: volume("volume")},
		"volume mounted in a folder":             {path: "folder", source: volume("folder/volume")},
		"volume that isn't there yet":            {path: "later/volume", source: volume("later/volume")},
	} {
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, keep=%v", name, keep), func(t *testing.T) {
				t.Parallel()
				top := t.TempDir()
				swap := tt.source(t, top, keep)
				if tt.path != "later/volume" {
					swap("0")
				}
				w := &reload.Watcher{Rescan: never}
				if tt.path != "" {
					w.Paths = []string{filepath.Join(top, tt.path)}
				} else {
					w.Patterns = func() []string { return []string{filepath.Join(top, tt.pattern)} }
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
