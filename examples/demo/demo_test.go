package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

func TestDemo(t *testing.T) {
	stoker := servertest.Build(t, "./cmd/stoker")
	t.Run("story", func(t *testing.T) {
		t.Parallel()
		testStory(t, stoker)
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		testInterrupted(t, stoker)
	})
}

// The demo tells its story, keeps running until Ctrl-C, and leaves nothing behind.
func testStory(t *testing.T, stoker string) {
	got := play(t, stoker, "everything keeps running", "--calm=0s")
	if got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.output)
	}
	at := 0
	for _, line := range []string{
		"Prometheus scrapes all 8 nodes",
		"a new node registers on the chain: Juniper Works",
		"Prometheus scrapes it",
		"a pull request of Acme Validators is merged",
		"Alertmanager runs with it",
		"the node of Acme Validators goes down (simulated)",
		"alert NodeDown fires",
		"inbox: mail to noc@acme.example: [critical] NodeDown · Acme Validators",
		"the node of Acme Validators is back (simulated)",
		"inbox: mail to noc@acme.example: [RESOLVED] NodeDown · Acme Validators",
		"nobody else was told",
		"stopping everything",
	} {
		next := strings.Index(got.output[at:], line)
		if next < 0 {
			t.Fatalf("no %q in its place:\n%s", line, got.output)
		}
		at += next
	}
	got.leftNothing(t)
}

// Ctrl-C in the middle is no failure and leaves nothing behind either.
func testInterrupted(t *testing.T, stoker string) {
	got := play(t, stoker, "a new node registers")
	if got.code != 0 {
		t.Errorf("exit code %d:\n%s", got.code, got.output)
	}
	got.leftNothing(t)
}

func TestWithoutStoker(t *testing.T) {
	var out bytes.Buffer
	code := run(t.Context(), []string{"--stoker=missing", "--exit-when-told"}, &out)
	if code != 1 || !strings.Contains(out.String(), "missing: no such file or directory: run make demo, which builds it") {
		t.Errorf("exit code %d:\n%s", code, &out)
	}
}

type played struct {
	output string
	code   int
}

// play runs the demo until it has said the line, then sends it the equivalent of Ctrl-C.
func play(t *testing.T, stoker, line string, args ...string) played {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append(args, "--stoker="+stoker), w)
		w.Close()
	}()
	var output strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		output.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), line) {
			interrupt()
		}
	}
	return played{output.String(), <-code}
}

// leftNothing checks the addresses and the folder that the demo named.
func (p played) leftNothing(t *testing.T) {
	t.Helper()
	urls := regexp.MustCompile(`(?m)^  .* (http://\S+)`).FindAllStringSubmatch(p.output, -1)
	if len(urls) != 5 {
		t.Errorf("%d addresses, want 5:\n%s", len(urls), p.output)
	}
	for _, url := range urls {
		if res, err := http.Get(url[1]); err == nil {
			t.Errorf("%s still answers", url[1])
			res.Body.Close()
		}
	}
	dir := regexp.MustCompile(`(?m)^  files +(\S+)`).FindStringSubmatch(p.output)
	if dir == nil {
		t.Fatalf("no folder named:\n%s", p.output)
	}
	if _, err := os.Stat(dir[1]); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir[1], err)
	}
}
