package sidecar

import (
	"net/http"
	"time"

	"github.com/prometheus/common/version"

	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/silencing"
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
	// Networks and Contacts are what the agents of these names know; empty where one isn't selected.
	Networks []NetworkStatus `json:"networks,omitempty"`
	Contacts []ContactStatus `json:"contacts,omitempty"`
	// ContactsUnavailable is why the contacts folder can't be used, so that those of the live release stay.
	ContactsUnavailable string `json:"contacts_unavailable,omitempty"`
	// Silences are all of Alertmanager that aren't over, and all rules of the file. Only the pages and /api/v1/status have
	// them. SilencesListed is when Alertmanager was asked for them, AlertsCounted when for the alerts that they silence;
	// zero: it hasn't answered. SilencesProblems keep the file's present version from being used.
	Silences         []silencing.Entry `json:"silences,omitempty"`
	SilencesListed   time.Time         `json:"silences_listed,omitzero"`
	AlertsCounted    time.Time         `json:"alerts_counted,omitzero"`
	SilencesProblems []string          `json:"silences_problems,omitempty"`
}

// ContactStatus is what became of one contact file.
type ContactStatus struct {
	File string `json:"file"`
	// Contact is the file's name without .yml, by which stoker test and who call it.
	Contact string `json:"contact"`
	// Kind, Name, Owners, Networks and Methods are those of the version that is routed, as far as it is known.
	Kind     string                 `json:"kind,omitempty"`
	Name     string                 `json:"name,omitempty"`
	Owners   []string               `json:"owners,omitempty"`
	Networks []string               `json:"networks,omitempty"`
	Methods  []routing.MethodStatus `json:"methods,omitempty"`
	// Routed is whether some version of it is in Alertmanager's configuration.
	Routed bool `json:"routed"`
	// Problems keep the file's present version out of it.
	Problems []string `json:"problems,omitempty"`
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
		contacts := s.routing.Status()
		status.ContactsUnavailable = contacts.Unavailable
		for _, c := range contacts.Contacts {
			cs := ContactStatus{
				File: c.File, Contact: c.Stem, Kind: c.Kind, Name: c.Name, Owners: c.Owners, Networks: c.Networks, Methods: c.Methods,
				Routed: c.Routed,
			}
			for _, p := range c.Problems {
				cs.Problems = append(cs.Problems, p.Error())
			}
			status.Contacts = append(status.Contacts, cs)
		}
	}
	return status
}

// statusPage shows the status to people. It needs no JavaScript.
func (s *Sidecar) statusPage(w http.ResponseWriter, _ *http.Request) {
	status := s.Status()
	s.readSilences(&status)
	showPage(w, "status.html", status)
}
