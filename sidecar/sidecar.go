package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/silencing"
)

// The names of the agents, as in --agent and in metrics, in the order of a single pass: what others need
// comes first.
const (
	agentDiscovery    = "discovery"
	agentRouting      = "routing"
	agentPrometheus   = "prometheus"
	agentAlertmanager = "alertmanager"
	agentSilencing    = "silencing"
)

// AgentNames returns the names that --agent takes.
func AgentNames() []string {
	return []string{agentDiscovery, agentRouting, agentSilencing, agentPrometheus, agentAlertmanager}
}

// confirmEvery is how often a server is asked whether it still runs its release when nothing has changed.
const confirmEvery = 5 * time.Minute

// Options is what the command line adds to a [Config].
type Options struct {
	// Agents selects some of the configured agents. Empty: all. Routing and alertmanager come together,
	// because contacts are part of Alertmanager's release, and a release has one writer.
	Agents []string
	// Logger is told what happens. Nil: nobody is.
	Logger *slog.Logger
	// PublishOnly makes releases and contacts no server: for an init container.
	PublishOnly bool
}

// Sidecar is stoker: the agents that a configuration asks for, and what runs them.
type Sidecar struct {
	cfg      *Config
	options  Options
	logger   *slog.Logger
	registry *prometheus.Registry

	discovery *discovery.Agent
	routing   *routing.Agent
	silencing *silencing.Agent
	releases  []*reload.Agent
	outputs   []string // the output_dirs to lock

	loops    []*loop
	watchers []watcher
}

// watcher pokes a loop when files change.
type watcher struct {
	*reload.Watcher
	notify func()
}

// New builds the agents that cfg and o ask for. Nothing runs yet, and nothing was written.
func New(cfg *Config, o Options) (*Sidecar, error) {
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	selected, err := selectAgents(cfg, o.Agents)
	if err != nil {
		return nil, err
	}
	s := &Sidecar{cfg: cfg, options: o, logger: o.Logger, registry: prometheus.NewRegistry()}
	s.registry.MustRegister(
		versioncollector.NewCollector("stoker"),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m, watch := newMetrics(s.registry), reload.NewWatchMetrics(s.registry)
	add := func(name string, agent Agent, next func(time.Time) time.Time, rescan time.Duration, paths ...string) *loop {
		l := newLoop(name, agent, next, s.logger, m)
		s.loops = append(s.loops, l)
		if len(paths) > 0 {
			w := &reload.Watcher{Paths: paths, Rescan: rescan, Logger: l.logger, Metrics: watch}
			s.watchers = append(s.watchers, watcher{w, l.poke})
		}
		return l
	}

	if selected[agentDiscovery] {
		s.discovery, err = discovery.New(*cfg.Discovery, discovery.Options{Logger: s.logger.With("agent", agentDiscovery), Registerer: s.registry})
		if err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
		add(agentDiscovery, s.discovery, s.discovery.Next, 0).patient = true
	}
	if selected[agentPrometheus] {
		agent, err := reload.NewPrometheus(*cfg.Prometheus, s.releaseOptions(nil))
		if err != nil {
			return nil, fmt.Errorf("prometheus: %w", err)
		}
		s.addRelease(agent, cfg.Prometheus)
		add(agentPrometheus, agent, every(confirmEvery), time.Duration(cfg.Prometheus.RescanInterval), cfg.Prometheus.SourceDir)
	}
	if selected[agentAlertmanager] {
		var generate reload.Generate
		if cfg.Contacts != nil {
			o := routingOptions(cfg)
			o.Logger, o.Registerer = s.logger.With("agent", agentRouting), s.registry
			if s.routing, err = routing.New(o); err != nil {
				return nil, err
			}
			generate = s.routing.Generate
		}
		agent, err := reload.NewAlertmanager(*cfg.Alertmanager, s.releaseOptions(generate))
		if err != nil {
			return nil, fmt.Errorf("alertmanager: %w", err)
		}
		s.addRelease(agent, cfg.Alertmanager)
		if s.routing != nil {
			contacts := &settled{agent: s.routing, paths: []string{cfg.Contacts.Dir}, settle: time.Duration(cfg.Alertmanager.Settle)}
			paths := []string{cfg.Contacts.Dir}
			if cfg.Contacts.SecretsDir != "" {
				paths = append(paths, cfg.Contacts.SecretsDir)
			}
			l := add(agentRouting, contacts, every(confirmEvery), time.Duration(cfg.Alertmanager.RescanInterval), paths...)
			defer func() {
				for _, other := range s.loops {
					if other.name == agentAlertmanager {
						l.changed = other.poke
					}
				}
			}()
		}
		add(agentAlertmanager, agent, every(confirmEvery), time.Duration(cfg.Alertmanager.RescanInterval), cfg.Alertmanager.SourceDir)
	}
	if selected[agentSilencing] && !o.PublishOnly {
		client, err := commoncfg.NewClientFromConfig(cfg.Alertmanager.HTTPConfig, "stoker_silencing")
		if err != nil {
			return nil, fmt.Errorf("alertmanager: http_config: %w", err)
		}
		client.Timeout = 10 * time.Second
		u, err := url.Parse(cfg.Alertmanager.URL)
		if err != nil {
			return nil, fmt.Errorf("alertmanager: url: %w", err)
		}
		s.silencing, err = silencing.New(*cfg.Silencing, silencing.Options{
			AlertmanagerURL: u, Client: client,
			Logger: s.logger.With("agent", agentSilencing), Registerer: s.registry,
		})
		if err != nil {
			return nil, err
		}
		file := &settled{agent: s.silencing, paths: []string{cfg.Silencing.File}, settle: time.Duration(cfg.Alertmanager.Settle)}
		add(agentSilencing, file, s.silencing.Next, time.Duration(cfg.Alertmanager.RescanInterval), cfg.Silencing.File)
	}
	return s, nil
}

// selectAgents returns the agents to run: those that are configured, and among them those that were asked for.
func selectAgents(cfg *Config, asked []string) (map[string]bool, error) {
	configured := map[string]bool{
		agentDiscovery:    cfg.Discovery != nil,
		agentPrometheus:   cfg.Prometheus != nil,
		agentAlertmanager: cfg.Alertmanager != nil,
		agentRouting:      cfg.Contacts != nil,
		agentSilencing:    cfg.Silencing != nil,
	}
	if len(asked) == 0 {
		return configured, nil
	}
	selected := map[string]bool{}
	for _, name := range asked {
		if !slices.Contains(AgentNames(), name) {
			return nil, fmt.Errorf("no agent %q, there are %s", name, strings.Join(AgentNames(), ", "))
		}
		if !configured[name] {
			return nil, fmt.Errorf("agent %s has no section in the configuration file", name)
		}
		selected[name] = true
	}
	if selected[agentRouting] {
		selected[agentAlertmanager] = true
	}
	return selected, nil
}

func (s *Sidecar) releaseOptions(generate reload.Generate) reload.Options {
	return reload.Options{Logger: s.logger, Registerer: s.registry, Generate: generate, PublishOnly: s.options.PublishOnly}
}

func (s *Sidecar) addRelease(agent *reload.Agent, cfg *reload.Config) {
	s.releases = append(s.releases, agent)
	s.outputs = append(s.outputs, cfg.OutputDir)
}

// settled is an agent whose sources are edited in place: a pass waits until they are still.
type settled struct {
	agent  Agent
	paths  []string
	settle time.Duration
}

func (s *settled) Sync(ctx context.Context) (bool, error) {
	var errs []error
	for _, p := range s.paths {
		errs = append(errs, reload.Settle(ctx, p, s.settle))
	}
	if err := errors.Join(errs...); err != nil {
		return false, err
	}
	return s.agent.Sync(ctx)
}

// lock makes this process the only writer of its output_dirs. Others are pointed to address.
func (s *Sidecar) lock(address string) (release func(), err error) {
	var locks []func() error
	release = func() {
		for _, unlock := range locks {
			if err := unlock(); err != nil {
				s.logger.Warn("lock of an output_dir not released", "err", err)
			}
		}
	}
	for _, dir := range s.outputs {
		unlock, err := reload.Lock(dir, address)
		if err != nil {
			release()
			return nil, err
		}
		locks = append(locks, unlock)
	}
	return release, nil
}

// prepare makes the folder of the targets files. A Prometheus that starts before it is there can't watch it, and
// finds the first targets only with file_sd's refresh_interval, five minutes later.
func (s *Sidecar) prepare() error {
	if s.discovery == nil || s.cfg.Discovery.TargetsDir == "" {
		return nil
	}
	if err := os.MkdirAll(s.cfg.Discovery.TargetsDir, 0o755); err != nil {
		return fmt.Errorf("discovery.targets_dir: %w", err)
	}
	return nil
}

// Run runs the agents, their watchers and the web listener until ctx ends or a listener fails. Passes that are
// under way are cancelled.
func (s *Sidecar) Run(ctx context.Context, w WebOptions) error {
	listeners, err := w.listen()
	if err != nil {
		return err
	}
	unlock, err := s.lock(addressOf(listeners))
	if err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return err
	}
	defer unlock()
	if err := s.prepare(); err != nil {
		return err
	}

	var g run.Group
	{
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { <-ctx.Done(); return nil }, func(error) { cancel() })
	}
	for _, l := range s.loops {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { return l.run(ctx) }, func(error) { cancel() })
	}
	for _, w := range s.watchers {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { return w.Run(ctx, w.notify) }, func(error) { cancel() })
	}
	{
		serve, shutdown := s.serve(listeners, w)
		g.Add(serve, func(error) { shutdown() })
	}
	return g.Run()
}

// SyncAll asks every agent for a pass, now, and waits for the results.
func (s *Sidecar) SyncAll(ctx context.Context) ([]Result, error) {
	type answer struct {
		Result
		error
	}
	answers := make([]chan answer, len(s.loops))
	for i, l := range s.loops {
		answers[i] = make(chan answer, 1)
		go func() {
			r, err := l.sync(ctx)
			answers[i] <- answer{r, err}
		}()
	}
	var results []Result
	var errs []error
	for _, c := range answers {
		a := <-c
		results = append(results, a.Result)
		errs = append(errs, a.error)
	}
	return results, errors.Join(errs...)
}

// AcceptDrop makes the next answer of each network count even if many of its nodes are gone.
func (s *Sidecar) AcceptDrop(networks []string) error {
	if len(networks) > 0 && s.discovery == nil {
		return errors.New("discovery isn't selected, so there is no network whose drop could be accepted")
	}
	var errs []error
	for _, n := range networks {
		errs = append(errs, s.discovery.AcceptDrop(n))
	}
	return errors.Join(errs...)
}

// SyncOnce locks the output_dirs, runs one pass of every agent in order, and returns the results. It is an
// error of type *reload.ErrLocked if another process holds a lock.
func (s *Sidecar) SyncOnce(ctx context.Context) ([]Result, error) {
	unlock, err := s.lock("")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.prepare(); err != nil {
		return nil, err
	}
	var results []Result
	for _, l := range s.loops {
		if s.options.PublishOnly && l.name == agentDiscovery {
			continue
		}
		results = append(results, l.pass(ctx))
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
	}
	return results, nil
}
