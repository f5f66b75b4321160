package routing

import (
	"crypto/sha256"
	"go/scanner"
	"go/token"
	"hash"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// The labels that routing knows, besides the identity label.
const (
	severityLabel  = "severity"
	instanceLabel  = "instance"
	networkLabel   = "network"
	componentLabel = "component"
	audienceLabel  = "audience"

	publicAudience = "public" // what subscribers may see
)

// The two kinds of contacts.
const (
	Operator   = "operator"   // is told about the alerts of its own nodes
	Subscriber = "subscriber" // is told about what concerns the network, as far as it is public
)

// A Contact is one contact file that has no problems in itself. It does not print its addresses.
type Contact struct {
	// Stem is the name of the file without .yml; it names the contact in everything generated.
	Stem string
	// File is the file it was read from.
	File string
	// Kind is Operator or Subscriber.
	Kind string
	// Name is for people.
	Name string
	// Owners are the values of the identity label whose alerts an operator is told about.
	Owners []string
	// Networks limit an operator to these values of the network label; empty means all.
	Networks []string
	// Exporters are what an operator says about exporters of its nodes, without their passwords.
	Exporters []Exporter
	// Warnings are not wrong, but hardly meant.
	Warnings scanner.ErrorList

	location      string
	methods       []contactMethod
	rules         []rule
	subscriptions []subscription
	quietHours    []quietHours
	tests         []declaredTest
	leaves        []leaf
	closed        bool // some values are not at hand
	held          bool // as an earlier release has it
	sum           [sha256.Size]byte

	// Where Owners and Networks stand, in their order, and location.
	ownersAt, networksAt []token.Position
	locationAt           token.Position
}

// A contactMethod is a way to reach the contact, under the name that the contact gave it.
type contactMethod struct {
	name string
	kind string // such as email
	key  *yaml.Node
	method
}

// A contactReader reads one contact file.
type contactReader struct {
	reader
	site    Site
	contact *Contact
	sum     hash.Hash
}

// hash makes text part of what the contact is compared by.
func (c *contactReader) hash(text string) {
	c.sum.Write([]byte(text))
	c.sum.Write([]byte{0})
}

const maxContactFile = 64 << 10

// ParseContact reads one contact file. A problem in it is a scanner.ErrorList with all of them.
func ParseContact(file string, data []byte, site Site) (*Contact, error) {
	c := contactReader{
		reader:  reader{file: file},
		site:    site,
		contact: &Contact{Stem: stem(file), File: file},
		sum:     sha256.New(),
	}
	if !wordPattern.MatchString(c.contact.Stem) || filepath.Ext(file) != ".yml" {
		c.fail(&yaml.Node{}, "file name must match [a-z0-9-]+.yml")
		return nil, c.problems.Err()
	}
	if len(data) > maxContactFile {
		c.fail(&yaml.Node{}, "is larger than %d KiB", maxContactFile>>10)
		return nil, c.problems.Err()
	}
	c.hash(string(data))
	if doc := c.document(data); doc != nil {
		c.read(doc.Content[0])
		takeApart(doc)
	}
	if c.problems.Len() > 0 {
		c.problems.Sort()
		return nil, slices.CompactFunc(c.problems, func(a, b *scanner.Error) bool { return *a == *b })
	}
	c.sum.Sum(c.contact.sum[:0])
	return c.contact, nil
}

// takeApart separates the nodes of a document: a contact keeps some of them for their places, and each would keep all that
// is below it in memory for as long as the contact is known.
func takeApart(n *yaml.Node) {
	for _, child := range n.Content {
		takeApart(child)
	}
	n.Content = nil
}

// stem returns the name of a contact file without folder and extension.
func stem(file string) string {
	base := path.Base(filepath.ToSlash(file))
	return strings.TrimSuffix(base, path.Ext(base))
}

func (c *contactReader) read(root *yaml.Node) {
	contact := c.contact
	contact.location = "UTC"
	at := c.object(root,
		field{"kind", func(n *yaml.Node) { contact.Kind = c.oneOf(n, "kind", []string{Operator, Subscriber}) }},
		field{"name", func(n *yaml.Node) { contact.Name = c.short(n) }},
		field{"owner", func(n *yaml.Node) {
			items := c.listOrOne(n)
			contact.Owners, contact.ownersAt = c.words(items, ownerPattern, ownerRule), c.positions(items)
		}},
		field{"networks", func(n *yaml.Node) {
			items := c.list(n)
			contact.Networks, contact.networksAt = c.words(items, wordPattern, "[a-z0-9-]+"), c.positions(items)
		}},
		field{"location", c.readLocation},
		field{"contact_methods", c.readMethods},
		field{"notification_rules", c.readRules},
		field{"subscriptions", c.readSubscriptions},
		field{"quiet_hours", c.readQuietHours},
		field{"exporters", c.readExporters},
		field{"tests", c.readTests},
	)
	if c.outline.has(root) {
		c.outlineKinds(root)
		return
	}
	if at["kind"] == nil {
		if resolve(root).Kind == yaml.MappingNode {
			c.fail(root, `field "kind" is missing, add kind: operator or kind: subscriber`)
		}
		return
	}
	if contact.Kind != "" {
		required, foreign := fieldsOf(contact.Kind)
		for _, name := range required {
			if at[name] == nil {
				c.fail(root, "field %q is missing, a contact of kind %s needs it", name, contact.Kind)
			}
		}
		for _, name := range foreign {
			if at[name] != nil {
				c.fail(at[name], "field %q is not for a contact of kind %s", name, contact.Kind)
			}
		}
	}
	if contact.Kind == Operator && at["exporters"] != nil {
		c.checkOwners(at["exporters"])
	}
	c.link()
	if c.problems.Len() == 0 {
		contact.leaves = c.plan(root)
		c.lintRules()
	}
}

// fieldsOf returns which fields a contact of some kind must have, and which are not for it.
func fieldsOf(kind string) (required, foreign []string) {
	if kind == Subscriber {
		return []string{"name", "contact_methods", "subscriptions"},
			[]string{"owner", "networks", "notification_rules", "quiet_hours", "exporters"}
	}
	return []string{"name", "owner", "contact_methods", "notification_rules"}, []string{"subscriptions"}
}

// An owner stands inside a quoted matcher, so it holds nothing that needs an escape there.
var ownerPattern = regexp.MustCompile(`^[^"\\{}]{1,128}$`)

const ownerRule = `1 to 128 characters without quotes, backslashes and braces`

// words reads a list of different words.
func (c *contactReader) words(items []*yaml.Node, pattern *regexp.Regexp, rule string) []string {
	var words []string
	c.unique(items)
	for _, n := range items {
		w := c.word(n, pattern, rule)
		if slices.Contains(words, w) {
			c.fail(n, "%q is listed twice", w)
		}
		if w != "" {
			words = append(words, w)
		}
	}
	return words
}

// positions returns where the items of a list stand.
func (c *contactReader) positions(items []*yaml.Node) []token.Position {
	all := make([]token.Position, len(items))
	for i, n := range items {
		all[i] = position(c.file, n)
	}
	return all
}

// oneOf reads one of a few known words.
func (c *contactReader) oneOf(n *yaml.Node, what string, known []string) string {
	if known == nil {
		c.says(n, "pattern", severityName.String()) // there is no site that would say which severities there are
	} else {
		c.says(n, "enum", known)
	}
	s := c.text(n)
	if s != "" && !slices.Contains(known, s) {
		c.fail(n, "%s %q not known%s", what, s, strictyaml.DidYouMean(s, known))
		return ""
	}
	return s
}

// A location has the name that the time zone database gives it. Others lead to a file on some machines only: localtime,
// posix/Europe/Berlin, Europe//Berlin. An Alertmanager that lacks it would refuse the release, and so everybody's changes.
var locationPattern = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*$`)

func (c *contactReader) readLocation(n *yaml.Node) {
	c.says(n, "pattern", locationPattern.String())
	c.says(n, "not", schema{"const": "Local"})
	name := c.text(n)
	if name == "" {
		return
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" || !locationPattern.MatchString(name) {
		c.fail(n, "time zone %q not known, use a name such as Europe/Berlin", name)
		return
	}
	c.contact.location, c.contact.locationAt = name, position(c.file, n)
}

// isName checks the name that a contact gives to something of its own.
func (c *contactReader) isName(key *yaml.Node) bool {
	c.says(key, "pattern", wordPattern.String())
	c.says(key, "maxLength", maxName)
	switch {
	case c.outline.has(key):
	case len(key.Value) > maxName:
		c.fail(key, "a name must not be longer than %d characters", maxName)
		return false
	case !wordPattern.MatchString(key.Value):
		c.fail(key, "%q must match [a-z0-9-]+", key.Value)
		return false
	}
	return true
}

// maxName is how many characters a name may have: it stands beside those of others in tables and pages.
const maxName = 100

// short returns a text that is a name.
func (c *contactReader) short(n *yaml.Node) string {
	c.says(n, "maxLength", maxName)
	s := c.text(n)
	if utf8.RuneCountInString(s) > maxName {
		c.wrong(n, "must not be longer than %d characters", maxName)
		return ""
	}
	return s
}

func (c *contactReader) readMethods(n *yaml.Node) {
	c.says(n, "minProperties", 1)
	for key, value := range c.named(n, "mail: { email: … }") {
		if !c.isName(key) {
			continue
		}
		m := contactMethod{name: key.Value, key: key}
		count := 0
		if c.outline.has(value) {
			c.outlineMethods(value)
			continue
		}
		c.within(key.Value, func() {
			for kind, settings := range c.entries(value, "email: { to: … }") {
				count++
				m.kind = kind.Value
				c.within(kind.Value, func() { m.method = c.method(kind, settings) })
			}
			if count > 1 {
				c.wrong(value, "must be one method, give each a name of its own under contact_methods")
			} else if m := resolve(value); count == 0 && m.Kind == yaml.MappingNode {
				c.wrong(value, "must not be empty")
			}
		})
		c.contact.methods = append(c.contact.methods, m)
	}
	if m := resolve(n); m.Kind == yaml.MappingNode && len(m.Content) == 0 {
		c.wrong(n, "must not be empty")
	}
}
