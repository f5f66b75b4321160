package sidecar

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/twiliotest"
)

// phoneFiles are those of a site whose phones are reached through Twilio.
func phoneFiles(t *testing.T, api, extra string) (dir, bridge string) {
	t.Helper()
	dir, bridge = t.TempDir(), servertest.FreeAddress(t)
	for name, content := range map[string]string{
		"twilio-token":                  twiliotest.AuthToken + "\n",
		"alertmanager/alertmanager.yml": "route: { receiver: ops, group_wait: 0s }\nreceivers: [ { name: ops } ]\n",
		"contacts/acme.yml": "kind: operator\nname: Acme\nowner: hx1\ncontact_methods: { oncall: { phone: { number: +442079460123, via: [voice] } } }\n" +
			"notification_rules: [ { notify: [oncall] } ]\n",
		"out/.keep": "",
		"stoker.yml": fmt.Sprintf(`
alertmanager: { url: 'http://127.0.0.1:1', source_dir: alertmanager, output_dir: out/am, settle: 10ms }
contacts: { dir: contacts }
routing:
  phone:
    provider: twilio
    account_sid: %s
    auth_token_file: twilio-token
    from: '%s'
    api_url: %s
    bridge_listen: %s
%s`, twiliotest.AccountSID, twiliotest.From, api, bridge, extra),
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, bridge
}

func newPhoneSidecar(t *testing.T, dir string, o Options) *Sidecar {
	t.Helper()
	cfg, err := LoadConfig(filepath.Join(dir, "stoker.yml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// putCertificate puts a certificate for 127.0.0.1, which is returned, and a web.yml with it into a folder.
func putCertificate(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	someone := httptest.NewUnstartedServer(nil)
	someone.StartTLS()
	someone.Close()
	pair := someone.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"cert.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"web.yml":  "tls_server_config: { cert_file: cert.pem, key_file: key.pem }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return someone.Certificate()
}

// The bridge has a listener of its own, with TLS if it's asked for, and Alertmanager trusts whom it's told to.
func TestBridgeTLS(t *testing.T) {
	t.Parallel()
	tw, api := twiliotest.Start(t)
	dir, bridge := phoneFiles(t, api, "    bridge_web_config_file: web.yml\n    bridge_ca_file: cert.pem\n    bridge_url: https://BRIDGE\n")
	putCertificate(t, dir)
	edit(t, filepath.Join(dir, "stoker.yml"), "https://BRIDGE", "https://"+bridge)
	newPhoneSidecar(t, dir, Options{PublishOnly: true}).SyncOnce(t.Context())
	alertmanager := servertest.Alertmanager(t, servertest.ConfigFile(filepath.Join(dir, "out/am/live/alertmanager.yml")))
	edit(t, filepath.Join(dir, "stoker.yml"), "http://127.0.0.1:1'", alertmanager.URL()+"'")

	s := newPhoneSidecar(t, dir, Options{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, WebOptions{}) }()
	servertest.Eventually(t, time.Minute, func() error {
		if _, _, err := s.routing.Phone("acme", "oncall"); err != nil {
			return err
		}
		c, err := net.Dial("tcp", bridge)
		if err == nil {
			c.Close()
		}
		return err
	})
	alertmanager.Post("/api/v2/alerts", `[{"labels": {"alertname": "NodeDown", "prep": "hx1"}}]`)
	wait, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := tw.Wait(wait, func(requests []twiliotest.Request, _ int) bool { return len(requests) == 1 }); err != nil {
		t.Error(err, alertmanager.Log())
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
	if _, err := net.Dial("tcp", bridge); err == nil {
		t.Error("the bridge still listens")
	}
}

// edit replaces text in a file.
func edit(t *testing.T, file, before, after string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), before) {
		t.Fatalf("%s has no %q", file, before)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(data), before, after)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Only whoever runs Alertmanager's agent has the bridge, and a port that is taken is said at once.
func TestBridgeIsSelected(t *testing.T) {
	dir, bridge := phoneFiles(t, "http://127.0.0.1:1", "")
	if s := newPhoneSidecar(t, dir, Options{PublishOnly: true}); s.bridge != nil {
		t.Error("an init container has a bridge")
	}
	s := newPhoneSidecar(t, dir, Options{})
	if s.bridge == nil {
		t.Fatal("no bridge")
	}
	l, err := net.Listen("tcp", bridge)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = s.Run(t.Context(), WebOptions{ListenAddresses: []string{"127.0.0.1:0"}})
	if err == nil || !strings.HasPrefix(err.Error(), "routing.phone.bridge_listen: listen tcp "+bridge) {
		t.Errorf("a port that is taken: %v", err)
	}
}

// routing in stoker.yml is checked like any section, and needs those that it's about.
func TestRoutingConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "stoker.yml")
	for source, want := range map[string]string{
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\nrouting: {}\n":                                                                            file + ":2:10: routing: needs the sections contacts and alertmanager: it says how the one is reached by the other",
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\ncontacts: { dir: c }\nrouting: {}\n":                                                      "",
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\ncontacts: { dir: c }\nrouting:\n  phone: { provider: sn }\n":                              file + `:4:22: routing.phone.provider: "sn" not known, it is sns, twilio or webhook`,
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\ncontacts: { dir: c }\nrouting:\n  phone: { provider: sns }\n":                             file + `:4:10: routing.phone.sigv4: missing, provider sns needs it`,
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\ncontacts: { dir: c }\nrouting:\n  phone:\n    provider: sns\n    sigv4: { profile: x }\n": file + `:6:12: routing.phone.sigv4.region: missing, such as eu-central-1`,
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\ncontacts: { dir: c }\nrouting:\n  phone: { from: x, providr: sn }\n":                      file + `:4:21: field "providr" not known, did you mean "provider"?`,
	} {
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := LoadConfig(file); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
