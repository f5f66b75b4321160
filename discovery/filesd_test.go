package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promdiscovery "github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/file"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// fileSD is what Prometheus' own file_sd makes of a targets file.
func fileSD(t *testing.T, data []byte) ([]*targetgroup.Group, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "testnet.json")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	discoverer := fileDiscoverer(t, path, slog.New(failing(cancel)))
	updates := make(chan []*targetgroup.Group)
	var running sync.WaitGroup
	running.Go(func() { discoverer.Run(ctx, updates) })
	defer running.Wait()
	select {
	case groups := <-updates:
		cancel(nil)
		return groups, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// failing is a log handler that calls itself with what is logged as an error.
type failing func(error)

func (failing) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (f failing) WithAttrs([]slog.Attr) slog.Handler             { return f }
func (f failing) WithGroup(string) slog.Handler                  { return f }
func (f failing) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			f(fmt.Errorf("%s: %w", r.Message, err))
		}
		return true
	})
	return nil
}

func fileDiscoverer(t *testing.T, pattern string, logger *slog.Logger) promdiscovery.Discoverer {
	t.Helper()
	reg := prometheus.NewRegistry()
	cfg := &file.SDConfig{Files: []string{pattern}, RefreshInterval: model.Duration(time.Hour)}
	metrics := cfg.NewDiscovererMetrics(reg, promdiscovery.NewRefreshMetrics(reg))
	if err := metrics.Register(); err != nil {
		t.Fatal(err)
	}
	discoverer, err := cfg.NewDiscoverer(promdiscovery.DiscovererOptions{Logger: logger, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	return discoverer
}

// TestPrometheusReadsIt runs Prometheus' own file_sd on the folder while P-Reps
// join, move and have strange names. It sees every change and nothing else.
func TestPrometheusReadsIt(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(150, 1, icontest.WithHostnames(13))
	all := addresses(network)
	for i, name := range []string{`"`, `\`, "\x00\x1b[31m", "\xff\xfe", "{{ .Foo }}", "- a: &b", "\u202eevil\u202c", "서울 노드 ", "<script>", ""} {
		network.Rename(all[i], name)
	}
	a := testAgent(t, dir, testNetwork(1), Options{}, icontest.NewNode(network))
	mustSync(t, a, true)

	discoverer := fileDiscoverer(t, filepath.Join(dir, "*.json"), promslog.NewNopLogger())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	updates := make(chan []*targetgroup.Group)
	go discoverer.Run(ctx, updates)

	groups := map[string]*targetgroup.Group{} // as a scrape manager keeps them
	next := func() map[string]string {
		select {
		case update := <-updates:
			for _, g := range update {
				groups[g.Source] = g
			}
		case <-ctx.Done():
			t.Fatal("file_sd has no update")
		}
		targets := map[string]string{}
		for _, g := range groups {
			for _, target := range g.Targets {
				owner, exporter := string(g.Labels[labelPrep]), string(g.Labels[labelExporter])
				targets[owner+" "+exporter] = string(target[model.AddressLabel])
			}
		}
		return targets
	}
	want := func() map[string]string {
		targets := map[string]string{}
		for _, p := range network.PReps() {
			host, _, _ := parseEndpoint(p.Endpoint())
			targets[p.Address()+" goloop"], targets[p.Address()+" node"] = host+":9000", host+":9100"
		}
		return targets
	}
	if diff := cmp.Diff(want(), next()); diff != "" {
		t.Fatalf("at first (-want +got):\n%s", diff)
	}
	names := map[model.LabelValue]bool{}
	for _, g := range groups {
		names[g.Labels[labelPrepName]] = true
	}
	for _, name := range []string{`"`, `\`, "[31m", all[3], "{{ .Foo }}", "- a: &b", "evil", "서울 노드", "<script>", all[9]} {
		if !names[model.LabelValue(name)] {
			t.Errorf("no P-Rep is called %q among %q", name, slices.Sorted(maps.Keys(names)))
		}
	}

	network.Move(all[20], "127.99.0.1:7100")
	mustSync(t, a, true)
	if diff := cmp.Diff(want(), next()); diff != "" {
		t.Fatalf("after a move (-want +got):\n%s", diff)
	}
	network.Join(network.NewPRep("Newcomer", "127.99.0.2:7100"))
	network.Advance(100)
	mustSync(t, a, true)
	for have := next(); !maps.Equal(have, want()); have = next() {
		// Several events of one change give several equal updates; none may lack
		// a target.
		for who := range have {
			if _, ok := want()[who]; !ok {
				t.Fatalf("%s is in no network", who)
			}
		}
		if len(have) != 300 {
			t.Fatalf("%d targets in between, want 300 or 302", len(have))
		}
	}
}
