package printable

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rune reports whether a reader sees r for what it is. Of all spaces that is only the plain one; among what isn't are control
// and format characters, those that change the direction of writing, fillers and joiners that look like nothing, and the one that
// stands for invalid UTF-8.
func Rune(r rune) bool {
	switch {
	case r == utf8.RuneError, r == '\u2800': // the pattern of Braille without a dot
		return false
	}
	return unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// Quote returns s as it is if all of it is printable, and else in quotes, as a Go string.
func Quote(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !Rune(r) }) {
		return s
	}
	return Line(strconv.Quote(s), math.MaxInt) // which leaves what only Rune finds
}

// Line returns s on one line: every kind of space is a plain one, and what isn't printable is spelled out. Of what has more than
// most characters then it returns the first, and … as the last.
func Line(s string, most int) string {
	var b strings.Builder
	n, end := 0, 0 // how many characters there are, and where all but the last allowed end
	for _, r := range s {
		spelled := string(r)
		switch {
		case unicode.IsSpace(r):
			spelled = " "
		case !Rune(r):
			spelled = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if n += utf8.RuneCountInString(spelled); n > most {
			return b.String()[:end] + "…"
		}
		b.WriteString(spelled)
		if n < most {
			end = b.Len()
		}
	}
	return b.String()
}
