package sidecar

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/strictyaml"
	"github.com/stoker-project/stoker/silencing"
)

// AckOptions say what is hushed from the command line.
type AckOptions struct {
	// Labels are those of the alerts, exactly; alertname is among them.
	Labels map[string]string
	// For is how long. Zero with UntilResolved.
	For           time.Duration
	UntilResolved bool
	// By is who does it, Comment why.
	By, Comment string
	// DryRun only shows what would be done.
	DryRun bool
	// Print is given what happens, line by line.
	Print func(text string)
}

// newDesk returns the desk of Alertmanager.
func newDesk(cfg *Config) (*silencing.Desk, error) {
	o, err := silencingOptions(cfg)
	if err != nil {
		return nil, err
	}
	return silencing.NewDesk(o, hushConfig(cfg))
}

// Ack hushes alerts that fire now. It prints what is hushed and what still sounds, and how that is undone. It needs no
// running stoker; only until resolved it needs one beside the same Alertmanager.
func Ack(ctx context.Context, cfg *Config, o AckOptions) error {
	d, err := newDesk(cfg)
	if err != nil {
		return err
	}
	r := silencing.HushRequest{
		Labels: o.Labels, For: o.For, UntilResolved: o.UntilResolved, Scope: silencing.CLI, By: o.By, Comment: o.Comment,
	}
	p, err := d.Propose(ctx, r)
	switch {
	case errors.Is(err, silencing.ErrNothingFires):
		return nothingFires(ctx, d, o.Labels)
	case errors.Is(err, silencing.ErrTooMany):
		return fmt.Errorf("%w: name more of its labels", err)
	case err != nil:
		return err
	}
	o.Print(string(p.Text(time.Now())))
	if o.DryRun {
		for _, h := range p.Hushes {
			o.Print("would take " + h.String() + "\n")
		}
		return nil
	}
	hushes, err := d.Hush(ctx, r)
	for _, h := range hushes {
		verb := "made "
		if slices.ContainsFunc(p.Hushes, func(there silencing.Hush) bool { return there.ID == h.ID }) {
			verb = "extended "
		}
		o.Print(verb + h.String() + "\n")
	}
	if o.UntilResolved && len(hushes) > 0 {
		o.Print(fmt.Sprintf("a stoker that runs beside this Alertmanager goes on with it and ends it; if none does, it ends at %s\n",
			hushes[0].EndsAt.UTC().Format("15:04 UTC")))
	}
	for _, h := range hushes {
		o.Print("undo: stoker ack --undo=" + h.ID + "\n")
	}
	return err
}

// nothingFires says what does fire instead.
func nothingFires(ctx context.Context, d *silencing.Desk, labels map[string]string) error {
	name := labels[model.AlertNameLabel]
	all, err := d.Firing(ctx, nil)
	if err != nil {
		return err
	}
	var similar []string
	for _, a := range all {
		if a.Labels[model.AlertNameLabel] == name {
			similar = append(similar, fmt.Sprintf("%.200q", a.String()))
		}
	}
	known := namesOf(all)
	switch {
	case len(all) == 0:
		return fmt.Errorf("no alert %q fires now, nor any other", name)
	case len(similar) == 0:
		if len(known) > 20 {
			known = append(known[:20:20], "…")
		}
		return fmt.Errorf("no alert %q fires now%s", name, strictyaml.DidYouMean(name, known))
	}
	if len(similar) > 5 {
		similar = append(similar[:5:5], "…")
	}
	return fmt.Errorf("no alert %q with these labels fires now, only %s", name, joined(similar))
}

// EndAck ends a hush, whoever made it, given by its ID or the beginning of one.
func EndAck(ctx context.Context, cfg *Config, id, by string) (silencing.Hush, error) {
	d, err := newDesk(cfg)
	if err != nil {
		return silencing.Hush{}, err
	}
	return d.End(ctx, id, by, nil)
}

// FiringNames returns the names of the alerts that fire now, sorted.
func FiringNames(ctx context.Context, cfg *Config) ([]string, error) {
	d, err := newDesk(cfg)
	if err != nil {
		return nil, err
	}
	alerts, err := d.Firing(ctx, nil)
	if err != nil {
		return nil, err
	}
	return namesOf(alerts), nil
}

// namesOf returns what alerts are called, sorted.
func namesOf(alerts []silencing.FiringAlert) []string {
	names := make(map[string]bool)
	for _, a := range alerts {
		names[a.Labels[model.AlertNameLabel]] = true
	}
	return slices.Sorted(maps.Keys(names))
}
