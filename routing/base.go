package routing

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
	yamlv2 "gopkg.in/yaml.v2"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// MainFile is the name of Alertmanager's configuration in a source tree and in a release.
const MainFile = "alertmanager.yml"

// reservedPrefix begins the names of everything that is generated: contact/<stem>/<method>.
const reservedPrefix = "contact/"

// A base is the configuration that people write by hand, read but never changed.
type base struct {
	file     string
	doc      *yaml.Node
	plain    []byte // as it is written without contacts
	config   *config.Config
	version  string // of the Alertmanager that will run it, "" if it isn't known
	warnings scanner.ErrorList
	// load reads a merged file as Alertmanager would.
	load func(data []byte) (*config.Config, error)
	// unknown are the time zones that contacts can't have.
	unknown map[string]bool
	// made is what was made of contacts for this base before.
	made *memory[*made]
}

// terms returns what contact methods have to go by.
func (b *base) terms(site Site) terms {
	repeat := model.Duration(dispatch.DefaultRouteOpts.RepeatInterval)
	if r := b.config.Route.RepeatInterval; r != nil {
		repeat = *r
	}
	return terms{site: site, global: b.config.Global, outward: b.outward(), version: b.version, repeat: repeat}
}

// readMainFile reads the base out of a source tree.
func (o *Options) readMainFile(tree map[string][]byte, version string) (*base, scanner.ErrorList) {
	file := filepath.Join(o.BaseDir, MainFile)
	data, ok := tree[MainFile]
	if !ok {
		return nil, scanner.ErrorList{noPosition(file, "missing")}
	}
	return readBase(file, data, version)
}

// readBase reads a base and takes nothing that Alertmanager would not. What only a newer Alertmanager may
// know is a warning.
func readBase(file string, data []byte, version string) (*base, scanner.ErrorList) {
	r := reader{file: file}
	doc := r.document(data)
	if doc == nil {
		return nil, r.problems
	}
	b := &base{file: file, doc: doc, version: version, made: &memory[*made]{}}
	b.load = func(data []byte) (*config.Config, error) {
		cfg, _, err := load(data)
		return cfg, err
	}
	r.noNulls(doc, "")
	r.noPlaceholders(doc)
	if r.problems.Len() > 0 {
		return nil, r.problems
	}
	cfg, unknown, err := load(data)
	for _, msg := range unknown {
		pos, msg := strictyaml.Locate(file, data, msg)
		b.warnings.Add(pos, msg+", Alertmanager refuses it unless it is newer than stoker")
	}
	if err != nil {
		r.upstream(doc, data, err)
		return nil, r.problems
	}
	b.config = cfg
	for _, name := range reservedNames(cfg) {
		r.fail(lastScalar(doc, name), "names that begin with %s belong to contacts, rename %q", reservedPrefix, name)
	}
	if r.problems.Len() > 0 {
		return nil, r.problems
	}
	if err := b.survivesWriting(); err != nil {
		r.fail(doc, "%v", err)
		return nil, r.problems
	}
	return b, nil
}

// noNulls refuses empty list entries. Alertmanager has none that mean anything, and some of them end the
// process that loads or reloads them.
func (r *reader) noNulls(n *yaml.Node, of string) {
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode && isNull(resolve(child)):
			r.fail(child, "empty entry in %s, fill or remove it", of)
		case n.Kind == yaml.MappingNode && i%2 == 1:
			r.noNulls(child, n.Content[i-1].Value)
		default:
			r.noNulls(child, of)
		}
	}
}

// noPlaceholders refuses what Alertmanager shows in place of a secret, in a configuration that was copied from its page.
// It would take it for the secret itself.
func (r *reader) noPlaceholders(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Value == secretToken {
		r.fail(n, "%s is what servers print in place of a secret, give the real value", secretToken)
	}
	for _, child := range n.Content {
		r.noPlaceholders(child)
	}
}

// load is how Alertmanager reads its configuration, except that what crashes it is an error, and that
// fields it doesn't know are returned aside if nothing else is wrong.
func load(data []byte) (cfg *config.Config, unknown []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			cfg, unknown, err = nil, nil, fmt.Errorf("crashes Alertmanager when it is loaded: %v", p)
		}
	}()
	cfg, err = config.Load(string(data))
	typeErr := new(yamlv2.TypeError)
	if !errors.As(err, &typeErr) {
		return cfg, nil, err
	}
	for _, msg := range typeErr.Errors {
		if !strings.Contains(msg, " not found in type ") {
			return nil, nil, err
		}
	}
	cfg = &config.Config{}
	if err := yamlv2.Unmarshal(data, cfg); err != nil {
		return nil, nil, err
	}
	switch {
	case cfg.Route == nil:
		return nil, nil, errors.New("no route provided in config")
	case cfg.Route.Continue:
		return nil, nil, errors.New("cannot have continue in root route")
	}
	return cfg, typeErr.Errors, nil
}

var quotedName = regexp.MustCompile(`"([^"]+)"`)

// upstream adds the errors of Alertmanager's loader, in its words. It knows the line of what doesn't fit
// its types; where it names something, that is where the name stands last.
func (r *reader) upstream(root *yaml.Node, data []byte, err error) {
	if typeErr := new(yamlv2.TypeError); errors.As(err, &typeErr) {
		for _, msg := range typeErr.Errors {
			r.problems.Add(strictyaml.Locate(r.file, data, msg))
		}
		return
	}
	pos, msg := strictyaml.Locate(r.file, data, err.Error())
	if m := quotedName.FindStringSubmatch(msg); m != nil && pos.Line == 1 {
		pos = position(r.file, lastScalar(root, m[1]))
	}
	r.problems.Add(pos, strictyaml.WithoutURL(strings.TrimPrefix(msg, "yaml: ")))
}

// lastScalar returns the last node below n that has this value; n if there is none.
func lastScalar(n *yaml.Node, value string) *yaml.Node {
	last := n
	var walk func(*yaml.Node)
	walk = func(child *yaml.Node) {
		if child.Kind == yaml.ScalarNode && child.Value == value {
			last = child
		}
		for _, grandchild := range child.Content {
			walk(grandchild)
		}
	}
	walk(n)
	return last
}

func reservedNames(cfg *config.Config) []string {
	var names []string
	add := func(name string) {
		if strings.HasPrefix(name, reservedPrefix) {
			names = append(names, name)
		}
	}
	for _, r := range cfg.Receivers {
		add(r.Name)
	}
	for _, t := range cfg.TimeIntervals {
		add(t.Name)
	}
	for _, t := range cfg.MuteTimeIntervals {
		add(t.Name)
	}
	return names
}

// survivesWriting makes sure that the base means the same after it was written out again. The YAML library
// promises that, but can't keep it for every text in block style; such text is written in quotes.
func (b *base) survivesWriting() error {
	if b.writtenAlike() == nil {
		return nil
	}
	quoteBlocks(b.doc)
	return b.writtenAlike()
}

func (b *base) writtenAlike() error {
	tree := b.wrap(nil)
	var err error
	if b.plain, err = encode(tree); err != nil {
		return err
	}
	again := reader{file: MainFile}
	doc := again.document(b.plain)
	if doc == nil {
		return fmt.Errorf("can't be read again once it was written: %w", again.problems)
	}
	if n := difference(tree, doc); n != nil {
		return fmt.Errorf("the value in line %d changes when it is written again, give it in another YAML style", n.Line)
	}
	return nil
}

// quoteBlocks turns all literal and folded text below n into quoted text.
func quoteBlocks(n *yaml.Node) {
	const block = yaml.LiteralStyle | yaml.FoldedStyle
	if n.Kind == yaml.ScalarNode && n.Style&block != 0 {
		n.Style = n.Style&^block | yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		quoteBlocks(child)
	}
}

// difference returns the first node of a that b has not.
func difference(a, b *yaml.Node) *yaml.Node {
	if a.Kind != b.Kind || a.ShortTag() != b.ShortTag() || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return a
	}
	for i := range a.Content {
		if d := difference(a.Content[i], b.Content[i]); d != nil {
			return d
		}
	}
	return nil
}

func noPosition(file, msg string) *scanner.Error {
	return &scanner.Error{Pos: token.Position{Filename: file}, Msg: msg}
}
