package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/sidecar"
)

func (a *app) addRender(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("render", "Print what would be written; write nothing.")
	what := c.Arg("what", "targets asks the networks and prints file_sd JSON, scrape the scrape jobs that contacts add to Prometheus' configuration, alertmanager the merged alertmanager.yml, silences those of the next 7 days.").
		Required().Enum("targets", "scrape", "alertmanager", "silences")
	register(c, func(ctx context.Context) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		var out []byte
		switch *what {
		case "alertmanager":
			out, err = sidecar.RenderAlertmanager(ctx, cfg)
		case "scrape":
			out, err = sidecar.RenderScrape(ctx, cfg)
		case "silences":
			out, err = sidecar.RenderSilences(cfg)
		case "targets":
			var networks map[string][]byte
			networks, err = sidecar.RenderTargets(ctx, cfg)
			for _, name := range slices.Sorted(maps.Keys(networks)) {
				if len(networks) > 1 {
					fmt.Fprintf(a.stderr, "stoker: network %s:\n", name)
				}
				out = append(out, networks[name]...)
			}
		}
		_, writeErr := a.stdout.Write(out)
		return errors.Join(err, writeErr)
	})
}
