package inboxtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// AddPagerDutyService creates a service with an integration key.
func (in *Inbox) AddPagerDutyService(routingKey string) { in.know(PagerDuty, routingKey) }

type pagerDutyEvent struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Client      string
	Links       []struct{ Href, Text string }
	Payload     struct {
		Summary, Source, Severity string
		CustomDetails             map[string]any `json:"custom_details"`
	}
}

// problems are what makes an event invalid: https://developer.pagerduty.com/docs/send-alert-event
func (e pagerDutyEvent) problems() []string {
	var problems []string
	if len(e.RoutingKey) != 32 {
		problems = append(problems, "'routing_key' is the wrong length (should be 32 characters)")
	}
	if !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.EventAction) {
		problems = append(problems, "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
	}
	if e.EventAction != "trigger" {
		return problems
	}
	if e.Payload.Summary == "" || utf8.RuneCountInString(e.Payload.Summary) > 1024 {
		problems = append(problems, "'payload.summary' is missing, blank or too long")
	}
	if e.Payload.Source == "" {
		problems = append(problems, "'payload.source' is missing or blank")
	}
	if !slices.Contains([]string{"critical", "warning", "error", "info"}, e.Payload.Severity) {
		problems = append(problems, "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	}
	return problems
}

// pagerduty answers as the Events API v2 does.
func (in *Inbox) pagerduty(w http.ResponseWriter, _ *http.Request, body []byte) {
	var event pagerDutyEvent
	err := json.Unmarshal(body, &event)
	problems := event.problems()
	switch {
	case err != nil:
		answer(w, http.StatusBadRequest, map[string]any{"status": "Unrecognized object", "message": "Event object format is unrecognized", "errors": []string{"JSON parse error"}})
	case len(problems) > 0:
		answer(w, http.StatusBadRequest, map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": problems})
	case !in.knows(PagerDuty, event.RoutingKey):
		answer(w, http.StatusBadRequest, map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": []string{"Invalid routing key"}})
	default:
		text := []string{event.EventAction + " " + event.Payload.Severity, event.Payload.Summary}
		for _, name := range slices.Sorted(maps.Keys(event.Payload.CustomDetails)) {
			text = append(text, fmt.Sprintf("%s: %v", name, event.Payload.CustomDetails[name]))
		}
		for _, link := range event.Links {
			text = append(text, fmt.Sprintf("%s (%s)", link.Text, link.Href))
		}
		in.receive(Message{Via: PagerDuty, To: event.RoutingKey, From: event.Client, Subject: cmp.Or(event.Payload.Summary, event.EventAction), Text: strings.Join(text, "\n"), Raw: body})
		answer(w, http.StatusAccepted, map[string]any{"status": "success", "message": "Event processed", "dedup_key": event.DedupKey})
	}
}
