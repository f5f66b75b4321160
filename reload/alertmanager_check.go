package reload

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/common/promslog"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

func (alertmanagerFiles) check(s staged) (warnings scanner.ErrorList, err error) {
	c := alertmanagerCheck{staged: s, judge: alertmanagerJudge(s.facts), main: (alertmanagerFiles{}).main()}
	err = guard(func() error {
		c.run()
		return nil
	})
	if err != nil {
		c.errors = append(c.errors, problems(s.name(c.main), s.files[c.main], err, nil)...)
	}
	c.tidy()
	return c.warnings, c.errors.Err()
}

// alertmanagerCheck is one check of an Alertmanager release.
type alertmanagerCheck struct {
	staged
	judge
	findings
	// main is the path of the main file in the release, and doc what it holds, once somebody has asked.
	main string
	doc  *yaml.Node
}

// document returns the main file as it is written.
func (c *alertmanagerCheck) document() *yaml.Node {
	if c.doc == nil {
		c.doc = document(c.files[c.main])
	}
	return c.doc
}

func (c *alertmanagerCheck) run() {
	cfg := c.load()
	switch {
	case len(c.errors) > 0:
		return
	case cfg == nil:
		// A server of another version may load it. Its templates are judged all the same.
		c.loadTemplates(nil)
		return
	}
	c.warnings = append(c.warnings, c.aboutFiles(c.main, cfg, func(key, file string) string {
		if !filepath.IsAbs(file) {
			return fmt.Sprintf("%s: Alertmanager looks up %q in the folder that it was started in, and not beside this file: write an absolute path", key, file)
		}
		return c.missing(key, file)
	})...)
	c.emptyPatterns(cfg.Templates)
	texts := c.texts(cfg.Templates)
	if texts == nil {
		return
	}
	used := map[string]bool{}
	walkRoutes(cfg.Route, func(r *config.Route) { used[r.Receiver] = true })
	for _, r := range cfg.Receivers {
		_, err := receiver.BuildReceiverIntegrations(r, texts.templates.Template, promslog.NewNopLogger())
		for _, err := range joined(err) {
			c.receiver(r, used[r.Name], err)
		}
		texts.receiver(r, used[r.Name])
	}
	walkRoutes(cfg.Route, texts.route)
	texts.end()
}

// emptyPatterns warns of patterns of templates that no file matches, of which Alertmanager says nothing.
func (c *alertmanagerCheck) emptyPatterns(patterns []string) {
	for i, pattern := range patterns {
		if found, err := filepath.Glob(pattern); err != nil || len(found) > 0 {
			continue
		}
		doc := c.document() // of thousands of contacts, so it is only made where there is something to say
		if doc == nil {
			return
		}
		list := value(doc, "templates")
		if list == nil || i >= len(list.Content) {
			continue
		}
		c.warnings.Add(strictyaml.Position(c.name(c.main), list.Content[i]), fmt.Sprintf("no template matches %q", list.Content[i].Value))
	}
}

// load loads the main file, by the very function that the server calls if that is of our version. What it returns is
// nil if there are errors, and if only a server of another version can tell whether it loads.
func (c *alertmanagerCheck) load() (cfg *config.Config) {
	if cfg = c.last.take(c.files[c.main], c.dir); cfg != nil {
		return cfg // The same bytes as on disk.
	}
	if !c.lenient() {
		err := guard(func() (err error) {
			cfg, err = config.LoadFile(c.staged.main)
			return err
		})
		if err == nil {
			return cfg
		}
		// Read from memory, it is the same fault with a better place.
		if _, found := loadAlertmanager(c.name(c.main), c.files[c.main], c.staged.facts); len(found.errors) > 0 {
			c.add(found)
			return nil
		}
		c.errors = append(c.errors, problems(c.name(c.main), c.files[c.main], unstage(err), alertmanagerType)...)
		return nil
	}
	cfg, found := loadAlertmanager(c.name(c.main), c.files[c.main], c.staged.facts)
	c.add(found)
	if cfg != nil {
		inFolder(cfg, c.dir)
	}
	return cfg
}

// receiver says that a receiver can't be built. The server doesn't build those that no route uses.
func (c *alertmanagerCheck) receiver(r config.Receiver, used bool, err error) {
	outside := c.aboutOutside(err)
	if outside && errors.Is(err, fs.ErrNotExist) {
		return // That it isn't here has been said.
	}
	pos, msg := c.receiverPosition(r.Name), "receiver "+r.Name+": "+c.inRelease(err.Error())
	if used && !outside {
		c.errors.Add(pos, msg)
	} else {
		c.warnings.Add(pos, msg)
	}
}

// aboutOutside reports whether an error is about a file that isn't part of the release: where the server runs, it may
// be another one.
func (c *alertmanagerCheck) aboutOutside(err error) bool {
	var path *fs.PathError
	return !strings.Contains(err.Error(), c.dir+"/") && (errors.As(err, &path) || strings.Contains(err.Error(), "file /"))
}

// receiverPosition returns where a receiver is defined.
func (c *alertmanagerCheck) receiverPosition(name string) token.Position {
	if n := c.receiverNode(name); n != nil {
		return strictyaml.Position(c.name(c.main), value(n, "name"))
	}
	return token.Position{Filename: c.name(c.main), Line: 1, Column: 1}
}

// receiverNode returns a receiver as it is written, nil if it can't be found.
func (c *alertmanagerCheck) receiverNode(name string) *yaml.Node {
	doc := c.document()
	if doc == nil {
		return nil
	}
	list := value(doc, "receivers")
	if list == nil {
		return nil
	}
	for _, n := range list.Content {
		if v := value(n, "name"); v != nil && v.Value == name {
			return n
		}
	}
	return nil
}

// walkRoutes visits every route.
func walkRoutes(r *config.Route, visit func(*config.Route)) {
	if r == nil {
		return
	}
	visit(r)
	for _, child := range r.Routes {
		walkRoutes(child, visit)
	}
}

// joined returns the errors that an error is made of.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range many.Unwrap() {
			all = append(all, joined(e)...)
		}
		return all
	}
	return []error{err}
}
