package reload

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// BenchmarkPublish is a pass in which all of 1,000 rule files changed, to the moment at which the release is live on
// disk. Its floors are what nobody can do without: to write the same bytes to the same disk, each file durably by
// itself, and to load the files as Prometheus does, which is also the measure of the check alone.
func BenchmarkPublish(b *testing.B) {
	const files, rounds = 1000, 7
	dir := b.TempDir()
	write := func(version int) {
		b.Helper()
		main := "rule_files:\n"
		for i := range files {
			if i%100 == 0 {
				main += fmt.Sprintf("- rules/%d/*.yml\n", i/100)
			}
			p := filepath.Join(dir, "source", "rules", fmt.Sprint(i/100), fmt.Sprintf("%d.yml", i))
			rules := fmt.Sprintf(`groups:
- name: g%d
  rules:
  - alert: NodeDown
    expr: sum by (instance) (rate(node_cpu_seconds_total{mode="idle", job="g%d"}[5m])) < 0.0%d
    for: 5m
    labels: { severity: critical, audience: public }
    annotations: { summary: "{{ $labels.instance }} is idle", description: "Idle at {{ $value | humanizePercentage }}." }
`, i, i, version+1)
			if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(rules), 0o644)); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "source", "prometheus.yml"), []byte(main), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	write(0)
	a := crashAgent(dir)
	if _, err := a.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	took := map[string][]time.Duration{}
	measure := func(what string, fn func() error) {
		b.Helper()
		began := time.Now()
		if err := fn(); err != nil {
			b.Fatalf("%s: %v", what, err)
		}
		took[what] = append(took[what], time.Since(began))
	}
	version := 0
	for b.Loop() {
		for range rounds {
			version++
			write(version)
			measure("publish", func() error {
				changed, err := a.Sync(b.Context())
				if err == nil && !changed {
					err = errors.New("nothing was published")
				}
				return err
			})
			live := filepath.Join(dir, "out", liveLink)
			c := a.candidate(facts{})
			if err := a.origin.gather(b.Context(), c, 0); err != nil {
				b.Fatal(err)
			}
			root, err := filepath.EvalSymlinks(live)
			if err != nil {
				b.Fatal(err)
			}
			measure("check", func() error { _, err := c.check(root); return err })
			measure("load", func() error { return loadAsPrometheus(filepath.Join(root, "prometheus.yml")) })
			measure("write", func() error { return writeOneByOne(filepath.Join(dir, fmt.Sprint("floor", version)), c.tree) })
		}
	}
	median := map[string]float64{} // in milliseconds
	for what, all := range took {
		slices.Sort(all)
		median[what] = float64(all[len(all)/2].Microseconds()) / 1000
		b.ReportMetric(math.Round(median[what]), what+"-ms")
		b.Logf("%s: %v", what, all)
	}
	b.ReportMetric(median["publish"]/(median["write"]+median["load"]), "x-write+load")
	b.ReportMetric(median["check"]/median["load"], "x-load")
}

// loadAsPrometheus reads a main file and its rules as a Prometheus that starts.
func loadAsPrometheus(file string) error {
	cfg, err := config.LoadFile(file, false, promslog.NewNopLogger())
	if err != nil {
		return err
	}
	if _, err := cfg.GetScrapeConfigs(); err != nil {
		return err
	}
	for _, pattern := range cfg.RuleFiles {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, f := range files {
			if _, errs := rulefmt.ParseFile(f, false, cfg.GlobalConfig.MetricNameValidationScheme, parser.NewParser(parser.Options{}), promslog.NewNopLogger()); len(errs) > 0 {
				return errors.Join(errs...)
			}
		}
	}
	return nil
}

// writeOneByOne writes files durably, and nothing else.
func writeOneByOne(root string, tree Tree) error {
	for _, p := range tree.Paths() {
		name := filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		_, err = f.Write(tree[p])
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
