package discovery

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func TestDropIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		first, second := icontest.NewNode(network), icontest.NewNode(network)
		a := testAgent(t, dir, testNetwork(2), Options{}, first, second)
		mustSync(t, a, true)
		before := readTargets(t, dir)

		// One endpoint lies, the other one is asked and believed.
		first.Misbehave(icontest.Partial())
		network.Advance(1)
		mustSync(t, a, false)
		if got := a.Status()[0].Source; got != "b.test" {
			t.Errorf("source %s, want b.test", got)
		}

		// The other one can't say: held. Repeating it is no agreement.
		second.Misbehave(icontest.ServerError())
		for range 3 {
			network.Advance(1)
			if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Hour)
		}
		if held := a.Status()[0].Held; len(held) != 25 || held[0].Reason != HeldDrop {
			t.Errorf("%d held", len(held))
		}

		// Both say the same: it is so, after remove_after.
		second.Misbehave(icontest.Partial())
		mustSync(t, a, false)
		if readTargets(t, dir) != before {
			t.Error("the file changed before remove_after")
		}
		time.Sleep(time.Hour)
		second.Misbehave(icontest.ServerError()) // agreement isn't needed twice
		mustSync(t, a, true)
		if got := len(owners(t, dir)); got != 25 {
			t.Errorf("%d P-Reps, want 25", got)
		}
	})
}

func TestDropIsAcceptedAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		node := icontest.NewNode(network)
		mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), true)
		network.Leave(addresses(network)[10:40]...)
		for range 24 {
			a := testAgent(t, dir, testNetwork(1), Options{}, node) // restarted every hour
			if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Hour)
		}
		a := testAgent(t, dir, testNetwork(1), Options{}, node)
		mustSync(t, a, true) // the ranks of the others
		if got := len(owners(t, dir)); got != 50 {
			t.Errorf("%d P-Reps, want all 50 until remove_after", got)
		}
		time.Sleep(time.Hour)
		mustSync(t, a, true)
		if got := len(owners(t, dir)); got != 20 {
			t.Errorf("%d P-Reps, want 20", got)
		}
	})
}

func TestAcceptDrop(t *testing.T) {
	dir := t.TempDir()
	network := icontest.Generate(50, 1)
	node := icontest.NewNode(network)
	a := testAgent(t, dir, testNetwork(1), Options{}, node)
	mustSync(t, a, true)
	network.Leave(addresses(network)[10:40]...)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
		t.Fatalf("got %v", err)
	}
	if err := a.AcceptDrop("other"); err == nil || err.Error() != `network "other" is not configured` {
		t.Errorf("got %v", err)
	}
	if err := a.AcceptDrop("testnet"); err != nil {
		t.Fatal(err)
	}
	node.MisbehaveNext(1, icontest.ServerError())
	if _, err := a.Sync(t.Context()); err == nil {
		t.Fatal("no error")
	}
	mustSync(t, a, true) // still in force after a failure
	if got := len(owners(t, dir)); got != 20 {
		t.Errorf("%d P-Reps, want 20", got)
	}
	network.Leave(addresses(network)[10:]...)
	if _, err := a.Sync(t.Context()); !errors.Is(err, errDrop) {
		t.Errorf("in force for a second answer: %v", err)
	}
}
