package sidecar

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	commoncfg "github.com/prometheus/common/config"
)

// docs/configuration.md lists every key of stoker.yml, and none that isn't one.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.\\[\\]]+)` \\|").FindAllStringSubmatch(string(page), -1) {
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
