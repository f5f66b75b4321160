package discovery

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// TestServedTargets: http_sd has the bytes of the file, at once after a restart, and
// never an empty list.
func TestServedTargets(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(10, 1)
	node := icontest.NewNode(network)
	file := func(a *Agent) string {
		t.Helper()
		data, known := a.TargetsFile("testnet")
		if _, other := a.TargetsFile("othernet"); !known || other {
			t.Errorf("testnet is known: %t, othernet is known: %t", known, other)
		}
		return string(data)
	}
	a := testAgent(t, dir, testNetwork(1), Options{}, nil)
	if got := file(a); got != "" {
		t.Errorf("before the first answer: %s", got)
	}
	if _, err := a.Sync(t.Context()); err == nil || file(a) != "" {
		t.Errorf("without an answer: %v, %s", err, file(a))
	}
	connect(a, node)
	mustSync(t, a, true)
	want := readTargets(t, dir)
	if got := file(a); got != want {
		t.Errorf("differs from the file: %s", firstDiff(want, got))
	}
	network.Rename(addresses(network)[0], "Renamed")
	mustSync(t, a, true)
	want = readTargets(t, dir)
	if got := file(a); got != want || !strings.Contains(got, "Renamed") {
		t.Errorf("differs from the file: %s", firstDiff(want, got))
	}

	a = testAgent(t, dir, testNetwork(1), Options{}, nil)
	if got := file(a); got != want {
		t.Errorf("after a restart, before the first pass: %s", firstDiff(want, got))
	}
	if _, err := a.Sync(t.Context()); err == nil || file(a) != want {
		t.Errorf("after a restart without API: %v, %s", err, firstDiff(want, file(a)))
	}

	for name, content := range map[string]string{
		"empty list":      "[]",
		"truncated":       want[:len(want)/2],
		"somebody else's": `[{"targets":["127.0.0.1:1"]}]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "testnet.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		a = testAgent(t, dir, testNetwork(1), Options{}, nil)
		a.Sync(t.Context())
		if got := file(a); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestWithoutTargetsDir: no file, and all the promises until the process ends.
func TestWithoutTargetsDir(t *testing.T) {
	t.Chdir(t.TempDir())
	network := icontest.Generate(50, 1)
	all := addresses(network)
	node := icontest.NewNode(network)
	a := testAgent(t, "", testNetwork(1), Options{}, node)
	mustSync(t, a, true)
	mustSync(t, a, false)
	data, _ := a.TargetsFile("testnet")
	if err := loads(data, 100); err != nil {
		t.Error(err)
	}
	network.Leave(all[:20]...)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
		t.Errorf("a drop: %v", err)
	}
	node.Misbehave(icontest.Behind(1000))
	if _, err := a.Sync(t.Context()); !errors.Is(err, errOlder) {
		t.Errorf("an older answer: %v", err)
	}
	if s := a.Status()[0]; s.Preps != 50 || len(s.Held) != 20 || s.Targets["node"] != 50 {
		t.Errorf("%d P-Reps, %d held, %v", s.Preps, len(s.Held), s.Targets)
	}
	if got, _ := a.TargetsFile("testnet"); string(got) != string(data) {
		t.Errorf("changed: %s", firstDiff(string(data), string(got)))
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("wrote %v, %v", left, err)
	}
	if got, _ := testAgent(t, "", testNetwork(1), Options{}, node).TargetsFile("testnet"); got != nil {
		t.Errorf("after a restart: %s", got)
	}
}
