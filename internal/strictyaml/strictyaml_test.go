package strictyaml_test

import (
	"go/scanner"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

type section struct {
	URL     string                     `yaml:"url"`
	Every   model.Duration             `yaml:"every"`
	Count   int                        `yaml:"count"`
	Names   []string                   `yaml:"names"`
	Nested  []struct{ Port int }       `yaml:"nested"`
	HTTP    commoncfg.HTTPClientConfig `yaml:"http_config"`
	Pointer *struct{ A string }        `yaml:"pointer"`
}

func lines(list scanner.ErrorList) string {
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.Error() + "\n")
	}
	return b.String()
}

func TestDecode(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"all well": {"url: http://x\nevery: 5m\nnames: [a]\nnested: [{port: 1}]\nhttp_config: {follow_redirects: false}\n", ""},
		"empty":    {"# nothing\n", ""},
		"near miss": {"url: x\nevry: 5m\n",
			"f.yml:2:1: field \"evry\" not known, did you mean \"every\"?\n"},
		"nothing near": {"zzzzzzzz: 1\n",
			"f.yml:1:1: field \"zzzzzzzz\" not known, known: url, every, count, names, nested, http_config, pointer\n"},
		"in a list":        {"nested:\n- prot: 1\n", "f.yml:2:3: field \"prot\" not known, did you mean \"port\"?\n"},
		"in upstream":      {"http_config:\n  basic_aut: {}\n", "f.yml:2:3: field \"basic_aut\" not known, did you mean \"basic_auth\"?\n"},
		"keys of any name": {"http_config:\n  http_headers: { X-A: { values: [b] }, X-B: { valeus: [c] } }\n", "f.yml:2:48: field \"valeus\" not known, did you mean \"values\"?\n"},
		"behind a pointer": {"pointer:\n  b: 1\n", "f.yml:2:3: field \"b\" not known, did you mean \"a\"?\n"},
		"twice":            {"url: x\nurl: y\n", "f.yml:2:1: field \"url\" is already set in line 1\n"},
		"twice by alias":   {"&u url: x\n*u : y\n", "f.yml:2:1: field \"url\" is already set in line 1\n"},
		"two documents": {"url: x\n---\nurl: y\n",
			"f.yml:2:1: second document, one file holds one document\n"},
		"not YAML":     {"url: [\n", "f.yml:2:1: did not find expected node content: a value or a closing bracket may be missing here or above\n"},
		"wrong types":  {"count: many\nnames: one\n", "f.yml:1:1: the text `many` is not a number\nf.yml:2:1: the text `one` is not a list\n"},
		"all at once":  {"cuont: 1\ncount: x\n", "f.yml:1:1: field \"cuont\" not known, did you mean \"count\"?\nf.yml:2:1: the text `x` is not a number\n"},
		"bad duration": {"every: soon\n", "f.yml:1:1: not a valid duration string: \"soon\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var s section
			_, list := strictyaml.Decode("f.yml", []byte(tt.in), &s)
			if diff := cmp.Diff(tt.want, lines(list)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What isn't YAML is said with what to do about it, where the library only has the words of its grammar.
func TestRemedies(t *testing.T) {
	for in, want := range map[string]string{
		"a:\n\tb: 1\n":             "2:2: found character that cannot start any token: indent with spaces instead of tabs, and quote a text that begins with @, ` or %",
		"a: @b\n":                  "1:1: found character that cannot start any token: indent with spaces instead of tabs, and quote a text that begins with @, ` or %",
		"a: [b,\n\tc\n\t]\n":       "2:2: found a tab character that violates indentation: indent with spaces instead of tabs",
		"a: b: c\n":                "1:1: mapping values are not allowed in this context: quote a text that holds a colon and a space, and look at the indentation",
		"a:\n  b: 1\n c: 2\n":      "3:2: did not find expected key: this line or the one above may be indented otherwise than its neighbours",
		"a:\n- b\n - c\nd: e: f\n": "4:1: mapping values are not allowed in this context: quote a text that holds a colon and a space, and look at the indentation",
		"a:\n  - b\n  c\n":         "3:3: could not find expected ':': a colon may be missing after the key, here or above",
		"a:\n  - b\n  c: d\n":      "2:5: did not find expected '-' indicator: the items of the list around here may not be indented alike",
		"a: [b\nc: d\n":            "2:1: did not find expected ',' or ']': a comma, a quote or a bracket may be missing here or above",
		"a: {b: c\n":               "2:1: did not find expected ',' or '}': a comma, a quote or a bracket may be missing here or above",
		"a: \"b\nc: d\n":           "3:1: found unexpected end of stream: a closing quote may be missing",
		"a: - b\n":                 "1:1: block sequence entries are not allowed in this context: begin a list on the line below its key",
		"a: \"\\d\"\n":             "1:1: found unknown escape character: write a backslash twice, or put the text in single quotes",
		"a: *b\n":                  "1:1: unknown anchor 'b' referenced: quote a text that begins with *",
		"a: b\nc: \x01\n":          "2:4: control characters are not allowed: remove the character",
		"a: b\nc: Acm\xe9\n":       "2:7: incomplete UTF-8 octet sequence: save the file as UTF-8",
	} {
		_, list := strictyaml.Parse("f.yml", []byte(in))
		if got := strings.TrimPrefix(strings.TrimSpace(lines(list)), "f.yml:"); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	top, list := strictyaml.Parse("f.yml", []byte("a:\n- b: 1\n- c: 2\n"))
	if len(list) > 0 {
		t.Fatal(list)
	}
	for path, line := range map[string]int{"a[1].c": 3, "a[1].missing": 3, "a[7]": 2, "": 1} {
		if got := strictyaml.Find(top, path).Line; got != line {
			t.Errorf("Find(%q) is in line %d, want %d", path, got, line)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("url: x\nnested: [{port: 1}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s section
		strictyaml.Decode("f.yml", data, &s)
	})
}

func TestWithoutURL(t *testing.T) {
	for _, bad := range []string{
		"http://user:S3CRET@[bad", "https://hooks.example/S3CRET%zz", "http://user:S3CRET/x@host", "https://h/S3CRET\x7f", "http://S3C\"RET:x y/",
		"http://user:S3C RET@host", "://S3CRET", "1http:S3CRET", "http://h:S3CRET",
	} {
		_, err := url.Parse(bad)
		if err == nil {
			t.Errorf("%q is a URL", bad)
			continue
		}
		for _, msg := range []string{err.Error(), "receivers: " + err.Error()} {
			got := strictyaml.WithoutURL(msg)
			if strings.Contains(got, "S3C") || strings.Contains(got, "RET") || !strings.Contains(got, "not a URL: ") {
				t.Errorf("%s: %s", msg, got)
			}
		}
	}
	if got := strictyaml.WithoutURL(`undefined receiver "a" used in route`); got != `undefined receiver "a" used in route` {
		t.Error(got)
	}
}
