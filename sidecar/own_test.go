package sidecar

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload"
)

// A node of a network that registers the address of our Prometheus or Alertmanager is no target, and all commands
// agree on it.
func TestOwnServersAreNoTargets(t *testing.T) {
	network := icontest.Generate(10, 1, icontest.WithHosts(func(i int) string { return "8.8.8." + string(rune('1'+i%9)) }))
	evil := network.PReps()[:2]
	network.Move(evil[0].Address(), "8.8.4.4:7100")
	network.Move(evil[1].Address(), "1.1.1.1:7100")
	api := icontest.NewServer(network)
	defer api.Close()

	n := discovery.DefaultNetwork()
	n.Name, n.API, n.Exporters = "mainnet", []string{api.URL}, []discovery.Exporter{{Name: "node", Port: 9100, Path: "/metrics", Scheme: "http"}}
	dir := t.TempDir()
	cfg := &Config{
		Prometheus:   &reload.Config{URL: "http://8.8.4.4:9090/prometheus"}, // nobody asks it here
		Alertmanager: &reload.Config{URL: "https://1.1.1.1"},
		Discovery:    &discovery.Config{TargetsDir: dir, Networks: []discovery.Network{n}},
	}
	s, err := New(cfg, Options{Agents: []string{agentDiscovery}})
	if err != nil {
		t.Fatal(err)
	}
	results, err := s.SyncOnce(t.Context())
	if err != nil || results[0].Outcome != "success" {
		t.Fatalf("%+v, %v", results, err)
	}
	refused := s.Status().Networks[0].Refused
	if len(refused) != 2 || refused[0].Reason != discovery.ReasonDenied || refused[1].Reason != discovery.ReasonDenied {
		t.Errorf("refused: %+v", refused)
	}
	written, err := os.ReadFile(filepath.Join(dir, "mainnet.json"))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := RenderTargets(t.Context(), cfg)
	if err != nil || string(rendered["mainnet"]) != string(written) {
		t.Errorf("render shows other targets: %v\n%s", err, rendered["mainnet"])
	}
	for _, p := range evil {
		if strings.Contains(string(written), p.Address()) {
			t.Errorf("%s is a target", p.Endpoint())
		}
	}
}
