package silencing

import (
	"context"
	"errors"
	"time"
)

// HushConfig is what a site decides about hushes.
type HushConfig struct {
	// Labels are those that make a hush's matchers, as far as an alert has them. They must name severity, so that a
	// critical sibling still sounds.
	Labels []string
	// MaxDuration bounds a hush, also one until resolved, counted from its start.
	MaxDuration time.Duration
}

// A HushRequest says what to hush: the alerts that fire now, have the labels, and were routed to one of the receivers.
type HushRequest struct {
	// Labels are exact. At least one is needed.
	Labels map[string]string
	// Receiver says whether an alert that was routed to a receiver of this name counts. Nil: every alert does.
	Receiver func(name string) bool
	// For is how long, from now. Zero with UntilResolved.
	For           time.Duration
	UntilResolved bool
	// Scope is the contact in whose name it is done, "cli" for the command line; By who does it, Comment why.
	Scope, By, Comment string
}

// A FiringAlert is an alert that fires now.
type FiringAlert struct {
	Fingerprint string
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	Receivers   []string
	// SilencedBy are the IDs of the silences that silence it.
	SilencedBy []string
}

// A Hush is a silence that hushes, made by a [Desk].
type Hush struct {
	ID                 string
	Scope, By, Comment string
	Matchers           []Matcher
	StartsAt, EndsAt   time.Time
	UntilResolved      bool
	// Alerts are how many firing alerts it silences now.
	Alerts int
}

// A Proposal is what a request would do.
type Proposal struct {
	// Alerts would be hushed.
	Alerts []FiringAlert
	// Hushes are the silences that it takes, one for each set of matchers; those with an ID are there and are extended.
	Hushes []Hush
	// Sounding are alerts of the same name and identity that would still sound, such as the critical sibling.
	Sounding []FiringAlert
}

// Why a request is refused, apart from what Alertmanager says.
var (
	// ErrNothingFires: no alert that fires now has the labels and was routed to the receivers.
	ErrNothingFires = errors.New("no alert like that fires now")
	// ErrTooLong: longer than MaxDuration.
	ErrTooLong = errors.New("longer than allowed")
)

// A Desk hushes firing alerts at one Alertmanager. It keeps nothing: what is hushed is Alertmanager's to say.
type Desk struct{}

// NewDesk returns a desk.
func NewDesk(o Options, c HushConfig) (*Desk, error) { return nil, errors.New("not there yet") }

// Propose says what a request would do; it changes nothing.
func (d *Desk) Propose(ctx context.Context, r HushRequest) (Proposal, error) {
	return Proposal{}, errors.New("not there yet")
}

// Hush does it: it makes silences, or extends in place those of the same scope and matchers.
func (d *Desk) Hush(ctx context.Context, r HushRequest) ([]Hush, error) {
	return nil, errors.New("not there yet")
}

// End ends a hush that is allowed to be ended, and returns it.
func (d *Desk) End(ctx context.Context, id, by string, allowed func(Hush) bool) (Hush, error) {
	return Hush{}, errors.New("not there yet")
}

// Hushes returns what is hushed now.
func (d *Desk) Hushes(ctx context.Context) ([]Hush, error) { return nil, errors.New("not there yet") }
