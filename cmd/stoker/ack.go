package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/sidecar"
	"github.com/stoker-project/stoker/silencing"
)

// ack is what its flags say.
type ack struct {
	name                          string
	pairs                         []string
	duration, comment, by, undo   string
	format                        string
	untilResolved, list, onlyShow bool
}

func (a *app) addAck(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("ack", "Hush an alert that fires now, for a while or until it is resolved. Its sibling of another severity still sounds. Again, it extends what is there.")
	var o ack
	c.Arg("alertname", "The alert's name.").HintAction(a.firingNames).StringVar(&o.name)
	c.Arg("LABEL=VALUE", "More of its labels, such as prep=hx… or instance=db-1. Without, all alerts of that name are hushed.").StringsVar(&o.pairs)
	c.Flag("duration", "For how long, such as 30m, 2h or 1d. Default: 1h.").Short('d').PlaceHolder("2h").StringVar(&o.duration)
	c.Flag("until-resolved", "Until it no longer fires, so that whoever was told hears that it is resolved. Needs a stoker that runs beside the Alertmanager.").BoolVar(&o.untilResolved)
	c.Flag("comment", "Why, for whoever meets the silence.").Short('c').PlaceHolder("WHY").StringVar(&o.comment)
	c.Flag("by", "Who does it. Default: you.").PlaceHolder("NAME").StringVar(&o.by)
	c.Flag("dry-run", "Only show what would be hushed and what would still sound.").BoolVar(&o.onlyShow)
	c.Flag("list", "List what is hushed now.").BoolVar(&o.list)
	c.Flag("format", "How the list is printed: text or json.").Default("text").EnumVar(&o.format, "text", "json")
	c.Flag("undo", "End a hush, given by its ID or the beginning of one.").PlaceHolder("ID").StringVar(&o.undo)
	register(c, func(ctx context.Context) error {
		options, err := o.options()
		if err != nil {
			return usageError{err}
		}
		cfg, err := a.load()
		if err != nil {
			return err
		}
		switch {
		case o.list:
			return a.listHushes(ctx, cfg, o.format)
		case o.undo != "":
			h, err := sidecar.EndAck(ctx, cfg, o.undo, options.By)
			if err == nil {
				fmt.Fprintf(a.stdout, "ended %s\n", h)
			}
			return err
		}
		options.Print = func(text string) { fmt.Fprint(a.stdout, text) }
		err = sidecar.Ack(ctx, cfg, options)
		if errors.Is(err, silencing.ErrTooLong) || errors.Is(err, silencing.ErrRequest) {
			return usageError{err}
		}
		return err
	})
}

// options are those of a hush, as far as they are needed.
func (o *ack) options() (sidecar.AckOptions, error) {
	all := sidecar.AckOptions{UntilResolved: o.untilResolved, By: cmp.Or(o.by, you()), Comment: o.comment, DryRun: o.onlyShow}
	if o.list || o.undo != "" {
		if o.list && o.undo != "" || o.name != "" || o.duration != "" || o.untilResolved || o.onlyShow {
			return all, errors.New("--list and --undo go with nothing else")
		}
		return all, nil
	}
	labels, err := routing.ParseLabels(append([]string{model.AlertNameLabel + "=" + o.name}, o.pairs...))
	switch {
	case o.name == "":
		return all, errors.New("which alert? Name one that fires")
	case err != nil:
		return all, err
	case o.comment == "" && !o.onlyShow:
		return all, errors.New("why? Say so with -c, for whoever meets the silence")
	case o.untilResolved && o.duration != "":
		return all, errors.New("--duration and --until-resolved are both given, keep one")
	case !o.untilResolved:
		d, err := model.ParseDuration(cmp.Or(o.duration, "1h"))
		if err != nil || d <= 0 {
			return all, fmt.Errorf("--duration: %q must be like 30m, 2h or 1d", o.duration)
		}
		all.For = time.Duration(d)
	}
	all.Labels = make(map[string]string, len(labels))
	for name, value := range labels {
		all.Labels[string(name)] = string(value)
	}
	return all, nil
}

// you are whoever runs the command.
func you() string {
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "the command line"
}

func (a *app) listHushes(ctx context.Context, cfg *sidecar.Config, format string) error {
	cfg.Silencing = nil // its rules are no hushes
	survey, _, countErr, err := sidecar.Silences(ctx, cfg)
	if err != nil {
		return err
	}
	if countErr != nil {
		fmt.Fprintf(a.stderr, "stoker: the alerts that they silence are unknown: %v\n", countErr)
	}
	survey.Entries = slices.DeleteFunc(survey.Entries, func(e silencing.Entry) bool { return e.Origin != silencing.FromAck })
	if err := a.printSilences(survey, false, format); err != nil {
		return err
	}
	if countErr != nil {
		return errProblems
	}
	return nil
}

// firingNames is what the shell completes. It has no time to wait, and no place for errors.
func (a *app) firingNames() []string {
	cfg, err := sidecar.LoadConfig(a.configFile)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	names, err := sidecar.FiringNames(ctx, cfg)
	if err != nil {
		return nil
	}
	return names
}
