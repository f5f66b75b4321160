package rules_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
)

// The rule files, and beside each its test.
var files = map[string]string{"stoker.yml": "stoker_test.yml", "network.yml": "network_test.yml"}

type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T, name string) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	read(t, name, &file)
	var rules []rule
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// Prometheus' own tool finds the rules good, and they fire when their test says so.
func TestPromtool(t *testing.T) {
	promtool := servertest.Program(t, "promtool")
	for file, test := range files {
		for _, args := range [][]string{
			{"check", "rules", "--lint=all", "--lint-fatal", file},
			{"test", "rules", test},
		} {
			if output, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
				t.Errorf("promtool %v: %v\n%s", args, err, output)
			}
		}
	}
}

// Every alert is for somebody and says what it means and what helps, and its test has a case in which it fires and one
// in which it doesn't.
func TestEveryAlertIsComplete(t *testing.T) {
	for file, test := range files {
		t.Run(file, func(t *testing.T) { complete(t, file, test) })
	}
}

func complete(t *testing.T, rulesFile, testFile string) {
	t.Helper()
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	read(t, testFile, &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, group := range file.Tests {
		for _, test := range group.AlertRuleTest {
			if len(test.ExpAlerts) > 0 {
				fires[test.Alertname] = true
			} else {
				silent[test.Alertname] = true
			}
		}
	}
	for _, r := range rules(t, rulesFile) {
		if r.Record != "" {
			continue
		}
		if r.Labels["severity"] == "" || r.Labels["audience"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks a severity, an audience, a summary or a description", r.Alert)
		}
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s is tested to fire: %v, and not to: %v", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

// Whoever starts with the compose example, or the one for Kubernetes, has the same rules.
func TestOtherExamplesHaveTheSameRules(t *testing.T) {
	for file := range files {
		ours, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, copied := range []string{"compose/prometheus/rules/" + file, "kubernetes/prometheus/" + strings.Replace(file, ".", ".rules.", 1)} {
			theirs, err := os.ReadFile(filepath.Join("..", copied))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("examples/%s differs from examples/rules/%s: copy it there", copied, file)
			}
		}
	}
}

// A metric or label that the rules mention and stoker doesn't export makes an alert that never fires.
func TestRulesMentionWhatStokerExports(t *testing.T) {
	t.Parallel()
	var selectors []*parser.VectorSelector
	for file := range files {
		recorded := map[string]bool{"up": true} // of the scrape itself
		for _, r := range rules(t, file) {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				if s, ok := node.(*parser.VectorSelector); ok && !recorded[s.Name] {
					selectors = append(selectors, s)
				}
				return nil
			})
			recorded[r.Record] = true // for the rules below it
		}
	}
	if len(selectors) < 20 {
		t.Fatalf("only %d selectors", len(selectors))
	}

	dir := t.TempDir()
	stoker := start(t, dir)
	// Its last good version is called from now on.
	servertest.Eventually(t, time.Minute, func() error {
		_, err := os.Stat(filepath.Join(dir, "out/alertmanager/live/.stoker/contacts/acme.yml"))
		return err
	})
	write(t, dir, "contacts/acme.yml", "kind: manager\n")
	for _, s := range selectors {
		servertest.Eventually(t, time.Minute, func() error { return matches(stoker, s) })
	}
}

// matches is nil if stoker exports a series that the selector selects.
func matches(stoker *servertest.Server, s *parser.VectorSelector) error {
	path := "/metrics"
	if strings.HasPrefix(s.Name, "icon_") {
		path = "/network/metrics"
	}
	page, err := stoker.Get(path)
	if err != nil {
		return err
	}
	text := expfmt.NewTextParser(model.UTF8Validation)
	families, err := text.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return err
	}
	for _, metric := range families[s.Name].GetMetric() {
		have := labels.NewBuilder(labels.FromStrings(model.MetricNameLabel, s.Name))
		for _, l := range metric.GetLabel() {
			have.Set(l.GetName(), l.GetValue())
		}
		series, all := have.Labels(), true
		for _, m := range s.LabelMatchers {
			all = all && series.Has(m.Name) && m.Matches(series.Get(m.Name))
		}
		if all {
			return nil
		}
	}
	return fmt.Errorf("stoker exports nothing that %s selects", s)
}

// start runs a stoker with everything configured, beside a real Alertmanager. No Prometheus answers it, and one
// contact has never been good.
func start(t *testing.T, dir string) *servertest.Server {
	t.Helper()
	network := httptest.NewServer(icontest.NewNode(icontest.Generate(5, 1)))
	t.Cleanup(network.Close)
	write(t, dir, "prometheus/prometheus.yml", "global: {}\n")
	write(t, dir, "alertmanager/alertmanager.yml",
		"global: { smtp_smarthost: '127.0.0.1:1', smtp_from: a@example.org }\nroute: { receiver: team }\nreceivers: [{ name: team }]\n")
	write(t, dir, "contacts/birch.yml", "kind: manager\n")
	write(t, dir, "contacts/acme.yml", `kind: operator
name: Acme
owner: hx0b047c751658f7ce1b2595da34d57a0e7dad357d
contact_methods: { mail: { email: { to: noc@acme.example } } }
notification_rules: [{ notify: [mail], min_severity: warning }]
`)
	write(t, dir, "silences.yaml", fmt.Sprintf("silences:\n- { name: disk, matchers: ['alertname=\"Disk\"', 'severity=\"warning\"'], ends_at: %s, comment: disk swap }\n",
		time.Now().UTC().Add(time.Hour).Format(time.RFC3339)))
	write(t, dir, "stoker.yml", fmt.Sprintf(`
prometheus: { url: 'http://127.0.0.1:1', source_dir: prometheus, output_dir: out/prometheus }
alertmanager: { url: %q, source_dir: alertmanager, output_dir: out/alertmanager, settle: 10ms }
contacts: { dir: contacts }
discovery:
  targets_dir: out/targets
  networks:
  - { name: mainnet, api: [%q], allow_private: true, exporters: [{ name: node, port: 9100 }] }
silencing: { file: silences.yaml, owner: team }
routing:
  phone:
    provider: twilio
    account_sid: AC0123456789abcdef0123456789abcdef
    auth_token_file: twilio-token
    from: +33199001234
    bridge_listen: %s
`, servertest.Alertmanager(t).URL(), network.URL+"/api/v3", servertest.FreeAddress(t)))
	write(t, dir, "twilio-token", "fedcba9876543210fedcba9876543210\n")
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	return servertest.Stoker(t, servertest.Build(t, "./cmd/stoker"), servertest.ConfigFile(filepath.Join(dir, "stoker.yml")))
}

func read(t *testing.T, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, file, content string) {
	t.Helper()
	servertest.WriteFile(t, filepath.Join(dir, file), content)
}
