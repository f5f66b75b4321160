// Command stoker keeps Prometheus and Alertmanager fed: with the targets of a network that changes by itself,
// with the contacts that operators commit to git, and with the silences that a team agreed on.
//
//	stoker run          the sidecar, until SIGTERM or SIGINT; SIGHUP syncs all now
//	stoker sync         one pass, then exit
//	stoker plan         what sync would change now
//	stoker check        offline verdict over everything that people write
//	stoker render WHAT  print what would be written
//	stoker who          who is told about an alert, and when
//	stoker test         calls a contact, with an alert that says so
//	stoker ack ALERT    hush what fires, for a while or until it is resolved
//	stoker silences     what is silenced now and by what; export makes a rule of one
//	stoker schema FILE  JSON Schema of a file, for editors
//	stoker encrypt      an address or a token, for a contact file
//	stoker healthcheck  ask a running sidecar, for containers
//	stoker version
//
// Every flag can also be given as an environment variable: --config.file is STOKER_CONFIG_FILE.
//
// Exit codes: 0 fine, 1 problems found or the work failed, 2 wrong usage or unreadable configuration, 3 changes
// (plan --detailed-exitcode).
package main

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	_ "time/tzdata" // time zones of contacts and silences, where the image has none

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	_ "golang.org/x/crypto/x509roots/fallback" // CA certificates, where the image has none

	"github.com/stoker-project/stoker/internal/strictyaml"
	"github.com/stoker-project/stoker/sidecar"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errProblems ends a command whose findings have been printed.
var errProblems = errors.New("problems found")

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// app is what the commands share.
type app struct {
	configFile string
	agents     []string
	log        *promslog.Config
	// httpConfigFile says how a running stoker is reached that has a web.config.file.
	httpConfigFile string

	stdout, stderr io.Writer
}

// run parses the command line, runs the command and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	a := &app{log: &promslog.Config{Writer: stderr}, stdout: stdout, stderr: stderr}
	k := kingpin.New("stoker", "Keeps Prometheus and Alertmanager fed: targets of a network, contacts in git, silences in a file.")
	k.DefaultEnvars()
	k.UsageWriter(stdout)
	k.ErrorWriter(stderr)
	k.HelpFlag.Short('h')
	terminated := -1
	k.Terminate(func(code int) {
		if terminated < 0 {
			terminated = code
		}
	})
	k.Flag("config.file", "The configuration file.").Default("stoker.yml").StringVar(&a.configFile)
	promslogflag.AddFlags(k, a.log)

	commands := map[string]func(context.Context) error{}
	register := func(c *kingpin.CmdClause, action func(context.Context) error) { commands[c.FullCommand()] = action }
	a.addRun(k, register)
	a.addSync(k, register)
	a.addPlan(k, register)
	a.addCheck(k, register)
	a.addRender(k, register)
	a.addWho(k, register)
	a.addTest(k, register)
	a.addAck(k, register)
	a.addSilences(k, register)
	a.addSchema(k, register)
	a.addEncrypt(k, register)
	a.addHealthcheck(k, register)
	register(k.Command("version", "Print the version."), func(context.Context) error {
		fmt.Fprintln(stdout, version.Print("stoker"))
		return nil
	})

	// Matchers are read as Alertmanager itself does by default: UTF-8, and the older syntax where that fails.
	compat.InitFromFlags(promslog.NewNopLogger(), featurecontrol.NoopFlags{})

	command, err := k.Parse(args)
	if terminated >= 0 {
		return terminated // --help was answered
	}
	if err == nil {
		if err := limitHeap(); err != nil {
			a.logger().Debug("heap not limited", "err", err)
		}
		ctx, stop := a.signals()
		defer stop()
		err = commands[command](ctx)
	} else {
		err = usageError{err}
	}
	return a.report(err)
}

// report prints an error the way people can act on it, and returns the exit code.
func (a *app) report(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errProblems):
		return 1
	case errors.Is(err, errChanges):
		return 3
	case errors.As(err, &usage):
		printProblems(a.stderr, "stoker: ", usage.error)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(a.stderr, "stoker: hint: name the configuration file with --config.file, or see stoker --help")
		}
		return 2
	default:
		printProblems(a.stderr, "stoker: ", err)
		return 1
	}
}

// printProblems writes every problem of a list on a line of its own, without prefix, so that editors and
// continuous integration find file and line; any other error with the prefix.
func printProblems(w io.Writer, prefix string, err error) {
	if list := strictyaml.Problems(err); list != nil {
		for _, e := range list {
			pos := e.Pos
			pos.Filename = legible(shown(pos.Filename))
			fmt.Fprintln(w, scanner.Error{Pos: pos, Msg: e.Msg})
		}
		return
	}
	fmt.Fprintln(w, prefix+err.Error())
}

// load reads the configuration file.
func (a *app) load() (*sidecar.Config, error) { return a.loadBy(sidecar.LoadConfig) }

func (a *app) loadBy(load func(filename string) (*sidecar.Config, error)) (*sidecar.Config, error) {
	cfg, err := load(a.configFile)
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

func (a *app) logger() *slog.Logger { return promslog.New(a.log) }

// httpConfigFlag adds --http.config.file to a command that asks a running stoker.
func (a *app) httpConfigFlag(c *kingpin.CmdClause) {
	c.Flag("http.config.file", "How to reach a running stoker whose web listener has TLS or a password: basic_auth, tls_config and so on, as promtool takes it.").
		PlaceHolder("FILE").ExistingFileVar(&a.httpConfigFile)
}

// client returns the client for a running stoker.
func (a *app) client() (*http.Client, error) {
	if a.httpConfigFile == "" {
		return http.DefaultClient, nil
	}
	data, err := os.ReadFile(a.httpConfigFile)
	if err != nil {
		return nil, usageError{err}
	}
	cfg, err := commoncfg.LoadHTTPConfig(string(data))
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", a.httpConfigFile, err)}
	}
	cfg.SetDirectory(filepath.Dir(a.httpConfigFile))
	client, err := commoncfg.NewClientFromConfig(*cfg, "stoker")
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", a.httpConfigFile, err)}
	}
	return client, nil
}

// httpConfigHint says what an answer of a running stoker asks for.
func httpConfigHint(status int) string {
	if status == http.StatusUnauthorized {
		return ": its web listener wants a password: name it with --http.config.file"
	}
	return ""
}

// agentFlag adds --agent to a command.
func (a *app) agentFlag(c *kingpin.CmdClause) {
	c.Flag("agent", "Run only this agent, repeatable. Default: all that are configured.").
		EnumsVar(&a.agents, sidecar.AgentNames()...)
}
