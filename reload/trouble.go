package reload

import (
	"errors"
	"time"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// Trouble is what is wrong, and since when this process has known.
type Trouble struct {
	// Kind is one of the constants below, "" for any other trouble.
	Kind string `json:"kind,omitempty"`
	// Problems are in words, with file, line and column where there is one.
	Problems []string  `json:"problems"`
	Since    time.Time `json:"since"`
}

// Kinds of [Trouble] with a server.
const (
	Waiting  = "waiting"  // it can't be reached, or isn't ready
	Refused  = "refused"  // it won't have the release
	Mismatch = "mismatch" // it accepts the release and runs something else
)

// newTrouble describes an error. It lasts since the trouble of before, if there was one.
func newTrouble(now time.Time, err error, before *Trouble) *Trouble {
	t := &Trouble{Since: now}
	if before != nil {
		t.Since = before.Since
	}
	for _, p := range strictyaml.Problems(err) {
		t.Problems = append(t.Problems, p.Error())
	}
	if t.Problems == nil {
		t.Problems = []string{err.Error()}
	}
	var refused *refusedError
	var mismatch *mismatchError
	switch {
	case errors.As(err, &refused):
		t.Kind = Refused
	case errors.As(err, &mismatch):
		t.Kind = Mismatch
	case errors.Is(err, errNotReady):
		t.Kind = Waiting
	}
	return t
}

// note records what a pass found, for status and metrics. wanted is the release that the sources ask for, "" if
// none could be made of them or if nobody looked.
func (a *Agent) note(wanted, live string, publishErr, serveErr error) {
	a.statusMu.Lock()
	defer a.statusMu.Unlock()
	before, now := a.status, a.now()
	s := Status{Server: before.Server, Live: live, Checked: now, Unproved: before.Unproved, Confirmed: before.Confirmed}

	withheld := publishErr
	if withheld == nil && wanted != live {
		withheld = serveErr
	}
	switch v, known := a.refused[wanted]; {
	case wanted == "" && publishErr == nil: // nobody looked
		s.Checked, s.Refused, s.Withheld = before.Checked, before.Refused, before.Withheld
	case withheld == nil:
	case known && wanted != live:
		s.Refused = wanted
		s.Withheld = newTrouble(now, v.err, before.Withheld) // and not the news that it is so still
	default:
		if wanted != live {
			s.Refused = wanted
		}
		s.Withheld = newTrouble(now, withheld, before.Withheld)
	}
	switch {
	case a.confirmed:
		s.Unproved, s.Confirmed = nil, now
	case serveErr != nil:
		s.Unproved = newTrouble(now, serveErr, before.Unproved)
	}
	switch {
	case a.serving != nil:
		s.Serving = a.serving
	case live == before.Live && s.Unproved == nil:
		s.Serving = before.Serving
	}
	a.status = s
	a.metrics.release(s)
}
