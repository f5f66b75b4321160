package inboxtest

import (
	"cmp"
	"net/http"
	"strings"
)

// AddMattermostWebhook creates an incoming webhook and returns its address behind the proxy.
func (in *Inbox) AddMattermostWebhook(key string) string {
	in.know(Mattermost, key)
	return at("chat.acme.example", "hooks", key)
}

// mattermost answers as an incoming webhook does, which takes what Slack's takes:
// https://developers.mattermost.com/integrate/webhooks/incoming/
func (in *Inbox) mattermost(w http.ResponseWriter, r *http.Request, body []byte) {
	payload, err := parseSlack(r.Header.Get("Content-Type"), body)
	switch {
	case !in.knows(Mattermost, r.PathValue("key")):
		answer(w, http.StatusBadRequest, map[string]any{"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook."})
	case err != nil:
		answer(w, http.StatusBadRequest, map[string]any{"id": "api.webhook.incoming.error", "message": "Could not decode the multipart payload of incoming webhook."})
	case payload.Text == "" && len(payload.Attachments) == 0:
		answer(w, http.StatusBadRequest, map[string]any{"id": "web.incoming_webhook.text.app_error", "message": "No text specified."})
	default:
		m := payload.message()
		m.Via, m.Raw = Mattermost, body
		m.To = cmp.Or(payload.Channel, r.PathValue("key"))
		m.Subject, _, _ = strings.Cut(m.Text, "\n")
		in.receive(m)
		plain(w, http.StatusOK, "ok")
	}
}
