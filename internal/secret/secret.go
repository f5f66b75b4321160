// Package secret holds a text that doesn't print.
//
// A password that is passed on as plain data ends up in a log line, an error or a JSON document sooner or later. The
// text hides behind a pointer, which fmt, log/slog and the encoders don't follow, and what would format it says
// <secret>. Only Reveal gives it away, so that a search finds every place that does.
package secret

import "log/slog"

// Text is a text that doesn't print. The zero value is one that isn't known.
type Text struct{ text *string }

// New hides a text.
func New(text string) Text { return Text{&text} }

// Known reports whether there is a text.
func (t Text) Known() bool { return t.text != nil }

// Reveal returns the text, "" if it isn't known.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

const token = "<secret>"

// String implements fmt.Stringer.
func (t Text) String() string { return token }

// GoString implements fmt.GoStringer.
func (t Text) GoString() string { return token }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(token) }

// MarshalText implements encoding.TextMarshaler, which the encoders of JSON and YAML use.
func (t Text) MarshalText() ([]byte, error) { return []byte(token), nil }
