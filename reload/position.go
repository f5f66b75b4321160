package reload

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

var (
	// rulefmt writes "12:9: group …" or, for an expression in a block, "12:9: 14:3: group …".
	ruleInMessage   = regexp.MustCompile(`^(\d+):(\d+): (?:\d+:\d+: )?(.*)$`)
	quotedInMessage = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
)

// problems turns what an upstream loader said about a file into positions in it. The loaders know lines only
// for YAML faults; for the rest, as in `undefined receiver "b" used in route`, the quoted words are looked up
// among the file's values. What can't be found is reported at the top of the file.
func problems(filename string, data []byte, err error) scanner.ErrorList {
	var list scanner.ErrorList
	if err == nil {
		return nil
	}
	text := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n  ")
	for _, msg := range strings.Split(text, "\n  ") {
		pos, rest := strictyaml.Locate(filename, data, msg)
		if rest != msg {
			msg = rest
		} else if m := ruleInMessage.FindStringSubmatch(msg); m != nil {
			pos.Line, _ = strconv.Atoi(m[1])
			pos.Column, _ = strconv.Atoi(m[2])
			msg = m[3]
		} else if line, column, ok := findQuoted(data, msg); ok {
			pos.Line, pos.Column = line, column
		}
		list.Add(pos, plain(msg))
	}
	return list
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

// plain drops the names of Go types from a YAML decoder's message; nobody who edits a file knows them.
func plain(msg string) string {
	if key, _, ok := strings.Cut(msg, " not found in type "); ok {
		return key + " is not known here"
	}
	return msg
}

// findQuoted finds the value that a message quotes: the longest quoted word that is a value in the file,
// where it is used rather than where it is defined (`name: x`).
func findQuoted(data []byte, msg string) (line, column int, ok bool) {
	words := quotedInMessage.FindAllStringSubmatch(msg, -1)
	slices.SortStableFunc(words, func(a, b []string) int { return len(b[1]) - len(a[1]) })
	values := scalars(data)
	for _, word := range words {
		value, err := strconv.Unquote(`"` + word[1] + `"`)
		if err != nil {
			value = word[1]
		}
		used := slices.IndexFunc(values, func(s scalar) bool { return s.Value == value && s.key != "name" && s.key != "job_name" })
		if used < 0 {
			// Defined twice: the later one is the one too many.
			for i, s := range values {
				if s.Value == value {
					used = i
				}
			}
		}
		if used >= 0 {
			return values[used].Line, values[used].Column, true
		}
	}
	return 0, 0, false
}

// scalar is a value of a YAML file and the key that it stands under (for a list, the key of the list).
type scalar struct {
	key string
	*yaml.Node
}

// scalars returns the values of a YAML file in order.
func scalars(data []byte) (all []scalar) {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil {
		return nil
	}
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
	walk("", &doc)
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

// guard runs fn and turns a panic into an error: some inputs crash the upstream loaders (a null entry in
// slack_configs, `routes: [null]`), and a check must outlive what it checks.
func guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the configuration crashes the loader that the server uses, so the server would crash too: %v", p)
		}
	}()
	return fn()
}
