package reload_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	commoncfg "github.com/prometheus/common/config"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// A Prometheus that may not be reloaded says 403, which is passed on with the flag that it lacks.
func TestHintForLifecycle(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"prometheus.yml": goodMain, "rules/up.yml": goodRules})
	mustSync(t, b.publishOnly(reload.NewPrometheus, nil), true)
	server := servertest.Prometheus(t, servertest.ConfigFile(filepath.Join(b.out, "live", "prometheus.yml")), servertest.Flags("--no-web.enable-lifecycle"))
	a, err := reload.NewPrometheus(b.config(server.URL()), reload.Options{})
	must(t, err)
	_, err = sync(t, a)
	if err == nil || !strings.Contains(err.Error(), "Lifecycle API is not enabled") || !strings.Contains(err.Error(), "--web.enable-lifecycle") {
		t.Errorf("error is %v", err)
	}
	if s := a.Status(); s.Live == "" || s.Proved != "" {
		t.Errorf("status is %+v", s)
	}
}

// passwordTransport adds a password to every request.
type passwordTransport struct{}

func (passwordTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth("stoker", "scarecrow")
	return http.DefaultTransport.RoundTrip(r)
}

// A server behind a password is reached through http_config; without it the error says what is missing, and never
// the password.
func TestServerBehindAPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"alertmanager.yml": "route: { receiver: a }\nreceivers: [{ name: a }]\n"})
	mustSync(t, b.publishOnly(reload.NewAlertmanager, nil), true)
	web := filepath.Join(t.TempDir(), "web.yml")
	// The password is "scarecrow", hashed at bcrypt's lowest cost.
	must(t, os.WriteFile(web, []byte("basic_auth_users: { stoker: '$2a$04$XY4RauzL0qs4ydi3fOKO4u.dkGZ0ZWJSuiMkMXupPc5MsXW0.fRTm' }\n"), 0o600))
	server := servertest.Alertmanager(t, servertest.ConfigFile(filepath.Join(b.out, "live", "alertmanager.yml")),
		servertest.WebConfig(web, &http.Client{Transport: passwordTransport{}}))

	cfg := b.config(server.URL())
	a, err := reload.NewAlertmanager(cfg, reload.Options{})
	must(t, err)
	if _, err := sync(t, a); err == nil || !strings.Contains(err.Error(), "401") || !strings.Contains(err.Error(), "http_config") {
		t.Errorf("without a password: %v", err)
	}
	cfg.HTTPConfig.BasicAuth = &commoncfg.BasicAuth{Username: "stoker", Password: "wrong-password"}
	a, err = reload.NewAlertmanager(cfg, reload.Options{})
	must(t, err)
	if _, err := sync(t, a); err == nil || strings.Contains(err.Error(), "wrong-password") {
		t.Errorf("with a wrong password: %v", err)
	}
	cfg.HTTPConfig.BasicAuth.Password = "scarecrow"
	a, err = reload.NewAlertmanager(cfg, reload.Options{})
	must(t, err)
	mustSync(t, a, false)
	if s := a.Status(); s.Proved != s.Live {
		t.Errorf("status is %+v", s)
	}
}
