package routing

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// The oldest Alertmanager that is supported stands for one whose version isn't known.
const oldestMajor, oldestMinor = 0, 27

// libraryVersion is the Alertmanager that a contact is judged by where there is none.
const libraryVersion = "0.34.2"

// versionFile says, in a release, which Alertmanager it was made for: while one can't be asked, after a restart say,
// what contacts are told must not change to what every version can do, and back.
const versionFile = ".stoker/alertmanager.version"

// versionOf returns the version that a release was made for, "" if that isn't known.
func versionOf(release fs.FS) string {
	if release == nil {
		return ""
	}
	data, err := fs.ReadFile(release, versionFile)
	if err != nil {
		return ""
	}
	return minor(strings.TrimSpace(string(data)))
}

// parseVersion returns the parts of a version that decide what a configuration may say; false if it has none.
func parseVersion(version string) (major, minor int, ok bool) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
		rest = rest[:end]
	}
	major, err := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest)
	return major, minor, err == nil && err2 == nil
}

// minor returns these parts, such as 0.34; "" if there are none.
func minor(version string) string {
	major, minor, ok := parseVersion(version)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d.%d", major, minor)
}

// has reports whether the Alertmanager that will run the contacts is this version or a newer one.
func (t terms) has(major, minor int) bool {
	if t.versioned != nil {
		*t.versioned = true
	}
	m, n, ok := parseVersion(t.version)
	if !ok {
		m, n = oldestMajor, oldestMinor
	}
	return m > major || m == major && n >= minor
}

// needs says what is missing if Alertmanager is older than this version. What an earlier release did goes on.
func (t terms) needs(what string, major, minor int) error {
	switch {
	case t.held || t.has(major, minor):
		return nil
	case t.version == "":
		return fmt.Errorf("%s needs Alertmanager %d.%d or newer, and it isn't known which one runs: alertmanager.version in stoker.yml can say it", what, major, minor)
	default:
		return fmt.Errorf("%s needs Alertmanager %d.%d or newer, %s runs", what, major, minor, t.version)
	}
}
