package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// alerts is the part of Alertmanager's API that is about alerts.
type alerts struct {
	url    *url.URL
	client *http.Client
}

func newAlerts(cfg *Config) (*alerts, error) {
	o, err := silencingOptions(cfg)
	if err != nil {
		return nil, fmt.Errorf("alertmanager.%w", err)
	}
	return &alerts{o.AlertmanagerURL, o.Client}, nil
}

// maxAlertsAnswer bounds an answer: a large /metrics page has a few hundred kilobytes.
const maxAlertsAnswer = 16 << 20

// do sends a request below the URL and returns the body of an answer with status 200.
func (a *alerts) do(ctx context.Context, method, path string, query url.Values, body any) ([]byte, error) {
	u := a.url.JoinPath(path)
	u.RawQuery = query.Encode()
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAlertsAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %.300q", method, u.Path, resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}

// postedAlert is an alert as it is posted.
type postedAlert struct {
	Labels      model.LabelSet `json:"labels"`
	Annotations model.LabelSet `json:"annotations"`
	StartsAt    time.Time      `json:"startsAt"`
	EndsAt      time.Time      `json:"endsAt"`
}

func (a *alerts) post(ctx context.Context, alert postedAlert) error {
	_, err := a.do(ctx, http.MethodPost, "api/v2/alerts", nil, []postedAlert{alert})
	return err
}

// alertState is what Alertmanager says of an alert.
type alertState struct {
	Receivers []struct {
		Name string `json:"name"`
	} `json:"receivers"`
	Status struct {
		SilencedBy  []string `json:"silencedBy"`
		InhibitedBy []string `json:"inhibitedBy"`
	} `json:"status"`
}

func (s *alertState) receivers() (names []string) {
	for _, r := range s.Receivers {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// find returns what Alertmanager says of the alert of this name; nil if it has none.
func (a *alerts) find(ctx context.Context, alertname string) (*alertState, error) {
	data, err := a.do(ctx, http.MethodGet, "api/v2/alerts", url.Values{"filter": {fmt.Sprintf("alertname=%q", alertname)}}, nil)
	if err != nil {
		return nil, err
	}
	var found []alertState
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, fmt.Errorf("GET api/v2/alerts: not Alertmanager's API: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[0], nil
}

// An attempt is one that Alertmanager makes to tell a receiver, as far as its metrics name that.
type attempt struct{ receiver, integration string }

// attempts are counted: how many of them succeeded and failed since Alertmanager started.
type attempts struct{ sent, failed map[attempt]float64 }

// attempts asks for those of now. Without the feature receiver-name-in-metrics the receivers have no names.
func (a *alerts) attempts(ctx context.Context) (attempts, error) {
	n := attempts{map[attempt]float64{}, map[attempt]float64{}}
	data, err := a.do(ctx, http.MethodGet, "metrics", nil, nil)
	if err != nil {
		return n, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(data))
	if err != nil {
		return n, fmt.Errorf("GET metrics: %w", err)
	}
	count := func(family string, into map[attempt]float64, sign float64) {
		for _, m := range families[family].GetMetric() {
			into[attempt{label(m, "receiver_name"), label(m, "integration")}] += sign * m.GetCounter().GetValue()
		}
	}
	const requests, failed = "alertmanager_notification_requests_total", "alertmanager_notification_requests_failed_total"
	count(requests, n.sent, 1)
	count(failed, n.sent, -1)
	count(failed, n.failed, 1)
	return n, nil
}

// named reports whether the metrics name receivers.
func (n attempts) named() bool {
	for a := range n.sent {
		if a.receiver != "" {
			return true
		}
	}
	return false
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// since returns how many of a kind there have been since before.
func (n attempts) since(before attempts, a attempt) (sent, failed int) {
	return int(n.sent[a] - before.sent[a]), int(n.failed[a] - before.failed[a])
}

// joined is a list for people.
func joined(words []string) string {
	if len(words) == 0 {
		return "nobody"
	}
	return strings.Join(words, ", ")
}
