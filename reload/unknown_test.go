package reload_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// each runs a test against one version of each server, with a function that makes its configurations.
func each(t *testing.T, test func(t *testing.T, binary string, config func(name string) string)) {
	for binary, config := range map[string]func(string) string{"prometheus": jobs, "alertmanager": receivers} {
		t.Run(binary, func(t *testing.T) { t.Parallel(); test(t, binary, config) })
	}
}

// firstFiles are those of a station whose main file has one job or receiver, "one".
func firstFiles(binary string, config func(string) string) map[string]string {
	if strings.HasPrefix(binary, "alertmanager") {
		return map[string]string{"alertmanager.yml": config("one")}
	}
	return map[string]string{"prometheus.yml": config("one"), "rules/up.yml": goodRules}
}

// The server takes longer than reload_timeout. Until its answer is there the live link stays, whatever comes, and
// nothing else is sent; the newest files go live then.
func TestReloadThatOutlivesTheTimeout(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		s.restart(impatient)
		hold := make(chan struct{})
		s.onReload(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			<-hold // The server is busy, and the files that it will read are those of then.
			next.ServeHTTP(w, r)
		})
		sent := s.sent()
		s.write(s.main, config("two"))
		s.fails("nobody knows yet whether", "no answer within reload_timeout")
		second := s.agent.Status().Live
		if second == s.first {
			t.Fatal("the second release isn't live")
		}
		for _, name := range []string{"three", "four"} {
			s.write(s.main, config(name))
			s.fails("nothing moves until it is known", "the connection stands")
			if live := s.agent.Status().Live; live != second || s.sent() != sent+1 {
				t.Fatalf("live is %s, want %s; %d reloads were sent", live, second, s.sent()-sent)
			}
		}
		if n := s.counted("stoker_reloads_total", "timeout"); n != 1 {
			t.Errorf("%v timeouts were counted", n)
		}
		close(hold)
		s.eventually()
		s.mustRun("four")
		s.proved()
		if n := s.sent() - sent; n != 2 {
			t.Errorf("%d reloads were sent, want one for the second release and one for the fourth", n)
		}
		if n := s.counted("stoker_reloads_total", "proved"); n != 2 {
			t.Errorf("%v proofs were counted", n)
		}
	})
}

// A refusal that comes late is a refusal, in the server's words.
func TestLateRefusalIsRolledBack(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": goodRules})
	s.restart(impatient)
	hold := make(chan struct{})
	s.onReload(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		<-hold
	})
	s.write("prometheus.yml", jobs("two")+refusedBy253)
	s.fails("nobody knows yet whether")
	s.fails("nobody knows yet whether")
	s.onReload(nil)
	close(hold)
	s.eventuallyFails("was refused", "fallback_scrape_protocol not found", "keeping release "+s.first)
	s.mustBe(s.first)
	s.mustRun("one")
	if n := s.counted("stoker_rollbacks_total", ""); n != 1 {
		t.Errorf("%v rollbacks were counted", n)
	}
	s.write("prometheus.yml", jobs("two"))
	mustSync(t, s.agent, true)
}

// The answer is lost. What came of the reload is asked, and it isn't sent again for that.
func TestLostAnswerIsAskedFor(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		sent := s.sent()
		s.onReload(func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			breakOff()
		})
		s.write(s.main, config("two"))
		s.fails("nobody knows yet whether")
		s.onReload(nil)
		mustSync(t, s.agent, false)
		s.mustRun("two")
		s.proved()
		if n := s.sent() - sent; n != 1 {
			t.Errorf("%d reloads were sent for one release", n)
		}
	})
}

// A refusal whose answer is lost shows in the server's success flag.
func TestLostRefusalIsRolledBack(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": goodRules})
	s.onReload(func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		breakOff()
	})
	s.write("prometheus.yml", jobs("two")+refusedBy253)
	s.fails("nobody knows yet whether")
	s.onReload(nil)
	s.fails("was refused", "its answer was lost")
	s.mustBe(s.first)
	s.mustRun("one")
}

// The reload was lost on its way. Nothing tells that from one that the server will still do, so reload_timeout is
// waited for; then it is sent again, with the live link where it was, and only after its answer come the newest files.
func TestLostReloadIsSentAgain(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		sent := s.sent()
		var seen []string // what was live when a reload arrived
		s.onReload(func(http.ResponseWriter, *http.Request, http.Handler) { breakOff() })
		s.write(s.main, config("two"))
		s.fails("nobody knows yet whether")
		second := s.agent.Status().Live
		s.onReload(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			seen = append(seen, s.agent.Status().Live)
			next.ServeHTTP(w, r)
		})
		s.write(s.main, config("three"))
		s.fails("the server shows no sign of it")
		if live := s.agent.Status().Live; live != second || s.sent() != sent+1 {
			t.Fatalf("live is %s, want %s; %d reloads were sent", live, second, s.sent()-sent)
		}
		s.agent.Later(longerThanAReload)
		mustSync(t, s.agent, true)
		s.mustRun("three")
		if third := s.proved(); len(seen) != 2 || seen[0] != second || seen[1] != third {
			t.Errorf("reloads arrived with %q live, want %q", seen, []string{second, third})
		}
	})
}

// stoker is stopped while a server is at a reload. The next one knows of it, and leaves the live link alone until the
// server has done it.
func TestReloadOfAnEarlierProcess(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		ctx, shutDown := context.WithCancel(t.Context())
		hold, done := make(chan struct{}), make(chan struct{})
		s.onReload(func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
			shutDown()
			<-hold
			next.ServeHTTP(httptest.NewRecorder(), detached(r))
			close(done)
		})
		s.write(s.main, config("two"))
		if _, err := s.agent.Sync(ctx); err == nil {
			t.Fatal("a pass that was ended early succeeded")
		}
		second := s.agent.Status().Live
		s.onReload(nil)

		s.restart(nil)
		s.write(s.main, config("three"))
		sent := s.sent()
		s.fails("nobody knows yet whether", "the server shows no sign of it")
		if live := s.agent.Status().Live; live != second || s.sent() != sent {
			t.Fatalf("live is %s, want %s; %d reloads were sent", live, second, s.sent()-sent)
		}
		close(hold)
		<-done
		mustSync(t, s.agent, true)
		s.mustRun("three")
		s.proved()
		if n := s.sent() - sent; n != 1 {
			t.Errorf("%d reloads were sent for the third release", n)
		}
		s.restart(nil)
		mustSync(t, s.agent, false) // nothing is left of it
	})
}

// stoker is stopped between a refusal and the way back: the next one goes it.
func TestRefusalOfAnEarlierProcess(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": goodRules})
	ctx, shutDown := context.WithCancel(t.Context())
	s.onReload(func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		shutDown()
		<-r.Context().Done()
	})
	s.write("prometheus.yml", jobs("two")+refusedBy253)
	if _, err := s.agent.Sync(ctx); err == nil {
		t.Fatal("a pass that was ended early succeeded")
	}
	if live := s.agent.Status().Live; live == s.first {
		t.Fatal("the refused release isn't live")
	}
	s.onReload(nil)
	s.restart(nil)
	s.fails("was refused", "keeping release "+s.first)
	s.mustBe(s.first)
	s.mustRun("one")
}

// The server is killed while it loads. It starts again from the live release, and that is proof enough.
func TestServerRestartsDuringAReload(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		s.onReload(func(http.ResponseWriter, *http.Request, http.Handler) {
			s.server.Kill()
			s.newProcess()
			breakOff()
		})
		sent := s.sent()
		s.write(s.main, config("two"))
		s.fails("nobody knows yet whether")
		mustSync(t, s.agent, false)
		s.mustRun("two")
		s.proved()
		if n := s.sent() - sent; n != 1 {
			t.Errorf("%d reloads were sent", n)
		}
	})
}

// The server is killed after its answer, before the proof.
func TestServerRestartsDuringTheProof(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		s.onReload(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r)
			s.server.Kill()
		})
		sent := s.sent()
		s.write(s.main, config("two"))
		s.fails("is live on disk, but")
		s.newProcess()
		mustSync(t, s.agent, false)
		s.mustRun("two")
		s.proved()
		if n := s.sent() - sent; n != 1 {
			t.Errorf("%d reloads were sent", n)
		}
	})
}

// The server dies of a release, or seems to: it gets the one before back at once, and the new one is tried again after
// a while.
func TestServerThatDiesOfARelease(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		s.onReload(func(http.ResponseWriter, *http.Request, http.Handler) {
			s.server.Kill()
			s.proxy.Down()
		})
		s.write(s.main, config("two"))
		s.fails("nobody knows yet whether")
		second := s.agent.Status().Live
		s.fails("was refused", "went away while it loaded it", "keeping release "+s.first)
		if got := s.agent.Status(); got.Live != s.first || got.Refused != second || got.Withheld == nil || got.Withheld.Kind != reload.Refused {
			t.Fatalf("status is %+v, withheld %+v", got, got.Withheld)
		}
		s.onReload(nil)
		s.newProcess()
		s.proxy.Up()
		s.fails("was refused")
		s.mustBe(s.first)
		s.mustRun("one")
		s.agent.Later(longerThanARefusal)
		mustSync(t, s.agent, true)
		s.mustBe(second)
		s.mustRun("two")
	})
}
