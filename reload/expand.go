package reload

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// variable is $(NAME) in a file that asks for it, and $$(NAME) for the same characters as they stand. The
// notation is that of the other config reloaders; $NAME and ${NAME} belong to relabelling and templates.
var variable = regexp.MustCompile(`\$?\$\(([a-zA-Z_][a-zA-Z0-9_]*)\)`)

// expander puts environment variables into the files that are named for it.
type expander struct {
	// patterns are slash-separated globs of the files, relative to the main file's folder.
	patterns []string
	// keep leaves a variable that isn't set as it stands, for a check on a machine that has no secrets.
	keep bool
	// values are those that were put in, so that they can be kept out of messages.
	values map[string]string
}

// applies reports whether a file of the release is to be expanded.
func (e *expander) applies(p string) bool {
	return slices.ContainsFunc(e.patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, p)
		return ok && err == nil
	})
}

// expand replaces the variables in a file. An unset one is an error, or a warning if the expander keeps them; so
// is a value with a line break, which could change the structure of the file.
func (e *expander) expand(filename string, data []byte) (expanded []byte, warnings, problems scanner.ErrorList) {
	var out []byte
	end := 0
	for _, m := range variable.FindAllSubmatchIndex(data, -1) {
		start, stop, name := m[0], m[1], string(data[m[2]:m[3]])
		out = append(out, data[end:start]...)
		end = stop
		if strings.HasPrefix(string(data[start:stop]), "$$") {
			out = append(out, data[start+1:stop]...)
			continue
		}
		value, set := os.LookupEnv(name)
		switch {
		case !set && e.keep:
			warnings.Add(positionAt(filename, data, start), fmt.Sprintf("environment variable %s isn't set here: checked as $(%s)", name, name))
			value = string(data[start:stop])
		case !set:
			problems.Add(positionAt(filename, data, start), fmt.Sprintf("environment variable %s isn't set: set it where stoker runs, or write $$(%s) for these characters themselves", name, name))
		case strings.ContainsAny(value, "\r\n\x00"):
			problems.Add(positionAt(filename, data, start), fmt.Sprintf("the value of environment variable %s holds a line break, which would change the structure of this file", name))
		default:
			e.values[name] = value
		}
		out = append(out, value...)
	}
	return append(out, data[end:]...), warnings, problems
}

// portNumber is a value that gives nothing away, and without which a message could hardly be read.
var portNumber = regexp.MustCompile(`^\d{0,5}$`)

// redact puts the names of variables in place of their values in an error: upstream's loaders quote what they
// refuse. Values of less than four characters stay: they would garble every message.
func (e *expander) redact(err error) error {
	if err == nil {
		return nil
	}
	for _, problem := range strictyaml.Problems(err) {
		problem.Msg = e.redactText(problem.Msg)
	}
	if text := e.redactText(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

func (e *expander) redactText(s string) string {
	// The longest first: one value may be part of another.
	names := slices.SortedFunc(maps.Keys(e.values), func(a, b string) int { return len(e.values[b]) - len(e.values[a]) })
	for _, name := range names {
		if v := e.values[name]; len(v) >= 4 && !portNumber.MatchString(v) {
			s = strings.ReplaceAll(s, v, "$("+name+")")
		}
	}
	return s
}

// positionAt returns the line and column of a byte of a file.
func positionAt(filename string, data []byte, offset int) token.Position {
	before := string(data[:offset])
	return token.Position{
		Filename: filename,
		Line:     1 + strings.Count(before, "\n"),
		Column:   offset - strings.LastIndex(before, "\n"),
	}
}
