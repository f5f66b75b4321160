package reload

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/promslog"
)

// Options is what an [Agent] is given besides its section of stoker.yml. The zero value works.
type Options struct {
	// Logger says what changed and what didn't, and what that means. Default: nothing is logged.
	Logger *slog.Logger
	// Registerer takes the agent's metrics. Default: they are not exported.
	Registerer prometheus.Registerer
	// Generate makes files of the release from the hand-written ones. Optional.
	Generate Generate
	// PublishOnly ends every pass after the publish step: no server is asked anything.
	PublishOnly bool
}

// Agent keeps one server on the newest release that it accepts. Its methods may be called at the same time;
// passes run one after another. Whoever calls Sync holds the [Lock] of the output_dir.
type Agent struct {
	cfg     Config
	options Options
	dialect dialect
	shelf   shelf
	origin  origin
	server  *server
	logger  *slog.Logger
	metrics metrics
	now     func() time.Time

	pass sync.Mutex // held for a whole pass; guards what follows
	// refused remembers releases that failed their check or that the server refused, by hash.
	refused map[string]verdict
	// previous is the release that was live before the one that is.
	previous string
	// inFlight is the reload whose outcome is unknown, if there is one. recalled is whether that of an earlier
	// process has been looked for.
	inFlight *posted
	recalled bool
	// answered is the last reload that was carried out, while it isn't proved.
	answered *posted
	// seen is the load after which the server was last found to run a release.
	seen sighting
	// away is for how long the server hasn't been ready.
	away absence
	// values are those that the sources took from the environment, so that a server's words can be kept free of them.
	values expander
	// mounts is whether the main file has been looked at for being a mount.
	mounts bool
	// tidied is whether what an earlier process left half-done has been removed.
	tidied bool
	// confirmed is whether the server said in this pass that it runs the live release, and serving whether all of
	// that is at work, nil if that wasn't asked.
	confirmed bool
	serving   *bool

	statusMu sync.Mutex
	status   Status

	history history

	trials trials
}

// Status is what an agent knows of its server's releases.
type Status struct {
	// Server is "prometheus" or "alertmanager".
	Server string `json:"server"`
	// Live is the release that the server starts from and Proved the one that it last confirmed to run;
	// "" if there is none.
	Live   string `json:"live,omitempty"`
	Proved string `json:"proved,omitempty"`
	// Refused is the release that the sources ask for and that isn't live; "" if there is none.
	Refused string `json:"refused,omitempty"`
	// Checked is when the sources were last looked at; zero if they weren't since this process started.
	Checked time.Time `json:"checked,omitzero"`
	// Withheld says why what the sources asked for then isn't live, nil if it is.
	Withheld *Trouble `json:"withheld,omitempty"`
	// Unproved says why the server isn't known to run the live release; nil if it is, or if nobody asked.
	Unproved *Trouble `json:"unproved,omitempty"`
	// Confirmed is when the server last said that it runs the live release; zero if it hasn't since this
	// process started.
	Confirmed time.Time `json:"confirmed,omitzero"`
	// Serving is whether the server had all of the live release at work when it was last asked: Prometheus makes
	// the scrape pools of new jobs some seconds after a reload. Nil if nobody has asked since the release is live.
	Serving *bool `json:"serving,omitempty"`
}

// NewPrometheus returns the agent that keeps a Prometheus on its releases.
func NewPrometheus(cfg Config, o Options) (*Agent, error) { return newAgent(cfg, prometheusFiles{}, o) }

// NewAlertmanager returns the agent that keeps an Alertmanager on its releases.
func NewAlertmanager(cfg Config, o Options) (*Agent, error) {
	return newAgent(cfg, alertmanagerFiles{}, o)
}

func newAgent(cfg Config, d dialect, o Options) (*Agent, error) {
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	client, err := commoncfg.NewClientFromConfig(cfg.HTTPConfig, "stoker_"+d.server())
	if err != nil {
		return nil, fmt.Errorf("http_config: %w", err)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	base, err := cfg.baseURL()
	if err != nil {
		return nil, err
	}
	a := &Agent{
		cfg:     cfg,
		options: o,
		dialect: d,
		server:  &server{name: d.server(), url: base, client: client, patience: max(askTimeout, time.Duration(cfg.ReloadTimeout))},
		logger:  o.Logger,
		metrics: newMetrics(o.Registerer, d.server()),
		now:     time.Now,
		refused: map[string]verdict{},
		status:  Status{Server: d.server()},
	}
	if cfg.ConfigFile != "" {
		a.shelf, a.origin = &memory{}, newFileInPlace(cfg.ConfigFile)
	} else {
		out := &store{dir: cfg.OutputDir, fileMode: fs.FileMode(cfg.FileMode)}
		a.shelf, a.origin = out, &folder{dir: cfg.SourceDir, generate: o.Generate, live: out.live}
	}
	return a, nil
}

// Retry forgets earlier refusals: the next pass tries again what was refused.
func (a *Agent) Retry() {
	a.pass.Lock()
	defer a.pass.Unlock()
	clear(a.refused)
	a.answered = nil
}

// Status returns what is on disk now and what the last pass found.
func (a *Agent) Status() Status {
	a.statusMu.Lock()
	defer a.statusMu.Unlock()
	s := a.status
	s.Live, s.Proved = a.shelf.current(liveLink), a.shelf.current(provedLink)
	return s
}

// Sync does one whole pass: gather, check, publish, reload, prove, and roll back if need be. It reports
// whether another release is live than before. On an error the last good release stays live; a release that
// waits for its server is finished even if its successor can't be made. When ctx ends, so does the pass; what a
// server was told to do then is found out by the next one.
func (a *Agent) Sync(ctx context.Context) (changed bool, err error) {
	a.pass.Lock()
	defer a.pass.Unlock()

	before := a.shelf.current(liveLink)
	a.confirmed, a.serving = false, nil
	var said loaded
	var askErr error
	if !a.options.PublishOnly {
		if err := a.settle(ctx); err != nil {
			after := a.shelf.current(liveLink)
			a.note("", after, nil, err)
			return after != before, err
		}
		said, askErr = a.ask(ctx)
		a.missed(said, askErr)
	}
	a.forgive(said, !a.options.PublishOnly && askErr == nil)
	hash, publishErr := a.publish(ctx, a.factsOf(said))
	var serveErr error
	if !a.options.PublishOnly && ctx.Err() == nil {
		serveErr = a.serve(ctx, hash, said, askErr)
	}
	// A generator that knows from the server's words whose file it won't have makes another release: nobody else waits.
	for a.options.Generate != nil && a.refusedNow(ctx, serveErr) {
		next, err := a.publish(ctx, a.factsOf(said))
		if next == hash || next == "" {
			break
		}
		a.logger.Warn("server refused a release, going on with another one", "server", a.server.name, "refused", hash, "release", next, "err", serveErr)
		hash, publishErr = next, err
		a.confirmed, a.serving = false, nil
		said, askErr = a.ask(ctx)
		serveErr = a.serve(ctx, hash, said, askErr)
	}
	after := a.shelf.current(liveLink)
	a.note(hash, after, publishErr, serveErr)
	return after != before, errors.Join(publishErr, serveErr)
}

// candidate returns a release in the making for a server of which these facts are known.
func (a *Agent) candidate(f facts) *candidate {
	c := &candidate{dialect: a.dialect, facts: f, refusals: a.refusals(), expander: expander{patterns: a.cfg.ExpandEnv}}
	if a.cfg.ConfigFile == "" {
		c.trials = &a.trials
	}
	return c
}

// publish makes the release that the sources ask for live on disk, unless it is or was refused. It returns
// that release's name even if it was refused, and "" if none could be made.
func (a *Agent) publish(ctx context.Context, f facts) (hash string, err error) {
	running := a.shelf.current(liveLink)
	defer func() {
		if a.shelf.current(liveLink) != running {
			a.previous = running
		}
	}()
	c := a.candidate(f)
	err = a.origin.gather(ctx, c, time.Duration(a.cfg.Settle))
	a.values = c.expander
	if err != nil {
		return "", a.keeping(c.expander.redact(err))
	}
	a.warnOfMounts()
	hash = c.tree.Hash()
	if hash == running {
		a.tidy()
		return hash, nil
	}
	if v, ok := a.refused[hash]; ok {
		return hash, a.keeping(fmt.Errorf("release %s was refused %s ago: %w", hash, a.now().Sub(v.at).Round(time.Second), v.err))
	}
	err = a.shelf.accept(c, hash, func(dir string) error {
		warnings, err := c.check(dir)
		if c.moved != nil && c.moved() {
			// What the check saw need not be what was read: neither its praise nor its blame is about that.
			return fmt.Errorf("%s: %w", c.mainFile, errMoved)
		}
		for _, w := range warnings {
			a.logger.Warn("only the server can tell whether this is right", "server", a.dialect.server(), "release", hash, "warning", c.expander.redact(w))
		}
		if err = c.expander.redact(err); err != nil {
			a.refused[hash] = verdict{by: theCheck, err: err, at: a.now(), facts: f.String()}
		}
		return err
	})
	if err != nil {
		return hash, a.keeping(err)
	}
	a.logger.Info("release is live on disk", "server", a.dialect.server(), "release", hash, "files", len(c.tree))
	a.tidied = false
	a.tidy()
	return hash, nil
}

// tidy removes old releases and what an earlier process left half-done.
func (a *Agent) tidy() {
	if a.tidied {
		return
	}
	if err := a.shelf.tidy(); err != nil {
		a.logger.Warn("old releases are left on disk", "server", a.dialect.server(), "err", err)
		return
	}
	a.tidied = true
}

// keeping adds to an error what goes on in spite of it.
func (a *Agent) keeping(err error) error {
	if a.cfg.ConfigFile != "" {
		return &consequence{err, "it isn't sent to " + a.dialect.server() + ", which goes on with what it runs but would load this if it restarted"}
	}
	live := a.shelf.current(liveLink)
	if live == "" {
		return &consequence{err, "no release is live yet"}
	}
	return &consequence{err, "keeping release " + live}
}

// consequence is an error with what it means. Its problems are kept for who wants their positions.
type consequence struct {
	err  error
	what string
}

func (c *consequence) Error() string {
	var list scanner.ErrorList
	if errors.As(c.err, &list) && len(list) > 1 {
		text := ""
		for _, e := range list {
			text += e.Error() + "; "
		}
		return text + c.what
	}
	return c.err.Error() + "; " + c.what
}

func (c *consequence) Unwrap() error { return c.err }
