package servertest

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Build compiles a command of this module, such as "./cmd/stoker", as it is released: static, and without
// the race detector of the test that calls it. It returns the program's file.
func Build(t TB, command string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(command))
	build := exec.Command("go", "build", "-o", program, command)
	build.Dir = root(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", command, err, output)
	}
	return program
}
