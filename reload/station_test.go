package reload_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// station is a real server that runs the first release of its bench, a proxy before it, and an agent that reloads it
// through the proxy and has proved that release.
type station struct {
	*bench
	kind   func(reload.Config, reload.Options) (*reload.Agent, error)
	main   string
	server *servertest.Server
	proxy  *servertest.Proxy
	agent  *reload.Agent
	reg    *prometheus.Registry
	first  string
}

// A server's configuration of one job or receiver, which tells versions apart.
func jobs(name string) string {
	return "global: { scrape_interval: 1m }\nrule_files: [rules/*.yml]\nscrape_configs:\n- job_name: " + name + "\n  static_configs: [{ targets: ['127.0.0.1:1'] }]\n"
}

func receivers(name string) string {
	return "route: { receiver: " + name + " }\nreceivers: [{ name: " + name + " }]\n"
}

// refusedBy253 is a key of a scrape job that stoker's libraries know, and Prometheus 2.53 does not.
const refusedBy253 = "  fallback_scrape_protocol: PrometheusText0.0.4\n"

func newStation(t *testing.T, binary string, files map[string]string, opts ...servertest.Option) *station {
	t.Helper()
	s := &station{bench: newBench(t, files), kind: reload.NewPrometheus, main: "prometheus.yml"}
	start := servertest.Prometheus
	if strings.HasPrefix(binary, "alertmanager") {
		s.kind, s.main, start = reload.NewAlertmanager, "alertmanager.yml", servertest.Alertmanager
	}
	mustSync(t, s.publishOnly(s.kind, nil), true)
	s.server = start(t, append([]servertest.Option{
		servertest.Binary(binary), servertest.ConfigFile(filepath.Join(s.out, "live", s.main)),
	}, opts...)...)
	s.server.WaitReady()
	s.proxy = servertest.NewProxy(t, s.server.URL())
	s.restart(nil)
	mustSync(t, s.agent, false)
	s.first = s.agent.Status().Live
	return s
}

// restart makes a new agent, as a new process of stoker would; change may change its configuration.
func (s *station) restart(change func(*reload.Config)) {
	s.t.Helper()
	cfg := s.config(s.proxy.URL())
	if change != nil {
		change(&cfg)
	}
	s.reg = prometheus.NewRegistry()
	var err error
	s.agent, err = s.kind(cfg, reload.Options{Registerer: s.reg})
	must(s.t, err)
}

// impatient is a reload_timeout that passes at once.
func impatient(cfg *reload.Config) { cfg.ReloadTimeout = model.Duration(200 * time.Millisecond) }

// fails runs a pass that must fail with all of these words.
func (s *station) fails(words ...string) {
	s.t.Helper()
	if err := s.failure(words); err != nil {
		s.t.Fatal(err)
	}
}

// eventuallyFails runs passes until one fails with these words.
func (s *station) eventuallyFails(words ...string) {
	s.t.Helper()
	servertest.Eventually(s.t, time.Minute, func() error { return s.failure(words) })
}

func (s *station) failure(words []string) error {
	s.t.Helper()
	_, err := sync(s.t, s.agent)
	if err == nil {
		return fmt.Errorf("the pass succeeded; want an error with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			return fmt.Errorf("error lacks %q: %v", w, err)
		}
	}
	return nil
}

// sent is how many reloads have arrived at the proxy.
func (s *station) sent() int { return reloads(s.proxy) }

// runs returns what the server itself says of its configuration.
func (s *station) runs() string {
	s.t.Helper()
	if s.main == "alertmanager.yml" {
		return get(s.t, s.server.URL()+"/api/v2/status")
	}
	return get(s.t, s.server.URL()+"/api/v1/status/config")
}

// mustRun fails the test unless the server runs a configuration with this job or receiver.
func (s *station) mustRun(name string) {
	s.t.Helper()
	key := "job_name: "
	if s.main == "alertmanager.yml" {
		key = "receiver: "
	}
	if runs := s.runs(); !strings.Contains(runs, key+name+`\n`) {
		s.t.Fatalf("the server doesn't run %q: %s", name, runs)
	}
}

// mustBe fails the test unless this release is live and proved.
func (s *station) mustBe(release string) {
	s.t.Helper()
	if got := s.agent.Status(); got.Live != release || got.Proved != release {
		s.t.Fatalf("live is %s and proved %s, want %s", got.Live, got.Proved, release)
	}
}

// proved fails the test unless the last release is live and proved, and returns it.
func (s *station) proved() string {
	s.t.Helper()
	got := s.agent.Status()
	if got.Live == "" || got.Live != got.Proved || got.Unproved != nil {
		s.t.Fatalf("status is %+v", got)
	}
	return got.Live
}

// counted returns the value of a counter of the agent, with one label's value or without.
func (s *station) counted(name, result string) (n float64) {
	s.t.Helper()
	families, err := s.reg.Gather()
	must(s.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name {
				continue
			}
			if result == "" {
				return m.GetCounter().GetValue()
			}
			for _, l := range m.GetLabel() {
				if l.GetValue() == result {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// metric returns the value of a metric of the server that has no labels.
func (s *station) metric(name string) string {
	s.t.Helper()
	for line := range strings.Lines(get(s.t, s.server.URL()+"/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	s.t.Fatalf("the server has no metric %s", name)
	return ""
}

// started is when the server's process started, as it says.
func (s *station) started() (seconds float64) {
	s.t.Helper()
	_, err := fmt.Sscan(s.metric("process_start_time_seconds"), &seconds)
	must(s.t, err)
	return seconds
}

// newProcess restarts the server, and once more as long as its start can't be told from that of the process before,
// or from the time when the live link was made: starts are known to a second or so.
func (s *station) newProcess() {
	s.t.Helper()
	info, err := os.Lstat(filepath.Join(s.out, "live"))
	must(s.t, err)
	earliest := float64(info.ModTime().UnixMilli())/1000 + 1.1
	if s.server.Running() {
		earliest = max(earliest, s.started()+1.1)
	}
	for {
		s.server.Restart()
		s.server.WaitReady()
		if s.started() > earliest {
			return
		}
	}
}

// onReload replaces what happens to reloads from now on.
func (s *station) onReload(fn func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	s.proxy.Intercept("POST", "/-/reload", fn)
}

// breakOff ends a connection without an answer.
func breakOff() { panic(http.ErrAbortHandler) }

// detached is a request that goes on when its client has gone, as both servers handle it.
func detached(r *http.Request) *http.Request {
	return r.WithContext(context.WithoutCancel(r.Context()))
}

// eventually syncs until a pass ends without an error.
func (s *station) eventually() {
	s.t.Helper()
	servertest.Eventually(s.t, time.Minute, func() error {
		_, err := sync(s.t, s.agent)
		return err
	})
}

// Longer than the time limits of the agent.
const (
	longerThanAReload  = 5 * time.Minute  // the default of reload_timeout
	longerThanARefusal = 11 * time.Minute // after which a refused release is tried again
	longerThanAStart   = 7 * time.Minute  // that a server may take
)
