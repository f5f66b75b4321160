package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// BenchmarkStoker runs the program as it is released, as a process of its own beside real servers. Each part is one
// subject, and says what its floor is: the least that anything could need, measured in the same run. Some of it takes
// minutes; `go test -bench=Stoker/ChangeToPost ./cmd/stoker` runs one part.
func BenchmarkStoker(b *testing.B) {
	program := filepath.Join(b.TempDir(), "stoker")
	build := exec.Command("go", "build", "-o", program, "-ldflags", "-s -w", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, msg)
	}
	for _, part := range []struct {
		name string
		run  func(b *testing.B, program string)
	}{
		{"Binary", benchmarkBinary},
		{"FirstRelease", benchmarkFirstRelease},
		{"ChangeToPost", benchmarkChangeToPost},
		{"FixToProof", benchmarkFixToProof},
		{"Idle", benchmarkIdle},
		{"Limit", benchmarkLimit},
		{"Contacts", benchmarkContacts},
	} {
		b.Run(part.name, func(b *testing.B) { part.run(b, program) })
	}
}

// benchmarkBinary reports the size of the program as `make build` makes it.
func benchmarkBinary(b *testing.B, program string) {
	for b.Loop() {
	}
	b.ReportMetric(float64(size(b, program))/1e6, "MB")
}

// site is a folder with a stoker.yml and what it mentions.
type site struct {
	b   *testing.B
	dir string
}

func newSite(b *testing.B) *site { return &site{b, b.TempDir()} }

func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *site) write(name, content string) {
	s.b.Helper()
	servertest.WriteFile(s.b, s.path(name), content)
}

// config writes the stoker.yml with one section for each server that has a URL.
func (s *site) config(prometheus, alertmanager, more string) {
	s.b.Helper()
	text := ""
	if prometheus != "" {
		text += "prometheus: { url: '" + prometheus + "', source_dir: source/prometheus, output_dir: out/prometheus }\n"
	}
	if alertmanager != "" {
		text += "alertmanager: { url: '" + alertmanager + "', source_dir: source/alertmanager, output_dir: out/alertmanager }\n"
	}
	s.write("stoker.yml", text+more)
	must(s.b, os.MkdirAll(s.path("out"), 0o755))
}

// rules writes n rule files of one rule each, a hundred to a folder, and the main file for them.
func (s *site) rules(n, version int) {
	s.b.Helper()
	main := "rule_files:\n"
	for i := 0; i < n; i += 100 {
		main += fmt.Sprintf("- rules/%d/*.yml\n", i/100)
	}
	s.write("source/prometheus/prometheus.yml", main)
	for i := range n {
		s.write(fmt.Sprintf("source/prometheus/rules/%d/%d.yml", i/100, i), ruleFile(fmt.Sprint("g", i), version))
	}
}

// ruleFile is one rule as people write them; the version makes its content another one.
func ruleFile(group string, version int) string {
	return fmt.Sprintf(`groups:
- name: %s
  rules:
  - alert: NodeDown
    expr: sum by (instance) (rate(node_cpu_seconds_total{mode="idle", job="%s"}[5m])) < 0.0%d
    for: 5m
    labels: { severity: critical, audience: public }
    annotations:
      summary: "{{ $labels.instance }} is idle"
      description: The processor of {{ $labels.instance }} has been idle at {{ $value | humanizePercentage }}.
`, group, group, version+1)
}

// benchPatience is how long anything may take: a process that has hardly any memory for its own code doesn't end by itself.
const benchPatience = 2 * time.Minute

// publish makes the first releases, so that the servers can start.
func (s *site) publish(program string) {
	s.b.Helper()
	ctx, cancel := context.WithTimeout(s.b.Context(), benchPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "sync", "--publish-only")
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.b.Fatalf("%v\n%s", err, out)
	}
}

// prometheus starts a real Prometheus on the live release.
func (s *site) prometheus() *servertest.Server {
	s.b.Helper()
	return servertest.Prometheus(s.b, servertest.ConfigFile(s.path("out/prometheus/live/prometheus.yml")))
}

// alertmanager starts a real Alertmanager on the live release.
func (s *site) alertmanager() *servertest.Server {
	s.b.Helper()
	return servertest.Alertmanager(s.b, servertest.ConfigFile(s.path("out/alertmanager/live/alertmanager.yml")))
}

// run starts `stoker run` and waits until it has nothing more to do: until the first pass of every agent and the one
// that follows when the watches are in place are done.
func (s *site) run(program string) *servertest.Server {
	s.b.Helper()
	server := servertest.Stoker(s.b, program, servertest.Dir(s.dir), servertest.ConfigFile(s.path("stoker.yml")))
	servertest.Eventually(s.b, benchPatience, func() error {
		page, err := server.Get("/metrics")
		if err != nil {
			return err
		}
		passes := map[string]float64{}
		for line := range strings.Lines(string(page)) {
			var agent, result string
			var n float64
			if found, _ := fmt.Sscanf(line, "stoker_syncs_total{agent=%q,result=%q} %g", &agent, &result, &n); found == 3 && result != "error" {
				passes[agent] += n
			}
		}
		for agent, n := range passes {
			if n < 2 {
				return fmt.Errorf("%s has had %g passes without an error", agent, n)
			}
		}
		return nil
	})
	return server
}

// link returns the release that a link of an output_dir names.
func (s *site) link(server, link string) string {
	target, _ := os.Readlink(s.path("out/" + server + "/" + link)) // "" until there is one
	return filepath.Base(target)
}

// proved waits until another release than before is proved, and returns when that was, to a millisecond.
func (s *site) proved(server, before string) time.Time {
	s.b.Helper()
	deadline := time.Now().Add(benchPatience)
	for s.link(server, "proved") == before {
		if time.Now().After(deadline) {
			s.b.Fatalf("no new release of %s is proved", server)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Now()
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// times are measurements of one thing.
type times []time.Duration

func (ts times) median() time.Duration {
	if len(ts) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ts))
	return sorted[len(sorted)/2]
}

// report prints the median of some measurements in milliseconds, and the least and the most of them.
func (ts times) report(b *testing.B, name string) {
	ms := func(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/10) / 100 }
	b.ReportMetric(ms(ts.median()), name+"-ms")
	b.ReportMetric(ms(slices.Min(ts)), name+"-min-ms")
	b.ReportMetric(ms(slices.Max(ts)), name+"-max-ms")
}

// ratio is how many times the median of others goes into that of these.
func (ts times) ratio(others times) float64 {
	return float64(ts.median()) / float64(others.median())
}
