package inboxtest

import (
	"encoding/json"
	"net/http"
	"strings"
)

// AddTeamsWorkflow creates a workflow that posts to a channel and returns its address behind the proxy.
func (in *Inbox) AddTeamsWorkflow(id string) string {
	in.know(Teams, id)
	return at("prod-01.westeurope.logic.azure.com", "workflows", id)
}

// teams answers as a workflow with the trigger "When a Teams webhook request is received" does. It takes adaptive cards:
// https://learn.microsoft.com/en-us/connectors/teams/#microsoft-teams-webhook
func (in *Inbox) teams(w http.ResponseWriter, r *http.Request, body []byte) {
	const card = "application/vnd.microsoft.card.adaptive"
	var payload struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type string
				Body []struct{ Type, Text string }
			}
		}
	}
	err := json.Unmarshal(body, &payload)
	switch {
	case !in.knows(Teams, r.PathValue("id")):
		answer(w, http.StatusNotFound, map[string]any{"error": map[string]any{"code": "WorkflowNotFound", "message": "The workflow could not be found."}})
	case err != nil || payload.Type != "message" || len(payload.Attachments) == 0 || payload.Attachments[0].ContentType != card ||
		payload.Attachments[0].Content.Type != "AdaptiveCard":
		answer(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"code": "TriggerInputSchemaMismatch", "message": "The input body does not match the schema of the trigger."}})
	case len(body) > 28<<10:
		answer(w, http.StatusRequestEntityTooLarge, map[string]any{"error": map[string]any{"code": "RequestEntityTooLarge", "message": "Request Entity too large"}})
	default:
		var text []string
		for _, block := range payload.Attachments[0].Content.Body {
			text = append(text, strings.ReplaceAll(block.Text, "\n\n", "\n"))
		}
		m := Message{Via: Teams, To: r.PathValue("id"), Text: joinLines(text), Raw: body}
		m.Subject, _, _ = strings.Cut(m.Text, "\n")
		in.receive(m)
		w.WriteHeader(http.StatusAccepted)
	}
}
