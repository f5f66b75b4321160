package silencing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
)

const (
	// lease is how long a hush until resolved silences unless it is extended: so long it goes on if nobody is there
	// to end it.
	lease = 15 * time.Minute

	// maxHushes bounds the silences of one request.
	maxHushes = 20
)

// HushConfig is what a site decides about hushes.
type HushConfig struct {
	// Labels are those that make a hush's matchers. One that an alert lacks has to be lacking in all that is
	// silenced, so that a hush silences what is the same in all of them and nothing else. They must name alertname,
	// and severity, so that a critical sibling still sounds.
	Labels []string
	// MaxDuration bounds a hush, also one until resolved, from when somebody last asked for it. Default: 24 h.
	MaxDuration time.Duration
}

// A HushRequest says what to hush: the alerts that fire now, have the labels, and were routed to one of the receivers.
type HushRequest struct {
	// Labels are exact. At least one is needed.
	Labels map[string]string
	// Receiver says whether an alert that was routed to a receiver of this name counts. Nil: every alert does. With
	// it, nothing is hushed that would also hush a firing alert that doesn't count.
	Receiver func(name string) bool
	// For is how long, from now, in whole seconds. Zero with UntilResolved.
	For           time.Duration
	UntilResolved bool
	// Scope is the contact in whose name it is done, CLI for the command line; By who does it, Comment why.
	Scope, By, Comment string
}

// CLI is the scope of hushes from the command line. No contact can have that name.
const CLI = "_cli"

// A FiringAlert is an alert that fires now.
type FiringAlert struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"starts_at"`
	Receivers   []string          `json:"receivers,omitempty"`
	// SilencedBy are the IDs of the silences that silence it, InhibitedBy the fingerprints of the alerts that inhibit
	// it.
	SilencedBy  []string `json:"silenced_by,omitempty"`
	InhibitedBy []string `json:"inhibited_by,omitempty"`
}

// A Hush is a silence that hushes, made by a [Desk].
type Hush struct {
	ID       string
	Scope    string
	By       string
	Comment  string // without mark
	Matchers []Matcher
	StartsAt time.Time
	// EndsAt is when it ends; until resolved, when it ends if nobody is there to extend it.
	EndsAt        time.Time
	UntilResolved bool
	// Latest is when it ends at the latest: until resolved, also if its alerts still fire then.
	Latest time.Time
	// Alerts are how many firing alerts it silences now.
	Alerts int
}

// A Proposal is what a request would do.
type Proposal struct {
	// Alerts would be hushed.
	Alerts []FiringAlert
	// Also would be hushed too, though they lack a label that was asked for: they are the same in what makes the
	// matchers.
	Also []FiringAlert
	// Hushes are the silences that it takes, one for each set of matchers; those with an ID are there and are extended.
	Hushes []Hush
	// Sounding are alerts that differ in severity only, such as the critical sibling, and would still sound.
	Sounding []FiringAlert
}

// Why a request is refused, apart from what Alertmanager says.
var (
	// ErrNothingFires: no alert that fires now has the labels and was routed to the receivers.
	ErrNothingFires = errors.New("no alert like that fires now")
	// ErrTooLong: longer than MaxDuration.
	ErrTooLong = errors.New("longer than allowed")
	// ErrTooMany: it would take too many silences.
	ErrTooMany = errors.New("too many different alerts")
	// ErrShared: it would also hush alerts that were routed to others only.
	ErrShared = errors.New("alerts of others are the same in what makes the matchers")
	// ErrNoHush: there is no hush of that ID that is allowed to be ended.
	ErrNoHush = errors.New("no such hush")
	// ErrRequest: the request makes no sense.
	ErrRequest = errors.New("not a request to hush")
)

// A Desk hushes firing alerts at one Alertmanager. It keeps nothing: what is hushed is Alertmanager's to say.
type Desk struct {
	cfg    HushConfig
	client client
	now    func() time.Time

	// One at a time, or two taps at once would make two silences.
	writing sync.Mutex
}

// NewDesk returns a desk. Of the options it takes how Alertmanager is reached.
func NewDesk(o Options, c HushConfig) (*Desk, error) {
	if o.AlertmanagerURL == nil || o.AlertmanagerURL.Host == "" {
		return nil, errors.New("a hush needs the URL of an Alertmanager")
	}
	if c.MaxDuration == 0 {
		c.MaxDuration = 24 * time.Hour
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &Desk{cfg: c, client: newClient(o), now: time.Now}, nil
}

func (c HushConfig) validate() error {
	var errs []error
	for _, name := range []string{model.AlertNameLabel, severity} {
		if !slices.Contains(c.Labels, name) {
			errs = append(errs, fmt.Errorf("labels: must name %s", name))
		}
	}
	for i, name := range c.Labels {
		if name == "" || slices.Index(c.Labels, name) < i {
			errs = append(errs, fmt.Errorf("labels[%d]: %q is empty or there twice", i, name))
		}
	}
	if c.MaxDuration < time.Minute || c.MaxDuration > maxDuration {
		errs = append(errs, fmt.Errorf("max_duration: must be between 1m and %s", model.Duration(maxDuration)))
	}
	return errors.Join(errs...)
}

func newClient(o Options) client {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second}
	}
	return client{url: o.AlertmanagerURL, http: o.Client}
}

// Firing returns the alerts that fire now and have the labels, silenced and inhibited ones too.
func (d *Desk) Firing(ctx context.Context, labels map[string]string) ([]FiringAlert, error) {
	return d.client.firing(ctx, equals(labels))
}

// Propose says what a request would do; it changes nothing.
func (d *Desk) Propose(ctx context.Context, r HushRequest) (Proposal, error) {
	p, _, err := d.plan(ctx, r)
	return p, err
}

// Hush does it: it makes silences, or extends in place those of the same scope and matchers. It returns those that
// were made or extended, also with an error of the others.
func (d *Desk) Hush(ctx context.Context, r HushRequest) ([]Hush, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	p, posts, err := d.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	var done []Hush
	for i, h := range p.Hushes {
		if posts[i] != nil {
			if h.ID, err = d.client.post(ctx, *posts[i]); err != nil {
				return done, err
			}
		}
		done = append(done, h)
	}
	return done, nil
}

// End ends a hush that is allowed to be ended, given by its ID or the beginning of one, and returns it. Others of the
// same scope and matchers, as two people make them at the same moment, end with it.
func (d *Desk) End(ctx context.Context, id, by string, allowed func(Hush) bool) (Hush, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	list, err := d.client.silences(ctx)
	if err != nil {
		return Hush{}, err
	}
	s, err := byID(list, id)
	if err != nil {
		return Hush{}, fmt.Errorf("%w: %w", ErrNoHush, err)
	}
	h, ok := parseHush(s)
	switch {
	case !ok || allowed != nil && !allowed(h):
		return Hush{}, fmt.Errorf("%w: silence %s isn't one", ErrNoHush, s.ID)
	case !s.live():
		return Hush{}, fmt.Errorf("%w: %s is over since %s", ErrNoHush, s.ID, s.EndsAt.UTC().Format(time.RFC3339))
	}
	for _, other := range list {
		same, ok := parseHush(other)
		if !ok || !other.live() || same.Scope != h.Scope || !slices.Equal(normalize(same.Matchers), normalize(h.Matchers)) {
			continue
		}
		if by = author(by); by != "" && by != same.By {
			m, text, _ := parseMark(other.Comment)
			other.Comment = strings.TrimSpace(text+" (undone by "+by+")") + " " + m.String()
		}
		if _, err := d.client.end(ctx, other, undoneBy, nil); err != nil {
			return Hush{}, err
		}
	}
	h.EndsAt = d.now().Truncate(time.Second)
	return h, nil
}

// Hushes returns what is hushed now, in the order of the ends.
func (d *Desk) Hushes(ctx context.Context) ([]Hush, error) {
	list, err := d.client.silences(ctx)
	if err != nil {
		return nil, err
	}
	hushes := []Hush{}
	var of []Silence
	for _, s := range list {
		if h, ok := parseHush(s); ok && s.live() {
			hushes, of = append(hushes, h), append(of, s)
		}
	}
	if len(hushes) == 0 {
		return hushes, nil
	}
	n, err := d.client.counts(ctx, of)
	if err != nil {
		return nil, err
	}
	for i := range hushes {
		hushes[i].Alerts = n[hushes[i].ID]
	}
	slices.SortFunc(hushes, func(a, b Hush) int { return cmp.Or(a.EndsAt.Compare(b.EndsAt), cmp.Compare(a.ID, b.ID)) })
	return hushes, nil
}

// plan asks Alertmanager what there is, and returns what a request would do: for each hush of the proposal the silence
// to post, nil if it is there as it should be.
func (d *Desk) plan(ctx context.Context, r HushRequest) (Proposal, []*Silence, error) {
	now := d.now()
	if err := d.cfg.admit(&r); err != nil {
		return Proposal{}, nil, err
	}
	// Not by what doesn't make the matchers: what is silenced as well has to be seen. And siblings are of another
	// severity.
	ask := make(map[string]string)
	for _, name := range d.cfg.Labels {
		if v, ok := r.Labels[name]; ok && name != severity {
			ask[name] = v
		}
	}
	alerts, err := d.client.firing(ctx, equals(ask))
	if err != nil {
		return Proposal{}, nil, err
	}
	current, err := d.client.silences(ctx)
	if err != nil {
		return Proposal{}, nil, err
	}
	return propose(d.cfg, r, alerts, current, now)
}

// equals returns a matcher for each label, in order.
func equals(labels map[string]string) []Matcher {
	var ms []Matcher
	for name, value := range labels {
		ms = append(ms, Matcher{Name: name, Value: value, IsEqual: true})
	}
	return normalize(ms)
}

// firing returns the alerts that match all of the matchers and fire, whether they are silenced, inhibited or neither.
func (c *client) firing(ctx context.Context, ms []Matcher) ([]FiringAlert, error) {
	with, u := *c, *c.url
	u.RawQuery = url.Values{"filter": texts(ms), "active": {"true"}, "silenced": {"true"}, "inhibited": {"true"}}.Encode()
	with.url = &u
	var answer []struct {
		Fingerprint string            `json:"fingerprint"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		StartsAt    time.Time         `json:"startsAt"`
		Receivers   []struct {
			Name string `json:"name"`
		} `json:"receivers"`
		Status struct {
			SilencedBy  []string `json:"silencedBy"`
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	if err := with.do(ctx, http.MethodGet, "alerts", nil, &answer); err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, errors.New("GET alerts: not a list")
	}
	alerts := make([]FiringAlert, len(answer))
	for i, a := range answer {
		alerts[i] = FiringAlert{
			Fingerprint: a.Fingerprint, Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.StartsAt,
			SilencedBy: a.Status.SilencedBy, InhibitedBy: a.Status.InhibitedBy,
		}
		for _, r := range a.Receivers {
			alerts[i].Receivers = append(alerts[i].Receivers, r.Name)
		}
	}
	return alerts, nil
}
