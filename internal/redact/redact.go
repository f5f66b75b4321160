package redact

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	amconfig "github.com/prometheus/alertmanager/config"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/rogpeppe/go-internal/diff"
	"go.yaml.in/yaml/v3"
)

// Kind is what a file is, and so what of it may be shown.
type Kind int

const (
	Opaque        Kind = iota // anything else: only its size
	Prometheus                // prometheus.yml
	ScrapeConfigs             // a file of scrape_config_files
	Rules                     // a file of rule_files
	Alertmanager              // alertmanager.yml
)

// root is the type that upstream decodes a file into; nil for an opaque one.
func (k Kind) root() reflect.Type {
	switch k {
	case Prometheus:
		return reflect.TypeFor[promconfig.Config]()
	case ScrapeConfigs:
		return reflect.TypeFor[promconfig.ScrapeConfigs]()
	case Rules:
		return reflect.TypeFor[rulefmt.RuleGroups]()
	case Alertmanager:
		return reflect.TypeFor[amconfig.Config]()
	}
	return nil
}

// File is one file of two releases.
type File struct {
	// Name is the path in both of them.
	Name string
	Kind Kind
	// Before and After are its versions; nil where there is none.
	Before, After []byte
	// Source is the text that After was made of, where environment variables were put in; nil where not.
	Source []byte
}

// Differ makes diffs. Its zero value isn't usable: see [New].
type Differ struct {
	// key is what secrets are compared under, and mark begins what stands for them meanwhile. Both are random: no
	// file can hold what looks like it.
	key   []byte
	mark  string
	marks *regexp.Regexp
	types *types
}

// New returns a Differ with a key of its own, which it forgets.
func New() *Differ {
	mark := "secret-" + strings.ToLower(rand.Text()) + "-"
	return &Differ{
		key: []byte(rand.Text()), mark: mark, marks: regexp.MustCompile(mark + `[0-9a-f]{32}`),
		types: newTypes(),
	}
}

// Diff returns the difference between the two versions of a file in the unified format, with three lines of
// context. Where none can be shown it is empty, and note says why, or what can be said; both are empty if the
// versions are the same.
func (d *Differ) Diff(f File) (text, note string) {
	if bytes.Equal(f.Before, f.After) && (f.Before == nil) == (f.After == nil) {
		return "", ""
	}
	before, after, ok := d.shown(f)
	if !ok {
		return "", sizes(f)
	}
	from, to := "live/"+f.Name, "planned/"+f.Name
	if f.Before == nil {
		from = "/dev/null"
	}
	if f.After == nil {
		to = "/dev/null"
	}
	// The first line is the command that would show the same.
	_, text, _ = strings.Cut(string(diff.Diff(from, before, to, after)), "\n")
	if text == "" {
		return "", "only comments or its layout differ"
	}
	return d.number(text), ""
}

// small files can be passwords, of which the length is not told either.
const small = 1 << 8

func sizes(f File) string {
	switch {
	case max(len(f.Before), len(f.After)) < small:
		return "not shown"
	case f.Before == nil:
		return fmt.Sprintf("not shown, %d bytes", len(f.After))
	case f.After == nil:
		return fmt.Sprintf("not shown, %d bytes", len(f.Before))
	}
	return fmt.Sprintf("not shown, %d bytes, was %d", len(f.After), len(f.Before))
}

// shown returns both versions as they may be shown, with placeholders for secrets; false if they may not.
func (d *Differ) shown(f File) (before, after []byte, ok bool) {
	root := f.Kind.root()
	if root == nil {
		return nil, nil, false
	}
	w := &walker{differ: d, types: d.types, hidden: map[*yaml.Node]bool{}, secrets: map[string]bool{}}
	if f.Source != nil {
		if w.literals, ok = literals(f.Source); !ok {
			return nil, nil, false
		}
	}
	from, ok1 := document(f.Before)
	to, ok2 := document(f.After)
	if !ok1 || !ok2 {
		return nil, nil, false
	}
	if w.literals == nil && !d.types.mayHide(root) {
		return f.Before, f.After, true
	}
	w.walk(from, root)
	w.walk(to, root)
	w.again(from, to)
	before, ok1 = encode(from)
	after, ok2 = encode(to)
	return before, after, ok1 && ok2
}

// placeholder stands for a secret until the diff is made. Equal secrets have equal ones.
func (d *Differ) placeholder(secret string) string {
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(secret))
	return d.mark + hex.EncodeToString(mac.Sum(nil)[:16])
}

// number puts <secret> in the place of the placeholders, and <secret 1>, <secret 2>, … in lines that were taken out
// or put in if there are some on both sides.
func (d *Differ) number(text string) string {
	numbers := map[string]int{}
	sides := map[byte]bool{}
	for line := range strings.Lines(text) {
		if line[0] == '+' || line[0] == '-' {
			for _, p := range d.marks.FindAllString(line, -1) {
				sides[line[0]] = true
				if numbers[p] == 0 {
					numbers[p] = len(numbers) + 1
				}
			}
		}
	}
	return d.marks.ReplaceAllStringFunc(text, func(p string) string {
		if n := numbers[p]; n > 0 && len(sides) == 2 {
			return fmt.Sprintf("<secret %d>", n)
		}
		return "<secret>"
	})
}
