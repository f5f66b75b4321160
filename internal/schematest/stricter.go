package schematest

import (
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// NeverStricter holds that whatever the schema refuses, load does too. It tries a document that both take with each of others in
// place of any of its values, with another key in place of any, and without any of its entries. It returns how many of these
// both refuse, and how many load alone does.
func (s Schema) NeverStricter(t testing.TB, source string, others []*yaml.Node, load func(data []byte) error) (both, loadOnly int) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(source), &doc); err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	try := func() {
		t.Helper()
		data, err := yaml.Marshal(&doc)
		if err != nil {
			t.Fatal(err)
		}
		var again yaml.Node
		if yaml.Unmarshal(data, &again) != nil {
			return // what the library writes, it can't always read
		}
		loadErr, schemaErr := load(data), s.ValidateNode(&again)
		switch {
		case schemaErr != nil && loadErr == nil:
			t.Fatalf("it loads, and the schema says %v\n%s", schemaErr, data)
		case schemaErr != nil:
			both++
		case loadErr != nil:
			loadOnly++
		}
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		content := n.Content
		for i, child := range content {
			isKey := n.Kind == yaml.MappingNode && i%2 == 0
			if isKey {
				n.Content = slices.Concat(content[:i], content[i+2:])
				try()
				n.Content = slices.Clone(content)
				n.Content[i] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "y", Style: yaml.DoubleQuotedStyle}
				try()
			} else {
				for _, other := range others {
					n.Content = slices.Clone(content)
					n.Content[i] = other
					try()
				}
			}
			n.Content = content
			if !isKey {
				walk(child)
			}
		}
	}
	walk(&doc)
	return both, loadOnly
}
