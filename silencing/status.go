package silencing

import (
	"go/token"
	"time"
)

// Status is what an agent knows, for status pages.
type Status struct {
	// FileError is why the file isn't used as it is; the last good one is.
	FileError error

	// Position is the Alertmanager's place among its peers, -1 while unknown.
	Position int

	// Silences are those that the file asks for, as the last pass left them.
	Silences []SilenceStatus
}

// SilenceStatus is one silence of the file.
type SilenceStatus struct {
	Rule, Occurrence string

	// State is active or pending; missing, while it isn't written yet; held, if
	// a person ended it early; or expired.
	State string

	ID               string // empty if there is none
	StartsAt, EndsAt time.Time
	Position         token.Position // of the rule in the file
}

// Status returns what the last pass found.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// publish replaces parts of the status; a list in it is never changed in place.
func (a *Agent) publish(set func(*Status)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set(&a.status)
}

func silenceStatus(desired []Occurrence, plan Changes) []SilenceStatus {
	states := make(map[string]string)
	for _, c := range plan.Writes {
		if c.Kind == Missing {
			states[c.Key] = string(Missing)
		}
	}
	for _, o := range plan.Held {
		states[o.key()] = string(Held)
	}
	list := make([]SilenceStatus, len(desired))
	for i, o := range desired {
		s := SilenceStatus{
			Rule:       o.Rule.Name,
			Occurrence: o.ID,
			State:      stateExpired,
			StartsAt:   o.StartsAt,
			EndsAt:     o.EndsAt,
			Position:   o.Rule.Position,
		}
		if state, ok := states[o.key()]; ok {
			s.State = state
		}
		if serving, ok := plan.Serving[o.key()]; ok {
			s.State, s.ID = serving.Status.State, serving.ID
		}
		list[i] = s
	}
	return list
}
