package reload

import (
	"fmt"
	"go/scanner"
	"regexp"
	"strings"
)

// The versions of the servers that our libraries are taken from, as major.minor; a test holds them against go.mod.
// A patch release changes nothing of what a file may say.
const (
	prometheusLibrary   = "3.15"
	alertmanagerLibrary = "0.34"
)

var majorMinor = regexp.MustCompile(`^v?(\d+)\.(\d+)`)

// judge says which faults that our libraries find are faults for the server that a release is for. A server of
// their version, or of a version that nobody knows, is taken at their word. One of another version may know a key,
// a function or a value that they don't: that is for the server to tell, and rolling back protects it.
type judge struct {
	server, library string // such as Prometheus, 3.15
	facts           facts
}

// lenient reports whether the server is known to be of another version than our libraries.
func (j judge) lenient() bool {
	if j.facts.version == "" {
		return false
	}
	m := majorMinor.FindStringSubmatch(j.facts.version)
	return m == nil || m[1]+"."+m[2] != j.library
}

// newer reports whether the server may be of a newer version than our libraries.
func (j judge) newer() bool {
	if !j.lenient() {
		return false
	}
	var major, minor, ourMajor, ourMinor int
	if _, err := fmt.Sscanf(strings.TrimPrefix(j.facts.version, "v"), "%d.%d", &major, &minor); err != nil {
		return true
	}
	if _, err := fmt.Sscanf(j.library, "%d.%d", &ourMajor, &ourMinor); err != nil {
		return true
	}
	return major > ourMajor || major == ourMajor && minor > ourMinor
}

// unknownWord is what the libraries say of a key, function or value that they have no name for. Values that a list
// of their own has to hold are described in many ways.
var unknownWord = regexp.MustCompile(` is not known here| not found in type |(?i:\b(unknown|unsupported|not supported|not yet supported|unrecogni[sz]ed)\b)` +
	`|\b(to|must) be one of\b|\bmust be '[^']*' or '[^']*', or the field|\bexpecting one of\b|\binvalid (role|compression type|DNS-SD records type|protobuf_message value)\b` +
	`|\bfunction ".*" not defined\b`)

// mayBeKnown reports whether what a message complains of is something that another version may accept.
func mayBeKnown(msg string) bool { return unknownWord.MatchString(msg) }

// sort puts the problems that a library found where they belong.
func (j judge) sort(list scanner.ErrorList) (f findings) {
	for _, p := range list {
		if j.lenient() && mayBeKnown(p.Msg) {
			f.warnings.Add(p.Pos, j.unsure(p.Msg))
		} else {
			f.errors = append(f.errors, p)
		}
	}
	return f
}

// unsure adds to a message why it is no error.
func (j judge) unsure(msg string) string {
	return fmt.Sprintf("%s: only the server can tell, because it is %s %s and this was checked by the rules of %s", msg, j.server, j.facts.version, j.library)
}

// findings is what a check found: errors keep a release from being published, warnings are what only the server can
// decide or what is worth a look.
type findings struct{ errors, warnings scanner.ErrorList }

func (f *findings) add(more findings) {
	f.errors = append(f.errors, more.errors...)
	f.warnings = append(f.warnings, more.warnings...)
}

// tidy sorts the findings and keeps one of those that say the same of the same place.
func (f *findings) tidy() {
	for _, list := range []*scanner.ErrorList{&f.errors, &f.warnings} {
		list.Sort()
		var kept scanner.ErrorList
		for _, p := range *list {
			if n := len(kept); n == 0 || *kept[n-1] != *p {
				kept = append(kept, p)
			}
		}
		*list = kept
	}
}
