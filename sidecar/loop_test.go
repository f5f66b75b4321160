package sidecar

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/promslog"
)

// scripted is an agent whose passes return what a test says, and that notes when they happened.
type scripted struct {
	mu      sync.Mutex
	began   time.Time
	at      []time.Duration
	errs    []error // one a pass; nil after the last
	takes   time.Duration
	retried int
}

func (s *scripted) Sync(ctx context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Since(s.began).Round(time.Second))
	if s.takes > 0 {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(s.takes):
		}
	}
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return false, err
	}
	return true, nil
}

func (s *scripted) Retry() { s.retried++ }

func (s *scripted) times() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at)
}

func exactly(d time.Duration) func(time.Time) time.Time {
	return func(now time.Time) time.Time { return now.Add(d) }
}

// start runs a loop in a bubble until the test ends.
func start(t *testing.T, s *scripted, interval time.Duration) *loop {
	s.began = time.Now()
	l := newLoop("test", s, exactly(interval), promslog.NewNopLogger(), newMetrics(prometheus.NewRegistry()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { l.run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

func TestLoopSyncsAtOnceAndThenEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		start(t, s, time.Minute)
		time.Sleep(150 * time.Second)
		if want := []time.Duration{0, time.Minute, 2 * time.Minute}; !slices.Equal(s.times(), want) {
			t.Errorf("passes at %v, want %v", s.times(), want)
		}
	})
}

func TestLoopPausesGrowWhileItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("no")
		s := &scripted{errs: []error{bad, bad, bad, bad, bad, bad, bad, bad, bad}}
		start(t, s, 24*time.Hour)
		time.Sleep(10 * time.Minute)
		at := s.times()
		if len(at) != 10 {
			t.Fatalf("%d passes: %v", len(at), at)
		}
		for i := 1; i < len(at); i++ {
			want := min(firstPause<<(i-1), lastPause)
			if pause := at[i] - at[i-1]; pause < want*8/10-time.Second || pause > want*12/10+time.Second {
				t.Errorf("pause %d is %s, want about %s", i, pause, want)
			}
		}
	})
}

// An agent that knows when to try again isn't hurried.
func TestLoopOfAPatientAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{errs: []error{errors.New("Retry-After")}, began: time.Now()}
		l := newLoop("test", s, exactly(time.Minute), promslog.NewNopLogger(), newMetrics(prometheus.NewRegistry()))
		l.patient = true
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		l.run(ctx)
		if want := []time.Duration{0, time.Minute}; !slices.Equal(s.times(), want) {
			t.Errorf("passes at %v, want %v", s.times(), want)
		}
	})
}

// However often something changes during a pass, exactly one more follows.
func TestLoopTriggersAreALevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{takes: 10 * time.Second}
		l := start(t, s, time.Hour)
		time.Sleep(5 * time.Second)
		for range 100 {
			l.poke()
		}
		time.Sleep(time.Minute)
		if want := []time.Duration{0, 10 * time.Second}; !slices.Equal(s.times(), want) {
			t.Errorf("passes at %v, want %v", s.times(), want)
		}
	})
}

// Who asks for a pass gets the result of one that began after asking, and refusals are forgotten for it.
func TestLoopSyncIsAPassOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{takes: 10 * time.Second, errs: []error{errors.New("first"), errors.New("second")}}
		l := start(t, s, time.Hour)
		time.Sleep(5 * time.Second)
		r, err := l.sync(t.Context())
		if err != nil || r.Error != "second" {
			t.Errorf("result %+v, %v", r, err)
		}
		if s.retried != 1 {
			t.Errorf("Retry was called %d times", s.retried)
		}
	})
}

func TestLoopShutdownCancelsThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{takes: time.Hour, began: time.Now()}
		l := newLoop("test", s, exactly(time.Hour), promslog.NewNopLogger(), newMetrics(prometheus.NewRegistry()))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.run(ctx); close(done) }()
		synctest.Wait()
		began := time.Now()
		cancel()
		<-done
		if took := time.Since(began); took != 0 {
			t.Errorf("shutdown took %s", took)
		}
	})
}

// A pass that hangs for good makes the process unhealthy, and names the agent.
func TestLoopNoticesAHangingPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		l := newLoop("test", syncFunc(func(context.Context) (bool, error) { <-hang; return false, nil }),
			exactly(time.Hour), promslog.NewNopLogger(), newMetrics(prometheus.NewRegistry()))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.run(ctx); close(done) }()
		time.Sleep(10 * time.Minute)
		if s := l.stuck(time.Now()); s != "" {
			t.Errorf("stuck after ten minutes: %s", s)
		}
		time.Sleep(10 * time.Minute)
		if s := l.stuck(time.Now()); s != "agent test has been in one pass for 20m0s" {
			t.Errorf("stuck is %q", s)
		}
		cancel()
		close(hang)
		<-done
	})
}

func TestDescribe(t *testing.T) {
	list := scanner.ErrorList{
		{Pos: token.Position{Filename: "a.yml", Line: 1, Column: 2}, Msg: "one"},
		{Pos: token.Position{Filename: "a.yml", Line: 3, Column: 4}, Msg: "two"},
	}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errors.New("one\n\ttwo"), "one two"},
		{list, "a.yml:1:2: one; a.yml:3:4: two"},
		{errors.Join(fmt.Errorf("mainnet: %w", errors.New("down")), fmt.Errorf("lisbon: %w", errors.New("older"))), "mainnet: down; lisbon: older"},
		{errors.Join(list, errors.New("three")), "a.yml:1:2: one; a.yml:3:4: two; three"},
		{fmt.Errorf("%w, then %w", errors.New("refused"), errors.New("gone")), "refused, then gone"},
	} {
		if got := describe(tc.err); got != tc.want {
			t.Errorf("describe(%q) is %q, want %q", tc.err, got, tc.want)
		}
	}
}

func TestLoopCountsOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{errs: []error{errors.New("no"), nil}}
		l := start(t, s, time.Minute)
		time.Sleep(30 * time.Second)
		for result, want := range map[string]float64{"error": 1, "noop": 1, "success": 0} {
			if got := testutil.ToFloat64(l.metrics.syncs.WithLabelValues("test", result)); got != want {
				t.Errorf("%s is %v, want %v", result, got, want)
			}
		}
		if got := testutil.ToFloat64(l.metrics.good.WithLabelValues("test")); got != 1 {
			t.Errorf("last sync successful is %v", got)
		}
	})
}
