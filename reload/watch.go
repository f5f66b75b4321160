package reload

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Watcher tells when files may have changed. It is a level trigger: any event means "look again", and what the
// kernel didn't tell is found by the next look at the files themselves.
//
// Folders are watched, never files: a watch on a file dies with the first rename over it. For what is reached
// through links the folders of the links are watched too, because that is where a swap shows; for what isn't there
// yet, the folder above it that is. A look lists folders and asks for the state of files; it reads none of them, and
// writes nothing.
type Watcher struct {
	// Paths are folders to watch, with everything below them, and files. They need not exist yet.
	Paths []string
	// Patterns returns patterns of files to watch, wherever they are: what beside them is in their folders is no
	// change. It is called for every look, and must return the same ones in the same order. Optional.
	Patterns func() []string
	// Again says that Patterns may return others from now on. Optional.
	Again <-chan struct{}
	// Rescan is how often all of them are looked at even without an event: network disks have no events, a queue
	// can overflow, a folder can be replaced.
	Rescan time.Duration
	Logger *slog.Logger
	// Metrics counts events and errors. Optional.
	Metrics *WatchMetrics

	// kernel replaces the kernel's notices. Nil outside tests.
	kernel func(*notices)
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
			Help: "Looks at folders that the kernel couldn't watch, and losses of its notices; the periodic look at the folders goes on.",
		}),
	}
}

const (
	// burst is how long events are collected before the files are looked at: the swap of a volume is some five
	// events. It begins with the first event, so that a folder in which something happens all the time is looked at
	// all the same.
	burst = 20 * time.Millisecond
	// rest is how much longer than a look the pause after it is at least, so that such a folder costs a tenth of a
	// core and no more, however many files there are.
	rest = 9
)

// Run calls notify once it watches, and after every change, until ctx ends. Without the kernel's notices (no inotify,
// or none left) it goes on by looking, and says so once.
func (w *Watcher) Run(ctx context.Context, notify func()) error {
	kernel := newNotices(w.Rescan, w.Logger, w.Metrics)
	if w.kernel != nil {
		w.kernel(kernel)
	}
	defer kernel.close()

	patterns := w.patterns()
	var looked time.Time // when the last look was over
	var took time.Duration
	look := func() uint64 {
		began := time.Now()
		sum := w.look(kernel, patterns)
		looked = time.Now()
		took = looked.Sub(began)
		return sum
	}
	seen := look()
	// What changed before the watches were in place has gone by unseen.
	notify()
	ticker := time.NewTicker(w.Rescan)
	defer ticker.Stop()
	var pending <-chan time.Time
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-kernel.came:
			if pending == nil {
				pending = time.After(max(burst, time.Until(looked.Add(rest*took))))
			}
			continue
		case <-pending:
			pending = nil
		case <-ticker.C:
		case <-w.Again:
			asked = true
		}
		before := patterns
		patterns = w.patterns()
		others := !slices.Equal(patterns, before)
		if asked && !others {
			continue
		}
		// What changed before new patterns were watched has gone by unseen, too.
		if now := look(); now != seen || others {
			seen = now
			notify()
		}
	}
}

func (w *Watcher) patterns() []string {
	if w.Patterns == nil {
		return nil
	}
	return w.Patterns()
}

// look tells the kernel what to watch and returns a fingerprint of everything.
func (w *Watcher) look(kernel *notices, patterns []string) uint64 {
	kernel.begin()
	defer kernel.end()
	g := newGlance(kernel.folder)
	for _, p := range w.Paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			continue // only where the working directory is gone
		}
		g.way(abs)
		src, err := resolve(abs)
		if err != nil {
			continue // Not there yet, or not any more.
		}
		g.tell(src.dir) // which holds the ..data of a volume
		g.tree(src.root)
	}
	for _, p := range patterns {
		g.pattern(p)
	}
	return g.stamp().sum
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
