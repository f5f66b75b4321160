package reload_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// missingCA is a receiver that only the server can judge: the file isn't part of the release.
func missingCA(name, file string) string {
	return "route: { receiver: " + name + " }\nreceivers:\n- name: " + name + "\n  webhook_configs:\n  - url: http://127.0.0.1:1\n    http_config: { tls_config: { ca_file: " + file + " } }\n"
}

// rules is a rule file with one alert.
func rules(group, expr string) string {
	return "groups:\n- name: " + group + "\n  rules:\n  - alert: Down\n    expr: " + expr + "\n"
}

// Prometheus applies what it can of a release that it refuses: the new scrape job runs, and the rules stay old. Going
// back takes the job away again.
func TestPartialApplyIsRolledBack(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": rules("old", "up == 0")})
	first := true
	s.onReload(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !first {
			next.ServeHTTP(w, r)
			return
		}
		first = false
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		// What a reload without a way back leaves behind.
		if body := answer.Body.String(); answer.Code != 500 || !strings.Contains(body, "one or more errors occurred while applying") {
			t.Errorf("the server answered %d: %s", answer.Code, body)
		}
		s.mustRun("two")
		if rules := get(t, s.server.URL()+"/api/v1/rules"); !strings.Contains(rules, `"name":"old"`) || strings.Contains(rules, `"name":"new"`) {
			t.Errorf("rules after the refusal: %s", rules)
		}
		servertest.Eventually(t, time.Minute, func() error { return s.pools("two") })
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	})
	s.write("prometheus.yml", jobs("two"))
	s.write("rules/up.yml", rules("new", "info(up) == 0")) // a function of 3.x
	s.fails("prometheus refused release", "one or more errors occurred while applying", "went back to release "+s.first)
	s.mustBe(s.first)
	s.mustRun("one")
	if rules := get(t, s.server.URL()+"/api/v1/rules"); !strings.Contains(rules, `"name":"old"`) || strings.Contains(rules, `"name":"new"`) {
		t.Errorf("rules after going back: %s", rules)
	}
	servertest.Eventually(t, time.Minute, func() error { return s.pools("one") })
	if flag := s.metric("prometheus_config_last_reload_successful"); flag != "1" {
		t.Errorf("prometheus_config_last_reload_successful is %s", flag)
	}
	if n := s.counted("stoker_rollbacks_total", ""); n != 1 {
		t.Errorf("%v rollbacks were counted", n)
	}
}

// pools says whether the server's only scrape pool is that of a job.
func (s *station) pools(job string) error {
	s.t.Helper()
	if got := get(s.t, s.server.URL()+"/api/v1/scrape_pools"); !strings.Contains(got, `"scrapePools":["`+job+`"]`) {
		return fmt.Errorf("pools are %s", got)
	}
	return nil
}

// A fix is applied by the very next pass, however the bad files were refused, and also when they have just been tried
// again.
func TestFixDuringRetry(t *testing.T) {
	for by, bad := range map[string]string{
		"check":  "scrape_configs: [{ job_name: x }, { job_name: x }]\n",
		"server": jobs("bad") + refusedBy253,
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": goodRules})
			s.write("prometheus.yml", bad)
			s.fails(s.first)
			sent := s.sent()
			for range 3 {
				s.write("prometheus.yml", bad) // somebody saves it again
				s.fails("keeping release " + s.first)
			}
			if n := s.sent() - sent; n != 0 {
				t.Errorf("%d reloads were sent for a refused release", n)
			}
			s.write("prometheus.yml", jobs("fixed"))
			mustSync(t, s.agent, true)
			s.mustRun("fixed")
			s.proved()

			s.write("prometheus.yml", bad)
			s.fails()
			s.agent.Later(longerThanARefusal)
			s.fails()
			s.write("prometheus.yml", jobs("again"))
			mustSync(t, s.agent, true)
			s.mustRun("again")
		})
	}
}

// A file was mounted late. Alertmanager refuses what every check of the files passes, and takes it as soon as somebody
// asks for a retry, after ten minutes, or when the server was restarted; until then it is left alone.
func TestSecretMountedLate(t *testing.T) {
	for name, again := range map[string]func(*station){
		"asked for":        func(s *station) { s.agent.Retry() },
		"after a while":    func(s *station) { s.agent.Later(longerThanARefusal) },
		"server restarted": func(s *station) { s.newProcess() },
		"stoker restarted": func(s *station) { s.restart(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "ca.pem")
			s := newStation(t, "alertmanager", map[string]string{"alertmanager.yml": receivers("one")})
			s.write("alertmanager.yml", missingCA("two", file))
			s.fails("alertmanager refused release", file, "went back to release "+s.first)
			sent := s.sent()
			must(t, os.WriteFile(file, ca(t), 0o644))
			for range 3 {
				s.fails("was refused", "keeping release "+s.first)
			}
			if n := s.sent() - sent; n != 0 {
				t.Errorf("%d reloads were sent for a refused release", n)
			}
			s.mustBe(s.first)
			again(s)
			mustSync(t, s.agent, true)
			s.mustRun("two")
			if got := s.agent.Status(); got.Withheld != nil || got.Refused != "" {
				t.Errorf("status is %+v", got)
			}
		})
	}
}

// The way back is broken too: what the old release refers to has gone meanwhile. Both refusals are said, and either
// release is loaded as soon as that is possible.
func TestProvedReleaseIsRefusedToo(t *testing.T) {
	for _, mend := range []string{"the old one", "a new one"} {
		t.Run(mend, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "ca.pem")
			must(t, os.WriteFile(file, ca(t), 0o644))
			s := newStation(t, "alertmanager", map[string]string{"alertmanager.yml": missingCA("one", file)})
			must(t, os.Remove(file))
			s.write("alertmanager.yml", missingCA("two", "/nowhere/ca.pem"))
			s.fails("alertmanager refused release", "/nowhere/ca.pem", "release "+s.first+" is live again on disk, but alertmanager isn't proved to run it", file)
			if got := s.agent.Status(); got.Live != s.first || got.Unproved == nil || got.Unproved.Kind != reload.Refused || got.Withheld == nil {
				t.Errorf("status is %+v", got)
			}
			s.fails("/nowhere/ca.pem", file)
			if mend == "the old one" {
				must(t, os.WriteFile(file, ca(t), 0o644))
				s.fails("was refused", "/nowhere/ca.pem")
				s.mustBe(s.first)
				if got := s.agent.Status(); got.Unproved != nil {
					t.Errorf("status is %+v", got)
				}
			}
			s.write("alertmanager.yml", receivers("three"))
			mustSync(t, s.agent, true)
			s.mustRun("three")
			s.proved()
		})
	}
}

// The reload of the way back gets lost. The old release is live on disk; that the server runs it is found out, or made
// sure.
func TestRollbackIsLost(t *testing.T) {
	for name, lost := range map[string]func(r *http.Request, next http.Handler){
		"on its way":  func(*http.Request, http.Handler) {},
		"on its back": func(r *http.Request, next http.Handler) { next.ServeHTTP(httptest.NewRecorder(), r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": rules("old", "up == 0")})
			sent := s.sent()
			s.onReload(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if s.sent() == sent+1 {
					next.ServeHTTP(w, r)
					return
				}
				lost(r, next)
				breakOff()
			})
			s.write("prometheus.yml", jobs("two"))
			s.write("rules/up.yml", rules("new", "info(up) == 0"))
			s.fails("prometheus refused release", "release "+s.first+" is live again on disk, but prometheus isn't proved to run it", "nobody knows yet")
			if live := s.agent.Status().Live; live != s.first {
				t.Errorf("live is %s", live)
			}
			s.onReload(nil)
			if name == "on its way" {
				s.fails("the server shows no sign of it")
				s.mustRun("two") // the part that it took
				s.agent.Later(longerThanAReload)
			}
			s.fails("was refused", "keeping release "+s.first)
			s.mustBe(s.first)
			s.mustRun("one")
			if got := s.agent.Status(); got.Unproved != nil {
				t.Errorf("status is %+v", got)
			}
			mine := 2 // the reload that was refused, and the way back
			if name == "on its way" {
				mine++
			}
			if n := s.sent() - sent; n != mine {
				t.Errorf("%d reloads were sent, want %d", n, mine)
			}
		})
	}
}

// The server isn't there for the way back: it gets what it starts from, and that is proof.
func TestServerRestartsBeforeTheRollback(t *testing.T) {
	t.Parallel()
	s := newStation(t, "prometheus-2.53", map[string]string{"prometheus.yml": jobs("one"), "rules/up.yml": goodRules})
	s.onReload(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		s.server.Kill()
	})
	s.write("prometheus.yml", jobs("two")+refusedBy253)
	s.fails("prometheus refused release", "release "+s.first+" is live again on disk", "not ready")
	s.onReload(nil)
	sent := s.sent()
	s.newProcess()
	// Another process may take what the one before refused. It doesn't, and has the old release again then.
	s.fails("prometheus refused release", "went back to release "+s.first)
	s.mustBe(s.first)
	s.mustRun("one")
	if n := s.sent() - sent; n != 2 {
		t.Errorf("%d reloads were sent", n)
	}
}
