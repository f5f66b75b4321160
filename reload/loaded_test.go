package reload

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

// What is read of a server's whole page is what is read of the lines that are about itself.
func TestOwnStateIsEnough(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(servertest.TB, ...servertest.Option) *servertest.Server{
		"prometheus": servertest.Prometheus, "alertmanager": servertest.Alertmanager,
	} {
		for _, binary := range map[string][]string{"prometheus": {"prometheus", "prometheus-2.53"}, "alertmanager": {"alertmanager", "alertmanager-0.27"}}[name] {
			t.Run(binary, func(t *testing.T) {
				t.Parallel()
				page, err := start(t, servertest.Binary(binary)).Get("/metrics")
				if err != nil {
					t.Fatal(err)
				}
				s := &server{name: name}
				own := s.ownState(page)
				whole, err := parseMetrics(page)
				if err != nil {
					t.Fatal(err)
				}
				cut, err := parseMetrics(own)
				if err != nil || len(own) > len(page)/5 || len(cut) > 10 {
					t.Errorf("%d of %d bytes, %d families, error %v", len(own), len(page), len(cut), err)
				}
				for _, family := range []string{name + "_config_last_reload_successful", name + "_config_last_reload_success_timestamp_seconds",
					name + "_build_info", "process_start_time_seconds"} {
					if want := whole[family]; want == nil || cut[family].String() != want.String() {
						t.Errorf("%s is\n%s, want\n%s", family, cut[family], want)
					}
				}
				if name == "alertmanager" && cut["alertmanager_config_hash"] == nil {
					t.Error("no alertmanager_config_hash")
				}
				l, err := s.readLoaded(page)
				if err != nil || !l.successful || l.at == 0 || l.started == 0 || l.version == "" {
					t.Errorf("read %+v, error %v", l, err)
				}
			})
		}
	}
}

// What is no page of the server's is told apart as before.
func TestPagesOfOthers(t *testing.T) {
	t.Parallel()
	s := &server{name: "prometheus"}
	for page, want := range map[string]string{
		"<!doctype html>": "GET /metrics: text format parsing error in line 1: invalid metric name: is this the address of prometheus?",
		"up 1\n":          "GET /metrics: no prometheus_config_last_reload_successful: is this the address of prometheus?",
		"":                "GET /metrics: no prometheus_config_last_reload_successful: is this the address of prometheus?",
		"prometheus_config_last_reload_successful one\n": `GET /metrics: text format parsing error in line 1: expected float as value, got "one": is this the address of prometheus?`,
	} {
		if _, err := s.readLoaded([]byte(page)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", page, err)
		}
	}
}

// BenchmarkLoaded reads the page of a Prometheus with 1,000 rule groups. Its floor is to look at every line.
func BenchmarkLoaded(b *testing.B) {
	var page strings.Builder
	for _, family := range []string{"evaluations_total", "evaluation_failures_total", "interval_seconds", "iterations_missed_total", "iterations_total",
		"last_duration_seconds", "last_evaluation_samples", "last_evaluation_timestamp_seconds", "last_rule_duration_sum_seconds", "rules"} {
		fmt.Fprintf(&page, "# HELP prometheus_rule_group_%[1]s What is known.\n# TYPE prometheus_rule_group_%[1]s gauge\n", family)
		for i := range 1000 {
			fmt.Fprintf(&page, "prometheus_rule_group_%s{rule_group=\"/etc/prometheus/releases/0123456789abcdef/rules/%d/%d.yml;g%d\"} 1.7%d\n", family, i/100, i, i, i)
		}
	}
	page.WriteString("# TYPE prometheus_config_last_reload_successful gauge\nprometheus_config_last_reload_successful 1\n")
	s, text := &server{name: "prometheus"}, []byte(page.String())
	floor := 0.0 // nanoseconds
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for line := range strings.Lines(page.String()) {
				n += len(line)
			}
			if n != len(text) {
				b.Fatal(n)
			}
		}
		floor = float64(b.Elapsed()) / float64(b.N)
	})
	for name, read := range map[string]func() error{
		"own":   func() error { _, err := s.readLoaded(text); return err },
		"whole": func() error { _, err := parseMetrics(text); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/floor, "x-floor")
		})
	}
}
