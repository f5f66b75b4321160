package reload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// serve brings the server to the live release and proves it, or goes back to an earlier one. newest is the release of
// the sources as they are, "" if they make none; now and askErr are what the server said at the beginning of the pass.
func (a *Agent) serve(ctx context.Context, newest string, now loaded, askErr error) error {
	live := a.shelf.current(liveLink)
	if live == "" {
		return nil
	}
	if askErr != nil {
		return a.waitFor(live, askErr)
	}
	if a.shelf.stands() || a.startedFrom(now) {
		known, err := a.confirm(ctx, live, now)
		if known || err != nil {
			return err
		}
	}
	var err error
	if p := a.answered; p != nil && p.release == live && sameProcess(p.before.started, now.started) && now.successful && a.now().Sub(p.sent) < retryRefused {
		// It was carried out already. What it reads besides isn't changed by asking for it over and over, and
		// costs an Alertmanager its groups of alerts each time.
		err = a.prove(ctx, p)
	} else if a.cfg.ConfigFile != "" && newest != live {
		return fmt.Errorf("%s isn't proved to run release %s, and a reload would load %s as it is now", a.server.name, live, a.cfg.ConfigFile)
	} else {
		err = a.reload(ctx, live)
	}
	var refused *refusedError
	if errors.As(err, &refused) {
		return a.rollBack(ctx, live, refused)
	}
	if err != nil {
		return fmt.Errorf("release %s is live on disk, but %s isn't proved to run it: %w", live, a.server.name, err)
	}
	a.logger.Info("server runs the release", "server", a.server.name, "release", live)
	return nil
}

// confirm asks whether the server runs the live release, which it has loaded as a whole some time.
func (a *Agent) confirm(ctx context.Context, live string, now loaded) (known bool, err error) {
	if !now.successful {
		return false, nil
	}
	// Comparing thousands of rules takes a while, and what a server runs changes only when it loads something.
	if !a.seen.is(live, now) {
		difference, err := a.difference(ctx, live, now)
		if err != nil {
			return false, err
		}
		if difference != "" {
			a.logger.Warn("server runs something else than the release that it loaded, reloading",
				"server", a.server.name, "release", live, "difference", difference)
			return false, nil
		}
		a.seen = sighting{release: live, at: now.at, started: now.started}
	}
	a.confirmed, a.answered = true, nil
	a.lookWhetherServing(ctx, live, now)
	return true, a.shelf.point(provedLink, live)
}

// sighting is a load of a server's after which it was found to run a release.
type sighting struct {
	release     string
	at, started float64
	serving     bool // all of it was at work
}

func (s sighting) is(release string, now loaded) bool {
	return s.release == release && s.at == now.at && sameProcess(s.started, now.started)
}

// poolsTake is how long after a load Prometheus may still be making its scrape pools.
const poolsTake = 15 * time.Second

// lookWhetherServing finds out whether all of the live release is at work. It holds nothing up: that a server loaded
// the release is known without.
func (a *Agent) lookWhetherServing(ctx context.Context, live string, now loaded) {
	if a.seen.serving {
		serving := true
		a.serving = &serving
		return
	}
	if seconds(a.now())-now.at < poolsTake.Seconds() {
		return
	}
	tree, err := a.shelf.read(live)
	if err != nil {
		return
	}
	missing, err := a.dialect.serving(ctx, a.server, a.inPlace(), tree)
	if err != nil {
		a.logger.Debug("whether the whole release is at work isn't known", "server", a.server.name, "release", live, "err", err)
		return
	}
	serving := missing == ""
	a.serving, a.seen.serving = &serving, serving
	if !serving {
		a.logger.Warn("server runs the release, and not all of it is at work", "server", a.server.name, "release", live, "missing", missing)
	}
}

// startedFrom reports whether the server's last load of a configuration began when the live link already was what
// it is: then all of it is of the live release, and nothing needs to be sent. Only the end of a load is known. It
// can't have begun before the process did, nor longer ago than reload_timeout, which says how long one may take.
func (a *Agent) startedFrom(now loaded) bool {
	moved := a.shelf.moved()
	if moved.IsZero() || now.started == 0 || now.at > seconds(a.now())+1 { // A clock was set back.
		return false
	}
	began := max(now.started, now.at-time.Duration(a.cfg.ReloadTimeout).Seconds())
	return began > seconds(moved)+1 // The kernel knows when it started itself in whole seconds only.
}

// seconds is a time as servers export it.
func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// waitFor says what a server that isn't ready will start from. One that doesn't come up with a release that it never
// ran gets the one before it.
func (a *Agent) waitFor(live string, askErr error) error {
	waiting := fmt.Errorf("%w; it starts from release %s, and is asked again", askErr, live)
	if !a.neverCameUp(askErr) {
		return waiting
	}
	refusal := &refusedError{words: fmt.Sprintf("it hasn't come up with it for %s", startLimit)}
	good, err := a.retreat(live, verdict{by: itsAbsence, err: refusal})
	switch {
	case good == "":
		return waiting
	case err != nil:
		return errors.Join(waiting, err)
	}
	return fmt.Errorf("%w: release %s, which it never ran, may be why: release %s is live again on disk until it is ready", askErr, live, good)
}

// askTimeout bounds how long a server that doesn't answer holds up the releases on disk.
const askTimeout = 10 * time.Second

// ask returns what the server says of itself. It is an error if the server isn't ready for a reload; what it
// says of its version and its start then is true all the same.
func (a *Agent) ask(ctx context.Context) (loaded, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := a.server.ready(ctx); err != nil {
		if !errors.Is(err, errNotReady) {
			return loaded{}, fmt.Errorf("%s: %w", a.server.name, err)
		}
		said, _ := a.server.loaded(ctx) // Prometheus exports its metrics before it is ready.
		return loaded{version: said.version, started: said.started}, fmt.Errorf("%s is %w", a.server.name, err)
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
	return a.dialect.difference(ctx, a.server, now, a.inPlace(), tree)
}

// inPlace returns the folder of a main file that stays where it is, or "".
func (a *Agent) inPlace() string {
	if a.cfg.ConfigFile == "" {
		return ""
	}
	return filepath.Dir(a.cfg.ConfigFile)
}

// cause says why a server is likely to run something else than what it was told to load.
func (a *Agent) cause(ctx context.Context) string {
	want, mount := a.cfg.ConfigFile, "a mount of a single file never changes: mount its folder instead"
	if want == "" {
		want = filepath.Join(a.cfg.OutputDir, liveLink, a.dialect.main())
		mount = "a mount of the link itself, or of a single file, never changes: mount output_dir or a folder above it instead"
	}
	if abs, err := filepath.Abs(want); err == nil {
		want = abs
	}
	if have := a.server.configFile(ctx); filepath.IsAbs(have) && filepath.Clean(have) != want {
		return fmt.Sprintf("it was started with --config.file=%s where %s is expected", have, want)
	}
	return fmt.Sprintf("does it see the same files as stoker at %s? %s", want, mount)
}

// prove asks whether the server runs the release that it says it loaded.
func (a *Agent) prove(ctx context.Context, p *posted) error {
	after, err := a.server.loaded(ctx)
	if err != nil {
		return err
	}
	var difference string
	switch {
	case !after.successful:
		a.answered = nil // Somebody else's reload came after it, and failed.
		difference = "its last load of a configuration failed"
	case after.at == p.before.at && sameProcess(after.started, p.before.started):
		difference = "the time of its last load did not move"
	default:
		if difference, err = a.difference(ctx, p.release, after); err != nil {
			return err
		}
	}
	if difference != "" {
		a.count(p, "mismatch")
		return &mismatchError{difference, a.cause(ctx)}
	}
	a.count(p, "proved")
	a.confirmed, a.answered = true, nil
	a.seen = sighting{release: p.release, at: after.at, started: after.started}
	return a.shelf.point(provedLink, p.release)
}

// rollBack makes the last proved release live again, and loads it again: Prometheus applies what it refuses
// partly.
func (a *Agent) rollBack(ctx context.Context, bad string, refused *refusedError) error {
	refusal := fmt.Errorf("%s refused release %s: %w", a.server.name, bad, refused)
	good, err := a.retreat(bad, verdict{by: theServer, err: refused, process: refused.process})
	switch {
	case good == "":
		return fmt.Errorf("%w; there is no earlier release to go back to", refusal)
	case err != nil:
		return errors.Join(refusal, err)
	}
	if err := a.reload(ctx, good); err != nil {
		return fmt.Errorf("%w; release %s is live again on disk, but %s isn't proved to run it: %w", refusal, good, a.server.name, err)
	}
	return fmt.Errorf("%w; went back to release %s", refusal, good)
}
