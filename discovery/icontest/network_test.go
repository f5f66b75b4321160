package icontest_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func TestGenerate(t *testing.T) {
	one, again := icontest.Generate(150, 7, icontest.WithHostnames(13)), icontest.Generate(150, 7, icontest.WithHostnames(13))
	if diff := cmp.Diff(one.PReps(), again.PReps()); diff != "" {
		t.Errorf("the same seed made another network:\n%s", diff)
	}
	if other := icontest.Generate(150, 8); other.PReps()[0].Address() == one.PReps()[0].Address() {
		t.Error("another seed made the same network")
	}

	seen := map[string]int{}
	addresses, endpoints := map[string]bool{}, map[string]bool{}
	for i, p := range one.PReps() {
		if i > 0 && p["power"] == "0x0" {
			seen["no power"]++
		}
		addresses[p.Address()], endpoints[p.Endpoint()] = true, true
		for what, yes := range map[string]bool{
			"candidate":    p["grade"] == "0x2",
			"penalty":      p["penalty"] != "0x0",
			"other node":   p["nodeAddress"] != p["address"],
			"hostname":     strings.Contains(p.Endpoint(), ".prep.test:"),
			"odd port":     !strings.HasSuffix(p.Endpoint(), ":7100"),
			"braces":       strings.ContainsAny(p.Name(), "{}"),
			"bar or slash": strings.ContainsAny(p.Name(), "|/"),
			"space at end": strings.HasSuffix(p.Name(), " "),
			"Korean":       strings.ContainsAny(p.Name(), "서도"),
			"jailed":       p["jailFlags"] != "0x0",
			"commission":   p["commissionRate"] != nil,
		} {
			if yes {
				seen[what]++
			}
		}
	}
	if len(addresses) != 150 || len(endpoints) != 150 {
		t.Errorf("%d addresses and %d endpoints of 150 P-Reps", len(addresses), len(endpoints))
	}
	for _, what := range []string{"no power", "candidate", "penalty", "other node", "odd port", "braces", "bar or slash", "space at end", "Korean", "jailed", "commission"} {
		if seen[what] == 0 {
			t.Errorf("no P-Rep with: %s", what)
		}
	}
	if seen["hostname"] != 13 {
		t.Errorf("%d hostnames, want 13", seen["hostname"])
	}
}

// TestFields fixes the fields of each revision.
func TestFields(t *testing.T) {
	common := []string{"address", "city", "country", "delegated", "details", "email", "grade", "irep", "irepUpdateBlockHeight", "name",
		"nodeAddress", "p2pEndpoint", "penalty", "status", "totalBlocks", "validatedBlocks", "website"}
	for _, tc := range []struct {
		revision icontest.Revision
		more     []string
	}{
		{icontest.ICON1, []string{"stake", "unvalidatedSequenceBlocks", "lastGenerateBlockHeight", "blockHeight", "txIndex"}},
		{icontest.IISS3, []string{"bonded", "power", "lastHeight"}},
		{20, []string{"bonded", "power", "lastHeight"}},
		{icontest.BTP2, []string{"bonded", "power", "lastHeight", "hasPublicKey"}},
		{icontest.IISS4, []string{"bonded", "power", "lastHeight", "hasPublicKey", "jailFlags", "unjailRequestHeight", "minDoubleSignHeight"}},
	} {
		want := slices.Sorted(slices.Values(slices.Concat(common, tc.more)))
		p := icontest.Generate(1, 1, icontest.WithRevision(tc.revision)).PReps()[0]
		for _, optional := range []string{"commissionRate", "maxCommissionRate", "maxCommissionChangeRate"} {
			delete(p, optional)
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(p))); diff != "" {
			t.Errorf("revision %d (-want +got):\n%s", tc.revision, diff)
		}
	}
}

func TestRankOrder(t *testing.T) {
	network := icontest.Generate(10, 1)
	for i, p := range network.PReps() {
		network.Update(p.Address(), func(p icontest.PRep) {
			p["jailFlags"], p["hasPublicKey"], p["power"] = "0x0", "0x1", fmt.Sprintf("0x%x", 1000-i)
		})
	}
	top := network.PReps()[0].Address()
	last := func() string { p := network.PReps(); return p[len(p)-1].Address() }
	network.Update(top, func(p icontest.PRep) { p["jailFlags"] = "0x1" })
	if last() != top {
		t.Errorf("a jailed P-Rep isn't ranked last")
	}
	network.Update(top, func(p icontest.PRep) { p["jailFlags"] = "0x0" })
	if network.PReps()[0].Address() != top {
		t.Errorf("a freed P-Rep isn't back at its rank")
	}
	network.Update(top, func(p icontest.PRep) { p["power"] = "0x0"; p["delegated"] = "0x0" })
	if last() != top {
		t.Errorf("a P-Rep without power isn't ranked last")
	}
}

func TestLoadAndBecome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answer.json")
	const answer = `{"jsonrpc":"2.0","result":{"blockHeight":"0x10","startRanking":"0x1","totalDelegated":"0x3","totalStake":"0x9","preps":[
		{"address":"hx1","name":"One","delegated":"0x2","lastGenerateBlockHeight":"-0x1"},{"address":"hx2","name":"Two ","delegated":"0x1","new":{"a":1}}]},"id":1}`
	if err := os.WriteFile(path, []byte(answer), 0o600); err != nil {
		t.Fatal(err)
	}
	recorded, err := icontest.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	network := icontest.Generate(5, 1)
	node := icontest.NewNode(network)
	network.Become(recorded)
	got := post(node, "/api/v3", getPReps(`{}`, "")).Body.String()
	want := `{"jsonrpc":"2.0","result":{"blockHeight":"0x10","preps":[` +
		`{"address":"hx1","delegated":"0x2","lastGenerateBlockHeight":"-0x1","name":"One"},` +
		`{"address":"hx2","delegated":"0x1","name":"Two ","new":{"a":1}}],` +
		`"startRanking":"0x1","totalDelegated":"0x3","totalStake":"0x9"},"id":1}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	network.Leave("hx1")
	if len(recorded.PReps()) != 2 || len(network.PReps()) != 1 || network.Height() != 17 {
		t.Errorf("a change of the network reached the recording it came from")
	}

	for content, want := range map[string]string{
		`{`:                                `: unexpected end of JSON input`,
		`{"result":{"blockHeight":"x"}}`:   `: result.blockHeight: strconv.ParseInt: parsing "x": invalid syntax`,
		`{"result":{"blockHeight":"0x1"}}`: `: result.preps: no P-Rep in it`,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := icontest.Load(path); err == nil || err.Error() != path+want {
			t.Errorf("Load of %s: %v, want %s", content, err, path+want)
		}
	}
}
