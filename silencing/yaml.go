package silencing

import (
	"fmt"
	"go/scanner"
	"go/token"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// document reads YAML nodes strictly and collects what is wrong, with its place.
type document struct {
	filename string
	problems scanner.ErrorList
}

func (d *document) position(n *yaml.Node) token.Position {
	return strictyaml.Position(d.filename, n)
}

func (d *document) problem(n *yaml.Node, format string, args ...any) {
	d.problems.Add(d.position(n), fmt.Sprintf(format, args...))
}

// root parses data as exactly one YAML document and returns its top node, nil after a problem. An empty
// document is left to the caller: its node is null.
func (d *document) root(data []byte) *yaml.Node {
	top, problems := strictyaml.Parse(d.filename, data)
	d.problems = append(d.problems, problems...)
	switch {
	case top == nil && len(problems) > 0:
		return nil
	case top == nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}
	default:
		return top
	}
}

// fields returns the values of a mapping by their key, nil when n isn't one. Unknown keys and aliases are
// problems; repeated keys are told by root. A field whose problem has been told is there with a nil value.
func (d *document) fields(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		d.problem(n, "%s must be a mapping (%s: …), not %s", what, known[0], kind(n))
		return nil
	}
	values := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.problem(key, "a field's name must be a word, not %s", kind(key))
			continue
		}
		if !slices.Contains(known, key.Value) {
			d.problem(key, "field %q not known%s", key.Value, strictyaml.DidYouMean(key.Value, known))
			near := strictyaml.Nearest(key.Value, known)
			if _, ok := values[near]; !ok {
				values[near] = nil // meant, and so not missing
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
