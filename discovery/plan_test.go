package discovery

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// planOne plans with a new agent, as the command does, and checks that nothing was written.
func planOne(t *testing.T, dir string, n Network, insist bool, nodes ...http.Handler) Planned {
	t.Helper()
	a := testAgent(t, dir, n, Options{}, nodes...)
	if insist {
		if err := a.AcceptDrop(n.Name); err != nil {
			t.Fatal(err)
		}
	}
	before := folder(t, dir)
	plans := a.Plan(t.Context())
	if after := folder(t, dir); after != before {
		t.Errorf("a plan wrote: %s became %s", before, after)
	}
	if s := a.Status()[0]; !s.LastAttempt.IsZero() {
		t.Errorf("a plan counts as an attempt: %+v", s)
	}
	return plans[0]
}

// folder describes all files below dir, so that any that is touched shows.
func folder(t *testing.T, dir string) (all string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, _ := os.ReadFile(p)
		all += fmt.Sprintf("%s %s %d %x\n", p, info.Mode(), info.ModTime().UnixNano(), data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func describePlan(p Planned) (all []string) {
	for _, c := range p.Changes {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s>%s", c.Name, c.What, c.From, c.To)))
	}
	for exporter, n := range p.Exporters {
		all = append(all, fmt.Sprintf("%s %+d", exporter, n))
	}
	for _, h := range p.Held {
		all = append(all, fmt.Sprintf("%s held %s", h.Name, h.Reason))
	}
	slices.Sort(all)
	return all
}

// A plan says what the next Sync does: the file it leaves is the plan's, and the plan after it is empty.
func TestPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(30, 1)
		node := icontest.NewNode(network)
		n := testNetwork(1)
		for _, name := range []string{"Mover", "Leaver", "Other"} {
			network.Join(network.NewPRep(name, "127.3.0.1:7100"))
		}
		find := func(name string) string {
			for _, p := range network.PReps() {
				if p["name"] == name {
					return p.Address()
				}
			}
			t.Fatalf("no P-Rep is named %s", name)
			return ""
		}
		check := func(what string, want, stay string) {
			t.Helper()
			p := planOne(t, dir, n, false, node)
			if p.Err != nil {
				t.Fatalf("%s: %v", what, p.Err)
			}
			if want != "" {
				got := slices.DeleteFunc(describePlan(p), func(s string) bool { return strings.Contains(s, PrepRelabelled) })
				if strings.Join(got, ", ") != want {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
			rendered, err := testAgent(t, dir, n, Options{}, node).Render(t.Context())
			if err != nil || string(rendered["testnet"]) != string(p.After) {
				t.Errorf("%s: Render and Plan differ, %v", what, err)
			}
			mustSync(t, testAgent(t, dir, n, Options{}, node), string(p.Before) != string(p.After))
			if readTargets(t, dir) != string(p.After) {
				t.Errorf("%s: Sync wrote something else", what)
			}
			p = planOne(t, dir, n, false, node)
			if got := strings.Join(describePlan(p), ", "); got != stay || string(p.Before) != string(p.After) {
				t.Errorf("%s: after a Sync there is %q, want %q", what, got, stay)
			}
		}
		if p := planOne(t, dir, n, false, node); len(p.Changes) != 33 || p.Before != nil {
			t.Errorf("%d changes without a file", len(p.Changes))
		}
		check("first", "", "")
		network.Move(find("Mover"), "127.3.0.2:7100")
		network.Rename(find("Other"), "Another")
		network.Join(network.NewPRep("Joiner", "127.3.0.3:7100"))
		network.Leave(find("Leaver"))
		check("life", "Another renamed Other>Another, Joiner joins >127.3.0.3, Leaver held absent, Mover moves 127.3.0.1>127.3.0.2", "Leaver held absent")
		if held := planOne(t, dir, n, false, node).Held[0]; time.Until(held.Until) != time.Hour {
			t.Errorf("held until %s, want in 1h", held.Until)
		}
		time.Sleep(time.Hour)
		check("remove_after is over", "Leaver leaves 127.3.0.1>", "")
		n.Exporters = append(n.Exporters[1:], Exporter{Name: "extra", Port: 9200, Path: "/metrics", Scheme: "http"})
		check("exporters", "extra +33, goloop -33", "")
		n.Exporters[0].Port++
		check("another port", "", "")
	})
}

// A drop that is held is an error with until when; with the operator's word it is shown what would go. A network
// that can't be asked changes nothing.
func TestPlanOfADrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(30, 1)
		node := icontest.NewNode(network)
		mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), true)
		for _, owner := range addresses(network)[:10] {
			network.Leave(owner)
		}
		p := planOne(t, dir, testNetwork(1), false, node)
		if p.Err == nil || len(p.Held) != 10 || p.Held[0].Reason != HeldDrop || time.Until(p.Held[0].Until) != holdFor || len(p.Changes) > 0 || string(p.Before) != string(p.After) {
			t.Errorf("%v, %q", p.Err, describePlan(p))
		}
		p = planOne(t, dir, testNetwork(1), true, node)
		if gone := slices.DeleteFunc(p.Changes, func(c PrepChange) bool { return c.What != PrepLeaves }); p.Err != nil || len(gone) != 10 {
			t.Errorf("accepted: %v, %q", p.Err, describePlan(p))
		}
		p = planOne(t, dir, testNetwork(1), false, nil)
		if p.Err == nil || !strings.Contains(p.Err.Error(), "connection refused") || string(p.Before) != string(p.After) || p.Before == nil {
			t.Errorf("down: %v, %q", p.Err, describePlan(p))
		}
	})
}
