package discovery

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
)

const tenYears = 10 * 365 * 24 * 60 * 60 / 2 // in blocks of ICON

func TestClimb(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	const known = 100_000_000
	ago := func(d time.Duration) baseline { return baseline{Height: known, Time: start.Add(-d)} }
	lowered := ago(5 * time.Minute)
	lowered.Height, lowered.Floor = known+tenYears, known+4000
	suspects := func(source string, heights ...int64) (all []*listing) {
		for _, h := range heights {
			all = append(all, &listing{Source: source, Height: h, Leap: true})
		}
		return all
	}
	for _, tc := range []struct {
		name      string
		base      baseline
		height    int64
		endpoints int
		suspects  []*listing
		insist    bool

		floor int64
		err   error
	}{
		{"first", baseline{}, known, 2, nil, false, known, nil},
		{"first, beyond any chain", baseline{}, 1 << 60, 1, nil, false, 0, errImplausible},
		{"beyond any chain, insisted on", ago(time.Hour), 1 << 60, 1, nil, true, 0, errImplausible},
		{"the same", ago(time.Hour), known, 2, nil, false, known, nil},
		{"as on ICON", ago(time.Hour), known + 1800, 2, nil, false, known + 1800, nil},
		{"as fast as can be, after a week", ago(7 * 24 * time.Hour), known + 6_048_000 + 1000, 2, nil, false, known + 6_049_000, nil},
		{"a block too many", ago(7 * 24 * time.Hour), known + 6_048_000 + 1001, 2, nil, false, 0, errImplausible},
		{"lower", ago(time.Hour), known - 1, 2, nil, false, 0, errOlder},
		{"lower, insisted on", ago(time.Hour), known - 1, 2, nil, true, known - 1, nil},
		{"years ahead", ago(5 * time.Minute), known + tenYears, 2, nil, false, 0, errImplausible},
		{"years ahead, as another endpoint", ago(5 * time.Minute), known + tenYears, 2, suspects("b", known+tenYears-3), false, known + tenYears, nil},
		{"years ahead, as the same endpoint", ago(5 * time.Minute), known + tenYears, 2, suspects("a", known+tenYears-3), false, 0, errImplausible},
		{"years ahead, another way than another endpoint", ago(5 * time.Minute), known + tenYears, 2, suspects("b", known+tenYears/2), false, 0, errImplausible},
		{"years ahead, insisted on", ago(5 * time.Minute), known + tenYears, 2, nil, true, known + tenYears, nil},
		{"years ahead, and nobody else to ask", ago(5 * time.Minute), known + tenYears, 1, nil, false, known + 4000, nil},
		{"back from there", lowered, known + 4150, 1, nil, false, known + 4150, nil},
		{"back too far", lowered, known + 3999, 1, nil, false, 0, errOlder},
		{"still there", lowered, known + tenYears + 150, 1, nil, false, known + 8000, nil},
		{"years ahead of an unknown time", baseline{Height: known}, known + tenYears, 2, nil, false, known + tenYears, nil},
		{"years ahead of a time to come", ago(-time.Hour), known + tenYears, 2, nil, false, known + tenYears, nil},
	} {
		answer := &listing{Source: "a", Height: tc.height}
		floor, err := climb(tc.base, answer, tc.suspects, &rules{endpoints: tc.endpoints}, tc.insist, start)
		if floor != tc.floor || !errors.Is(err, tc.err) || tc.err == nil && err != nil {
			t.Errorf("%s: floor %d, %v, want %d, %v", tc.name, floor, err, tc.floor, tc.err)
		}
	}
}

// TestAbsurdHeight has an endpoint that is years ahead of the others for an hour.
// It isn't believed, and nobody is locked out.
func TestAbsurdHeight(t *testing.T) {
	for _, ahead := range []int64{1 << 40, tenYears, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			network := icontest.Generate(50, 1)
			first, second := icontest.NewNode(network), icontest.NewNode(network)
			a := testAgent(t, dir, testNetwork(2), Options{}, first, second)
			pass := func(source string) {
				t.Helper()
				network.Advance(150)
				time.Sleep(5 * time.Minute)
				mustSync(t, a, false)
				if s := a.Status()[0]; s.Source != source || s.Height != network.Height() {
					t.Errorf("%d blocks ahead: height %d of %s, want %d of %s", ahead, s.Height, s.Source, network.Height(), source)
				}
			}
			mustSync(t, a, true)
			first.Misbehave(icontest.Ahead(ahead))
			for range 12 {
				pass("b.test")
			}
			first.Behave()
			time.Sleep(time.Hour)
			pass("a.test")

			// With both at it, each in its way, nothing is believed and nothing lost.
			want := readTargets(t, dir)
			first.Misbehave(icontest.Ahead(ahead))
			second.Misbehave(icontest.Ahead(ahead * 2))
			for range 12 {
				time.Sleep(5 * time.Minute)
				if _, err := a.Sync(t.Context()); !errors.Is(err, errImplausible) || readTargets(t, dir) != want {
					t.Errorf("both ahead: %v", err)
				}
			}
			if s := a.Status()[0]; s.Height != network.Height() {
				t.Errorf("%d blocks ahead: height %d", ahead, s.Height)
			}
			first.Behave()
			time.Sleep(time.Hour)
			pass("a.test")
		})
	}
}

// TestOnlyEndpointLeaps: where nobody can be asked, an answer years ahead is taken
// for what else it says, and the true height isn't older afterwards.
func TestOnlyEndpointLeaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := icontest.Generate(50, 1)
		node := icontest.NewNode(network)
		mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), true)
		node.Misbehave(icontest.Ahead(tenYears))
		time.Sleep(5 * time.Minute)
		mustSync(t, testAgent(t, dir, testNetwork(1), Options{}, node), false)
		node.Behave()
		time.Sleep(3 * time.Hour) // in which the chain passes what it could have been
		network.Advance(3 * 1800)
		a := testAgent(t, dir, testNetwork(1), Options{}, node)
		mustSync(t, a, false)
		if got := a.Status()[0].Height; got != network.Height() {
			t.Errorf("height %d, want %d", got, network.Height())
		}
	})
}

// TestFirstHeights: on first contact there is nothing to compare a height with but
// the other endpoints.
func TestFirstHeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		network := icontest.Generate(50, 1)
		first, second := icontest.NewNode(network), icontest.NewNode(network)
		first.Misbehave(icontest.Ahead(tenYears))
		a := testAgent(t, t.TempDir(), testNetwork(2), Options{Logger: logger}, first, second)
		mustSync(t, a, true)
		if !strings.Contains(log.String(), `"endpoints disagree about the height of the chain; one of them stands still, or makes it up" `+
			`network=testnet endpoint=a.test height=202680000 other_endpoint=b.test other_height=45000000`) {
			t.Errorf("log:\n%s", &log)
		}
		first.Misbehave(icontest.ServerError())
		time.Sleep(5 * time.Minute)
		network.Advance(150)
		mustSync(t, a, false)
		if s := a.Status()[0]; s.Source != "b.test" || s.Height != network.Height() {
			t.Errorf("height %d of %s: the other endpoint is locked out", s.Height, s.Source)
		}

		// One that hangs doesn't keep the first targets waiting for long.
		log.Reset()
		first.Behave()
		second.Misbehave(icontest.Hanging())
		began := time.Now()
		mustSync(t, testAgent(t, t.TempDir(), testNetwork(2), Options{Logger: logger}, first, second), true)
		if took := time.Since(began); took > compareTimeout || strings.Contains(log.String(), "disagree") {
			t.Errorf("took %s, log:\n%s", took, &log)
		}
	})
}

// TestBlockTimes: chains of other paces than ICON's are believed, also after
// stoker was off for a week, and whatever their number of endpoints.
func TestBlockTimes(t *testing.T) {
	for name, blocksPerHour := range map[string]int64{"one an hour": 1, "ICON": 1800, "four a second": 4 * 3600, "twenty a second": 20 * 3600} {
		for _, endpoints := range []int{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				network := icontest.Generate(20, 1)
				node := icontest.NewNode(network)
				dir := t.TempDir()
				for _, pause := range []time.Duration{0, time.Hour, time.Hour, 7 * 24 * time.Hour, time.Hour} {
					time.Sleep(pause)
					network.Advance(blocksPerHour * int64(pause/time.Hour))
					a := testAgent(t, dir, testNetwork(endpoints), Options{}, node, node)
					if _, err := a.Sync(t.Context()); err != nil || a.Status()[0].Height != network.Height() {
						t.Errorf("%s, %d endpoints, after %s: %v, height %d, want %d", name, endpoints, pause, err, a.Status()[0].Height, network.Height())
					}
				}
			})
		}
	}
}

// TestStandingStill has a first endpoint that stops at a block, as nodes do.
func TestStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		frozen, alive := icontest.Generate(50, 1), icontest.Generate(50, 1)
		second := icontest.NewNode(alive)
		a := testAgent(t, dir, testNetwork(2), Options{}, icontest.NewNode(frozen), second)
		mustSync(t, a, true)
		alive.Move(addresses(alive)[7], "127.222.0.1:7100")
		pass := func(source string, changed bool) {
			t.Helper()
			time.Sleep(5 * time.Minute)
			alive.Advance(150)
			mustSync(t, a, changed)
			if got := a.Status()[0].Source; got != source {
				t.Errorf("source %s, want %s", got, source)
			}
		}
		pass("a.test", false) // it may be a slow chain
		pass("b.test", true)
		if got := owners(t, dir)[addresses(alive)[7]].Host; got != "127.222.0.1" {
			t.Errorf("the move isn't seen: %s", got)
		}
		pass("b.test", false)

		// It is better than none, as long as nothing newer is known.
		a = testAgent(t, t.TempDir(), testNetwork(2), Options{}, icontest.NewNode(frozen), nil)
		mustSync(t, a, true)
		before := a.Status()[0].LastGood
		pass("a.test", false)
		pass("a.test", false)
		pass("a.test", false)
		if got := a.Status()[0].LastGood; !got.Equal(before) {
			t.Errorf("it looks as good as at %s", got)
		}
	})
}
