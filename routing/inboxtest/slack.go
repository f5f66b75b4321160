package inboxtest

import (
	"cmp"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

type slackPayload struct {
	Channel     string
	Username    string
	Text        string
	Blocks      json.RawMessage
	Attachments []slackAttachment
}

type slackAttachment struct {
	Fallback, Pretext, Title, Text string
	TitleLink                      string `json:"title_link"`
	Fields                         []struct{ Title, Value string }
	Actions                        []struct{ Text, URL string }
}

// slack answers as an incoming webhook does: "ok" in plain text, or a word that says what is wrong.
func (in *Inbox) slack(w http.ResponseWriter, r *http.Request, body []byte) {
	in.mu.Lock()
	known := in.channels[r.PathValue("channel")]
	in.mu.Unlock()
	payload, err := parseSlack(r.Header.Get("Content-Type"), body)
	switch {
	case !known:
		plain(w, http.StatusNotFound, "no_service")
	case err != nil:
		plain(w, http.StatusBadRequest, "invalid_payload")
	case payload.Text == "" && len(payload.Attachments) == 0 && len(payload.Blocks) == 0:
		plain(w, http.StatusBadRequest, "no_text")
	case len(payload.Attachments) > 100:
		plain(w, http.StatusBadRequest, "too_many_attachments")
	default:
		m := payload.message()
		m.To = cmp.Or(payload.Channel, r.PathValue("channel"))
		m.Subject, m.Text = shown(m.Subject), shown(m.Text)
		m.Raw = body
		in.receive(m)
		plain(w, http.StatusOK, "ok")
	}
}

// parseSlack reads JSON, which may also come as the form field "payload".
func parseSlack(contentType string, body []byte) (slackPayload, error) {
	var payload slackPayload
	if mediaType, _, err := mime.ParseMediaType(contentType); err == nil && mediaType == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return payload, err
		}
		body = []byte(form.Get("payload"))
	}
	err := json.Unmarshal(body, &payload)
	return payload, err
}

func (p slackPayload) message() Message {
	m := Message{Via: Slack, From: p.Username}
	text := []string{p.Text}
	for _, a := range p.Attachments {
		m.Subject = cmp.Or(m.Subject, a.Title, a.Fallback)
		text = append(text, a.Pretext, a.Title, a.TitleLink, a.Text)
		for _, f := range a.Fields {
			text = append(text, f.Title+": "+f.Value)
		}
		for _, action := range a.Actions {
			text = append(text, action.Text+" ("+action.URL+")")
		}
	}
	var lines []string
	for _, line := range text {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	m.Text = strings.Join(lines, "\n")
	return m
}

var (
	slackLink = regexp.MustCompile(`<([^<>|]+)\|([^<>]+)>`)
	slackText = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// shown is text as Slack shows it: links followed by their address, and nothing escaped.
func shown(text string) string { return slackText.Replace(slackLink.ReplaceAllString(text, "$2 ($1)")) }

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that has gone needs no answer
}
