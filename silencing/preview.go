package silencing

import (
	"context"
	"fmt"
	"time"
)

// Preview is what a pass would write now.
type Preview struct {
	// Steps are what would be done, in that order.
	Steps []Step
	// Held are desired, but were ended by a person, which is respected.
	Held []Occurrence
	// Disowned are running or pending silences with only half of the owner's mark, which are left alone.
	Disowned []Silence
	// Position is the Alertmanager's place among its peers, -1 where there is nothing to write. The sidecars of
	// those before it come first, by 30 s each.
	Position int
}

// Step is one silence that would be created, edited or ended.
type Step struct {
	// Kind says why; Key is the silence's rule@occurrence.
	Kind Kind
	Key  string
	// Before is what Alertmanager has, nil for a silence that would be created; After what it would have, nil for
	// one that would be ended. An edit keeps the ID, a replacement doesn't. Their comments have no mark.
	Before, After *Silence
	// Reason is why Before would be ended; "" if it wouldn't.
	Reason string
}

// Preview reads the file and lists the silences, as a Sync does, and writes nothing.
func (a *Agent) Preview(ctx context.Context) (Preview, error) {
	a.pass.Lock()
	defer a.pass.Unlock()
	p := Preview{Position: -1}
	if err := a.load(ctx); err != nil {
		return p, err
	}
	a.recall()
	current, err := a.client.silences(ctx)
	if err != nil {
		return p, err
	}
	now := time.Now()
	plan := Plan(a.cfg.Owner, current, Desired(a.good, now), a.state.holds, now)
	p.Held, p.Disowned = plan.Held, plan.Disowned
	for _, c := range plan.Writes {
		p.Steps = append(p.Steps, plan.step(c, now))
	}
	if len(plan.Writes) > 0 {
		if p.Position, err = a.client.position(ctx); err != nil {
			p.Position = -1
			return p, fmt.Errorf("%d changes are waiting: %w", len(plan.Writes), err)
		}
	}
	return p, nil
}

func (c Changes) step(w Change, now time.Time) Step {
	s := Step{Kind: w.Kind, Key: w.Key, Reason: w.Reason, Before: withoutMark(w.End), After: withoutMark(w.Post)}
	if serving, ok := c.Serving[w.Key]; ok && w.End == nil {
		s.Before = withoutMark(&serving)
	}
	if s.After != nil && s.Before == nil && s.After.StartsAt.Before(now) {
		s.After.StartsAt = now // as Alertmanager has it
	}
	return s
}

// withoutMark returns a copy with the comment as people wrote it.
func withoutMark(s *Silence) *Silence {
	if s == nil {
		return nil
	}
	c := *s
	if _, text, marked := parseMark(c.Comment); marked {
		c.Comment = text
	}
	return &c
}

// Key names the occurrence among all of the file: rule@occurrence.
func (o Occurrence) Key() string { return o.key() }
