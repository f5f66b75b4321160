package routing

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// Items are written as the YAML library writes them, whatever they are.
func TestItemsAreWrittenAsByTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	words := []string{"a", "y", "Y", "NO", "Null", "True", "Subject", "yes", "no", "null", "~", "", " a", "a ", "15m", "3s", "1h30m", "5", "m", "22:00", "1e5", "0x1", "contact/acme/mail", "a-b", "-", "- a", "a: b", "#", "a #b",
		`"`, "'", `\`, "é", "a\nb", "a\n", "\t", "[a]", "{{ . }}", "true", "0777", "1_000", "prep=\"hx0\"", "on", ".inf", "x.y", "<<", "=", "%", "@a", "`", "https://a.example/?b=c&d#e",
		strings.Repeat("long and ", 40)}
	scalar := func() *yaml.Node {
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: words[r.IntN(len(words))]}
		switch n.Style = []yaml.Style{0, 0, yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle, yaml.LiteralStyle}[r.IntN(5)]; r.IntN(8) {
		case 0:
			return boolean(r.IntN(2) == 0)
		case 1:
			return number("-100123")
		}
		return n
	}
	var node func(depth int) *yaml.Node
	node = func(depth int) *yaml.Node {
		switch kind := r.IntN(4); {
		case kind == 0 && depth > 0:
			n := list()
			if r.IntN(3) == 0 {
				n.Style = yaml.FlowStyle
			}
			for range r.IntN(4) {
				n.Content = append(n.Content, node(depth-1))
			}
			return n
		case kind < 3 && depth > 0:
			n := object()
			if r.IntN(10) == 0 {
				n.Style = yaml.FlowStyle
			}
			for i := range r.IntN(4) {
				set(n, []string{"name", "Subject", "yes", "a key"}[i], node(depth-1))
			}
			return n
		}
		return scalar()
	}
	own := 0
	for range 20_000 {
		var items []*yaml.Node
		for range 1 + r.IntN(3) {
			items = append(items, node(3))
		}
		want, err := encode(list(items...))
		if err != nil {
			t.Fatal(err)
		}
		got, err := new(itemWriter).items(items)
		if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
			t.Fatalf("error %v (-library +own):\n%s", err, diff)
		}
		var w itemWriter
		if w.sequence(items, 0) {
			own++
		}
	}
	if own < 2000 {
		t.Errorf("only %d were written here", own)
	}
}

// What contacts are made of is written here, and for none of it the whole goes through the library.
func TestContactsAreWrittenHere(t *testing.T) {
	for _, c := range randomContacts(t, rand.New(rand.NewPCG(13, 14)), 100) {
		for _, l := range c.leaves {
			var w itemWriter
			if !w.sequence([]*yaml.Node{l.route(c.receiver(l.step), "contact/x/")}, 0) {
				t.Fatalf("the library is needed for %+v", l)
			}
		}
		for _, q := range c.quietHours {
			var w itemWriter
			if !w.sequence([]*yaml.Node{q.interval("contact/x/"+q.name, c.location)}, 0) {
				t.Fatalf("the library is needed for %+v", q)
			}
		}
	}
}
