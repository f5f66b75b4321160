package sidecar

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Agent is one of the parts that the sidecar runs. Sync does one whole pass: it compares what should be with
// what is, changes what differs and reports whether anything did. It can be called at any time; on an error
// it has kept the last good state.
type Agent interface {
	Sync(ctx context.Context) (changed bool, err error)
}

// syncFunc is an agent that is one part of another's work.
type syncFunc func(ctx context.Context) (changed bool, err error)

func (f syncFunc) Sync(ctx context.Context) (changed bool, err error) { return f(ctx) }

// Result is what came of an agent's last pass.
type Result struct {
	// Agent is its name.
	Agent string `json:"agent"`
	// Outcome is success (something changed), noop, error, or unknown before the first pass has ended.
	Outcome string `json:"result"`
	// Error is why, in words; "" without an error.
	Error string `json:"error,omitempty"`
	// Ended is when the pass ended, Succeeded when the last one without an error did. Zero: never.
	Ended     time.Time `json:"ended,omitzero"`
	Succeeded time.Time `json:"succeeded,omitzero"`
}

// Pauses after a failed pass: doubled from the first to the last.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// passLimit is how long one pass may take. It bounds what a server that accepts connections and never answers
// can hold up; an agent's own time limits are far shorter.
const passLimit = 15 * time.Minute

// loop schedules one agent: at once, then whenever it is asked to, and at the latest when next says so.
type loop struct {
	name   string
	agent  Agent
	next   func(now time.Time) time.Time
	logger *slog.Logger
	// passed is called after every pass, and changed after one that changed something. Optional.
	passed, changed func()
	// patient says that next knows when to try again after an error too, as with a network that said
	// Retry-After; else the pauses are those of the loop.
	patient bool
	metrics *metrics

	// trigger is a level: however often it is raised during a pass, one more pass follows.
	trigger chan struct{}
	// passes holds the callers of sync, who want a pass of their own and its result.
	passes chan chan<- Result

	mu    sync.Mutex
	last  Result
	since time.Time // when the running pass began; zero between passes
}

func newLoop(name string, agent Agent, next func(time.Time) time.Time, logger *slog.Logger, m *metrics) *loop {
	m.declare(name)
	return &loop{
		name:    name,
		agent:   agent,
		next:    next,
		logger:  logger.With("agent", name),
		metrics: m,
		trigger: make(chan struct{}, 1),
		passes:  make(chan chan<- Result),
		last:    Result{Agent: name, Outcome: "unknown"},
	}
}

// every returns a schedule of equal intervals, each shifted by up to a tenth, so that replicas spread out.
func every(d time.Duration) func(time.Time) time.Time {
	return func(now time.Time) time.Time { return now.Add(jitter(d)) }
}

func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-.5)*.2*float64(d))
}

// poke asks for a pass as soon as possible. It never blocks.
func (l *loop) poke() {
	select {
	case l.trigger <- struct{}{}:
	default:
	}
}

// sync asks for a pass and waits for its result. The pass begins after the call.
func (l *loop) sync(ctx context.Context) (Result, error) {
	answer := make(chan Result, 1)
	select {
	case l.passes <- answer:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	select {
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// run schedules passes until ctx ends.
func (l *loop) run(ctx context.Context) error {
	pause := firstPause
	var answer chan<- Result // of whoever asked for the pass
	for ctx.Err() == nil {
		result := l.pass(ctx)
		if answer != nil {
			answer <- result
			answer = nil
		}
		wait := time.Until(l.next(time.Now()))
		if result.Outcome == "error" && !l.patient {
			wait = jitter(pause)
			pause = min(2*pause, lastPause)
		} else {
			pause = firstPause
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.trigger:
			// What was broken may be mended: if it isn't, the pauses are short again.
			pause = firstPause
		case answer = <-l.passes:
			pause = firstPause
			// Whoever asks by hand may have mended what the agent has given up on.
			if r, ok := l.agent.(interface{ Retry() }); ok {
				r.Retry()
			}
		}
		timer.Stop()
	}
	return nil
}

// pass runs one pass, logs and counts it.
func (l *loop) pass(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, passLimit)
	defer cancel()
	began := time.Now()
	defer giveBack(allocated())
	l.mu.Lock()
	l.since = began
	before := l.last
	l.mu.Unlock()

	changed, err := l.agent.Sync(ctx)

	ended := time.Now()
	r := Result{Agent: l.name, Outcome: "noop", Ended: ended, Succeeded: ended}
	switch {
	case err != nil:
		r.Outcome, r.Error, r.Succeeded = "error", describe(err), before.Succeeded
	case changed:
		r.Outcome = "success"
	}
	l.mu.Lock()
	l.last, l.since = r, time.Time{}
	l.mu.Unlock()
	l.metrics.synced(r, ended.Sub(began))
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled):
		l.logger.Debug("pass ended early by shutdown")
	case err != nil && r.Error != before.Error:
		l.logger.Error("sync failed, keeping what is there and trying again", "err", r.Error)
	case err != nil:
		l.logger.Debug("sync failed again", "err", r.Error)
	case before.Outcome == "error":
		l.logger.Info("sync succeeded again", "changed", changed)
	}
	if l.passed != nil {
		l.passed()
	}
	if changed && l.changed != nil {
		l.changed()
	}
	return r
}

// result returns what came of the last pass.
func (l *loop) result() Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// stuck says since when a pass has been running that should have ended; "" if none is.
func (l *loop) stuck(now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() || now.Sub(l.since) < passLimit+time.Minute {
		return ""
	}
	return fmt.Sprintf("agent %s has been in one pass for %s", l.name, now.Sub(l.since).Round(time.Second))
}

// describe returns an error in one line, with every problem of those that were joined in it or are a list.
func describe(err error) string {
	var all []string
	switch list := err.(type) {
	case scanner.ErrorList:
		for _, e := range list {
			all = append(all, oneLine(e.Error()))
		}
	case interface{ Unwrap() []error }:
		// What more is said around several errors would be lost.
		if errs := list.Unwrap(); errors.Join(errs...).Error() == err.Error() {
			for _, e := range errs {
				all = append(all, describe(e))
			}
		}
	}
	if len(all) == 0 {
		return oneLine(err.Error())
	}
	return strings.Join(all, "; ")
}

// oneLine makes text fit a log line or a table cell.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
