package silencing

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	desired  prometheus.Gauge
	owned    *prometheus.GaugeVec
	drift    *prometheus.GaugeVec
	position prometheus.Gauge
	ruleEnds *prometheus.GaugeVec
	expiring *prometheus.GaugeVec
	silenced *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		desired: f.NewGauge(prometheus.GaugeOpts{
			Name: "stoker_silences_desired",
			Help: "Silences that silences.yaml asks for now, running or about to begin.",
		}),
		owned: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_silences_owned",
			Help: "Silences in Alertmanager that were made from silences.yaml, by their state.",
		}, []string{"state"}),
		drift: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_silences_drift",
			Help: "Differences between silences.yaml and Alertmanager that the last pass left, by kind.",
		}, []string{"kind"}),
		position: f.NewGauge(prometheus.GaugeOpts{
			Name: "stoker_silences_position",
			Help: "Place of the Alertmanager among its cluster's peers, which this sidecar waits for with its writes; 0 without a cluster, -1 while unknown.",
		}),
		ruleEnds: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_silence_rule_ends_timestamp_seconds",
			Help: "When a rule of silences.yaml ends, as Unix time.",
		}, []string{"rule"}),
		expiring: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_silence_rule_expiring",
			Help: "Whether a rule of silences.yaml ends within three days after having lasted longer than that, as every recurring one has.",
		}, []string{"rule"}),
		silenced: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_silence_rule_alerts",
			Help: "Firing alerts that a rule of silences.yaml silences, counted when a silence becomes active and every five minutes; absent while unknown.",
		}, []string{"rule"}),
	}
	m.position.Set(-1)
	return m
}

// observe sets what a pass found in the end.
func (m *metrics) observe(owner string, current []Silence, desired []Occurrence, plan Changes) {
	m.desired.Set(float64(len(desired)))
	states := map[string]int{stateActive: 0, statePending: 0, stateExpired: 0}
	for _, s := range current {
		if _, mine, _ := ownership(s, owner); mine {
			states[s.Status.State]++
		}
	}
	for state, n := range states {
		m.owned.WithLabelValues(state).Set(float64(n))
	}
	kinds := map[Kind]int{
		Missing: 0, Changed: 0, Extra: 0, Duplicate: 0,
		Held: len(plan.Held), Disowned: len(plan.Disowned),
	}
	for _, c := range plan.Writes {
		kinds[c.Kind]++
	}
	for kind, n := range kinds {
		m.drift.WithLabelValues(string(kind)).Set(float64(n))
	}
}

// rules sets when each rule ends, and forgets the rules of before.
func (m *metrics) rules(before, rules []Rule) {
	ends := make(map[string]float64, len(rules))
	for _, r := range rules {
		ends[r.Name] = float64(r.EndsAt.Unix())
	}
	for _, r := range before {
		if _, ok := ends[r.Name]; !ok {
			m.ruleEnds.DeleteLabelValues(r.Name)
			m.expiring.DeleteLabelValues(r.Name)
			m.silenced.DeleteLabelValues(r.Name)
		}
	}
	for name, end := range ends {
		m.ruleEnds.WithLabelValues(name).Set(end)
	}
}

// alerts sets how many alerts each rule silences: none without an active
// silence.
func (m *metrics) alerts(f *found, n counts) {
	sums, unknown := make(map[string]int), make(map[string]bool)
	for _, o := range f.desired {
		if s, ok := f.plan.Serving[o.key()]; ok {
			if alerts := n.of(s); alerts != nil {
				sums[o.Rule.Name] += *alerts
			} else {
				unknown[o.Rule.Name] = true
			}
		}
	}
	for _, r := range f.rules {
		if unknown[r.Name] {
			m.silenced.DeleteLabelValues(r.Name)
		} else {
			m.silenced.WithLabelValues(r.Name).Set(float64(sums[r.Name]))
		}
	}
}
