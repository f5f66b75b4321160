package inboxtest

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"time"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

const pageMessages = 100

// page shows the newest messages, the newest first.
func (in *Inbox) page(w http.ResponseWriter, _ *http.Request) {
	messages := in.Messages()
	total := len(messages)
	messages = messages[max(0, total-pageMessages):]
	slices.Reverse(messages)

	var page bytes.Buffer
	err := pageTemplate.Execute(&page, map[string]any{
		"Messages": messages,
		"Older":    total - len(messages),
		"Now":      time.Now(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = page.WriteTo(w) // a browser that has gone needs no page
}
