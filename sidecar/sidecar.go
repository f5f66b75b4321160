package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/routing/twilio"
	"github.com/stoker-project/stoker/silencing"
)

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
	chains   *prometheus.Registry // what the networks say; nil without discovery

	metrics      *metrics
	watchMetrics *reload.WatchMetrics

	discovery *discovery.Agent
	routing   *routing.Agent
	silencing *silencing.Agent
	bridge    *twilio.Bridge // nil unless phones are reached over it
	links     *hushLinks     // nil unless notifications have some
	ack       *ackPage       // what they lead to, if it is served here
	audit     *auditLog
	hushes    *loop // nil unless they are kept here
	releases  []*reload.Agent
	// prometheus is the loop of Prometheus' releases; followContacts are those that a change of a contact pokes.
	prometheus *loop
	// planned is what becomes of Prometheus' release, for a plan of what follows it.
	planned        *reload.Planned
	followContacts []*loop
	outputs        []string // the output_dirs to lock

	loops    []*loop
	watchers []watcher

	// asking lets one visitor at a time ask who is told: each answer reads the whole live release.
	asking sync.Mutex
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
	s := &Sidecar{cfg: cfg, options: o, logger: o.Logger, registry: prometheus.NewRegistry(), links: newHushLinks(cfg), audit: &auditLog{}}
	s.registry.MustRegister(
		versioncollector.NewCollector("stoker"),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	s.metrics, s.watchMetrics = newMetrics(s.registry), reload.NewWatchMetrics(s.registry)
	if err := s.addContacts(selected); err != nil {
		return nil, fmt.Errorf("%s: %w", agentRouting, err)
	}
	if err := s.addBridge(selected); err != nil {
		return nil, fmt.Errorf("%s: %w", agentRouting, err)
	}
	if err := s.addAck(selected); err != nil {
		return nil, fmt.Errorf("ack: %w", err)
	}
	for _, part := range []struct {
		agent string
		add   func() error
	}{
		{agentPrometheus, s.addPrometheus}, // before the targets that need its scrape jobs
		{agentDiscovery, s.addDiscovery},
		{agentAlertmanager, s.addAlertmanager},
		{agentSilencing, s.addSilencing},
	} {
		if !selected[part.agent] {
			continue
		}
		if err := part.add(); err != nil {
			return nil, fmt.Errorf("%s: %w", part.agent, err)
		}
	}
	if err := s.addHushes(selected); err != nil {
		return nil, fmt.Errorf("%s: %w", agentHushes, err)
	}
	return s, nil
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
	dir := s.cfg.Discovery.TargetsDir
	if s.routing != nil {
		dir = filepath.Join(dir, discovery.OwnedDir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
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
	bridge, err := s.listenBridge()
	if err != nil {
		closeAll(listeners)
		return err
	}
	opened := slices.Clone(listeners)
	if bridge != nil {
		opened = append(opened, bridge)
	}
	ack, err := s.listenAck()
	if err != nil {
		closeAll(opened)
		return err
	}
	if ack != nil {
		opened = append(opened, ack)
	}
	unlock, err := s.lock(w.addressOf(listeners))
	if err != nil {
		closeAll(opened)
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
	if bridge != nil {
		serve, shutdown := s.serveBridge(bridge)
		g.Add(serve, func(error) { shutdown() })
	}
	if ack != nil {
		serve, shutdown := s.serveAck(ack)
		g.Add(serve, func(error) { shutdown() })
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
		if s.options.PublishOnly && (l.name == agentDiscovery || l.name == agentExporters) {
			continue
		}
		if l.name == agentHushes || l.name == agentTargets {
			continue // hushes are kept for as long as they last, and targets written again later: one pass can't
		}
		results = append(results, l.pass(ctx))
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
	}
	return results, nil
}
