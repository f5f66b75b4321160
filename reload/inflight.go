package reload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"time"
)

// longestReload is how long a server's answer to a reload is waited for beside the passes, which end earlier.
const longestReload = 10 * time.Minute

// posted is a reload that was sent.
type posted struct {
	// release was live then.
	release string
	sent    time.Time
	// before is what the server said of itself right before.
	before loaded
	// answer yields the server's answer, once. Nil if it won't come any more: the connection broke, or another
	// process sent the reload.
	answer <-chan error
	// broke is whether it was this process that lost the connection.
	broke bool
	// counted is what it was counted as last: a reload is counted as late, and again as what came of it.
	counted string
}

// post sends a reload. Its connection is kept when the pass ends: what the server answers in the end is better
// than any guess, and a server may drop a reload whose client has gone.
func (a *Agent) post() <-chan error {
	answer := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), max(longestReload, time.Duration(a.cfg.ReloadTimeout)))
		defer cancel()
		answer <- a.server.reload(ctx)
	}()
	return answer
}

// reload makes the server load the live release, and proves that it did. It returns a *refusedError if the
// server won't have it. Unless the outcome is known, a.inFlight is set afterwards.
func (a *Agent) reload(ctx context.Context, release string) error {
	before, err := a.ask(ctx) // The last answer may be a minute old: gathering waits for whoever edits the files.
	if err != nil {
		return err
	}
	p := &posted{release: release, sent: a.now(), before: before}
	if err := a.shelf.remember(p); err != nil {
		a.logger.Warn("if stoker restarts now, it won't know of this reload", "server", a.server.name, "err", err)
	}
	p.answer = a.post()
	a.inFlight = p
	answer, none := a.await(ctx, p)
	if none == nil {
		return a.conclude(ctx, p, answer)
	}
	if ctx.Err() == nil {
		a.count(p, "timeout")
	}
	return a.unknown(p, none)
}

// await waits for the answer to a reload, or says why there is none yet.
func (a *Agent) await(ctx context.Context, p *posted) (answer, none error) {
	late := time.NewTimer(time.Duration(a.cfg.ReloadTimeout))
	defer late.Stop()
	select {
	case answer := <-p.answer:
		return answer, nil
	case <-late.C:
		return nil, errors.New("no answer within reload_timeout")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// unknown says that nothing can be done before a reload's outcome is known.
func (a *Agent) unknown(p *posted, err error) error {
	return &unknownError{a.server.name, a.now().Sub(p.sent).Round(time.Second), err}
}

// unknownError says that a reload was sent and that nobody knows what came of it.
type unknownError struct {
	server string
	since  time.Duration
	err    error
}

func (e *unknownError) Error() string {
	return fmt.Sprintf("nobody knows yet whether %s did the reload that was sent %s ago, and nothing moves until it is known: %v", e.server, e.since, e.err)
}

func (e *unknownError) Unwrap() error { return e.err }

// conclude draws from an answer what came of a reload, and proves it if it was carried out.
func (a *Agent) conclude(ctx context.Context, p *posted, answer error) error {
	var refused *refusedError
	var status *statusError
	var dial *net.OpError
	switch {
	case answer == nil:
		a.settled()
		a.answered = p
		return a.prove(ctx, p)
	case errors.As(answer, &refused):
		a.settled()
		refused.words = a.redact(p.release, refused.words)
		refused.process = p.before.started
		a.count(p, "refused")
	case errors.As(answer, &status) && status.status < 500: // beyond, a gateway speaks that may have passed it on
		a.settled()
		a.count(p, "error")
	case errors.As(answer, &dial) && dial.Op == "dial":
		a.settled() // Nothing was sent.
	default:
		p.answer, p.broke = nil, true
		a.count(p, "timeout")
		return a.unknown(p, answer)
	}
	return answer
}

// count counts what came of a reload, once.
func (a *Agent) count(p *posted, result string) {
	if p.counted != result {
		a.metrics.reloaded(result, a.now().Sub(p.sent))
	}
	p.counted = result
}

// settled notes that no reload's outcome is unknown any more.
func (a *Agent) settled() {
	a.inFlight = nil
	if err := a.shelf.remember(nil); err != nil {
		// The next process that reads it asks the server, and finds it done.
		a.logger.Debug("the note of a reload wasn't removed", "server", a.server.name, "err", err)
	}
}

// settle finds out what came of a reload whose pass ended without an answer. While it returns an error, nothing may
// move: the server may be reading the live release, or be about to.
//
//	the answer has come            that is it
//	the answer may still come      wait, however long it takes
//	another process answers        it started from the live release; the reload went with the old process
//	the time of its last load      done
//	its success flag fell          refused
//	nobody listens any more        the server died of it, or was stopped meanwhile
//	nothing of that                once reload_timeout has passed, send it again: when that one has been answered, the
//	                               first one is over too, because both servers run reloads one after another
//
// A load that somebody else asked for in the same moments can be taken for ours. Ours is done after it then, and any
// reload that we send later after ours, so the server still ends with the newest release.
func (a *Agent) settle(ctx context.Context) error {
	if !a.recalled {
		a.inFlight, a.recalled = a.shelf.recall(), true
	}
	p := a.inFlight
	if p == nil {
		return nil
	}
	if p.answer != nil {
		// Waiting here is waiting well: nothing else can be done, and the newest files follow at once.
		answer, none := a.await(ctx, p)
		if none != nil {
			return a.unknown(p, fmt.Errorf("the connection stands: %w", none))
		}
		err := a.conclude(ctx, p, answer)
		if a.inFlight == nil {
			return a.follow(ctx, p.release, err)
		}
	}
	said, err := a.ask(ctx)
	switch {
	case said.started != 0 && !sameProcess(said.started, p.before.started):
		a.settled()
		return nil
	case err == nil && said.successful && said.at != p.before.at:
		return a.follow(ctx, p.release, a.conclude(ctx, p, nil))
	case err == nil && !said.successful && p.before.successful:
		return a.follow(ctx, p.release, a.conclude(ctx, p, &refusedError{words: "it didn't load it, and its answer was lost: its log says why"}))
	case gone(err) && p.broke:
		a.settled()
		if _, err := a.retreat(p.release, verdict{by: itsDeath, err: &refusedError{words: "it went away while it loaded it"}}); err != nil {
			a.logger.Warn("the server went away while it loaded a release, and there is no going back", "server", a.server.name, "release", p.release, "err", err)
		}
		return nil
	case gone(err):
		a.settled()
		return nil
	case err == nil && a.now().Sub(p.sent) > time.Duration(a.cfg.ReloadTimeout):
		live := a.shelf.current(liveLink)
		if live == "" || a.cfg.ConfigFile != "" {
			a.settled() // What is sent for a file in place loads what is there now: that is checked first.
			return nil
		}
		a.logger.Info("sending the reload again that left no trace", "server", a.server.name, "release", live, "sent", p.sent)
		return a.follow(ctx, live, a.reload(ctx, live))
	case err == nil:
		err = errors.New("the server shows no sign of it")
	}
	return a.unknown(p, err)
}

// follow does what the late outcome of a reload asks for, and returns an error if another one is under way now.
func (a *Agent) follow(ctx context.Context, release string, err error) error {
	var refused *refusedError
	if errors.As(err, &refused) && a.shelf.current(liveLink) == release {
		err = a.rollBack(ctx, release, refused)
	}
	if err != nil {
		a.logger.Warn("late answer to a reload", "server", a.server.name, "release", release, "err", err)
	}
	if a.inFlight != nil {
		return err
	}
	return nil // What is still wrong is found again by the rest of the pass.
}

// sameProcess compares two values of process_start_time_seconds. They are reckoned from the kernel's boot time in
// whole seconds, which may move by one while the clock is being corrected.
func sameProcess(a, b float64) bool {
	d := math.Abs(a - b)
	return d < .005 || math.Abs(d-1) < .005
}

// note is what is on disk of a reload under way, for the next process.
type postedNote struct {
	Release    string    `json:"release"`
	Sent       time.Time `json:"sent"`
	LastLoad   float64   `json:"last_load"`
	Started    float64   `json:"started"`
	Successful bool      `json:"successful"`
}

func (p *posted) MarshalJSON() ([]byte, error) {
	return json.Marshal(postedNote{p.release, p.sent, p.before.at, p.before.started, p.before.successful})
}

func (p *posted) UnmarshalJSON(data []byte) error {
	var n postedNote
	err := json.Unmarshal(data, &n)
	*p = posted{release: n.Release, sent: n.Sent, before: loaded{at: n.LastLoad, started: n.Started, successful: n.Successful}}
	return err
}
