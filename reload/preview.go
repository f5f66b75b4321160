package reload

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"maps"
	"os"
)

// Preview gathers and checks the release that the sources ask for without touching output_dir or a server:
// it is what `check` and `render` are made of. The tree is returned even where the check found problems.
func (a *Agent) Preview(ctx context.Context) (tree Tree, warnings scanner.ErrorList, err error) {
	c := a.candidate(a.factsOf(loaded{}))
	c.expander.keep = true
	defer func() { err = c.expander.redact(err) }()
	if err := a.origin.gather(ctx, c, 0); err != nil {
		return c.tree, nil, err
	}
	warnings, err = c.tryOut()
	return c.tree, warnings, err
}

// tryOut checks a candidate where no server looks: in its place, or in a folder that is removed again.
func (c *candidate) tryOut() (warnings scanner.ErrorList, err error) {
	if c.mainFile != "" {
		return c.check(c.sourceDir)
	}
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files := maps.Clone(c.tree)
	maps.DeleteFunc(files, func(p string, _ []byte) bool { return private(p) }) // no server reads them
	if err := (disk{}).writeTree(dir, files, 0o600); err != nil {
		return nil, err
	}
	return c.check(dir)
}

// memoryDir is a folder that containers have in memory, also where their file system is read-only.
const memoryDir = "/dev/shm"

// tempDir makes a folder for a candidate. The image has no /tmp.
func tempDir() (string, error) {
	dir, err := os.MkdirTemp("", tmpPrefix+"stoker-")
	if err == nil {
		return dir, nil
	}
	if dir, err := os.MkdirTemp(memoryDir, tmpPrefix+"stoker-"); err == nil {
		return dir, nil
	}
	return "", fmt.Errorf("a folder to try a release out: %w: set TMPDIR to one that can be written", err)
}
