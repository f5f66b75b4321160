package sidecar

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
)

// Plan is what [Sidecar.SyncOnce] would change now, on disk and on the servers. Keys of its JSON may be added, and
// keep their meaning:
//
//	{
//	  "changes": true,
//	  "agents": [{
//	    "agent": "prometheus",
//	    "changes": true,
//	    "release": {"live": "1a2b3c4d5e6f", "next": "6f5e4d3c2b1a", "runs": "release", "reload": "sent"},
//	    "steps": [{"action": "publish", "subject": "6f5e4d3c2b1a", "text": "release … goes live …"}],
//	    "files": [{"file": "rules/up.yml", "change": "changed", "diff": "--- live/rules/up.yml\n…"}],
//	    "problems": [{"file": "…", "line": 4, "column": 11, "message": "…"}],
//	    "warnings": []
//	  }]
//	}
//
// No secret and no address of a contact is in it.
type Plan struct {
	// Changes is whether anything would change.
	Changes bool `json:"changes"`
	// Agents are in the order of a pass.
	Agents []AgentPlan `json:"agents"`
}

// AgentPlan is what one agent would do.
type AgentPlan struct {
	Agent   string `json:"agent"`
	Changes bool   `json:"changes"`
	// Release is about the files of a server; nil for other agents.
	Release *PlannedRelease `json:"release,omitempty"`
	// Steps are what would be done, and what wouldn't and why.
	Steps []PlanStep `json:"steps"`
	// Files are those that would change.
	Files []PlannedFile `json:"files,omitempty"`
	// Problems are what would be refused, or can't be found out. Warnings are worth a look.
	Problems []PlanProblem `json:"problems"`
	Warnings []PlanProblem `json:"warnings"`
}

// PlanStep is one thing that would be done or left.
type PlanStep struct {
	// Action is one of the constants below.
	Action Action `json:"action"`
	// Subject is what it is about: the owner of a P-Rep or the name of an exporter, the file of a contact, the name
	// of a release or server, the rule@occurrence or the ID of a silence. Name is that of a P-Rep.
	Subject string `json:"subject,omitempty"`
	Name    string `json:"name,omitempty"`
	// Network is whose it is, of the steps of discovery.
	Network string `json:"network,omitempty"`
	// Reason is why, in a word; Until is for how long, where that is known.
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Text says it in words. It may be worded otherwise in another version.
	Text string `json:"text"`
}

// Action is what a [PlanStep] does.
type Action string

// What would be done. Those of the last line change nothing.
const (
	ActionAdd        Action = "add"        // a P-Rep, exporter, contact, first release or silence comes
	ActionRemove     Action = "remove"     // one goes
	ActionChange     Action = "change"     // one is another
	ActionMove       Action = "move"       // a P-Rep has another host,
	ActionRename     Action = "rename"     // or another name,
	ActionRelabel    Action = "relabel"    // or several have other labels
	ActionPublish    Action = "publish"    // a release goes live in place of another
	ActionReload     Action = "reload"     // a server is told to load it
	ActionHold       Action = "hold"       // something is kept as it is for now
	ActionRefuse     Action = "refuse"     // a P-Rep is no target, a release isn't published
	ActionQuarantine Action = "quarantine" // a contact file isn't used
)

// changes reports whether a step changes something.
func (a Action) changes() bool {
	return a != ActionHold && a != ActionRefuse && a != ActionQuarantine
}

// PlannedRelease is about the files of a server.
type PlannedRelease struct {
	// ConfigFile is the main file of a server whose files stay in their place.
	ConfigFile string `json:"config_file,omitempty"`
	// Live is the release that is live, Next the one that the sources ask for; absent if there is none.
	Live string `json:"live,omitempty"`
	Next string `json:"next,omitempty"`
	// Runs is what the server runs: release (the live one, or next if none is live), other or unknown. Why says
	// more, in words.
	Runs reload.Runs `json:"runs"`
	Why  string      `json:"why,omitempty"`
	// Reload is whether it would be told to load a release: sent, none, or unknown if it can't be asked.
	Reload reload.Reload `json:"reload"`
}

// PlannedFile is a file that would change.
type PlannedFile struct {
	// File is the path in the release, or that of a targets file.
	File string `json:"file"`
	// Change is added, changed or removed.
	Change string `json:"change"`
	// Diff is in the unified format, with <secret> in the place of secrets. Where there is none, Note may say why.
	Diff string `json:"diff,omitempty"`
	Note string `json:"note,omitempty"`
}

// PlanProblem is a problem or warning with its place, as far as it has one.
type PlanProblem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}

// Refused reports whether something would be refused, or couldn't be found out.
func (p *Plan) Refused() bool {
	return slices.ContainsFunc(p.Agents, func(a AgentPlan) bool { return len(a.Problems) > 0 })
}

// Plan finds out what [Sidecar.SyncOnce] would change now. It asks networks and servers, writes nothing and takes no
// lock, so it works beside a running stoker. It is for a Sidecar that has done no pass: what one has learnt of
// refused releases and sick endpoints would be part of the answer.
func (s *Sidecar) Plan(ctx context.Context) *Plan {
	p := &Plan{Agents: []AgentPlan{}}
	defer func() { s.planned = nil }()
	var contactsErr error
	for _, l := range s.loops {
		switch l.name {
		case agentDiscovery:
			p.add(planDiscovery(s.discovery.Plan(ctx)))
		case agentPrometheus:
			planned := l.agent.(*reload.Agent).Plan(ctx)
			s.planned = &planned
			p.add(planRelease(planned))
		case agentRouting:
			_, contactsErr = l.agent.Sync(ctx) // which only reads
			if !slices.ContainsFunc(s.loops, func(l *loop) bool { return l.name == agentAlertmanager }) {
				a := AgentPlan{Agent: agentRouting}
				a.problem(contactsErr)
				p.add(a)
			}
		case agentAlertmanager:
			planned := l.agent.(*reload.Agent).Plan(ctx)
			if s.routing != nil {
				p.add(planContacts(s.routing.Status(), contactsErr, planned))
			}
			p.add(planRelease(planned))
		case agentSilencing:
			p.add(planSilences(s.silencing.Preview(ctx)))
		}
	}
	return p
}

func (p *Plan) add(a AgentPlan) {
	for _, step := range a.Steps {
		a.Changes = a.Changes || step.Action.changes()
	}
	if a.Steps == nil {
		a.Steps = []PlanStep{}
	}
	if a.Problems == nil {
		a.Problems = []PlanProblem{}
	}
	if a.Warnings == nil {
		a.Warnings = []PlanProblem{}
	}
	p.Changes = p.Changes || a.Changes
	p.Agents = append(p.Agents, a)
}

func (a *AgentPlan) step(action Action, subject, format string, args ...any) {
	a.Steps = append(a.Steps, PlanStep{Action: action, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// problem adds the problems in an error.
func (a *AgentPlan) problem(err error) { a.Problems = append(a.Problems, planProblems(err)...) }

func planProblems(err error) (problems []PlanProblem) {
	for _, e := range listOf(err) {
		problems = append(problems, PlanProblem{e.Pos.Filename, e.Pos.Line, e.Pos.Column, oneLine(e.Msg)})
	}
	return problems
}

// planRelease says what becomes of a server's release.
func planRelease(r reload.Planned) AgentPlan {
	a := AgentPlan{Agent: r.Server, Release: &PlannedRelease{
		ConfigFile: r.ConfigFile, Live: r.Live, Next: r.Next, Runs: r.Runs, Why: oneLine(r.Why), Reload: r.Reload,
	}}
	a.problem(r.Refused)
	a.Warnings = planProblems(r.Warnings.Err())
	stays := "no release is live"
	if r.Live != "" {
		stays = r.Live + " stays live"
	}
	switch {
	case r.Refused != nil && r.ConfigFile != "":
		a.step(ActionRefuse, r.ConfigFile, "%s is refused: no reload is sent", r.ConfigFile)
	case r.Refused != nil && r.Next == "":
		a.step(ActionRefuse, "", "no release can be made, %s", stays)
	case r.Refused != nil:
		a.step(ActionRefuse, r.Next, "release %s is refused, %s", r.Next, stays)
	case r.ConfigFile != "" || r.Next == r.Live:
	case r.Live == "":
		a.step(ActionAdd, r.Next, "release %s goes live, the first one", r.Next)
	default:
		a.step(ActionPublish, r.Next, "release %s goes live in place of %s", r.Next, r.Live)
	}
	switch {
	case r.Reload == reload.ReloadUnknown:
		a.step(ActionHold, r.Server, "%s can't be asked now: no reload is sent, it starts from the live release", r.Server)
	case r.Reload == reload.ReloadNone:
	case r.ConfigFile != "":
		a.step(ActionReload, r.Server, "%s is told to load %s, as always when stoker starts", r.Server, r.ConfigFile)
	case r.Refused == nil && r.Next != r.Live:
		a.step(ActionReload, r.Server, "%s is told to load it", r.Server)
	case r.Runs == reload.RunsOther:
		a.step(ActionReload, r.Server, "%s is told to load the live release, because it runs something else", r.Server)
	default:
		a.step(ActionReload, r.Server, "%s is told to load the live release, which it wasn't proved to run yet", r.Server)
	}
	for _, f := range r.Files {
		if _, contact := routing.ContactOf(f.Path); !contact { // those are steps of routing
			a.Files = append(a.Files, PlannedFile{File: f.Path, Change: changeVerbs[f.Change], Diff: f.Diff, Note: f.Note})
		}
	}
	return a
}

// planContacts says what becomes of contact files: how their sources in the next release differ from those in the
// live one, and which aren't used as they are.
func planContacts(status routing.Status, err error, r reload.Planned) AgentPlan {
	a := AgentPlan{Agent: agentRouting}
	for _, f := range r.Files {
		stem, contact := routing.ContactOf(f.Path)
		if !contact {
			continue
		}
		switch f.Change {
		case '+':
			a.step(ActionAdd, stem, "contact %s is accepted", stem)
		case '-':
			a.step(ActionRemove, stem, "contact %s is removed", stem)
		default:
			a.step(ActionChange, stem, "contact %s is changed", stem)
		}
	}
	told := false
	for _, c := range status.Contacts {
		if len(c.Problems) == 0 {
			continue
		}
		told = true
		consequence := "its last good version stays"
		if !c.Routed {
			consequence = "its alerts reach nobody but the receivers of the base"
		}
		a.step(ActionQuarantine, c.File, "%s is quarantined: %s", c.File, consequence)
		a.problem(c.Problems)
	}
	if !told {
		a.problem(err)
	}
	return a
}

// planDiscovery says what becomes of P-Reps.
func planDiscovery(networks []discovery.Planned) AgentPlan {
	a := AgentPlan{Agent: agentDiscovery}
	for _, n := range networks {
		planNetwork(&a, n)
	}
	return a
}
