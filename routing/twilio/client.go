package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultAPIURL is where Twilio is.
const DefaultAPIURL = "https://api.twilio.com"

const (
	requestTimeout = 20 * time.Second
	maxAnswer      = 64 << 10
)

// client speaks to Twilio's two endpoints.
type client struct {
	account   string
	from      string
	api       string
	authToken func() (string, error)
	http      *http.Client
}

func newClient(o Options) *client {
	transport := o.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxConnsPerHost = 8
		transport = t
	}
	return &client{
		account:   o.AccountSID,
		from:      o.From,
		api:       strings.TrimSuffix(o.APIURL, "/"),
		authToken: o.AuthToken,
		http: &http.Client{
			Transport: transport,
			Timeout:   requestTimeout,
			// The request has the account's password and a phone number: they go nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// message sends a text message.
func (c *client) message(ctx context.Context, to, body string) error {
	return c.post(ctx, "Messages", url.Values{"To": {to}, "From": {c.from}, "Body": {body}})
}

// call makes a phone call that says what twiml says.
func (c *client) call(ctx context.Context, to, twiml string) error {
	return c.post(ctx, "Calls", url.Values{"To": {to}, "From": {c.from}, "Twiml": {twiml}})
}

func (c *client) post(ctx context.Context, resource string, form url.Values) error {
	token, err := c.authToken()
	if err != nil {
		return fmt.Errorf("auth token: %w", err)
	}
	address := c.api + "/2010-04-01/Accounts/" + url.PathEscape(c.account) + "/" + resource + ".json"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(c.account, token)
	resp, err := c.http.Do(req)
	if urlErr := new(url.Error); errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from Twilio within %s, so what became of it isn't known", requestTimeout)
	case err != nil:
		return fmt.Errorf("can't reach Twilio: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	refusal := &Refusal{Status: resp.StatusCode}
	var answer struct {
		Code int `json:"code"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer) == nil {
		refusal.Code = answer.Code
	}
	return refusal
}

// A Refusal is what Twilio answers if it doesn't do what it is asked to. Its words are left out: they quote numbers.
type Refusal struct {
	// Status is that of HTTP.
	Status int
	// Code is one of https://www.twilio.com/docs/api/errors; 0 if there is none.
	Code int
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Code == 0 {
		return fmt.Sprintf("Twilio answers %d", r.Status)
	}
	return fmt.Sprintf("Twilio answers %d, code %d, see https://www.twilio.com/docs/errors/%d", r.Status, r.Code, r.Code)
}

// queueFull is the code for a sender that has messages for ten hours to send.
const queueFull = 21611

// final reports whether the same request would be refused again. What is wrong with the account or its password
// somebody mends, and what is wrong at Twilio ends.
func final(err error) bool {
	var r *Refusal
	if !errors.As(err, &r) || r.Code == queueFull {
		return false
	}
	switch r.Status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return r.Status/100 == 4
}
