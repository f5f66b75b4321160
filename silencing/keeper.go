package silencing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
)

const (
	// poll is between two passes while there is a hush until resolved. What a group of alerts says in between without
	// those that are hushed isn't lost: for 15 minutes Prometheus goes on to say that an alert is resolved.
	poll = 5 * time.Second

	// unsure is how long it means nothing that an Alertmanager which has just started knows of no alert: it forgets
	// them when it ends, and Prometheus repeats them about every minute.
	unsure = 5 * time.Minute
)

// A Keeper keeps the hushes until resolved of one Alertmanager, whoever made them: it extends them in place while they
// silence something that fires, and ends them as soon as nothing does, so that Alertmanager says that it is resolved,
// and says it at once if it fires again. It remembers nothing that another one would need: what is hushed, and until
// when at the latest, is in Alertmanager.
type Keeper struct {
	client client
	logger *slog.Logger
	hushes *prometheus.GaugeVec

	// What the tests change: they have no half minutes to wait.
	interval, poll, turn, unsure time.Duration

	pass  sync.Mutex           // held during a pass, for what stands below
	start time.Time            // of the server, as it has last said
	seen  map[string]bool      // the IDs of hushes that have silenced something since then
	since map[string]time.Time // from when each write has been waiting for its turn

	mu   sync.Mutex
	busy bool      // whether there is a hush until resolved
	next time.Time // the next turn to make a write that was left to others
}

// NewKeeper returns a keeper that has done nothing yet. Of the options it takes how Alertmanager is reached, the logger
// and the registerer.
func NewKeeper(o Options) (*Keeper, error) {
	if o.AlertmanagerURL == nil || o.AlertmanagerURL.Host == "" {
		return nil, errors.New("keeping hushes needs the URL of an Alertmanager")
	}
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	return &Keeper{
		client: newClient(o),
		logger: o.Logger,
		hushes: promauto.With(o.Registerer).NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_hushes",
			Help: "Silences that hush alerts now, made by stoker ack or from a notification, by when they end: at a time, or when the alerts are resolved.",
		}, []string{"until"}),
		interval: interval, poll: poll, turn: turn, unsure: unsure,
		seen: make(map[string]bool),
	}, nil
}

// Next returns when Sync should be called again even if nothing happens: after 30 s, while there is a hush until
// resolved after 5 s, or when a write has been left to other sidecars for long enough.
func (k *Keeper) Next(now time.Time) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := now.Add(k.interval)
	if k.busy {
		next = now.Add(k.poll)
	}
	if k.next.After(now) && k.next.Before(next) {
		return k.next
	}
	return next
}

// Sync does one pass: it lists the silences, if there is a hush until resolved also what fires, and writes what is due,
// as far as it is this sidecar's turn. An error of one hush doesn't stop the others.
func (k *Keeper) Sync(ctx context.Context) (changed bool, err error) {
	k.pass.Lock()
	defer k.pass.Unlock()
	current, err := k.client.silences(ctx)
	if err != nil {
		return false, err
	}
	names := k.look(current)
	var alerts []FiringAlert
	if len(names) > 0 {
		if k.start.IsZero() {
			server, err := k.client.status(ctx)
			if err != nil {
				return false, err
			}
			k.start = server.Uptime
		}
		if alerts, err = k.client.firing(ctx, oneOf(model.AlertNameLabel, names)); err != nil {
			return false, err
		}
	}
	k.observe(current, alerts)
	now := time.Now()
	steps := keep(current, alerts, func(string) bool { return true }, now)
	if len(steps) == 0 {
		k.since = nil
		return false, nil
	}
	server, err := k.client.status(ctx)
	if err != nil {
		return false, fmt.Errorf("%d hushes are waiting: %w", len(steps), err)
	}
	position, err := server.position()
	if err != nil {
		return false, fmt.Errorf("%d hushes are waiting: %w", len(steps), err)
	}
	if !server.Uptime.Equal(k.start) {
		k.start = server.Uptime
		clear(k.seen) // that was during an earlier run of the server
	}
	certain := func(id string) bool { return k.seen[id] || !k.start.After(now.Add(-k.unsure)) }
	return k.apply(ctx, k.due(keep(current, alerts, certain, now), position, now))
}

// look counts the hushes, and returns what the alerts are called that those until resolved hush.
func (k *Keeper) look(current []Silence) (names []string) {
	timed, until := 0, 0
	for _, s := range current {
		h, ok := parseHush(s)
		switch {
		case !ok || !s.live():
		case h.UntilResolved:
			until++
			names = append(names, h.alert())
		default:
			timed++
		}
	}
	k.hushes.WithLabelValues("time").Set(float64(timed))
	k.hushes.WithLabelValues("resolved").Set(float64(until))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy, k.next = until > 0, time.Time{}
	slices.Sort(names)
	return slices.Compact(names)
}

// oneOf returns the matcher that asks for any of the values of a label, or none, which asks for more.
func oneOf(name string, values []string) []Matcher {
	switch {
	case len(values) == 1:
		return []Matcher{{Name: name, Value: values[0], IsEqual: true}}
	case len(values) > 100:
		return nil // more than an address should hold
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return []Matcher{{Name: name, Value: strings.Join(quoted, "|"), IsRegex: true, IsEqual: true}}
}

// observe remembers which hushes silence something.
func (k *Keeper) observe(current []Silence, alerts []FiringAlert) {
	seen := make(map[string]bool)
	for _, s := range current {
		if h, ok := parseHush(s); ok && s.live() && h.UntilResolved && (k.seen[s.ID] || h.matches(alerts) > 0) {
			seen[s.ID] = true
		}
	}
	k.seen = seen
}

// A step is what a hush needs: a later end, or to end now.
type step struct {
	Hush
	silence Silence
	// reason is why it ends; "" if somebody has said why and only the end is missing.
	reason string
	ends   bool
}

// id tells steps apart from pass to pass.
func (s step) id() string {
	if s.ends {
		return "end " + s.ID
	}
	return fmt.Sprintf("extend %s beyond %d", s.ID, s.silence.EndsAt.Unix())
}

// keep returns what the hushes among the silences need now, given the alerts that fire. It is a pure function; when it
// has been done, there is nothing to do for five minutes.
//
//	hush                   fires  then
//	---------------------  -----  -----------------------------------------------------------
//	with a reason to end   any    end it: whoever wrote that didn't get further
//	until some time        any    nothing, Alertmanager ends it
//	until resolved         no     end it, if that nothing fires is certain, or else as if yes
//	until resolved, less   yes    extend it by 15 min from now, not beyond its latest end
//	than 10 min left
//	until resolved, more   yes    nothing
//	over, or not as it     any    nothing
//	was made
func keep(current []Silence, alerts []FiringAlert, certain func(id string) bool, now time.Time) []step {
	var steps []step
	for _, s := range current {
		h, ok := parseHush(s)
		if !ok || s.Status.State != stateActive {
			continue
		}
		if h.Alerts = h.matches(alerts); isEnded(s) {
			steps = append(steps, step{Hush: h, silence: s, ends: true})
			continue
		}
		end := earlier(now.Truncate(time.Second).Add(lease), h.Latest)
		switch {
		case !h.UntilResolved:
		case h.Alerts == 0 && certain(s.ID):
			steps = append(steps, step{Hush: h, silence: s, reason: resolved, ends: true})
		case h.EndsAt.Sub(now) < lease*2/3 && end.After(h.EndsAt):
			h.EndsAt = end
			steps = append(steps, step{Hush: h, silence: s})
		}
	}
	return steps
}

// isEnded reports whether a silence has a reason to end in its mark.
func isEnded(s Silence) bool {
	m, _, _ := parseMark(s.Comment)
	return m.ended != ""
}

// matches returns how many of the alerts the hush silences.
func (h Hush) matches(alerts []FiringAlert) (n int) {
	compiled := make([]*labels.Matcher, len(h.Matchers))
	for i, m := range h.Matchers {
		var err error
		if compiled[i], err = m.compile(); err != nil {
			return 0
		}
	}
	for _, a := range alerts {
		if !slices.ContainsFunc(compiled, func(m *labels.Matcher) bool { return !m.Matches(a.Labels[m.Name]) }) {
			n++
		}
	}
	return n
}

// due returns the steps that have been left to the sidecars before this one for long enough, and notes when the next
// of the others will have been.
func (k *Keeper) due(steps []step, position int, now time.Time) (due []step) {
	since := make(map[string]time.Time, len(steps))
	var next time.Time
	for _, s := range steps {
		first, ok := k.since[s.id()]
		if !ok {
			first = now
		}
		since[s.id()] = first
		switch at := first.Add(time.Duration(position) * k.turn); {
		case !at.After(now):
			due = append(due, s)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	k.since = since
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = next
	return due
}

// apply writes. It goes on after a hush that the server refuses, and stops when the server is of no use for the next one
// either.
func (k *Keeper) apply(ctx context.Context, steps []step) (changed bool, err error) {
	var errs []error
	for i, s := range steps {
		write := k.extend
		if s.ends {
			write = k.end
		}
		wrote, err := write(ctx, s)
		changed = changed || wrote
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("hush %s: %w", s.ID, err))
		if !refused(err) {
			if left := len(steps) - i - 1; left > 0 {
				errs = append(errs, fmt.Errorf("%d more hushes not tried", left))
			}
			break
		}
	}
	return changed, errors.Join(errs...)
}

func (k *Keeper) extend(ctx context.Context, s step) (wrote bool, err error) {
	post := s.Hush.silence()
	post.Annotations = s.silence.Annotations
	id, err := k.client.post(ctx, post)
	if err != nil {
		return false, err
	}
	if id != s.ID {
		// Somebody has ended it since the list, and Alertmanager makes another one of it.
		return true, k.client.expire(ctx, id)
	}
	k.logger.Debug("extended a hush, its alerts still fire", "id", id, "scope", s.Scope, "alerts", s.Alerts, "ends_at", s.EndsAt, "latest", s.Latest)
	return true, nil
}

func (k *Keeper) end(ctx context.Context, s step) (wrote bool, err error) {
	_, err = k.client.end(ctx, s.silence, s.reason, func(err error) {
		k.logger.Warn("Alertmanager refuses the reason in a hush's comment, ending it without", "id", s.ID, "reason", s.reason, "err", err)
	})
	if err != nil {
		return false, err
	}
	k.logger.Info("ended a hush", "id", s.ID, "scope", s.Scope, "by", s.By, "reason", cmp.Or(s.reason, "somebody had begun to"))
	return true, nil
}
