package sidecar

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/stoker-project/stoker/internal/printable"
)

//go:embed *.html
var pageFiles embed.FS

// pages are parsed once; a fault in them is a fault of the build, which a test finds.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"ago":     func(t time.Time) string { return ago(time.Now(), t) },
	"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"minute":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"title":   func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
	"visible": printable.Quote,
	"plural":  plural,
	"verb":    func(change string) string { return changeVerbs[change[0]] },
	"path":    func(change string) string { return change[1:] },
	"summary": summary,

	"in":        func(t time.Time) string { return in(time.Now(), t) },
	"byReason":  byReason,
	"grade":     grade,
	"validated": validated,
	"trouble":   trouble,
	"ackStyle":  ackStyle,
}).ParseFS(pageFiles, "*.html"))

// ago says how long ago something was, in one unit.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	switch d := now.Sub(t); {
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// in says how long it is until something, in one unit.
func in(now, t time.Time) string {
	switch d := t.Sub(now); {
	case d <= 0:
		return "any moment"
	case d < time.Minute:
		return fmt.Sprintf("in %d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("in %d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("in %d h", int(d.Hours()))
	default:
		return fmt.Sprintf("in %d days", int(d.Hours()/24))
	}
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// changeVerbs are what the signs of [reload.Release.Changed] mean.
var changeVerbs = map[byte]string{'+': "added", '~': "changed", '-': "removed"}

// summary counts the changes of a release.
func summary(changes []string) string {
	var parts []string
	for _, sign := range []byte("+~-") {
		n := 0
		for _, c := range changes {
			if c[0] == sign {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, changeVerbs[sign]))
		}
	}
	return strings.Join(parts, ", ")
}

// showPage answers with a page.
func showPage(w http.ResponseWriter, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.Write(page.Bytes()) // the client is gone
}
