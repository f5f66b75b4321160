package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/sidecar"
)

// errChanges ends a plan that would change something, for --detailed-exitcode.
var errChanges = errors.New("something would change")

func (a *app) addPlan(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("plan", "Show what sync would change now, on disk and on the servers, and change nothing. Secrets and addresses are not shown.")
	a.agentFlag(c)
	format := c.Flag("format", "How it is printed: text, for people, or json.").Default("text").Enum("text", "json")
	var text sidecar.PlanText
	c.Flag("diff-lines", "How many lines of each file's diff the text has at most; 0 for the names only.").Default("100").IntVar(&text.DiffLines)
	c.Flag("targets-diff", "Show the diffs of targets files too, not only what becomes of each P-Rep.").BoolVar(&text.Targets)
	detailed := c.Flag("detailed-exitcode", "End with 3 if something would change, 0 if nothing would.").Bool()
	acceptDrop := c.Flag("accept-drop", "Show what it would change to let the next answer of this network count even if many of its nodes are gone, repeatable.").
		PlaceHolder("NETWORK").Strings()
	register(c, func(ctx context.Context) error {
		if text.DiffLines < 0 {
			return usageError{errors.New("--diff-lines must not be negative")}
		}
		cfg, err := a.load()
		if err != nil {
			return err
		}
		// Without a logger: what there is to say is in the plan.
		s, err := sidecar.New(cfg, sidecar.Options{Agents: a.agents})
		if err != nil {
			return usageError{err}
		}
		if err := s.AcceptDrop(*acceptDrop); err != nil {
			return usageError{err}
		}
		p := s.Plan(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := a.printPlan(p, *format, text); err != nil {
			return err
		}
		switch {
		case p.Refused():
			return errProblems
		case *detailed && p.Changes:
			return errChanges
		}
		return nil
	})
}

func (a *app) printPlan(p *sidecar.Plan, format string, text sidecar.PlanText) error {
	for _, agent := range p.Agents {
		for _, list := range [][]sidecar.PlanProblem{agent.Problems, agent.Warnings} {
			for i := range list {
				list[i].File = shown(list[i].File)
			}
		}
		for i := range agent.Files {
			agent.Files[i].File = shown(agent.Files[i].File)
		}
	}
	if format == "text" {
		return p.WriteText(a.stdout, text)
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // <secret> is to be read
	return enc.Encode(p)
}
