package inboxtest

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// telegram answers as the bot API's sendMessage does.
func (in *Inbox) telegram(w http.ResponseWriter, r *http.Request, body []byte) {
	token, ok := strings.CutPrefix(r.PathValue("bot"), "bot")
	if !ok {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	params, problem := parseTelegram(r, body)
	chat, text := params["chat_id"], params["text"]
	in.mu.Lock()
	chats, known := in.bots[token]
	member := chats[chat]
	id := len(in.messages) + 1
	in.mu.Unlock()
	if !known {
		refuse(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	if problem == "" && strings.EqualFold(params["parse_mode"], "HTML") {
		text, problem = telegramHTML(text)
	}
	switch {
	case problem != "":
		refuse(w, http.StatusBadRequest, "Bad Request: "+problem)
	case chat == "":
		refuse(w, http.StatusBadRequest, "Bad Request: chat_id is empty")
	case !member:
		refuse(w, http.StatusBadRequest, "Bad Request: chat not found")
	case strings.TrimSpace(text) == "":
		refuse(w, http.StatusBadRequest, "Bad Request: message text is empty")
	case utf8.RuneCountInString(text) > 4096:
		refuse(w, http.StatusBadRequest, "Bad Request: message is too long")
	default:
		subject, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		botID, _, _ := strings.Cut(token, ":")
		in.receive(Message{Via: Telegram, To: chat, From: "bot " + botID, Subject: subject, Text: strings.TrimSpace(text), Raw: body})
		answer(w, http.StatusOK, map[string]any{"ok": true, "result": map[string]any{
			"message_id": id,
			"date":       time.Now().Unix(),
			"chat":       map[string]any{"id": json.RawMessage(chatID(chat)), "type": "supergroup"},
			"text":       text,
		}})
	}
}

// parseTelegram reads the parameters, which may come in the query, as a form or as JSON, and says what is
// wrong with them, if anything is.
func parseTelegram(r *http.Request, body []byte) (params map[string]string, problem string) {
	params = make(map[string]string)
	for name, values := range r.URL.Query() {
		params[name] = values[0]
	}
	switch mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType {
	case "application/json":
		var object map[string]json.RawMessage
		if err := json.Unmarshal(body, &object); err != nil {
			return params, "can't parse request: " + err.Error()
		}
		for name, value := range object {
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				text = string(value) // numbers and booleans are fine too
			}
			params[name] = text
		}
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return params, "can't parse request: " + err.Error()
		}
		for name, values := range form {
			params[name] = values[0]
		}
	}
	return params, ""
}

// chatID is a chat's number as JSON; a name like @channel is answered as a string.
func chatID(chat string) string {
	if json.Valid([]byte(chat)) {
		return chat
	}
	return fmt.Sprintf("%q", chat)
}

// telegramHTML returns the text of Telegram's HTML style, which knows a few tags and refuses all others, and
// Telegram's words for what is wrong with it, if anything is.
func telegramHTML(text string) (shown, problem string) {
	known := []string{
		"a", "b", "blockquote", "code", "del", "em", "i", "ins", "pre", "s", "span", "strike", "strong",
		"tg-emoji", "tg-spoiler", "u",
	}
	var (
		plain  strings.Builder
		open   []string
		href   string // of the link that is open
		offset int
	)
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		kind, at := z.Next(), offset
		offset += len(z.Raw())
		switch kind {
		case html.ErrorToken:
			if len(open) > 0 {
				return "", fmt.Sprintf("can't parse entities: Can't find end tag corresponding to start tag %q", open[len(open)-1])
			}
			return plain.String(), ""
		case html.TextToken:
			plain.Write(z.Text())
		case html.StartTagToken:
			token := z.Token()
			if !slices.Contains(known, token.Data) {
				return "", fmt.Sprintf("can't parse entities: Unsupported start tag %q at byte offset %d", token.Data, at)
			}
			open = append(open, token.Data)
			href = attribute(token, "href")
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				return "", fmt.Sprintf("can't parse entities: Unexpected end tag at byte offset %d", at)
			}
			open = open[:len(open)-1]
			if string(name) == "a" && href != "" {
				plain.WriteString(" (" + href + ")")
			}
		default:
			return "", fmt.Sprintf("can't parse entities: Unsupported start tag at byte offset %d", at)
		}
	}
}

func refuse(w http.ResponseWriter, status int, description string) {
	answer(w, status, map[string]any{"ok": false, "error_code": status, "description": description})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone needs no answer
}
