package reload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// errMoved says that a source changed while it was being read; the caller reads it again.
var errMoved = errors.New("the source changed while it was read")

// source is one resolved look at a folder that people or tools write to.
type source struct {
	// dir is where the folder really is, and root where its files really are.
	dir, root string
	// swapped is when the newest link on the way to root was made; zero where there is none.
	swapped time.Time
}

// resolve finds out what dir is at this moment.
//
// A ConfigMap, Secret or projected volume is a folder whose files and folders are links through ..data, which the
// kubelet swaps (pkg/volume/util/atomic_writer.go in kubernetes); dir may be the volume or any part of it. A git-sync
// volume is a link to a worktree that is replaced by rename (git-sync's publishSymlink); dir may be the link or lie
// below it.
func resolve(dir string) (source, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return source{}, fmt.Errorf("source folder: %w", err)
	}
	var src source
	note := func(_ string, link fs.FileInfo) {
		if _, made := inodeAndChange(link); made.After(src.swapped) {
			src.swapped = made
		}
	}
	if src.dir, err = trail(abs, note); err != nil {
		return source{}, fmt.Errorf("source folder: %w", err)
	}
	src.root = src.dir
	if volume(src.dir) {
		if src.root, err = trail(filepath.Join(src.dir, "..data"), note); err != nil {
			return source{}, fmt.Errorf("source folder: %w", err)
		}
	}
	return src, nil
}

// volume reports whether all that a folder holds is behind its ..data link. A link that leads out of the folder, as
// somebody could commit it, isn't the kubelet's; and with a file or a mount beside it, the version alone isn't what a
// server would see.
func volume(dir string) bool {
	version, err := os.Readlink(filepath.Join(dir, "..data"))
	if err != nil || version != filepath.Base(version) || version == ".." {
		return false
	}
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !strings.HasPrefix(e.Name(), "..") && e.Type()&fs.ModeSymlink == 0
	})
}

// trail follows a path to where it really is, as [filepath.EvalSymlinks] does, and calls link for every link on the
// way with the link's own real path. With an error it returns the last folder that is there.
func trail(p string, link func(p string, info fs.FileInfo)) (string, error) {
	const slash = string(filepath.Separator)
	real, rest := slash, strings.Split(p, slash)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			real = filepath.Dir(real)
			continue
		}
		here := filepath.Join(real, name)
		info, err := os.Lstat(here)
		if err != nil {
			return real, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			real = here
			continue
		}
		link(here, info)
		if links++; links > 100 {
			return real, fmt.Errorf("%s: links without end", p)
		}
		target, err := os.Readlink(here)
		if err != nil {
			return real, err
		}
		if filepath.IsAbs(target) {
			real = slash
		}
		rest = append(strings.Split(target, slash), rest...)
	}
	return real, nil
}

// atomic reports whether the folder's writer swaps whole versions by a link: then what root holds was
// complete when the link was made. A link that somebody made once, to a folder that is edited in place, is
// older than the newest edit.
func (s source) atomic(seen stamp) bool {
	return !s.swapped.IsZero() && !seen.newest.After(s.swapped)
}

// Settle waits until a plain folder or file has been still for d, and returns at once for an atomic source
// and for one that doesn't exist. A copy that pauses for longer than d can't be told from a finished one.
// It gives up with an error after 30 × d of unbroken change.
func Settle(ctx context.Context, dir string, d time.Duration) error {
	_, _, err := settle(ctx, dir, nil, d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// settle waits as [Settle] does, also for the files that match patterns, and returns what it saw last.
func settle(ctx context.Context, dir string, patterns []string, d time.Duration) (source, stamp, error) {
	var before stamp
	gone := 0
	for try := range 30 {
		src, seen, err := lookOnce(dir, patterns)
		// A version that was removed while it was looked at has a successor already.
		for ; errors.Is(err, fs.ErrNotExist) && gone < 10; gone++ {
			src, seen, err = lookOnce(dir, patterns)
		}
		if err != nil {
			return src, seen, err
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

func lookOnce(dir string, patterns []string) (source, stamp, error) {
	src, err := resolve(dir)
	if err != nil {
		return src, stamp{}, err
	}
	seen, err := lookAt(src.root, patterns)
	if err != nil {
		err = fmt.Errorf("source folder: %w", err)
	}
	return src, seen, err
}

// read calls fn on a consistent view of the folder: one version of an atomic source, or a plain folder that
// did not change from before fn to after it. elsewhere returns patterns of the files that fn reads through links out
// of the folder.
func read(ctx context.Context, dir string, elsewhere func() []string, d time.Duration, fn func(root string) error) error {
	for range 5 {
		src, before, err := settle(ctx, dir, elsewhere(), d)
		if err != nil {
			return err
		}
		fnErr := fn(src.root)
		// A writer that removes its old version at once makes fn fail half-way: then the link has moved.
		if now, after, err := lookOnce(dir, elsewhere()); err == nil && now == src && after == before {
			return fnErr
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
