package sidecar

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/version"

	"github.com/stoker-project/stoker/discovery"
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

// NetworkStatus is what is known of a network.
type NetworkStatus struct {
	Name string `json:"name"`
	// Source is the endpoint of the last accepted answer, Height the block it was made at.
	Source   string    `json:"source,omitempty"`
	Height   int64     `json:"height,omitempty"`
	LastGood time.Time `json:"last_good,omitzero"`
	// Preps is how many P-Reps have targets, Targets how many targets each exporter has.
	Preps   int            `json:"preps"`
	Targets map[string]int `json:"targets,omitempty"`
	// Held are P-Reps whose targets are kept although the last answer lacks them, Refused those whose
	// endpoint is no target; by name, with the reason.
	Held    []NodeStatus `json:"held,omitempty"`
	Refused []NodeStatus `json:"refused,omitempty"`
	// Exporters are those that contacts say how to reach.
	Exporters []ExporterStatus `json:"exporters,omitempty"`
}

// ExporterStatus is one exporter of a P-Rep that a contact says how to reach.
type ExporterStatus struct {
	Prep     string `json:"prep"`
	Exporter string `json:"exporter"`
	// Contact is the contact's file, State "used" or why the target is what it would be without it.
	Contact string `json:"contact"`
	State   string `json:"state"`
}

// Unheard are the exporters for which a contact speaks in vain.
func (n NetworkStatus) Unheard() []ExporterStatus {
	return slices.DeleteFunc(slices.Clone(n.Exporters), func(e ExporterStatus) bool { return e.State == discovery.ClaimUsed })
}

// NodeStatus is one P-Rep and why it is listed.
type NodeStatus struct {
	Prep   string `json:"prep"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
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
	if s.discovery != nil {
		for _, n := range s.discovery.Status() {
			ns := NetworkStatus{
				Name: n.Name, Source: n.Source, Height: n.Height, LastGood: n.LastGood,
				Preps: n.Preps, Targets: n.Targets,
			}
			for _, h := range n.Held {
				ns.Held = append(ns.Held, NodeStatus{h.Owner, h.Name, h.Reason})
			}
			for _, r := range n.Refused {
				ns.Refused = append(ns.Refused, NodeStatus{r.Owner, r.Name, r.Reason})
			}
			for _, c := range n.Claims {
				ns.Exporters = append(ns.Exporters, ExporterStatus{c.Owner, c.Exporter, c.File, c.State})
			}
			status.Networks = append(status.Networks, ns)
		}
	}
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
