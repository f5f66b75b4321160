package reload

import (
	"errors"
	"time"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// Trouble is what is wrong, and since when this process has known.
type Trouble struct {
	// Problems are in words, with file, line and column where there is one.
	Problems []string `json:"problems"`
	// ByServer is whether the server said so, and not stoker's own check.
	ByServer bool      `json:"by_server,omitempty"`
	Since    time.Time `json:"since"`
}

// newTrouble describes an error. It lasts since the trouble of before, if there was one.
func newTrouble(err error, before *Trouble) *Trouble {
	t := &Trouble{Since: time.Now()}
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
	t.ByServer = errors.As(err, &refused)
	return t
}

// note records what a pass found, for status and metrics. wanted is the release that the sources ask for, "" if
// none could be made of them or if nobody looked.
func (a *Agent) note(wanted, live string, publishErr, serveErr error) {
	a.statusMu.Lock()
	defer a.statusMu.Unlock()
	before := a.status
	s := Status{Server: before.Server, Live: live, Unproved: before.Unproved, Confirmed: before.Confirmed}

	withheld := publishErr
	if withheld == nil && wanted != live {
		withheld = serveErr
	}
	switch v, known := a.refused[wanted]; {
	case wanted == "" && publishErr == nil:
		s.Withheld = before.Withheld // nobody looked
	case withheld == nil:
	case known && wanted != live:
		s.Refused = wanted
		s.Withheld = newTrouble(v.err, before.Withheld) // and not the news that it is so still
	default:
		if wanted != live {
			s.Refused = wanted
		}
		s.Withheld = newTrouble(withheld, before.Withheld)
	}
	switch {
	case a.confirmed:
		s.Unproved, s.Confirmed = nil, time.Now()
	case serveErr != nil:
		s.Unproved = newTrouble(serveErr, before.Unproved)
	}
	a.status = s
	a.metrics.release(s)
}
