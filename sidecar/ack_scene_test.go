package sidecar

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// ackScene is a site whose operators, acme and bravo, and whose subscriber, carol, are told of alerts over a real
// Alertmanager, behind a proxy that counts what it is asked, by webhooks to a real inbox.
type ackScene struct {
	t            *testing.T
	dir          string
	inbox        *inboxtest.Inbox
	alertmanager *servertest.Server
	proxy        *servertest.Proxy
	s            *Sidecar
	log          *servertest.Log
	// origin is where the page is, when it is served.
	origin string
}

const (
	ackKey      = "a key that is long enough for what it is for\n"
	ackOlderKey = "the key before, of a length that is as good\n"
)

func newAckScene(t *testing.T, extra string, options ...servertest.Option) *ackScene {
	t.Helper()
	address := servertest.FreeAddress(t)
	a := &ackScene{t: t, dir: t.TempDir(), inbox: inboxtest.New(t), log: &servertest.Log{}, origin: "http://" + address}
	contact := func(kind, name, rest string) string {
		return fmt.Sprintf("kind: %s\nname: %s\nlocation: Europe/Berlin\ncontact_methods: { hook: { webhook: { url: '%s' } }, mail: { email: { to: %s@example.org } } }\n%s",
			kind, name, a.inbox.WebhookURL(name), name, rest)
	}
	for name, content := range map[string]string{
		"key":   ackKey,
		"older": ackOlderKey,
		"alertmanager/alertmanager.yml": "global: { smtp_smarthost: '" + a.inbox.SMTPAddress() + "', smtp_from: alerts@example.org, smtp_require_tls: false }\n" +
			"route: { receiver: ops, group_wait: 0s, group_interval: 1s, repeat_interval: 4h }\nreceivers: [ { name: ops } ]\n",
		"contacts/acme.yml":  contact("operator", "acme", "owner: hx1\nnotification_rules: [ { notify: [hook, mail] } ]\n"),
		"contacts/bravo.yml": contact("operator", "bravo", "owner: hx2\nnotification_rules: [ { notify: [hook, mail] } ]\n"),
		"contacts/carol.yml": contact("subscriber", "carol", "subscriptions: [ { notify: [hook, mail] } ]\n"),
		"out/.keep":          "",
		"stoker.yml": fmt.Sprintf(`
alertmanager: { url: 'http://127.0.0.1:1', source_dir: alertmanager, output_dir: out/am, settle: 10ms }
contacts: { dir: contacts, allow_private: true }
ack:
  listen_address: %s
  external_url: http://%s/page
  key_file: key
  previous_key_file: older
  trusted_proxies: [127.0.0.1]
%s`, address, address, extra),
	} {
		file := filepath.Join(a.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.sidecar(Options{PublishOnly: true}).SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.alertmanager = servertest.Alertmanager(t, append(options, servertest.ConfigFile(filepath.Join(a.dir, "out/am/live/alertmanager.yml")))...)
	a.proxy = servertest.NewProxy(t, a.alertmanager.URL())
	edit(t, filepath.Join(a.dir, "stoker.yml"), "http://127.0.0.1:1'", a.proxy.URL()+"'")
	a.s = a.sidecar(Options{Logger: slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if _, err := a.s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *ackScene) sidecar(o Options) *Sidecar {
	a.t.Helper()
	return newPhoneSidecar(a.t, a.dir, o)
}

// fire makes alerts fire, given as name severity prep and more labels, and waits until Alertmanager has routed them.
func (a *ackScene) fire(alerts ...map[string]string) { a.t.Helper(); a.post(time.Time{}, alerts...) }

// resolve ends alerts.
func (a *ackScene) resolve(alerts ...map[string]string) { a.t.Helper(); a.post(time.Now(), alerts...) }

func (a *ackScene) post(end time.Time, alerts ...map[string]string) {
	a.t.Helper()
	var body []map[string]any
	for _, labels := range alerts {
		alert := map[string]any{
			"labels":      labels,
			"annotations": map[string]string{"summary": "The disk of " + labels["instance"] + " is 85 % full, and fills up within 12 hours."},
			"startsAt":    time.Now().Add(-48 * time.Minute).Format(time.RFC3339),
		}
		if !end.IsZero() {
			alert["endsAt"] = end.Format(time.RFC3339Nano)
		}
		body = append(body, alert)
	}
	data, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	a.alertmanager.Post("/api/v2/alerts", string(data))
	for _, labels := range alerts {
		servertest.Eventually(a.t, time.Minute, func() error {
			if fires := a.fires(labels); fires == end.IsZero() {
				return nil
			}
			return fmt.Errorf("%v: not yet", labels)
		})
	}
}

// An amSilence is a silence as Alertmanager lists it.
type amSilence struct {
	ID        string    `json:"id"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	EndsAt    time.Time `json:"endsAt"`
	Status    struct{ State string }
	Matchers  []struct{ Name, Value string }
}

func (a *ackScene) get(path string, into any) {
	a.t.Helper()
	data, err := a.alertmanager.Get(path)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		a.t.Fatal(err)
	}
}

// silences returns the active ones.
func (a *ackScene) silences() (active []amSilence) {
	a.t.Helper()
	var all []amSilence
	a.get("/api/v2/silences", &all)
	for _, s := range all {
		if s.Status.State == "active" {
			active = append(active, s)
		}
	}
	return active
}

type amAlert struct {
	Labels map[string]string
	Status struct {
		State      string
		SilencedBy []string
	}
}

func (a *ackScene) alerts() (all []amAlert) {
	a.t.Helper()
	a.get("/api/v2/alerts", &all)
	return all
}

func (a *ackScene) fires(labels map[string]string) bool { return a.find(labels) != nil }

func (a *ackScene) find(labels map[string]string) *amAlert {
	a.t.Helper()
	for _, alert := range a.alerts() {
		if fmt.Sprint(alert.Labels) == fmt.Sprint(labels) {
			return &alert
		}
	}
	return nil
}

func (a *ackScene) silenced(labels map[string]string) bool {
	a.t.Helper()
	alert := a.find(labels)
	return alert != nil && len(alert.Status.SilencedBy) > 0
}

// writes are the requests to Alertmanager that can change something.
func (a *ackScene) writes() (n int) {
	for _, r := range a.proxy.Requests() {
		if !strings.HasPrefix(r, "GET ") {
			n++
		}
	}
	return n
}

// link returns the path and query of a contact's link.
func (a *ackScene) link(stem, token string, labels map[string]string) string {
	query := url.Values{}
	for name, value := range labels {
		query.Set(name, value)
	}
	return "/page/hush/" + stem + "/" + token + "?" + query.Encode()
}

func tokenOf(key, stem string) string { return hushToken([]byte(strings.TrimSpace(key)), stem) }

var clientNumber struct {
	sync.Mutex
	n int
}

// ask sends a request to the page from a client of its own.
func (a *ackScene) ask(method, target string, form url.Values, header map[string]string) *http.Response {
	a.t.Helper()
	clientNumber.Lock()
	clientNumber.n++
	client := fmt.Sprintf("192.0.2.1, 198.51.%d.%d", clientNumber.n/250, clientNumber.n%250)
	clientNumber.Unlock()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	r.RemoteAddr = "127.0.0.1:4321"
	r.Header.Set("X-Forwarded-For", client)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	a.s.ack.handler().ServeHTTP(w, r)
	return w.Result()
}

// bySelf are the headers that a browser sends with the page's own form.
func bySelf() map[string]string {
	return map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "null"}
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	diskOfAcme = map[string]string{"alertname": "DiskAlmostFull", "severity": "warning", "prep": "hx1", "prep_name": "Acme Validators", "network": "mainnet", "instance": "203.0.113.7:9100", "device": "/dev/sda1"}
	worseDisk  = withLabel(diskOfAcme, "severity", "critical")
	diskOfB    = withLabel(diskOfAcme, "prep", "hx2")
)

// withLabel returns labels with one more, or another value of one.
func withLabel(labels map[string]string, name, value string) map[string]string {
	other := map[string]string{}
	for n, v := range labels {
		other[n] = v
	}
	other[name] = value
	return other
}

// formOf returns what the page's form sends for a choice, with everything that it shows and has chosen.
func formOf(t *testing.T, page, choice string) url.Values {
	t.Helper()
	form := url.Values{"do": {"hush"}, "for": {choice}, "comment": {"fills up on Sundays"}}
	for _, input := range strings.Split(page, "<input ")[1:] {
		input, _, _ = strings.Cut(input, ">")
		value := func(attribute string) string {
			_, rest, _ := strings.Cut(input, attribute+`="`)
			v, _, _ := strings.Cut(rest, `"`)
			return v
		}
		if name := value("name"); name == "shown" || name == "hush" && (value("type") == "hidden" || strings.HasSuffix(input, " checked")) {
			form.Add(name, value("value"))
		}
	}
	return form
}

// saying matches what a contact's webhook got, by parts of it.
func saying(a *ackScene, name string, parts ...string) func(inboxtest.Message) bool {
	return func(m inboxtest.Message) bool {
		for _, part := range parts {
			if !strings.Contains(string(m.Raw), part) {
				return false
			}
		}
		return m.To == name
	}
}

// answers reports whether the page is served.
func (a *ackScene) answers() error {
	r, err := http.Get(a.origin + "/page/")
	if err != nil {
		return err
	}
	return r.Body.Close()
}

// told reports whether a contact's webhook got something, after the first n messages of all.
func (a *ackScene) told(name string, n int, parts ...string) bool {
	return slices.ContainsFunc(a.inbox.Messages()[n:], saying(a, name, parts...))
}
