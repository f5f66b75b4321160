package discovery

import "github.com/prometheus/client_golang/prometheus"

// recordClaims keeps what an Apply found. file is the targets file, nil if it stays.
func (a *Agent) recordClaims(i int, all []Claim, file []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status[i].Claims = all
	if file != nil {
		a.files[i] = notEmpty(file)
	}
}

// notEmpty is a targets file as it may be served: none that has no target, because
// contacts gave URLs for everything in it.
func notEmpty(file []byte) []byte {
	if string(file) == "[\n]\n" {
		return nil
	}
	return file
}

// A claimCollector shows what became of claims. A network about which nobody says
// anything has no metric before it was asked.
type claimCollector struct{ agent *Agent }

var overridesDesc = prometheus.NewDesc("stoker_discovery_overrides", "Number of exporters of P-Reps that contacts say how to reach, by what became of it.", []string{"network", "state"}, nil)

// Describe implements prometheus.Collector.
func (claimCollector) Describe(ch chan<- *prometheus.Desc) { ch <- overridesDesc }

// Collect implements prometheus.Collector.
func (c claimCollector) Collect(ch chan<- prometheus.Metric) {
	if c.agent.overrides == nil {
		return
	}
	for _, s := range c.agent.Status() {
		if s.LastAttempt.IsZero() && len(s.Claims) == 0 {
			continue
		}
		states := map[string]int{}
		for _, claim := range s.Claims {
			states[claim.State]++
		}
		for _, state := range []string{
			ClaimUsed, ClaimUnknown, ClaimContested, ClaimUnserved, ReasonMalformed, ReasonPrivate, ReasonUnresolved, ReasonDenied,
		} {
			ch <- prometheus.MustNewConstMetric(overridesDesc, prometheus.GaugeValue, float64(states[state]), s.Name, state)
		}
	}
}
