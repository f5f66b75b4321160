package sidecar

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

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

// add schedules an agent.
func (s *Sidecar) add(name string, agent Agent, next func(time.Time) time.Time) *loop {
	l := newLoop(name, agent, next, s.logger, s.metrics)
	s.loops = append(s.loops, l)
	return l
}

// watch pokes a loop when something changes at the paths.
func (s *Sidecar) watch(l *loop, rescan model.Duration, paths ...string) {
	w := &reload.Watcher{Paths: paths, Rescan: time.Duration(rescan), Logger: l.logger, Metrics: s.watchMetrics}
	s.watchers = append(s.watchers, watcher{w, l.poke})
}

func (s *Sidecar) addDiscovery() (err error) {
	s.discovery, err = discovery.New(*s.cfg.Discovery, discovery.Options{
		Logger: s.logger.With("agent", agentDiscovery), Registerer: s.registry,
	})
	if err != nil {
		return err
	}
	s.chains = prometheus.NewRegistry()
	if err := s.chains.Register(s.discovery.ChainCollector()); err != nil {
		return err
	}
	s.add(agentDiscovery, s.discovery, s.discovery.Next).patient = true
	return nil
}

func (s *Sidecar) addPrometheus() error {
	cfg := s.cfg.Prometheus
	agent, err := reload.NewPrometheus(*cfg, s.releaseOptions(nil))
	if err != nil {
		return err
	}
	s.addRelease(agentPrometheus, agent, cfg)
	return nil
}

// addAlertmanager adds the agent of Alertmanager's releases and, where there are contacts, the one before it: what
// routing accepts becomes part of the next release.
func (s *Sidecar) addAlertmanager() (err error) {
	cfg := s.cfg.Alertmanager
	if s.cfg.Contacts == nil {
		agent, err := reload.NewAlertmanager(*cfg, s.releaseOptions(nil))
		if err != nil {
			return err
		}
		s.addRelease(agentAlertmanager, agent, cfg)
		return nil
	}
	o := routingOptions(s.cfg)
	o.Logger, o.Registerer = s.logger.With("agent", agentRouting), s.registry
	if s.routing, err = routing.New(o); err != nil {
		return err
	}
	agent, err := reload.NewAlertmanager(*cfg, s.releaseOptions(s.routing.Generate))
	if err != nil {
		return err
	}
	paths := []string{s.cfg.Contacts.Dir}
	if s.cfg.Contacts.SecretsDir != "" {
		paths = append(paths, s.cfg.Contacts.SecretsDir)
	}
	contacts := &settled{agent: s.routing, path: s.cfg.Contacts.Dir, settle: time.Duration(cfg.Settle)}
	l := s.add(agentRouting, contacts, every(confirmEvery))
	s.watch(l, cfg.RescanInterval, paths...)
	l.changed = s.addRelease(agentAlertmanager, agent, cfg).poke
	return nil
}

func (s *Sidecar) addSilencing() error {
	if s.options.PublishOnly {
		return nil
	}
	o, err := silencingOptions(s.cfg)
	if err != nil {
		return err
	}
	o.Logger, o.Registerer = s.logger.With("agent", agentSilencing), s.registry
	if s.silencing, err = silencing.New(*s.cfg.Silencing, o); err != nil {
		return err
	}
	s.watch(s.add(agentSilencing, s.silencing, s.silencing.Next), s.cfg.Alertmanager.RescanInterval, s.cfg.Silencing.File)
	return nil
}

// addRelease schedules the agent of a server's releases.
func (s *Sidecar) addRelease(name string, agent *reload.Agent, cfg *reload.Config) *loop {
	s.releases = append(s.releases, agent)
	if cfg.OutputDir != "" {
		s.outputs = append(s.outputs, cfg.OutputDir)
	}
	l := s.add(name, agent, every(confirmEvery))
	s.watch(l, cfg.RescanInterval, cfg.SourceDir)
	return l
}

func (s *Sidecar) releaseOptions(generate reload.Generate) reload.Options {
	return reload.Options{Logger: s.logger, Registerer: s.registry, Generate: generate, PublishOnly: s.options.PublishOnly}
}

// settled is an agent whose source is edited in place: a pass waits until it is still.
type settled struct {
	agent  Agent
	path   string
	settle time.Duration
}

func (s *settled) Sync(ctx context.Context) (bool, error) {
	if err := reload.Settle(ctx, s.path, s.settle); err != nil {
		return false, err
	}
	return s.agent.Sync(ctx)
}

// watcher pokes a loop when files change.
type watcher struct {
	*reload.Watcher
	notify func()
}
