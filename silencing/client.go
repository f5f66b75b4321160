package silencing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxAnswer bounds an answer of Alertmanager: about 100,000 silences.
const maxAnswer = 64 << 20

// The states of a silence.
const (
	stateActive  = "active"
	statePending = "pending"
	stateExpired = "expired"
)

// Silence is a silence as Alertmanager's API v2 has it. Upstream's model isn't
// used because it decodes every silence twice, through pointers, and a pass
// reads thousands that aren't ours.
type Silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []Matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`

	// Annotations aren't ours, but an edit that leaves them out deletes them.
	// Before version 0.32 Alertmanager drops them without a word.
	Annotations map[string]string `json:"annotations,omitempty"`

	// Status is the server's to say.
	Status struct {
		State string `json:"state"` // active, pending or expired
	} `json:"status,omitzero"`
}

// live reports whether the silence silences, or is going to.
func (s Silence) live() bool { return s.Status.State != stateExpired }

// client speaks to the API of one Alertmanager.
type client struct {
	url  *url.URL // with the route prefix, if any
	http *http.Client
}

// StatusError is an answer of Alertmanager with another code than 200.
type StatusError struct {
	Code    int
	Message string // in the server's own words
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Code, http.StatusText(e.Code), e.Message)
}

// silences returns all silences of the server. Anything but a complete, sound
// list is an error, because an empty one means that all has to be made anew.
func (c *client) silences(ctx context.Context) ([]Silence, error) {
	var list []Silence
	if err := c.do(ctx, http.MethodGet, "silences", nil, &list); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, errors.New("GET silences: not a list")
	}
	for i, s := range list {
		states := []string{stateActive, statePending, stateExpired}
		if s.ID == "" || s.StartsAt.IsZero() || s.EndsAt.IsZero() || !slices.Contains(states, s.Status.State) {
			return nil, fmt.Errorf("GET silences: entry %d is not a silence", i)
		}
	}
	return list, nil
}

// post writes a silence and returns its ID.
func (c *client) post(ctx context.Context, s Silence) (string, error) {
	s.Status.State = ""
	s.StartsAt, s.EndsAt = s.StartsAt.UTC(), s.EndsAt.UTC()
	var answer struct {
		SilenceID string `json:"silenceID"`
	}
	if err := c.do(ctx, http.MethodPost, "silences", s, &answer); err != nil {
		return "", err
	}
	if answer.SilenceID == "" {
		return "", errors.New("POST silences: no silenceID in the answer")
	}
	return answer.SilenceID, nil
}

// expire ends a silence. One that is not there has ended too.
func (c *client) expire(ctx context.Context, id string) error {
	err := c.do(ctx, http.MethodDelete, "silence/"+url.PathEscape(id), nil, nil)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil
	}
	return err
}

// end marks a silence with the reason, if there is one, and expires it. These are two requests,
// because an end just ahead of our clock may be behind the server's. When only
// the first comes through, the next pass finds the mark and does the second. If
// the server doesn't take the reason, which is told, the silence ends without.
func (c *client) end(ctx context.Context, s Silence, reason string, tell func(error)) (marked bool, err error) {
	if m, text, ok := parseMark(s.Comment); ok && m.ended == "" && reason != "" {
		m.ended = reason
		s.Comment = strings.TrimSpace(text + " " + m.String())
		id, err := c.post(ctx, s)
		switch {
		case err == nil:
			marked = true
			s.ID = id // another one if a person has ended it since the list
		case !refused(err):
			return false, err
		case tell != nil:
			tell(err)
		}
	}
	return marked, c.expire(ctx, s.ID)
}

// serverStatus is what a server says of itself.
type serverStatus struct {
	// Uptime is when it was started.
	Uptime  time.Time `json:"uptime"`
	Cluster struct {
		Name   string `json:"name"`
		Status string `json:"status"`
		Peers  []struct {
			Name string `json:"name"`
		} `json:"peers"`
	} `json:"cluster"`
}

func (c *client) status(ctx context.Context) (s serverStatus, err error) {
	return s, c.do(ctx, http.MethodGet, "status", nil, &s)
}

// position returns at which place of its cluster's sorted peers the server
// stands, from 0, which is also that of a server without a cluster. While the
// cluster settles there is none.
func (c *client) position(ctx context.Context) (int, error) {
	s, err := c.status(ctx)
	if err != nil {
		return 0, err
	}
	return s.position()
}

func (s serverStatus) position() (int, error) {
	cluster := s.Cluster
	switch cluster.Status {
	case "disabled":
		return 0, nil
	case "ready":
		names := make([]string, len(cluster.Peers))
		for i, p := range cluster.Peers {
			names[i] = p.Name
		}
		slices.Sort(names)
		if i := slices.Index(names, cluster.Name); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("GET status: %q is not among its own peers", cluster.Name)
	}
	return 0, fmt.Errorf("GET status: the cluster is %q, not ready", cluster.Status)
}

// do sends in, unless nil, as JSON and decodes the answer into out, unless nil.
func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url.JoinPath("api/v2", path).String(), body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err // a *url.Error, which names method and URL
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %w", method, path, &StatusError{resp.StatusCode, words(data)})
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("%s %s: the answer is larger than %d MiB", method, path, maxAnswer>>20)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: not Alertmanager's API: %w", method, path, err)
	}
	return nil
}

// words takes the message out of an error's body: a JSON string, an object with
// a message, or plain text.
func words(body []byte) string {
	var text string
	var object struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &text) != nil {
		text = string(body)
		if json.Unmarshal(body, &object) == nil && object.Message != "" {
			text = object.Message
		}
	}
	const most = 500
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "�")
	if len(text) > most {
		cut := most
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}
