package reload

import (
	"context"
	"errors"
	"slices"
	"time"
)

// retryRefused is how long a refused release is left alone: what it was refused for may have passed, as
// when a secret is mounted late.
const retryRefused = 10 * time.Minute

// refuser is who won't have a release.
type refuser int

const (
	theCheck   refuser = iota // before it was live
	theServer                 // by its answer to a reload
	itsDeath                  // of the server, while it loaded the release
	itsAbsence                // of a server that didn't come up with the release
)

// verdict is a release's refusal.
type verdict struct {
	by  refuser
	err error
	at  time.Time
	// facts are what was known of the server when the check refused.
	facts string
	// process is the start of the one that refused.
	process float64
}

// stands reports whether a release is still left alone.
//
//	by          tried again at once when               and otherwise after ten minutes
//	theCheck    other facts of the server are known    always
//	theServer   another process is ready               if it is ready
//	itsDeath                                           if it is ready
//	itsAbsence  the server is ready                    always
//
// What a server itself refused is only tried where that can do no harm: in one that runs, with a way back. On
// disk alone it could keep the server from starting.
func (v verdict) stands(now time.Time, facts string, said loaded, ready bool) bool {
	recent := now.Sub(v.at) < retryRefused
	switch v.by {
	case theCheck:
		return recent && v.facts == facts
	case theServer:
		return !ready || recent && sameProcess(said.started, v.process)
	case itsDeath:
		return !ready || recent
	default:
		return !ready && recent
	}
}

// forgive forgets the refusals that don't stand any more.
func (a *Agent) forgive(said loaded, ready bool) {
	facts := a.factsOf(said).String()
	for release, v := range a.refused {
		if !v.stands(a.now(), facts, said, ready) {
			delete(a.refused, release)
		}
	}
}

// refusals returns the server's words for the releases that are left alone.
func (a *Agent) refusals() []string {
	var words []string
	for _, v := range a.refused {
		if v.by == theServer {
			words = append(words, v.err.Error())
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// refusedNow reports whether a pass ends with the server's refusal of a release, and may go on with another one.
func (a *Agent) refusedNow(ctx context.Context, err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) && a.inFlight == nil && ctx.Err() == nil
}

// retreat remembers that a release is refused, and makes the one that the server ran before live again on disk. It
// returns that one, or "" if there is none.
func (a *Agent) retreat(bad string, v verdict) (good string, err error) {
	good = a.shelf.current(provedLink)
	if good == "" || good == bad {
		good = a.previous
	}
	v.at = a.now()
	if good == "" || good == bad {
		if v.by == theServer {
			a.refused[bad] = v
		}
		return "", nil
	}
	a.refused[bad] = v
	if err := a.shelf.point(liveLink, good); err != nil {
		return good, err
	}
	a.metrics.rollbacks.Inc()
	a.logger.Warn("going back to the release before", "server", a.server.name, "release", good, "refused", bad)
	return good, nil
}

// startLimit is how long a server may take to come up with a release that it hasn't run yet. It is longer than the
// longest pause between two attempts of a container's restart, which are five minutes apart.
const startLimit = 6 * time.Minute

// absence is how long a server hasn't been ready.
type absence struct {
	since time.Time // zero if it is ready
	// process is the start of the one that answered last, and again whether there was another one before it.
	process float64
	again   bool
}

// missed notes whether the server is ready.
func (a *Agent) missed(said loaded, err error) {
	if err == nil {
		a.away = absence{}
		return
	}
	if a.away.since.IsZero() {
		a.away.since = a.now()
	}
	if said.started != 0 {
		a.away.again = a.away.again || a.away.process != 0 && !sameProcess(said.started, a.away.process)
		a.away.process = said.started
	}
}

// neverCameUp reports whether a server is most likely kept from starting by the live release: it hasn't proved it,
// and for long it wasn't there, or came and went. One that replays its log for an hour is one process that answers.
func (a *Agent) neverCameUp(err error) bool {
	since := a.away.since
	if moved := a.shelf.moved(); moved.After(since) {
		since = moved
	}
	return !a.shelf.stands() && a.now().Sub(since) >= startLimit && (gone(err) || a.away.again)
}

// gone reports whether nobody listens at a server's address.
func gone(err error) bool { return errors.Is(err, errNobody) }
