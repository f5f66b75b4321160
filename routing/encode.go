package routing

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An itemWriter writes lists that hold block mappings and sequences of scalars. Those of its methods that return a bool
// return false if there is anything else.
//
// The YAML library keeps all events of a document, of some 300 bytes each, until its end: that was a quarter of what a
// first pass over thousands of contacts allocates. What they are mostly made of is written here, and the library is asked
// for the rest.
type itemWriter struct {
	bytes.Buffer
	err error
}

// items writes the items of a list at the left margin, byte for byte as [encode] does.
func (w *itemWriter) items(items []*yaml.Node) ([]byte, error) {
	w.Reset()
	w.err = nil
	if w.sequence(items, 0) {
		return bytes.Clone(w.Bytes()), w.err
	}
	return encode(list(items...))
}

func (w *itemWriter) sequence(items []*yaml.Node, indent int) bool {
	for i, n := range items {
		if i > 0 || w.Len() > 0 && w.Bytes()[w.Len()-1] == '\n' {
			w.indent(indent)
		}
		w.WriteString("- ")
		if !w.node(n, indent+2, false) {
			return false
		}
	}
	return true
}

func (w *itemWriter) mapping(n *yaml.Node, indent int) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			w.indent(indent)
		}
		if key := n.Content[i]; !plain(key) || !w.scalar(key) {
			return false
		}
		w.WriteByte(':')
		if !w.node(n.Content[i+1], indent, true) {
			return false
		}
	}
	return true
}

// node writes an item of a sequence, or the value of a mapping's key and what separates them.
func (w *itemWriter) node(n *yaml.Node, indent int, value bool) bool {
	if n.Anchor != "" || n.HeadComment != "" || n.LineComment != "" || n.FootComment != "" {
		return false
	}
	switch {
	case n.Kind == yaml.ScalarNode:
		if value {
			w.WriteByte(' ')
		}
		if !w.scalar(n) {
			return false
		}
		w.WriteByte('\n')
		return true
	case len(n.Content) == 0:
	case n.Kind == yaml.SequenceNode && n.Style == yaml.FlowStyle && value:
		return w.flow(n)
	case n.Style != 0:
	case n.Kind == yaml.SequenceNode && value:
		w.WriteByte('\n')
		return w.sequence(n.Content, indent)
	case n.Kind == yaml.MappingNode && value:
		w.WriteByte('\n')
		w.indent(indent + 2)
		return w.mapping(n, indent+2)
	case n.Kind == yaml.MappingNode:
		return w.mapping(n, indent)
	}
	return false
}

func (w *itemWriter) flow(n *yaml.Node) bool {
	w.WriteString(" [")
	for i, item := range n.Content {
		if i > 0 {
			w.WriteString(", ")
		}
		if item.Kind != yaml.ScalarNode || !w.scalar(item) {
			return false
		}
	}
	w.WriteString("]\n")
	return true
}

func (w *itemWriter) indent(n int) { w.WriteString(strings.Repeat(" ", n)) }

// scalar writes printable ASCII in quotes and plain words, and lets the library write the others that are one line.
func (w *itemWriter) scalar(n *yaml.Node) bool {
	ascii := true
	for i := 0; i < len(n.Value) && ascii; i++ {
		ascii = n.Value[i] >= ' ' && n.Value[i] <= '~'
	}
	switch {
	case n.Style == yaml.DoubleQuotedStyle && n.Tag == "!!str" && ascii:
		w.quoted('"', strings.ReplaceAll(strings.ReplaceAll(n.Value, `\`, `\\`), `"`, `\"`))
	case n.Style == yaml.SingleQuotedStyle && n.Tag == "!!str" && ascii && strings.TrimSpace(n.Value) == n.Value:
		w.quoted('\'', strings.ReplaceAll(n.Value, "'", "''"))
	case plain(n):
		w.WriteString(n.Value)
	default:
		data, err := encode(n)
		if err != nil {
			w.err = err
			return true
		}
		if bytes.IndexByte(data, '\n') != len(data)-1 {
			return false
		}
		w.Write(bytes.TrimSuffix(data, []byte("\n")))
	}
	return true
}

func (w *itemWriter) quoted(quote byte, text string) {
	w.WriteByte(quote)
	w.WriteString(text)
	w.WriteByte(quote)
}

// plain reports whether a scalar can only be taken for the text that it is, or for the boolean.
func plain(n *yaml.Node) bool {
	v := n.Value
	switch {
	case n.Style != 0 || v == "":
		return false
	case n.Tag == "!!bool":
		return v == "true" || v == "false"
	case n.Tag != "!!str":
		return false
	case isDigit(v[0]):
		return isDuration(v)
	case !isLetter(v[0]):
		return false
	}
	for i := range len(v) {
		if c := v[i]; !isLetter(c) && !isDigit(c) && c != '_' && c != '/' && c != '-' {
			return false
		}
	}
	if len(v) <= len("false") {
		switch strings.ToLower(v) {
		case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
			return false // YAML, 1.1 at least, has a meaning for them
		}
	}
	return true
}

// isDuration reports whether a text is digits and one unit.
func isDuration(v string) bool {
	for i := range len(v) - 1 {
		if !isDigit(v[i]) {
			return false
		}
	}
	return len(v) > 1 && strings.IndexByte("smhdw", v[len(v)-1]) >= 0
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
