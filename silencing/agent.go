package silencing

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
)

const (
	// interval is between two passes when nothing else asks for one.
	interval = 30 * time.Second

	// turn is how long each peer of a cluster leaves to those before it.
	turn = 30 * time.Second

	// settle is how long a new text of the file must have stood still. Half a
	// file can be a good one, without the rules that are still to be written.
	settle = 2 * time.Second
)

// Options are what an Agent needs besides its configuration.
type Options struct {
	// AlertmanagerURL is the server's, with its route prefix. Required.
	AlertmanagerURL *url.URL

	// Client speaks to the server. By default one with a timeout of 10 s.
	Client *http.Client

	// Settle waits until a new text of the file has been written to its end,
	// or says why it won't be. By default that is when the file has been the
	// same for 2 s; who knows that files are swapped at one go needn't wait.
	Settle func(ctx context.Context, file string) error

	// StateDir is the folder to keep a file in that remembers which silences
	// people ended early, also when Alertmanager has forgotten it. It is made
	// when there is something to remember. By default Alertmanager's memory is
	// all there is.
	StateDir string

	Logger     *slog.Logger          // by default none
	Registerer prometheus.Registerer // by default none
}

// Agent keeps the silences of one Alertmanager equal to a file.
type Agent struct {
	cfg     Config
	client  client
	logger  *slog.Logger
	metrics *metrics

	// What the tests change: they have no half minutes to wait.
	interval, turn time.Duration
	settle         func(ctx context.Context, file string) error

	pass sync.Mutex // held during a pass, for what stands below
	data []byte     // of the last good file, nil until there is one
	good []Rule     // in it

	state *state // what people ended early

	drift    map[string]time.Time // since when the agent has known of each change
	told     map[string]bool      // what has been logged and still is so
	position int                  // in the cluster, -1 while unknown

	found       *found    // by the last look, nil before it
	counted     counts    // of the last count, for the silences of then
	countedAt   time.Time // or tried
	countFailed bool

	mu     sync.Mutex // for what readers see
	status Status
	seen   seen
	next   time.Time // the next turn to make a change that was left to others
}

// New returns an agent that has done nothing yet.
func New(cfg Config, o Options) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if o.AlertmanagerURL == nil || o.AlertmanagerURL.Host == "" {
		return nil, errors.New("silencing needs the URL of an Alertmanager")
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	if o.Settle == nil {
		o.Settle = still
	}
	return &Agent{
		interval: interval,
		turn:     turn,
		settle:   o.Settle,
		state:    newState(o.StateDir, cfg.Owner),
		cfg:      cfg,
		client:   newClient(o),
		logger:   o.Logger,
		metrics:  newMetrics(o.Registerer),
		position: -1,
		status:   Status{Position: -1},
	}, nil
}

// Sync does one pass: it reads the file, lists the silences and writes what
// differs, as far as it is this sidecar's turn. With an error of the file it
// goes on with the last good one; without one, or without a sound list, it
// writes nothing. An error of one silence doesn't stop the others.
func (a *Agent) Sync(ctx context.Context) (changed bool, err error) {
	a.pass.Lock()
	defer a.pass.Unlock()

	fileErr := a.load(ctx)
	a.publish(func(s *Status) { s.FileError = fileErr })
	if a.data == nil {
		return false, fileErr
	}
	before := a.found
	changed, err = a.reconcile(ctx)
	if a.found != before {
		a.count(ctx)
	}
	return changed, errors.Join(fileErr, err)
}

// Next returns when Sync should be called again even if nothing happens: after
// 30 s, or when a difference has been left to other sidecars for long enough.
func (a *Agent) Next(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if next := a.next; next.After(now) && next.Before(now.Add(a.interval)) {
		return next
	}
	return now.Add(a.interval)
}

// load reads the file. It waits for one that is being written.
func (a *Agent) load(ctx context.Context) error {
	data, err := read(a.cfg.File)
	if err != nil || a.data != nil && bytes.Equal(data, a.data) {
		return err
	}
	if data, err = a.settled(ctx, data); err != nil {
		return err
	}
	rules, err := Parse(a.cfg.File, data, time.Now())
	if err != nil {
		return err
	}
	a.metrics.rules(a.good, rules)
	a.data, a.good = data, rules
	a.logger.Info("loaded the silences", "file", a.cfg.File, "rules", len(rules))
	return nil
}

// settled returns the file's text, given the one just read, when it has settled.
func (a *Agent) settled(ctx context.Context, data []byte) ([]byte, error) {
	for range 5 {
		if err := a.settle(ctx, a.cfg.File); err != nil {
			return nil, err
		}
		again, err := read(a.cfg.File)
		if err != nil || bytes.Equal(again, data) {
			return again, err
		}
		data = again
	}
	return nil, fmt.Errorf("%s: is being written all the time", a.cfg.File)
}

// still waits for as long as a text has to stand still unless it has done so
// already.
func still(ctx context.Context, file string) error {
	info, err := os.Stat(file)
	if err != nil || time.Since(info.ModTime()) >= settle {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settle):
		return nil
	}
}

// recall reads what was remembered before the start.
func (a *Agent) recall() {
	if err := a.state.load(); err != nil {
		a.logger.Warn("memory of which silences people ended early can't be used, starting anew with what Alertmanager remembers", "err", err)
	}
}

// reconcile makes the server's silences those of the last good file.
func (a *Agent) reconcile(ctx context.Context) (changed bool, err error) {
	a.recall()
	current, err := a.client.silences(ctx)
	if err != nil {
		return false, err
	}
	now := time.Now()
	plan := a.look(current, now)
	// Before the changes, which may be to end again what a person ended.
	if saveErr := a.state.save(); saveErr != nil {
		defer func() { err = errors.Join(err, fmt.Errorf("what people ended early is not remembered: %w", saveErr)) }()
	}
	if a.position < 0 || len(plan.Writes) > 0 {
		a.position, err = a.client.position(ctx)
		if err != nil {
			a.position = -1
		}
		a.metrics.position.Set(float64(a.position))
		a.publish(func(s *Status) { s.Position = a.position })
	}
	switch {
	case len(plan.Writes) == 0:
		return false, nil // and so the position doesn't matter
	case err != nil:
		return false, fmt.Errorf("%d changes are waiting: %w", len(plan.Writes), err)
	}
	changed, err = a.apply(ctx, a.due(plan.Writes, now))
	if !changed {
		return false, err
	}
	// What is true now is the server's to say.
	current, listErr := a.client.silences(ctx)
	if listErr == nil {
		a.look(current, time.Now())
	}
	return true, errors.Join(err, listErr)
}

// look plans, remembers since when it has known of each change, and shows what
// it found.
func (a *Agent) look(current []Silence, now time.Time) Changes {
	desired := Desired(a.good, now)
	plan := Plan(a.cfg.Owner, current, desired, a.state.holds, now)
	a.metrics.observe(a.cfg.Owner, current, desired, plan)
	a.publish(func(s *Status) { s.Silences = silenceStatus(desired, plan) })
	a.found = &found{a.cfg.Owner, a.good, true, alive(current), desired, plan, now}

	drift := make(map[string]time.Time, len(plan.Writes))
	for _, c := range plan.Writes {
		drift[c.id()] = now
		if since, ok := a.drift[c.id()]; ok {
			drift[c.id()] = since
		}
	}
	told := make(map[string]bool)
	for _, o := range plan.Held {
		m := o.mark(a.cfg.Owner)
		if told[m.String()] = true; !a.told[m.String()] {
			a.logger.Info("a person ended a silence early, leaving it ended until its rule changes", "silence", m.key())
		}
	}
	for _, s := range plan.Disowned {
		if told[s.ID] = true; !a.told[s.ID] {
			a.logger.Warn("a silence has only half of our mark, leaving it to whoever changed it", "id", s.ID, "created_by", s.CreatedBy)
		}
	}
	a.warn(told)
	a.drift, a.told = drift, told
	a.state.remember(plan.Holds)
	return plan
}

// due returns the changes that have been left to the peers before us for long
// enough, and notes when the next of the others will have been.
func (a *Agent) due(changes []Change, now time.Time) []Change {
	var due []Change
	var next time.Time
	for _, c := range changes {
		at := a.drift[c.id()].Add(time.Duration(a.position) * a.turn)
		switch {
		case !at.After(now):
			due = append(due, c)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = next
	return due
}

// apply makes the changes: all that silences, then all that ends, because what
// ends may have been doing the work of another rule. It goes on after one that
// the server refuses, and stops when the server is of no use for the next one
// either.
func (a *Agent) apply(ctx context.Context, changes []Change) (changed bool, err error) {
	var errs []error
	for _, write := range []func(context.Context, Change) (bool, error){a.post, a.expire} {
		var done []Change
		for i, c := range changes {
			wrote, err := write(ctx, c)
			changed = changed || wrote
			if err == nil {
				done = append(done, c)
				continue
			}
			errs = append(errs, fmt.Errorf("silence %s: %w", c.Key, err))
			if !refused(err) {
				if left := len(changes) - i - 1; left > 0 {
					errs = append(errs, fmt.Errorf("%d more changes not tried", left))
				}
				return changed, errors.Join(errs...)
			}
		}
		// What has no successor isn't ended.
		changes = slices.DeleteFunc(done, func(c Change) bool { return c.End == nil })
	}
	return changed, errors.Join(errs...)
}

// post writes the new or edited silence of a change that has one.
func (a *Agent) post(ctx context.Context, c Change) (wrote bool, err error) {
	if c.Post == nil {
		return false, nil
	}
	id, err := a.client.post(ctx, *c.Post)
	if err != nil {
		return false, err
	}
	verb := "created a silence"
	if c.Post.ID != "" {
		verb = "edited a silence"
	}
	a.logger.Info(verb, "silence", c.Key, "id", id, "ends_at", c.Post.EndsAt)
	return true, nil
}

// expire ends the silence of a change that has one to end.
func (a *Agent) expire(ctx context.Context, c Change) (wrote bool, err error) {
	if c.End == nil {
		return false, nil
	}
	marked, err := a.client.end(ctx, *c.End, c.Reason, func(err error) {
		a.logger.Warn("Alertmanager refuses the reason in a silence's comment, ending it without", "id", c.End.ID, "reason", c.Reason, "err", err)
	})
	if err != nil {
		return marked, err
	}
	a.logger.Info("ended a silence", "silence", c.Key, "id", c.End.ID, "reason", cmp.Or(c.Reason, "a person had ended it"))
	return true, nil
}

// refused reports whether the server said no to this silence, rather than
// failing in a way that the next one would meet too.
func refused(err error) bool {
	var status *StatusError
	if !errors.As(err, &status) {
		return false
	}
	switch status.Code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		return true
	}
	return false
}
