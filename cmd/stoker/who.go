package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/sidecar"
)

func (a *app) addWho(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("who", "Print who is told about an alert, after how long, and who is muted until when. Ends with 1 if nobody is. Asks no server: silences and inhibitions are not looked at.")
	pairs := c.Arg("LABEL=VALUE", "The alert's labels, such as alertname=NodeDown severity=critical prep=hx….").Required().Strings()
	at := c.Flag("at", `When it begins to fire, such as "2026-11-26 22:30", 22:30 or 2026-11-26T22:30:00+01:00. Default: now.`).PlaceHolder("TIME").String()
	zone := c.Flag("location", "The time zone of --at and of the times that are printed, such as Europe/Berlin.").Default("UTC").String()
	format := c.Flag("format", "How it is printed: text or json.").Default("text").Enum("text", "json")
	register(c, func(ctx context.Context) error {
		labels, err := routing.ParseLabels(*pairs)
		if err != nil {
			return usageError{err}
		}
		location, when, err := sidecar.ParseInstant(*zone, *at, time.Now())
		if err != nil {
			return usageError{err}
		}
		answers, err := a.answers(ctx)
		if err != nil {
			return err
		}
		answer := answers.Who(labels, when)
		if *format == "json" {
			err = a.printJSON(answer)
		} else {
			_, err = a.stdout.Write(answer.Table(location))
		}
		if err == nil && !answer.Reached() {
			err = errProblems
		}
		return err
	})
}

// answers reads what would be published now.
func (a *app) answers(ctx context.Context) (*sidecar.Answers, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	return sidecar.ReadAnswers(ctx, cfg)
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
