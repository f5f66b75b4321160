package discovery

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of the answers that endpoints were asked for, as the label result.
const (
	resultAccepted    = "accepted"
	resultConsulted   = "consulted"   // asked about what another one said is gone
	resultHeld        = "held"        // a drop
	resultOlder       = "older"       // than one before
	resultImplausible = "implausible" // a height that the chain can't have
	resultStill       = "still"       // at a block for long
	resultEmpty       = "empty"       // no P-Rep in it can be a target
	resultFailed      = "failed"      // no answer, or not a whole one of this network
)

var (
	errStill     = errors.New("stands still")
	errConsulted = errors.New("consulted") // not a failure: what count is told
)

func newAnswers() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stoker_discovery_answers_total",
		Help: "Answers that an endpoint of a network was asked for, by what became of them.",
	}, []string{"network", "endpoint", "result"})
}

// count counts what became of an endpoint's answer.
func (n *network) count(c *client, err error) {
	for _, result := range []string{resultAccepted, resultConsulted, resultHeld, resultOlder, resultImplausible, resultStill, resultEmpty, resultFailed} {
		n.answers.WithLabelValues(n.name, c.host, result) // so that its first increase is one
	}
	n.answers.WithLabelValues(n.name, c.host, resultOf(err)).Inc()
}

func resultOf(err error) string {
	for _, kind := range []struct {
		err    error
		result string
	}{
		{nil, resultAccepted},
		{errConsulted, resultConsulted},
		{errDrop, resultHeld},
		{errOlder, resultOlder},
		{errImplausible, resultImplausible},
		{errStill, resultStill},
		{errEmpty, resultEmpty},
	} {
		if errors.Is(err, kind.err) {
			return kind.result
		}
	}
	return resultFailed
}
