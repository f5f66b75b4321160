package silencing

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func testClient(t *testing.T, base string, f transport) *client {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &client{url: u, http: &http.Client{Transport: f}}
}

func TestRoutePrefix(t *testing.T) {
	for base, want := range map[string]string{
		"http://a:9093":       "http://a:9093/api/v2/",
		"http://a:9093/":      "http://a:9093/api/v2/",
		"https://a/am":        "https://a/am/api/v2/",
		"https://a/team/am/":  "https://a/team/am/api/v2/",
		"http://u:p@a:9093/x": "http://u:p@a:9093/x/api/v2/",
	} {
		var got []string
		c := testClient(t, base, func(req *http.Request) (*http.Response, error) {
			got = append(got, req.Method+" "+strings.TrimPrefix(req.URL.String(), want))
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})
		ctx := context.Background()
		_, _ = c.silences(ctx)
		_, _ = c.post(ctx, Silence{})
		_ = c.expire(ctx, "1/../2")
		_, _ = c.position(ctx)
		if g := strings.Join(got, ", "); g != "GET silences, POST silences, DELETE silence/1%2F..%2F2, GET status" {
			t.Errorf("%s: %s", base, g)
		}
	}
}

func TestWordsOfTheServer(t *testing.T) {
	for body, want := range map[string]string{
		`"end time can't be in the past"` + "\n":             "end time can't be in the past",
		`{"code":602,"message":"matchers in body required"}`: "matchers in body required",
		"<html>\n  <h1>502 Bad Gateway</h1>\n</html>":        "<html> <h1>502 Bad Gateway</h1> </html>",
		"":                       "",
		strings.Repeat("é", 300): strings.Repeat("é", 250) + "…",
		"\xff":                   "�",
	} {
		c := testClient(t, "http://a", func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		_, err := c.post(context.Background(), Silence{})
		if err == nil || err.Error() != "POST silences: 400 Bad Request: "+want {
			t.Errorf("%q: %v", body, err)
		}
		var status *StatusError
		if !errors.As(err, &status) || status.Code != 400 {
			t.Errorf("%q: no code in %v", body, err)
		}
	}
}

func TestExpireOfWhatIsGone(t *testing.T) {
	for code, want := range map[int]string{
		200: "", 404: "", 405: "DELETE silence/1: 405 Method Not Allowed: no",
	} {
		c := testClient(t, "http://a", func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("no"))}, nil
		})
		if err := c.expire(context.Background(), "1"); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat(" ", len(p))), nil }
func (endless) Close() error               { return nil }

func TestAnswersAreBounded(t *testing.T) {
	c := testClient(t, "http://a", func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: endless{}}, nil
	})
	if _, err := c.silences(context.Background()); err == nil || err.Error() != "GET silences: the answer is larger than 64 MiB" {
		t.Error(err)
	}
}

func TestPosition(t *testing.T) {
	for answer, want := range map[string]struct {
		position int
		err      string
	}{
		`{"cluster": {"status": "disabled", "peers": []}}`:                                                 {0, ""},
		`{"cluster": {"status": "ready", "name": "b", "peers": [{"name": "b"}]}}`:                          {0, ""},
		`{"cluster": {"status": "ready", "name": "b", "peers": [{"name": "c"},{"name":"b"},{"name":""}]}}`: {1, ""},
		`{"cluster": {"status": "ready", "name": "b", "peers": [{"name": "c"}]}}`:                          {0, `GET status: "b" is not among its own peers`},
		`{"cluster": {"status": "settling", "name": "b", "peers": [{"name": "b"}]}}`:                       {0, `GET status: the cluster is "settling", not ready`},
		`{}`: {0, `GET status: the cluster is "", not ready`},
	} {
		c := testClient(t, "http://a", func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(answer))}, nil
		})
		got, err := c.position(context.Background())
		if got != want.position || (err == nil) != (want.err == "") || err != nil && err.Error() != want.err {
			t.Errorf("%s: %d, %v", answer, got, err)
		}
	}
}

func TestPasswordOfTheURLIsNotPrinted(t *testing.T) {
	c := testClient(t, "http://u:swordfish@a", func(*http.Request) (*http.Response, error) {
		return nil, errors.New("connection refused")
	})
	_, err := c.silences(context.Background())
	if err == nil || strings.Contains(err.Error(), "swordfish") {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "a"}
	for _, tc := range []struct {
		cfg  Config
		url  *url.URL
		want string
	}{
		{Config{}, u, "file: must be the path of a silences.yaml\nowner: \"\" must be 1 to 63 of a-z, 0-9 and -"},
		{Config{File: "f", Owner: "My Team"}, u, `owner: "My Team" must be 1 to 63 of a-z, 0-9 and -`},
		{Config{File: "f", Owner: "ack"}, u, `owner: "ack" marks the silences of stoker ack, take another name`},
		{Config{File: "f", Owner: strings.Repeat("x", 64)}, u, `owner: "` + strings.Repeat("x", 64) + `" must be 1 to 63 of a-z, 0-9 and -`},
		{Config{File: "f", Owner: "o"}, nil, "silencing needs the URL of an Alertmanager"},
		{Config{File: "f", Owner: "o"}, &url.URL{Path: "localhost:9093"}, "silencing needs the URL of an Alertmanager"},
	} {
		if _, err := New(tc.cfg, Options{AlertmanagerURL: tc.url}); err == nil || err.Error() != tc.want {
			t.Errorf("%+v: %v", tc.cfg, err)
		}
	}
	a, err := New(Config{File: "f", Owner: "o"}, Options{AlertmanagerURL: u})
	if err != nil {
		t.Fatal(err)
	}
	if next := a.Next(testNow); !next.Equal(testNow.Add(30 * time.Second)) {
		t.Errorf("next is %s", next)
	}
}

func TestSetDirectory(t *testing.T) {
	for file, want := range map[string]string{"": "", "s.yaml": "/etc/stoker/s.yaml", "../s.yaml": "/etc/s.yaml", "/s.yaml": "/s.yaml"} {
		c := Config{File: file}
		if c.SetDirectory("/etc/stoker"); c.File != want {
			t.Errorf("%q: %q", file, c.File)
		}
	}
}
