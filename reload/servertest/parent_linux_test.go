package servertest_test

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// A test process that is killed, as by a timeout, leaves no server behind.
func TestServerDiesWithTheTest(t *testing.T) {
	t.Parallel()
	const variable = "SERVERTEST_PARENT"
	if os.Getenv(variable) != "" {
		server := servertest.Alertmanager(t)
		if _, err := os.Stdout.WriteString("URL " + server.URL() + "\n"); err != nil {
			t.Fatal(err)
		}
		select {} // until killed
	}

	test := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTest$", "-test.timeout=1m")
	// What is killed doesn't clear up, so its folders are inside one that this test removes.
	test.Env = append(os.Environ(), variable+"=1", "TMPDIR="+t.TempDir())
	stdout, err := test.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := test.Start(); err != nil {
		t.Fatal(err)
	}
	url := ""
	for lines := bufio.NewScanner(stdout); url == "" && lines.Scan(); {
		if after, ok := strings.CutPrefix(lines.Text(), "URL "); ok {
			url = after
		}
	}
	if res, err := http.Get(url + "/-/ready"); err != nil {
		t.Fatal(err)
	} else if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := test.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := test.Wait(); err == nil {
		t.Error("no error from a process that was killed")
	}
	servertest.Eventually(t, time.Minute, func() error {
		res, err := http.Get(url + "/-/ready")
		if err != nil {
			return nil
		}
		return errors.Join(errors.New("the server still answers"), res.Body.Close())
	})
}
