package reload

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are an agent's own, with the server's name as a constant label.
type metrics struct {
	reloads   *prometheus.CounterVec
	duration  prometheus.Histogram
	rollbacks prometheus.Counter
	info      *prometheus.GaugeVec
	proved    *prometheus.GaugeVec // of no labels: it has no value while nobody knows
}

func newMetrics(reg prometheus.Registerer, server string) metrics {
	if reg != nil {
		reg = prometheus.WrapRegistererWith(prometheus.Labels{"server": server}, reg)
	}
	with := promauto.With(reg)
	m := metrics{
		reloads: with.NewCounterVec(prometheus.CounterOpts{
			Name: "stoker_reloads_total",
			Help: "Reloads that were sent to a server, by what came of them; a late answer counts besides its timeout.",
		}, []string{"result"}),
		duration: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "stoker_reload_duration_seconds",
			Help:    "How long a server took for a reload and its proof.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100},
		}),
		rollbacks: with.NewCounter(prometheus.CounterOpts{
			Name: "stoker_rollbacks_total",
			Help: "Releases that a server refused and that were replaced by the last proved one.",
		}),
		info: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_release_info",
			Help: "The live release of a server; the value is always 1.",
		}, []string{"release"}),
		proved: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoker_release_proved",
			Help: "Whether the server said in the last pass that it runs the live release; no value while nobody has asked it.",
		}, nil),
	}
	for _, result := range []string{"proved", "refused", "mismatch", "timeout", "error"} {
		m.reloads.WithLabelValues(result)
	}
	return m
}

// reloaded counts a reload that was sent.
func (m *metrics) reloaded(result string, took time.Duration) {
	m.reloads.WithLabelValues(result).Inc()
	m.duration.Observe(took.Seconds())
}

// release says which release is live, and whether the server runs it.
func (m *metrics) release(s Status) {
	m.info.Reset()
	if s.Live != "" {
		m.info.WithLabelValues(s.Live).Set(1)
	}
	switch {
	case s.Unproved != nil:
		m.proved.WithLabelValues().Set(0)
	case !s.Confirmed.IsZero():
		m.proved.WithLabelValues().Set(1)
	}
}
