package compose_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/examples/internal/exampletest"
	"github.com/stoker-project/stoker/reload/servertest"
)

const patient = 5 * time.Minute

// The example passes stoker's own check, and compose.yaml fits it: both servers start from the live release,
// in volumes that stoker writes at the same path.
func TestFilesFitTogether(t *testing.T) {
	t.Parallel()
	stoker := servertest.Build(t, "./cmd/stoker")
	if output, err := exec.Command(stoker, "check", "--config.file=stoker.yml").CombinedOutput(); err != nil {
		t.Errorf("stoker check: %v\n%s", err, output)
	}

	var compose struct {
		Services map[string]struct {
			Image     string
			Command   []string
			Volumes   []string
			DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
		}
	}
	read(t, "compose.yaml", &compose)
	var config struct {
		Prometheus, Alertmanager struct {
			OutputDir string `yaml:"output_dir"`
		}
		Discovery struct {
			TargetsDir string `yaml:"targets_dir"`
		}
	}
	read(t, "stoker.yml", &config)

	written := []string{config.Prometheus.OutputDir, config.Alertmanager.OutputDir, config.Discovery.TargetsDir}
	for _, service := range []string{"init", "stoker"} {
		for _, dir := range written {
			if !slices.ContainsFunc(compose.Services[service].Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+dir) }) {
				t.Errorf("%s has no volume at %s", service, dir)
			}
		}
	}
	for service, want := range map[string]struct{ image, output, file string }{
		"prometheus":   {"prom/prometheus:v", config.Prometheus.OutputDir, "prometheus.yml"},
		"alertmanager": {"prom/alertmanager:v", config.Alertmanager.OutputDir, "alertmanager.yml"},
	} {
		got := compose.Services[service]
		if !strings.HasPrefix(got.Image, want.image) {
			t.Errorf("%s has the image %s", service, got.Image)
		}
		if flag := "--config.file=" + want.output + "/live/" + want.file; !slices.Contains(got.Command, flag) {
			t.Errorf("%s lacks %s", service, flag)
		}
		if !slices.ContainsFunc(got.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+want.output+":ro") }) {
			t.Errorf("%s has no read-only volume at %s", service, want.output)
		}
		if got.DependsOn["init"].Condition != "service_completed_successfully" {
			t.Errorf("%s doesn't wait for init", service)
		}
	}
}

// The example runs, for real, in a network without a way out.
func TestRun(t *testing.T) {
	t.Parallel()
	if output, err := exec.Command("docker", "version", "--format={{.Server.Version}}").CombinedOutput(); err != nil {
		t.Logf("no Docker engine here, so the example wasn't run: %v: %s", err, bytes.TrimSpace(output))
		return
	}
	p := up(t)

	p.eventually("stoker", ":9096/-/ready", nil)
	p.eventually("alertmanager", ":9093/api/v2/receivers", exampletest.Contains("acme", "exchange"))
	p.eventually("alertmanager", ":9093/api/v2/silences", exampletest.Contains("acme-move"))
	p.eventually("prometheus", ":9090/api/v1/targets?state=active&scrapePool=preps", exampletest.TargetsUp(16))
	p.eventually("prometheus", ":9090/api/v1/targets?state=active&scrapePool=stoker", exampletest.TargetsUp(1))
	p.eventually("prometheus", ":9090/api/v1/targets?state=active&scrapePool=network", exampletest.TargetsUp(1))
	p.eventually("prometheus", ":9090/api/v1/rules", exampletest.Contains("NodeDown", "StokerSyncFailing", "PRepJailed"))

	// A contact that is committed while everything runs.
	acme, err := os.ReadFile("contacts/operators/acme.yml")
	if err != nil {
		t.Fatal(err)
	}
	birch := strings.NewReplacer("Acme", "Birch", "acme", "birch", "hx0b", "hx0c").Replace(string(acme))
	p.put("contacts/operators/birch.yml", birch)
	p.eventually("alertmanager", ":9093/api/v2/receivers", exampletest.Contains("birch"))

	// An alert reaches its operator and the team, and nobody else.
	p.post("alertmanager", ":9093/api/v2/alerts", `[{"labels": {"alertname": "NodeDown", "severity": "critical",
		"network": "mainnet", "prep": "hx0b047c751658f7ce1b2595da34d57a0e7dad357d", "prep_name": "Acme"}}]`)
	p.eventually("world", ":8025/", exampletest.Contains("noc@acme.example", "team@example.org"))
	if page := p.get("world", ":8025/"); strings.Contains(page, "birch.example") || strings.Contains(page, "duty@acme.example") {
		t.Errorf("somebody was told who shouldn't be, or too early:\n%s", page)
	}

	// Both servers come back with everything while stoker is away.
	p.compose("stop", "stoker")
	p.compose("restart", "prometheus", "alertmanager")
	p.eventually("alertmanager", ":9093/api/v2/receivers", exampletest.Contains("acme", "birch"))
	p.eventually("prometheus", ":9090/api/v1/targets?state=active&scrapePool=preps", exampletest.TargetsUp(16))

	p.compose("start", "stoker")
	servertest.Eventually(t, patient, func() error {
		health := p.inspect("stoker", "{{.State.Health.Status}}")
		if health != "healthy" {
			return fmt.Errorf("stoker is %s", health)
		}
		return nil
	})
}

func read(t *testing.T, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}
