package sidecar

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"

	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/silencing"
)

// docs/configuration.md lists every key of stoker.yml, and none that isn't one.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.\\[\\]]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = true
	}
	known := map[string]bool{}
	keys(reflect.TypeFor[Config](), "", known)
	for k := range known {
		if !documented[k] {
			t.Errorf("%s is not documented", k)
		}
	}
	for k := range documented {
		if !known[k] {
			t.Errorf("%s is documented and isn't a key", k)
		}
	}
}

func keys(t reflect.Type, prefix string, into map[string]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice && strings.HasSuffix(prefix, ".") {
			prefix = strings.TrimSuffix(prefix, ".") + "[]."
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[commoncfg.HTTPClientConfig]() {
		return
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		into[prefix+name] = true
		keys(t.Field(i).Type, prefix+name+".", into)
	}
}

// examples returns the YAML blocks of a page.
func examples(t *testing.T, page string) []string {
	t.Helper()
	data, err := os.ReadFile("../" + page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// What people copy from the documentation works.
func TestDocumentedExamples(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	readme := examples(t, "README.md")
	if _, err := LoadConfig(write("stoker.yml", readme[0])); err != nil {
		t.Errorf("README.md: %v", err)
	}
	if _, err := promconfig.Load("scrape_configs:\n"+readme[1], promslog.NewNopLogger()); err != nil {
		t.Errorf("README.md: %v", err)
	}
	for _, job := range examples(t, "docs/network.md") {
		if _, err := promconfig.Load("scrape_configs:\n"+job, promslog.NewNopLogger()); err != nil {
			t.Errorf("docs/network.md: %v", err)
		}
	}
	site := routing.Site{IdentityLabel: routing.DefaultIdentityLabel, Severities: routing.DefaultSeverities()}
	contacts := examples(t, "docs/contacts.md")
	if len(contacts) != 3 {
		t.Errorf("docs/contacts.md has %d examples", len(contacts))
	}
	parts := append(examples(t, "docs/exporters.md"), contacts[1])
	for _, tests := range examples(t, "docs/who.md") { // in the place of those of the example
		before, _, _ := strings.Cut(contacts[0], "tests:")
		contacts = append(contacts, before+tests)
	}
	contacts = slices.Delete(contacts, 1, 2)
	for _, part := range parts { // of an operator's file
		contacts = append(contacts, contacts[0]+part)
	}
	for _, c := range contacts {
		if _, err := routing.ParseContact("acme.yml", []byte(c), site); err != nil {
			t.Error(err)
		}
	}
	before := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for _, s := range examples(t, "docs/silences.md") {
		if _, err := silencing.Parse("docs/silences.md", []byte(s), before); err != nil {
			t.Error(err)
		}
	}
}

// ackExample is the stoker.yml of docs/ack.md.
func ackExample(t *testing.T) string {
	t.Helper()
	blocks := examples(t, "docs/ack.md")
	if len(blocks) == 0 {
		t.Fatal("docs/ack.md has no example")
	}
	return blocks[0]
}
