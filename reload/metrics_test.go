package reload_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stoker-project/stoker/reload"
)

// The metrics of two servers live beside each other, are named as promtool wants them, and those that count are there
// before anything has happened, so that rates begin at zero.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	reload.NewWatchMetrics(reg)
	b := newBench(t, map[string]string{
		"prometheus.yml":   goodMain,
		"rules/up.yml":     goodRules,
		"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\n",
	})
	for _, kind := range []func(reload.Config, reload.Options) (*reload.Agent, error){reload.NewPrometheus, reload.NewAlertmanager} {
		_, err := kind(b.config("http://127.0.0.1:1"), reload.Options{Registerer: reg})
		must(t, err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	families, err := reg.Gather()
	must(t, err)
	var have []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series := f.GetName()
			for _, l := range m.GetLabel() {
				series += " " + l.GetValue()
			}
			have = append(have, series)
		}
	}
	for _, server := range []string{"prometheus", "alertmanager"} {
		for _, want := range []string{
			"stoker_reloads_total proved SERVER", "stoker_reloads_total refused SERVER", "stoker_reloads_total mismatch SERVER",
			"stoker_reloads_total timeout SERVER", "stoker_rollbacks_total SERVER", "stoker_reload_duration_seconds SERVER",
		} {
			if want = strings.ReplaceAll(want, "SERVER", server); !slices.Contains(have, want) {
				t.Errorf("no series %s among %q", want, have)
			}
		}
	}
}
