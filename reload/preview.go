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
	c := &candidate{dialect: a.dialect, facts: a.factsOf(loaded{}), sourceDir: a.cfg.SourceDir}
	err = read(ctx, a.cfg.SourceDir, 0, func(root string) error {
		return c.gather(ctx, root, a.options.Generate, a.live())
	})
	if err != nil {
		return c.tree, nil, err
	}
	dir, err := os.MkdirTemp("", tmpPrefix+"stoker-")
	if err != nil {
		return c.tree, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := (disk{}).writeTree(dir, c.tree); err != nil {
		return c.tree, nil, err
	}
	warnings, err = c.check(dir)
	return c.tree, warnings, err
}
