package sidecar

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are those that all agents have.
type metrics struct {
	syncs     *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	good      *prometheus.GaugeVec
	succeeded *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	return &metrics{
		syncs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "stoker_syncs_total",
			Help: "Passes of an agent, by what came of them: success (something changed), noop or error.",
		}, []string{"agent", "result"}),
		duration: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "stoker_sync_duration_seconds",
			Help:    "How long an agent's passes took.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100},
		}, []string{"agent"}),
		good: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_last_sync_successful",
			Help: "Whether an agent's last pass succeeded.",
		}, []string{"agent"}),
		succeeded: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_last_sync_success_timestamp_seconds",
			Help: "When an agent's last successful pass ended.",
		}, []string{"agent"}),
	}
}

// declare makes an agent's series exist before its first pass, so that rates and absent alerts work. Whether
// its last pass succeeded isn't known then, so that one series isn't there yet.
func (m *metrics) declare(agent string) {
	for _, result := range []string{"success", "noop", "error"} {
		m.syncs.WithLabelValues(agent, result)
	}
	m.duration.WithLabelValues(agent)
}

func (m *metrics) synced(r Result, took time.Duration) {
	m.syncs.WithLabelValues(r.Agent, r.Outcome).Inc()
	m.duration.WithLabelValues(r.Agent).Observe(took.Seconds())
	if r.Outcome == "error" {
		m.good.WithLabelValues(r.Agent).Set(0)
		return
	}
	m.good.WithLabelValues(r.Agent).Set(1)
	m.succeeded.WithLabelValues(r.Agent).Set(float64(r.Succeeded.UnixMilli()) / 1000)
}
