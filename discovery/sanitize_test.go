package discovery

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSanitize(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "ICON Foundation", "ICON Foundation"},
		{"braces, bars, slashes", "Nest { You | We } / Build", "Nest { You | We } / Build"},
		{"quotes stay", `say "hi" \ it's`, `say "hi" \ it's`},
		{"template stays text", `{{ .Labels | toJson }} $(HOME)`, `{{ .Labels | toJson }} $(HOME)`},
		{"spaces at the ends", " \t Red Hot ICE \u00a0\u3000", "Red Hot ICE"},
		{"spaces inside", "ICX  burners", "ICX  burners"},
		{"lines", "a\r\nb\u2028c\td", "a  b c d"},
		{"Korean", "서울 노드", "서울 노드"},
		{"Polish", "Łódź", "Łódź"},
		{"emoji", "🔥 stoker", "🔥 stoker"},
		{"bidi", "abc\u202egnp.exe\u202c\u2066x\u2069", "abcgnp.exex"},
		{"zero width", "a\u200bb\ufeffc\u00add", "abcd"},
		{"control", "a\x00b\x1b[31mc\x7fd\u0085e", "ab[31mcd e"},
		{"invalid UTF-8", "a\xffb\xc3", "ab"},
		{"replacement", "a\ufffdb", "ab"},
		{"private use", "a\ue000b", "ab"},
		{"tags", "a\U000e0041b", "ab"},
		{"nothing to see", "\u3164\u115f \u2800", ""},
		{"nothing", "", ""},
		{"too long", strings.Repeat("x", 100), strings.Repeat("x", 64)},
		{"cut between characters", strings.Repeat("가", 30), strings.Repeat("가", 21)},
		{"cut after a space", strings.Repeat("x", 63) + " y", strings.Repeat("x", 63)},
		{"enormous", strings.Repeat("노드 ", 100_000), strings.Repeat("노드 ", 9) + "노"[:0]},
	} {
		if tc.name == "enormous" {
			tc.want = strings.TrimRight(strings.Repeat("노드 ", 9), " ")
		}
		if got := sanitize(tc.in, 64); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add("Red Hot ICE ", 10)
	f.Add("\u202e서울 \xff", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(0, min(limit, 1000))
		got := sanitize(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || got != strings.TrimSpace(got) {
			t.Errorf("sanitize(%q, %d) = %q", s, limit, got)
		}
		if again := sanitize(got, limit); again != got {
			t.Errorf("doing it twice changes %q to %q", got, again)
		}
		for _, r := range got {
			if r < ' ' || r == 0x7f {
				t.Errorf("%q has the control character %q", got, r)
			}
		}
	})
}
