// Package strictyaml reads one YAML document that a person wrote, and puts every fault at its line and column.
//
// It knows nothing of what the document is about. Strict means: exactly one document, no key twice, no key
// that isn't known, no value of another type than asked for. All faults of a document are reported, not only
// the first, as a go/scanner.ErrorList, which prints file:line:column: message.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Parse returns the top node of the one document in data, nil if there is nothing in it.
func Parse(filename string, data []byte) (*yaml.Node, scanner.ErrorList) {
	doc, list := Document(filename, data)
	if doc == nil {
		return nil, list
	}
	return doc.Content[0], list
}

// Document returns the one document in data, with the comments around it, nil if there is nothing in it.
func Document(filename string, data []byte) (*yaml.Node, scanner.ErrorList) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := decode(dec, &doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, Faults(filename, data, err)
	}
	var list scanner.ErrorList
	switch err := decode(dec, &second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, Faults(filename, data, err)
	default:
		list.Add(Position(filename, &second), "second document, one file holds one document")
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null" {
		return nil, list
	}
	return &doc, append(list, repeated(filename, doc.Content[0])...)
}

// decode is dec.Decode, except that a crash of the YAML library is a fault of the file.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("can't be read as YAML: %v", p)
		}
	}()
	return dec.Decode(n)
}

// repeated reports keys that a mapping has twice.
func repeated(filename string, n *yaml.Node) (list scanner.ErrorList) {
	if n.Kind == yaml.MappingNode {
		lines := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, at := n.Content[i], n.Content[i]
			if key.Kind == yaml.AliasNode {
				key = key.Alias // which can be a key, too
			}
			if line, ok := lines[key.Value]; ok && key.Kind == yaml.ScalarNode {
				list.Add(Position(filename, at), fmt.Sprintf("field %q is already set in line %d", key.Value, line))
			}
			lines[key.Value] = at.Line
		}
	}
	for _, c := range n.Content {
		list = append(list, repeated(filename, c)...)
	}
	return list
}

// Decode parses data and decodes it into the struct that into points to. Keys are those of its yaml tags. It
// returns the top node too, so that what is found wrong later can be placed by [Find].
func Decode(filename string, data []byte, into any) (*yaml.Node, scanner.ErrorList) {
	top, list := Parse(filename, data)
	if top == nil || len(list) > 0 {
		return top, list
	}
	list = unknown(filename, top, reflect.TypeOf(into))
	if err := top.Decode(into); err != nil {
		for _, fault := range Faults(filename, data, err) {
			// The decoders of some types are strict themselves, and their words are for programmers.
			if !strings.Contains(fault.Msg, " not found in type ") {
				list = append(list, fault)
			}
		}
	}
	list.Sort()
	return top, list
}

// unknown reports the keys of a mapping that a struct has no field for, and goes on below those it has.
func unknown(filename string, n *yaml.Node, t reflect.Type) (list scanner.ErrorList) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, c := range n.Content {
			list = append(list, unknown(filename, c, t.Elem())...)
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(n.Content); i += 2 {
			list = append(list, unknown(filename, n.Content[i+1], t.Elem())...)
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		types, names, others := Fields(t)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.ShortTag() == "!!merge" {
				continue
			}
			ft, ok := types[key.Value]
			if !ok && others != nil {
				ft, ok = others, true
			}
			if ok {
				list = append(list, unknown(filename, n.Content[i+1], ft)...)
			} else {
				list.Add(Position(filename, key), fmt.Sprintf("field %q not known%s", key.Value, DidYouMean(key.Value, names)))
			}
		}
	}
	return list
}

// Fields returns the YAML keys of a struct, in order, with the types of their values. If it takes any other key, too,
// others is the type of those; else it is nil.
func Fields(t reflect.Type) (types map[string]reflect.Type, names []string, others reflect.Type) {
	types = map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case strings.Contains(options, "inline") && f.Type.Kind() == reflect.Map:
			others = f.Type.Elem()
		case strings.Contains(options, "inline"):
			inner, innerNames, innerOthers := Fields(f.Type)
			for _, n := range innerNames {
				types[n] = inner[n]
			}
			names = append(names, innerNames...)
			if innerOthers != nil {
				others = innerOthers
			}
		default:
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			types[name] = f.Type
			names = append(names, name)
		}
	}
	return types, names, others
}

var (
	lineInError = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)
	// The YAML library counts the lines of these errors from 0.
	countedFrom0  = regexp.MustCompile(`^did not find expected (node content|key|',' or|'-' indicator|<document start>)`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
	goType        = regexp.MustCompile("^cannot unmarshal (.*) into (.*)$")
)

// Faults places what the YAML library says of a file, one entry a fault.
func Faults(filename string, data []byte, err error) (list scanner.ErrorList) {
	var typeError *yaml.TypeError
	messages := []string{err.Error()}
	if errors.As(err, &typeError) {
		messages = typeError.Errors
	}
	for _, msg := range messages {
		pos, msg := Locate(filename, data, msg)
		list.Add(pos, Plain(msg))
	}
	return list
}

// Plain says in the words of somebody who edits a file that a value has the wrong type, and what to do about what isn't YAML.
// Other messages stay as they are.
func Plain(msg string) string {
	if m := goType.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("%s is not %s", typed(m[1]), article(m[2]))
	}
	return withRemedy(msg)
}

// Locate splits a message of the YAML library, such as "yaml: line 3: what is wrong", into the place and the
// rest. The library knows the line at best, so the column is that of the line's first character.
func Locate(filename string, data []byte, msg string) (token.Position, string) {
	pos := token.Position{Filename: filename, Line: 1, Column: 1}
	if m := lineInError.FindStringSubmatch(msg); m != nil {
		pos.Line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
		if countedFrom0.MatchString(msg) {
			pos.Line++
		}
	}
	msg = strings.TrimPrefix(msg, "yaml: ")
	if m := unknownAnchor.FindStringSubmatch(msg); m != nil {
		before, _, _ := bytes.Cut(data, []byte("*"+m[1]))
		pos.Line = 1 + bytes.Count(before, []byte("\n"))
	}
	if strings.Contains(msg, " UTF-8 ") || strings.HasPrefix(msg, "control characters") {
		pos.Line, pos.Column = garbage(data)
		return pos, msg
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	if pos.Line >= 1 && pos.Line <= len(lines) {
		line := lines[pos.Line-1]
		pos.Column = 1 + len(line) - len(bytes.TrimLeft(line, " \t-"))
	}
	return pos, msg
}

// garbage returns the place of the first byte that no text has.
func garbage(data []byte) (line, column int) {
	i := strings.IndexFunc(string(data), func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && !strings.ContainsRune("\t\r\n\u0085", r)
	})
	before := string(data[:max(i, 0)])
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndex(before, "\n")
}

// badURL is how net/url complains of what it can't parse: it quotes all of it, and mostly the bad piece once more.
var badURL = regexp.MustCompile(`parse ("(?:[^"\\]|\\.)*"): (?:net/url: )?(.*)$`)

// WithoutURL takes a URL that can't be parsed out of a message, since it may hold a password or be a secret itself. The
// message has a position, where whoever may read the file finds it.
func WithoutURL(msg string) string {
	m := badURL.FindStringSubmatchIndex(msg)
	if m == nil {
		return msg
	}
	why, _, _ := strings.Cut(msg[m[4]:m[5]], ` "`)
	return msg[:m[0]] + "not a URL: " + why
}

// typed turns "!!str `x`" into the words of somebody who edits a file.
func typed(value string) string {
	tag, text, _ := strings.Cut(value, " ")
	names := map[string]string{"!!str": "the text", "!!int": "the number", "!!float": "the number", "!!bool": "the boolean", "!!seq": "a list", "!!map": "a mapping"}
	name, ok := names[tag]
	if !ok {
		return value
	}
	return strings.TrimSpace(name + " " + text)
}

func article(goType string) string {
	switch {
	case goType == "string":
		return "a text"
	case strings.HasPrefix(goType, "int"), strings.HasPrefix(goType, "uint"), strings.HasPrefix(goType, "float"):
		return "a number"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "a "):
		return "what belongs here"
	default:
		return "a mapping"
	}
}

// Position returns where a node stands.
func Position(filename string, n *yaml.Node) token.Position {
	return token.Position{Filename: filename, Line: n.Line, Column: n.Column}
}

// Find returns the node of a path such as networks[0].name below n, or the deepest one on the way there.
func Find(n *yaml.Node, path string) *yaml.Node {
	for _, step := range strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' || c == ']' }) {
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					next = n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(step); err == nil && i < len(n.Content) {
				next = n.Content[i]
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// Problems returns the problems with positions that an error holds, nil if it holds none.
func Problems(err error) scanner.ErrorList {
	var list scanner.ErrorList
	var one *scanner.Error
	switch {
	case errors.As(err, &list):
		return list
	case errors.As(err, &one):
		return scanner.ErrorList{one}
	default:
		return nil
	}
}
