package routing

import (
	"fmt"
	"go/scanner"
	"go/token"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// A reader takes a YAML file apart and collects every problem at its position, so that whoever wrote the
// file sees all of them at once. Its methods return what could be read; the zero value where nothing could.
type reader struct {
	file     string
	problems scanner.ErrorList
	subject  string // the key whose value is being read
	outline  *outline
}

// fail adds a problem at n.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.problems.Add(position(r.file, n), fmt.Sprintf(format, args...))
}

// wrong adds a problem of the value being read, in words that follow its key.
func (r *reader) wrong(n *yaml.Node, format string, args ...any) {
	if r.subject != "" {
		format = strings.ReplaceAll(r.subject, "%", "%%") + " " + format
	}
	r.fail(n, format, args...)
}

func position(file string, n *yaml.Node) token.Position {
	return strictyaml.Position(file, n)
}

// document returns the one document of a YAML file, nil if there is none.
func (r *reader) document(data []byte) *yaml.Node {
	doc, problems := strictyaml.Document(r.file, data)
	r.problems = append(r.problems, problems...)
	if doc == nil && len(problems) == 0 {
		r.problems.Add(token.Position{Filename: r.file, Line: 1, Column: 1}, "is empty")
	}
	return doc
}

// A field is one key that an object may have.
type field struct {
	name string
	read func(*yaml.Node)
}

// object reads a mapping with fixed keys and returns where each of them stands. Keys that begin with x-
// belong to the author.
func (r *reader) object(n *yaml.Node, fields ...field) map[string]*yaml.Node {
	if r.outline.has(n) {
		return r.outlineObject(n, fields)
	}
	at := map[string]*yaml.Node{}
	for key, value := range r.entries(n, fields[0].name+": …") {
		if strings.HasPrefix(key.Value, "x-") {
			continue
		}
		i := 0
		for i < len(fields) && fields[i].name != key.Value {
			i++
		}
		if i == len(fields) {
			names := make([]string, len(fields))
			for i, f := range fields {
				names[i] = f.name
			}
			r.fail(key, "field %q not known%s", key.Value, strictyaml.DidYouMean(key.Value, names))
			continue
		}
		at[key.Value] = key
		r.within(key.Value, func() { fields[i].read(value) })
	}
	return at
}

// within reads the value of a key.
func (r *reader) within(key string, read func()) {
	before := r.subject
	r.subject = key
	read()
	r.subject = before
}

// entries iterates over the keys and values of a mapping, which may have such an entry. A key that is there twice is told by
// document.
func (r *reader) entries(n *yaml.Node, such string) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if r.outline.has(n) {
			yield(r.outline.entry(n))
			return
		}
		if n = resolve(n); n.Kind != yaml.MappingNode {
			r.wrong(n, "must be a mapping such as { %s }, is %s", such, kindName(n))
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := resolve(n.Content[i])
			switch {
			case key.Kind != yaml.ScalarNode:
				r.fail(key, "a key must be a single value, is %s", kindName(key))
				continue
			case key.ShortTag() == "!!merge":
				r.fail(key, "merge keys are not supported, repeat the fields")
				continue
			}
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

// maxItems is how long a list may be, or a mapping whose keys the author chooses, so that no contact makes everybody's
// configuration large or slow.
const maxItems = 50

// named is entries for a mapping whose keys the author chooses.
func (r *reader) named(n *yaml.Node, such string) func(yield func(key, value *yaml.Node) bool) {
	r.says(n, "maxProperties", maxItems)
	if m := resolve(n); m.Kind == yaml.MappingNode && len(m.Content) > 2*maxItems {
		r.wrong(n, "must not have more than %d entries", maxItems)
		return func(func(key, value *yaml.Node) bool) {}
	}
	return r.entries(n, such)
}

// list returns the items of a list; an empty or too long list is a problem.
func (r *reader) list(n *yaml.Node) []*yaml.Node {
	if r.outline.has(n) {
		return []*yaml.Node{r.outline.list(n)}
	}
	switch n = resolve(n); {
	case n.Kind == yaml.ScalarNode && !isNull(n):
		r.wrong(n, "must be a list, put it in [ ]")
	case n.Kind != yaml.SequenceNode:
		r.wrong(n, "must be a list, is %s", kindName(n))
	case len(n.Content) == 0:
		r.wrong(n, "must not be empty")
	case len(n.Content) > maxItems:
		r.wrong(n, "must not have more than %d entries", maxItems)
	default:
		return n.Content
	}
	return nil
}

// listOrOne is list for what may also be given as a single value.
func (r *reader) listOrOne(n *yaml.Node) []*yaml.Node {
	if r.outline.has(n) {
		return []*yaml.Node{r.outline.listOrOne(n)}
	}
	if n = resolve(n); n.Kind == yaml.ScalarNode && !isNull(n) {
		return []*yaml.Node{n}
	}
	return r.list(n)
}

// scalar returns a string as it stands.
func (r *reader) scalar(n *yaml.Node) string {
	r.says(n, "type", "string")
	r.says(n, "minLength", 1)
	switch n = resolve(n); {
	case isNull(n):
		r.wrong(n, "must not be empty")
	case n.Kind != yaml.ScalarNode:
		r.wrong(n, "must be a string, is %s", kindName(n))
	case n.ShortTag() != "!!str":
		r.wrong(n, "must be a string, put it in quotes")
	case n.Value == "":
		r.wrong(n, "must not be empty")
	default:
		return n.Value
	}
	return ""
}

// asText returns a number of YAML as the text that it was written as, where quotes would not make it right, or not be needed.
func (r *reader) asText(n *yaml.Node) *yaml.Node {
	if r.outline.has(n) {
		return n
	}
	if n = resolve(n); n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!float" {
		return n
	}
	quoted := *n
	quoted.Tag = "!!str"
	return &quoted
}

// text returns a string that may appear in a configuration file.
func (r *reader) text(n *yaml.Node) string {
	r.says(n, "$ref", "#/$defs/text")
	if r.outline.has(n) {
		return ""
	}
	s := r.scalar(n)
	if problem := textProblem(s); problem != "" {
		r.wrong(n, "%s", problem)
		return ""
	}
	return s
}

// textProblem says what keeps s out of a configuration file. It never quotes s, which may be a secret.
func textProblem(s string) string {
	switch {
	case !utf8.ValidString(s): // of a secret; YAML itself is
		return "must be UTF-8"
	case strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }):
		return "must not contain control or invisible characters"
	case strings.TrimSpace(s) != s:
		return "must not begin or end with a space"
	case strings.Contains(s, "{{"):
		return "must not contain {{, Alertmanager would run it as a template"
	}
	return ""
}

// word returns a string that matches pattern, which the problem spells out as rule.
func (r *reader) word(n *yaml.Node, pattern *regexp.Regexp, rule string) string {
	r.says(n, "pattern", pattern.String())
	s := r.text(n)
	if s != "" && !pattern.MatchString(s) {
		r.fail(n, "%q must match %s", s, rule)
		return ""
	}
	return s
}

// flag returns a boolean.
func (r *reader) flag(n *yaml.Node) bool {
	r.says(n, "type", "boolean")
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		r.wrong(n, "must be true or false")
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "empty"
	default:
		return "a single value"
	}
}
