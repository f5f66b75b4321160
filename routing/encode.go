package routing

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// encodeItems writes the items of a list at the left margin, byte for byte as [encode] does.
//
// The YAML library keeps all events of a document, of some 300 bytes each, until its end: that was a quarter of what a
// first pass over thousands of contacts allocates. What they are mostly made of is written here, and the library is asked
// for the rest.
func encodeItems(items []*yaml.Node) ([]byte, error) {
	var w itemWriter
	if w.sequence(items, 0) {
		return w.Bytes(), w.err
	}
	return encode(list(items...))
}

// itemWriter writes block mappings and sequences of scalars. Its methods return false if there is anything else.
type itemWriter struct {
	bytes.Buffer
	err error
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
	ascii := strings.IndexFunc(n.Value, func(c rune) bool { return c < ' ' || c > '~' }) < 0
	switch {
	case n.Style == yaml.DoubleQuotedStyle && n.Tag == "!!str" && ascii:
		w.WriteString(`"` + strings.ReplaceAll(strings.ReplaceAll(n.Value, `\`, `\\`), `"`, `\"`) + `"`)
	case n.Style == yaml.SingleQuotedStyle && n.Tag == "!!str" && ascii && strings.TrimSpace(n.Value) == n.Value:
		w.WriteString("'" + strings.ReplaceAll(n.Value, "'", "''") + "'")
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

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// plain reports whether a scalar can only be taken for the text that it is, or for the boolean.
func plain(n *yaml.Node) bool {
	v := n.Value
	if number := strings.TrimRight(v, "smhdw"); n.Style == 0 && n.Tag == "!!str" && len(number) == len(v)-1 && number != "" && strings.Trim(number, "0123456789") == "" {
		return true // a duration
	}
	switch {
	case n.Style != 0 || v == "" || !strings.ContainsAny(v[:1], letters):
		return false
	case n.Tag == "!!bool":
		return v == "true" || v == "false"
	}
	switch strings.ToLower(v) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false // YAML, 1.1 at least, has a meaning for them
	}
	return n.Tag == "!!str" && strings.Trim(v, letters+"0123456789_/-") == ""
}
