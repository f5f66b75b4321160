package servertest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

// call sends a request and returns the answer's status and body.
func call(ctx context.Context, method, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// A proxy that nobody intercepts is the server, with a list of what was asked.
func TestProxyForwardsAndCounts(t *testing.T) {
	t.Parallel()
	server := servertest.Prometheus(t)
	proxy := servertest.NewProxy(t, server.URL())
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/api/v1/query?query=1%2B1", 200, `"2"`},
		{"POST", "/-/reload", 200, ""},
		{"GET", "/-/reload", 405, "Only POST or PUT requests allowed"},
	} {
		status, body, err := call(t.Context(), tt.method, proxy.URL()+tt.path)
		if err != nil || status != tt.status || !strings.Contains(body, tt.body) {
			t.Errorf("%s %s: %d %q, %v, want %d with %q", tt.method, tt.path, status, body, err, tt.status, tt.body)
		}
	}
	want := []string{"GET /api/v1/query", "POST /-/reload", "GET /-/reload"}
	if got := proxy.Requests(); !slices.Equal(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
	if got := proxy.Count("POST", "/-/reload"); got != 1 {
		t.Errorf("%d POSTs of a reload, want 1", got)
	}

	server.Stop()
	if status, body, err := call(t.Context(), "GET", proxy.URL()+"/-/ready"); err == nil {
		t.Errorf("of a server that is away: %d %q", status, body)
	}
	server.Restart()
	if status, _, err := call(t.Context(), "GET", proxy.URL()+"/-/ready"); status != 200 {
		t.Errorf("of a server that is back: %d, %v", status, err)
	}
}

// Requests of one path are answered, lost, held or altered, while the others pass.
func TestProxyIntercepts(t *testing.T) {
	t.Parallel()
	server := servertest.Prometheus(t)
	proxy := servertest.NewProxy(t, server.URL())
	ready := proxy.URL() + "/-/ready"

	proxy.Intercept("GET", "/-/ready", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		http.Error(w, "of the proxy", http.StatusServiceUnavailable)
	})
	if status, body, err := call(t.Context(), "GET", ready); status != 503 || body != "of the proxy\n" {
		t.Errorf("answered by the proxy: %d %q, %v", status, body, err)
	}
	if status, _, err := call(t.Context(), "GET", proxy.URL()+"/-/healthy"); status != 200 {
		t.Errorf("another path: %d, %v", status, err)
	}

	proxy.Intercept("GET", "/-/ready", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, strings.ToUpper(answer.Body.String()))
	})
	if status, body, err := call(t.Context(), "GET", ready); status != 418 || body != "PROMETHEUS SERVER IS READY.\n" {
		t.Errorf("altered by the proxy: %d %q, %v", status, body, err)
	}

	answered := make(chan int, 1)
	proxy.Intercept("GET", "/-/ready", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		answered <- answer.Code
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, _, err := call(ctx, "GET", ready)
		gone <- err
	}()
	if status := <-answered; status != 200 {
		t.Errorf("the server answered the lost request with %d", status)
	}
	cancel()
	if err := <-gone; err == nil {
		t.Error("a request that hangs was answered")
	}

	proxy.Intercept("GET", "/-/ready", nil)
	if status, _, err := call(t.Context(), "GET", ready); status != 200 {
		t.Errorf("restored: %d, %v", status, err)
	}
}

// A proxy that is down refuses connections, and breaks off those that it has.
func TestProxyDown(t *testing.T) {
	t.Parallel()
	server := servertest.Prometheus(t)
	proxy := servertest.NewProxy(t, server.URL())
	ready := proxy.URL() + "/-/ready"
	proxy.Intercept("GET", "/-/ready", func(http.ResponseWriter, *http.Request, http.Handler) { proxy.Down() })
	if status, body, err := call(t.Context(), "GET", ready); err == nil {
		t.Errorf("of a proxy that goes down: %d %q", status, body)
	}
	if _, _, err := call(t.Context(), "GET", ready); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("of a proxy that is down: %v", err)
	}
	proxy.Intercept("GET", "/-/ready", nil)
	proxy.Up()
	if status, _, err := call(t.Context(), "GET", ready); status != 200 {
		t.Errorf("of a proxy that is up again: %d, %v", status, err)
	}
}

// A server that lets in only a client of its own is reached with that client's transport.
func TestProxyTransport(t *testing.T) {
	t.Parallel()
	webConfig := filepath.Join(t.TempDir(), "web.yml")
	// The password is "scarecrow", as in TestWebConfig.
	if err := os.WriteFile(webConfig, []byte("basic_auth_users: { stoker: $2a$04$XY4RauzL0qs4ydi3fOKO4u.dkGZ0ZWJSuiMkMXupPc5MsXW0.fRTm }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := servertest.Prometheus(t, servertest.WebConfig(webConfig, &http.Client{Transport: basicAuth{}}))
	proxy := servertest.NewProxy(t, server.URL())
	if status, _, err := call(t.Context(), "GET", proxy.URL()+"/-/ready"); status != 401 {
		t.Errorf("without credentials: %d, %v", status, err)
	}
	proxy.Transport(server.Client().Transport)
	if status, _, err := call(t.Context(), "GET", proxy.URL()+"/-/ready"); status != 200 {
		t.Errorf("with the server's client: %d, %v", status, err)
	}
}
