package inboxtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Via is the way on which a message came.
type Via string

// The ways that the inbox listens on.
const (
	Mail       Via = "mail"
	Webhook    Via = "webhook"
	Slack      Via = "slack"
	Telegram   Via = "telegram"
	Discord    Via = "discord"
	PagerDuty  Via = "pagerduty"
	Pushover   Via = "pushover"
	Teams      Via = "teams"
	Mattermost Via = "mattermost"
)

const maxBytes = 1 << 20 // of one delivery

// Message is what one recipient got in one delivery.
type Message struct {
	Time    time.Time
	Via     Via
	To      string // address, webhook name, Slack or Mattermost channel, Telegram chat, or the key that it was sent with
	From    string // sender as the recipient sees it; empty for a webhook, which has none
	Subject string // or title
	Text    string // readable: decoded, HTML turned into text
	Raw     []byte // as it came
}

func (m Message) String() string { return fmt.Sprintf("%s to %s: %s", m.Via, m.To, m.Subject) }

// Options of an inbox.
type Options struct {
	SMTPAddress string // default 127.0.0.1:0, a port that is free
	HTTPAddress string // default 127.0.0.1:0, a port that is free
}

// Inbox receives messages until it is closed. Its methods can be called from several goroutines.
type Inbox struct {
	smtp, http  net.Listener
	https       net.Listener // of the services behind the proxy
	smtpServer  *smtp.Server
	httpServer  *http.Server
	httpsServer *http.Server
	certificate tls.Certificate
	serving     sync.WaitGroup

	mu       sync.Mutex
	messages []Message
	arrival  chan struct{} // closed and replaced at every arrival
	failing  map[Via]int
	channels map[string]bool            // Slack
	bots     map[string]map[string]bool // Telegram: token, chats
	keys     map[Via]map[string]bool    // of the other services
}

// TB is the part of testing.TB that [New] uses.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// New starts an inbox on free loopback ports and closes it when the test ends.
func New(t TB) *Inbox {
	t.Helper()
	inbox, err := Start(Options{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := inbox.Close(); err != nil {
			t.Errorf("close inbox: %v", err)
		}
	})
	return inbox
}

// Start starts an inbox, which the caller has to close.
func Start(options Options) (*Inbox, error) {
	const anyPort = "127.0.0.1:0"
	if options.SMTPAddress == "" {
		options.SMTPAddress = anyPort
	}
	if options.HTTPAddress == "" {
		options.HTTPAddress = anyPort
	}
	in := &Inbox{
		arrival:  make(chan struct{}),
		failing:  make(map[Via]int),
		channels: make(map[string]bool),
		bots:     make(map[string]map[string]bool),
		keys:     make(map[Via]map[string]bool),
	}
	var err error
	if in.certificate, err = selfSigned(); err != nil {
		return nil, err
	}
	if in.smtp, err = net.Listen("tcp", options.SMTPAddress); err != nil {
		return nil, err
	}
	if in.http, err = net.Listen("tcp", options.HTTPAddress); err != nil {
		return nil, errors.Join(err, in.smtp.Close())
	}
	if in.https, err = net.Listen("tcp", anyPort); err != nil {
		return nil, errors.Join(err, in.smtp.Close(), in.http.Close())
	}
	in.smtpServer = newSMTPServer(in)
	handler := in.handler()
	in.httpServer = &http.Server{Handler: in.proxied(handler), ReadHeaderTimeout: 10 * time.Second}
	in.httpsServer = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{in.certificate}},
	}
	in.serving.Go(func() { _ = in.smtpServer.Serve(in.smtp) }) // ends by Close only
	in.serving.Go(func() { _ = in.httpServer.Serve(in.http) })
	in.serving.Go(func() { _ = in.httpsServer.ServeTLS(in.https, "", "") })
	return in, nil
}

// Close stops receiving. The messages can still be read.
func (in *Inbox) Close() error {
	err := errors.Join(in.smtpServer.Close(), in.httpServer.Close(), in.httpsServer.Close())
	// The mail server doesn't know its listener before it serves, and would begin to after this.
	if lerr := in.smtp.Close(); !errors.Is(lerr, net.ErrClosed) {
		err = errors.Join(err, lerr)
	}
	in.serving.Wait()
	return err
}

// SMTPAddress is host:port of the mail server, Alertmanager's smtp_smarthost. It needs
// smtp_require_tls: false.
func (in *Inbox) SMTPAddress() string { return in.smtp.Addr().String() }

// URL is the address of the page, without a slash at its end.
func (in *Inbox) URL() string { return "http://" + in.http.Addr().String() }

// WebhookURL is where POSTs to the named webhook go. Every name is accepted.
func (in *Inbox) WebhookURL(name string) string { return in.URL() + "/webhook/" + url.PathEscape(name) }

// AddSlackChannel creates an incoming webhook for a channel, such as "#ops", and returns its URL, the
// api_url of Slack. Any other is answered as Slack answers an unknown one.
func (in *Inbox) AddSlackChannel(channel string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.channels[channel] = true
	return in.URL() + "/services/" + url.PathEscape(channel)
}

// TelegramURL is Telegram's api_url.
func (in *Inbox) TelegramURL() string { return in.URL() + "/telegram" }

// AddTelegramBot creates a bot that is a member of the chats. Any other token or chat is answered as
// Telegram answers unknown ones.
func (in *Inbox) AddTelegramBot(token string, chatIDs ...string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bots[token] == nil {
		in.bots[token] = make(map[string]bool)
	}
	for _, id := range chatIDs {
		in.bots[token][id] = true
	}
}

// know makes a service know a key.
func (in *Inbox) know(via Via, key string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.keys[via] == nil {
		in.keys[via] = make(map[string]bool)
	}
	in.keys[via][key] = true
}

func (in *Inbox) knows(via Via, key string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.keys[via][key]
}

// Fail makes every delivery on that way fail from now on: with an SMTP code (451 is temporary, 550 is
// final) or an HTTP status. Zero ends it.
func (in *Inbox) Fail(via Via, code int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.failing[via] = code
}

// Messages is everything that has arrived, oldest first.
func (in *Inbox) Messages() []Message {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.messages)
}

// Wait returns the first message, of those that have arrived or will, that matches. Its error tells what
// did arrive.
func (in *Inbox) Wait(ctx context.Context, match func(Message) bool) (Message, error) {
	for next := 0; ; {
		in.mu.Lock()
		messages, arrival := in.messages, in.arrival
		in.mu.Unlock()
		for ; next < len(messages); next++ {
			if match(messages[next]) {
				return messages[next], nil
			}
		}
		select {
		case <-arrival:
		case <-ctx.Done():
			var others []string
			for _, m := range messages {
				others = append(others, m.String())
			}
			return Message{}, fmt.Errorf("no such message: %w; %d others: %s",
				context.Cause(ctx), len(messages), strings.Join(others, "; "))
		}
	}
}

func (in *Inbox) receive(messages ...Message) {
	now := time.Now()
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range messages {
		m.Time = now
		in.messages = append(in.messages, m)
	}
	close(in.arrival)
	in.arrival = make(chan struct{})
}

// failure is the code that a delivery has to fail with, or zero.
func (in *Inbox) failure(via Via) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.failing[via]
}
