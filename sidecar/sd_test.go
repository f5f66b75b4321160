package sidecar

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
)

// What http_sd gets is the targets file, and a failure until there is one.
func TestServiceDiscovery(t *testing.T) {
	dir := t.TempDir()
	api := apiServer(t, icontest.Generate(5, 1))
	s := networkSidecar(t, dir, api.URL)
	if code, body := request(t, s, "GET", "/sd/lisbon", nil); code != 404 || body != "no network \"lisbon\", there are mainnet\n" {
		t.Errorf("unknown network: %d %s", code, body)
	}
	if code, body := request(t, s, "GET", "/sd/mainnet", nil); code != 503 || body != "no targets of mainnet are known yet\n" {
		t.Errorf("before there are targets: %d %s", code, body)
	}
	pass(t, s)
	file, err := os.ReadFile(filepath.Join(dir, "mainnet.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Whatever a client already has, Prometheus takes a 304 for a failure.
	for _, header := range []http.Header{nil, {"If-None-Match": {"*"}, "If-Modified-Since": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}, "Range": {"bytes=0-1"}}} {
		if code, body := request(t, s, "GET", "/sd/mainnet", header); code != 200 || body != string(file) {
			t.Errorf("with %v: %d, differs from the file:\n%s", header, code, body)
		}
	}
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	res, err := http.Head(server.URL + "/sd/mainnet")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" || res.ContentLength != int64(len(file)) || res.Header.Get("Etag") != "" {
		t.Errorf("HEAD: %s, %v", res.Status, res.Header)
	}
	if code, _ := request(t, s, "POST", "/sd/mainnet", nil); code != 405 {
		t.Errorf("POST: %d", code)
	}
}

// A real Prometheus elsewhere never loses a target that was right: not while the API answers with garbage, not while
// stoker restarts, with a folder for its targets or without one.
func TestPrometheusNeverLosesATarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	network := icontest.Generate(10, 1)
	api := apiServer(t, network)
	s := networkSidecar(t, dir, api.URL)

	var handler atomic.Pointer[http.Handler] // of the stoker that runs
	run := func(s *Sidecar) { h := s.Handler(); handler.Store(&h) }
	var answers [600]atomic.Int64 // by status
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		(*handler.Load()).ServeHTTP(recorder, r)
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		w.Write(recorder.Body.Bytes())
		answers[recorder.Code].Add(1)
	}))
	defer server.Close()
	// asked waits until Prometheus has had more such answers.
	asked := func(status int) {
		t.Helper()
		before := answers[status].Load()
		servertest.Eventually(t, time.Minute, func() error {
			if got := answers[status].Load(); got < before+2 { // one may have been under way
				return fmt.Errorf("%d answers with %d, want %d", got, status, before+2)
			}
			return nil
		})
	}
	run(s)

	config := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
global: { scrape_interval: 1h }
scrape_configs:
- job_name: preps
  http_sd_configs: [{ url: '%s/sd/mainnet', refresh_interval: 200ms }]
`, server.URL), 0o644); err != nil {
		t.Fatal(err)
	}
	prometheus := servertest.Prometheus(t, servertest.ConfigFile(config))
	targets := func() (map[string]bool, error) {
		body, err := prometheus.Get("/api/v1/targets?state=active")
		if err != nil {
			return nil, err
		}
		var answer struct {
			Data struct {
				ActiveTargets []struct{ Labels map[string]string }
			}
		}
		err = json.Unmarshal(body, &answer)
		all := map[string]bool{}
		for _, target := range answer.Data.ActiveTargets {
			l := target.Labels
			if l["network"] != "mainnet" || l["prep_name"] == "" {
				return nil, fmt.Errorf("a target has the labels %v", l)
			}
			all[l["prep"]+" "+l["exporter"]+" "+l["instance"]] = true
		}
		return all, err
	}
	var right map[string]bool // targets that must be there
	until := func(count int) {
		t.Helper()
		servertest.Eventually(t, time.Minute, func() error {
			have, err := targets()
			if err != nil {
				return err
			}
			for target := range right {
				if !have[target] {
					t.Fatalf("%s is gone, %d are left", target, len(have))
				}
			}
			if len(have) != count {
				return fmt.Errorf("%d targets, want %d", len(have), count)
			}
			right = have
			return nil
		})
	}

	asked(503)
	until(0)
	pass(t, s)
	until(20)
	for _, fault := range icontest.Faults() {
		if fault.Name == "hanging" {
			continue // the pass would last as long as a request may
		}
		api.Misbehave(fault)
		network.Advance(1)
		pass(t, s)
		asked(200)
		until(20)
	}

	// stoker restarts while the API is down: from the file, and from nothing.
	api.Misbehave(icontest.ServerError())
	s = networkSidecar(t, dir, api.URL)
	run(s)
	asked(200)
	pass(t, s)
	asked(200)
	until(20)
	bare := networkSidecar(t, "", api.URL)
	run(bare)
	pass(t, bare)
	asked(503)
	until(20)

	// And it does follow.
	api.Behave()
	network.Join(network.NewPRep("Newcomer", "127.9.9.9:7100"))
	pass(t, bare)
	until(22)
}
