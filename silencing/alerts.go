package silencing

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// countEvery is how often the alerts of the same silences are counted again.
const countEvery = 5 * time.Minute

// counts has by the ID of a silence how many firing alerts it silences. What
// isn't in it is unknown.
type counts map[string]int

// counts asks how many alerts each of the active silences in the list silences
// now. Several silences of one alert all count it.
func (c *client) counts(ctx context.Context, list []Silence) (counts, error) {
	var alerts []struct {
		Status struct {
			SilencedBy []string `json:"silencedBy"`
		} `json:"status"`
	}
	// Only those that are silenced or inhibited: most alerts of a bad day are not.
	with, u := *c, *c.url
	u.RawQuery = url.Values{"active": {"false"}, "inhibited": {"true"}, "silenced": {"true"}}.Encode()
	with.url = &u
	if err := with.do(ctx, http.MethodGet, "alerts", nil, &alerts); err != nil {
		return nil, err
	}
	if alerts == nil {
		return nil, errors.New("GET alerts: not a list")
	}
	n := make(counts)
	for _, s := range list {
		if s.Status.State == stateActive {
			n[s.ID] = 0
		}
	}
	for _, a := range alerts {
		for _, id := range a.Status.SilencedBy {
			if _, ok := n[id]; ok {
				n[id]++
			}
		}
	}
	return n, nil
}

// count keeps the number of alerts that each silence silences. It asks only if
// there is an active silence, and then when another one of the file has become
// active and every five minutes: so a steady pass has no request for it. What
// can't be counted is unknown, which is no failure of the pass.
func (a *Agent) count(ctx context.Context) {
	any := slices.ContainsFunc(a.found.list, func(s Silence) bool { return s.Status.State == stateActive })
	fresh := slices.ContainsFunc(a.found.active(), func(s Silence) bool { _, known := a.counted[s.ID]; return !known })
	now := time.Now()
	if !any {
		a.counted, a.countedAt, a.countFailed = counts{}, now, false
	} else if now.Sub(a.countedAt) >= countEvery || fresh && !a.countFailed {
		before := a.counted
		n, err := a.client.counts(ctx, a.found.list)
		if err != nil && !a.countFailed {
			a.logger.Warn("the alerts that silences silence can't be counted, will retry in five minutes", "err", err)
		}
		a.counted, a.countedAt, a.countFailed = n, now, err != nil
		a.tellCounts(before)
	}
	a.metrics.alerts(a.found, a.counted)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = seen{a.found, a.counted, a.countedAt}
}

// tellCounts logs what silences begin to silence.
func (a *Agent) tellCounts(before counts) {
	for _, s := range a.found.active() {
		n, known := a.counted[s.ID]
		_, told := before[s.ID]
		if m, _, _ := parseMark(s.Comment); known && !told {
			a.logger.Info("counted the alerts that a rule silences now", "rule", m.rule, "alerts", n, "ends_at", s.EndsAt)
		}
	}
}
