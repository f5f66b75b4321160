package silencing

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/schematest"
)

// docs/silences.schema.json is what `stoker schema silences` prints.
func TestSchemaInDocs(t *testing.T) { schematest.InDocs(t, "silences", Schema()) }

// Every file that Parse takes is good by the schema: those that people copy, and those of the tests.
func TestSchemaTakesWhatParseTakes(t *testing.T) {
	s := schematest.Compile(t, Schema())
	texts := map[string]string{"none": "silences: []\n"}
	for _, file := range []string{"testdata/good.yml", "../examples/compose/silences.yaml", "../examples/demo/files/silences.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(data)
	}
	page, err := os.ReadFile("../docs/silences.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(page), "```yaml\n")[1:] {
		texts["docs/silences.md, example "+strconv.Itoa(i+1)], _, _ = strings.Cut(block, "```")
	}
	const rule = "silences:\n- name: a\n  matchers: ['a=\"b\"', 'severity=\"info\"']\n  comment: c\n  "
	texts["fractions of zero"] = rule + "starts_at: 2026-12-01T00:00:00.000Z\n  duration: 1d12h30m5s\n"
	texts["milliseconds"] = rule + "starts_at: 2026-12-01T00:00:00+09:00\n  duration: 2000ms\n"
	if len(texts) < 7 {
		t.Errorf("only %d files", len(texts))
	}
	for name, text := range texts {
		if err := s.Validate(t, text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		if _, err := Parse(name, []byte(text), testNow); err != nil {
			t.Errorf("%s isn't valid: %v", name, err)
		}
	}
}

// What can be said without a calendar, other rules or the meaning of a matcher is wrong in an editor already; and what
// the schema refuses, Parse does.
func TestSchemaRefusesWhatParseRefuses(t *testing.T) {
	s := schematest.Compile(t, Schema())
	rule := func(fields ...string) string {
		all := append([]string{"name: a", `matchers: ['a="b"', 'severity="info"']`, "comment: c", "ends_at: 2026-12-01T00:00:00Z"}, fields...)
		for i, f := range all { // a later field replaces a former one; one without a value leaves it out
			key, value, _ := strings.Cut(f, ":")
			later := slices.ContainsFunc(all[i+1:], func(g string) bool { return strings.HasPrefix(g, key+":") })
			if value == "" || later {
				all[i] = ""
			}
		}
		all = slices.DeleteFunc(all, func(f string) bool { return f == "" })
		return "silences:\n- " + strings.Join(all, "\n  ") + "\n"
	}
	if err := s.Validate(t, rule()); err != nil {
		t.Fatalf("%v\n%s", err, rule())
	}
	recurring := []string{`schedule: "0 1 * * *"`, "duration: 2h", "location: UTC"}
	if err := s.Validate(t, rule(recurring...)); err != nil {
		t.Fatal(err)
	}
	with := func(fields ...string) string { return rule(slices.Concat(recurring, fields)...) }
	for _, text := range []string{
		"silences:\n", "[]\n", "silence: []\n", "silences: []\nmore: 1\n", "silences: {}\n", "silences: [a]\n", "silences: [null]\n",
		rule("name:"), rule("matchers:"), rule("comment:"), rule("ends_at:"), rule("color: blue"),
		rule("name: Seoul_Disk"), rule("name: 12"), rule("name: " + strings.Repeat("a", 64)), rule(`name: ""`),
		rule("matchers: []"), rule(`matchers: a="b"`), rule("matchers: [12]"), rule(`matchers: [""]`), rule("matchers: {a: b}"),
		rule("comment: ''"), rule("comment: ' '"), rule("comment: 7"), rule("comment: 'x [stoker:a/b@once#12345678]'"), rule("comment: " + strings.Repeat("a", maxComment+1)),
		rule("created_by: ''"), rule("created_by: true"), rule("created_by: '[stoker:'"),
		rule("allow_critical: 'yes'"), rule("allow_critical: 1"), rule("on_manual_expire: never"), rule("on_manual_expire: true"),
		rule("ends_at: 2026-12-01"), rule("ends_at: 2026-12-01T00:00:00"), rule("ends_at: tomorrow"), rule("ends_at: [1]"), rule("ends_at: 2026-12-01T00:00:00.5Z"),
		rule("starts_at: 2026-11-01 00:00:00"), rule("location: UTC"), rule("duration: 2h"), rule("starts_at: 2026-11-30T00:00:00Z", "duration: 2h"),
		rule("ends_at:", "duration: 2h"), rule("ends_at:", "starts_at: 2026-11-30T00:00:00Z"),
		rule("ends_at:", "starts_at: 2026-11-30T00:00:00Z", "duration: 2 hours"), rule("ends_at:", "starts_at: 2026-11-30T00:00:00Z", "duration: 5"),
		rule("ends_at:", "starts_at: 2026-11-30T00:00:00Z", "duration: ''"), rule("ends_at:", "starts_at: 2026-11-30T00:00:00Z", "duration: 1m2h"),
		with("duration:"), with("location:"), with("ends_at:"), with("starts_at: 2026-11-30T00:00:00Z"),
		with("schedule: 5"), with("schedule: '0 1 * *'"), with("schedule: '0 1 * * * *'"), with("schedule: '@daily'"), with("schedule: 'TZ=UTC 0 1 * * *'"),
		with("location: Local"), with("location: ''"), with("location: 5"),
	} {
		if _, err := Parse("f", []byte(text), testNow); err == nil {
			t.Errorf("Parse takes it:\n%s", text)
		}
		if err := s.Validate(t, text); err == nil {
			t.Errorf("the schema takes it:\n%s", text)
		}
	}
}

// Of the files that Parse is tested to refuse, the schema may take only those whose fault it can't know.
func TestSchemaAndInvalidFiles(t *testing.T) {
	s := schematest.Compile(t, Schema())
	beyond := map[string]string{
		"invalid-alias.yml":           "aliases are YAML's",
		"invalid-anchor.yml":          "not YAML",
		"invalid-keys.yml":            "not YAML: a key twice",
		"invalid-syntax.yml":          "not YAML",
		"invalid-second-document.yml": "an editor looks at each document",
	}
	files, err := filepath.Glob("testdata/invalid-*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var n yaml.Node
		if yaml.Unmarshal(data, &n) != nil || beyond[filepath.Base(file)] != "" {
			if beyond[filepath.Base(file)] == "" {
				t.Errorf("%s isn't YAML", file)
			}
			continue
		}
		if s.ValidateNode(&n) == nil {
			t.Errorf("the schema takes %s", file)
		}
	}
}

// Every field that Parse knows is in the schema and in the documentation.
func TestSchemaHasEveryField(t *testing.T) {
	_, err := Parse("f", []byte("silences: [{x: 1}]"), testNow)
	msg := messages(t, err)
	_, list, ok := strings.Cut(strings.Join(msg, "\n"), "known: ")
	if !ok {
		t.Fatal(msg)
	}
	list, _, _ = strings.Cut(list, "\n")
	known := strings.Split(list, ", ")
	var have []string
	for name := range schema()["properties"].(object)["silences"].(object)["items"].(object)["properties"].(object) {
		have = append(have, name)
	}
	slices.Sort(known)
	slices.Sort(have)
	if d := cmp.Diff(known, have); d != "" {
		t.Error(d)
	}
	page, err := os.ReadFile("../docs/silences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range known {
		if !strings.Contains(string(page), "\n| `"+field+"` |") {
			t.Errorf("docs/silences.md doesn't say what %s means", field)
		}
	}
}
