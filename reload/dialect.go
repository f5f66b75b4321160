package reload

import (
	"context"
	"go/scanner"
	"io/fs"

	"github.com/prometheus/alertmanager/config"
)

// Generate makes files of a release from the hand-written ones. It returns the files to add, or to put in place of
// the hand-written ones, by slash-separated path. An error ends the pass; nothing was changed by then.
type Generate func(ctx context.Context, from Source) (map[string][]byte, error)

// A Source is what files of a release are generated from.
type Source struct {
	// Base holds the main file as it was read, by its path.
	Base map[string][]byte
	// Live is the release that runs now; nil if there is none yet.
	Live fs.FS
	// Version is that of the server that will run the release, such as 0.34.2; "" if it isn't known.
	Version string
	// Refusals are the server's words for releases that it refused, while those aren't tried again. What is generated then
	// can do without what they name.
	Refusals []string
	// Load reads a main file as the check of the release will. Whoever generates one and wants to know whether it loads
	// asks here: what was read isn't read again by the check. The configuration is nil beside an error, and where only
	// the server can tell. Nil for Prometheus.
	Load func(data []byte) (*config.Config, error)
}

// dialect is what differs between the files of Prometheus and those of Alertmanager. All of it is pure or
// reads only below a given folder; none of it panics.
type dialect interface {
	// server is the name in metrics and logs.
	server() string
	// main is the name of the main file.
	main() string
	// parse loads a main file by itself, without looking at what it refers to.
	parse(filename string, data []byte, f facts) error
	// references lists what a file of the release mentions. Only the main file and includes are asked about.
	references(p, filename string, data []byte, f facts, l *lastLoad) ([]reference, error)
	// check loads a release exactly as the server would. Warnings are what only the server can decide.
	check(s staged) (warnings scanner.ErrorList, err error)
	// difference says how what the server runs differs from a release, "" if it doesn't as far as the
	// server can tell. dir is the folder of the main file if that stays in place.
	difference(ctx context.Context, s *server, l loaded, dir string, tree Tree) (string, error)
	// serving says what of a release that the server runs isn't at work yet, "" if nothing is missing.
	serving(ctx context.Context, s *server, dir string, tree Tree) (string, error)
	// secrets returns the passwords and tokens that stand in a main file.
	secrets(data []byte) []string
}

// staged is a release in the making whose files lie on disk, where upstream's loaders can read them.
type staged struct {
	// dir is the folder of the main file, and main that file itself. Its path in the tree is dialect.main()
	// whatever it is called on disk.
	dir, main string
	// files holds paths relative to dir, and absolute ones for files elsewhere.
	files Tree
	// name turns a path of the release into the one that people know.
	name  func(p string) string
	facts facts
	// last is what was made of the main file before, and trials of the templates in an earlier check.
	last   *lastLoad
	trials *trials
}

// path returns the path in the tree of a file on disk.
func (s staged) path(file string) string { return treePath(s.dir, file) }
