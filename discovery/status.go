package discovery

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// NetworkStatus is what is known about one network, as plain data.
type NetworkStatus struct {
	Name string
	// Source, Height and LastGood are of the last accepted answer, also of one
	// before a restart. Zero: unknown.
	Source   string
	Height   int64
	LastGood time.Time
	// LastAttempt is when the network was asked last, zero for not yet; Err is
	// what came of it.
	LastAttempt time.Time
	Err         error
	// Next is when it is asked again.
	Next time.Time
	// Preps have targets now, Targets is their number by exporter.
	Preps   int
	Targets map[string]int
	// Held are P-Reps whose targets are kept although the last answer doesn't
	// give them, Refused are those that don't become targets, both of the last
	// answer that came through. Shared are endpoints of several P-Reps.
	Held    []Held
	Refused []Refusal
	Shared  []string
}

// Status describes all networks, in the order of the configuration. It doesn't
// wait for a Sync under way.
func (a *Agent) Status() []NetworkStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.status)
}

// record keeps what a Sync found. What it stores is replaced, never changed.
func (a *Agent) record(i int, o outcome, insisted bool, now time.Time) {
	n := a.networks[i]
	next := n.due(now, o)
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.status[i]
	s.LastAttempt, s.Err, s.Next = now, o.err, next
	if o.accepted && insisted {
		a.insist[i] = false
	}
	current := o.base
	if o.accepted {
		current = o.next
	}
	s.Source, s.Height, s.LastGood, s.Preps = current.Source, current.Height, current.Time, len(current.Preps)
	s.Targets = n.countTargets(len(current.Preps))
	if !o.accepted {
		for exporter := range s.Targets {
			s.Targets[exporter] = o.targets[exporter]
		}
	}
	if o.answered {
		s.Held, s.Refused, s.Shared = o.held, o.refused, o.shared
	}
}

// A collector shows the status of an agent's networks as metrics. A network that
// wasn't asked yet has none.
type collector struct{ agent *Agent }

var (
	targetsDesc  = prometheus.NewDesc("stoker_discovery_targets", "Number of targets in the network's targets file, by exporter.", []string{"network", "exporter"}, nil)
	prepsDesc    = prometheus.NewDesc("stoker_discovery_preps", "Number of P-Reps that have targets.", []string{"network"}, nil)
	heldDesc     = prometheus.NewDesc("stoker_discovery_held", "Number of P-Reps whose targets are kept although the last answer doesn't give them, by reason.", []string{"network", "reason"}, nil)
	refusedDesc  = prometheus.NewDesc("stoker_discovery_refused", "Number of P-Reps of the last answer that don't become targets, by reason.", []string{"network", "reason"}, nil)
	lastGoodDesc = prometheus.NewDesc("stoker_discovery_last_good_timestamp_seconds", "When an answer with a new block height was last accepted, 0 for never.", []string{"network"}, nil)
)

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{targetsDesc, prepsDesc, heldDesc, refusedDesc, lastGoodDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.agent.Status() {
		if s.LastAttempt.IsZero() {
			continue
		}
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{s.Name}, labels...)...)
		}
		for exporter, count := range s.Targets {
			gauge(targetsDesc, float64(count), exporter)
		}
		gauge(prepsDesc, float64(s.Preps))
		held, refused := map[string]int{}, map[string]int{}
		for _, h := range s.Held {
			held[h.Reason]++
		}
		for _, r := range s.Refused {
			refused[r.Reason]++
		}
		for _, reason := range []string{HeldAbsent, HeldDisputed, HeldDrop, HeldUnresolved} {
			gauge(heldDesc, float64(held[reason]), reason)
		}
		for _, reason := range []string{ReasonDenied, ReasonMalformed, ReasonPrivate, ReasonUnresolved} {
			gauge(refusedDesc, float64(refused[reason]), reason)
		}
		lastGood := 0.0
		if !s.LastGood.IsZero() {
			lastGood = float64(s.LastGood.UnixMilli()) / 1e3
		}
		gauge(lastGoodDesc, lastGood)
	}
}
