package printable_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stoker-project/stoker/internal/printable"
)

func TestQuoteAndLine(t *testing.T) {
	for name, test := range map[string]struct{ text, quote, line string }{
		"nothing":           {"", "", ""},
		"plain":             {`it's "5 %" \o/`, `it's "5 %" \o/`, `it's "5 %" \o/`},
		"Korean":            {"서울 노드", "서울 노드", "서울 노드"},
		"Korean, in pieces": {"\u1109\u1165\u110b\u116e\u11af", "\u1109\u1165\u110b\u116e\u11af", "\u1109\u1165\u110b\u116e\u11af"},
		"combining marks":   {"gro\u0308ße", "gro\u0308ße", "gro\u0308ße"},
		"emoji":             {"🔥 ❤\ufe0f 🇰🇷 👍🏽", "🔥 ❤\ufe0f 🇰🇷 👍🏽", "🔥 ❤\ufe0f 🇰🇷 👍🏽"},
		"emoji, joined":     {"👩\u200d💻", `"👩\u200d💻"`, `👩\u200d💻`},
		"lines":             {"a\nb\r\u0085\u2028\u2029c", `"a\nb\r\u0085\u2028\u2029c"`, "a b    c"},
		"spaces":            {"a\t\u00a0\u3000b", `"a\t\u00a0\u3000b"`, "a   b"},
		"terminal":          {"\x1b[2J\a\b\x7f\u009b2J\x00", `"\x1b[2J\a\b\x7f\u009b2J\x00"`, `\x1b[2J\a\b\x7f\u009b2J\x00`},
		"bidi":              {"x\u202egnp.exe\u202c\u2066y\u2069\u200f\u061c", `"x\u202egnp.exe\u202c\u2066y\u2069\u200f\u061c"`, `x\u202egnp.exe\u202c\u2066y\u2069\u200f\u061c`},
		"zero width":        {"a\u200b\u200c\u2060\ufeff\u00ad\u034fb", `"a\u200b\u200c\u2060\ufeff\u00ad\u034fb"`, `a\u200b\u200c\u2060\ufeff\u00ad\u034fb`},
		"fillers":           {"acme\u3164\u115f\u1160\uffa0\u2800", `"acme\u3164\u115f\u1160\uffa0\u2800"`, `acme\u3164\u115f\u1160\uffa0\u2800`},
		"tags":              {"a\U000e0061", `"a\U000e0061"`, `a\U000e0061`},
		"not UTF-8":         {"a\xff", `"a\xff"`, `a\ufffd`},
		"once not UTF-8":    {"a\ufffd", `"a\ufffd"`, `a\ufffd`},
	} {
		if got := printable.Quote(test.text); got != test.quote {
			t.Errorf("%s: quoted %s, want %s", name, got, test.quote)
		}
		if got := printable.Line(test.text, 100); got != test.line {
			t.Errorf("%s: on a line %s, want %s", name, got, test.line)
		}
	}
}

func TestLineIsCut(t *testing.T) {
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"서울노드", 4, "서울노드"},
		{"서울노드들", 4, "서울노…"},
		{"ab\x1b", 6, `ab\x1b`},
		{"ab\x1b", 5, "ab…"}, // what is spelled out stays whole
		{"ab", 1, "…"},
	} {
		if got := printable.Line(test.text, test.most); got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.text, test.most, got, test.want)
		}
	}
}

// Whatever the text, all of what is shown is printable and on one line, and showing it again changes nothing.
func FuzzPrintable(f *testing.F) {
	f.Add("서울\u202e노드\n\x1b[2J\u3164", uint8(9))
	f.Fuzz(func(t *testing.T, text string, most uint8) {
		quote, line, cut := printable.Quote(text), printable.Line(text, 10*len(text)), printable.Line(text, int(most)+1)
		for _, got := range []string{quote, line, cut} {
			if strings.ContainsFunc(got, func(r rune) bool { return !printable.Rune(r) }) {
				t.Errorf("%q", got)
			}
		}
		if again := printable.Quote(quote); again != quote {
			t.Errorf("%q quoted again: %q", quote, again)
		}
		if again := printable.Line(line, 10*len(text)); again != line {
			t.Errorf("%q on a line again: %q", line, again)
		}
		if quote != text {
			if exact, err := strconv.Unquote(quote); err != nil || exact != text {
				t.Errorf("%s stands for %q, want %q: %v", quote, exact, text, err)
			}
		}
		if n := utf8.RuneCountInString(cut); n > int(most)+1 {
			t.Errorf("%q has %d characters", cut, n)
		}
		if utf8.RuneCountInString(line) <= int(most)+1 && cut != line {
			t.Errorf("%q is cut to %q, and %d would be allowed", line, cut, int(most)+1)
		}
	})
}
