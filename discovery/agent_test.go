package discovery

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func TestSync(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(150, 1, icontest.WithHostnames(5))
	node := icontest.NewNode(network)
	a := testAgent(t, dir, testNetwork(1), Options{}, node)
	mustSync(t, a, true)
	if err := loads([]byte(readTargets(t, dir)), 300); err != nil {
		t.Fatal(err)
	}
	have := owners(t, dir)
	for _, p := range network.PReps() {
		if got := have[p.Address()]; got.Name == "" || joinPort(got.Host, got.P2PPort) != p.Endpoint() {
			t.Errorf("%s: %+v", p, got)
		}
	}

	// The same again, a later block, another agent: the file isn't touched.
	before, err := os.Stat(filepath.Join(dir, "testnet.json"))
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, a, false)
	network.Advance(10)
	mustSync(t, a, false)
	mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), false)
	after, err := os.Stat(filepath.Join(dir, "testnet.json"))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("an unchanged file was touched: %v", err)
	}
}

func TestLifeOfANetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		node := icontest.NewNode(network)
		a := testAgent(t, dir, testNetwork(1), Options{}, node)
		mustSync(t, a, true)
		all := addresses(network)

		network.Rename(all[0], "\u202eNew Name\n")
		network.Move(all[1], "127.200.0.1:7100")
		newcomer := network.NewPRep("Newcomer", "127.200.0.2:7100")
		network.Join(newcomer)
		network.Leave(all[2])
		mustSync(t, a, true)
		got := owners(t, dir)
		if len(got) != 51 || got[all[0]].Name != "New Name" || got[all[1]].Host != "127.200.0.1" || got[newcomer.Address()].Host != "127.200.0.2" {
			t.Errorf("%d P-Reps, %+v, %+v", len(got), got[all[0]], got[all[1]])
		}
		if _, ok := got[all[2]]; !ok {
			t.Error("a P-Rep that left is gone at once")
		}

		// The clock of remove_after survives a restart.
		time.Sleep(40 * time.Minute)
		a = testAgent(t, dir, testNetwork(1), Options{}, node)
		mustSync(t, a, false)
		if held := a.Status()[0].Held; len(held) != 1 || held[0].Owner != all[2] || held[0].Reason != HeldAbsent || time.Since(held[0].Since) != 40*time.Minute {
			t.Errorf("held: %+v", held)
		}
		time.Sleep(20 * time.Minute)
		mustSync(t, a, true)
		if _, ok := owners(t, dir)[all[2]]; ok {
			t.Error("a P-Rep that left is still there after remove_after")
		}
		network.Join(func() icontest.PRep { p := newcomer; p["address"] = all[2]; return p }())
		mustSync(t, a, true)
		if _, ok := owners(t, dir)[all[2]]; !ok {
			t.Error("a P-Rep that came back isn't there")
		}
	})
}

func TestOneNetworkDoesNotStopTheOther(t *testing.T) {
	dir := t.TempDir()
	good, bad := testNetwork(1), testNetwork(1)
	bad.Name, bad.API = "badnet", []string{"http://b.test/api/v3"}
	a, err := New(Config{TargetsDir: dir, Networks: []Network{bad, good}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	connect(a, icontest.NewNode(icontest.Generate(10, 1)))
	changed, err := a.Sync(t.Context())
	if !changed || err == nil || !strings.HasPrefix(err.Error(), "badnet: no targets yet: ") {
		t.Errorf("changed %t, %v", changed, err)
	}
	if err := loads([]byte(readTargets(t, dir)), 20); err != nil {
		t.Error(err)
	}
	rendered, err := a.Render(t.Context())
	if err == nil || len(rendered) != 1 || string(rendered["testnet"]) != readTargets(t, dir) {
		t.Errorf("rendered %d, %v", len(rendered), err)
	}
}

func TestRenderWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "targets")
	network := icontest.Generate(10, 1)
	a := testAgent(t, dir, testNetwork(1), Options{}, icontest.NewNode(network))
	rendered, err := a.Render(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("Render made the folder: %v", err)
	}
	mustSync(t, a, true)
	if diff := cmp.Diff(readTargets(t, dir), string(rendered["testnet"])); diff != "" {
		t.Errorf("(-written +rendered):\n%s", diff)
	}
}

func TestConfigurationChanges(t *testing.T) {
	dir := t.TempDir()
	node := icontest.NewNode(icontest.Generate(50, 1))
	cfg := testNetwork(1)
	mustSync(t, testAgent(t, dir, cfg, Options{}, node), true)
	cfg.Exporters = append(cfg.Exporters, Exporter{Name: "cadvisor", Port: 8080, Path: "/metrics", Scheme: "http"})
	mustSync(t, testAgent(t, dir, cfg, Options{}, node), true)
	if err := loads([]byte(readTargets(t, dir)), 150); err != nil {
		t.Error(err)
	}
	cfg.Exporters = cfg.Exporters[:1]
	mustSync(t, testAgent(t, dir, cfg, Options{}, node), true)
	if err := loads([]byte(readTargets(t, dir)), 50); err != nil {
		t.Error(err)
	}
	// Loopback addresses are all there is here: nothing can be used any more,
	// and nothing isn't written.
	cfg.AllowPrivate = false
	want := readTargets(t, dir)
	a := testAgent(t, dir, cfg, Options{}, node)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errEmpty) || readTargets(t, dir) != want || len(a.Status()[0].Refused) != 50 {
		t.Errorf("%d refused, %v", len(a.Status()[0].Refused), err)
	}
}
