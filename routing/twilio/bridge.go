package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"

	"github.com/stoker-project/stoker/internal/secret"
)

// The ways to a phone, as in the paths of the bridge and in the label way.
const (
	SMS   = "sms"
	Voice = "voice"
)

// A Phone is what one contact method leads to.
type Phone struct {
	// Number is in E.164 form, such as +442079460123. One that isn't known is not at hand at the moment.
	Number secret.Text
	// Language is that of calls, one of [Languages]. Empty: en-US.
	Language string
	// SMS and Voice say what it may be used for.
	SMS, Voice bool
}

// ErrNotYet is returned by a Lookup that doesn't know yet who the contacts are.
var ErrNotYet = errors.New("the contacts have not been read yet")

// Options are what a Bridge needs.
type Options struct {
	// AccountSID is the account's name, AC and 32 hexadecimal digits. Required.
	AccountSID string
	// AuthToken returns the account's password. It is asked with every request, so that a new one counts at once.
	// Required.
	AuthToken func() (string, error)
	// From is the account's own number that people see, in E.164 form. Required.
	From string
	// APIURL is where Twilio is. Empty: DefaultAPIURL.
	APIURL string
	// Lookup returns the phone of a contact's method; false if there is no such. It fails with ErrNotYet. Required.
	Lookup func(contact, method string) (Phone, bool, error)
	// IdentityLabel says whose alert it is; that with _name behind it is how people call them. Optional.
	IdentityLabel string
	// Severities are the values of the severity label, the mildest first. Optional.
	Severities []string
	// Transport carries requests to Twilio. Nil: as net/http does, by at most eight connections.
	Transport http.RoundTripper
	// Logger is told what is sent and what fails, by contact and method. Nil: nobody is.
	Logger *slog.Logger
	// Registerer receives the metrics. Nil registers none.
	Registerer prometheus.Registerer
}

// A Bridge serves the webhooks.
type Bridge struct {
	client   *client
	lookup   func(contact, method string) (Phone, bool, error)
	words    words
	logger   *slog.Logger
	messages *prometheus.CounterVec
	mux      *http.ServeMux
	memory   *memory

	mu       sync.Mutex
	token    string    // of the last auth token that was read
	former   string    // the one before
	formerTo time.Time // until when that is good
}

// The values of the label result.
const (
	resultSent         = "sent"
	resultRepeated     = "repeated"     // had been sent, so it wasn't again
	resultRefused      = "refused"      // Twilio won't do it for this number
	resultError        = "error"        // Alertmanager tries again
	resultLimited      = "limited"      // too many for this phone
	resultUnauthorized = "unauthorized" // without the token
)

// NewBridge returns a Bridge.
func NewBridge(o Options) (*Bridge, error) {
	if o.APIURL == "" {
		o.APIURL = DefaultAPIURL
	}
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	b := &Bridge{
		client: newClient(o),
		lookup: o.Lookup,
		words:  words{identity: o.IdentityLabel, severities: o.Severities},
		logger: o.Logger,
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stoker_phone_messages_total",
			Help: "Text messages and calls that Alertmanager asked for, by what became of them: sent, repeated (had been sent before, so not again), refused by Twilio for this number, error (Alertmanager tries again), limited, unauthorized.",
		}, []string{"way", "result"}),
		mux:    http.NewServeMux(),
		memory: newMemory(),
	}
	for _, way := range []string{SMS, Voice} {
		for _, result := range []string{resultSent, resultRepeated, resultRefused, resultError, resultLimited, resultUnauthorized} {
			b.messages.WithLabelValues(way, result)
		}
		b.mux.HandleFunc("POST /"+way+"/{contact}/{method}", func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, way) })
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(b.messages); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Token returns what Alertmanager proves itself to the bridge with. It is made of the account's auth token, so that
// all replicas have the same and nobody has another secret to keep; the auth token can't be found out from it.
func Token(authToken string) string {
	mac := hmac.New(sha256.New, []byte(authToken))
	mac.Write([]byte("stoker: from Alertmanager to the phone bridge"))
	return hex.EncodeToString(mac.Sum(nil))
}

// formerLasts is how long a token is good after the auth token has changed: until Alertmanager has its new file.
const formerLasts = 10 * time.Minute

// authorized reports whether a request has the token. It fails if the auth token can't be read.
func (b *Bridge) authorized(r *http.Request) (bool, error) {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false, nil
	}
	authToken, err := b.client.authToken()
	if err != nil {
		return false, err
	}
	token, now := Token(authToken), time.Now()
	b.mu.Lock()
	if b.token != token {
		b.former, b.formerTo = b.token, now.Add(formerLasts)
		b.token = token
	}
	former := ""
	if now.Before(b.formerTo) {
		former = b.former
	}
	b.mu.Unlock()
	good := subtle.ConstantTimeCompare([]byte(given), []byte(token))
	if former != "" {
		good |= subtle.ConstantTimeCompare([]byte(given), []byte(former))
	}
	return good == 1, nil
}

// ServeHTTP implements http.Handler.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	way, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	count := func(result string) {
		if way == SMS || way == Voice {
			b.messages.WithLabelValues(way, result).Inc()
		}
	}
	ok, err := b.authorized(r)
	if err != nil {
		count(resultError)
		b.logger.Error("phone bridge can't read its auth token, Alertmanager tries again", "err", err)
		http.Error(w, "the auth token can't be read", http.StatusServiceUnavailable)
		return
	}
	if !ok {
		count(resultUnauthorized)
		b.logger.Warn("phone bridge turned down a request without its token", "remote", r.RemoteAddr)
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "not authorized", http.StatusUnauthorized)
		return
	}
	b.mux.ServeHTTP(w, r)
}

const maxWebhook = 1 << 20

// serve answers one webhook.
func (b *Bridge) serve(w http.ResponseWriter, r *http.Request, way string) {
	contact, method := r.PathValue("contact"), r.PathValue("method")
	logger := b.logger.With("contact", contact, "method", method, "way", way)
	fail := func(status int, result string, err error) {
		b.messages.WithLabelValues(way, result).Inc()
		consequence := "phone not reached, Alertmanager asks again only when the group changes or is due"
		if status >= http.StatusInternalServerError {
			consequence = "phone not reached, Alertmanager tries again"
		}
		logger.Warn(consequence, "err", err)
		http.Error(w, err.Error(), status)
	}
	var g group
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWebhook)).Decode(&g); err != nil {
		fail(http.StatusBadRequest, resultRefused, fmt.Errorf("webhook can't be read: %w", err))
		return
	}
	if err := g.valid(); err != nil {
		fail(http.StatusBadRequest, resultRefused, err)
		return
	}
	phone, ok, err := b.lookup(contact, method)
	switch {
	case err != nil:
		fail(http.StatusServiceUnavailable, resultError, err)
		return
	case !ok || way == SMS && !phone.SMS || way == Voice && !phone.Voice:
		fail(http.StatusNotFound, resultRefused, errors.New("no contact is reached that way"))
		return
	case !phone.Number.Known():
		fail(http.StatusServiceUnavailable, resultError, errors.New("the number is not at hand: a secret or the age key is missing"))
		return
	}
	if way == Voice && len(g.firing()) == 0 {
		return // nobody is called for what is over
	}

	// What Alertmanager doesn't wait for any longer is brought to its end: it will ask again.
	ctx := context.WithoutCancel(r.Context())
	to := strings.Join([]string{way, contact, method}, "/")
	repeated, err := b.memory.once(r.Context(), to, g.sum(), limits[way], func() error {
		if way == Voice {
			return b.client.call(ctx, phone.Number.Reveal(), b.words.twiml(&g, phone.Language))
		}
		return b.client.message(ctx, phone.Number.Reveal(), b.words.sms(&g))
	})
	switch {
	case errors.Is(err, errLimit):
		fail(http.StatusTooManyRequests, resultLimited, err)
	case final(err):
		fail(http.StatusUnprocessableEntity, resultRefused, err)
	case err != nil:
		fail(http.StatusServiceUnavailable, resultError, err)
	case repeated:
		b.messages.WithLabelValues(way, resultRepeated).Inc()
		logger.Info("phone was reached before, so it isn't again", "alerts", g.count())
	default:
		b.messages.WithLabelValues(way, resultSent).Inc()
		logger.Info("phone reached", "alerts", g.count())
	}
}
