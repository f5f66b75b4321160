package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/sidecar"
)

func (a *app) addTest(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("test", "Call a contact: post an alert that says it is a test to Alertmanager, print who is called and whether that worked, and end it. Everybody is told who would be told about an alert of the contact's, the team too.")
	contact := c.Arg("contact", "The name of its file, without .yml.").Required().String()
	severity := c.Flag("severity", "The severity of the alert. Default: the worst.").String()
	last := c.Flag("for", "How long the alert fires at most; it ends once everybody has been told who is told within that time.").Default("1m").Duration()
	zone := c.Flag("location", "The time zone of the times that are printed, such as Europe/Berlin.").Default("UTC").String()
	register(c, func(ctx context.Context) error {
		location, _, err := sidecar.ParseInstant(*zone, "", time.Now())
		if err != nil {
			return usageError{err}
		}
		if *last <= 0 {
			return usageError{errors.New("--for must be more than nothing")}
		}
		cfg, err := a.load()
		if err != nil {
			return err
		}
		err = sidecar.Test(ctx, cfg, *contact, sidecar.TestOptions{
			Severity: *severity,
			For:      *last,
			Location: location,
			Print:    func(text string) { fmt.Fprint(a.stdout, text) },
		})
		var unknown sidecar.UnknownContactError
		switch {
		case errors.As(err, &unknown):
			return usageError{err}
		case errors.Is(err, sidecar.ErrNobodyTold):
			return errProblems
		}
		return err
	})
}
