package reload_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// A server that started from the live release needs no reload to be proved: after a restart of its own, with a release
// that came while it was away, and for a stoker that has just started.
func TestServerThatStartedFromTheReleaseIsNotReloaded(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		sent := s.sent()
		s.newProcess()
		mustSync(t, s.agent, false)
		s.server.Stop()
		s.write(s.main, config("two"))
		s.fails("is not ready", "it starts from release")
		s.newProcess()
		mustSync(t, s.agent, false)
		s.mustRun("two")
		s.proved()
		s.restart(nil)
		mustSync(t, s.agent, false)
		if n := s.sent() - sent; n != 0 {
			t.Errorf("%d reloads were sent", n)
		}
	})
}

// While a server isn't ready, as when it replays its log, nothing is sent that it would have to do afterwards; the
// release on disk moves on. What it started from is told from what it didn't.
func TestServerThatIsNotReady(t *testing.T) {
	for _, from := range []string{"an older release", "the newest release"} {
		t.Run("started from "+from, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, "prometheus", firstFiles("prometheus", jobs))
			s.proxy.Intercept("GET", "/-/ready", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				http.Error(w, "Service Unavailable", http.StatusServiceUnavailable) // as Prometheus says it
			})
			sent := s.sent()
			for _, name := range []string{"two", "three"} {
				s.write("prometheus.yml", jobs(name))
				changed, err := sync(t, s.agent)
				if !changed || err == nil || !strings.Contains(err.Error(), "prometheus is not ready") {
					t.Fatalf("Sync returned %v, %v", changed, err)
				}
			}
			if !strings.Contains(s.live()["prometheus.yml"], "three") || s.sent() != sent {
				t.Fatalf("live is %s; %d reloads were sent", s.live()["prometheus.yml"], s.sent()-sent)
			}
			if got := s.agent.Status(); got.Unproved == nil || got.Unproved.Kind != reload.Waiting {
				t.Errorf("status is %+v", got)
			}
			want := 1
			if from == "the newest release" {
				s.newProcess()
				want = 0
			}
			s.proxy.Intercept("GET", "/-/ready", nil)
			mustSync(t, s.agent, false)
			s.mustRun("three")
			s.proved()
			if n := s.sent() - sent; n != want {
				t.Errorf("%d reloads were sent, want %d", n, want)
			}
		})
	}
}

// A real start against a real agent that is at work all the while, with an empty disk: the release is there before
// the server, no reload is sent before the server is ready, and nobody waits for the other.
func TestStartTogether(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		b := newBench(t, firstFiles(binary, config))
		kind, start, main := reload.NewPrometheus, servertest.Prometheus, "prometheus.yml"
		if binary == "alertmanager" {
			kind, start, main = reload.NewAlertmanager, servertest.Alertmanager, "alertmanager.yml"
		}
		nobody, err := kind(b.config("http://127.0.0.1:1"), reload.Options{})
		must(t, err)
		if _, err := sync(t, nobody); err == nil || !strings.Contains(err.Error(), "not ready") || b.live()[main] == "" {
			t.Fatalf("without a server: %v, live is %v", err, b.live())
		}
		server := start(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(b.out, "live", main)), servertest.NoWait())
		proxy := servertest.NewProxy(t, server.URL())
		var ready atomic.Bool
		proxy.Intercept("GET", "/-/ready", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(&noting{w, func(status int) {
				if status == http.StatusOK {
					ready.Store(true)
				}
			}}, r)
		})
		proxy.Intercept("POST", "/-/reload", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if !ready.Load() {
				t.Error("a reload was sent before the server was ready")
			}
			next.ServeHTTP(w, r)
		})
		agent, err := kind(b.config(proxy.URL()), reload.Options{})
		must(t, err)
		servertest.Eventually(t, time.Minute, func() error {
			_, err := sync(t, agent)
			return err
		})
		if s := agent.Status(); s.Live == "" || s.Live != s.Proved {
			t.Errorf("status is %+v", s)
		}
	})
}

// noting tells of the status of an answer.
type noting struct {
	http.ResponseWriter
	status func(int)
}

func (n *noting) WriteHeader(status int) {
	n.status(status)
	n.ResponseWriter.WriteHeader(status)
}

// A release that came while the server was away keeps it from starting. The one that it ran before is back after a
// while; then the server says itself what is wrong with the new one.
func TestServerThatNeverComesUp(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": goodRules}, servertest.NoWait())
	s.server.Stop()
	s.proxy.Down()
	s.write("prometheus.yml", jobs("two")+refusedBy253)
	s.fails("it starts from release")
	second := s.agent.Status().Live
	if second == s.first {
		t.Fatal("the second release isn't live")
	}
	s.server.Restart()
	servertest.Eventually(t, time.Minute, func() error {
		if s.server.Running() {
			return errors.New("the server runs a release that it doesn't know")
		}
		return nil
	})
	s.fails("it starts from release " + second)
	s.agent.Later(longerThanAStart)
	s.fails("release "+second+", which it never ran, may be why", "release "+s.first+" is live again on disk")
	s.fails("was refused", "hasn't come up with it", "it starts from release "+s.first)
	if got := s.agent.Status(); got.Live != s.first || got.Refused != second || got.Withheld == nil || got.Withheld.Kind != reload.Refused {
		t.Errorf("status is %+v, withheld %+v", got, got.Withheld)
	}
	s.server.Restart()
	s.server.WaitReady()
	s.proxy.Up()
	s.fails("prometheus refused release "+second, "fallback_scrape_protocol not found", "went back to release "+s.first)
	s.mustBe(s.first)
	s.mustRun("one")
}

// A server that is only down for long has proved what it starts from, or has nothing to go back to.
func TestServerThatIsDownForLong(t *testing.T) {
	t.Parallel()
	s := newStation(t, "alertmanager", map[string]string{"alertmanager.yml": receivers("one")})
	s.server.Stop()
	s.proxy.Down()
	for _, d := range []time.Duration{0, longerThanAStart, 24 * time.Hour} {
		s.agent.Later(d)
		s.fails("is not ready", "it starts from release "+s.first)
	}
	if got := s.agent.Status(); got.Live != s.first || got.Proved != s.first || got.Withheld != nil {
		t.Errorf("status is %+v", got)
	}
	s.server.Restart()
	s.proxy.Up()
	mustSync(t, s.agent, false)
}

// Bad files at the start of stoker leave the last release live, and the server running.
func TestBadFilesAtStart(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		s.write(s.main, "global: [\n")
		s.restart(nil)
		s.fails("keeping release " + s.first)
		s.mustBe(s.first)
		if got := s.agent.Status(); got.Unproved != nil || got.Confirmed.IsZero() {
			t.Errorf("status is %+v", got)
		}
		must(t, os.RemoveAll(s.source))
		s.restart(nil)
		s.fails("keeping release " + s.first)
		s.mustBe(s.first)
		s.server.Restart()
		s.mustRun("one")
	})
}

// A pass that is told to end does so, whatever the server does.
func TestShutdownDuringAReload(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		ctx, shutDown := context.WithCancel(t.Context())
		s.onReload(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			shutDown()
			<-r.Context().Done() // the test's end
		})
		s.write(s.main, config("two"))
		if _, err := s.agent.Sync(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		if n := s.counted("stoker_reloads_total", "timeout"); n != 0 {
			t.Errorf("%v timeouts were counted", n)
		}
	})
}

// A server may be restarted while the files are gathered and checked: whether it is ready is asked right before a
// reload is sent.
func TestReadinessIsAskedRightBefore(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus", firstFiles("prometheus", jobs))
	var asked atomic.Int32
	s.proxy.Intercept("GET", "/-/ready", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if asked.Add(1) > 1 {
			http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
	sent := s.sent()
	s.write("prometheus.yml", jobs("two"))
	s.fails("is live on disk, but prometheus isn't proved to run it: prometheus is not ready")
	if n := s.sent() - sent; n != 0 {
		t.Errorf("%d reloads were sent", n)
	}
	if got := s.agent.Status(); got.Unproved == nil || got.Unproved.Kind != reload.Waiting {
		t.Errorf("status is %+v", got)
	}
	s.proxy.Intercept("GET", "/-/ready", nil)
	mustSync(t, s.agent, false)
	s.mustRun("two")
}
