package routing

import (
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// schema is a part of a JSON Schema.
type schema = map[string]any

// An outline is what becomes of reading when there is no file, but the question what a file may look like. The reader
// is given a blank node in place of a value, and instead of taking it apart it notes what it would have asked of it. So
// the schema is made by the code that reads, and there is no second list of fields.
//
// The zero pointer has no nodes: that is how files are read.
type outline struct {
	of    map[*yaml.Node]schema // what is known of each blank node
	lists map[*yaml.Node]schema // the list that a blank node is the item of
}

func newOutline() *outline {
	return &outline{of: map[*yaml.Node]schema{}, lists: map[*yaml.Node]schema{}}
}

// has reports whether a node is blank.
func (o *outline) has(n *yaml.Node) bool { return o != nil && o.of[n] != nil }

// blank makes a node that s is going to be noted of.
func (o *outline) blank(s schema) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	o.of[n] = s
	return n
}

// entry returns the key and the value of a mapping with free keys.
func (o *outline) entry(n *yaml.Node) (key, value *yaml.Node) {
	names, values := schema{}, schema{}
	maps.Copy(o.of[n], schema{"type": "object", "propertyNames": names, "additionalProperties": values})
	return o.blank(names), o.blank(values)
}

// list returns the item of a list.
func (o *outline) list(n *yaml.Node) (item *yaml.Node) {
	s := schema{}
	item = o.blank(s)
	maps.Copy(o.of[n], schema{"type": "array", "items": s, "minItems": 1, "maxItems": maxItems})
	o.lists[item] = o.of[n]
	return item
}

// listOrOne returns the item of a list that may also be given as a single value.
func (o *outline) listOrOne(n *yaml.Node) (item *yaml.Node) {
	many := schema{}
	item = o.list(o.blank(many))
	o.of[n]["anyOf"] = []schema{o.of[item], many}
	return item
}

// outlineObject notes the fields of a mapping.
func (r *reader) outlineObject(n *yaml.Node, fields []field) map[string]*yaml.Node {
	at, properties := map[string]*yaml.Node{}, schema{}
	for _, f := range fields {
		s := schema{}
		properties[f.name], at[f.name] = s, r.outline.blank(s)
		f.read(at[f.name])
	}
	maps.Copy(r.outline.of[n], schema{
		"type": "object", "properties": properties, "additionalProperties": false, "patternProperties": schema{"^x-": true},
	})
	return at
}

// says notes what is asked of a value, as a keyword of JSON Schema. It does nothing while a file is read.
func (r *reader) says(n *yaml.Node, keyword string, what any) {
	if r.outline.has(n) {
		r.outline.of[n][keyword] = what
	}
}

// requires notes that a mapping must have a field.
func (r *reader) requires(n *yaml.Node, name string) {
	if r.outline.has(n) {
		required, _ := r.outline.of[n]["required"].([]string)
		r.outline.of[n]["required"] = append(required, name)
	}
}

// orNumber notes that a value may also be written as a number.
func (r *reader) orNumber(n *yaml.Node) {
	if r.outline.has(n) {
		s := r.outline.of[n]
		s["anyOf"] = []schema{{"$ref": s["$ref"]}, {"type": "integer"}}
		delete(s, "$ref")
	}
}

// unique notes that the items of a list must differ.
func (r *reader) unique(items []*yaml.Node) {
	if r.outline != nil && len(items) > 0 && r.outline.lists[items[0]] != nil {
		r.outline.lists[items[0]]["uniqueItems"] = true
	}
}

// outlineKinds notes what each kind of contact must have and must not.
func (c *contactReader) outlineKinds(root *yaml.Node) {
	c.requires(root, "kind")
	var kinds []schema
	for _, kind := range []string{Operator, Subscriber} {
		required, foreign := fieldsOf(kind)
		var not []schema
		for _, name := range foreign {
			not = append(not, with(name))
		}
		kinds = append(kinds, schema{
			"if":   schema{"properties": schema{"kind": schema{"const": kind}}},
			"then": schema{"required": required, "not": schema{"anyOf": not}},
		})
	}
	c.says(root, "allOf", kinds)
}

// outlineMethods notes what a contact method may be.
func (c *contactReader) outlineMethods(n *yaml.Node) {
	methods := schema{}
	for _, name := range slices.Sorted(slices.Values(methodNames)) {
		s := schema{}
		c.method(word(name), c.outline.blank(s))
		methods[name] = s
	}
	maps.Copy(c.outline.of[n], schema{
		"type": "object", "properties": methods, "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
	})
}

// outlineExporter notes which fields of an exporter go together.
func (c *contactReader) outlineExporter(n *yaml.Node) {
	direct := []schema{with("port"), with("path"), with("scheme")}
	c.says(n, "oneOf", []schema{
		{"required": []string{"url"}, "not": schema{"anyOf": direct}},
		{"anyOf": direct, "not": schema{"anyOf": []schema{with("url"), with("basic_auth")}}},
	})
}

// with is the schema of what has a field.
func with(name string) schema { return schema{"required": []string{name}} }
