package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

// Two that start at the same moment: one writes, the others say so and go.
func TestOneWriterOfMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servertest.WriteFile(t, filepath.Join(dir, "source", "prometheus.yml"), "rule_files: [rules/*.yml]\n")
	servertest.WriteFile(t, filepath.Join(dir, "stoker.yml"), "prometheus: { url: 'http://127.0.0.1:1', source_dir: source, output_dir: out }\n")
	stoker := program(t)
	const many = 4
	type end struct {
		err error
		out string
	}
	ends := make(chan end, many)
	var running []func()
	for range many {
		cmd := in(dir, stoker, "run", "--web.listen-address=127.0.0.1:0")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, func() { cmd.Process.Signal(os.Interrupt) })
		go func() { err := cmd.Wait(); ends <- end{err, out.String()} }()
	}
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	for range many - 1 {
		e := <-ends
		if e.err == nil || !strings.Contains(e.out, "is being written by another stoker: one output_dir has one writer") {
			t.Errorf("a stoker beside another ended with %v:\n%s", e.err, e.out)
		}
	}
	// The one that is left is at work, and does what others ask it to.
	servertest.Eventually(t, patience, func() error {
		out, err := in(dir, stoker, "sync").CombinedOutput() // it fails, since there is no server
		if !strings.Contains(string(out), "asking the stoker that runs at http://127.0.0.1:") || !strings.Contains(string(out), "prometheus: error: ") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	for _, stop := range running {
		stop()
	}
	if e := <-ends; e.err != nil {
		t.Errorf("the writer ended with %v:\n%s", e.err, e.out)
	}
}
