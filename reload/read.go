package reload

import (
	"bytes"
	"fmt"
	"go/token"
	"io"
	"os"
	"syscall"
)

const (
	// maxFile and maxRelease bound what is read of a source folder, in bytes: far more than any configuration,
	// and little enough that a wrong link doesn't take the machine's memory.
	maxFile    = 64 << 20
	maxRelease = 256 << 20
	// largeRelease is the size from which on memory is given back at once after a check.
	largeRelease = 1 << 20
	// maxDepth bounds how deep templates are nested. The stack of their parser grows with it without a limit,
	// and that overflows can't be caught.
	maxDepth = 1000
)

// readFile reads a regular file of at most max bytes. A pipe or a device is an error, and never waited for.
func readFile(name string, max int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, and only files can be read: the server would fail too", name)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is a pipe, a socket or a device, and only files can be part of a release", name)
	case info.Size() > max:
		return nil, fmt.Errorf("%s is larger than %d MiB: is that a configuration?", name, max>>20)
	}
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := io.Copy(&data, io.LimitReader(f, max+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > max {
		return nil, fmt.Errorf("%s grew beyond %d MiB while it was read", name, max>>20)
	}
	return data.Bytes(), nil
}

// deepActions returns the place where template actions are nested too deep, the zero value if they aren't. It knows
// no template's syntax but the words that open and close.
func deepActions(filename string, data []byte) token.Position {
	depth := 0
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte("{{"))
		if i < 0 {
			return token.Position{}
		}
		at += i + 2
		word := bytes.TrimLeft(bytes.TrimPrefix(data[at:min(at+64, len(data))], []byte("-")), " \t\r\n")
		switch {
		case hasWord(word, "end"):
			depth = max(0, depth-1)
		case hasWord(word, "if"), hasWord(word, "with"), hasWord(word, "range"), hasWord(word, "block"), hasWord(word, "define"):
			if depth++; depth > maxDepth {
				return positionAt(filename, data, at)
			}
		}
	}
}

func hasWord(text []byte, word string) bool {
	rest, ok := bytes.CutPrefix(text, []byte(word))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n-}\"`("), rest[0]) >= 0)
}
