package reload

import (
	"context"
	"errors"
	"go/scanner"
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
	dir, err := os.MkdirTemp("", tmpPrefix+"stoker-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := (disk{}).writeTree(dir, c.tree, 0o600); err != nil {
		return nil, err
	}
	return c.check(dir)
}
