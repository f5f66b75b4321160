package silencing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/printable"
)

// hushOwner is the owner in the mark of a hush, which no file may have:
//
//	[stoker:ack/<scope>@<latest end>#<hash>]
//	[stoker:ack/<scope>@resolved-<latest end>#<hash>]
//
// with resolved-, it is until resolved. So any sidecar can go on with it.
const hushOwner = "ack"

// resolvedPrefix begins the occurrence of a hush until resolved.
const resolvedPrefix = "resolved-"

// The reasons in the mark of a hush that was ended, besides the end that it had from the beginning.
const (
	resolved = "resolved" // nothing fires any more
	undoneBy = "undone"   // somebody has undone it
)

const severity = "severity"

// instantLayout is that of a time in a mark.
const instantLayout = "20060102T150405Z"

// hushMark returns the mark that makes a silence a hush. Its hash is of all that a person may change in Alertmanager:
// whoever does has a silence of their own from then on, which is left alone.
func (h Hush) mark() mark {
	m := mark{owner: hushOwner, rule: h.Scope, occurrence: h.Latest.UTC().Format(instantLayout)}
	if h.UntilResolved {
		m.occurrence = resolvedPrefix + m.occurrence
	}
	sum := sha256.New()
	for _, ms := range normalize(h.Matchers) {
		fmt.Fprintf(sum, "%q %q %t %t\n", ms.Name, ms.Value, ms.IsRegex, ms.IsEqual)
	}
	fmt.Fprintf(sum, "%q %q %s %s", h.Scope, h.By, m.occurrence, h.EndsAt.UTC().Format(time.RFC3339))
	m.hash = hex.EncodeToString(sum.Sum(nil)[:4])
	return m
}

// parseHush returns the hush that a silence is. Of one that is over only the mark says so, because an early end changes
// what its hash is of.
func parseHush(s Silence) (h Hush, ok bool) {
	m, text, ok := parseMark(s.Comment)
	if !ok || m.owner != hushOwner {
		return Hush{}, false
	}
	instant, untilResolved := strings.CutPrefix(m.occurrence, resolvedPrefix)
	latest, err := time.Parse(instantLayout, instant)
	if err != nil {
		return Hush{}, false
	}
	h = Hush{
		ID: s.ID, Scope: m.rule, By: s.CreatedBy, Comment: text, Matchers: s.Matchers,
		StartsAt: s.StartsAt, EndsAt: s.EndsAt, UntilResolved: untilResolved, Latest: latest,
	}
	return h, !s.live() || h.mark().hash == m.hash && h.alert() != ""
}

// alert returns the name of the alerts that it hushes. Every hush has one.
func (h Hush) alert() string {
	for _, m := range h.Matchers {
		if m.Name == model.AlertNameLabel && m.IsEqual && !m.IsRegex {
			return m.Value
		}
	}
	return ""
}

// silence returns the hush as what is posted, with the mark of what it is now.
func (h Hush) silence() Silence {
	return Silence{
		ID: h.ID, Matchers: h.Matchers, StartsAt: h.StartsAt, EndsAt: h.EndsAt,
		CreatedBy: h.By, Comment: strings.TrimSpace(h.Comment + " " + h.mark().String()),
	}
}

// isScope reports whether s is what a hush may be done in the name of: a contact, which is the name of a file, or the
// command line.
func isScope(s string) bool {
	return s == CLI || s != "" && len(s) <= 255 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// author returns who does something as it may stand in a silence: on one line, and never like the author of a file's
// silences.
func author(by string) string {
	by = strings.TrimSpace(printable.Line(by, 100))
	if strings.HasPrefix(by, createdBy("")) {
		by = "person " + by
	}
	return by
}

// admit checks a request, and makes its texts what may stand in a silence.
func (c HushConfig) admit(r *HushRequest) error {
	r.By, r.Comment = author(r.By), plain(r.Comment)
	switch {
	case len(r.Labels) == 0:
		return fmt.Errorf("%w: it names no label", ErrRequest)
	case !isScope(r.Scope):
		return fmt.Errorf("%w: scope %q must be the name of a contact", ErrRequest, r.Scope)
	case r.By == "":
		return fmt.Errorf("%w: it doesn't say by whom", ErrRequest)
	case r.UntilResolved == (r.For != 0), r.For < 0, r.For%time.Second != 0:
		return fmt.Errorf("%w: it must be for whole seconds or until resolved", ErrRequest)
	case r.For > c.MaxDuration:
		return fmt.Errorf("%w: %s, the limit is %s", ErrTooLong, model.Duration(r.For), model.Duration(c.MaxDuration))
	}
	return nil
}

// propose returns what a request would do, given all alerts that fire and are the same in what was asked for of the
// labels that make matchers but severity, and all silences. For each hush there is the silence to post, nil if it is
// there as it should be. It is a pure function; when the silences have been posted, it returns the same hushes with
// their IDs.
//
// The alerts that fire, have the request's labels and were routed to its receivers fall into sets that are the same in
// all of the site's labels. Each set has one silence:
//
//	live silence of the scope      request        then
//	with the set's matchers
//	-----------------------------  -------------  -------------------------------------------
//	none                           any            a new one
//	not as it was made: a person   any            a new one
//	has changed it
//	any                            for some time  the same one; if that isn't until resolved,
//	                                              the later of both ends
//	any                            until          the same one, until resolved
//	                               resolved
//	several                        any            the first one
//
// A set in which an alert was routed to none of the receivers is left alone, and still sounds.
func propose(c HushConfig, r HushRequest, alerts []FiringAlert, current []Silence, now time.Time) (p Proposal, posts []*Silence, err error) {
	asked := func(a FiringAlert) bool {
		for name, value := range r.Labels {
			if a.Labels[name] != value {
				return false
			}
		}
		return true
	}
	counts := func(a FiringAlert) bool { return r.Receiver == nil || slices.ContainsFunc(a.Receivers, r.Receiver) }

	sets := make(map[string][]FiringAlert)
	for _, a := range alerts {
		if a.Labels[model.AlertNameLabel] != "" {
			key := c.key(a)
			sets[key] = append(sets[key], a)
		}
	}
	hushed := make(map[string]bool) // by key, what has been looked at
	var keys []string               // of those to hush, in the order of the alerts
	shared := false
	for _, a := range alerts {
		if !asked(a) || !counts(a) {
			continue
		}
		key := c.key(a)
		if _, known := hushed[key]; known || len(sets[key]) == 0 {
			continue
		}
		hushed[key] = !slices.ContainsFunc(sets[key], func(a FiringAlert) bool { return !counts(a) })
		if hushed[key] {
			keys = append(keys, key)
		} else {
			shared = true
		}
	}
	switch {
	case len(keys) == 0 && shared:
		return p, nil, ErrShared
	case len(keys) == 0:
		return p, nil, ErrNothingFires
	case len(keys) > maxHushes:
		return p, nil, fmt.Errorf("%w: it would take %d silences, the limit is %d", ErrTooMany, len(keys), maxHushes)
	}
	siblings := make(map[string]bool)
	for _, key := range keys {
		for _, a := range sets[key] {
			if asked(a) {
				p.Alerts = append(p.Alerts, a)
			} else {
				p.Also = append(p.Also, a)
			}
		}
		a := sets[key][0]
		siblings[c.sibling(a)] = true
		h, post := hush(r, c.matchers(a), c.MaxDuration, current, now)
		h.Alerts = len(sets[key])
		p.Hushes, posts = append(p.Hushes, h), append(posts, post)
	}
	for _, a := range alerts {
		if siblings[c.sibling(a)] && !hushed[c.key(a)] && len(a.SilencedBy) == 0 && len(a.InhibitedBy) == 0 {
			p.Sounding = append(p.Sounding, a)
		}
	}
	return p, posts, nil
}

// hush returns the hush that a request makes of matchers, and what to post for it.
func hush(r HushRequest, ms []Matcher, most time.Duration, current []Silence, now time.Time) (Hush, *Silence) {
	now = now.Truncate(time.Second)
	h := Hush{Scope: r.Scope, Matchers: ms, StartsAt: now.Add(-time.Hour)} // the server makes it its own present
	var was *Silence
	for i, s := range current {
		there, ok := parseHush(s)
		m, _, _ := parseMark(s.Comment)
		if !ok || s.Status.State != stateActive || m.ended != "" || there.Scope != r.Scope || !slices.Equal(normalize(there.Matchers), normalize(ms)) {
			continue
		}
		if was == nil || cmp.Or(there.StartsAt.Compare(h.StartsAt), cmp.Compare(there.ID, h.ID)) < 0 {
			h, was = there, &current[i]
		}
	}
	extends := was != nil && !h.UntilResolved
	h.By = r.By
	if r.Comment != "" || was == nil {
		h.Comment = r.Comment
	}
	end := now.Add(r.For)
	if r.UntilResolved {
		end = now.Add(lease)
	}
	switch {
	case r.UntilResolved:
		h.UntilResolved, h.Latest = true, now.Add(most)
		h.EndsAt = earlier(end, h.Latest)
	case extends && h.EndsAt.After(end):
	default:
		h.UntilResolved, h.EndsAt, h.Latest = false, end, end
	}
	post := h.silence()
	if was != nil {
		post.Annotations = was.Annotations
		if post.Comment == was.Comment && post.CreatedBy == was.CreatedBy {
			return h, nil
		}
	} else {
		h.StartsAt = now
	}
	return h, &post
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// matchers returns those of the silence that hushes an alert.
func (c HushConfig) matchers(a FiringAlert) []Matcher {
	ms := make([]Matcher, len(c.Labels))
	for i, name := range c.Labels {
		ms[i] = Matcher{Name: name, Value: a.Labels[name], IsEqual: true}
	}
	return ms
}

// key tells alerts apart that need different matchers.
func (c HushConfig) key(a FiringAlert) string { return c.joined(a, "") }

// sibling is the same for alerts that differ in severity only.
func (c HushConfig) sibling(a FiringAlert) string { return c.joined(a, severity) }

func (c HushConfig) joined(a FiringAlert, but string) string {
	var b strings.Builder
	for _, name := range c.Labels {
		if name != but {
			fmt.Fprintf(&b, "%q ", a.Labels[name])
		}
	}
	return b.String()
}
