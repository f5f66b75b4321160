package routing

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// Contacts are put into the file one by one, and the file is byte for byte what the YAML library makes of the whole tree.
func TestMergedFileIsWrittenAsAWhole(t *testing.T) {
	for name, data := range bases(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, problems := readBase(MainFile, data, "")
			if problems.Len() > 0 {
				t.Fatal(problems)
			}
			r := rand.New(rand.NewPCG(3, 4))
			for _, n := range []int{0, 1, 2, 30} {
				var candidates []candidate
				for _, c := range randomContacts(t, r, n) {
					candidates = append(candidates, candidate{stem: c.Stem, contact: c})
				}
				m, err := b.merge(candidates, testSite())
				if err != nil || len(m.rejected) > 0 {
					t.Fatal(err, m.rejected)
				}
				if diff := cmp.Diff(wholeTree(t, b, m.accepted), string(m.data)); diff != "" {
					t.Fatalf("%d contacts (-as a whole +one by one):\n%s", n, diff)
				}
			}
		})
	}
}

// wholeTree puts the contacts into the tree of the base and writes that.
func wholeTree(t *testing.T, b *base, candidates []candidate) string {
	t.Helper()
	marks := map[string]string{}
	for _, c := range candidates {
		for key := range c.fragment.items {
			marks[key] = "here"
		}
	}
	tree := b.wrap(marks)
	for key := range marks {
		items := get(tree.Content[0], key)
		if key == routesList {
			items = get(get(tree.Content[0], "route"), key)
		}
		items.Content = items.Content[:len(items.Content)-1]
		for _, c := range candidates {
			var doc yaml.Node
			if err := yaml.Unmarshal(c.fragment.items[key], &doc); err != nil {
				t.Fatal(err)
			}
			if len(doc.Content) > 0 {
				items.Content = append(items.Content, doc.Content[0].Content...)
			}
		}
	}
	data, err := encode(tree)
	if err != nil {
		t.Fatal(err)
	}
	return header + string(data)
}

// A base that happens to have the placeholder in a list of its own keeps that.
func TestPlaceholderIsNobodysWord(t *testing.T) {
	const base = `templates:
- contactsroutes
- contactsreceivers
route: { receiver: team }
receivers:
- name: team
`
	merged, err := Merge([]byte(base), randomContacts(t, rand.New(rand.NewPCG(5, 6)), 3), testSite())
	if err != nil {
		t.Fatal(err)
	}
	cfg := loadFile(t, merged)
	want := []string{"contactsroutes", "contactsreceivers", "contacts.tmpl"}
	for i, file := range cfg.Templates {
		cfg.Templates[i] = filepath.Base(file)
	}
	if !slices.Equal(cfg.Templates, want) || len(cfg.Receivers) < 4 {
		t.Errorf("merged to\n%s", merged)
	}
}
