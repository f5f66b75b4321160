package reload

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

var quotedInMessage = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// problems turns what an upstream loader said about a file into positions in it. t is the type that the file is
// decoded into. The loaders know lines only for YAML faults; for the rest, as in `undefined receiver "b" used in
// route`, the piece that they can't load and the words that they quote are looked up. What can't be found is
// reported at the top of the file.
func problems(filename string, data []byte, err error, t reflect.Type) scanner.ErrorList {
	return (&written{name: filename, data: data}).problems(err, t)
}

// maxProblems bounds how many problems of one file are told one by one: finding a place takes time, and nobody reads
// a thousand of them.
const maxProblems = 100

// written is a file as people see it, in which places are looked up.
type written struct {
	name string
	data []byte
	doc  *yaml.Node // once somebody has asked for it
}

// document returns the top node of the file, nil if it has none.
func (w *written) document() *yaml.Node {
	if w.doc == nil {
		w.doc = document(w.data)
	}
	return w.doc
}

func (w *written) top() token.Position { return token.Position{Filename: w.name, Line: 1, Column: 1} }

func (w *written) problems(err error, t reflect.Type) (list scanner.ErrorList) {
	if err == nil {
		return nil
	}
	text := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n  ")
	messages := strings.Split(text, "\n  ")
	for i, msg := range messages {
		pos, rest := strictyaml.Locate(w.name, w.data, msg)
		switch {
		case rest == msg:
			pos = w.locate(msg, t)
		case unknownKey.MatchString(rest):
			pos, msg = w.keyProblem(pos, rest, t)
		default:
			msg = plain(rest)
		}
		if i == maxProblems {
			list.Add(pos, fmt.Sprintf("%d problems from here on", len(messages)-i))
			break
		}
		list.Add(pos, strictyaml.WithoutURL(msg))
	}
	return list
}

var (
	setTwice  = regexp.MustCompile(`^field (.+) already set in type .*$`)
	wrongType = regexp.MustCompile(`^cannot unmarshal (.*) into (.*\.)?(.+)$`)
)

// plain says what the YAML library says without its names of Go types, which nobody who edits a file knows.
func plain(msg string) string {
	if m := setTwice.FindStringSubmatch(msg); m != nil {
		return "field " + m[1] + " is set twice"
	}
	if m := wrongType.FindStringSubmatch(msg); m != nil && m[2] != "" && m[3] != "plain" && !strings.Contains(m[3], "onfig") {
		msg = "cannot unmarshal " + m[1] + " into a value of another type"
	}
	return strictyaml.Plain(msg)
}

// unknownKey is what the decoder says of a key that it has no field for. The names of Go types are left out of what
// people get to read.
var unknownKey = regexp.MustCompile(`^field (.+) not found in type `)

// keyProblem words and places the complaint about an unknown key of which only the line is known.
func (w *written) keyProblem(pos token.Position, msg string, t reflect.Type) (token.Position, string) {
	key := unknownKey.FindStringSubmatch(msg)[1]
	msg = "field " + key + " is not known here"
	doc := w.document()
	if doc == nil {
		return pos, msg
	}
	walkNodes(doc, func(n *yaml.Node) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; k.Line == pos.Line && k.Value == key {
				pos.Column = k.Column
			}
		}
	})
	if t != nil {
		if word := meant(doc, t, pos.Line, key); word != "" {
			msg += fmt.Sprintf(", did you mean %q?", word)
		}
	}
	return pos, msg
}

// locate finds the place that a message without a line is about.
func (w *written) locate(msg string, t reflect.Type) token.Position {
	doc := w.document()
	if doc == nil {
		return w.top()
	}
	piece := doc
	if t != nil {
		piece = blame(doc, t, msg)
	}
	if n := quotedNode(piece, msg); n != nil {
		return strictyaml.Position(w.name, n)
	}
	if piece != doc {
		return strictyaml.Position(w.name, piece)
	}
	if strings.Contains(msg, errCrash.Error()) || strings.Contains(msg, "empty or null") || strings.HasPrefix(msg, "missing ") {
		if n := firstNull(doc); n != nil {
			return strictyaml.Position(w.name, n)
		}
	}
	if n := namedNode(doc, msg); n != nil {
		return strictyaml.Position(w.name, n)
	}
	return w.top()
}

// document returns the top node of a YAML file, nil if there is none.
func document(data []byte) (top *yaml.Node) {
	var doc yaml.Node
	err := guard(func() error { return yaml.Unmarshal(data, &doc) })
	if err != nil || len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// walkNodes visits the nodes of a document in order, each once: what an alias stands for is not visited again.
func walkNodes(n *yaml.Node, visit func(*yaml.Node)) {
	visit(n)
	for _, c := range n.Content {
		walkNodes(c, visit)
	}
}

// stagedPath matches what the loaders put before a message: the path of the staged file.
var stagedPath = regexp.MustCompile(`^(?:parsing YAML file )?"?/[^" ]*/\.tmp-[^" ]*"?: `)

// unstage drops the path of a staged file from the front of an error: the position names the file.
func unstage(err error) error {
	if msg := stagedPath.ReplaceAllString(err.Error(), ""); msg != err.Error() {
		return errors.New(msg)
	}
	return err
}

// quotedNode finds the value that a message quotes: the longest quoted word that is a value in the document, where
// it is used rather than where it is defined (`name: x`). Of what is there twice, the second is the one too many.
func quotedNode(doc *yaml.Node, msg string) *yaml.Node {
	words := quotedInMessage.FindAllStringSubmatch(msg, -1)
	slices.SortStableFunc(words, func(a, b []string) int { return len(b[1]) - len(a[1]) })
	values := scalarsOf(doc)
	for _, word := range words {
		quoted, err := strconv.Unquote(`"` + word[1] + `"`)
		if err != nil {
			quoted = word[1]
		}
		var used, defined []*yaml.Node
		for _, s := range values {
			switch {
			case s.Value != quoted:
			case s.key == "name" || s.key == "job_name":
				defined = append(defined, s.Node)
			default:
				used = append(used, s.Node)
			}
		}
		switch twice := tooMany.MatchString(msg); {
		case twice && len(defined) > 1:
			return defined[1]
		case twice && len(used) > 1:
			return used[1]
		case len(used) > 0:
			return used[0]
		case len(defined) > 0:
			return defined[len(defined)-1]
		}
	}
	return nil
}

var tooMany = regexp.MustCompile(`not unique|multiple|duplicate|repeated`)

// namedNode finds what the words of a message are about if it quotes nothing: the later one of two keys that exclude
// each other, the action of a relabeling rule, the first slack_configs for `no Slack API URL`, a section at the top for
// `root route must not have any matchers`.
func namedNode(doc *yaml.Node, msg string) *yaml.Node {
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(msg), func(c rune) bool { return strings.ContainsRune(" ,\"'`", c) }) {
		words[w] = true
	}
	words["email"] = words["smtp"]
	var long, action, kind, section *yaml.Node
	walkNodes(doc, func(n *yaml.Node) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			switch {
			case strings.Contains(k.Value, "_") && (words[k.Value] || words[strings.TrimSuffix(k.Value, "s")]):
				long = k
			case k.Value == "action" && words[v.Value] && action == nil:
				action = v
			case strings.HasSuffix(k.Value, "_configs") && words[strings.TrimSuffix(k.Value, "_configs")] && kind == nil:
				kind = k
			case n == doc && words[k.Value] && section == nil:
				section = k
			}
		}
	})
	for _, n := range []*yaml.Node{long, action, kind, section} {
		if n != nil {
			return n
		}
	}
	return nil
}

// scalar is a value of a YAML file and the key that it stands under (for a list, the key of the list).
type scalar struct {
	key string
	*yaml.Node
}

// scalars returns the values of a YAML file in order.
func scalars(data []byte) []scalar { return scalarsOf(document(data)) }

func scalarsOf(n *yaml.Node) (all []scalar) {
	var walk func(key string, n *yaml.Node)
	walk = func(key string, n *yaml.Node) {
		switch n.Kind {
		case yaml.ScalarNode:
			all = append(all, scalar{key, n})
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i].Value, n.Content[i+1])
			}
		default:
			for _, c := range n.Content {
				walk(key, c)
			}
		}
	}
	if n != nil {
		walk("", n)
	}
	return all
}

// place returns the position of the first value that match accepts, or the top of the file.
func place(filename string, data []byte, match func(scalar) bool) token.Position {
	pos := token.Position{Filename: filename, Line: 1, Column: 1}
	values := scalars(data)
	if i := slices.IndexFunc(values, match); i >= 0 {
		pos.Line, pos.Column = values[i].Line, values[i].Column
	}
	return pos
}

// positionOf returns where a relative path is written in a file.
func positionOf(filename string, data []byte, rel string) token.Position {
	return place(filename, data, func(s scalar) bool { return s.Value != "" && path.Clean(s.Value) == rel })
}

// within turns a position inside of a text into one in the file, if the text is written at start in such a way that
// this can be told: on one line, or as a literal block (|) with its lines as they are.
func within(data []byte, start token.Position, line, column int) token.Position {
	lines := strings.Split(string(data), "\n")
	if start.Line < 1 || start.Line > len(lines) || line < 1 || column < 1 {
		return start
	}
	first := lines[start.Line-1]
	if start.Column < 1 || start.Column > len(first) {
		return start
	}
	switch rest := first[start.Column-1:]; rest[0] {
	case '|':
		if start.Line+line > len(lines) {
			return start
		}
		text := lines[start.Line] // its first line sets how deep the block is
		indent := len(text) - len(strings.TrimLeft(text, " "))
		start.Line, start.Column = start.Line+line, indent+column
	case '>':
	case '"', '\'':
		if line == 1 && !strings.Contains(rest, `\`) && column < len(rest) {
			start.Column += column
		}
	default:
		if line == 1 && column <= len(strings.TrimRight(rest, " "))+1 {
			start.Column += column - 1
		}
	}
	return start
}

var errCrash = errors.New("crashes the loader that the server uses, so the server would crash too")

// guard runs fn and turns a panic into an error: some inputs crash the upstream loaders (a null entry in
// slack_configs, `routes: [null]`), and a check must outlive what it checks.
func guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the configuration %w: %v", errCrash, p)
		}
	}()
	return fn()
}
