package schematest

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// InDocs holds that docs has what `stoker schema KIND` prints. The test's package is a folder of the repository's root.
func InDocs(t testing.TB, kind string, schema []byte) {
	t.Helper()
	file := "docs/" + kind + ".schema.json"
	docs, err := os.ReadFile("../" + file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(schema), string(docs)); d != "" {
		t.Errorf("write it anew with `go run ./cmd/stoker schema %s > %s`: %s", kind, file, d)
	}
}
