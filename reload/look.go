package reload

import (
	"encoding/binary"
	"errors"
	"hash"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stamp is what files and folders looked like at one moment: a fingerprint over the name, size, mode, inode and
// change time of each of them, and the newest change among them.
type stamp struct {
	sum    uint64
	newest time.Time
}

// glance takes a stamp. It lists folders and asks the kernel about files; it opens none of them, because opening
// what isn't a regular file can block.
type glance struct {
	// folder is told the real path of every folder in which a change of what is looked at can show, before that
	// folder is listed. Optional.
	folder func(dir string)

	hash   hash.Hash64
	newest time.Time
	line   []byte
	// err is about the first folder that can't be listed.
	err error
}

func newGlance(folder func(dir string)) *glance { return &glance{folder: folder, hash: fnv.New64a()} }

// lookAt takes the stamp of a folder or file with everything below it, and of the files that match patterns.
func lookAt(root string, patterns []string) (stamp, error) {
	g := newGlance(nil)
	g.tree(root)
	for _, p := range patterns {
		g.pattern(p)
	}
	return g.stamp(), g.err
}

func (g *glance) stamp() stamp { return stamp{g.hash.Sum64(), g.newest} }

// tree notes a folder or file and everything below it, apart from what belongs to git and to the file system
// itself. Links are noted as what they lead to, as reading them does, but not walked into: one may lead anywhere.
// What vanishes during the walk is part of the change, not an error.
func (g *glance) tree(root string) {
	// The function returns no error, so the walk returns none.
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && p != root && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			g.fail(err)
			return nil
		case d.IsDir() && p != root && (d.Name() == ".git" || d.Name() == "lost+found"):
			return fs.SkipDir
		case d.IsDir():
			g.tell(p)
		}
		g.file(p)
		return nil
	})
}

// pattern notes the files that match a pattern as [filepath.Glob] understands it, and nothing beside them: a folder
// may hold anything else.
func (g *glance) pattern(p string) {
	for _, m := range g.glob(p) {
		g.file(m)
	}
}

// glob is [filepath.Glob], but a folder that can't be listed isn't taken for an empty one.
func (g *glance) glob(pattern string) []string {
	if !hasMeta(pattern) {
		g.way(pattern)
		if _, err := os.Lstat(pattern); err != nil {
			return nil
		}
		return []string{pattern}
	}
	dir, file := filepath.Split(pattern)
	var found []string
	for _, d := range g.glob(filepath.Clean(dir)) {
		if info, err := os.Stat(d); err != nil || !info.IsDir() {
			continue
		}
		g.tell(g.way(d))
		entries, err := os.ReadDir(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			g.fail(err)
		}
		for _, e := range entries {
			if ok, err := filepath.Match(file, e.Name()); ok && err == nil { // a bad pattern is the check's business
				found = append(found, filepath.Join(d, e.Name()))
			}
		}
	}
	return found
}

// file notes one file or folder, through links; a link that leads nowhere is noted as itself.
func (g *glance) file(p string) {
	info, err := os.Lstat(p)
	if err != nil {
		return
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err := os.Stat(p); err == nil {
			info = target
		}
		if g.folder != nil {
			if real := g.way(p); info.IsDir() {
				g.tell(real) // what comes and goes in it changes it
			}
		}
	}
	inode, changed := inodeAndChange(info)
	g.line = append(g.line[:0], p...)
	g.line = append(g.line, 0)
	g.line = binary.AppendVarint(g.line, info.Size())
	g.line = binary.AppendUvarint(g.line, uint64(info.Mode()))
	g.line = binary.AppendUvarint(g.line, inode)
	g.line = binary.AppendVarint(g.line, changed.UnixNano())
	g.hash.Write(g.line)
	if changed.After(g.newest) {
		g.newest = changed
	}
}

// way follows p and tells of the folders in which a change on its way can show: those of the links, and the one that
// holds it in the end, or that will hold the first part that is missing. It returns where p really is, "" if that is
// nowhere.
func (g *glance) way(p string) string {
	if g.folder == nil {
		return ""
	}
	real, err := trail(p, func(link string, _ fs.FileInfo) { g.tell(filepath.Dir(link)) })
	if err != nil {
		g.tell(real)
		return ""
	}
	g.tell(filepath.Dir(real))
	return real
}

func (g *glance) tell(dir string) {
	if g.folder != nil && dir != "" {
		g.folder(dir)
	}
}

func (g *glance) fail(err error) {
	// What can be seen of the rest goes on being part of the stamp.
	g.hash.Write([]byte(err.Error()))
	if g.err == nil {
		g.err = err
	}
}

func hasMeta(p string) bool { return strings.ContainsAny(p, `*?[\`) }

// literal returns the pattern that matches only the path p.
func literal(p string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(p)
}
