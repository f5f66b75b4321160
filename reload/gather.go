package reload

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/config"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// reference is one mention of other files in a configuration.
type reference struct {
	// pattern is slash-separated, relative to the release and perhaps a glob, or absolute.
	pattern string
	use     use
	// written is what stands in the file, cleaned: the pattern as seen from the file's own folder.
	written string
}

// use says what a reference is for, because that decides where its files may be.
type use int

const (
	useFile    use = iota // a certificate, a password: below the release, or absolute on the server's side
	useMember             // rules, templates: always part of the release
	useInclude            // scrape_config_files: the same, and they mention files themselves
	useTargets            // file_sd: never part of the release
	useOutput             // a log that the server writes: neither
)

// candidate is a release in the making.
type candidate struct {
	dialect dialect
	facts   facts
	// refusals are as in [Source].
	refusals []string
	// sourceDir is the folder of the hand-written files as people know it.
	sourceDir string
	// mainFile is the main file if it stays where it is; "" for a release that is published.
	mainFile string
	// mentioned are the files and patterns that the files refer to: relative to the folder that they are read from,
	// or absolute for a release that stays in place.
	mentioned []string
	tree      Tree
	// generated holds the paths that a generator wrote.
	generated map[string]bool
	expander  expander
	// size is that of the files so far, in bytes.
	size int64
	// moved, if there is one, tells whether the files are others than were gathered.
	moved func() bool
	// warnings are what was noticed while gathering.
	warnings scanner.ErrorList
	last     lastLoad
	trials   *trials
}

// name turns a path of the release into the one to show to people.
func (c *candidate) name(p string) string {
	switch {
	case path.IsAbs(p):
		return p
	case p == c.dialect.main() && c.mainFile != "":
		return c.mainFile
	}
	name := filepath.Join(c.sourceDir, filepath.FromSlash(p))
	if c.generated[p] {
		name += " (generated)"
	}
	return name
}

// gather reads a server's main file below root, adds what generate makes of it, and follows every reference.
func (c *candidate) gather(ctx context.Context, root string, generate Generate, live fs.FS) error {
	main := c.dialect.main()
	c.tree, c.generated, c.warnings, c.mentioned, c.size = Tree{}, map[string]bool{}, nil, nil, 0
	c.expander.values = map[string]string{}
	file := c.mainFile
	if file == "" {
		file = filepath.Join(root, main)
	}
	err := c.add(main, file)
	if errors.Is(err, fs.ErrNotExist) && c.mainFile != "" {
		return &scanner.Error{Pos: token.Position{Filename: c.mainFile}, Msg: "no such file"}
	} else if errors.Is(err, fs.ErrNotExist) {
		return &scanner.Error{Pos: token.Position{Filename: c.name(main)}, Msg: "no such file: source_dir must hold " + main}
	} else if err != nil {
		return err
	}
	data := c.tree[main]
	if err := notEmpty(c.name(main), data); err != nil {
		return err
	}
	if generate != nil {
		// The hand-written file is judged by itself first: an error then points to a line that somebody
		// wrote, and a generator can rely on a base that loads.
		if err := c.dialect.parse(c.name(main), data, c.facts); err != nil {
			return err
		}
		from := Source{Base: map[string][]byte{main: data}, Live: live, Version: c.facts.version, Refusals: c.refusals}
		if _, ok := c.dialect.(alertmanagerFiles); ok {
			from.Load = func(data []byte) (*config.Config, error) {
				cfg, found := c.last.alertmanager(c.name(main), data, c.facts)
				return cfg, found.errors.Err()
			}
		}
		files, err := generate(ctx, from)
		if err != nil {
			return err
		}
		for p, data := range files {
			c.tree[p] = data
			c.generated[p] = true
		}
	}
	return c.follow(root)
}

// follow adds the files that the main file refers to, and those that they refer to.
func (c *candidate) follow(root string) error {
	var list scanner.ErrorList
	queue, done := []string{c.dialect.main()}, map[string]bool{}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if done[p] {
			continue
		}
		done[p] = true
		var refs []reference
		err := guard(func() (err error) {
			refs, err = c.dialect.references(p, c.name(p), c.tree[p], c.facts, &c.last)
			return err
		})
		if err != nil {
			if more := strictyaml.Problems(err); more != nil {
				list = append(list, more...)
			} else {
				list = append(list, problems(c.name(p), c.tree[p], err, nil)...)
			}
			continue
		}
		for _, ref := range refs {
			added, err := c.include(root, ref)
			if more := strictyaml.Problems(err); more != nil {
				list = append(list, more...)
			} else if err != nil {
				list.Add(positionOf(c.name(p), c.tree[p], ref.written), err.Error())
			}
			queue = append(queue, added...)
		}
	}
	list.Sort()
	return list.Err()
}

// check loads the candidate from dir, where it was written, exactly as the server would.
func (c *candidate) check(dir string) (warnings scanner.ErrorList, err error) {
	main := c.mainFile
	if main == "" {
		main = filepath.Join(dir, c.dialect.main())
	}
	warnings, err = c.dialect.check(staged{dir: dir, main: main, files: c.tree, name: c.name, facts: c.facts, last: &c.last, trials: c.trials})
	if c.size > largeRelease {
		// What the loaders left behind is many times the size of the files, and there may be no other check
		// for months.
		debug.FreeOSMemory()
	}
	for _, w := range warnings {
		w.Msg = c.expander.redactText(w.Msg)
	}
	return append(slices.Clone(c.warnings), warnings...), err
}

// add reads a file into the tree, with the variables put in that it asks for.
func (c *candidate) add(p, file string) error {
	data, err := readFile(file, maxFile)
	if err != nil {
		return err
	}
	if c.expander.applies(p) {
		expanded, warnings, problems := c.expander.expand(c.name(p), data)
		if problems != nil {
			return problems
		}
		c.warnings = append(c.warnings, warnings...)
		data = expanded
	}
	if c.size += int64(len(data)); c.size > maxRelease {
		return fmt.Errorf("%s: with this file the release is larger than %d MiB", c.name(p), maxRelease>>20)
	}
	if pos := deepActions(c.name(p), data); pos.Line > 0 {
		return &scanner.Error{Pos: pos, Msg: fmt.Sprintf("templates are nested more than %d deep here, which can crash the server", maxDepth)}
	}
	c.tree[p] = data
	return nil
}

// include adds the files of a reference to the tree and returns those whose own references are to be followed.
func (c *candidate) include(root string, ref reference) ([]string, error) {
	switch {
	case c.mainFile != "":
		return c.includeInPlace(root, ref)
	case ref.use == useTargets && !path.IsAbs(ref.pattern):
		return nil, fmt.Errorf("file_sd path %q would be part of a release, and Prometheus would go on reading the old one: write an absolute path, such as the one of discovery.targets_dir", ref.pattern)
	case ref.use == useOutput && !path.IsAbs(ref.pattern):
		return nil, fmt.Errorf("log file %q would be written into a release, which is never changed and replaced by the next one: write an absolute path", ref.pattern)
	case ref.use == useTargets, ref.use == useOutput:
		return nil, nil
	case path.IsAbs(ref.pattern) && ref.use != useFile:
		return nil, fmt.Errorf("absolute path %q is no part of the release, so a change there would neither be checked nor rolled back: move the files below source_dir and write their path relative to this file, such as %q", ref.pattern, path.Join(path.Base(path.Dir(ref.pattern)), path.Base(ref.pattern)))
	case path.IsAbs(ref.pattern):
		return nil, nil // The server's own: only its side may have it mounted.
	case ref.pattern == ".." || strings.HasPrefix(ref.pattern, "../"):
		return nil, fmt.Errorf("path %q leads out of the release: move the files below source_dir", ref.pattern)
	}
	c.mentioned = append(c.mentioned, ref.pattern)
	matches, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(ref.pattern)))
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", ref.pattern, err)
	}
	var added []string
	folder := false
	for _, m := range matches {
		p, err := filepath.Rel(root, m)
		if err != nil {
			return nil, err
		}
		p = filepath.ToSlash(p)
		if _, ok := c.tree[p]; ok {
			continue
		}
		if info, err := os.Stat(m); err == nil && info.IsDir() {
			folder = true
			continue
		}
		if err := c.add(p, m); err != nil {
			return nil, err
		}
	}
	added = c.tree.glob(ref.pattern)
	if pattern := strings.ContainsAny(ref.pattern, "*?["); len(added) == 0 && folder && !pattern {
		return nil, fmt.Errorf("%q is a folder: name the files in it, such as %q", ref.pattern, ref.written+"/*.*")
	} else if len(added) == 0 && !pattern {
		return nil, fmt.Errorf("%q: no such file below the folder of the main file", ref.pattern)
	}
	if ref.use != useInclude {
		return nil, nil
	}
	return added, nil
}

// includeInPlace does the same for files that stay where they are: they may be anywhere.
func (c *candidate) includeInPlace(root string, ref reference) ([]string, error) {
	if ref.use == useTargets || ref.use == useOutput || ref.use == useFile && path.IsAbs(ref.pattern) {
		return nil, nil // The server itself looks at these whenever it uses them.
	}
	pattern := ref.pattern
	if !path.IsAbs(pattern) {
		pattern = filepath.Join(root, filepath.FromSlash(pattern))
	}
	c.mentioned = append(c.mentioned, pattern)
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", ref.pattern, err)
	}
	if len(matches) == 0 && !strings.ContainsAny(pattern, "*?[") {
		return nil, fmt.Errorf("%q: no such file", ref.pattern)
	}
	var added []string
	for _, m := range matches {
		p := treePath(root, m)
		if _, ok := c.tree[p]; !ok {
			if err := c.add(p, m); err != nil {
				return nil, err
			}
		}
		if ref.use == useInclude {
			added = append(added, p)
		}
	}
	return added, nil
}

// treePath returns the path in a tree of a file on disk: relative to the folder of the main file, or absolute if
// it lies elsewhere.
func treePath(dir, file string) string {
	rel, err := filepath.Rel(dir, file)
	if err != nil || !filepath.IsLocal(rel) {
		return filepath.ToSlash(file)
	}
	return filepath.ToSlash(rel)
}

// notEmpty refuses a main file without content. For Prometheus an empty file is a valid configuration that
// scrapes nothing, and it is what a crash in the middle of somebody's write leaves behind.
func notEmpty(filename string, data []byte) error {
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && line != "---" {
			return nil
		}
	}
	return &scanner.Error{Pos: token.Position{Filename: filename, Line: 1, Column: 1}, Msg: "is empty: a server would take it for a configuration without anything in it"}
}
