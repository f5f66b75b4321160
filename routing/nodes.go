package routing

import "go.yaml.in/yaml/v3"

// What this package writes, it writes as YAML nodes. Everything that comes from a person is in double
// quotes: Alertmanager reads YAML 1.1, where yes, 22:00 and 0777 are not strings.

func word(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

// template makes a text that Alertmanager executes.
func template(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.SingleQuotedStyle}
}

func number(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: s}
}

func boolean(b bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"}
	if b {
		n.Value = "true"
	}
	return n
}

func list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

// object makes a mapping of alternating keys (string) and values (*yaml.Node).
func object(pairs ...any) *yaml.Node {
	nodes := make([]yaml.Node, 1+len(pairs)/2) // the mapping and its keys, in one piece
	n, keys := &nodes[0], nodes[1:]
	*n = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: make([]*yaml.Node, 0, len(pairs))}
	for i := range keys {
		keys[i] = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: pairs[2*i].(string)}
		n.Content = append(n.Content, &keys[i], pairs[2*i+1].(*yaml.Node))
	}
	return n
}

// set adds a key to a mapping or replaces its value.
func set(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, word(key), value)
}

// get returns the value of a key of a mapping, aliases followed; a null node if there is none.
func get(n *yaml.Node, key string) *yaml.Node {
	if n = resolve(n); n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return resolve(n.Content[i+1])
			}
		}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
}

// flatten returns a copy of a mapping that can be changed: its own, not an alias or merged from others.
// The values below are shared.
func flatten(n *yaml.Node) *yaml.Node {
	n = resolve(n)
	flat := *n
	flat.Anchor = ""
	flat.Style &^= yaml.FlowStyle // what is added may be long
	flat.Content = nil
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() != "!!merge" {
			flat.Content = append(flat.Content, key, value)
			continue
		}
		if value = resolve(value); value.Kind == yaml.SequenceNode {
			merged = append(merged, value.Content...)
		} else {
			merged = append(merged, value)
		}
	}
	for _, from := range merged {
		from = flatten(from)
		for i := 0; i+1 < len(from.Content); i += 2 {
			if !has(&flat, from.Content[i].Value) {
				flat.Content = append(flat.Content, from.Content[i], from.Content[i+1])
			}
		}
	}
	return &flat
}

func has(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// extend returns a copy of a list, which may be null or an alias, with more items.
func extend(n *yaml.Node, items ...*yaml.Node) *yaml.Node {
	longer := list()
	if n = resolve(n); n.Kind == yaml.SequenceNode {
		*longer = *n
		longer.Anchor = ""
		longer.Style &^= yaml.FlowStyle
	}
	longer.Content = append(longer.Content[:len(longer.Content):len(longer.Content)], items...)
	return longer
}
