package reload

import (
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/discovery"
	yamlv2 "go.yaml.in/yaml/v2" // what upstream's types are made for
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// kindsType is the part of a configuration whose keys are the registered kinds of service discovery. It is no
// field with a key of its own, but is merged into the sections that have it.
var kindsType = reflect.TypeFor[discovery.Configs]()

// part is a piece of a YAML document and the Go type that it is decoded into.
type part struct {
	node *yaml.Node
	typ  reflect.Type
	// in is the key that a single entry of a service discovery list has to be decoded under.
	in string
	// alone says that it is the only entry of a list, and decoded as a list: its type knows no single ones.
	alone bool
}

// parts returns the pieces of a piece: the values of a mapping, the entries of a list. What is an alias, or is not
// decoded into a type with a name for it, has none.
func (p part) parts() (all []part) {
	t := p.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case p.alone:
	case p.node.Kind == yaml.SequenceNode && t == kindsType:
		for _, c := range p.node.Content {
			all = append(all, part{node: c, typ: t, in: p.in})
		}
	case p.node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, c := range p.node.Content {
			all = append(all, part{node: c, typ: t.Elem()})
		}
		for _, c := range p.node.Content {
			if c.Kind == yaml.ScalarNode {
				all = append(all, part{node: c, typ: t, alone: true})
			}
		}
	case p.node.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(p.node.Content); i += 2 {
			all = append(all, part{node: p.node.Content[i+1], typ: t.Elem()})
		}
	case p.node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		types, kinds := keys(t)
		for i := 0; i+1 < len(p.node.Content); i += 2 {
			key, value := p.node.Content[i].Value, p.node.Content[i+1]
			if ft, ok := types[key]; ok {
				all = append(all, part{node: value, typ: ft})
			} else if kinds && strings.HasSuffix(key, "_configs") {
				all = append(all, part{node: value, typ: kindsType, in: key})
			}
		}
	}
	return all
}

// keys returns the types of a struct's YAML keys, and whether kinds of service discovery are among them.
func keys(t reflect.Type) (types map[string]reflect.Type, kinds bool) {
	types = map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case f.Type == kindsType:
			kinds = true
		case !f.IsExported() || name == "-":
		case strings.Contains(options, "inline") && inner.Kind() == reflect.Struct:
			more, k := keys(inner)
			for n, ft := range more {
				types[n] = ft
			}
			kinds = kinds || k
		case name != "":
			types[name] = f.Type
		}
	}
	return types, kinds
}

// message decodes a piece by itself and returns what is said of it, "" if it is fine or can't stand by itself.
func (p part) message() string {
	node := p.node
	if node.Kind == yaml.AliasNode || isNull(node) {
		return ""
	}
	if p.alone {
		node = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{node}}
	}
	if p.in != "" {
		if node.Kind != yaml.SequenceNode {
			node = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{node}}
		}
		node = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: p.in}, node}}
	}
	data, err := yaml.Marshal(node)
	if err != nil {
		return "" // It holds an alias to something outside of it.
	}
	err = guard(func() error { return yamlv2.Unmarshal(data, reflect.New(p.typ).Interface()) })
	if err == nil {
		return ""
	}
	return err.Error()
}

// blame returns the smallest piece of a document that makes its decoder say exactly this: upstream's loaders keep no
// positions for what they check themselves, but a piece that they can't load alone is the piece at fault.
func blame(doc *yaml.Node, t reflect.Type, msg string) *yaml.Node {
	at := part{node: doc, typ: t}
	for {
		pieces := at.parts()
		i := slices.IndexFunc(pieces, func(p part) bool { return p.message() == msg })
		if i < 0 {
			return at.node
		}
		at = pieces[i]
	}
}

// meant returns the key that somebody probably meant who wrote an unknown one in this line, "" if that can't be told.
func meant(doc *yaml.Node, t reflect.Type, line int, key string) string {
	var find func(p part) (string, bool)
	find = func(p part) (string, bool) {
		typ := p.typ
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if p.node.Kind == yaml.MappingNode && typ.Kind() == reflect.Struct {
			for i := 0; i+1 < len(p.node.Content); i += 2 {
				if k := p.node.Content[i]; k.Line != line || k.Value != key {
					continue
				}
				types, kinds := keys(typ)
				if _, ok := types[key]; ok {
					continue
				}
				var known []string
				for name := range types {
					known = append(known, name)
				}
				if kinds {
					for _, name := range discovery.RegisteredConfigNames() {
						known = append(known, name+"_sd_configs")
					}
				}
				slices.Sort(known)
				return strictyaml.Nearest(key, known), true
			}
		}
		for _, c := range p.parts() {
			if word, ok := find(c); ok {
				return word, true
			}
		}
		return "", false
	}
	word, _ := find(part{node: doc, typ: t})
	return word
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// firstNull returns the first entry of a list that is empty, or else the first key without a value; nil if there is
// neither. Those are what the loaders crash on, or complain of without saying where.
func firstNull(doc *yaml.Node) *yaml.Node {
	var entry, val *yaml.Node
	walkNodes(doc, func(n *yaml.Node) {
		for i, c := range n.Content {
			switch {
			case n.Kind == yaml.SequenceNode && entry == nil && (isNull(c) || c.Kind == yaml.MappingNode && len(c.Content) == 0):
				entry = c
			case n.Kind == yaml.MappingNode && i%2 == 1 && val == nil && isNull(c):
				val = n.Content[i-1]
			}
		}
	})
	if entry != nil {
		return entry
	}
	return val
}
