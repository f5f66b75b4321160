package reload_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// Where no folder for temporary files can be written, as in a container, the candidate is tried out in memory; and
// what was tried out is gone afterwards.
func TestPlanWithoutATemporaryFolder(t *testing.T) {
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	t.Setenv("TMPDIR", filepath.Join(b.source, "none"))
	if p := b.plan(reload.NewPrometheus, b.config("http://127.0.0.1:1")); p.Refused != nil || p.Next == "" {
		t.Errorf("%v", p.Refused)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	b.plan(reload.NewPrometheus, b.config("http://127.0.0.1:1"))
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
