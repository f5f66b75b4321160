package table_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/internal/table"
)

// A terminal shows each of these with the second column at the same place, which a count of characters or bytes doesn't give.
func TestStraightColumns(t *testing.T) {
	const wide = 12 // cells of the first column, without the gap
	for name, test := range map[string]struct {
		text  string
		cells int
	}{
		"ASCII":                {"Acme", 4},
		"an umlaut":            {"größe", 5},
		"an umlaut, combined":  {"gro\u0308ße", 5},
		"marks upon marks":     {"a\u0301\u0302\u0303b", 2},
		"Korean":               {"서울 노드", 9},
		"Korean, in pieces":    {"\u1109\u1165\u110b\u116e\u11af", 4},
		"Chinese":              {"节点", 4},
		"full width":           {"ＩＣＸ", 6},
		"half width":           {"ｱｲｺﾝ", 4},
		"Thai":                 {"ที่", 1},
		"emoji":                {"🔥", 2},
		"emoji by a variation": {"❤\ufe0f", 2},
		"emoji with a skin":    {"👍🏽", 2},
		"a flag":               {"🇰🇷", 2},
		"a filler":             {"\u3164", 6}, // spelled out
		"the other direction":  {"\u202ea", 7},
		"the whole column":     {strings.Repeat("가", wide/2), wide},
	} {
		var tab table.Table
		tab.Row(strings.Repeat("-", wide), "B")
		tab.Row(test.text, "B")
		lines := strings.Split(string(tab.Bytes()), "\n")
		text, _, _ := strings.Cut(lines[1], "B")
		if got := len(text) - len(strings.TrimRight(text, " ")); got != wide-test.cells+2 {
			t.Errorf("%s: %d spaces after %q, want %d", name, got, test.text, wide-test.cells+2)
		}
	}
}

func TestTable(t *testing.T) {
	var tab table.Table
	if got := tab.Bytes(); len(got) > 0 {
		t.Errorf("nothing is %q", got)
	}
	tab.Row("NAME", "", "WHY")
	tab.Row("서울 노드", "x", "")
	tab.Row("a\nb\x1b[2J", "", "c\td ")
	tab.Row("short")
	const want = "NAME           WHY\n" +
		"서울 노드   x\n" +
		`a b\x1b[2J     c d` + "\n" +
		"short\n"
	if d := cmp.Diff(want, string(tab.Bytes())); d != "" {
		t.Error(d)
	}
}
