package discovery

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stoker-project/stoker/internal/printable"
)

// sanitize makes a text that anyone may have written fit for a label: what
// doesn't print is dropped (control and format characters, among them those
// that change the writing direction, invalid UTF-8, fillers that look like
// nothing), every kind of space becomes a plain one, those at the ends go, and
// what is longer than limit bytes is cut between two characters. Letters of any
// script stay.
//
//	"  Red Hot ICE "  → "Red Hot ICE"
//	"서울\u202e노드"   → "서울노드"
//	"a\r\nb: {{ . }}" → "a  b: {{ . }}"
func sanitize(s string, limit int) string {
	if clean(s) && len(s) <= limit {
		return s
	}
	var b strings.Builder
	b.Grow(min(len(s), limit))
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !printable.Rune(r):
			continue
		}
		if r == ' ' && b.Len() == 0 {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimRight(b.String(), " ")
}

// clean reports whether s is printable ASCII with no space at its ends, as
// almost every text is.
func clean(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}
