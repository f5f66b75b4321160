package discovery

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by stoker")
	s := newStore(dir, "testnet", false)
	if found, err := s.load(); err != nil || found.file != nil || found.base.Preps != nil {
		t.Fatalf("without files: %+v, %v", found, err)
	}
	preps := []prep{{Owner: ownerA, Name: "A", Host: "8.8.8.8", P2PPort: 7100, Rank: 1}}
	want := baseline{
		Preps:     preps,
		Height:    1 << 40,
		Time:      time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC),
		Source:    "a.test:9000",
		Missing:   map[string]absence{ownerA: {Since: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Confirmed: true}},
		HeldSince: time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	defer syscall.Umask(syscall.Umask(0o077)) // Prometheus runs as another user
	if err := s.saveState(want); err != nil {
		t.Fatal(err)
	}
	if err := s.write(s.path, appendTargets(nil, "testnet", preps, testNetwork(1).Exporters)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*store{s, newStore(dir, "testnet", false)} {
		found, err := s.load()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found.base); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	// What is in the folders: nothing unfinished, everything readable, and
	// nothing but the targets that a pattern of file_sd could match.
	sdPattern := regexp.MustCompile(`\.(json|yml|yaml|JSON|YML|YAML)$`)
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files = append(files, name)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode() != 0o644 {
			t.Errorf("%s has mode %s, want 0644", name, info.Mode())
		}
		if matched := sdPattern.MatchString(name); matched != (name == "testnet.json") {
			t.Errorf("%s: file_sd patterns can match: %t", name, matched)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".stoker/testnet.state", "testnet.json"}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestStoreReadsWhatOthersChanged(t *testing.T) {
	s := newStore(t.TempDir(), "testnet", false)
	preps := []prep{{Owner: ownerA, Name: "A", Host: "8.8.8.8", P2PPort: 7100, Rank: 1}}
	exporters := testNetwork(1).Exporters
	if err := s.write(s.path, appendTargets(nil, "testnet", preps, exporters)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.load(); err != nil {
		t.Fatal(err)
	}
	preps[0].Name = "edited"
	if err := os.WriteFile(s.path, appendTargets(nil, "testnet", preps, exporters), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := s.load()
	if err != nil || len(found.base.Preps) != 1 || found.base.Preps[0].Name != "edited" {
		t.Errorf("%+v, %v", found.base.Preps, err)
	}
}

func TestStoreWithBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir, "testnet", false)
	targets := string(appendTargets(nil, "testnet", []prep{{Owner: ownerA, Name: "A", Host: "8.8.8.8", P2PPort: 7100, Rank: 1}}, testNetwork(1).Exporters))
	for _, tc := range []struct {
		name, targets, state string
		preps                int
		height               int64
		warning, err         string
	}{
		{"no state", targets, "", 1, 0, "", ""},
		{"empty state", targets, " ", 1, 0, s.state + ": unexpected end of JSON input", ""},
		{"state of wrong types", targets, `{"height":"7"}`, 1, 0, s.state + ": json: cannot unmarshal string into Go struct field savedState.height of type int64", ""},
		{"no targets", "", `{"height":7}`, 0, 0, "", ""},
		{"truncated targets", targets[:99], `{"height":7}`, 0, 0, s.path + ": unexpected end of JSON input", ""},
		{"targets of somebody else", `[{"targets":["a:1"]}]`, `{"height":7}`, 0, 0, "", s.path + ": " + errForeign.Error()},
		{"all well", targets, `{"height":7}`, 1, 7, "", ""},
	} {
		for path, content := range map[string]string{s.path: tc.targets, s.state: tc.state} {
			os.Remove(path)
			if content != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		found, err := newStore(dir, "testnet", false).load()
		if text(err) != tc.err || text(found.warning) != tc.warning || len(found.base.Preps) != tc.preps || found.base.Height != tc.height {
			t.Errorf("%s: %+v, %v", tc.name, found, err)
		}
	}
}

// TestFailedWriteLeavesTheOldFile fails at the last step, the rename.
func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	s := newStore(t.TempDir(), "testnet", false)
	if err := os.MkdirAll(filepath.Join(s.path, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.write(s.path, []byte("x")); err == nil {
		t.Fatal("wrote over a folder")
	}
	left, err := os.ReadDir(filepath.Dir(s.state))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := s.load(); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("load: %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
