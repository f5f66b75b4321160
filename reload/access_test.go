package reload_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	commoncfg "github.com/prometheus/common/config"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
)

// What comes back for a reload isn't always the server's own word. Only that is a refusal; what is said otherwise is
// passed on, short and without what may be secret, and what was certainly not carried out may be sent again.
func TestAnswersThatAreNotTheServersOwn(t *testing.T) {
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	const page = "<html><head><title>x</title><style>p { color: red }</style></head><body>\n<h1>Bad luck</h1><p>gateway</p></body></html>"
	for name, tt := range map[string]struct {
		answer  func(http.ResponseWriter, *http.Request, http.Handler)
		words   []string
		unknown bool // whether it was carried out
		again   bool // sent by the next pass
	}{
		"not found": {answer(404, "404 page not found"), []string{"POST /-/reload: 404 Not Found: 404 page not found", "with its path prefix"}, false, true},
		"redirect": {func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "https://login.example/sign?ticket=scarecrow", http.StatusFound)
		}, []string{"302 Found", "redirects are never followed: this one leads to https://login.example/sign,"}, false, true},
		"too many requests":   {answer(429, "slow down"), []string{"429 Too Many Requests: slow down"}, false, true},
		"bad gateway":         {answer(502, page), []string{"nobody knows yet", "502 Bad Gateway: Bad luck gateway"}, true, false},
		"unavailable":         {answer(503, ""), []string{"nobody knows yet", "503 Service Unavailable"}, true, false},
		"gateway timeout":     {answer(504, page), []string{"nobody knows yet", "504 Gateway Timeout: Bad luck gateway"}, true, false},
		"error of a gateway":  {answer(500, page), []string{"nobody knows yet", "500 Internal Server Error: Bad luck gateway"}, true, false},
		"somebody's page":     {answer(200, page), []string{"answered 200 and runs something else: the time of its last load did not move"}, false, false},
		"far too many words":  {answer(502, strings.Repeat("word ", 1<<20)), []string{"nobody knows yet", "word …"}, true, false},
		"a connection broken": {func(http.ResponseWriter, *http.Request, http.Handler) { breakOff() }, []string{"nobody knows yet", "EOF"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, "prometheus", firstFiles("prometheus", jobs))
			sent := s.sent()
			s.onReload(tt.answer)
			s.write("prometheus.yml", jobs("two"))
			_, err := sync(t, s.agent)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tt.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error lacks %q: %v", w, err)
				}
			}
			if len(err.Error()) > 3000 || strings.Contains(err.Error(), "scarecrow") || strings.Contains(err.Error(), "<") {
				t.Errorf("error is %d bytes: %v", len(err.Error()), err)
			}
			got := s.agent.Status()
			if got.Live == s.first || got.Proved != s.first || got.Unproved == nil || got.Unproved.Kind == reload.Refused || got.Withheld != nil {
				t.Errorf("status is %+v", got)
			}
			if s.counted("stoker_rollbacks_total", "") != 0 || s.counted("stoker_reloads_total", "refused") != 0 {
				t.Error("it was taken for a refusal")
			}
			s.fails()
			want := 1
			if tt.again {
				want = 2
			}
			if n := s.sent() - sent; n != want {
				t.Errorf("%d reloads were sent in two passes, want %d", n, want)
			}
			s.onReload(nil)
			if tt.unknown {
				s.agent.Later(longerThanAReload)
			} else {
				s.agent.Retry()
			}
			mustSync(t, s.agent, false)
			s.mustRun("two")
			s.proved()
		})
	}
}

// An address where something else answers, or nobody.
func TestWrongAddress(t *testing.T) {
	t.Parallel()
	alertmanager := servertest.Alertmanager(t)
	site := servertest.NewProxy(t, alertmanager.URL())
	for _, path := range []string{"/-/ready", "/metrics"} {
		site.Intercept("GET", path, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			io.WriteString(w, "<!doctype html><title>Grafana</title>")
		})
	}
	nobody := servertest.NewProxy(t, alertmanager.URL())
	nobody.Down()
	for name, tt := range map[string]struct{ url, want string }{
		"another server": {alertmanager.URL(), "no prometheus_config_last_reload_successful: is this the address of prometheus?"},
		"a web site":     {site.URL(), "is this the address of prometheus?"},
		"another path":   {alertmanager.URL() + "/elsewhere", "GET /elsewhere/-/ready: 404 Not Found"},
		"nobody":         {nobody.URL(), "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, firstFiles("prometheus", jobs))
			a, err := reload.NewPrometheus(b.config(tt.url), reload.Options{})
			must(t, err)
			for range 2 {
				_, err = sync(t, a)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error is %v, want %q", err, tt.want)
				}
			}
			// What a server would start from is there all the same.
			if s := a.Status(); s.Live == "" || s.Proved != "" || s.Unproved == nil {
				t.Errorf("status is %+v", s)
			}
		})
	}
	if n := reloads(site); n != 0 {
		t.Errorf("%d reloads were sent to a web site", n)
	}
}

// Both servers below a path prefix, behind TLS with an authority of their own, as http_config says. Without the
// authority nothing is sent.
func TestServerBehindTLSAndAPrefix(t *testing.T) {
	cert, key := certificate(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "web.yml"), []byte("tls_server_config: { cert_file: cert.pem, key_file: key.pem }\n"), 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, binary := range []string{"prometheus", "prometheus-2.53", "alertmanager", "alertmanager-0.27"} {
		t.Run(binary, func(t *testing.T) {
			t.Parallel()
			kind, start, main, config := reload.NewPrometheus, servertest.Prometheus, "prometheus.yml", jobs
			if strings.HasPrefix(binary, "alertmanager") {
				kind, start, main, config = reload.NewAlertmanager, servertest.Alertmanager, "alertmanager.yml", receivers
			}
			b := newBench(t, firstFiles(binary, config))
			mustSync(t, b.publishOnly(kind, nil), true)
			server := start(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(b.out, "live", main)),
				servertest.WebConfig(filepath.Join(dir, "web.yml"), client), servertest.Flags("--web.route-prefix=/team/a"), servertest.NoWait())
			servertest.Eventually(t, time.Minute, func() error {
				_, err := server.Get("/team/a/-/ready")
				return err
			})
			cfg := b.config(server.URL() + "/team/a/")
			a, err := kind(cfg, reload.Options{})
			must(t, err)
			if _, err := sync(t, a); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("without the authority: %v", err)
			}
			cfg.HTTPConfig.TLSConfig.CAFile = filepath.Join(dir, "cert.pem")
			cfg.URL = server.URL()
			a, err = kind(cfg, reload.Options{})
			must(t, err)
			if _, err := sync(t, a); err == nil || !strings.Contains(err.Error(), "with its path prefix") {
				t.Errorf("without the prefix: %v", err)
			}
			cfg.URL = server.URL() + "/team/a/"
			a, err = kind(cfg, reload.Options{})
			must(t, err)
			mustSync(t, a, false)
			b.write(main, config("two"))
			mustSync(t, a, true)
			if s := a.Status(); s.Live != s.Proved {
				t.Errorf("status is %+v", s)
			}
		})
	}
}

// A server behind a gateway that wants a bearer token, which is read anew for every request.
func TestServerBehindAToken(t *testing.T) {
	each(t, func(t *testing.T, binary string, config func(string) string) {
		s := newStation(t, binary, firstFiles(binary, config))
		gate := servertest.NewProxy(t, s.server.URL())
		for _, request := range []string{"GET /-/ready", "GET /metrics", "POST /-/reload", "GET /api/v1/status/flags", "GET /api/v1/status/config", "GET /api/v1/rules"} {
			method, path, _ := strings.Cut(request, " ")
			gate.Intercept(method, path, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Header.Get("Authorization") != "Bearer scarecrow" {
					http.Error(w, "no", http.StatusUnauthorized)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
		token := filepath.Join(t.TempDir(), "token")
		must(t, os.WriteFile(token, []byte("expired-token"), 0o600))
		s.restart(func(cfg *reload.Config) {
			cfg.URL = gate.URL()
			cfg.HTTPConfig.Authorization = &commoncfg.Authorization{Type: "Bearer", CredentialsFile: token}
		})
		s.write(s.main, config("two"))
		_, err := sync(t, s.agent)
		if err == nil || !strings.Contains(err.Error(), "401 Unauthorized: no (set http_config for this server)") || strings.Contains(err.Error(), "expired-token") {
			t.Errorf("with an old token: %v", err)
		}
		must(t, os.WriteFile(token, []byte("scarecrow"), 0o600))
		mustSync(t, s.agent, false)
		s.mustRun("two")
		s.proved()
	})
}

// A server quotes what it refuses. What is secret in that goes no further.
func TestSecretsInAServersWords(t *testing.T) {
	t.Setenv("STOKER_TEST_TOKEN", "from-the-environment")
	s := newStation(t, "alertmanager", map[string]string{"alertmanager.yml": receivers("one")})
	s.restart(func(cfg *reload.Config) { cfg.ExpandEnv = []string{"alertmanager.yml"} })
	s.write("alertmanager.yml", "global: { smtp_auth_password: scarecrow, smtp_auth_username: $(STOKER_TEST_TOKEN) }\n"+`
route: { receiver: two }
receivers:
- name: two
  slack_configs: [{ api_url: 'https://hooks.slack.example/services/T0/B0/hidden-path', channel: '#a' }]
  pagerduty_configs: [{ routing_key: hidden-key }]
  webhook_configs:
  - url: 'http://127.0.0.1:1/hidden-hook'
    http_config: { tls_config: { ca_file: /nowhere/ca.pem }, authorization: { credentials: hidden-token } }
`)
	s.onReload(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		data, err := os.ReadFile(filepath.Join(s.out, "live", "alertmanager.yml"))
		must(t, err)
		http.Error(w, "failed to reload config: this is wrong: "+string(data), http.StatusInternalServerError)
	})
	_, err := sync(t, s.agent)
	if err == nil || !strings.Contains(err.Error(), "this is wrong: global: { smtp_auth_password: <secret>, smtp_auth_username: $(STOKER_TEST_TOKEN) }") {
		t.Fatalf("error is %v", err)
	}
	for _, secret := range []string{"scarecrow", "hidden-path", "hidden-key", "hidden-hook", "hidden-token", "from-the-environment"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error holds %q: %v", secret, err)
		}
	}
	for _, p := range s.agent.Status().Withheld.Problems {
		if strings.Contains(p, "scarecrow") {
			t.Errorf("status holds a secret: %s", p)
		}
	}
}
