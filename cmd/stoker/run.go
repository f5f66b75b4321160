package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/sidecar"
)

func (a *app) addRun(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("run", "Run the sidecar until SIGTERM or SIGINT. SIGHUP syncs all now.")
	a.agentFlag(c)
	var web sidecar.WebOptions
	c.Flag("web.listen-address", "Address of the web listener, repeatable. Port 0 picks a free one.").
		Default(":9096").StringsVar(&web.ListenAddresses)
	c.Flag("web.config.file", "Web configuration for TLS and basic auth, as of Prometheus' exporter-toolkit.").
		StringVar(&web.ConfigFile)
	register(c, func(ctx context.Context) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		logger := a.logger()
		logger.Info("starting stoker", "version", version.Info(), "build", version.BuildContext(), "cpus", runtime.NumCPU())
		s, err := sidecar.New(cfg, sidecar.Options{Agents: a.agents, Logger: logger})
		if err != nil {
			return usageError{err}
		}
		hangups(ctx, func() {
			logger.Info("SIGHUP: syncing all agents")
			go s.SyncAll(ctx) // the results are logged
		})
		err = s.Run(ctx, web)
		var locked *reload.ErrLocked
		if errors.As(err, &locked) {
			return fmt.Errorf("%w: one output_dir has one writer; stop the other one, or give this one an output_dir of its own", err)
		}
		logger.Info("stopped")
		return err
	})
}
