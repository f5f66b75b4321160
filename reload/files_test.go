package reload_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// A certificate outside of the release may be mounted for the server alone. So the release is published with a
// warning; the server that doesn't have the file refuses it (Prometheus for a job that it runs already: of a new one it
// logs an error and goes on), and gets it when the file is there.
func TestMissingCertificateOfTheServer(t *testing.T) {
	const (
		prometheusJob = "  tls_config: { ca_file: %q }\n"
		receiverHook  = "route: { receiver: a }\nreceivers:\n- name: a\n  webhook_configs: [{ url: 'https://127.0.0.1:1', http_config: { tls_config: { ca_file: %q } } }]\n"
	)
	for name, tt := range map[string]struct {
		kind   func(reload.Config, reload.Options) (*reload.Agent, error)
		start  func(servertest.TB, ...servertest.Option) *servertest.Server
		main   string
		before string
		after  string
	}{
		"prometheus":   {reload.NewPrometheus, servertest.Prometheus, "prometheus.yml", goodMain, goodMain + prometheusJob},
		"alertmanager": {reload.NewAlertmanager, servertest.Alertmanager, "alertmanager.yml", "route: { receiver: a }\nreceivers: [{ name: a }]\n", receiverHook},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := filepath.Join(t.TempDir(), "ca.pem")
			b := newBench(t, map[string]string{tt.main: tt.before, "rules/up.yml": goodRules})
			mustSync(t, b.publishOnly(tt.kind, nil), true)
			server := tt.start(t, servertest.ConfigFile(filepath.Join(b.out, "live", tt.main)))
			var log bytes.Buffer
			a, err := tt.kind(b.config(server.URL()), reload.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			must(t, err)
			mustSync(t, a, false)
			good := a.Status().Live
			if name == "prometheus" {
				servertest.Eventually(t, time.Minute, func() error {
					if targets := get(t, server.URL()+"/api/v1/targets"); !strings.Contains(targets, `"scrapePool":"one"`) {
						return errors.New(targets)
					}
					return nil
				})
			}

			b.write(tt.main, fmt.Sprintf(tt.after, ca))
			changed, err := sync(t, a)
			if changed || err == nil || !strings.Contains(err.Error(), "went back to release "+good) {
				t.Errorf("without the file: %v, %v", changed, err)
			}
			if !strings.Contains(log.String(), "isn't here: only the server can tell") {
				t.Errorf("the log is %s", &log)
			}
			cert, _ := certificate(t)
			must(t, os.WriteFile(ca, cert, 0o600))
			a.Retry()
			mustSync(t, a, true)
			if s := a.Status(); s.Proved != s.Live || s.Live == good {
				t.Errorf("status is %+v", s)
			}
		})
	}
}
