package reload

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Watcher tells when one of its folders or files may have changed. It is a level trigger: any event means
// "look again", and what was missed is found by the next look at the folders themselves.
//
// Folders are watched, never files: a watch on a file dies with the first rename over it. For a source that is
// reached through links the parents of the links are watched too, because that is where a swap shows.
type Watcher struct {
	// Paths are the folders and files to watch. They need not exist yet.
	Paths []string
	// Rescan is how often they are looked at even without an event: network disks have no events, a queue
	// can overflow, a folder can be replaced.
	Rescan time.Duration
	Logger *slog.Logger
	// Metrics counts events and errors. Optional.
	Metrics *WatchMetrics
}

// WatchMetrics are shared by all watchers of a process.
type WatchMetrics struct{ events, errors prometheus.Counter }

// NewWatchMetrics registers the metrics of watchers.
func NewWatchMetrics(reg prometheus.Registerer) *WatchMetrics {
	with := promauto.With(reg)
	return &WatchMetrics{
		events: with.NewCounter(prometheus.CounterOpts{
			Name: "stoker_watch_events_total",
			Help: "File system events in watched folders.",
		}),
		errors: with.NewCounter(prometheus.CounterOpts{
			Name: "stoker_watch_errors_total",
			Help: "Errors of the file system's notices; the periodic look at the folders goes on.",
		}),
	}
}

// burst is how long events are collected before notify is called: the swap of a volume is some five events.
const burst = 20 * time.Millisecond

// Run calls notify once it watches, and after every change, until ctx ends. Without the kernel's notices (no inotify, or none left)
// it goes on by looking, and says so once.
func (w *Watcher) Run(ctx context.Context, notify func()) error {
	var events chan fsnotify.Event
	var failures chan error
	fsw, err := fsnotify.NewWatcher()
	if err != nil {
		w.Logger.Warn("no file system notices, looking at the folders instead", "paths", w.Paths, "every", w.Rescan, "err", err)
	} else {
		defer fsw.Close()
		events, failures = fsw.Events, fsw.Errors
	}
	seen := w.look(fsw)
	// What changed before the watches were in place has gone by unseen.
	notify()
	ticker := time.NewTicker(w.Rescan)
	defer ticker.Stop()
	var pending <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			w.Metrics.event()
			if pending == nil {
				pending = time.After(burst)
			}
		case err, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			// An overflow, mostly: something was missed.
			w.Metrics.fail()
			w.Logger.Warn("file system notices were lost, looking at the folders", "err", err)
			pending = time.After(burst)
		case <-pending:
			pending = nil
			if now := w.look(fsw); now != seen {
				seen = now
				notify()
			}
		case <-ticker.C:
			if now := w.look(fsw); now != seen {
				seen = now
				notify()
			}
		}
	}
}

// look watches what isn't watched yet and returns a fingerprint of everything.
func (w *Watcher) look(fsw *fsnotify.Watcher) uint64 {
	watch := func(string) {}
	if fsw != nil {
		// A folder that was removed drops out of the list by itself, and comes back here.
		watched := map[string]bool{}
		for _, dir := range fsw.WatchList() {
			watched[dir] = true
		}
		watch = func(dir string) {
			if !watched[dir] && fsw.Add(dir) == nil {
				watched[dir] = true
			}
		}
	}
	var sum uint64
	for _, p := range w.Paths {
		sum = sum*31 + lookAt(p, watch)
	}
	return sum
}

// lookAt returns a fingerprint of path, and calls watch for the folders in which its next change can show: every
// folder of its tree, its own parent, and the parents of the links on the way to it.
func lookAt(path string, watch func(dir string)) uint64 {
	abs, err := filepath.Abs(path)
	if err != nil {
		return 0
	}
	watch(filepath.Dir(abs))
	for p := abs; p != filepath.Dir(p); p = filepath.Dir(p) {
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			watch(filepath.Dir(p))
		}
	}
	root := abs
	if src, err := resolve(abs); err == nil {
		root = src.root
		if info, err := os.Stat(abs); err == nil && info.IsDir() {
			watch(abs) // holds the ..data link of a volume
		}
	}
	s, err := look(root, watch)
	if err != nil {
		return 1 // Not there yet, or not any more.
	}
	return s.sum
}

func (m *WatchMetrics) event() {
	if m != nil {
		m.events.Inc()
	}
}

func (m *WatchMetrics) fail() {
	if m != nil {
		m.errors.Inc()
	}
}
