package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/reload/servertest"
)

// kernel is the kernel's notices with what a test makes of them. Its methods may be called at any time.
type kernel struct {
	mu      sync.Mutex
	noOpen  error
	noAdd   error
	fsw     *fsnotify.Watcher // the newest
	log     bytes.Buffer
	metrics *WatchMetrics
	looks   int
}

func (k *kernel) locked(fn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fn()
}

func (k *kernel) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log.Write(p)
}

// watched is the list of what the kernel watches.
func (k *kernel) watched() (list []string) {
	k.locked(func() {
		if k.fsw != nil {
			list = k.fsw.WatchList()
		}
	})
	return list
}

// watch runs a watcher with this kernel until the test ends, and returns what it notices once it is at work.
func (k *kernel) watch(t *testing.T, rescan time.Duration, paths ...string) <-chan struct{} {
	t.Helper()
	k.metrics = NewWatchMetrics(prometheus.NewRegistry())
	w := &Watcher{
		Paths: paths, Rescan: rescan, Logger: slog.New(slog.NewTextHandler(k, nil)), Metrics: k.metrics,
		Patterns: func() []string { k.locked(func() { k.looks++ }); return nil },
		kernel: func(n *notices) {
			n.open = func() (fsw *fsnotify.Watcher, err error) {
				k.locked(func() {
					if err = k.noOpen; err == nil {
						fsw, err = fsnotify.NewWatcher()
						k.fsw = fsw
					}
				})
				return fsw, err
			}
			n.add = func(fsw *fsnotify.Watcher, dir string) (err error) {
				k.locked(func() { err = k.noAdd })
				if err == nil {
					err = fsw.Add(dir)
				}
				return err
			}
		},
	}
	c := make(chan struct{}, 10_000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx, func() { c <- struct{}{} }); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	notice(t, c, "the watcher being at work")
	return c
}

func notice(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("no notice of %s", what)
	}
}

// eventually waits until ok.
func (k *kernel) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	servertest.Eventually(t, 30*time.Second, func() error {
		done := false
		k.locked(func() { done = ok() })
		if !done {
			return errors.New(what)
		}
		return nil
	})
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// Without notices of the kernel, changes are found by looking; the log says so once, the metric all the time; and when
// the kernel can again, it does.
func TestWatcherWithoutTheKernel(t *testing.T) {
	for name, tt := range map[string]struct {
		open, add error
		want      string
	}{
		"no inotify":   {open: errors.New("function not implemented"), want: `level=WARN msg="the kernel tells of no changes, so they are found by looking only" every=10ms err="function not implemented" hint=none`},
		"no instances": {open: os.NewSyscallError("inotify_init1", syscall.EMFILE), want: `level=WARN msg="the kernel tells of no changes, so they are found by looking only" every=10ms err="inotify_init1: too many open files" hint="raise fs.inotify.max_user_instances, or the limit of open files"`},
		"no watches":   {add: syscall.ENOSPC, want: `level=WARN msg="the kernel doesn't tell of changes in all folders, so these are found by looking only" every=10ms folders=`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "sub", "file"), "0")
			k := &kernel{noOpen: tt.open, noAdd: tt.add}
			c := k.watch(t, 10*time.Millisecond, dir)
			for i := range 3 {
				write(t, filepath.Join(dir, "sub", "file"), fmt.Sprint("changed ", i))
				notice(t, c, "a change")
			}
			looks := 0
			k.locked(func() { looks = k.looks })
			k.eventually(t, "some more looks", func() bool { return k.looks > looks+5 })
			k.locked(func() {
				if log := k.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, tt.want) {
					t.Errorf("log is %s", log)
				}
				if n := testutil.ToFloat64(k.metrics.errors); n < 5 {
					t.Errorf("%v errors are counted", n)
				}
				k.noOpen, k.noAdd = nil, nil
			})
			k.eventually(t, "word that all is well", func() bool {
				return strings.Contains(k.log.String(), `level=INFO msg="the kernel tells of all changes again"`)
			})
			events := testutil.ToFloat64(k.metrics.events)
			write(t, filepath.Join(dir, "sub", "file"), "told")
			k.eventually(t, "an event", func() bool { return testutil.ToFloat64(k.metrics.events) > events })
		})
	}
}

// When the kernel's queue was too short nobody knows what was missed: everything is looked at and watched anew, at once.
func TestWatcherAfterAnOverflow(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sub", "file")
	write(t, file, "0")
	k := &kernel{}
	c := k.watch(t, 24*time.Hour, dir)
	for i := range 3 {
		var fsw *fsnotify.Watcher
		k.locked(func() { fsw = k.fsw })
		// The kernel forgets to tell.
		for _, watched := range fsw.WatchList() {
			if err := fsw.Remove(watched); err != nil {
				t.Fatal(err)
			}
		}
		write(t, file, fmt.Sprint("missed ", i))
		fsw.Errors <- fsnotify.ErrEventOverflow
		notice(t, c, "what was missed")
		k.eventually(t, "watches that don't rely on what was missed", func() bool { return k.fsw != fsw })
		write(t, file, fmt.Sprint("told ", i))
		notice(t, c, "what came then")
	}
	if n := testutil.ToFloat64(k.metrics.errors); n != 3 {
		t.Errorf("%v errors are counted, want 3", n)
	}
}

// A folder in which something happens all the time is looked at all the same, soon after the first event and then
// again and again: what changes in it doesn't wait until it is still. A look that takes long is followed by a pause that
// is longer still, so that it doesn't take up a core.
func TestWatcherIsNotStarved(t *testing.T) {
	for name, tt := range map[string]struct {
		takes     time.Duration // one look
		first     time.Duration // after the first event
		min, most int           // looks in ten seconds
	}{
		"few files":  {0, burst, 400, 501},
		"many files": {100 * time.Millisecond, 900 * time.Millisecond, 9, 11},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file")
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				events := make(chan struct{}, 1)
				began := time.Now()
				var noticed []time.Duration
				w := &Watcher{
					Paths: []string{file}, Rescan: time.Hour, Logger: promslog.NewNopLogger(),
					kernel: func(n *notices) {
						n.came = events
						n.open = func() (*fsnotify.Watcher, error) { time.Sleep(tt.takes); return nil, errors.New("none") }
					},
				}
				done := make(chan struct{})
				go func() {
					w.Run(ctx, func() { noticed = append(noticed, time.Since(began)) })
					close(done)
				}()
				synctest.Wait()
				time.Sleep(tt.takes)
				synctest.Wait()
				began = time.Now()
				for i := range 2000 {
					write(t, file, strings.Repeat("x", i%97)) // another size, whatever the file system's clock says
					select {
					case events <- struct{}{}:
					default:
					}
					time.Sleep(5 * time.Millisecond)
				}
				cancel()
				<-done
				noticed = noticed[1:] // the first is before any event
				if len(noticed) < tt.min || len(noticed) > tt.most || noticed[0] != tt.first+tt.takes {
					t.Errorf("%d changes are noticed in ten seconds, at %v", len(noticed), noticed)
				}
			})
		})
	}
}

// One watch a folder, not one a file; none is left behind for folders that nobody asks for any more.
func TestWatcherTakesOneWatchAFolder(t *testing.T) {
	dir := t.TempDir()
	for i := range 1_000 {
		name := filepath.Join(dir, "source", fmt.Sprint("folder", i%10), fmt.Sprint(i))
		if i < 10 {
			write(t, name, "")
		} else if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	k := &kernel{}
	k.watch(t, 24*time.Hour, filepath.Join(dir, "source"))
	if n := len(k.watched()); n != 12 { // with the folder itself and the one above it
		t.Errorf("%d watches for 10 folders of 1,000 files: %v", n, k.watched())
	}
	v := servertest.NewVolume(t, filepath.Join(dir, "volume"))
	v.KeepOld = true
	v.Publish(map[string]string{"a/a": "", "b/b": ""})
	k = &kernel{}
	c := k.watch(t, 24*time.Hour, filepath.Join(dir, "volume"))
	for i := range 5 {
		v.Publish(map[string]string{"a/a": fmt.Sprint(i), "b/b": fmt.Sprint(i)})
		notice(t, c, "a version of a volume")
	}
	// The volume and the folder above it, its newest version, and two folders of that.
	servertest.Eventually(t, 30*time.Second, func() error {
		if n := len(k.watched()); n != 5 {
			return fmt.Errorf("%d watches after five versions of a volume: %v", n, k.watched())
		}
		return nil
	})
}

// Folders that are renamed and removed at once, while others come: fsnotify then has an error to report while it holds
// its lock, and would wait for ever if nobody took it. Nothing was missed, so it is no error of ours.
func TestWatcherGoesOnWhileFoldersAreRenamedAndRemoved(t *testing.T) {
	dir := t.TempDir()
	k := &kernel{}
	c := k.watch(t, 24*time.Hour, dir)
	name := func(i int) string { return filepath.Join(dir, fmt.Sprint("folder", i)) }
	for range 20 {
		for i := range 100 {
			if err := os.Mkdir(name(i), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		notice(t, c, "folders that came")
		for i := range 100 {
			if err := errors.Join(os.Rename(name(i), filepath.Join(dir, "old")), os.RemoveAll(filepath.Join(dir, "old"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(t, filepath.Join(name(0), "file"), "")
	k.eventually(t, "a watch on the last folder", func() bool { return slices.Contains(k.fsw.WatchList(), name(0)) })
	for len(c) > 0 {
		<-c
	}
	write(t, filepath.Join(name(0), "file"), "changed")
	notice(t, c, "a change in it")
	if n := testutil.ToFloat64(k.metrics.errors); n != 0 {
		t.Errorf("%v errors are counted: %s", n, k.log.String())
	}
}
