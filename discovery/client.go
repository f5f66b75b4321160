package discovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"
)

// Bounds on what an endpoint may send. A page of the real network has 70 kB; a
// P-Rep can fill some 3 MB of it, if it wants to pay for that.
const (
	requestTimeout = 10 * time.Second
	maxBody        = 16 << 20 // of one answer
	maxTotal       = 64 << 20 // of all answers of one fetch
	maxPreps       = 20_000
	pageSize       = 100
)

// systemContract is the contract that answers getPReps.
const systemContract = "cx0000000000000000000000000000000000000000"

// invalidParameter is the SCORE error of getPReps for a start past the end.
const invalidParameter = -30006

// A client speaks to one api/v3 endpoint, for one fetch at a time.
type client struct {
	url    string
	host   string // names the endpoint; the whole URL may contain a key
	http   *http.Client
	logger *slog.Logger

	budget int       // bytes that the fetch under way may still read
	asked  time.Time // last; zero for never
	sick   sickness
}

func newClient(api string, cfg promconfig.HTTPClientConfig) (*client, error) {
	u, err := url.Parse(api)
	if err != nil {
		return nil, err
	}
	cfg.FollowRedirects = false
	c, err := promconfig.NewClientFromConfig(cfg, "stoker_discovery", promconfig.WithUserAgent(version.ComponentUserAgent("stoker")))
	if err != nil {
		return nil, err
	}
	c.Timeout = requestTimeout
	return &client{url: api, host: u.Host, http: c, logger: promslog.NewNopLogger()}, nil
}

// An rpcError is what the endpoint says is wrong with a request.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string {
	return fmt.Sprintf("error %d: %s", e.Code, sanitize(e.Message, 200))
}

// A statusError is an answer that isn't JSON-RPC's.
type statusError struct {
	code       int
	location   string
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	if e.location != "" {
		return fmt.Sprintf("HTTP status %d: redirects to %s, which is not followed", e.code, sanitize(e.location, 100))
	}
	return fmt.Sprintf("HTTP status %d %s", e.code, http.StatusText(e.code))
}

type request struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

type callParams struct {
	To       string   `json:"to"`
	DataType string   `json:"dataType"`
	Height   string   `json:"height,omitempty"`
	Data     callData `json:"data"`
}

type callData struct {
	Method string            `json:"method"`
	Params map[string]string `json:"params,omitempty"`
}

// requestID may be the same for all, as every HTTP exchange carries one request.
const requestID = 1

// call sends one request and decodes its result. Errors name no URL.
func call[T any](ctx context.Context, c *client, method string, params any) (*T, error) {
	body, err := json.Marshal(request{"2.0", requestID, method, params})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transportError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusBadRequest {
		return nil, &statusError{resp.StatusCode, resp.Header.Get("Location"), retryAfter(resp.Header)}
	}
	data, err := readAll(resp, min(maxBody, c.budget))
	c.budget -= len(data)
	if err != nil {
		return nil, transportError(err)
	}
	return decodeResult[T](resp.StatusCode, data)
}

// decodeResult decodes a JSON-RPC response with the HTTP status it came with.
func decodeResult[T any](status int, data []byte) (*T, error) {
	var answer struct {
		Result *T        `json:"result"`
		Error  *rpcError `json:"error"`
		ID     any       `json:"id"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		if status != http.StatusOK {
			return nil, &statusError{code: status}
		}
		return nil, fmt.Errorf("not a JSON-RPC answer: %w", typeError(err))
	}
	switch {
	case answer.Error != nil:
		return nil, answer.Error
	case status != http.StatusOK:
		return nil, &statusError{code: status}
	case answer.ID != float64(requestID):
		return nil, fmt.Errorf("answers request %.20v, not %d", answer.ID, requestID)
	case answer.Result == nil:
		return nil, errors.New("has no result")
	}
	return answer.Result, nil
}

// typeError says of a wrong type where it is, in terms of JSON instead of Go.
func typeError(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return err
	case wrong.Field == "":
		return fmt.Errorf("is a JSON %s", wrong.Value)
	}
	return fmt.Errorf("has a JSON %s for %s", wrong.Value, wrong.Field)
}

// readAll reads a body of at most limit bytes, decompressed. It allocates what
// the endpoint announces, within the limit, to not grow the buffer in steps.
func readAll(resp *http.Response, limit int) ([]byte, error) {
	var buf bytes.Buffer
	if n := int(resp.ContentLength); 0 < n && n <= limit {
		buf.Grow(n + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, err
	case buf.Len() > limit:
		return nil, fmt.Errorf("is larger than %d MiB, or all answers together than %d MiB", maxBody>>20, maxTotal>>20)
	}
	return buf.Bytes(), nil
}

// transportError puts an error of net/http in plain words, without the URL: its
// path or query may be a key of the API's provider.
func transportError(err error) error {
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return fmt.Errorf("no whole answer within %s", requestTimeout)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// retryAfter reads the header in both of its forms, 0 for none.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if s, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(s, 0), 86_400)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// Bounds on how long an endpoint that failed is only the last resort.
const (
	minSick = 10 * time.Second
	maxSick = time.Hour
)

// A sickness remembers an endpoint's failures in a row. Until the time has come
// to try it again, the others are asked first.
type sickness struct {
	failures int
	since    time.Time // of the first failure
	until    time.Time
	err      error // the last failure
}

func (s *sickness) failed(now time.Time, err error) {
	wait := maxSick
	if s.failures < 9 {
		wait = min(minSick<<s.failures, maxSick)
	}
	if status, ok := errors.AsType[*statusError](err); ok {
		wait = min(max(wait, status.retryAfter), maxSick)
	}
	if s.failures == 0 {
		s.since = now
	}
	s.failures++
	s.until, s.err = now.Add(wait), err
}

// rank is 0 for an endpoint to be asked first, 1 for a last resort.
func (s *sickness) rank(now time.Time) int {
	if now.Before(s.until) {
		return 1
	}
	return 0
}
