package sidecar

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"github.com/stoker-project/stoker/reload"
)

// Status is what the status page shows and /api/v1/status returns.
type Status struct {
	// Version is the program's.
	Version string `json:"version"`
	// Ready is whether every selected server has a checked live release.
	Ready bool `json:"ready"`
	// Agents are the last results, in the order of a single pass.
	Agents []Result `json:"agents"`
	// Releases say what each server should run and runs.
	Releases []reload.Status `json:"releases"`
}

// Status returns what is known now.
func (s *Sidecar) Status() Status {
	status := Status{Version: version.Version, Ready: true, Agents: []Result{}, Releases: []reload.Status{}}
	for _, l := range s.loops {
		status.Agents = append(status.Agents, l.result())
	}
	for _, r := range s.releases {
		rs := r.Status()
		status.Ready = status.Ready && rs.Live != ""
		status.Releases = append(status.Releases, rs)
	}
	return status
}

//go:embed status.html
var statusHTML string

// statusTemplate is parsed once; a fault in it is a fault of the build, which a test finds.
var statusTemplate = template.Must(template.New("status").Funcs(template.FuncMap{
	"ago": func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return time.Since(t).Round(time.Second).String() + " ago"
	},
}).Parse(statusHTML))

// statusPage shows the status to people. It needs no JavaScript.
func (s *Sidecar) statusPage(w http.ResponseWriter, _ *http.Request) {
	var page strings.Builder
	if err := statusTemplate.Execute(&page, s.Status()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.Write([]byte(page.String())) //nolint:errcheck // the client is gone
}
