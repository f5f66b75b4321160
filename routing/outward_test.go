package routing_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing"
)

// A contact's URL leads nowhere else: what answers there can't send Alertmanager's post on to /-/quit of a Prometheus beside
// it. Nor does it get the password that the team has for its own services.
func TestContactsURLsLeadNowhereElse(t *testing.T) {
	routing.EachAlertmanager(t, func(t *testing.T, binary, version string) {
		var (
			mu       sync.Mutex
			quit     []string // by which methods the post was led on
			password []string // which methods had one with them
		)
		prometheus := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			quit = append(quit, r.URL.Query().Get("by"))
		}))
		t.Cleanup(prometheus.Close)
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.Header.Get("Authorization") != "" {
				password = append(password, r.URL.Path)
			}
			http.Redirect(w, r, prometheus.URL+"/-/quit?by="+strings.Trim(r.URL.Path, "/"), http.StatusTemporaryRedirect)
		}))
		t.Cleanup(evil.Close)

		dir := t.TempDir()
		methods := map[string]string{
			"hook":  fmt.Sprintf("webhook: { url: %q }", evil.URL+"/hook"),
			"hook2": "webhook: { url: { secret: hook } }",
			"talk":  fmt.Sprintf("slack: { api_url: %q }", evil.URL+"/talk"),
			"talk2": "slack: { api_url: { secret: talk } }",
			"disc":  fmt.Sprintf("discord: { webhook_url: %q }", evil.URL+"/disc"),
		}
		if version != "0.27.0" {
			methods["most"] = fmt.Sprintf("mattermost: { webhook_url: %q }", evil.URL+"/most")
			methods["team"] = fmt.Sprintf("msteams: { webhook_url: %q }", evil.URL+"/team")
		}
		write := func(name, content string) {
			t.Helper()
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		write("contacts/acme.yml", contact("hx1", methods))
		write("secrets/acme.hook", evil.URL+"/hook2")
		write("secrets/acme.talk", evil.URL+"/talk2")
		agent, err := routing.New(routing.Options{Contacts: routing.ContactsConfig{
			Dir: filepath.Join(dir, "contacts"), SecretsDir: filepath.Join(dir, "secrets"), AllowPrivate: true,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := agent.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		const base = "global: { http_config: { basic_auth: { username: team, password: team-secret } } }\n" +
			"route: { receiver: team, group_wait: 0s }\nreceivers: [{ name: team }]\n"
		files, err := agent.Generate(t.Context(), routing.Source{Base: map[string][]byte{routing.MainFile: []byte(base)}, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			write("release/"+name, string(data))
		}
		server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(dir, "release", routing.MainFile)))
		server.Post("/api/v2/alerts", `[{"labels": {"alertname": "NodeDown", "severity": "critical", "prep": "hx1"}}]`)
		servertest.Eventually(t, time.Minute, func() error {
			mu.Lock()
			defer mu.Unlock()
			for _, name := range slices.Sorted(maps.Keys(methods)) {
				if !slices.Contains(quit, name) && !strings.Contains(server.Log(), "contact/acme/"+name+"/") {
					return fmt.Errorf("%s has neither failed nor been led on", name)
				}
			}
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		if len(quit) > 0 {
			t.Errorf("led on to a server beside Alertmanager: %s", quit)
		}
		if len(password) > 0 {
			t.Errorf("the team's password went to %s", password)
		}
	})
}

// By which way the site reaches others holds for contacts, too, wherever the base says it.
func TestContactsGoTheSitesWay(t *testing.T) {
	const rest = "\nroute: { receiver: team }\nreceivers: [{ name: team }]\n"
	for name, test := range map[string]struct{ global, want string }{
		"nothing": {"global: {}", "http_config:\n      follow_redirects: false\n"},
		"all": {"global: { http_config: { proxy_url: 'http://proxy:3128', no_proxy: 10.0.0.0/8, tls_config: { ca_file: ca.pem }, enable_http2: false, follow_redirects: true, bearer_token: team-secret } }",
			"http_config:\n      follow_redirects: false\n      proxy_url: 'http://proxy:3128'\n      no_proxy: 10.0.0.0/8\n      tls_config:\n        ca_file: ca.pem\n      enable_http2: false\n"},
		"anchors": {"global:\n  http_config: &c\n    tls_config: &t { ca_file: &f ca.pem } # ours\n    authorization: { credentials: team-secret }",
			"http_config:\n      follow_redirects: false\n      tls_config:\n        ca_file: ca.pem\n"},
		"aliases": {"global:\n  http_config:\n    <<: { proxy_from_environment: true }\n    tls_config: { <<: { server_name: x }, ca_file: ca.pem }",
			"http_config:\n      follow_redirects: false\n      proxy_from_environment: true\n      tls_config:\n        ca_file: ca.pem\n        server_name: x\n"},
		"merged": {"global: { <<: { http_config: { proxy_url: 'http://proxy:3128' } } }",
			"http_config:\n      follow_redirects: false\n      proxy_url: 'http://proxy:3128'\n"},
	} {
		t.Run(name, func(t *testing.T) {
			site := routing.Site{IdentityLabel: "prep", Severities: []string{"warning", "critical"}}
			contact, err := routing.ParseContact("acme.yml", []byte(contact("hx1", map[string]string{"hook": "webhook: { url: 'https://hooks.acme.example/' }"})),
				site)
			if err != nil {
				t.Fatal(err)
			}
			merged, err := routing.Merge([]byte(test.global+rest), []*routing.Contact{contact}, site)
			if err != nil {
				t.Fatal(err)
			}
			_, receiver, _ := strings.Cut(string(merged), "name: contact/acme/hook")
			_, got, _ := strings.Cut(receiver, "https://hooks.acme.example/\"\n")
			if got, _, _ = strings.Cut(got, "templates:"); strings.TrimLeft(got, " ") != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
