package inboxtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"
)

// AddDiscordWebhook creates a webhook of a channel and returns its address behind the proxy.
func (in *Inbox) AddDiscordWebhook(token string) string {
	in.know(Discord, token)
	return at("discord.com", "api/webhooks/1234567890", token)
}

// discord answers as Execute Webhook does: https://docs.discord.com/developers/resources/webhook#execute-webhook
func (in *Inbox) discord(w http.ResponseWriter, r *http.Request, body []byte) {
	var payload struct {
		Content  string
		Username string
		Embeds   []struct{ Title, Description string }
	}
	err := json.Unmarshal(body, &payload)
	long := utf8.RuneCountInString(payload.Content) > 2000 || len(payload.Embeds) > 10
	total := 0
	text := []string{payload.Content}
	for _, e := range payload.Embeds {
		title, description := utf8.RuneCountInString(e.Title), utf8.RuneCountInString(e.Description)
		long = long || title > 256 || description > 4096
		total += title + description
		text = append(text, e.Title, e.Description)
	}
	switch {
	case !in.knows(Discord, r.PathValue("token")):
		answer(w, http.StatusNotFound, map[string]any{"message": "Unknown Webhook", "code": 10015})
	case err != nil:
		answer(w, http.StatusBadRequest, map[string]any{"message": "The request body contains invalid JSON.", "code": 50109})
	case long || total > 6000:
		answer(w, http.StatusBadRequest, map[string]any{"message": "Invalid Form Body", "code": 50035})
	case strings.TrimSpace(strings.Join(text, "")) == "":
		answer(w, http.StatusBadRequest, map[string]any{"message": "Cannot send an empty message", "code": 50006})
	default:
		m := Message{Via: Discord, To: r.PathValue("token"), From: payload.Username, Text: joinLines(text), Raw: body}
		m.Subject, _, _ = strings.Cut(m.Text, "\n")
		in.receive(m)
		w.WriteHeader(http.StatusNoContent)
	}
}

// joinLines joins what isn't empty.
func joinLines(texts []string) string {
	var lines []string
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "\n")
}
