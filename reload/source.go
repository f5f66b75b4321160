package reload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errMoved says that a source changed while it was being read; the caller reads it again.
var errMoved = errors.New("the source changed while it was read")

// source is one resolved look at a folder that people or tools write to.
type source struct {
	// root is where the files of the folder really are.
	root string
	// swapped is when the newest link on the way to root was made; zero where there is none.
	swapped time.Time
}

// resolve finds out what dir is at this moment.
//
// A ConfigMap volume is a folder whose files are links through ..data, which the kubelet swaps
// (pkg/volume/util/atomic_writer.go in kubernetes). A git-sync volume is a link to a worktree that is
// replaced by rename (git-sync's publishSymlink); the configured folder may be the link or lie below it.
func resolve(dir string) (source, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return source{}, fmt.Errorf("source folder: %w", err)
	}
	var src source
	noteLink := func(p string) {
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if _, made := inodeAndChange(info); made.After(src.swapped) {
				src.swapped = made
			}
		}
	}
	for p := abs; p != filepath.Dir(p); p = filepath.Dir(p) {
		noteLink(p)
	}
	data := filepath.Join(abs, "..data")
	noteLink(data)
	// A file of such a volume is itself a link through its folder's ..data.
	noteLink(filepath.Join(filepath.Dir(abs), "..data"))
	if src.root, err = filepath.EvalSymlinks(data); err != nil {
		src.root, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return source{}, fmt.Errorf("source folder: %w", err)
	}
	return src, nil
}

// atomic reports whether the folder's writer swaps whole versions by a link: then what root holds was
// complete when the link was made. A link that somebody made once, to a folder that is edited in place, is
// older than the newest edit.
func (s source) atomic(seen stamp) bool {
	return !s.swapped.IsZero() && !seen.newest.After(s.swapped)
}

// stamp is what a folder looked like at one moment: a fingerprint over the name, size, mode, inode and change
// time of everything in it, and the newest change among them. It reads no file.
type stamp struct {
	sum    uint64
	newest time.Time
}

// look takes the stamp of a folder or file, and calls dir, if there is one, for every folder. What vanishes during
// the walk is part of the change, not an error.
func look(root string, dir func(string)) (stamp, error) {
	h := fnv.New64a()
	var s stamp
	var line []byte
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if p == root || !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			if dir != nil {
				dir(p)
			}
		}
		// Through links, as reading does; a dangling one is described by itself.
		info, err := os.Stat(p)
		if err != nil {
			if info, err = os.Lstat(p); err != nil {
				return nil
			}
		}
		inode, changed := inodeAndChange(info)
		line = append(line[:0], p...)
		line = append(line, 0)
		line = binary.AppendVarint(line, info.Size())
		line = binary.AppendUvarint(line, uint64(info.Mode()))
		line = binary.AppendUvarint(line, inode)
		line = binary.AppendVarint(line, changed.UnixNano())
		h.Write(line)
		if changed.After(s.newest) {
			s.newest = changed
		}
		return nil
	})
	s.sum = h.Sum64()
	return s, err
}

// Settle waits until a plain folder or file has been still for d, and returns at once for an atomic source
// and for one that doesn't exist. A copy that pauses for longer than d can't be told from a finished one.
// It gives up with an error after 30 × d of unbroken change.
func Settle(ctx context.Context, dir string, d time.Duration) error {
	_, _, err := settle(ctx, dir, d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// settle waits as [Settle] does and returns what it saw last.
func settle(ctx context.Context, dir string, d time.Duration) (source, stamp, error) {
	var before stamp
	for try := range 30 {
		src, err := resolve(dir)
		if err != nil {
			return src, before, err
		}
		seen, err := look(src.root, nil)
		if err != nil {
			return src, seen, fmt.Errorf("source folder: %w", err)
		}
		// The kernel sets the change time, so what is older than d has been still for d already. A time
		// in the future (a clock that was set back, another machine's clock) tells nothing: then two
		// equal looks d apart do.
		if src.atomic(seen) || time.Since(seen.newest) >= d || (try > 0 && seen == before) {
			return src, seen, nil
		}
		before = seen
		select {
		case <-ctx.Done():
			return src, seen, ctx.Err()
		case <-time.After(d):
		}
	}
	return source{}, before, fmt.Errorf("%s has been changing for %s without a pause of %s: not reading it half-way", dir, 30*d, d)
}

// read calls fn on a consistent view of the folder: one version of an atomic source, or a plain folder that
// did not change from before fn to after it.
func read(ctx context.Context, dir string, d time.Duration, fn func(root string) error) error {
	for range 5 {
		src, before, err := settle(ctx, dir, d)
		if err != nil {
			return err
		}
		fnErr := fn(src.root)
		// A writer that removes its old version at once makes fn fail half-way: then the link has moved.
		if now, err := resolve(dir); err == nil && now == src {
			if after, err := look(src.root, nil); err == nil && after == before {
				return fnErr
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s: %w", dir, errMoved)
}

// below reports whether the cleaned path p is dir or lies in it.
func below(dir, p string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}
