package sidecar

import (
	"fmt"
	"strings"

	"github.com/stoker-project/stoker/silencing"
)

// planSilences says what becomes of silences.
func planSilences(p silencing.Preview, err error) AgentPlan {
	a := AgentPlan{Agent: agentSilencing}
	for _, s := range p.Steps {
		switch {
		case s.Before == nil:
			a.step(ActionAdd, s.Key, "silence %s is created, %s, %s: %s", s.Key, times(s.After), matchers(s.After), oneLine(s.After.Comment))
		case s.After == nil:
			a.step(ActionRemove, s.Key, "silence %s ends now, not at %s: %s", s.Key, minuteUTC(s.Before.EndsAt), whyEnded(s.Reason))
		default:
			a.step(ActionChange, s.Key, "silence %s %s", s.Key, strings.Join(edits(s), ", "))
		}
		a.Steps[len(a.Steps)-1].Reason = s.Reason
	}
	for _, o := range p.Held {
		a.step(ActionHold, o.Key(), "silence %s was ended early by hand, and stays ended until its rule is edited", o.Key())
		s := &a.Steps[len(a.Steps)-1]
		s.Reason, s.Until = string(silencing.Held), o.EndsAt
	}
	for _, s := range p.Disowned {
		a.step(ActionHold, s.ID, "silence %s by %s has only half of the mark, and is left to whoever changed it", s.ID, s.CreatedBy)
		a.Steps[len(a.Steps)-1].Reason = string(silencing.Disowned)
	}
	if p.Position > 0 {
		a.step(ActionHold, "", "%d of the cluster's Alertmanagers come before this one, and leave it 30 s later each", p.Position)
	}
	a.problem(err)
	return a
}

// whyEnded says why a silence is ended.
func whyEnded(reason string) string {
	switch reason {
	case "removed":
		return "the file doesn't ask for it any more"
	case "replaced":
		return "its rule asks for another one"
	case "duplicate":
		return "there is another one for the same rule"
	default:
		return reason
	}
}

func matchers(s *silencing.Silence) string {
	var all []string
	for _, m := range s.Matchers {
		all = append(all, m.String())
	}
	return strings.Join(all, ", ")
}

func times(s *silencing.Silence) string {
	return fmt.Sprintf("from %s to %s", minuteUTC(s.StartsAt), minuteUTC(s.EndsAt))
}

// edits says how a silence is changed.
func edits(s silencing.Step) (parts []string) {
	before, after := s.Before, s.After
	if s.Reason != "" {
		return []string{fmt.Sprintf("is made anew, %s, %s", times(after), matchers(after))}
	}
	if after.StartsAt.Unix() != before.StartsAt.Unix() {
		parts = append(parts, fmt.Sprintf("starts at %s, not %s", minuteUTC(after.StartsAt), minuteUTC(before.StartsAt)))
	}
	switch {
	case after.EndsAt.Unix() > before.EndsAt.Unix():
		parts = append(parts, fmt.Sprintf("is extended to %s, it was to end at %s", minuteUTC(after.EndsAt), minuteUTC(before.EndsAt)))
	case after.EndsAt.Unix() < before.EndsAt.Unix():
		parts = append(parts, fmt.Sprintf("is shortened to %s, it was to end at %s", minuteUTC(after.EndsAt), minuteUTC(before.EndsAt)))
	}
	if after.Comment != before.Comment {
		parts = append(parts, fmt.Sprintf("gets the comment %q", after.Comment))
	}
	if parts == nil {
		parts = []string{"gets a new mark"}
	}
	return parts
}
