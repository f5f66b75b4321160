package servertest

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile writes a file, and makes the folders above it.
func WriteFile(t TB, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatalf("%v", err)
	}
}

// writeFiles writes files, by slash-separated path, in a folder that is there also without any.
func writeFiles(t TB, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("%v", err)
	}
	for p, content := range files {
		WriteFile(t, filepath.Join(dir, filepath.FromSlash(p)), content)
	}
}
