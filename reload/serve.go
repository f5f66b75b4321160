package reload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// forgetInFlight is how long a reload whose outcome nobody can find out keeps everything still.
const forgetInFlight = 10 * time.Minute

// serve brings the server to the live release and proves it, or goes back to an earlier one. previous is the
// release that was live before this pass; now and askErr are what the server said at its beginning.
func (a *Agent) serve(ctx context.Context, previous string, now loaded, askErr error) error {
	live := a.shelf.current(liveLink)
	if live == "" {
		return nil
	}
	if askErr != nil {
		return fmt.Errorf("%w; it starts from release %s, and is asked again", askErr, live)
	}
	if a.shelf.current(provedLink) == live && now.successful {
		difference, err := a.difference(ctx, live, now)
		if err != nil {
			return err
		}
		if difference == "" {
			a.confirmed = true
			return nil
		}
		a.logger.Warn("server runs something else than the release it was proved to run, reloading",
			"server", a.server.name, "release", live, "difference", difference)
	}
	err := a.reload(ctx, live, now)
	var refused *refusedError
	if errors.As(err, &refused) {
		return a.rollBack(ctx, live, previous, refused, now)
	}
	if err != nil {
		return fmt.Errorf("release %s is live on disk, but %s isn't proved to run it: %w", live, a.server.name, err)
	}
	a.logger.Info("server runs the release", "server", a.server.name, "release", live)
	return nil
}

// askTimeout bounds how long a server that doesn't answer holds up the releases on disk.
const askTimeout = 10 * time.Second

// ask returns what the server says of itself. It is an error if the server isn't ready for a reload; what it
// says of its version then is true all the same.
func (a *Agent) ask(ctx context.Context) (loaded, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := a.server.ready(ctx); err != nil {
		if !errors.Is(err, errNotReady) {
			return loaded{}, fmt.Errorf("%s: %w", a.server.name, err)
		}
		said, _ := a.server.loaded(ctx) // Prometheus exports its metrics before it is ready.
		return loaded{version: said.version}, fmt.Errorf("%s is %w", a.server.name, err)
	}
	said, err := a.server.loaded(ctx)
	if err != nil {
		return said, err
	}
	said.features, err = a.server.features(ctx)
	return said, err
}

// difference says how what the server runs differs from a release on disk.
func (a *Agent) difference(ctx context.Context, hash string, now loaded) (string, error) {
	tree, err := a.shelf.read(hash)
	if err != nil {
		return "", err
	}
	return a.dialect.difference(ctx, a.server, now, tree)
}

// reload makes the server load the live release, and proves that it did. It returns a *refusedError if the
// server won't have it.
func (a *Agent) reload(ctx context.Context, hash string, before loaded) error {
	sent := time.Now()
	a.inFlight = &posted{hash: hash, before: before, at: sent}
	err := a.server.reload(ctx)
	var refused *refusedError
	var status *statusError
	var dial *net.OpError
	switch {
	case err == nil:
	case errors.As(err, &refused), errors.As(err, &status) && status.status < 500: // beyond, a proxy speaks
		a.inFlight = nil
		a.metrics.reloaded("refused", time.Since(sent))
		return err
	case errors.As(err, &dial) && dial.Op == "dial":
		a.inFlight = nil // Nothing was sent.
		return err
	default:
		// Nobody knows whether it was done: the next pass asks before anything moves.
		a.metrics.reloaded("timeout", time.Since(sent))
		return err
	}
	a.inFlight = nil
	after, err := a.server.loaded(ctx)
	if err != nil {
		return err
	}
	var difference string
	switch {
	case !after.successful:
		difference = "its last load of a configuration failed"
	case after.at <= before.at && after.started == before.started:
		difference = "the time of its last load did not move"
	default:
		if difference, err = a.difference(ctx, hash, after); err != nil {
			return err
		}
	}
	if difference != "" {
		a.metrics.reloaded("mismatch", time.Since(sent))
		return &mismatchError{difference}
	}
	a.metrics.reloaded("proved", time.Since(sent))
	a.confirmed = true
	return a.shelf.point(provedLink, hash)
}

// rollBack makes the last proved release live again, and loads it again: Prometheus applies what it refuses
// partly.
func (a *Agent) rollBack(ctx context.Context, bad, previous string, refused *refusedError, now loaded) error {
	refusal := fmt.Errorf("%s refused release %s: %w", a.server.name, bad, refused)
	a.refused[bad] = verdict{err: refused, at: time.Now(), started: now.started}
	good := a.shelf.current(provedLink)
	if good == "" || good == bad {
		good = previous
	}
	if good == "" || good == bad {
		return fmt.Errorf("%w; there is no earlier release to go back to", refusal)
	}
	if err := a.shelf.point(liveLink, good); err != nil {
		return errors.Join(refusal, err)
	}
	a.metrics.rollbacks.Inc()
	if err := a.reload(ctx, good, now); err != nil {
		return fmt.Errorf("%w; release %s is live again on disk, but %s isn't proved to run it: %w", refusal, good, a.server.name, err)
	}
	return fmt.Errorf("%w; went back to release %s", refusal, good)
}

// settleInFlight finds out from what the server says now how the reload ended whose answer never came. Until that
// is known nothing moves.
func (a *Agent) settleInFlight(ctx context.Context, now loaded, err error) error {
	if a.inFlight == nil {
		return nil
	}
	before := a.inFlight.before
	switch {
	case err == nil && (now.at > before.at || now.started != before.started || now.successful != before.successful):
	case time.Since(a.inFlight.at) > forgetInFlight:
	default:
		return errors.Join(fmt.Errorf("nobody knows yet whether %s did the reload that was sent %s ago: nothing moves until it does",
			a.server.name, time.Since(a.inFlight.at).Round(time.Second)), err)
	}
	hash := a.inFlight.hash
	a.inFlight = nil
	if err != nil || !now.successful || now.at <= before.at || a.shelf.current(liveLink) != hash {
		return nil
	}
	if difference, err := a.difference(ctx, hash, now); err == nil && difference == "" {
		return a.shelf.point(provedLink, hash)
	}
	return nil
}

// forgive forgets the refusals of a server that was restarted since: it may be another version, or have
// another file mounted.
func (a *Agent) forgive(now loaded) {
	if now.started == 0 {
		return // It said nothing.
	}
	for hash, v := range a.refused {
		if v.started != 0 && v.started != now.started {
			delete(a.refused, hash)
		}
	}
}
