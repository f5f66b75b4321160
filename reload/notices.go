package reload

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// notices are what the kernel tells of a set of folders. The set is told anew at every look, between begin and end:
// what isn't told any more is no longer watched, and what the kernel gave up is watched again. What the kernel can't
// watch is said once, and tried again at the next look.
type notices struct {
	// came is raised when something happened; however often, until somebody looks.
	came chan struct{}

	every   time.Duration // how often the folders are looked at anyway, for the log
	logger  *slog.Logger
	metrics *WatchMetrics
	// open and add are fsnotify's outside tests.
	open func() (*fsnotify.Watcher, error)
	add  func(w *fsnotify.Watcher, dir string) error

	fsw    *fsnotify.Watcher // nil while the kernel gives none
	pumped chan struct{}     // closed when nothing reads fsw any more
	lost   atomic.Bool       // whether fsw can't be relied on any more

	// watched are the folders that fsw watches, by their real path, and known the same by what they are: fsw
	// watches a folder only once, also where it has two names.
	watched map[string]folderID
	known   map[folderID]string

	// Of the present look: the paths that were told, the folders that they are, and the first failure of several.
	told     map[string]bool
	wanted   map[folderID]bool
	failures int
	err      error

	said string // the hint that the log gave when something couldn't be watched, "" if all is well
}

func newNotices(every time.Duration, logger *slog.Logger, m *WatchMetrics) *notices {
	return &notices{
		came: make(chan struct{}, 1), every: every, logger: logger, metrics: m,
		open: fsnotify.NewWatcher, add: (*fsnotify.Watcher).Add,
	}
}

// begin starts a look.
func (n *notices) begin() {
	n.told, n.wanted, n.failures, n.err = map[string]bool{}, map[folderID]bool{}, 0, nil
	if n.lost.Load() {
		n.close()
	}
	if n.fsw == nil {
		n.watched, n.known = map[string]folderID{}, map[folderID]string{}
		if n.fsw, n.err = n.open(); n.err != nil {
			n.fsw = nil
			return
		}
		n.pumped = make(chan struct{})
		go n.pump(n.fsw, n.pumped)
	}
	// A folder that was removed or renamed drops out of the list by itself.
	alive := map[string]bool{}
	for _, dir := range n.fsw.WatchList() {
		alive[dir] = true
	}
	for dir := range n.watched {
		if !alive[dir] {
			n.forget(dir)
		}
	}
}

// folder tells of a folder. It is watched when folder returns, if that is possible.
func (n *notices) folder(dir string) {
	if n.fsw == nil || n.told[dir] {
		return
	}
	n.told[dir] = true
	id, err := identify(dir)
	if err != nil {
		return // It is gone already.
	}
	n.wanted[id] = true
	if _, ok := n.known[id]; ok {
		return
	}
	if _, ok := n.watched[dir]; ok {
		n.remove(dir) // Another folder had this name, such as before a mount.
	}
	if err := n.add(n.fsw, dir); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			n.fail(fmt.Errorf("%s: %w", dir, err))
		}
		return
	}
	n.watched[dir], n.known[id] = id, dir
}

// end finishes a look.
func (n *notices) end() {
	for dir, id := range maps.Clone(n.watched) {
		if !n.wanted[id] {
			n.remove(dir)
		}
	}
	if n.err == nil {
		if n.said != "" {
			n.said = ""
			n.logger.Info("the kernel tells of all changes again")
		}
		return
	}
	n.metrics.fail()
	hint := limitHint(n.err)
	if n.said == hint {
		return
	}
	n.said = hint
	if n.fsw == nil {
		n.logger.Warn("the kernel tells of no changes, so they are found by looking only", "every", n.every, "err", n.err, "hint", hint)
	} else {
		n.logger.Warn("the kernel doesn't tell of changes in all folders, so these are found by looking only", "every", n.every, "folders", n.failures, "err", n.err, "hint", hint)
	}
}

func (n *notices) fail(err error) {
	n.failures++
	if n.err == nil {
		n.err = err
	}
}

// limitHint says which limit of the kernel was reached.
func limitHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "raise fs.inotify.max_user_watches"
	case errors.Is(err, syscall.EMFILE):
		return "raise fs.inotify.max_user_instances, or the limit of open files"
	case errors.Is(err, fs.ErrPermission):
		return "only a folder that stoker may read can be watched"
	default:
		return "none"
	}
}

func (n *notices) remove(dir string) {
	// It fails if the kernel has given the folder up meanwhile.
	_ = n.fsw.Remove(dir)
	n.forget(dir)
}

func (n *notices) forget(dir string) {
	delete(n.known, n.watched[dir])
	delete(n.watched, dir)
}

// pump reads all that fsw says, at once: it holds its lock while it waits for somebody to take an error, and its
// queue in the kernel is finite.
func (n *notices) pump(fsw *fsnotify.Watcher, done chan struct{}) {
	defer close(done)
	for {
		select {
		case _, ok := <-fsw.Events:
			if !ok {
				n.lost.Store(true)
				return
			}
			n.metrics.event()
		case err, ok := <-fsw.Errors:
			if !ok {
				n.lost.Store(true)
				return
			}
			// It can't let go of a folder that was renamed and then removed. That is no loss.
			if !errors.Is(err, syscall.EINVAL) {
				// An overflow, mostly: nobody knows what was missed, nor what fsw holds for watched.
				n.lost.Store(true)
				n.metrics.fail()
				n.logger.Warn("notices of changes were lost, looking at all folders", "err", err)
			}
		}
		n.raise()
	}
}

func (n *notices) raise() {
	select {
	case n.came <- struct{}{}:
	default:
	}
}

func (n *notices) close() {
	if n.fsw == nil {
		return
	}
	// It can only fail if there is nothing left to close.
	_ = n.fsw.Close()
	<-n.pumped
	n.fsw = nil
	n.lost.Store(false)
}
