package twilio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stoker-project/stoker/internal/secret"
	"github.com/stoker-project/stoker/routing/twilio"
	"github.com/stoker-project/stoker/routing/twiliotest"
)

const number = "+442079460123"

// A rig is a bridge between a test and a Twilio, without a network.
type rig struct {
	t        *testing.T
	twilio   *twiliotest.Twilio
	bridge   *twilio.Bridge
	registry *prometheus.Registry
	log      bytes.Buffer

	password atomic.Pointer[string]
	phone    twilio.Phone
	lookup   error
	answers  []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, twilio: twiliotest.New(), registry: prometheus.NewRegistry()}
	r.phone = twilio.Phone{Number: secret.New(number), SMS: true, Voice: true}
	r.rotate(twiliotest.AuthToken)
	var err error
	r.bridge, err = twilio.NewBridge(twilio.Options{
		AccountSID: twiliotest.AccountSID,
		AuthToken: func() (string, error) {
			if p := *r.password.Load(); p != "" {
				return p, nil
			}
			return "", errors.New("no such file")
		},
		From: twiliotest.From,
		Lookup: func(contact, method string) (twilio.Phone, bool, error) {
			return r.phone, contact == "acme" && method == "oncall", r.lookup
		},
		IdentityLabel: "prep",
		Severities:    []string{"info", "warning", "critical"},
		Transport:     inProcess{r.twilio},
		Logger:        slog.New(slog.NewTextHandler(&r.log, nil)),
		Registerer:    r.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) rotate(password string) { r.password.Store(&password) }

// inProcess carries requests to a handler, and gives up when the client does.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

// post sends a webhook as Alertmanager does, and returns the status.
func (r *rig) post(path string, body any) int {
	r.t.Helper()
	return r.postAs(twilio.Token(*r.password.Load()), path, body)
}

func (r *rig) postAs(token, path string, body any) int {
	r.t.Helper()
	data, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		data = string(b)
	}
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(data))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	r.bridge.ServeHTTP(rec, req)
	r.answers = append(r.answers, rec.Body.String())
	return rec.Code
}

// expect checks the numbers of the metric that aren't zero, and that no phone number is anywhere.
func (r *rig) expect(counts string) {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.Metric {
			if v := m.GetCounter().GetValue(); v > 0 {
				got = append(got, fmt.Sprintf("%s %s %v", m.Label[1].GetValue(), m.Label[0].GetValue(), v))
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(counts, strings.Join(got, ", ")); diff != "" {
		r.t.Errorf("stoker_phone_messages_total (-want +got):\n%s", diff)
	}
	for _, text := range append(r.answers, r.log.String()) {
		if strings.Contains(text, number[1:]) || strings.Contains(text, twiliotest.From[1:]) || strings.Contains(text, twiliotest.AuthToken) {
			r.t.Errorf("a phone number or the auth token is in %q", text)
		}
	}
	if problems, err := testutil.GatherAndLint(r.registry); err != nil || len(problems) > 0 {
		r.t.Error(problems, err)
	}
}

// A webhook is Alertmanager's, version 4.
type webhook struct {
	Version         string            `json:"version"`
	GroupKey        string            `json:"groupKey"`
	TruncatedAlerts int               `json:"truncatedAlerts"`
	Status          string            `json:"status"`
	GroupLabels     map[string]string `json:"groupLabels"`
	CommonLabels    map[string]string `json:"commonLabels"`
	Alerts          []alert           `json:"alerts"`
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	Fingerprint string            `json:"fingerprint"`
}

var began = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// group is a group of n alerts, the last of which is another one.
func group(n int, status string) webhook {
	w := webhook{
		Version: "4", GroupKey: `{}:{prep="hx1"}`, Status: status,
		GroupLabels:  map[string]string{"prep": "hx1"},
		CommonLabels: map[string]string{"prep": "hx1", "prep_name": "Acme Validators"},
	}
	for i := range n {
		name, severity := "NodeDown", "critical"
		if i > 0 && i == n-1 {
			name, severity = "DiskFull", "warning"
		}
		w.Alerts = append(w.Alerts, alert{
			Status: status, StartsAt: began, Fingerprint: fmt.Sprint(i),
			Labels:      map[string]string{"alertname": name, "severity": severity},
			Annotations: map[string]string{"summary": "The node doesn’t answer"},
		})
	}
	return w
}

func TestOneForAGroup(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/sms/acme/oncall", "/voice/acme/oncall"} {
		if status := r.post(path, group(50, "firing")); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	got := r.twilio.Requests()
	want := []twiliotest.Request{
		{Resource: twiliotest.Messages, To: number, From: twiliotest.From, Body: "FIRING: 50 alerts, critical: 49 NodeDown, 1 DiskFull (Acme Validators)\nThe node doesn't answer"},
		{Resource: twiliotest.Calls, To: number, From: twiliotest.From, TwiML: `<?xml version="1.0" encoding="UTF-8"?><Response><Pause length="1"/>` +
			`<Say language="en-US">50 alerts are firing. critical. 49 Node Down, 1 Disk Full. Acme Validators. The node doesn’t answer</Say><Pause length="1"/>` +
			`<Say language="en-US">50 alerts are firing. critical. 49 Node Down, 1 Disk Full. Acme Validators. The node doesn’t answer</Say></Response>`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.expect("sms sent 1, voice sent 1")
}

// Nobody is called for what is over; a text message says it.
func TestResolved(t *testing.T) {
	r := newRig(t)
	some := group(3, "firing")
	some.Alerts[0].Status = "resolved"
	for _, post := range []struct {
		path string
		body webhook
	}{
		{"/voice/acme/oncall", group(2, "resolved")},
		{"/sms/acme/oncall", group(2, "resolved")},
		{"/sms/acme/oncall", some},
	} {
		if status := r.post(post.path, post.body); status != http.StatusOK {
			t.Errorf("%s: %d", post.path, status)
		}
	}
	var bodies []string
	for _, req := range r.twilio.Requests() {
		bodies = append(bodies, req.Resource+": "+req.Body)
	}
	want := []string{
		"Messages: RESOLVED: 2 alerts, critical: 1 NodeDown, 1 DiskFull (Acme Validators)",
		"Messages: FIRING: 2 alerts, critical: 1 NodeDown, 1 DiskFull (Acme Validators); 1 resolved\nThe node doesn't answer",
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.expect("sms sent 2")
}

func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		old := twilio.Token(twiliotest.AuthToken)
		for _, token := range []string{"", "wrong", twiliotest.AuthToken, old[:len(old)-1], old + "0", twilio.Token("")} {
			if status := r.postAs(token, "/sms/acme/oncall", group(1, "firing")); status != http.StatusUnauthorized {
				t.Errorf("token %q: %d", token, status)
			}
			if status := r.postAs(token, "/elsewhere", ""); status != http.StatusUnauthorized {
				t.Errorf("token %q, elsewhere: %d", token, status)
			}
		}
		r.expect("sms unauthorized 6")

		// A new auth token makes a new one, and the former is good until Alertmanager has it.
		r.postAs(old, "/sms/acme/oncall", group(1, "firing"))
		r.rotate("another")
		r.twilio.Rotate("another")
		for _, token := range []string{old, twilio.Token("another")} {
			if status := r.postAs(token, "/voice/acme/oncall", group(1, "firing")); status != http.StatusOK {
				t.Errorf("after a rotation: %d", status)
			}
		}
		time.Sleep(10 * time.Minute)
		if status := r.postAs(old, "/voice/acme/oncall", group(1, "firing")); status != http.StatusUnauthorized {
			t.Errorf("the former token, later: %d", status)
		}
		r.rotate("")
		if status := r.postAs(old, "/voice/acme/oncall", group(1, "firing")); status != http.StatusServiceUnavailable {
			t.Errorf("without an auth token: %d", status)
		}
		r.expect("sms sent 1, sms unauthorized 6, voice error 1, voice repeated 1, voice sent 1, voice unauthorized 1")
	})
}

// What Alertmanager may try again is 5xx, what it may not is 4xx.
func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		fault  twiliotest.Fault
		status int
		result string
		answer string
	}{
		"too many":        {twiliotest.TooMany, 503, "error", "Twilio answers 429, code 20429, see https://www.twilio.com/docs/errors/20429"},
		"internal error":  {twiliotest.Internal, 503, "error", "Twilio answers 500, code 20500, see https://www.twilio.com/docs/errors/20500"},
		"unavailable":     {twiliotest.Unavailable, 503, "error", "Twilio answers 503, code 20503, see https://www.twilio.com/docs/errors/20503"},
		"full queue":      {twiliotest.Fault{Status: 400, Code: 21611}, 503, "error", "Twilio answers 400, code 21611, see https://www.twilio.com/docs/errors/21611"},
		"hangs":           {twiliotest.Fault{Hang: true}, 503, "error", "no answer from Twilio within 20s, so what became of it isn't known"},
		"done, no answer": {twiliotest.Fault{Late: true}, 503, "error", "no answer from Twilio within 20s, so what became of it isn't known"},
		"redirect":        {twiliotest.Fault{Status: 307, Location: "https://elsewhere.example/"}, 503, "error", "Twilio answers 307"},
		"invalid number":  {twiliotest.Invalid, 422, "refused", "Twilio answers 400, code 21211, see https://www.twilio.com/docs/errors/21211"},
		"unverified":      {twiliotest.Unverified, 422, "refused", "Twilio answers 400, code 21608, see https://www.twilio.com/docs/errors/21608"},
		"unsubscribed":    {twiliotest.Unsubscribed, 422, "refused", "Twilio answers 400, code 21610, see https://www.twilio.com/docs/errors/21610"},
		"country":         {twiliotest.Forbidden, 422, "refused", "Twilio answers 403, code 21215, see https://www.twilio.com/docs/errors/21215"},
	} {
		for way, resource := range map[string]string{twilio.SMS: twiliotest.Messages, twilio.Voice: twiliotest.Calls} {
			t.Run(name+" "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					r.twilio.Fail(resource, test.fault)
					if status := r.post("/"+way+"/acme/oncall", group(1, "firing")); status != test.status {
						t.Errorf("status %d", status)
					}
					if answer := strings.TrimSpace(r.answers[0]); answer != test.answer {
						t.Errorf("answer %q", answer)
					}
					r.expect(way + " " + test.result + " 1")

					// What failed isn't taken for done.
					r.twilio.Fail(resource, twiliotest.Fault{})
					before := len(r.twilio.Requests())
					if status := r.post("/"+way+"/acme/oncall", group(1, "firing")); status != 200 || len(r.twilio.Requests()) != before+1 {
						t.Errorf("again: %d, %d requests", status, len(r.twilio.Requests()))
					}
				})
			})
		}
	}
	t.Run("another password", func(t *testing.T) {
		r := newRig(t)
		r.twilio.Rotate("another")
		if status := r.post("/sms/acme/oncall", group(1, "firing")); status != 503 {
			t.Errorf("status %d", status)
		}
		r.expect("sms error 1")
	})
}

// What was sent isn't sent again, unless it's news or long ago.
func TestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		call := func(want int, w webhook) {
			t.Helper()
			if status := r.post("/voice/acme/oncall", w); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			if got := len(r.twilio.Requests()); got != want {
				t.Errorf("%d calls, want %d", got, want)
			}
		}
		call(1, group(2, "firing"))
		call(1, group(2, "firing"))
		turned := group(2, "firing")
		turned.Alerts[0], turned.Alerts[1] = turned.Alerts[1], turned.Alerts[0]
		call(1, turned)
		call(2, group(3, "firing")) // one more
		again := group(2, "firing")
		again.Alerts[0].StartsAt = began.Add(time.Minute)
		call(3, again) // it had ended
		other := group(2, "firing")
		other.GroupKey = "another"
		call(4, other)
		time.Sleep(29 * time.Minute)
		call(4, group(2, "firing"))
		time.Sleep(time.Minute)
		call(5, group(2, "firing"))
		if status := r.post("/sms/acme/oncall", group(2, "firing")); status != http.StatusOK || len(r.twilio.Requests()) != 6 {
			t.Errorf("another way: %d", status)
		}
		r.expect("sms sent 1, voice repeated 3, voice sent 5")
	})
}

// A client that gives up and asks again waits for the message that is under way, and gets its outcome.
func TestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		answered := make(chan struct{})
		slow := &slowly{inProcess{r.twilio}, answered, make(chan struct{}, 2)}
		b, err := twilio.NewBridge(twilio.Options{
			AccountSID: twiliotest.AccountSID,
			AuthToken:  func() (string, error) { return twiliotest.AuthToken, nil },
			From:       twiliotest.From,
			Lookup:     func(string, string) (twilio.Phone, bool, error) { return r.phone, true, nil },
			Transport:  slow,
		})
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(group(1, "firing"))
		if err != nil {
			t.Fatal(err)
		}
		statuses := make(chan int, 2)
		ask := func(ctx context.Context) {
			req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/voice/acme/oncall", bytes.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+twilio.Token(twiliotest.AuthToken))
			rec := httptest.NewRecorder()
			b.ServeHTTP(rec, req)
			statuses <- rec.Code
		}
		impatient, giveUp := context.WithCancel(t.Context())
		go ask(impatient)
		<-slow.begun
		giveUp()
		go ask(t.Context())
		synctest.Wait()
		close(answered)
		for range 2 {
			if status := <-statuses; status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
		if n := len(r.twilio.Requests()); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

// slowly answers when it's told to.
type slowly struct {
	http.RoundTripper
	answered <-chan struct{}
	begun    chan struct{}
}

func (s *slowly) RoundTrip(req *http.Request) (*http.Response, error) {
	s.begun <- struct{}{}
	select {
	case <-s.answered:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return s.RoundTripper.RoundTrip(req)
}

// An alert that comes and goes for hours doesn't call for ever.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		flap := func(way string, i int) int {
			w := group(1, "firing")
			w.Alerts[0].StartsAt = began.Add(time.Duration(i) * time.Minute)
			return r.post("/"+way+"/acme/oncall", w)
		}
		for i := range 100 {
			if status, ok := flap(twilio.Voice, i), i < 20; ok != (status == 200) || !ok && status != 429 {
				t.Errorf("call %d: %d", i, status)
			}
			if status, ok := flap(twilio.SMS, i), i < 60; ok != (status == 200) || !ok && status != 429 {
				t.Errorf("text message %d: %d", i, status)
			}
		}
		time.Sleep(time.Hour)
		if status := flap(twilio.Voice, 100); status != 200 {
			t.Errorf("an hour later: %d", status)
		}
		r.expect("sms limited 40, sms sent 60, voice limited 80, voice sent 21")
	})
}

func TestLookup(t *testing.T) {
	for name, test := range map[string]struct {
		path   string
		change func(*rig)
		status int
		counts string
	}{
		"another contact": {"/sms/globex/oncall", func(*rig) {}, 404, "sms refused 1"},
		"another method":  {"/sms/acme/other", func(*rig) {}, 404, "sms refused 1"},
		"another way":     {"/voice/acme/oncall", func(r *rig) { r.phone.Voice = false }, 404, "voice refused 1"},
		"no such way":     {"/fax/acme/oncall", func(*rig) {}, 404, ""},
		"no number":       {"/sms/acme/oncall", func(r *rig) { r.phone.Number = secret.Text{} }, 503, "sms error 1"},
		"too early":       {"/sms/acme/oncall", func(r *rig) { r.lookup = twilio.ErrNotYet }, 503, "sms error 1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			test.change(r)
			if status := r.post(test.path, group(1, "firing")); status != test.status {
				t.Errorf("status %d", status)
			}
			r.expect(test.counts)
			if n := len(r.twilio.Requests()) + r.twilio.Refused(); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestBadWebhooks(t *testing.T) {
	later, empty, nameless := group(1, "firing"), group(0, "firing"), group(1, "firing")
	later.Version, nameless.GroupKey = "5", ""
	for name, body := range map[string]any{
		"no JSON": "alert!", "empty": "", "another version": later, "no alerts": empty, "no key": nameless,
		"too large": `{"version": "4", "groupKey": "` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if status := r.post("/sms/acme/oncall", body); status != http.StatusBadRequest {
				t.Errorf("status %d", status)
			}
			r.expect("sms refused 1")
		})
	}
	r := newRig(t)
	req := httptest.NewRequest(http.MethodGet, "/sms/acme/oncall", nil)
	req.Header.Set("Authorization", "Bearer "+twilio.Token(twiliotest.AuthToken))
	rec := httptest.NewRecorder()
	if r.bridge.ServeHTTP(rec, req); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", rec.Code)
	}
}
