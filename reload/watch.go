package reload

import (
	"context"
	"io/fs"
	"log/slog"
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

// Run calls notify after every change until ctx ends. Without the kernel's notices (no inotify, or none left)
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
	watched := map[string]bool{}
	seen := w.look(fsw, watched)
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
			if now := w.look(fsw, watched); now != seen {
				seen = now
				notify()
			}
		case <-ticker.C:
			if now := w.look(fsw, watched); now != seen {
				seen = now
				notify()
			}
		}
	}
}

// look watches what isn't watched yet and returns a fingerprint of everything.
func (w *Watcher) look(fsw *fsnotify.Watcher, watched map[string]bool) uint64 {
	if fsw != nil {
		// A folder that was removed drops out of the list by itself, and comes back here.
		clear(watched)
		for _, p := range fsw.WatchList() {
			watched[p] = true
		}
	}
	var sum uint64
	for _, p := range w.Paths {
		if fsw != nil {
			for _, dir := range foldersOf(p) {
				if !watched[dir] && fsw.Add(dir) == nil {
					watched[dir] = true
				}
			}
		}
		root := p
		if src, err := resolve(p); err == nil {
			root = src.root
		}
		s, err := look(root)
		if err != nil {
			s.sum = 1
		}
		sum = sum*31 + s.sum
	}
	return sum
}

// foldersOf lists the folders in which a change of path can show: every folder of its tree, its own parent,
// and the parents of the links on the way to it.
func foldersOf(p string) []string {
	abs, err := filepath.Abs(p)
	if err != nil {
		return nil
	}
	folders := []string{filepath.Dir(abs)}
	for q := filepath.Dir(abs); q != filepath.Dir(q); q = filepath.Dir(q) {
		if real, err := filepath.EvalSymlinks(q); err != nil || real != q {
			folders = append(folders, filepath.Dir(q))
		}
	}
	root := abs
	if src, err := resolve(abs); err == nil {
		root = src.root
		folders = append(folders, abs)
	}
	filepath.WalkDir(root, func(q string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			folders = append(folders, q)
		}
		return nil
	})
	return folders
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
