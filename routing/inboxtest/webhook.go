package inboxtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// handler serves the page and all receivers that speak HTTP.
func (in *Inbox) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", in.page)
	mux.HandleFunc("POST /webhook/{name}", in.post(Webhook, in.webhook))
	mux.HandleFunc("POST /services/{channel}", in.post(Slack, in.slack))
	mux.HandleFunc("POST /telegram/{bot}/sendMessage", in.post(Telegram, in.telegram))
	mux.HandleFunc("POST api.telegram.org/{bot}/sendMessage", in.post(Telegram, in.telegram))
	mux.HandleFunc("POST /api/webhooks/{id}/{token}", in.post(Discord, in.discord))
	mux.HandleFunc("POST /v2/enqueue", in.post(PagerDuty, in.pagerduty))
	mux.HandleFunc("POST /1/messages.json", in.post(Pushover, in.pushover))
	mux.HandleFunc("POST /workflows/{id}", in.post(Teams, in.teams))
	mux.HandleFunc("POST /hooks/{key}", in.post(Mattermost, in.mattermost))
	return mux
}

// post reads the body of a delivery, and fails it if the inbox has been told to.
func (in *Inbox) post(via Via, next func(http.ResponseWriter, *http.Request, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBytes))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		switch code := in.failure(via); {
		case code != 0 && via == Telegram:
			refuse(w, code, http.StatusText(code)) // it always answers in JSON
			return
		case code != 0:
			http.Error(w, "told to fail", code)
			return
		}
		next(w, r, body)
	}
}

// webhook accepts anything and makes Alertmanager's own payload readable.
func (in *Inbox) webhook(_ http.ResponseWriter, r *http.Request, body []byte) {
	m := Message{Via: Webhook, To: r.PathValue("name"), Text: string(body), Raw: body}
	var payload struct {
		Version      string
		Status       string
		CommonLabels map[string]string
		Alerts       []struct {
			Status      string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(body, &payload); err == nil && payload.Version == "4" {
		m.Subject = fmt.Sprintf("[%s:%d] %s", strings.ToUpper(payload.Status), len(payload.Alerts), payload.CommonLabels["alertname"])
		var text strings.Builder
		for _, alert := range payload.Alerts {
			fmt.Fprintf(&text, "%s %s\n", alert.Status, pairs(alert.Labels))
			for _, name := range slices.Sorted(maps.Keys(alert.Annotations)) {
				fmt.Fprintf(&text, "  %s: %s\n", name, alert.Annotations[name])
			}
		}
		m.Text = strings.TrimSpace(text.String())
	}
	in.receive(m)
}

func pairs(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return strings.Join(pairs, " ")
}
