package discovery

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// TestYearsLaterAndBack lets as much happen as on ICON's mainnet between two
// recorded answers, October 2020 and January 2022: of 100 P-Reps 2 leave, 26 move
// and 13 have another name, 52 join, and the chain has another node software. Then
// the API is back where it was.
func TestYearsLaterAndBack(t *testing.T) {
	for _, endpoints := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			before := func() *icontest.Network {
				return icontest.Generate(100, 1, icontest.WithRevision(icontest.ICON1), icontest.WithHeight(25_206_035))
			}
			later := before()
			all := addresses(later)
			for _, owner := range all {
				later.Update(owner, func(p icontest.PRep) { // goloop's fields instead of ICON1's
					delete(p, "stake")
					delete(p, "txIndex")
					p["power"], p["bonded"], p["lastHeight"] = p["delegated"], "0x0", "0x20"
				})
			}
			later.Leave(all[40], all[99])
			for i := range 26 {
				later.Move(all[i], joinPort(icontestHost(i), 7100))
			}
			for i := range 13 {
				later.Rename(all[2*i], "Renamed")
			}
			for i := range 52 {
				later.Join(later.NewPRep("Joined", joinPort("127.211.0."+string(rune('1'+i%9)), 7100+i)))
			}

			later.Advance(44_976_961 - later.Height())

			network := before()
			node := icontest.NewNode(network)
			agent := func() *Agent { return testAgent(t, dir, testNetwork(endpoints), Options{}, node, node) }
			a := agent()
			mustSync(t, a, true)
			network.Become(later)
			mustSync(t, a, true)
			if got := len(owners(t, dir)); got != 152 {
				t.Errorf("%d P-Reps, want 100 and 52", got)
			}
			time.Sleep(time.Hour)
			mustSync(t, a, true)
			if got := len(owners(t, dir)); got != 150 {
				t.Errorf("%d P-Reps, want 150", got)
			}
			want := readTargets(t, dir)

			refused := func(a *Agent, reason string) {
				t.Helper()
				if endpoints == 2 {
					reason += "; b.test: " + reason
				}
				_, err := a.Sync(t.Context())
				if got := text(err); got != "testnet: keeping the targets of 150 P-Reps: a.test: "+reason {
					t.Errorf("got %v\nwant %s", err, reason)
				}
				if got := readTargets(t, dir); got != want {
					t.Errorf("the file changed:\n%s", firstDiff(want, got))
				}
			}
			network.Become(before())
			const older = "older: height 25206035 is below 44976961, which was accepted before; it lacks 52 of 150 P-Reps"
			refused(a, older)
			refused(agent(), older)

			state := filepath.Join(dir, ".stoker", "testnet.state")
			keep, err := os.ReadFile(state)
			if err != nil {
				t.Fatal(err)
			}
			for _, fresh := range []bool{false, true} {
				if fresh {
					if err := os.Remove(state); err != nil {
						t.Fatal(err)
					}
					if endpoints == 1 {
						refused(agent(), "drop held: 52 of 150 P-Reps are gone; they stay until another endpoint agrees, until 2000-01-02T01:00:00Z, or until the drop is accepted by hand")
					}
				}
				a := agent()
				if err := a.AcceptDrop("testnet"); err != nil {
					t.Fatal(err)
				}
				mustSync(t, a, true)
				clean := t.TempDir()
				mustSync(t, testAgent(t, clean, testNetwork(1), Options{}, icontest.NewNode(before())), true)
				if got, want := readTargets(t, dir), readTargets(t, clean); got != want {
					t.Errorf("accepted, and not what a clean start gives:\n%s", firstDiff(want, got))
				}
				mustSync(t, a, false) // and so it stays
				for path, data := range map[string][]byte{filepath.Join(dir, "testnet.json"): []byte(want), state: keep} {
					if err := os.WriteFile(path, data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
