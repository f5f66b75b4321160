package sidecar

import (
	"fmt"
	"io"
	"strings"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/reload"
)

// fewSteps is how many steps of one kind the text lists: a network can refuse hundreds of P-Reps for the same reason.
const fewSteps = 10

// PlanText says how much of a [Plan] its text has.
type PlanText struct {
	// DiffLines is how many lines of each file's diff are written at most; with 0 only the names of files are.
	DiffLines int
	// Targets is whether the diffs of targets files are written: the steps say the same in fewer words, and one
	// P-Rep that joins changes the ranks of all below it.
	Targets bool
}

// WriteText writes the plan for people, as it suits a comment on a pull request in a block of diff.
func (p *Plan) WriteText(w io.Writer, o PlanText) error {
	var b strings.Builder
	var changed []string
	problems := 0
	for _, a := range p.Agents {
		problems += len(a.Problems)
		if a.Changes {
			changed = append(changed, a.Agent)
		}
		a.write(&b, o)
	}
	summary := "nothing would change"
	if len(changed) > 0 {
		summary = "would change: " + strings.Join(changed, ", ")
	}
	if problems > 0 {
		summary += "; " + plural(problems, "problem")
	}
	fmt.Fprintln(&b, summary)
	_, err := io.WriteString(w, b.String())
	return err
}

func (a *AgentPlan) write(b *strings.Builder, o PlanText) {
	runs := ""
	if a.Release != nil {
		runs = a.Release.about()
	}
	if len(a.Steps)+len(a.Files)+len(a.Problems)+len(a.Warnings) == 0 && runs == "" {
		return
	}
	fmt.Fprintf(b, "%s%s\n", a.Agent, runs)
	for _, problem := range a.Problems {
		fmt.Fprintln(b, problem)
	}
	for _, warning := range a.Warnings {
		warning.Message = "warning: " + warning.Message
		fmt.Fprintln(b, warning)
	}
	type kind struct {
		action          Action
		network, reason string
	}
	listed := map[kind]int{}
	total := map[kind]int{}
	for _, s := range a.Steps {
		total[kind{s.Action, s.Network, s.Reason}]++
	}
	for _, s := range a.Steps {
		k := kind{s.Action, s.Network, s.Reason}
		switch listed[k]++; {
		case listed[k] <= fewSteps:
			fmt.Fprintf(b, "%s %s\n", s.Action.sign(), s.Text)
		case listed[k] == total[k]:
			fmt.Fprintf(b, "%s … and %d more like these, see --format=json\n", s.Action.sign(), total[k]-fewSteps)
		}
	}
	for _, f := range a.Files {
		lines := o.DiffLines
		if a.Agent == agentDiscovery && !o.Targets {
			lines, f.Note = 0, countLines(f.Diff)+" (--targets-diff shows them)"
		}
		f.write(b, lines)
	}
	b.WriteByte('\n')
}

// about says what the server runs, where that isn't what it should.
func (r *PlannedRelease) about() string {
	what := "the live release"
	if r.Live == "" {
		what = "the next release"
	}
	if r.ConfigFile != "" {
		what = r.ConfigFile
	}
	switch r.Runs {
	case reload.RunsOther:
		return fmt.Sprintf(": runs something else than %s: %s", what, r.Why)
	case reload.RunsUnknown:
		return ": unknown what it runs: " + r.Why
	default:
		return ""
	}
}

func (f *PlannedFile) write(b *strings.Builder, diffLines int) {
	sign := map[string]string{"added": "+", "removed": "-"}[f.Change]
	if sign == "" {
		sign = "~"
	}
	if f.Diff == "" || diffLines == 0 {
		note := ""
		if f.Note != "" {
			note = ": " + f.Note
		}
		fmt.Fprintf(b, "%s %s%s\n", sign, printable.Quote(f.File), note)
		return
	}
	lines := strings.SplitAfter(strings.TrimSuffix(f.Diff, "\n"), "\n")
	for _, line := range lines[:min(len(lines), diffLines)] {
		b.WriteString(line)
	}
	if len(lines) > diffLines {
		fmt.Fprintf(b, "… and %d more lines of this file", len(lines)-diffLines)
	}
	b.WriteByte('\n')
}

// countLines says how long a diff is.
func countLines(diff string) string {
	added, removed := -1, -1 // but for the headers
	for line := range strings.Lines(diff) {
		switch line[0] {
		case '+':
			added++
		case '-':
			removed++
		}
	}
	return fmt.Sprintf("%s added, %s removed", plural(added, "line"), plural(removed, "line"))
}

// sign begins the line of a step; those of additions and removals are coloured in a block of diff.
func (a Action) sign() string {
	switch a {
	case ActionAdd:
		return "+"
	case ActionRemove:
		return "-"
	case ActionHold:
		return "="
	case ActionRefuse, ActionQuarantine:
		return "!"
	default:
		return "~"
	}
}

// String returns the problem as compilers print theirs.
func (p PlanProblem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	if place != "" {
		place += ": "
	}
	return place + p.Message
}
