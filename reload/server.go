package reload

import (
	"bytes"
	"context"
	"crypto/md5" // what Alertmanager's own metric is made of
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// errNotReady says that a server can't take a reload now. It starts from the live release by itself, so
// nothing is lost by waiting.
var errNotReady = errors.New("not ready")

// refusedError is a server's own judgement of a release.
type refusedError struct {
	words string
	// process is the start of the one that refused, in seconds.
	process float64
}

func (e *refusedError) Error() string { return e.words }

// statusError is an answer that isn't 200: the request was understood and not carried out.
type statusError struct {
	status int
	answer string
}

func (e *statusError) Error() string { return e.answer }

// mismatchError says that a server accepted a reload and runs something else, and what is likely to be why.
type mismatchError struct{ difference, cause string }

func (e *mismatchError) Error() string {
	return "the server answered 200 and runs something else: " + e.difference + "; " + e.cause
}

// server is the reload side of a Prometheus or an Alertmanager.
type server struct {
	name   string
	url    *url.URL
	client *http.Client
	// patience is how long an answer may take, but for that to a reload.
	patience time.Duration
}

// maxAnswer bounds what is read of a server's answer: the /metrics page of a large Prometheus is a few
// hundred kilobytes, its rules with a thousand files some tens of megabytes.
const maxAnswer = 64 << 20

// get asks for a path below the server's URL, and returns the body of an answer with status 200.
func (s *server) get(ctx context.Context, path ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.do(ctx, http.MethodGet, s.url.JoinPath(path...))
}

// do sends one request and returns the body of an answer. Any status but 200 is a *statusError.
func (s *server) do(ctx context.Context, method string, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		answer := fmt.Sprintf("%s %s: %s", method, req.URL.Path, resp.Status)
		if w := words(body); w != "" {
			answer += ": " + w
		}
		return body, &statusError{resp.StatusCode, answer + hint(resp)}
	}
	return body, nil
}

// hint says what an answer asks for.
func hint(resp *http.Response) string {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return " (set http_config for this server)"
	case http.StatusForbidden:
		return " (start the server with --web.enable-lifecycle)"
	case http.StatusNotFound:
		return " (url must be the server's own address, with its path prefix if it has one)"
	}
	if to, err := resp.Location(); err == nil {
		// A query or a password may be a secret.
		return fmt.Sprintf(" (redirects are never followed: this one leads to %s, so is url the server's own address?)", &url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path})
	}
	return ""
}

// markup is what words leaves out of the pages of gateways.
var markup = regexp.MustCompile(`(?s)<(style|script|head).*?</(style|script|head)>|<[^>]*>`)

// words shortens an answer's body to what fits a log line.
func words(body []byte) string {
	if len(body) > 1<<16 {
		body = body[:1<<16]
	}
	text := string(body)
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = markup.ReplaceAllString(text, " ")
	}
	s := strings.Join(strings.Fields(text), " ")
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "…"
	}
	return s
}

// ready asks whether the server can take a reload. Prometheus hangs a POST until it is ready, and runs every
// abandoned one then.
func (s *server) ready(ctx context.Context) error {
	_, err := s.get(ctx, "-", "ready")
	var status *statusError
	if err == nil || errors.As(err, &status) && status.status != http.StatusServiceUnavailable {
		return err // as it stands: waiting wouldn't help
	}
	return fmt.Errorf("%w: %w", errNotReady, err)
}

// refusal begins the body of both servers' answer 500, in all versions (web/web.go in prometheus, httpserver or
// api/ui in alertmanager). Without it something else speaks.
const refusal = "failed to reload config: "

// reload asks the server to load its configuration. A refusal is a *refusedError with the server's words; any
// other error but a *statusError below 500 leaves open whether it did.
func (s *server) reload(ctx context.Context) error {
	body, err := s.do(ctx, http.MethodPost, s.url.JoinPath("-", "reload"))
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusInternalServerError && bytes.HasPrefix(body, []byte(refusal)) {
		return &refusedError{words: words(body)}
	}
	return err
}

// loaded is what a server says about its last load of a configuration.
type loaded struct {
	// successful is the server's own flag. Prometheus sets it before it has loaded anything, so it means
	// something only once the server is ready.
	successful bool
	// at is the time of the last successful load in seconds, with fractions.
	at float64
	// hash is Alertmanager's fingerprint of its main file; 0 for Prometheus.
	hash float64
	// started is when the process started, in seconds.
	started float64
	// version and features are as in facts.
	version  string
	features []string
}

func (s *server) loaded(ctx context.Context) (loaded, error) {
	body, err := s.get(ctx, "metrics")
	if err != nil {
		return loaded{}, err
	}
	return s.readLoaded(body)
}

// readLoaded reads a /metrics page.
func (s *server) readLoaded(body []byte) (loaded, error) {
	families, err := parseMetrics(s.ownState(body))
	success, ok := gauge(families, s.name+"_config_last_reload_successful")
	if err != nil || !ok { // the whole page says what it is instead
		families, err = parseMetrics(body)
		success, ok = gauge(families, s.name+"_config_last_reload_successful")
	}
	if err != nil {
		return loaded{}, fmt.Errorf("GET /metrics: %w: is this the address of %s?", err, s.name)
	}
	if !ok {
		return loaded{}, fmt.Errorf("GET /metrics: no %s_config_last_reload_successful: is this the address of %s?", s.name, s.name)
	}
	l := loaded{successful: success == 1}
	l.at, _ = gauge(families, s.name+"_config_last_reload_success_timestamp_seconds")
	l.hash, _ = gauge(families, s.name+"_config_hash")
	l.started, _ = gauge(families, "process_start_time_seconds")
	for _, m := range families[s.name+"_build_info"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == "version" {
				l.version = label.GetValue()
			}
		}
	}
	return l, nil
}

// ownState cuts a /metrics page down to what a server says of itself and its configuration. A Prometheus with a thousand
// rule groups has ten thousand lines besides, and to parse them is most of what it costs to look after it.
func (s *server) ownState(page []byte) []byte {
	wanted := [][]byte{[]byte(s.name + "_config_"), []byte(s.name + "_build_info"), []byte("process_start_time_seconds")}
	var own []byte
	for line := range bytes.Lines(page) {
		name := line
		if rest, ok := bytes.CutPrefix(line, []byte("# ")); ok {
			_, name, _ = bytes.Cut(rest, []byte(" ")) // after HELP or TYPE
		}
		if slices.ContainsFunc(wanted, func(prefix []byte) bool { return bytes.HasPrefix(name, prefix) }) {
			own = append(own, line...)
		}
	}
	return own
}

func parseMetrics(page []byte) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(page))
}

func gauge(families map[string]*dto.MetricFamily, name string) (float64, bool) {
	for _, m := range families[name].GetMetric() {
		return m.GetGauge().GetValue(), true
	}
	return 0, false
}

// configHash is Alertmanager's fingerprint of a configuration: the first 48 bits of its MD5, little-endian
// (md5HashAsMetricValue in alertmanager's config/coordinator.go).
func configHash(data []byte) float64 {
	sum := md5.Sum(data)
	var n uint64
	for i, b := range sum[:6] {
		n |= uint64(b) << (8 * i)
	}
	return float64(n)
}

// setDifference describes how two sets of names differ, "" if they don't.
func setDifference(what string, want, have map[string]bool) string {
	var missing, extra []string
	for _, n := range slices.Sorted(maps.Keys(want)) {
		if !have[n] {
			missing = append(missing, n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(have)) {
		if !want[n] {
			extra = append(extra, n)
		}
	}
	var parts []string
	if len(missing) > 0 {
		parts = append(parts, fmt.Sprintf("%s missing: %s", what, shorten(missing)))
	}
	if len(extra) > 0 {
		parts = append(parts, fmt.Sprintf("%s too many: %s", what, shorten(extra)))
	}
	return strings.Join(parts, ", ")
}

func shorten(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}
