package silencing

import (
	"bytes"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// document reads YAML nodes strictly and collects what is wrong, with its place.
type document struct {
	filename string
	problems scanner.ErrorList
}

func (d *document) position(n *yaml.Node) token.Position {
	return token.Position{Filename: d.filename, Line: n.Line, Column: n.Column}
}

func (d *document) problem(n *yaml.Node, format string, args ...any) {
	d.problems.Add(d.position(n), fmt.Sprintf(format, args...))
}

// root parses data as exactly one YAML document and returns its top node, nil
// after a problem. An empty document is left to the caller: its node is null.
func (d *document) root(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}
	case err != nil:
		d.syntaxProblem(err)
		return nil
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		d.problem(&second, "a second document, only one is read")
		return nil
	case !errors.Is(err, io.EOF):
		d.syntaxProblem(err)
		return nil
	}
	return doc.Content[0]
}

// syntaxProblem takes the line out of the parser's message; there is no column in it.
func (d *document) syntaxProblem(err error) {
	pos := token.Position{Filename: d.filename, Line: 1, Column: 1}
	msg := err.Error()
	if m := regexp.MustCompile(`^yaml: (?:line (\d+): )?((?s).*)$`).FindStringSubmatch(msg); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			pos.Line = line
		}
		msg = m[2]
	}
	d.problems.Add(pos, "not valid YAML: "+msg)
}

// fields returns the values of a mapping by their key, nil when n isn't one.
// Unknown and repeated keys and aliases are problems. A field whose problem has
// been told is there with a nil value.
func (d *document) fields(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		d.problem(n, "%s must be a mapping (%s: …), not %s", what, known[0], kind(n))
		return nil
	}
	values := make(map[string]*yaml.Node, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.problem(key, "a field's name must be a word, not %s", kind(key))
			continue
		}
		if line, ok := lines[key.Value]; ok {
			d.problem(key, "field %q is already set in line %d", key.Value, line)
			continue
		}
		lines[key.Value] = key.Line
		if !slices.Contains(known, key.Value) {
			if near := nearest(key.Value, known); near != "" {
				d.problem(key, "field %q not known, did you mean %q?", key.Value, near)
				if _, ok := values[near]; !ok {
					values[near] = nil // meant, and so not missing
				}
			} else {
				d.problem(key, "field %q not known", key.Value)
			}
			continue
		}
		if value.Kind == yaml.AliasNode {
			d.problem(value, "%s must be written out, aliases are not followed", key.Value)
			value = nil
		}
		values[key.Value] = value
	}
	return values
}

// text returns a string's value. Numbers, booleans and the like must be quoted.
func (d *document) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		d.problem(n, "%s must be a string, not %s", what, kind(n))
		return "", false
	}
	return n.Value, true
}

// kind says in words what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the boolean " + n.Value
	case "!!timestamp":
		return "the time " + n.Value
	case "!!str":
		return strconv.Quote(n.Value)
	}
	return n.ShortTag()
}

// nearest returns the one of known that word was probably meant to be, or "".
func nearest(word string, known []string) string {
	best, least := "", len(word)/3+1
	for _, k := range known {
		if n := distance(word, k); n <= least && (best == "" || n < least) {
			best, least = k, n
		}
	}
	return best
}

// distance counts the letters to insert, delete or change to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
