package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
)

// WebOptions says where the web listener is.
type WebOptions struct {
	// ListenAddresses are host:port; port 0 picks a free one. Empty: no listener.
	ListenAddresses []string
	// ConfigFile is an exporter-toolkit web configuration (TLS, basic auth). Optional.
	ConfigFile string
}

func (w WebOptions) listen() ([]net.Listener, error) {
	var listeners []net.Listener
	for _, a := range w.ListenAddresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			closeAll(listeners)
			return nil, fmt.Errorf("web listener: %w", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// scheme is https where the web configuration has TLS.
func (w WebOptions) scheme() string {
	var config struct {
		TLS yaml.Node `yaml:"tls_server_config"`
	}
	if data, err := os.ReadFile(w.ConfigFile); err == nil && yaml.Unmarshal(data, &config) == nil && !config.TLS.IsZero() {
		return "https"
	}
	return "http"
}

// addressOf returns the URL at which another process of this machine reaches the first listener.
func (w WebOptions) addressOf(listeners []net.Listener) string {
	if len(listeners) == 0 {
		return ""
	}
	addr, ok := listeners[0].Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return w.scheme() + "://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// serve returns the web server as an actor of a run group.
func (s *Sidecar) serve(listeners []net.Listener, w WebOptions) (serve func() error, shutdown func()) {
	ctx, cancel := context.WithCancel(context.Background())
	if len(listeners) == 0 {
		return func() error { <-ctx.Done(); return nil }, cancel
	}
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	serve, stop := s.listening(server, w.ConfigFile, listeners...)
	return serve, func() { cancel(); stop() }
}

// stopPause is how long a stop waits for requests that are under way. Whoever asked for a message to a phone that is cut off
// asks the next process again.
const stopPause = 3 * time.Second

// listening returns a server as an actor of a run group. configFile is an exporter-toolkit web configuration, "" for none.
func (s *Sidecar) listening(server *http.Server, configFile string, listeners ...net.Listener) (serve func() error, shutdown func()) {
	serve = func() error {
		err := web.ServeMultiple(listeners, server, &web.FlagConfig{WebConfigFile: &configFile}, s.logger)
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
	shutdown = func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopPause)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
	}
	return serve, shutdown
}

// Handler returns what the web listener serves.
func (s *Sidecar) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
	mux.HandleFunc("GET /-/healthy", s.healthy)
	mux.HandleFunc("GET /-/ready", s.ready)
	mux.HandleFunc("POST /-/sync", s.syncNow)
	mux.HandleFunc("GET /api/v1/status", s.statusJSON)
	mux.HandleFunc("GET /{$}", s.statusPage)
	mux.HandleFunc("GET /releases", s.releasesPage)
	mux.HandleFunc("GET /network", s.networkPage)
	mux.HandleFunc("GET /silences", s.silencesPage)
	mux.HandleFunc("GET /contacts", s.contactsPage)
	mux.HandleFunc("GET /who", s.whoPage)
	mux.Handle("GET /network/metrics", s.networkMetrics())
	mux.HandleFunc("GET /sd/{network}", s.serviceDiscovery)
	// No page of another site may start a pass in a visitor's name.
	return http.NewCrossOriginProtection().Handler(mux)
}

// healthy answers 200 while no loop hangs.
func (s *Sidecar) healthy(w http.ResponseWriter, _ *http.Request) {
	for _, l := range s.loops {
		if hung := l.stuck(time.Now()); hung != "" {
			http.Error(w, hung, http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "stoker is healthy.")
}

// ready answers 200 if and only if every selected server has a checked live release: a network that can't be
// reached never takes a pod out of service. The body names each agent with its last result.
func (s *Sidecar) ready(w http.ResponseWriter, _ *http.Request) {
	status := s.Status()
	if !status.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "stoker is not ready.")
	} else {
		fmt.Fprintln(w, "stoker is ready.")
	}
	for _, r := range status.Releases {
		live := r.Live
		if live == "" {
			live = "none"
		}
		fmt.Fprintf(w, "%s: live release %s\n", r.Server, live)
	}
	for _, r := range status.Agents {
		fmt.Fprintf(w, "%s: %s", r.Agent, r.Outcome)
		if r.Error != "" {
			fmt.Fprintf(w, ": %s", r.Error)
		}
		fmt.Fprintln(w)
	}
}

// syncNow runs a pass of every agent and answers with the results: 200 if all succeeded, else 500. With
// accept_drop=NETWORK, repeatable, the next answer of that network counts even if many of its nodes are gone.
func (s *Sidecar) syncNow(w http.ResponseWriter, r *http.Request) {
	if err := s.AcceptDrop(r.URL.Query()["accept_drop"]); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	results, err := s.SyncAll(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	status := http.StatusOK
	for _, r := range results {
		if r.Outcome == "error" {
			status = http.StatusInternalServerError
		}
	}
	writeJSON(w, status, results)
}

func (s *Sidecar) statusJSON(w http.ResponseWriter, _ *http.Request) {
	status := s.Status()
	s.readReleases(&status)
	s.readChains(&status)
	s.readSilences(&status)
	writeJSON(w, http.StatusOK, status)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(v) // the client is gone
}
