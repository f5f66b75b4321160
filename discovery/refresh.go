package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
)

// rules are a network's settings, parsed.
type rules struct {
	name         string
	networkID    string
	ranks        rankRange
	removeAfter  time.Duration
	allowPrivate bool
	exporters    []Exporter
	schedule     cron.Schedule // nil: interval
	interval     time.Duration
	deny         denyList
	endpoints    int // how many hosts they are on
}

// A network is all there is to one network: its rules, endpoints and files, and
// what its last refresh found.
type network struct {
	rules
	clients  []*client
	store    *store
	resolver Resolver
	served   func(contact, exporter string) bool
	logger   *slog.Logger
	answers  *prometheus.CounterVec

	said       map[string]bool // lines of the last log
	saidClaims map[string]bool // the same of claims
}

// An outcome is what one refresh found and would leave behind.
type outcome struct {
	saved
	next     baseline // the baseline from then on
	rendered []byte   // the targets file of an accepted answer
	answered bool     // held and refused are of a whole answer, accepted or not
	accepted bool
	held     []Held
	refused  []Refusal
	shared   []string // endpoints of several P-Reps
	chain    []Facts  // of an accepted answer
	err      error

	// renderedOwned is the file of what contacts gave URLs for, nil for none;
	// ownedTargets counts by exporter what is in it.
	renderedOwned []byte
	ownedTargets  map[string]int
}

// stillFor is how long an endpoint may answer with the same block before the
// others are asked whether the chain has gone on.
const stillFor = 10 * time.Minute

// refresh asks the network and decides, and changes nothing on disk.
//
// The endpoints are asked one after the other until an answer is accepted: the
// healthy ones in their order, then those that failed lately. An answer that is
// held makes it ask the next one, which agrees, or says something acceptable.
// One that stands still is taken if no other has anything newer.
func (n *network) refresh(ctx context.Context, insist bool, now time.Time) outcome {
	found, err := n.store.load()
	o := outcome{saved: found, next: found.base, err: err}
	if err != nil {
		return o
	}
	if o.warning != nil {
		n.logger.Warn("A file can't be understood and counts as absent", "err", o.warning)
	}
	o.base.Preps = n.deny.strike(o.base.Preps)
	o.next = o.base
	var failed error // of the endpoints so far
	var suspects []*listing
	var still *listing // the first answer that could be accepted if it weren't for its age
	for _, c := range n.order(now) {
		c.asked = now
		answer, err := c.fetch(ctx, &n.rules, n.resolver)
		if ctx.Err() != nil {
			o.err = context.Cause(ctx)
			return o
		}
		var v verdict
		if err == nil {
			v = judge(o.base, answer, suspects, &n.rules, insist, now)
			err = v.err
		}
		if err == nil && !insist && n.endpoints > 1 && o.base.still(answer, now) {
			err = fmt.Errorf("%w at height %d for %s", errStill, answer.Height, now.Sub(o.base.Time).Round(time.Second))
		}
		n.count(c, err)
		switch {
		case err == nil:
			c.sick = sickness{}
			n.accept(ctx, &o, v, answer, suspects, insist, now)
			if failed != nil {
				n.logger.Warn("endpoints were passed over", "endpoint", c.host, "err", failed)
			}
			return o
		case errors.Is(err, errDrop):
			c.sick = sickness{}
			suspects = append(suspects, answer)
			o.next, o.held, o.refused, o.answered = v.next, v.held, answer.Refused, true
			o.shared = sharedEndpoints(o.base.Preps)
		case errors.Is(err, errImplausible):
			c.sick.failed(now, err)
			answer.Leap = true
			suspects = append(suspects, answer)
		case errors.Is(err, errStill):
			c.sick.failed(now, err)
			if still == nil {
				still = answer
			}
		case errors.Is(err, errEmpty):
			c.sick.failed(now, err)
			o.refused, o.answered = answer.Refused, true
		default:
			c.sick.failed(now, err)
		}
		if err = fmt.Errorf("%s: %w", c.host, err); failed != nil {
			err = fmt.Errorf("%w; %w", failed, err)
		}
		failed = err
	}
	if still != nil && len(suspects) == 0 {
		n.logger.Debug("no endpoint has a newer block", "err", failed)
		n.accept(ctx, &o, judge(o.base, still, nil, &n.rules, insist, now), still, nil, insist, now)
		return o
	}
	keeping := "no targets yet"
	if n := len(o.base.Preps); n > 0 {
		keeping = fmt.Sprintf("keeping the targets of %d P-Reps", n)
	}
	o.err = fmt.Errorf("%s: %w", keeping, failed)
	return o
}

// groupSize is a little more than the bytes of most target groups.
const groupSize = 640

// accept makes an accepted answer the outcome, after others were asked about what
// no single endpoint is believed.
func (n *network) accept(ctx context.Context, o *outcome, v verdict, answer *listing, suspects []*listing, insist bool, now time.Time) {
	if !insist {
		n.confirm(ctx, &v, suspects, now)
		if o.base.Height == 0 {
			n.compareHeights(ctx, &v)
		}
	}
	o.next, o.held, o.refused, o.answered, o.accepted = v.next, v.held, answer.Refused, true, true
	o.shared, o.chain = sharedEndpoints(o.next.Preps), answer.Chain
	size := max(len(o.file)+len(o.file)/8, groupSize*len(o.next.Preps)*len(n.exporters))
	o.rendered = appendTargets(make([]byte, 0, size), n.name, o.next.Preps, n.exporters)
}

// order is the order to ask the endpoints in.
func (n *network) order(now time.Time) []*client {
	clients := slices.Clone(n.clients)
	slices.SortStableFunc(clients, func(a, b *client) int {
		return cmp.Compare(a.sick.rank(now), b.sick.rank(now))
	})
	return clients
}

// save writes what an outcome changes.
func (n *network) save(o outcome) (changed bool, err error) {
	if o.accepted || !o.next.HeldSince.Equal(o.base.HeldSince) {
		if err := n.store.saveState(o.next); err != nil {
			return false, err
		}
	}
	if !o.accepted {
		return false, nil
	}
	return n.saveFiles(o)
}

// countTargets is the number of targets of each exporter, for so many P-Reps.
func (n *network) countTargets(preps int) map[string]int {
	targets := make(map[string]int, len(n.exporters))
	for _, e := range n.exporters {
		targets[e.Name] = preps
	}
	return targets
}

// maxShift bounds how far a refresh is shifted, so that not everybody who runs
// stoker asks the same endpoint in the same second.
const maxShift = 30 * time.Second

// due is when to refresh next after a refresh at now: by schedule or interval,
// or earlier to try a failed endpoint again. All three are shifted at random:
// the interval by a tenth to both sides, and, as nobody expects them early, the
// times of a schedule and of a next attempt by up to a tenth later.
func (n *network) due(now time.Time, o outcome) time.Time {
	next := now.Add(n.interval - n.interval/10 + random(n.interval/5))
	if n.schedule != nil {
		next = n.schedule.Next(now.UTC())
		next = next.Add(random(min(n.schedule.Next(next).Sub(next)/10, maxShift)))
	}
	if o.err == nil {
		return next
	}
	for _, c := range n.clients {
		if until := c.sick.until; until.After(now) && until.Before(next) {
			next = until.Add(random(min(until.Sub(now)/10, next.Sub(until))))
		}
	}
	return next
}

// random is a duration from 0 to limit.
func random(limit time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(limit) + 1)) }

// log says what an outcome changed, and what is refused, held or doubtful where
// that isn't what was said last time.
func (n *network) log(o outcome, changed bool) {
	if changed {
		d := diff(o.base.Preps, o.next.Preps)
		level := slog.LevelInfo
		if len(d.joined)+len(d.left)+len(d.moved)+len(d.renamed) == 0 {
			level = slog.LevelDebug // ranks and the like
		}
		n.logger.Log(context.Background(), level, "targets changed", "preps", len(o.next.Preps), "height", o.next.Height, "endpoint", o.next.Source,
			"joined", d.joined, "left", d.left, "moved", d.moved, "renamed", d.renamed)
	}
	if !o.answered {
		return
	}
	var lines []string
	for _, r := range o.refused {
		lines = append(lines, fmt.Sprintf("no target for %s (%s): %s endpoint %q", r.Name, r.Owner, r.Reason, r.Endpoint))
	}
	for _, h := range o.held {
		lines = append(lines, fmt.Sprintf("keeping targets of %s (%s): %s", h.Name, h.Owner, h.Reason))
	}
	for _, s := range o.shared {
		lines = append(lines, "several P-Reps at one endpoint, keeping all: "+s)
	}
	said := make(map[string]bool, len(n.said))
	for _, line := range lines {
		if !n.said[line] && len(said) < maxSaid {
			n.logger.Warn(line)
		}
		said[line] = true
	}
	n.said = said
}

// maxSaid bounds the lines that one refresh logs about P-Reps.
const maxSaid = 50

// changes are the names of P-Reps by what happened to them, few of each.
type changes struct{ joined, left, moved, renamed names }

// names is a list that prints its first few.
type names []string

func (n names) LogValue() slog.Value {
	const few = 10
	if len(n) <= few {
		return slog.StringValue(strings.Join(n, ", "))
	}
	return slog.StringValue(fmt.Sprintf("%s and %d more", strings.Join(n[:few], ", "), len(n)-few))
}

func diff(from, to []prep) (d changes) {
	old := make(map[string]prep, len(from))
	for _, p := range from {
		old[p.Owner] = p
	}
	for _, p := range to {
		o, known := old[p.Owner]
		delete(old, p.Owner)
		switch {
		case !known:
			d.joined = append(d.joined, p.Name)
		case o.Host != p.Host:
			d.moved = append(d.moved, p.Name)
		case o.Name != p.Name:
			d.renamed = append(d.renamed, p.Name)
		}
	}
	for _, p := range from {
		if _, ok := old[p.Owner]; ok {
			d.left = append(d.left, p.Name)
		}
	}
	return d
}
