package reload

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// maxFileWarnings bounds how many files of one configuration are warned of one by one.
const maxFileWarnings = 20

// missing says that a file isn't part of the release and isn't here, "" if that isn't so: only the server may have it
// mounted.
func (s staged) missing(key, file string) string {
	if !filepath.IsAbs(file) || !filepath.IsAbs(s.path(file)) {
		return ""
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return fmt.Sprintf("%s: %q isn't here: only the server can tell, because it may be mounted for the server alone", key, file)
}

// aboutFiles warns of the files that a configuration names for reading, each at its first mention, with what say has
// to say of it.
func (s staged) aboutFiles(p string, cfg any, say func(key, file string) string) (warnings scanner.ErrorList) {
	seen, left := map[string]bool{}, 0
	var places map[string]token.Position
	walkFields(cfg, func(key string, v reflect.Value) {
		file := v.String()
		if file == "" || seen[file] || !strings.HasSuffix(key, "_file") || writtenByServer(key) {
			return
		}
		seen[file] = true
		msg := say(key, file)
		if msg == "" {
			return
		}
		if len(warnings) == maxFileWarnings {
			left++
			return
		}
		if places == nil {
			places = s.places(p)
		}
		pos, ok := places[filepath.Clean(file)]
		if !ok {
			pos = token.Position{Filename: s.name(p), Line: 1, Column: 1}
		}
		warnings.Add(pos, msg)
	})
	if left > 0 {
		warnings.Add(token.Position{Filename: s.name(p), Line: 1, Column: 1}, fmt.Sprintf("the same goes for %d more files", left))
	}
	return warnings
}

// places returns where each value of a file is first written, by the value as a cleaned path.
func (s staged) places(p string) map[string]token.Position {
	places := map[string]token.Position{}
	for _, v := range scalars(s.files[p]) {
		if clean := filepath.Clean(v.Value); places[clean].Line == 0 {
			places[clean] = token.Position{Filename: s.name(p), Line: v.Line, Column: v.Column}
		}
	}
	return places
}
