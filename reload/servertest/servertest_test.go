package servertest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// Every program starts, is ready, tells its version, and comes back with its address and its data: after a
// stop and after a crash.
func TestLife(t *testing.T) {
	tests := map[string]struct {
		start   func(servertest.TB, ...servertest.Option) *servertest.Server
		status  string
		version string
	}{
		"prometheus":        {servertest.Prometheus, "/api/v1/status/buildinfo", "3.15."},
		"prometheus-2.53":   {servertest.Prometheus, "/api/v1/status/buildinfo", "2.53."},
		"alertmanager":      {servertest.Alertmanager, "/api/v2/status", "0.34."},
		"alertmanager-0.27": {servertest.Alertmanager, "/api/v2/status", "0.27."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := test.start(t, servertest.Binary(name))
			url := server.URL()
			if !strings.HasPrefix(url, "http://127.0.0.1:") {
				t.Fatalf("listens on %s", url)
			}
			for _, again := range []func(){server.Restart, server.Kill} {
				status, err := server.Get(test.status)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(status), `"version":"`+test.version) {
					t.Errorf("no version %s in %s", test.version, status)
				}
				again()
			}
			if server.Running() {
				t.Error("runs after Kill")
			}
			server.Restart()
			if got := server.URL(); got != url {
				t.Errorf("URL %s after restarts, was %s", got, url)
			}
			if got := strings.Count(server.Log(), `msg="TLS is disabled."`); got != 3 {
				t.Errorf("%d starts in the log, want 3", got)
			}
		})
	}
}

func TestAlertmanagerKeepsSilencesOverRestart(t *testing.T) {
	t.Parallel()
	server := servertest.Alertmanager(t)
	now := time.Now()
	silence := fmt.Sprintf(`{"matchers": [{"name": "a", "value": "b", "isRegex": false, "isEqual": true}],
		"startsAt": %q, "endsAt": %q, "createdBy": "test", "comment": "test"}`,
		now.Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339))
	res, err := server.Client().Post(server.URL()+"/api/v2/silences", "application/json", strings.NewReader(silence))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	server.Restart()
	body, err := server.Get("/api/v2/silences")
	if err != nil {
		t.Fatal(err)
	}
	var silences []struct{ Comment string }
	if err := json.Unmarshal(body, &silences); err != nil || len(silences) != 1 {
		t.Fatalf("after a restart: %s, %v", body, err)
	}
}

func TestFlagsReplaceDefaults(t *testing.T) {
	t.Parallel()
	server := servertest.Prometheus(t, servertest.Flags("--no-web.enable-lifecycle"))
	res, err := server.Client().Post(server.URL()+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("POST /-/reload: %s, want 403", res.Status)
	}
}

func TestAlertmanagerCluster(t *testing.T) {
	t.Parallel()
	peers := func(server *servertest.Server) ([]string, error) {
		body, err := server.Get("/api/v2/status")
		if err != nil {
			return nil, err
		}
		var status struct {
			Cluster struct{ Peers []struct{ Address string } }
		}
		if err := json.Unmarshal(body, &status); err != nil {
			return nil, err
		}
		var addresses []string
		for _, peer := range status.Cluster.Peers {
			addresses = append(addresses, peer.Address)
		}
		return addresses, nil
	}
	const listen = "--cluster.listen-address=127.0.0.1:0"
	first := servertest.Alertmanager(t, servertest.Flags(listen))
	addresses, err := peers(first)
	if err != nil || len(addresses) != 1 {
		t.Fatalf("peers of the first: %v, %v", addresses, err)
	}
	second := servertest.Alertmanager(t, servertest.Flags(listen, "--cluster.peer="+addresses[0]))
	servertest.Eventually(t, time.Minute, func() error {
		addresses, err := peers(second)
		if err == nil && len(addresses) != 2 {
			err = fmt.Errorf("%d peers", len(addresses))
		}
		return err
	})
}

func TestWebConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	webConfig := filepath.Join(dir, "web.yml")
	// The password is "scarecrow", hashed at bcrypt's lowest cost.
	if err := os.WriteFile(webConfig, []byte("basic_auth_users: { stoker: $2a$04$XY4RauzL0qs4ydi3fOKO4u.dkGZ0ZWJSuiMkMXupPc5MsXW0.fRTm }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: basicAuth{}}
	server := servertest.Prometheus(t, servertest.WebConfig(webConfig, client))
	res, err := http.Get(server.URL() + "/-/ready")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without credentials: %s, want 401", res.Status)
	}
}

type basicAuth struct{}

func (basicAuth) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.SetBasicAuth("stoker", "scarecrow")
	return http.DefaultTransport.RoundTrip(req)
}

// A server that can't start fails the test with its own words; with NoWait it is the test's to watch.
func TestServerThatCannotStart(t *testing.T) {
	t.Parallel()
	configFile := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(configFile, []byte("route: { receiver: b }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const reason = `undefined receiver \"b\" used in route`

	unready := &recorder{TB: t}
	unready.run(func() { servertest.Alertmanager(unready, servertest.ConfigFile(configFile)) })
	if !strings.Contains(unready.fatal, reason) {
		t.Errorf("failed with %q, want Alertmanager's %s", unready.fatal, reason)
	}

	server := servertest.Alertmanager(t, servertest.ConfigFile(configFile), servertest.NoWait())
	servertest.Eventually(t, time.Minute, func() error {
		if server.Running() || !strings.Contains(server.Log(), reason) {
			return errors.New("still running")
		}
		return nil
	})
}

func TestMissingBinaryFails(t *testing.T) {
	missing := &recorder{TB: t}
	missing.run(func() { servertest.Prometheus(missing, servertest.Binary("prometheus-1.0")) })
	if !strings.HasSuffix(missing.fatal, "/.servers/prometheus-1.0 is missing: run make servers") {
		t.Errorf("failed with %q", missing.fatal)
	}
}

func TestEventuallyFailsWithTheLastError(t *testing.T) {
	last := &recorder{TB: t}
	last.run(func() {
		servertest.Eventually(last, 0, func() error { return errors.New("the last one") })
	})
	if last.fatal != "not after 0s: the last one" {
		t.Errorf("failed with %q", last.fatal)
	}
}

// recorder is a test that is allowed to fail.
type recorder struct {
	servertest.TB
	fatal string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) run(f func()) {
	defer func() {
		if got := recover(); got != nil && got != any(r) {
			panic(got)
		}
	}()
	f()
}
