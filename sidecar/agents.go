package sidecar

import (
	"context"
	"fmt"
	"net/url"
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
	agentTargets      = "targets" // comes with discovery
	agentRouting      = "routing"
	agentPrometheus   = "prometheus"
	agentAlertmanager = "alertmanager"
	agentSilencing    = "silencing"
	agentHushes       = "hushes" // comes with alertmanager and silencing
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
		agentRouting:      cfg.Contacts != nil && cfg.Alertmanager != nil,
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
func (s *Sidecar) watch(l *loop, rescan model.Duration, paths ...string) *reload.Watcher {
	w := &reload.Watcher{Paths: paths, Rescan: time.Duration(rescan), Logger: l.logger, Metrics: s.watchMetrics}
	s.watchers = append(s.watchers, watcher{w, l.poke})
	return w
}

func (s *Sidecar) addDiscovery() (err error) {
	o := discovery.Options{Logger: s.logger.With("agent", agentDiscovery), Registerer: s.registry, Served: s.served, Own: ownHosts(s.cfg)}
	if s.routing != nil {
		o.Overrides = s.overrides
	}
	if s.discovery, err = discovery.New(*s.cfg.Discovery, o); err != nil {
		return err
	}
	s.chains = prometheus.NewRegistry()
	if err := s.chains.Register(s.discovery.ChainCollector()); err != nil {
		return err
	}
	l := s.add(agentDiscovery, s.discovery, s.discovery.Next)
	l.patient = true
	writers := []*loop{l}
	if s.routing != nil {
		writers = append(writers, s.addExporters())
	}
	if s.cfg.Discovery.TargetsDir != "" {
		s.addTargets(writers)
	}
	return nil
}

// addTargets adds the loop that writes a targets file a second time, some seconds after it was changed. It is a loop of
// its own so that this isn't taken for an answer of a network, and waits for none.
func (s *Sidecar) addTargets(writers []*loop) {
	rest := every(confirmEvery)
	repeat := func(context.Context) (bool, error) { return s.discovery.Repeat(time.Now()) }
	l := s.add(agentTargets, syncFunc(repeat), func(now time.Time) time.Time {
		if due := s.discovery.NextRepeat(); !due.IsZero() {
			return due
		}
		return rest(now)
	})
	for _, w := range writers {
		w.changed = l.poke
	}
}

// ownHosts are the hosts of the servers that cfg names: nobody may register them as a node of a network.
func ownHosts(cfg *Config) (hosts []string) {
	for _, server := range []*reload.Config{cfg.Prometheus, cfg.Alertmanager} {
		if server == nil {
			continue
		}
		if u, err := url.Parse(server.URL); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

func (s *Sidecar) addPrometheus() error {
	cfg := s.cfg.Prometheus
	var generate reload.Generate
	if s.routing != nil && s.cfg.Discovery != nil {
		jobs := &scrapeJobs{cfg: s.cfg, overrides: s.overrides, logger: s.logger.With("agent", agentPrometheus)}
		generate = jobs.generate
	}
	agent, err := reload.NewPrometheus(*cfg, s.releaseOptions(generate))
	if err != nil {
		return err
	}
	s.prometheus = s.addRelease(agentPrometheus, agent, cfg)
	if generate != nil {
		s.followContacts = append(s.followContacts, s.prometheus)
	}
	return nil
}

// addAlertmanager adds the agent of Alertmanager's releases. Where there are contacts, what routing accepts becomes part
// of the next release.
func (s *Sidecar) addAlertmanager() error {
	cfg := s.cfg.Alertmanager
	var generate reload.Generate
	if s.cfg.Contacts != nil {
		generate = fromContacts(s.routing)
	}
	agent, err := reload.NewAlertmanager(*cfg, s.releaseOptions(generate))
	if err != nil {
		return err
	}
	l := s.addRelease(agentAlertmanager, agent, cfg)
	if generate != nil {
		s.followContacts = append(s.followContacts, l)
		if files := s.links.files(); len(files) > 0 {
			s.watch(l, cfg.RescanInterval, files...)
		}
	}
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
	o.Settle = func(ctx context.Context, file string) error {
		return reload.Settle(ctx, file, time.Duration(s.cfg.Alertmanager.Settle))
	}
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
	var paths []string
	if cfg.SourceDir != "" {
		paths = append(paths, cfg.SourceDir)
	}
	w := s.watch(l, cfg.RescanInterval, paths...)
	// What the files refer to may be others after each pass.
	again := make(chan struct{}, 1)
	w.Patterns, w.Again = agent.Patterns, again
	l.passed = func() {
		select {
		case again <- struct{}{}:
		default:
		}
	}
	return l
}

func (s *Sidecar) releaseOptions(generate reload.Generate) reload.Options {
	return reload.Options{Logger: s.logger, Registerer: s.registry, Generate: generate, PublishOnly: s.options.PublishOnly}
}

// fromContacts generates what contacts add to Alertmanager's release.
func fromContacts(contacts *routing.Agent) reload.Generate {
	return func(ctx context.Context, from reload.Source) (map[string][]byte, error) {
		return contacts.Generate(ctx, routing.Source(from))
	}
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
