package redact

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"

	amconfig "github.com/prometheus/alertmanager/config"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// walker puts placeholders into the two versions of a file.
type walker struct {
	differ *Differ
	types  *types
	// hidden are the nodes that hold a placeholder by now, and secrets the texts that they held.
	hidden  map[*yaml.Node]bool
	secrets map[string]bool
	// literals are all texts that may be shown; nil if there is no such limit.
	literals map[string]bool
}

// walk hides what is a secret below n, which is to be decoded into a value of type t.
func (w *walker) walk(n *yaml.Node, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n == nil:
	case w.types.hides(t):
		w.hide(n)
	case !w.types.mayHide(t):
		w.open(n)
	case n.Kind == yaml.SequenceNode && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array):
		for _, item := range n.Content {
			w.walk(item, t.Elem())
		}
	case n.Kind == yaml.MappingNode && t == reflect.TypeFor[amconfig.Receiver]() && generated(n):
		w.contact(n)
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		s := w.types.shape(t)
		w.pairs(n, func(key string, value *yaml.Node) {
			if ft, known := s.fields[key]; known {
				w.walk(value, ft)
			} else if s.rest != nil {
				w.walk(value, s.rest)
			} else {
				w.hide(value)
			}
		})
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		w.pairs(n, func(_ string, value *yaml.Node) { w.walk(value, t.Elem()) })
	default:
		w.hide(n)
	}
}

// open looks over what upstream takes for plain text.
func (w *walker) open(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		w.pairs(n, func(_ string, value *yaml.Node) { w.open(value) })
	case yaml.SequenceNode:
		for _, item := range n.Content {
			w.open(item)
		}
	case yaml.ScalarNode:
		if credentialsInURL.MatchString(n.Value) || person.MatchString(n.Value) {
			w.hide(n)
		}
	}
}

// person finds an e-mail address or an international phone number.
var person = regexp.MustCompile(`[^\s@]@[^\s@]+\.[^\s@]|\+[1-9][0-9]{6}`)

// credentialsInURL finds a user, or a parameter that is named like a secret.
var credentialsInURL = regexp.MustCompile(`(?i)://[^/?#\s]*@|[?&][^=&\s]*(pass|secret|token|key|credential|auth|sig)[^=&\s]*=`)

// The names of secrets, and endings by which a name is that of something about a secret.
var (
	secretName = regexp.MustCompile(`(?i)pass(word|wd|phrase)|secret|token|credential|authorization|(^|[_-])key$|apikey`)
	aboutName  = regexp.MustCompile(`_(file|files|url|ref|type|path)$`)
)

// pairs calls next for each pair of a mapping whose value isn't hidden for its key's name.
func (w *walker) pairs(n *yaml.Node, next func(key string, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		if secretName.MatchString(key) && !aboutName.MatchString(key) && flat(value) {
			w.hide(value)
			continue
		}
		next(key, value)
	}
}

// flat reports whether a node is a text, or a list of texts.
func flat(n *yaml.Node) bool {
	if n.Kind != yaml.SequenceNode {
		return n.Kind == yaml.ScalarNode
	}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			return false
		}
	}
	return true
}

// contactPrefix begins the names of receivers that were made of contacts.
const contactPrefix = "contact/"

func generated(receiver *yaml.Node) bool {
	for i := 0; i+1 < len(receiver.Content); i += 2 {
		if receiver.Content[i].Value == "name" && strings.HasPrefix(receiver.Content[i+1].Value, contactPrefix) {
			return true
		}
	}
	return false
}

// onlyTemplate is a text that shows a template and nothing of its own.
var onlyTemplate = regexp.MustCompile(`^\{\{ template "[a-z._]+" \. \}\}$`)

// contact hides all of a generated receiver but what is known to be harmless. Addresses of people are no secrets to
// upstream, and texts may come to hold links with a token.
func (w *walker) contact(n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch {
		case value.Kind == yaml.ScalarNode && (key == "name" || key == "send_resolved" || key == "follow_redirects" || strings.HasSuffix(key, "_file") || onlyTemplate.MatchString(value.Value)):
		case value.Kind == yaml.MappingNode && key == "http_config":
			w.contact(value)
		case value.Kind == yaml.SequenceNode && strings.HasSuffix(key, "_configs"):
			for _, integration := range value.Content {
				if integration.Kind == yaml.MappingNode {
					w.contact(integration)
				} else {
					w.hide(integration)
				}
			}
		default:
			w.hide(value)
		}
	}
}

// plainKey is a key that only a configuration's structure has.
var plainKey = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// hide puts placeholders in the place of every text below n.
func (w *walker) hide(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		w.hideText(n)
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && plainKey.MatchString(child.Value) {
			continue
		}
		w.hide(child)
	}
}

func (w *walker) hideText(n *yaml.Node) {
	if n.Value == "" || n.ShortTag() == "!!null" || w.hidden[n] {
		return
	}
	w.hidden[n], w.secrets[n.Value] = true, true
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: w.differ.placeholder(n.Value)}
}

// leastSecret is how long a secret has to be to be looked for elsewhere. Shorter ones are words that mean
// something else there.
const leastSecret = 6

// again hides texts that hold a secret where nothing says so: an anchor whose alias is a password, a token within a
// URL. With a limit to literals it hides all others too.
func (w *walker) again(versions ...*yaml.Node) {
	var pairs []string
	for secret := range w.secrets {
		if len(secret) >= leastSecret {
			pairs = append(pairs, secret, "")
		}
	}
	without := strings.NewReplacer(pairs...) // looks for thousands of texts at once
	var look func(*yaml.Node)
	look = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && (w.literals != nil && !w.literals[n.Value] || without.Replace(n.Value) != n.Value) {
			w.hideText(n)
		}
		for _, child := range n.Content {
			look(child)
		}
	}
	for _, n := range versions {
		if n != nil {
			look(n)
		}
	}
}

// document parses a version of a file and writes its aliases out, without comments; nil for one that is absent or
// empty, false for one that can't be read.
func document(data []byte) (*yaml.Node, bool) {
	doc, problems := strictyaml.Document("", data)
	if len(problems) > 0 {
		return nil, false
	}
	if doc == nil {
		return nil, true
	}
	c := copier{budget: 10*len(data) + 1000}
	n := c.copy(doc.Content[0], 0)
	return n, c.budget >= 0
}

// copier copies nodes without aliases, anchors, merges and comments.
type copier struct {
	// budget is how many nodes there may be still. A file without aliases has fewer than bytes; one that was made
	// to explode has not.
	budget int
}

// maxDepth ends an alias that leads back into itself.
const maxDepth = 500

func (c *copier) copy(n *yaml.Node, depth int) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if depth == maxDepth {
		c.budget = 0
	}
	bare := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value}
	if c.budget--; c.budget < 0 {
		return bare
	}
	for _, child := range n.Content {
		child = c.copy(child, depth+1)
		if child.Tag == "!!merge" {
			child.Tag = "!!str" // an unknown key, whose value is hidden where it could hold a secret
		}
		bare.Content = append(bare.Content, child)
	}
	return bare
}

// encode writes a document; false if the library can't.
func encode(n *yaml.Node) (data []byte, ok bool) {
	if n == nil {
		return nil, true
	}
	defer func() {
		if recover() != nil {
			data, ok = nil, false
		}
	}()
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if enc.Encode(n) != nil || enc.Close() != nil {
		return nil, false
	}
	return buf.Bytes(), true
}

// variable is $(NAME), as reload puts environment variables into files.
var variable = regexp.MustCompile(`\$\([a-zA-Z_][a-zA-Z0-9_]*\)`)

// literals returns the texts of a file before variables are put in, those with a variable left out; false if it
// can't be read then.
func literals(source []byte) (map[string]bool, bool) {
	doc, ok := document(source)
	if !ok {
		return nil, false
	}
	texts := map[string]bool{}
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && !variable.MatchString(n.Value) {
			texts[n.Value] = true
		}
		for _, child := range n.Content {
			walk(child)
		}
	}
	if doc != nil {
		walk(doc)
	}
	return texts, true
}
