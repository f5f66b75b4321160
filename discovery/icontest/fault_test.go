package icontest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func ask(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(getPReps(`{"startRanking":"0x1","endRanking":"0x5"}`, "")))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.Status + " " + string(body), err
}

// TestFaults checks that each fault changes the answer of getPReps, over a real
// connection, and that it ends when told so.
func TestFaults(t *testing.T) {
	network := icontest.Generate(20, 1)
	server := icontest.NewServer(network)
	defer server.Close()
	right, err := ask(t.Context(), server.URL)
	if err != nil || !strings.HasPrefix(right, "200 OK {") {
		t.Fatalf("%s, %v", right, err)
	}
	elsewhere := map[string]bool{
		"wrong nid": true, // in icx_getNetworkInfo
		"shifting":  true, // from the second page on
		"hanging":   true, // see TestHanging
	}
	for _, fault := range icontest.Faults() {
		if elsewhere[fault.Name] {
			continue
		}
		t.Run(fault.Name, func(t *testing.T) {
			server.MisbehaveNext(1, fault)
			if got, err := ask(t.Context(), server.URL); err == nil && got == right {
				t.Errorf("the answer is right")
			}
			if got, err := ask(t.Context(), server.URL); err != nil || got != right {
				t.Errorf("one request later the answer is still wrong: %s, %v", got, err)
			}
		})
	}
}

func TestHanging(t *testing.T) {
	node := icontest.NewNode(icontest.Generate(5, 1))
	node.Misbehave(icontest.Hanging())
	arrived := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		node.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := ask(ctx, server.URL+"/api/v3")
		failed <- err
	}()
	<-arrived
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	node.Behave()
	if got, err := ask(t.Context(), server.URL+"/api/v3"); err != nil || !strings.HasPrefix(got, "200") {
		t.Errorf("after Behave: %s, %v", got, err)
	}
	if node.Requests() != 2 {
		t.Errorf("%d requests, want 2", node.Requests())
	}
}

func TestCloseRefusesConnections(t *testing.T) {
	server := icontest.NewServer(icontest.Generate(5, 1))
	server.Close()
	if got, err := ask(t.Context(), server.URL); err == nil {
		t.Errorf("got %s, want a refused connection", got)
	}
}
