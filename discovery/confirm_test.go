package discovery

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func TestHear(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name         string
		base, answer string
		witness      string
		behind       int64 // how many blocks the witness is behind the answer
		away         int64 // how many blocks ago who is gone was first missing

		want, held string
		undecided  string
	}{
		{name: "gone there, too", base: "abcde", answer: "abc", witness: "abc", want: "abc"},
		{name: "both there", base: "abcde", answer: "abc", witness: "abcde", want: "abcde", held: "d*e*"},
		{name: "one there", base: "abcde", answer: "abc", witness: "abce", want: "abce", held: "e*"},
		{name: "moved there, too", base: "abcde", answer: "abcdE", witness: "abcdE", want: "abcdE"},
		{name: "moved, and not there", base: "abcde", answer: "abcdE", witness: "abcde", want: "abcde", held: "e*"},
		{name: "moved back", base: "abcdE", answer: "abcde", witness: "abcdE", want: "abcdE", held: "e*"},
		{name: "moved, and gone there", base: "abcde", answer: "abcdE", witness: "abcd", want: "abcdE"},
		{name: "nothing", base: "abcde", answer: "abcdef", witness: "abc", want: "abcdef"},
		{name: "of the block it was gone in", base: "abcde", answer: "abcd", away: 9, witness: "abcde", behind: 9, want: "abcde", held: "e*"},
		{name: "of a block before", base: "abcde", answer: "abcd", away: 9, witness: "abcde", behind: 10, want: "abcd", undecided: "e"},
		{name: "of the block after the baseline", base: "abcde", answer: "abcdE", witness: "abcde", behind: 99, want: "abcde", held: "e*"},
		{name: "of the baseline's block", base: "abcde", answer: "abcdE", witness: "abcde", behind: 100, want: "abcdE", undecided: "e"},
	} {
		base := baseline{Preps: people(tc.base), Height: 1000, Time: start, Missing: map[string]absence{}}
		for _, p := range base.Preps {
			if !strings.Contains(strings.ToLower(tc.answer), p.Owner) {
				base.Missing[p.Owner] = absence{Since: start, Height: 1100 - tc.away}
			}
		}
		now := start.Add(time.Hour)
		v := judge(base, &listing{Source: "a", Height: 1100, Preps: people(tc.answer)}, nil, &rules{ranks: rankRange{1, 10}, removeAfter: time.Hour, endpoints: 2}, false, now)
		if v.err != nil || letters(v.next.Preps) != tc.answer || len(v.held) > 0 {
			t.Fatalf("%s: judged as %q, %v, %v", tc.name, letters(v.next.Preps), v.held, v.err)
		}
		v.hear(&listing{Source: "b", Height: 1100 - tc.behind, Preps: people(tc.witness)}, now)
		held, undecided := "", ""
		for _, h := range v.held {
			held += h.Owner + map[string]string{HeldDisputed: "*"}[h.Reason]
		}
		for _, l := range v.leaving {
			undecided += l.Owner
			if v.next.Removed[l.Owner].IsZero() {
				t.Errorf("%s: %s went on one endpoint's word and isn't counted", tc.name, l.Owner)
			}
		}
		for _, m := range v.moved {
			undecided += m.Owner
		}
		if got := letters(v.next.Preps); got != tc.want || held != tc.held || undecided != tc.undecided || len(v.next.Removed) != len(v.leaving) {
			t.Errorf("%s: got %q, held %q, undecided %q, removed %v; want %q, held %q, undecided %q",
				tc.name, got, held, undecided, v.next.Removed, tc.want, tc.held, tc.undecided)
		}
	}
}

// twins are two networks that begin alike: an endpoint on each tells its own story.
func twins(n int) (one, other *icontest.Network) {
	return icontest.Generate(n, 1), icontest.Generate(n, 1)
}

// TestRemovalIsConfirmed: what another endpoint still lists isn't gone.
func TestRemovalIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lying, honest := twins(50)
		first, second := icontest.NewNode(lying), icontest.NewNode(honest)
		a := testAgent(t, dir, testNetwork(2), Options{}, first, second)
		gone := addresses(lying)[40:42]
		asked := 0
		pass := func(changed bool, wantAsked int, wantHeld string) {
			t.Helper()
			before := second.Requests()
			mustSync(t, a, changed)
			if got := second.Requests() - before; got != wantAsked {
				t.Errorf("the other endpoint got %d requests, want %d", got, wantAsked)
			}
			asked += wantAsked
			held := ""
			for _, h := range a.Status()[0].Held {
				held += h.Reason + " "
			}
			if held != wantHeld {
				t.Errorf("held %q, want %q", held, wantHeld)
			}
			time.Sleep(30 * time.Minute)
			lying.Advance(900)
			honest.Advance(900)
		}
		mustSync(t, a, true)
		lying.Leave(gone...)
		honest.Advance(1)
		pass(true, 0, "absent absent ") // the ranks of those behind
		pass(false, 0, "absent absent ")
		pass(false, 2, "disputed disputed ") // identity and page
		pass(false, 0, "disputed disputed ")
		pass(false, 2, "disputed disputed ")
		honest.Leave(gone[0]) // one is really gone, which nobody knew
		pass(false, 0, "disputed disputed ")
		pass(true, 2, "disputed ")
		if _, there := owners(t, dir)[gone[1]]; !there {
			t.Error("a P-Rep that the other endpoint lists is gone")
		}
		pass(false, 0, "disputed ")
		second.Misbehave(icontest.ServerError()) // nobody to ask: the only word there is counts
		pass(true, 1, "")
		if got := len(owners(t, dir)); got != 48 {
			t.Errorf("%d P-Reps, want 48", got)
		}
	})
}

// TestMoveIsConfirmed: a host that another endpoint doesn't know isn't believed.
func TestMoveIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lying, honest := twins(50)
		a := testAgent(t, dir, testNetwork(2), Options{}, icontest.NewNode(lying), icontest.NewNode(honest))
		mustSync(t, a, true)
		all := addresses(lying)
		for i, owner := range all {
			lying.Move(owner, joinPort(icontestHost(i), 7100))
		}
		for range 5 {
			time.Sleep(5 * time.Minute)
			lying.Advance(100)
			honest.Advance(150)
			mustSync(t, a, false)
		}
		if held := a.Status()[0].Held; len(held) != 50 || held[0].Reason != HeldDisputed {
			t.Errorf("held %d: %+v", len(held), held)
		}
		honest.Move(all[3], joinPort(icontestHost(3), 7100))
		mustSync(t, a, true)
		if got := owners(t, dir); got[all[3]].Host != icontestHost(3) || got[all[4]].Host == icontestHost(4) {
			t.Errorf("%s at %s, %s at %s", all[3], got[all[3]].Host, all[4], got[all[4]].Host)
		}
	})
}

func icontestHost(i int) string {
	return []string{"127.200.1.", "127.200.2."}[i/25] + string(rune('1'+i%9))
}

// TestDripByOneEndpoint has an endpoint that lacks a few more P-Reps in every
// answer, always too few for the guard.
func TestDripByOneEndpoint(t *testing.T) {
	drip := func(t *testing.T, endpoints int, hours int) (left []int) {
		dir := t.TempDir()
		lying, honest := twins(150)
		a := testAgent(t, dir, testNetwork(endpoints), Options{}, icontest.NewNode(lying), icontest.NewNode(honest))
		mustSync(t, a, true)
		for hour := range hours {
			if all := addresses(lying); len(all) > 3 {
				lying.Leave(all[:3]...)
			}
			for range 2 {
				lying.Advance(900)
				honest.Advance(900)
				if _, err := a.Sync(t.Context()); err != nil && !errors.Is(err, errDrop) {
					t.Fatalf("hour %d: %v", hour, err)
				}
				time.Sleep(30 * time.Minute)
			}
			left = append(left, len(owners(t, dir)))
		}
		return left
	}
	t.Run("and another one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for hour, left := range drip(t, 2, 36) {
				if left != 150 {
					t.Fatalf("after %d hours %d are left", hour+1, left)
				}
			}
		})
	})
	t.Run("the only one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			left := drip(t, 1, 24)
			if got := left[len(left)-1]; got < 120 || got == 150 {
				t.Errorf("after a day %d are left, want four fifths or a little more: %v", got, left)
			}
		})
	})
}

// TestDepartureLeaves: with two honest endpoints, one of which is a little behind,
// who leaves is gone after remove_after, and who moves has moved.
func TestDepartureLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		second := icontest.NewNode(network)
		second.Misbehave(icontest.Behind(20))
		a := testAgent(t, dir, testNetwork(2), Options{}, icontest.NewNode(network), second)
		mustSync(t, a, true)
		all := addresses(network)
		network.Advance(150)
		network.Leave(all[9])
		network.Move(all[8], "127.200.0.1:7100")
		for range 12 {
			if _, err := a.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, there := owners(t, dir)[all[9]]; !there {
				t.Fatal("gone before remove_after")
			}
			time.Sleep(5 * time.Minute)
			network.Advance(150)
		}
		mustSync(t, a, true)
		got := owners(t, dir)
		if _, there := got[all[9]]; there || got[all[8]].Host != "127.200.0.1" {
			t.Errorf("still there: %t, at %s, held %+v", there, got[all[8]].Host, a.Status()[0].Held)
		}
	})
}
