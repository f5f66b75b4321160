package reload_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/reload"
)

// notices starts a watcher on paths and returns the channel of its notices. It rescans never, so that what comes
// comes from the kernel, unless rescan says otherwise.
func notices(t *testing.T, rescan time.Duration, paths ...string) <-chan struct{} {
	t.Helper()
	c := make(chan struct{}, 100)
	w := &reload.Watcher{Paths: paths, Rescan: rescan, Logger: promslog.NewNopLogger()}
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// swap makes link point to a new folder with one file, as git-sync does, and removes the old folder at once.
func swap(t *testing.T, link, content string) {
	t.Helper()
	old, _ := os.Readlink(link)
	next := "tree-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	dir := filepath.Join(filepath.Dir(link), next)
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644))
	must(t, os.Symlink(next, link+".tmp"))
	must(t, os.Rename(link+".tmp", link))
	if old != "" {
		must(t, os.RemoveAll(filepath.Join(filepath.Dir(link), old)))
	}
}

// Every swap is noticed, not only the first: ten times for a git-sync link, for a folder below it, and for the
// ..data of a ConfigMap.
func TestWatcherNoticesEverySwap(t *testing.T) {
	for name, path := range map[string]string{"git-sync": "link", "ConfigMap": "", "file of a ConfigMap": "file"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			link := filepath.Join(dir, "link")
			if name != "git-sync" {
				link = filepath.Join(dir, "..data")
				must(t, os.Symlink("..data/file", filepath.Join(dir, "file")))
			}
			swap(t, link, "0")
			c := notices(t, time.Hour, filepath.Join(dir, path))
			for i := 1; i <= 10; i++ {
				swap(t, link, strconv.Itoa(i))
				expect(t, c, "swap "+strconv.Itoa(i))
			}
		})
	}
}

// A folder that doesn't exist yet, and one that is removed and made again, are found by looking.
func TestWatcherFindsFoldersThatComeAndGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	c := notices(t, 20*time.Millisecond, dir)
	for range 3 {
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
		expect(t, c, "a folder that came")
		must(t, os.RemoveAll(dir))
		expect(t, c, "a folder that went")
	}
}

// What is looked at and found unchanged is no news: reading a file, or an event that undoes another.
func TestWatcherKeepsQuietWithoutChange(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("x"), 0o644))
	c := notices(t, 10*time.Millisecond, dir)
	for range 20 {
		_, err := os.ReadFile(file)
		must(t, err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	must(t, os.WriteFile(elsewhere, []byte("y"), 0o644))
	must(t, os.Rename(elsewhere, file))
	expect(t, c, "a change")
	if len(c) > 1 {
		t.Errorf("%d notices for one change", len(c)+1)
	}
}
