package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/sidecar"
	"github.com/stoker-project/stoker/silencing"
)

func (a *app) addSilences(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("silences", "Ask Alertmanager what is silenced now and by what. Needs no running stoker; changes nothing.")

	list := c.Command("list", "Print a table of all silences and of all rules of the file, in the order of their ends.").Default()
	all := list.Flag("all", "Also those that are over.").Bool()
	format := list.Flag("format", "How they are printed: text or json.").Default("text").Enum("text", "json")
	register(list, func(ctx context.Context) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		survey, fileErr, countErr, err := sidecar.Silences(ctx, cfg)
		if fileErr != nil {
			// The silences are worth a look all the same.
			printProblems(a.stderr, "stoker: ", fileErr)
		}
		if err != nil {
			return err
		}
		if countErr != nil {
			fmt.Fprintf(a.stderr, "stoker: the alerts that they silence are unknown: %v\n", countErr)
		}
		if err := a.printSilences(survey, *all, *format); err != nil {
			return err
		}
		if fileErr != nil || countErr != nil {
			return errProblems
		}
		return nil
	})

	export := c.Command("export", "Print a rule for silences.yaml of a silence that somebody made by hand.")
	id := export.Arg("id", "The silence's ID, or the beginning of it.").Required().String()
	register(export, func(ctx context.Context) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		rule, err := sidecar.ExportSilence(ctx, cfg, *id)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(rule)
		return err
	})
}

func (a *app) printSilences(survey silencing.Survey, all bool, format string) error {
	entries := []silencing.Entry{}
	for _, e := range survey.Entries {
		if over := e.State == "expired" || e.State == "over"; over && !all {
			continue
		}
		e.File = shown(e.File)
		entries = append(entries, e)
	}
	if format == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(entries)
	}
	_, err := a.stdout.Write(silencing.Table(entries, time.Now()))
	return err
}
