package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/silencing"
)

// desk is what the page hushes with.
type desk interface {
	Propose(context.Context, silencing.HushRequest) (silencing.Proposal, error)
	Hush(context.Context, silencing.HushRequest) ([]silencing.Hush, error)
	End(ctx context.Context, id, by string, allowed func(silencing.Hush) bool) (silencing.Hush, error)
	Hushes(context.Context) ([]silencing.Hush, error)
}

// ackPage is the page that notifications link to. Whoever has a contact's link sees what fires for that contact and can hush
// it; nothing but a POST from the page itself changes anything.
//
//	GET, HEAD <external_url>/hush/<stem>/<token>?alertname=…&prep=…   shows
//	POST      the same                                                hushes, or ends a hush, and leads back to GET
type ackPage struct {
	links   *hushLinks
	desk    desk
	labels  []string // that a link may ask with; others are ignored
	longest time.Duration
	// worst is the severity that isn't hushed unless somebody asks for it.
	worst, identity string
	// contact returns what is known of a contact.
	contact func(stem string) (routing.ContactStatus, bool)

	origin, prefix    string // of external_url
	proxies           proxies
	clients, contacts *limits // of all requests, by address and by contact
	acts              *limits // of those that change something, by contact

	// hushed is called when there is a new hush.
	hushed  func()
	results *prometheus.CounterVec
	audit   *auditLog
	logger  *slog.Logger
}

// What came of a request, in stoker_acks_total. The first four changed something.
const (
	ackHushed      = "hushed"
	ackExtended    = "extended"
	ackEnded       = "ended"
	ackPartly      = "partly"
	ackNothing     = "nothing"      // nothing like that fires any more
	ackChanged     = "changed"      // something else fires than was shown
	ackForbidden   = "forbidden"    // the token isn't the contact's
	ackCrossOrigin = "cross_origin" // not sent by the page itself
	ackLimited     = "limited"
	ackInvalid     = "invalid"
	ackError       = "error"
)

var ackResults = []string{ackHushed, ackExtended, ackEnded, ackPartly, ackNothing, ackChanged, ackForbidden, ackCrossOrigin, ackLimited, ackInvalid, ackError}

// addAck adds the page, where there is one to be. It runs with Run only.
func (s *Sidecar) addAck(selected map[string]bool) error {
	c := s.cfg.Ack
	if !c.on() || !selected[agentAlertmanager] || s.routing == nil || s.options.PublishOnly {
		return nil
	}
	hush := hushConfig(s.cfg)
	d, err := newDesk(s.cfg)
	if err != nil {
		return err
	}
	external, err := url.Parse(c.ExternalURL)
	if err != nil {
		return err
	}
	trusted, err := newProxies(c.TrustedProxies)
	if err != nil {
		return err
	}
	severities := s.cfg.severities()
	s.ack = &ackPage{
		links: s.links, desk: d, labels: hush.Labels, longest: hush.MaxDuration,
		worst: severities[len(severities)-1], identity: s.identity(), contact: s.contactOf,
		origin: originOf(external), prefix: strings.TrimSuffix(external.Path, "/"), proxies: trusted,
		// A reader's phone asks a few times; a page that a thousand people have is asked often.
		clients: newLimits(time.Second, 120), contacts: newLimits(time.Second, 300), acts: newLimits(6*time.Second, 20),
		results: promauto.With(s.registry).NewCounterVec(prometheus.CounterOpts{
			Name: "stoker_acks_total",
			Help: "Requests to the page that hushes: those that hushed or ended something, or would have, by what came of them, and all that were refused.",
		}, []string{"result"}),
		hushed: s.hushed, audit: s.audit, logger: s.logger.With("agent", "ack"),
	}
	for _, r := range ackResults {
		s.ack.results.WithLabelValues(r)
	}
	return nil
}

// originOf is what a browser sends as Origin of a page at u.
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": "443", "http": "80"}[u.Scheme]; u.Port() == port {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// contactOf returns what is known of a contact.
func (s *Sidecar) contactOf(stem string) (routing.ContactStatus, bool) {
	contacts := s.routing.Status().Contacts
	if i := slices.IndexFunc(contacts, func(c routing.ContactStatus) bool { return c.Stem == stem }); i >= 0 {
		return contacts[i], true
	}
	return routing.ContactStatus{}, false
}

// listenAck opens the listener of the page; nil if there is none.
func (s *Sidecar) listenAck() (net.Listener, error) {
	if s.ack == nil {
		return nil, nil
	}
	l, err := net.Listen("tcp", s.cfg.Ack.ListenAddress)
	if err != nil {
		return nil, fmt.Errorf("ack.listen_address: %w", err)
	}
	if err := s.links.ready(); err != nil {
		s.logger.Warn("the page can't be used yet", "err", err)
	}
	return l, nil
}

// serveAck returns the page's server as an actor of a run group.
func (s *Sidecar) serveAck(l net.Listener) (serve func() error, shutdown func()) {
	server := &http.Server{
		Handler:           s.ack.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.ack.logger.Handler(), slog.LevelDebug),
	}
	listen, shutdown := s.listening(server, s.cfg.Ack.WebConfigFile, l)
	serve = func() error {
		if err := listen(); err != nil {
			return fmt.Errorf("ack: %w", err)
		}
		return nil
	}
	return serve, shutdown
}

// handler returns what the page's listener serves.
func (p *ackPage) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src '"+ackStyleHash()+"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		// Not a ServeMux, which answers some paths that it doesn't know with a redirect to others.
		rest, under := strings.CutPrefix(r.URL.Path, p.prefix+"/hush/")
		stem, token, _ := strings.Cut(rest, "/")
		v := visit{Request: r, stem: stem, token: token, client: p.proxies.client(r), clock: time.UTC}
		switch {
		case !under || stem == "" || token == "" || strings.Contains(token, "/"):
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
			p.allowed(w, v, p.show)
			return
		case r.Method == http.MethodPost:
			p.allowed(w, v, p.act)
			return
		}
		p.answer(w, http.StatusNotFound, ackView{Kind: "unknown"})
	})
}

// visit is a request for the page of a contact.
type visit struct {
	*http.Request
	stem, token string
	client      netip.Addr
	labels      map[string]string
	clock       *time.Location // the contact's
}

// allowed lets a request through whose token is that of its contact.
func (p *ackPage) allowed(w http.ResponseWriter, v visit, next func(http.ResponseWriter, visit)) {
	if !p.clients.allow(limitName(v.client), time.Now()) {
		p.refuse(w, v, ackLimited, http.StatusTooManyRequests)
		return
	}
	ok, err := p.links.check(v.stem, v.token)
	switch {
	case err != nil && !ok:
		p.logger.Warn("a key can't be read, so that no link is sure to be refused or taken", "err", err)
		p.refuse(w, v, ackError, http.StatusServiceUnavailable)
		return
	case !ok:
		p.refuse(w, v, ackForbidden, http.StatusForbidden)
		return
	case !p.contacts.allow(v.stem, time.Now()):
		p.refuse(w, v, ackLimited, http.StatusTooManyRequests)
		return
	}
	if c, known := p.contact(v.stem); known {
		if c.Kind == routing.Subscriber {
			// Others are told of these alerts too, and they are theirs.
			p.refuse(w, v, ackForbidden, http.StatusForbidden)
			return
		}
		if zone, err := time.LoadLocation(c.Location); err == nil {
			v.clock = zone
		}
	}
	if v.labels, err = p.asked(v.URL); err != nil {
		p.refuse(w, v, ackInvalid, http.StatusBadRequest)
		return
	}
	next(w, v)
}

// refuse answers with a page that says nothing about anybody.
func (p *ackPage) refuse(w http.ResponseWriter, v visit, result string, status int) {
	p.results.WithLabelValues(result).Inc()
	p.logger.Debug("refused", "result", result, "method", v.Method, "client", v.client)
	if result == ackLimited {
		w.Header().Set("Retry-After", "60")
	}
	p.answer(w, status, ackView{Kind: result})
}

// The bounds of a link's query.
const (
	maxQuery = 8 << 10
	maxLabel = 4 << 10 // of a value, in bytes
)

// asked returns the labels of a link. What isn't one of those that a hush is made of can't narrow it, and is ignored, such as
// what mailers and chats add to links.
func (p *ackPage) asked(u *url.URL) (map[string]string, error) {
	if len(u.RawQuery) > maxQuery {
		return nil, errors.New("query too long")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, err
	}
	labels := map[string]string{}
	for _, name := range p.labels {
		values := query[name]
		if len(values) == 0 || values[0] == "" {
			continue
		}
		if len(values) > 1 || len(values[0]) > maxLabel || !model.LabelValue(values[0]).IsValid() {
			return nil, errors.New("not the values of labels")
		}
		labels[name] = values[0]
	}
	if len(labels) == 0 {
		return nil, errors.New("no label")
	}
	return labels, nil
}

// sameOrigin reports whether a browser sent a request from the page itself, which is stricter than
// [http.CrossOriginProtection]: a request that says nothing of where it comes from isn't. With Referrer-Policy no-referrer,
// browsers give "null" for the page's own origin, so that what counts is Sec-Fetch-Site; an Origin that says something must say
// the same.
func (p *ackPage) sameOrigin(r *http.Request) bool {
	origins, sites := r.Header.Values("Origin"), r.Header.Values("Sec-Fetch-Site")
	if len(origins) > 1 || len(sites) > 1 {
		return false
	}
	ours := len(origins) == 1 && origins[0] == p.origin
	if len(sites) == 0 {
		return ours
	}
	return sites[0] == "same-origin" && (ours || len(origins) == 0 || origins[0] == "null")
}

// auditLog holds what was done on the page last, for the page of silences. The log has everything.
type auditLog struct {
	mu      sync.Mutex
	entries []AckEntry // oldest first
}

// An AckEntry is what somebody with a contact's link did.
type AckEntry struct {
	At      time.Time `json:"at"`
	Contact string    `json:"contact"`
	// Did is hushed, extended or ended.
	Did      string   `json:"did"`
	Matchers []string `json:"matchers"`
	// Until is when the hush ends at the latest; if UntilResolved, as soon as nothing of it fires.
	Until         time.Time `json:"until,omitzero"`
	UntilResolved bool      `json:"until_resolved,omitempty"`
	Client        string    `json:"client"`
	ID            string    `json:"id"`
}

const maxAudit = 100

func (a *auditLog) add(e AckEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, e)
	if len(a.entries) > maxAudit {
		a.entries = slices.Clone(a.entries[len(a.entries)-maxAudit:])
	}
}

// last returns what was done, newest first.
func (a *auditLog) last() []AckEntry {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries := slices.Clone(a.entries)
	slices.Reverse(entries)
	return entries
}
