package sidecar

import (
	"net/http"
	"time"

	"github.com/prometheus/common/version"
)

// Status is what the status page shows and /api/v1/status returns. It holds no address, number or secret of a
// contact.
type Status struct {
	// Version is the program's.
	Version string `json:"version"`
	// Ready is whether every selected server has a checked live release.
	Ready bool `json:"ready"`
	// Agents are the last results, in the order of a single pass.
	Agents []Result `json:"agents"`
	// Releases say what each server should run and runs.
	Releases []ReleaseStatus `json:"releases"`
	// Networks, Contacts and Silences are what the agents of these names know; empty where one isn't selected.
	Networks []NetworkStatus `json:"networks,omitempty"`
	Contacts []ContactStatus `json:"contacts,omitempty"`
	Silences []SilenceStatus `json:"silences,omitempty"`
}

// ContactStatus is what became of one contact file.
type ContactStatus struct {
	File   string   `json:"file"`
	Name   string   `json:"name,omitempty"`
	Owners []string `json:"owners,omitempty"`
	// Routed is whether some version of it is in Alertmanager's configuration.
	Routed bool `json:"routed"`
	// Problems keep the file's present version out of it.
	Problems []string `json:"problems,omitempty"`
}

// SilenceStatus is one silence that the file asks for.
type SilenceStatus struct {
	Rule     string    `json:"rule"`
	State    string    `json:"state"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
	ID       string    `json:"id,omitempty"`
}

// Status returns what is known now.
func (s *Sidecar) Status() Status {
	status := Status{Version: version.Version, Ready: true, Agents: []Result{}, Releases: []ReleaseStatus{}}
	for _, l := range s.loops {
		status.Agents = append(status.Agents, l.result())
	}
	for _, r := range s.releases {
		rs := r.Status()
		status.Ready = status.Ready && rs.Live != ""
		status.Releases = append(status.Releases, ReleaseStatus{Status: rs, State: stateOf(rs, time.Now())})
	}
	status.Networks = s.networks(time.Now())
	if s.routing != nil {
		for _, c := range s.routing.Status().Contacts {
			cs := ContactStatus{File: c.File, Name: c.Name, Owners: c.Owners, Routed: c.Routed}
			for _, p := range c.Problems {
				cs.Problems = append(cs.Problems, p.Error())
			}
			status.Contacts = append(status.Contacts, cs)
		}
	}
	if s.silencing != nil {
		for _, r := range s.silencing.Status().Silences {
			status.Silences = append(status.Silences, SilenceStatus{r.Rule, r.State, r.StartsAt, r.EndsAt, r.ID})
		}
	}
	return status
}

// statusPage shows the status to people. It needs no JavaScript.
func (s *Sidecar) statusPage(w http.ResponseWriter, _ *http.Request) {
	showPage(w, "status.html", s.Status())
}
