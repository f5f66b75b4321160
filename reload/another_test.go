package reload_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// What is generated goes by the server's words: without the part that the server won't have, everything else goes live in
// the same pass. The whole is tried again after ten minutes, once, and goes live as soon as the server takes it.
func TestAnotherReleaseForARefusedOne(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ca.pem")
	s := newStation(t, "alertmanager", map[string]string{"alertmanager.yml": receivers("one")})
	var told []string // in the last pass, each time that it generated
	s.generate(func(from reload.Source) string {
		told = append(told, strings.Join(from.Refusals, "\n"))
		if strings.Contains(told[len(told)-1], file) {
			return receivers("without")
		}
		return missingCA("whole", file)
	})
	pass := func(changed bool, reloads int, runs string) {
		t.Helper()
		told = nil
		sent := s.sent()
		mustSync(t, s.agent, changed)
		if n := s.sent() - sent; n != reloads {
			t.Errorf("%d reloads were sent, want %d", n, reloads)
		}
		s.mustRun(runs)
		s.proved()
		if got := s.agent.Status(); got.Withheld != nil || got.Refused != "" {
			t.Errorf("status is %+v", got)
		}
	}
	pass(true, 3, "without") // refused, back, and on
	if len(told) != 2 || told[0] != "" || !strings.HasPrefix(told[1], "failed to reload config: ") {
		t.Errorf("the generator was told %q", told)
	}
	for range 3 {
		pass(false, 0, "without")
	}
	s.agent.Later(longerThanARefusal)
	pass(false, 2, "without") // refused, and back
	pass(false, 0, "without")
	must(t, os.WriteFile(file, ca(t), 0o644))
	pass(false, 0, "without")
	s.agent.Later(2 * longerThanARefusal)
	pass(true, 1, "whole")
	pass(false, 0, "whole")
}

// A generator that can't do without what is refused, and one that makes something that is refused as well, end with the
// release before, and with the server's words.
func TestNoOtherReleaseForARefusedOne(t *testing.T) {
	t.Parallel()
	s := newStation(t, "alertmanager", map[string]string{"alertmanager.yml": receivers("one")})
	s.generate(func(reload.Source) string { return missingCA("two", "/nowhere/two.pem") })
	sent := s.sent()
	s.fails("alertmanager refused release", "/nowhere/two.pem", "went back to release "+s.first)
	s.fails("was refused", "/nowhere/two.pem", "keeping release "+s.first)
	s.mustRun("one")
	s.generate(func(from reload.Source) string {
		if len(from.Refusals) > 0 {
			return missingCA("three", "/nowhere/three.pem")
		}
		return missingCA("two", "/nowhere/two.pem")
	})
	s.fails("alertmanager refused release", "/nowhere/three.pem", "went back to release "+s.first)
	s.mustBe(s.first)
	if n := s.sent() - sent; n != 6 {
		t.Errorf("%d reloads were sent, want one there and one back for each of three releases", n)
	}
}

// generate makes a new agent that generates the main file.
func (s *station) generate(main func(from reload.Source) string) {
	s.t.Helper()
	var err error
	s.agent, err = s.kind(s.config(s.proxy.URL()), reload.Options{Generate: func(_ context.Context, from reload.Source) (map[string][]byte, error) {
		return map[string][]byte{s.main: []byte(main(from))}, nil
	}})
	must(s.t, err)
}
