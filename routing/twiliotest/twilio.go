package twiliotest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The account that a Twilio has unless it's told otherwise.
const (
	AccountSID = "AC0123456789abcdef0123456789abcdef"
	AuthToken  = "fedcba9876543210fedcba9876543210"
	From       = "+33199001234"
)

// The resources.
const (
	Messages = "Messages"
	Calls    = "Calls"
)

// A Request is one that was accepted: somebody was told.
type Request struct {
	Resource string
	To, From string
	// Body is the text of a message, TwiML the document of a call.
	Body, TwiML string
}

// Said returns what is said in a call: the text of every <Say>, and its language.
func (r Request) Said() (texts, languages []string) {
	var doc struct {
		Say []struct {
			Language string `xml:"language,attr"`
			Text     string `xml:",chardata"`
		} `xml:"Say"`
	}
	if err := xml.Unmarshal([]byte(r.TwiML), &doc); err != nil {
		panic(fmt.Sprintf("TwiML was accepted and can't be read: %v", err))
	}
	for _, s := range doc.Say {
		texts, languages = append(texts, s.Text), append(languages, s.Language)
	}
	return texts, languages
}

// A Fault is a way to fail.
type Fault struct {
	// Status and Code are what is answered instead of doing it.
	Status, Code int
	// RetryAfter is a header of that answer.
	RetryAfter string
	// Location is a header of that answer, of a redirect.
	Location string
	// Hang never answers, until the client gives up.
	Hang bool
	// Late does it and never answers: somebody is told and the sender doesn't know.
	Late bool
}

// The faults that people meet. Those of a number come with all other numbers still working: see [Twilio.FailNumber].
var (
	TooMany      = Fault{Status: http.StatusTooManyRequests, Code: 20429, RetryAfter: "1"}
	Internal     = Fault{Status: http.StatusInternalServerError, Code: 20500}
	Unavailable  = Fault{Status: http.StatusServiceUnavailable, Code: 20503}
	Invalid      = Fault{Status: http.StatusBadRequest, Code: 21211}
	Unverified   = Fault{Status: http.StatusBadRequest, Code: 21608}
	Unsubscribed = Fault{Status: http.StatusBadRequest, Code: 21610}
	Forbidden    = Fault{Status: http.StatusForbidden, Code: 21215}
)

// Twilio is an account. It is an http.Handler, whose methods can be called from several goroutines.
type Twilio struct {
	mu       sync.Mutex
	token    string
	requests []Request
	refused  int
	arrival  chan struct{} // closed and replaced at every request that was answered
	faults   map[string]Fault
}

// New returns an account with [AuthToken] that nobody has been told anything by.
func New() *Twilio {
	return &Twilio{token: AuthToken, arrival: make(chan struct{}), faults: map[string]Fault{}}
}

// TB is the part of testing.TB that [Start] uses.
type TB interface {
	Helper()
	Cleanup(func())
}

// Start serves a new account on a free loopback port until the test ends, and returns its api_url.
func Start(t TB) (*Twilio, string) {
	t.Helper()
	tw := New()
	server := httptest.NewServer(tw)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return tw, server.URL
}

// Fail makes every request for a resource fail. The zero Fault ends it.
func (t *Twilio) Fail(resource string, f Fault) { t.FailNumber(resource, "", f) }

// FailNumber makes requests for a resource fail that are for one number.
func (t *Twilio) FailNumber(resource, to string, f Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f == (Fault{}) {
		delete(t.faults, resource+to)
		return
	}
	t.faults[resource+to] = f
}

// Rotate gives the account another auth token.
func (t *Twilio) Rotate(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token = token
}

// Requests returns what was accepted, oldest first.
func (t *Twilio) Requests() []Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

// Refused returns how many requests were answered with an error, or not at all.
func (t *Twilio) Refused() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// Wait waits until done says so about what was accepted and how many requests weren't.
func (t *Twilio) Wait(ctx context.Context, done func(requests []Request, refused int) bool) error {
	for {
		t.mu.Lock()
		requests, refused, arrival := slices.Clone(t.requests), t.refused, t.arrival
		t.mu.Unlock()
		if done(requests, refused) {
			return nil
		}
		select {
		case <-arrival:
		case <-ctx.Done():
			return fmt.Errorf("%w: %d accepted, %d refused: %+v", context.Cause(ctx), len(requests), refused, requests)
		}
	}
}

func (t *Twilio) note(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
	close(t.arrival)
	t.arrival = make(chan struct{})
}

// apiError is how Twilio says no.
type apiError struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

func (t *Twilio) refuse(w http.ResponseWriter, status, code int, format string, args ...any) {
	t.note(func() { t.refused++ })
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(apiError{ // the client is gone
		Code: code, Message: fmt.Sprintf(format, args...), MoreInfo: fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code), Status: status,
	})
}

var (
	resourcePath = regexp.MustCompile(`^/2010-04-01/Accounts/(AC[0-9a-f]{32})/(Messages|Calls)\.json$`)
	number       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
)

// ServeHTTP implements http.Handler.
func (t *Twilio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := resourcePath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		t.refuse(w, http.StatusNotFound, 20404, "The requested resource %s was not found", r.URL.Path)
		return
	}
	account, resource := m[1], m[2]
	t.mu.Lock()
	token := t.token
	t.mu.Unlock()
	user, password, ok := r.BasicAuth()
	if !ok || user != AccountSID || account != AccountSID || subtle.ConstantTimeCompare([]byte(password), []byte(token)) == 0 {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
		t.refuse(w, http.StatusUnauthorized, 20003, "Authenticate")
		return
	}
	if r.Method != http.MethodPost {
		t.refuse(w, http.StatusMethodNotAllowed, 20004, "Method not allowed")
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		t.refuse(w, http.StatusUnsupportedMediaType, 20415, "Unsupported media type")
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	form, parseErr := url.ParseQuery(string(data))
	if err = errors.Join(err, parseErr); err != nil {
		t.refuse(w, http.StatusBadRequest, 20001, "%v", err)
		return
	}
	to := form.Get("To")
	t.mu.Lock()
	fault, failing := t.faults[resource+to]
	if !failing {
		fault, failing = t.faults[resource]
	}
	t.mu.Unlock()
	if failing && !fault.Late {
		if fault.Hang {
			t.note(func() { t.refused++ })
			<-r.Context().Done()
			return
		}
		for name, value := range map[string]string{"Retry-After": fault.RetryAfter, "Location": fault.Location} {
			if value != "" {
				w.Header().Set(name, value)
			}
		}
		t.refuse(w, fault.Status, fault.Code, "Failed as told, for %s", to)
		return
	}
	if code, message := problem(resource, form); code != 0 {
		t.refuse(w, http.StatusBadRequest, code, "%s", message)
		return
	}
	accepted := Request{Resource: resource, To: to, From: form.Get("From"), Body: form.Get("Body"), TwiML: form.Get("Twiml")}
	t.note(func() { t.requests = append(t.requests, accepted) })
	if fault.Late {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	prefix := map[string]string{Messages: "SM", Calls: "CA"}[resource]
	json.NewEncoder(w).Encode(map[string]any{ // the client is gone
		"sid": fmt.Sprintf("%s%032x", prefix, time.Now().UnixNano()), "account_sid": account, "to": to, "from": accepted.From,
		"status": "queued", "body": accepted.Body,
	})
}

// problem returns what Twilio finds wrong with a form; code 0 for nothing.
func problem(resource string, form url.Values) (code int, message string) {
	known := map[string][]string{Messages: {"To", "From", "Body"}, Calls: {"To", "From", "Twiml"}}[resource]
	for name, values := range form {
		if !slices.Contains(known, name) || len(values) != 1 {
			return 20001, fmt.Sprintf("Parameter %q isn't expected here, or there twice", name)
		}
	}
	to, from := form.Get("To"), form.Get("From")
	switch {
	case to == "" && resource == Calls:
		return 21201, "No 'To' number is specified"
	case to == "":
		return 21604, "A 'To' phone number is required."
	case !number.MatchString(to) || to == from:
		return 21211, fmt.Sprintf("The 'To' number %s is not a valid phone number.", to)
	case from == "":
		return 21603, "A 'From' phone number is required."
	case from != From:
		return 21606, fmt.Sprintf("The 'From' phone number %s is not a valid, message-capable Twilio phone number for this destination", from)
	}
	if resource == Calls {
		return twimlProblem(form.Get("Twiml"))
	}
	switch n := utf8.RuneCountInString(form.Get("Body")); {
	case n == 0:
		return 21602, "Message body is required."
	case n > 1600:
		return 21617, "The concatenated message body exceeds the 1600 character limit."
	}
	return 0, ""
}

func twimlProblem(twiml string) (code int, message string) {
	switch {
	case twiml == "":
		return 21205, "Url parameter is required."
	case utf8.RuneCountInString(twiml) > 4000:
		return 21216, "Twiml is longer than 4000 characters"
	}
	dec := xml.NewDecoder(strings.NewReader(twiml))
	var open []string
	roots := 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 12100, "Document parse failure"
		}
		switch e := token.(type) {
		case xml.StartElement:
			parent := ""
			if len(open) > 0 {
				parent = open[len(open)-1]
			} else {
				roots++
			}
			fits := map[string]string{"Response": "", "Say": "Response", "Pause": "Response"}
			if want, ok := fits[e.Name.Local]; !ok || want != parent {
				return 12200, "Schema validation warning"
			}
			open = append(open, e.Name.Local)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	if roots != 1 {
		return 12100, "Document parse failure"
	}
	return 0, ""
}
