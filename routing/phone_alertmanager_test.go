package routing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/routing/twilio"
	"github.com/stoker-project/stoker/routing/twiliotest"
)

const (
	acmeNumber   = "+442079460123"
	globexNumber = "+61491570156"
)

// A lab has a real Alertmanager that was given what contacts with phones become.
type lab struct {
	t            *testing.T
	dir          string
	config       routing.PhoneConfig
	alertmanager *servertest.Server
	agent        *routing.Agent
}

// The base tells at once, and again when something changes; fifty alerts of one request are one group.
const labBase = `
route: { receiver: team, group_wait: 1s, group_interval: 1s }
receivers: [ { name: team } ]
`

func newLab(t *testing.T, binary, version string, config routing.PhoneConfig, contacts map[string]string) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), config: config}
	if err := os.Mkdir(filepath.Join(l.dir, "contacts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, source := range contacts {
		l.write("contacts/"+name+".yml", source)
	}
	agent, err := routing.New(routing.Options{Contacts: routing.ContactsConfig{Dir: filepath.Join(l.dir, "contacts")}, Phone: &l.config})
	if err != nil {
		t.Fatal(err)
	}
	l.agent = agent
	files, err := agent.Generate(t.Context(), routing.Source{Base: map[string][]byte{routing.MainFile: []byte(labBase)}, Version: version})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range agent.Status().Contacts {
		if c.Problems.Len() > 0 {
			t.Fatal(c.Problems)
		}
	}
	l.write(routing.MainFile, string(files[routing.MainFile]))
	l.alertmanager = servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(filepath.Join(l.dir, routing.MainFile)))
	return l
}

func (l *lab) write(name, content string) {
	l.t.Helper()
	servertest.WriteFile(l.t, filepath.Join(l.dir, name), content)
}

// post tells Alertmanager that n alerts of an owner fire, or have ended.
func (l *lab) post(owner, name string, n int, ended bool) {
	l.t.Helper()
	// All end in one instant that is yet to come: a flush may come while Alertmanager takes them in, one after the other.
	end := time.Now().Add(3 * time.Second)
	var alerts []map[string]any
	for i := range n {
		a := map[string]any{
			"labels":      map[string]string{"alertname": name, "severity": "critical", "prep": owner, "prep_name": "Acme", "instance": fmt.Sprint(i)},
			"annotations": map[string]string{"summary": "It burns"},
		}
		if ended {
			a["endsAt"] = end
		}
		alerts = append(alerts, a)
	}
	data, err := json.Marshal(alerts)
	if err != nil {
		l.t.Fatal(err)
	}
	l.alertmanager.Post("/api/v2/alerts", string(data))
}

// A bridged lab has the bridge between its Alertmanager and a Twilio.
type bridged struct {
	*lab
	twilio   *twiliotest.Twilio
	registry *prometheus.Registry
	log      servertest.Log
}

func newBridged(t *testing.T, binary string, change func(*routing.PhoneConfig)) *bridged {
	t.Helper()
	b := &bridged{registry: prometheus.NewRegistry()}
	var api string
	b.twilio, api = twiliotest.Start(t)
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(twiliotest.AuthToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bridge, err := twilio.NewBridge(twilio.Options{
		AccountSID:    twiliotest.AccountSID,
		AuthToken:     func() (string, error) { return routing.ReadCredential(token) },
		From:          twiliotest.From,
		APIURL:        api,
		Lookup:        func(contact, method string) (twilio.Phone, bool, error) { return b.agent.Phone(contact, method) },
		IdentityLabel: "prep",
		Severities:    routing.DefaultSeverities(),
		Logger:        slog.New(slog.NewTextHandler(&b.log, nil)),
		Registerer:    b.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = bridge
	config := routing.PhoneConfig{
		Provider: routing.Twilio, AccountSID: twiliotest.AccountSID, AuthTokenFile: token, From: twiliotest.From, BridgeURL: server.URL,
	}
	if change != nil {
		change(&config)
	}
	const contact = "kind: operator\nname: %s\nowner: %s\ncontact_methods: { oncall: { phone: { number: \"%s\", via: [sms, voice] } } }\nnotification_rules: [ { notify: [oncall] } ]\n"
	b.lab = newLab(t, binary, "", config, map[string]string{
		"acme":   fmt.Sprintf(contact, "Acme", "hx1", acmeNumber),
		"globex": fmt.Sprintf(contact, "Globex", "hx2", globexNumber),
	})
	return b
}

// wait waits for what has been sent, and how often something wasn't.
func (b *bridged) wait(done func(requests []twiliotest.Request, refused int) bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	if err := b.twilio.Wait(ctx, done); err != nil {
		b.t.Fatalf("%v\n%s", err, b.log.String())
	}
}

// expectNoNumbers looks for numbers and the auth token wherever they must not be.
func (b *bridged) expectNoNumbers() {
	b.t.Helper()
	main, err := os.ReadFile(filepath.Join(b.dir, routing.MainFile))
	if err != nil {
		b.t.Fatal(err)
	}
	places := map[string]string{
		"alertmanager.yml": string(main), "stoker's log": b.log.String(), "Alertmanager's log": b.alertmanager.Log(),
		"status of the contacts": fmt.Sprintf("%+v", b.agent.Status()),
	}
	for _, path := range []string{"/api/v2/status", "/metrics", "/api/v2/alerts/groups"} {
		body, err := b.alertmanager.Get(path)
		if err != nil {
			b.t.Error(err)
		}
		places[path] = string(body)
	}
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Error(err)
	}
	places["stoker's metrics"] = fmt.Sprint(families)
	for place, text := range places {
		for _, secret := range []string{acmeNumber[1:], globexNumber[1:], twiliotest.From[1:], twiliotest.AuthToken} {
			if strings.Contains(text, secret) {
				b.t.Errorf("%s is in %s", secret, place)
			}
		}
	}
}

func of(requests []twiliotest.Request, resource string) (some []twiliotest.Request) {
	return slices.DeleteFunc(slices.Clone(requests), func(r twiliotest.Request) bool { return r.Resource != resource })
}

// Fifty alerts are one text message and one call. What fails is tried again until it comes through, and nothing else is;
// that it's over is said in a text message.
func TestPhonesOverBridge(t *testing.T) {
	t.Parallel()
	routing.EachAlertmanager(t, func(t *testing.T, binary, _ string) {
		b := newBridged(t, binary, nil)
		b.twilio.Fail(twiliotest.Calls, twiliotest.TooMany)
		b.post("hx1", "NodeDown", 50, false)
		b.wait(func(requests []twiliotest.Request, refused int) bool { return len(requests) == 1 && refused >= 3 })
		b.twilio.Fail(twiliotest.Calls, twiliotest.Fault{})
		b.wait(func(requests []twiliotest.Request, _ int) bool { return len(of(requests, twiliotest.Calls)) > 0 })

		b.post("hx1", "NodeDown", 50, true)
		b.wait(func(requests []twiliotest.Request, _ int) bool { return len(of(requests, twiliotest.Messages)) > 1 })
		// Another operator's alert comes after all of this, and reaches that one only.
		b.post("hx2", "DiskFull", 1, false)
		b.wait(func(requests []twiliotest.Request, _ int) bool { return len(requests) >= 5 })

		var got []string
		for _, r := range b.twilio.Requests() {
			text := r.Body
			if r.Resource == twiliotest.Calls {
				texts, _ := r.Said()
				text = strings.Join(texts, " / ")
			}
			got = append(got, fmt.Sprintf("%s %s: %s", r.Resource, r.To, text))
		}
		slices.Sort(got[3:])
		want := []string{
			"Messages +442079460123: FIRING: 50 alerts, critical: NodeDown (Acme)\nIt burns",
			"Calls +442079460123: 50 alerts are firing. critical. Node Down. Acme. It burns / 50 alerts are firing. critical. Node Down. Acme. It burns",
			"Messages +442079460123: RESOLVED: 50 alerts, critical: NodeDown (Acme)",
			"Calls +61491570156: One alert is firing. critical. Disk Full. Acme. It burns / One alert is firing. critical. Disk Full. Acme. It burns",
			"Messages +61491570156: FIRING: 1 alert, critical: DiskFull (Acme)\nIt burns",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.expectNoNumbers()
	})
}

// A number that Twilio refuses isn't asked for again and again, and whoever else is to be told is told.
func TestPhoneRefused(t *testing.T) {
	t.Parallel()
	b := newBridged(t, "alertmanager", nil)
	b.twilio.FailNumber(twiliotest.Messages, acmeNumber, twiliotest.Unsubscribed)
	b.post("hx1", "NodeDown", 1, false)
	b.wait(func(requests []twiliotest.Request, refused int) bool { return len(requests) == 1 && refused >= 1 })
	servertest.Eventually(t, time.Minute, func() error {
		// In Alertmanager's words: it counts what it gave up on.
		if log := b.alertmanager.Log(); !strings.Contains(log, "notify retry canceled due to unrecoverable error") || !strings.Contains(log, "code 21610") {
			return fmt.Errorf("Alertmanager has not given up: %s", log)
		}
		return nil
	})
	b.post("hx2", "NodeDown", 1, false)
	b.wait(func(requests []twiliotest.Request, _ int) bool { return len(requests) == 3 })
	b.expectNoNumbers()
}

// An Alertmanager without the token sends nothing to anybody.
func TestPhoneWithoutToken(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("another password"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBridged(t, "alertmanager", func(c *routing.PhoneConfig) { c.AuthTokenFile = other })
	b.post("hx1", "NodeDown", 1, false)
	servertest.Eventually(t, time.Minute, func() error {
		if log := b.alertmanager.Log(); !strings.Contains(log, "unexpected status code 401: not authorized") {
			return fmt.Errorf("no 401 in Alertmanager's log: %s", log)
		}
		return nil
	})
	if n := len(b.twilio.Requests()) + b.twilio.Refused(); n != 0 {
		t.Errorf("Twilio was asked %d times", n)
	}
	b.expectNoNumbers()
}

// An sns is Amazon SNS as far as a text message goes.
type sns struct {
	mu       sync.Mutex
	messages []string
	arrival  chan struct{}
}

func (s *sns) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, fmt.Sprintf("%s to %s, subject %q, %s %s, signed by %t: %s",
		r.Form.Get("Action"), r.Form.Get("PhoneNumber"), r.Form["Subject"],
		r.Form.Get("MessageAttributes.entry.1.Name"), r.Form.Get("MessageAttributes.entry.1.Value.StringValue"),
		strings.Contains(r.Header.Get("Authorization"), "Credential=AKIA0/") && strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/sns/"),
		r.Form.Get("Message")))
	w.Header().Set("Content-Type", "text/xml")
	io.WriteString(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>1</MessageId></PublishResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PublishResponse>`)
	select {
	case s.arrival <- struct{}{}:
	default:
	}
}

// What Alertmanager's own receiver sends to SNS.
func TestPhonesOverSNS(t *testing.T) {
	t.Parallel()
	routing.EachAlertmanager(t, func(t *testing.T, binary, _ string) {
		s := &sns{arrival: make(chan struct{}, 1)}
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		l := newLab(t, binary, "", routing.PhoneConfig{
			Provider: routing.SNS, APIURL: server.URL,
			Sigv4: &routing.Sigv4Config{Region: "eu-central-1", AccessKey: "AKIA0", SecretKeyFile: key},
		}, map[string]string{"acme": "kind: operator\nname: Acme\nowner: hx1\ncontact_methods: { text: { phone: { number: +442079460123 } } }\nnotification_rules: [ { notify: [text] } ]\n"})
		l.post("hx1", "NodeDown", 50, false)
		select {
		case <-s.arrival:
		case <-time.After(time.Minute):
			t.Fatalf("no message: %s", l.alertmanager.Log())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		want := []string{`Publish to +442079460123, subject [], AWS.SNS.SMS.SMSType Transactional, signed by true: FIRING: 50 NodeDown (Acme): It burns`}
		if diff := cmp.Diff(want, s.messages); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A number that goes through a payload arrives as it is written: as a string with its plus sign.
func TestPhonesOverWebhook(t *testing.T) {
	t.Parallel()
	type call struct{ Auth, Body string }
	arrived := make(chan call, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		arrived <- call{user + ":" + password, strings.TrimSpace(string(body))}
	}))
	t.Cleanup(server.Close)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, "alertmanager", "0.34.2", routing.PhoneConfig{
		Provider:  routing.Webhook,
		Voice:     &routing.PhoneRequest{URL: server.URL, Payload: `{"to": "$(number)", "say": "$(text)", "in": "$(language)"}`},
		BasicAuth: &routing.PhoneBasicAuth{Username: "key", PasswordFile: password},
	}, map[string]string{"acme": "kind: operator\nname: Acme\nowner: hx1\ncontact_methods: { oncall: { phone: { number: +442079460123, via: [voice], language: de } } }\nnotification_rules: [ { notify: [oncall] } ]\n"})
	l.post("hx1", "NodeDown", 50, false)
	select {
	case got := <-arrived:
		want := call{"key:secret", `{"in":"de-DE","say":"FIRING: 50 NodeDown (Acme): It burns","to":"+442079460123"}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	case <-time.After(time.Minute):
		t.Fatalf("no call: %s", l.alertmanager.Log())
	}
}
