// Package exampletest has what the tests of several examples need.
package exampletest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stoker-project/stoker/reload/servertest"
)

// Replace returns the text of a file with other words in some places, given as pairs like those of [strings.NewReplacer].
// Each must be there exactly once, so that an example can't change without its test.
func Replace(t servertest.TB, file, text string, oldnew ...string) string {
	t.Helper()
	for pair := range slices.Chunk(oldnew, 2) {
		if strings.Count(text, pair[0]) != 1 {
			t.Fatalf("%s: %q isn't there once", file, pair[0])
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	return text
}

// Contains checks an answer for texts, of which each must be in it.
func Contains(texts ...string) func(answer string) error {
	return func(answer string) error {
		for _, text := range texts {
			if !strings.Contains(answer, text) {
				return fmt.Errorf("no %s in %s", text, answer)
			}
		}
		return nil
	}
}

// TargetsUp checks what Prometheus says of its active targets.
func TargetsUp(want int) func(answer string) error {
	return func(answer string) error {
		var targets struct {
			Data struct {
				ActiveTargets []struct{ Health, LastError string }
			}
		}
		if err := json.Unmarshal([]byte(answer), &targets); err != nil {
			return err
		}
		up := 0
		for _, target := range targets.Data.ActiveTargets {
			if target.Health == "up" {
				up++
			}
		}
		if up != want {
			return fmt.Errorf("%d targets are up, want %d: %v", up, want, targets.Data.ActiveTargets)
		}
		return nil
	}
}
