package reload

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// Tree is the files of a release: content by slash-separated path below the release's folder.
type Tree map[string][]byte

// Paths returns the paths of the tree in order.
func (t Tree) Paths() []string { return slices.Sorted(maps.Keys(t)) }

// Hash names the content of the tree: the first 12 hexadecimal digits of a SHA-256 over every path and
// content, each with its length, so that no two trees read the same. Twelve digits keep paths short; two
// releases of one folder that collide would need some 16 million of them.
func (t Tree) Hash() string {
	h := sha256.New()
	for _, p := range t.Paths() {
		sum := sha256.Sum256(t[p])
		io.WriteString(h, p)
		h.Write([]byte{0})
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// glob returns the paths of the tree that match a slash-separated pattern as filepath.Glob would.
func (t Tree) glob(pattern string) []string {
	var matched []string
	for _, p := range t.Paths() {
		if ok, err := path.Match(pattern, p); err == nil && ok {
			matched = append(matched, p)
		}
	}
	return matched
}

// privateDir is the folder of a release for what only stoker reads: it is not world- or group-readable,
// and no server is ever pointed at it.
const privateDir = ".stoker"

// private reports whether a file of a release is for stoker alone.
func private(p string) bool { return p == privateDir || strings.HasPrefix(p, privateDir+"/") }
