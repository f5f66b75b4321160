package sidecar

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/stoker-project/stoker/discovery"
)

// planNetwork adds what becomes of one network's targets file.
func planNetwork(a *AgentPlan, n discovery.Planned) {
	step := func(s PlanStep, format string, args ...any) {
		s.Network, s.Text = n.Network, n.Network+": "+fmt.Sprintf(format, args...)
		a.Steps = append(a.Steps, s)
	}
	began := len(a.Steps)
	relabelled := 0
	for _, c := range n.Changes {
		s := PlanStep{Subject: c.Owner, Name: c.Name}
		who := fmt.Sprintf("%s (%s)", c.Name, c.Owner)
		switch c.What {
		case discovery.PrepJoins:
			s.Action = ActionAdd
			step(s, "%s joins at %s", who, c.To)
		case discovery.PrepLeaves:
			s.Action = ActionRemove
			step(s, "%s leaves, it was at %s", who, c.From)
		case discovery.PrepMoves:
			s.Action = ActionMove
			step(s, "%s moves from %s to %s", who, c.From, c.To)
		case discovery.PrepRenamed:
			s.Action = ActionRename
			step(s, "%s is renamed, it was %s", who, c.From)
		default:
			relabelled++
		}
	}
	if relabelled > 0 {
		step(PlanStep{Action: ActionRelabel}, "%s get other labels, such as their rank", plural(relabelled, "P-Rep"))
	}
	for _, exporter := range slices.Sorted(maps.Keys(n.Exporters)) {
		if count := n.Exporters[exporter]; count > 0 {
			step(PlanStep{Action: ActionAdd, Subject: exporter}, "exporter %s comes with %s", exporter, plural(count, "target"))
		} else {
			step(PlanStep{Action: ActionRemove, Subject: exporter}, "exporter %s goes with %s", exporter, plural(-count, "target"))
		}
	}
	for _, c := range n.Claims {
		s := PlanStep{Subject: c.Owner}
		who := fmt.Sprintf("exporter %s of %s", c.Exporter, c.Owner)
		switch {
		case c.Gone:
			s.Action = ActionChange
			step(s, "%s is scraped as without contact %s, which says nothing of it any more", who, c.File)
		case c.State == discovery.ClaimUsed:
			s.Action = ActionChange
			step(s, "%s is scraped as contact %s says", who, c.File)
		default:
			s.Action, s.Reason = ActionRefuse, c.State
			step(s, "%s is scraped as without contact %s: %s", who, c.File, c.State)
		}
	}
	if string(n.Before) != string(n.After) && len(a.Steps) == began {
		step(PlanStep{Action: ActionChange}, "targets get other paths or ports")
	}
	for _, h := range n.Held {
		s := PlanStep{Action: ActionHold, Subject: h.Owner, Name: h.Name, Reason: h.Reason, Until: h.Until}
		step(s, "%s (%s) keeps its targets: %s", h.Name, h.Owner, whyHeld(n.Network, h))
	}
	for _, r := range n.Refused {
		s := PlanStep{Action: ActionRefuse, Subject: r.Owner, Name: r.Name, Reason: r.Reason}
		step(s, "%s (%s) is no target: %s, its endpoint is %q", r.Name, r.Owner, r.Reason, r.Endpoint)
	}
	if n.Err != nil {
		a.problem(fmt.Errorf("%s: %w", n.Network, n.Err))
	}
	for _, f := range []PlannedFile{targetsFile(n.File, n.Before, n.After), targetsFile(n.Owned, n.OwnedBefore, n.OwnedAfter)} {
		if f.Diff != "" {
			a.Files = append(a.Files, f)
		}
	}
}

// whyHeld says why a P-Rep's targets stay, and for how long.
func whyHeld(network string, h discovery.PlannedHeld) string {
	switch h.Reason {
	case discovery.HeldAbsent:
		return fmt.Sprintf("absent since %s, they go at %s unless it comes back", minuteUTC(h.Since), minuteUTC(h.Until))
	case discovery.HeldDrop:
		return fmt.Sprintf("too many are gone at once since %s; they go at %s, when another endpoint agrees, or by stoker sync --accept-drop=%s",
			minuteUTC(h.Since), minuteUTC(h.Until), network)
	case discovery.HeldDisputed:
		return "another endpoint still lists it where it was; it goes or moves when the endpoints agree"
	case discovery.HeldUnresolved:
		return "its hostname isn't found, which is for an alert to say"
	default:
		return h.Reason
	}
}

func minuteUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// targetsFile is the change of a targets file. Nothing in it is secret: the network says it to everybody, and what
// contacts say of URLs stands in their files.
func targetsFile(file string, before, after []byte) PlannedFile {
	f := PlannedFile{File: file, Change: "changed"}
	from, to := "live/"+filepath.Base(file), "planned/"+filepath.Base(file)
	if before == nil {
		f.Change, from = "added", "/dev/null"
	}
	if after == nil {
		f.Change, to = "removed", "/dev/null"
	}
	_, f.Diff, _ = strings.Cut(string(diff.Diff(from, before, to, after)), "\n")
	return f
}
