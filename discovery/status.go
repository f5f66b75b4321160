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
	// Claims are what contacts say about exporters, and what became of it.
	Claims []Claim
	// RemoveAfter is how long P-Reps are held as absent.
	RemoveAfter time.Duration
	// Endpoints are those of the network's API, in the order of the
	// configuration; none before the network was asked.
	Endpoints []Endpoint
}

// An Endpoint is what is known about one endpoint of a network's API.
type Endpoint struct {
	Host string // and port
	// Asked is when it was asked last, zero for never: then nothing is known.
	Asked time.Time
	// Failures in a row began at Since; the last one is Err. Until RetryAt the
	// other endpoints are asked first. Zero for one whose last answer was whole.
	Failures int
	Since    time.Time
	RetryAt  time.Time
	Err      error
}

// Until is when a held P-Rep stops being held for that reason if nothing changes:
// an absent one loses its targets, a drop is believed. Zero: that isn't a matter
// of time.
func (s *NetworkStatus) Until(h Held) time.Time {
	switch {
	case h.Since.IsZero():
		return time.Time{}
	case h.Reason == HeldAbsent:
		return h.Since.Add(s.RemoveAfter)
	case h.Reason == HeldDrop:
		return h.Since.Add(holdFor)
	}
	return time.Time{}
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
	next, endpoints := n.due(now, o), n.endpointStatus()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.status[i]
	s.LastAttempt, s.Err, s.Next, s.Endpoints = now, o.err, next, endpoints
	if o.accepted && insisted {
		a.insist[i] = false
	}
	current := o.base
	if o.accepted {
		current = o.next
	}
	s.Source, s.Height, s.LastGood, s.Preps = current.Source, current.Height, current.Time, len(current.Preps)
	s.Targets, s.Claims = n.countTargets(len(current.Preps)), current.Claims
	if !o.accepted {
		for exporter := range s.Targets {
			s.Targets[exporter] = o.targets[exporter]
		}
	}
	switch {
	case o.accepted:
		a.files[i], a.chains[i].Height, a.chains[i].PReps = notEmpty(o.rendered), o.next.Height, o.chain
	case len(o.base.Preps) > 0:
		a.files[i] = notEmpty(o.file)
	}
	if o.answered {
		s.Held, s.Refused, s.Shared = o.held, o.refused, o.shared
	}
}

func (n *network) endpointStatus() []Endpoint {
	all := make([]Endpoint, len(n.clients))
	for i, c := range n.clients {
		all[i] = Endpoint{c.host, c.asked, c.sick.failures, c.sick.since, c.sick.until, c.sick.err}
	}
	return all
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
