package reload_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// proved returns the value of stoker_release_proved, -1 if it has none.
func proved(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "stoker_release_proved" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

// What is wrong with the files stands in the status until it is mended, since it was first known.
func TestStatusOfBadFiles(t *testing.T) {
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	a := b.publishOnly(reload.NewPrometheus, nil)
	mustSync(t, a, true)
	if s := a.Status(); s.Withheld != nil || s.Unproved != nil || !s.Confirmed.IsZero() {
		t.Errorf("status of a release that no server was asked about: %+v", s)
	}
	b.write("prometheus.yml", "global: [\n")
	if _, err := sync(t, a); err == nil {
		t.Fatal("no error")
	}
	first := a.Status().Withheld
	if first == nil || first.Kind != "" || first.Since.IsZero() {
		t.Fatalf("withheld is %+v", first)
	}
	if want := filepath.Join(b.source, "prometheus.yml") + ":2:1: "; len(first.Problems) != 1 || !strings.HasPrefix(first.Problems[0], want) {
		t.Errorf("problems are %q, want one at %s", first.Problems, want)
	}
	// Another fault, in other files: what is live is old since the first one. All problems are there.
	b.write("prometheus.yml", goodMain)
	b.write("rules/up.yml", "groups:\n- name: up\n  rules:\n  - { alert: A, expr: 'up ==' }\n  - { alert: B, expr: 'down ==' }\n")
	for range 2 { // the second pass finds it refused before
		if _, err := sync(t, a); err == nil {
			t.Fatal("no error")
		}
		s := a.Status()
		if s.Refused == "" || s.Withheld == nil || !s.Withheld.Since.Equal(first.Since) || len(s.Withheld.Problems) != 2 ||
			!strings.Contains(s.Withheld.Problems[1], "up.yml:5:") {
			t.Errorf("status is %+v, withheld %+v", s, s.Withheld)
		}
	}
	b.write("rules/up.yml", goodRules)
	mustSync(t, a, false)
	if s := a.Status(); s.Withheld != nil || s.Refused != "" {
		t.Errorf("status is %+v", s)
	}
}

// A server that is away is unknown, not good, until it says again what it runs.
func TestStatusOfAServer(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	server, _ := b.prometheus("prometheus")
	reg := prometheus.NewRegistry()
	a, err := reload.NewPrometheus(b.config(server.URL()), reload.Options{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	if got := proved(t, reg); got != -1 {
		t.Errorf("before the first pass stoker_release_proved is %v", got)
	}
	mustSync(t, a, false)
	before := a.Status()
	if before.Unproved != nil || before.Confirmed.IsZero() || proved(t, reg) != 1 {
		t.Errorf("status is %+v, metric %v", before, proved(t, reg))
	}
	server.Stop()
	if _, err := sync(t, a); err == nil {
		t.Fatal("no error")
	}
	s := a.Status()
	if s.Unproved == nil || s.Unproved.Since.Before(before.Confirmed) || !s.Confirmed.Equal(before.Confirmed) || proved(t, reg) != 0 {
		t.Errorf("status is %+v, metric %v", s, proved(t, reg))
	} else if s.Unproved.Kind != reload.Waiting || !strings.Contains(s.Unproved.Problems[0], "prometheus is not ready") {
		t.Errorf("unproved is %+v", s.Unproved)
	}
	if s.Withheld != nil {
		t.Errorf("the files are good and withheld: %+v", s.Withheld)
	}
	server.Restart()
	mustSync(t, a, false)
	if s := a.Status(); s.Unproved != nil || !s.Confirmed.After(before.Confirmed) || proved(t, reg) != 1 {
		t.Errorf("status is %+v, metric %v", s, proved(t, reg))
	}
}

// After a refusal the server runs what it ran before, and says why it won't have the new one.
func TestStatusOfARefusedRelease(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\n"})
	mustSync(t, b.publishOnly(reload.NewAlertmanager, nil), true)
	server := servertest.Alertmanager(t, servertest.ConfigFile(filepath.Join(b.out, "live", "alertmanager.yml")))
	a, err := reload.NewAlertmanager(b.config(server.URL()), reload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, a, false)
	good := a.Status().Live
	// Only the server can see that the certificate isn't there.
	b.write("alertmanager.yml", "route: { receiver: b }\nreceivers:\n- name: b\n  webhook_configs:\n  - url: http://127.0.0.1:1\n    http_config: { tls_config: { ca_file: /nowhere/ca.pem } }\n")
	if _, err := sync(t, a); err == nil {
		t.Fatal("no error")
	}
	s := a.Status()
	if s.Live != good || s.Unproved != nil || s.Withheld == nil || s.Withheld.Kind != reload.Refused || !strings.Contains(s.Withheld.Problems[0], "/nowhere/ca.pem") {
		t.Fatalf("status is %+v, withheld %+v", s, s.Withheld)
	}
	if list := releases(t, a); !slices.ContainsFunc(list, func(r reload.Release) bool { return r.Name == s.Refused && !r.Live && !r.Proved }) ||
		!slices.ContainsFunc(list, func(r reload.Release) bool { return r.Name == good && r.Live && r.Proved }) {
		t.Errorf("releases are %+v", list)
	}
	// A pass later it is still the server's refusal, in the server's words.
	if _, err := sync(t, a); err == nil {
		t.Fatal("no error")
	}
	if again := a.Status(); again.Withheld.Kind != reload.Refused || !again.Withheld.Since.Equal(s.Withheld.Since) ||
		!slices.Equal(again.Withheld.Problems, s.Withheld.Problems) || again.Unproved != nil {
		t.Errorf("status is %+v, withheld %+v", again, again.Withheld)
	}
}

// A server that reads another file accepts every reload, and isn't taken for one that runs the release.
func TestStatusOfAServerThatReadsAnotherFile(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	a, err := reload.NewPrometheus(b.config(servertest.Prometheus(t).URL()), reload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sync(t, a); err == nil {
		t.Fatal("no error")
	}
	if s := a.Status(); s.Unproved == nil || s.Unproved.Kind != reload.Mismatch || !s.Confirmed.IsZero() || s.Withheld != nil {
		t.Errorf("status is %+v, unproved %+v", s, s.Unproved)
	}
}
