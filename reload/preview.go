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
	if c.mainFile != "" {
		warnings, err = c.check(c.sourceDir)
		return c.tree, warnings, err
	}
	dir, err := os.MkdirTemp("", tmpPrefix+"stoker-")
	if err != nil {
		return c.tree, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := (disk{}).writeTree(dir, c.tree, 0o600); err != nil {
		return c.tree, nil, err
	}
	warnings, err = c.check(dir)
	return c.tree, warnings, err
}
