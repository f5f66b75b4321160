package discovery

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(10, 1)
		first, second := icontest.NewNode(network), icontest.NewNode(network)
		a := testAgent(t, dir, testNetwork(2), Options{}, first, second)
		sync := func(wantFirst, wantSecond bool, source string) {
			t.Helper()
			before1, before2 := first.Requests(), second.Requests()
			network.Advance(1)
			if _, err := a.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got1, got2 := first.Requests() > before1, second.Requests() > before2; got1 != wantFirst || got2 != wantSecond {
				t.Errorf("asked the first %t, the second %t, want %t and %t", got1, got2, wantFirst, wantSecond)
			}
			if got := a.Status()[0].Source; got != source {
				t.Errorf("source %s, want %s", got, source)
			}
		}
		sync(true, true, "a.test") // the first time, heights are compared
		sync(true, false, "a.test")
		first.Misbehave(icontest.Unavailable(15 * time.Minute))
		sync(true, true, "b.test")
		time.Sleep(15*time.Minute - 1)
		sync(false, true, "b.test") // the sick one isn't asked before its time
		time.Sleep(time.Nanosecond)
		sync(true, true, "b.test") // asked, still sick
		first.Behave()
		sync(false, true, "b.test")
		time.Sleep(15 * time.Minute)
		sync(true, false, "a.test")

		// With no healthy one left, the sick one is better than none.
		first.Misbehave(icontest.ServerError())
		sync(true, true, "b.test")
		first.Behave()
		second.Misbehave(icontest.NotJSON())
		sync(true, true, "a.test")
	})
}

func TestNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := icontest.NewNode(icontest.Generate(10, 1))
		cfg := testNetwork(1)
		a := testAgent(t, t.TempDir(), cfg, Options{}, node)
		if got := a.Next(time.Now()); !got.Equal(time.Now()) {
			t.Errorf("at the start: in %s", time.Until(got))
		}
		var waits []time.Duration
		for range 50 {
			mustSync(t, a, len(waits) == 0)
			wait := time.Until(a.Next(time.Now()))
			waits = append(waits, wait)
			time.Sleep(wait)
		}
		if low, high := slices.Min(waits), slices.Max(waits); low < 270*time.Second || high > 330*time.Second || high-low < 10*time.Second {
			t.Errorf("waits from %s to %s, want 4m30s to 5m30s", low, high)
		}

		// A failed endpoint is tried again sooner, then less and less often.
		node.Misbehave(icontest.ServerError())
		waits = nil
		for range 6 {
			a.Sync(t.Context())
			wait := time.Until(a.Next(time.Now()))
			waits = append(waits, wait)
			time.Sleep(wait)
		}
		for i, want := range []time.Duration{10e9, 20e9, 40e9, 80e9, 160e9, 270e9} {
			if got := waits[i]; got < want || got > want+want/4 {
				t.Errorf("waits %v, want %s and a little more for number %d", waits, want, i)
			}
		}

		cfg.RefreshInterval, cfg.Schedule = 0, "30 3 * * *"
		a = testAgent(t, t.TempDir(), cfg, Options{}, icontest.NewNode(icontest.Generate(10, 1)))
		shifts := map[time.Duration]bool{}
		for range 20 {
			if _, err := a.Sync(t.Context()); err != nil { // at midnight, 2000-01-01 UTC, and something
				t.Fatal(err)
			}
			next := a.Next(time.Now()).UTC()
			shift := next.Sub(time.Date(next.Year(), next.Month(), next.Day(), 3, 30, 0, 0, time.UTC))
			if shifts[shift] = true; shift < 0 || shift > maxShift {
				t.Errorf("next is %s, want 03:30 or half a minute later", next)
			}
		}
		if len(shifts) < 10 {
			t.Errorf("everybody comes at the same time: %v", shifts)
		}
		if got := a.Next(time.Now().Add(48 * time.Hour)); !got.Equal(time.Now().Add(48 * time.Hour)) {
			t.Errorf("long overdue: next is %s", got)
		}
	})
}

func TestSyncTakesWhatIsDueOrAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		often, seldom := testNetwork(1), testNetwork(2)
		seldom.Name, seldom.API, seldom.RefreshInterval = "seldom", []string{"http://b.test/api/v3"}, often.RefreshInterval*10
		a, err := New(Config{TargetsDir: t.TempDir(), Networks: []Network{often, seldom}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		first, second := icontest.NewNode(icontest.Generate(10, 1)), icontest.NewNode(icontest.Generate(10, 1))
		connect(a, first, second)
		sync := func(wantFirst, wantSecond bool) {
			t.Helper()
			before1, before2 := first.Requests(), second.Requests()
			if _, err := a.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got1, got2 := first.Requests() > before1, second.Requests() > before2; got1 != wantFirst || got2 != wantSecond {
				t.Errorf("asked the first %t, the second %t, want %t and %t", got1, got2, wantFirst, wantSecond)
			}
		}
		sync(true, true) // the first time
		sync(true, true) // nothing is due: somebody asks
		time.Sleep(6 * time.Minute)
		sync(true, false)
		time.Sleep(6 * time.Minute)
		a.Retry() // somebody asks while one is due
		sync(true, true)
		time.Sleep(time.Hour)
		sync(true, true)
	})
}
