package sidecar

import (
	"net/http"
	"time"

	"github.com/stoker-project/stoker/reload"
)

// ReleaseStatus is what is known of one server's releases.
type ReleaseStatus struct {
	reload.Status
	// State is one of the constants below.
	State State `json:"state"`
	// OnDisk are the releases that are there, the newest first. Only /api/v1/status and the page of releases
	// have them; DiskError says why they have none where there should be some.
	OnDisk    []reload.Release `json:"on_disk,omitempty"`
	DiskError string           `json:"disk_error,omitempty"`
}

// Partial reports whether the server said that it hasn't all of its release at work yet.
func (r ReleaseStatus) Partial() bool { return r.Serving != nil && !*r.Serving }

// State is what is known of a server and its live release, in a word.
type State string

const (
	// StateUnknown: nobody has asked the server since this process started, or for long.
	StateUnknown State = "unknown"
	// StateNone: no release is live, and the server has nothing to start from.
	StateNone State = "none"
	// StateProved: the server said in the last pass that it runs the live release.
	StateProved State = "proved"
	// StateWaiting: the server can't be reached, or isn't ready.
	StateWaiting State = "waiting"
	// StateMismatch: the server accepts reloads and runs something else.
	StateMismatch State = "mismatch"
	// StateRefused: the server refuses the live release, and there is none to go back to.
	StateRefused State = "refused"
	// StateUnproved: whether the server runs it couldn't be found out.
	StateUnproved State = "unproved"
)

// proofLasts is how long the word of a server counts. It is asked every five minutes; a pass that hangs must not
// leave it standing for ever.
const proofLasts = 3 * confirmEvery

// stateOf never takes for good what isn't known.
func stateOf(s reload.Status, now time.Time) State {
	switch {
	case s.Live == "" && s.Withheld == nil:
		return StateUnknown
	case s.Live == "":
		return StateNone
	case s.Unproved == nil && now.Sub(s.Confirmed) > proofLasts:
		return StateUnknown
	case s.Unproved == nil && s.Live == s.Proved:
		return StateProved
	case s.Unproved == nil:
		return StateUnproved
	}
	switch s.Unproved.Kind {
	case reload.Waiting:
		return StateWaiting
	case reload.Mismatch:
		return StateMismatch
	case reload.Refused:
		return StateRefused
	default:
		return StateUnproved
	}
}

// readReleases adds what is on disk to a status. It is apart from Status because probes ask for that all the time.
func (s *Sidecar) readReleases(status *Status) {
	for i, agent := range s.releases {
		r := &status.Releases[i]
		var err error
		if r.OnDisk, err = agent.Releases(); err != nil {
			r.DiskError = err.Error()
		}
	}
}

// releasesPage shows the releases to people. It needs no JavaScript, and doesn't reload itself: that would close
// what somebody has opened.
func (s *Sidecar) releasesPage(w http.ResponseWriter, _ *http.Request) {
	status := s.Status()
	s.readReleases(&status)
	showPage(w, "releases.html", struct {
		Status
		Now time.Time
	}{status, time.Now()})
}
