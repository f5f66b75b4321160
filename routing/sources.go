package routing

import (
	"path"
	"strings"
)

// ContactOf returns the stem of the contact whose source a file of a release is; false for any other file.
func ContactOf(file string) (string, bool) {
	if path.Dir(file) != contactsFolder || !strings.HasSuffix(file, ".yml") {
		return "", false
	}
	return stem(file), true
}
