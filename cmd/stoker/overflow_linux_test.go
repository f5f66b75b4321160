package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

// A real overflow of the kernel's queue: stoker doesn't get to read it, and what it misses is found at once then.
func TestOverflowOfTheQueue(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	queue, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	servertest.WriteFile(t, filepath.Join(source, "prometheus.yml"), "rule_files: [rules/*.yml]\n")
	servertest.WriteFile(t, filepath.Join(source, "one"), "")
	servertest.WriteFile(t, filepath.Join(source, "two"), "")
	s := newScene(t, dir, "out/live/prometheus.yml", "source_dir: source, output_dir: out, settle: 10ms, rescan_interval: 1h")
	s.stoker.Pause()
	defer s.stoker.Resume()
	for i := range queue + 1000 {
		// Two in turn: the kernel makes one notice of two equal ones.
		name := []string{"one", "two"}[i%2]
		if err := os.Chmod(filepath.Join(source, name), fs.FileMode(0o600|i%3)); err != nil {
			t.Fatal(err)
		}
	}
	servertest.WriteFile(t, filepath.Join(source, "rules", "missed.yml"), group("missed"))
	s.stoker.Resume()
	s.until("what was missed", func() error { return s.runs("missed") })
	s.until("the loss is counted", func() error { return s.metric("stoker_watch_errors_total", 1) })
	servertest.WriteFile(t, filepath.Join(source, "rules", "next.yml"), group("next"))
	s.until("what came then", func() error { return s.runs("missed", "next") })
}
