package servertest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Volume is a folder that is published to as the kubelet does for ConfigMap, Secret and projected volumes
// (pkg/volume/util/atomic_writer.go in kubernetes): each version is a folder of its own, ..data is a link to it that is
// swapped by rename, and what people see are links through ..data.
type Volume struct {
	// KeepOld leaves the versions before where they are, as a kubelet does that hasn't come to it yet.
	KeepOld bool

	t       TB
	dir     string
	version int
}

// NewVolume returns a volume in a folder that is made with its first version.
func NewVolume(t TB, dir string) *Volume { return &Volume{t: t, dir: dir} }

// Publish makes these files, by slash-separated path, the content of the volume, and removes the version before it at
// once.
func (v *Volume) Publish(files map[string]string) {
	v.t.Helper()
	v.version++
	next := fmt.Sprintf("..2026_01_02_03_04_05.%09d", v.version)
	old, _ := os.Readlink(filepath.Join(v.dir, "..data"))
	writeFiles(v.t, filepath.Join(v.dir, next), files)
	swapLink(v.t, next, filepath.Join(v.dir, "..data_tmp"), filepath.Join(v.dir, "..data"))
	// Only the first element of a path is a link that people see.
	seen := map[string]bool{}
	for p := range files {
		first, _, _ := strings.Cut(p, "/")
		seen[first] = true
		link := filepath.Join(v.dir, first)
		if err := os.Symlink(filepath.Join("..data", first), link); err != nil && !errors.Is(err, fs.ErrExist) {
			v.t.Fatalf("%v", err)
		}
	}
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		v.t.Fatalf("%v", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") && e.Type()&fs.ModeSymlink != 0 && !seen[e.Name()] {
			remove(v.t, filepath.Join(v.dir, e.Name()))
		}
	}
	if old != "" && !v.KeepOld {
		remove(v.t, filepath.Join(v.dir, old))
	}
}

// Worktrees is a link that is published to as git-sync does: each version is a worktree of its own, and the link to it
// is swapped by rename.
type Worktrees struct {
	// KeepOld leaves the worktrees before where they are, as with a long --stale-worktree-timeout.
	KeepOld bool

	t       TB
	link    string
	version int
}

// NewWorktrees returns worktrees behind a link, which is made with the first one.
func NewWorktrees(t TB, link string) *Worktrees { return &Worktrees{t: t, link: link} }

// Publish makes these files, by slash-separated path, what the link leads to, and removes the worktree before it at
// once, as with --stale-worktree-timeout=0.
func (w *Worktrees) Publish(files map[string]string) {
	w.t.Helper()
	w.version++
	next := filepath.Join(".worktrees", fmt.Sprintf("%040x", w.version))
	old, _ := os.Readlink(w.link)
	writeFiles(w.t, filepath.Join(filepath.Dir(w.link), next), files)
	swapLink(w.t, next, filepath.Join(filepath.Dir(w.link), "tmp-link"), w.link)
	if old != "" && !w.KeepOld {
		remove(w.t, filepath.Join(filepath.Dir(w.link), old))
	}
}

func swapLink(t TB, target, tmp, link string) {
	t.Helper()
	if err := errors.Join(os.Symlink(target, tmp), os.Rename(tmp, link)); err != nil {
		t.Fatalf("%v", err)
	}
}

func remove(t TB, p string) {
	t.Helper()
	if err := os.RemoveAll(p); err != nil {
		t.Fatalf("%v", err)
	}
}
