package sidecar

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"strings"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/docs"
	"github.com/stoker-project/stoker/internal/strictyaml"
	"github.com/stoker-project/stoker/reload"
)

// schema is a part of a JSON Schema.
type schema = map[string]any

// ConfigSchema returns the JSON Schema (draft 2020-12) of stoker.yml, for editors. Keys and types are those of [Config],
// what they mean and which are required are docs/configuration.md's. It is stricter than [LoadConfig] where that is
// kinder than an author needs: a key without a value and a text that YAML takes for a number are marked.
func ConfigSchema() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(configSchema()); err != nil {
		panic(err) // plain data
	}
	return b.Bytes()
}

func configSchema() schema {
	top := schemaOf(reflect.TypeFor[Config](), "", documentedKeys())
	maps.Copy(top, schema{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "stoker.yml",
		"description": "What stoker feeds, from where, and how it is reached.",
		"$defs":       schema{"http_config": schemaOf(reflect.TypeFor[commoncfg.HTTPClientConfig](), "", nil)},
		"anyOf":       []schema{with("prometheus"), with("alertmanager"), with("discovery")},
		"dependentSchemas": schema{
			"contacts":  schema{"anyOf": []schema{with("alertmanager"), with("discovery")}},
			"silencing": with("alertmanager"),
			"ack":       with("alertmanager"),
		},
	})
	delete(top["properties"].(schema)["alertmanager"].(schema)["properties"].(schema), "enable_features")
	return top
}

// A documentedKey is a row of the table in docs/configuration.md.
type documentedKey struct{ initial, meaning string }

var (
	keyRow       = regexp.MustCompile("(?m)^\\| `([a-z0-9_.\\[\\]]+)` \\| (.*?) ?\\| (.*?) ?\\|$")
	markdownLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// documentedKeys returns what docs/configuration.md says of each key.
func documentedKeys() map[string]documentedKey {
	keys := map[string]documentedKey{}
	for _, row := range keyRow.FindAllStringSubmatch(docs.Configuration, -1) {
		keys[row[1]] = documentedKey{row[2], markdownLink.ReplaceAllString(row[3], "$1")}
	}
	return keys
}

// httpURL is what begins a URL that a server can be reached by.
const httpURL = "^[hH][tT][tT][pP][sS]?://."

// bounds are what the validation of a section says of single values.
var bounds = map[string]schema{
	"prometheus.url":                          {"pattern": httpURL},
	"alertmanager.url":                        {"pattern": httpURL},
	"severities":                              {"uniqueItems": true},
	"discovery.networks":                      {"minItems": 1},
	"discovery.networks[].name":               {"pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
	"discovery.networks[].api":                {"minItems": 1, "items": schema{"type": "string", "pattern": httpURL}},
	"discovery.networks[].network_id":         {"pattern": "^(0x(0|[1-9a-f][0-9a-f]{0,15}))?$"},
	"discovery.networks[].ranks":              {"pattern": `^(\s*\+?\d+\s*-\s*\+?\d+\s*)?$`},
	"discovery.networks[].schedule":           {"pattern": `^(\s*(\S+\s+){4}\S+\s*)?$`, "not": schema{"pattern": "TZ="}},
	"discovery.networks[].exporters":          {"minItems": 1},
	"discovery.networks[].exporters[].name":   {"pattern": "^[a-zA-Z0-9_.-]{1,64}$"},
	"discovery.networks[].exporters[].port":   {"minimum": 1, "maximum": 65535},
	"discovery.networks[].exporters[].path":   {"pattern": "^/[^?#]*$"},
	"discovery.networks[].exporters[].scheme": {"enum": []string{"http", "https"}},
	"silencing.owner":                         {"pattern": "^[a-z0-9-]{1,63}$"},
	"routing.phone.provider":                  {"enum": []string{"sns", "twilio", "webhook"}},
	"contacts.dir":                            {"minLength": 1},
	"silencing.file":                          {"minLength": 1},
	"ack.listen_address":                      {"pattern": "^$|:"},
	"ack.labels":                              {"uniqueItems": true},
	"ack": {"dependentRequired": map[string][]string{
		"listen_address": {"external_url", "key_file"}, "previous_key_file": {"listen_address"}, "web_config_file": {"listen_address"}, "trusted_proxies": {"listen_address"},
	}},
}

// schemaOf returns the schema of what is decoded into a type.
func schemaOf(t reflect.Type, path string, keys map[string]documentedKey) schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := schema{}
	switch {
	case t == reflect.TypeFor[model.Duration]():
		// 0 is a duration without a unit.
		s = schema{"type": []string{"string", "integer"}, "pattern": `^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$`, "minLength": 1, "minimum": 0, "maximum": 0}
	case t == reflect.TypeFor[reload.FileMode]():
		s = schema{"type": []string{"string", "integer"}}
	case t == reflect.TypeFor[commoncfg.URL]():
		s = schema{"type": "string"}
	case t == reflect.TypeFor[commoncfg.TLSVersion]():
		s = schema{"enum": []string{"TLS10", "TLS11", "TLS12", "TLS13"}}
	case t.Kind() == reflect.String:
		s = schema{"type": "string"}
	case t.Kind() == reflect.Bool:
		s = schema{"type": "boolean"}
	case t.Kind() == reflect.Int:
		s = schema{"type": "integer"}
	case t.Kind() == reflect.Slice:
		s = schema{"type": "array", "items": schemaOf(t.Elem(), path+"[]", keys)}
	case t.Kind() == reflect.Map:
		s = schema{"type": "object", "additionalProperties": schemaOf(t.Elem(), path+".*", keys)}
	case t == reflect.TypeFor[commoncfg.HTTPClientConfig]() && path != "":
		s = schema{"$ref": "#/$defs/http_config"}
	case t.Kind() == reflect.Struct:
		s = objectOf(t, path, keys)
	}
	if path == "alertmanager.version" || path == "prometheus.version" {
		s["type"] = []string{"string", "number"} // 0.34 is one, and fine
	}
	maps.Copy(s, bounds[path])
	key := keys[path]
	if key.meaning != "" {
		s["description"] = key.meaning
	} else if same, ok := strings.CutPrefix(path, "alertmanager."); ok && keys["prometheus."+same].meaning != "" {
		s["description"] = strings.ReplaceAll(keys["prometheus."+same].meaning, "Prometheus", "Alertmanager")
	}
	if m := codeSpan.FindStringSubmatch(key.initial); m != nil {
		initial, v := m[1], any(nil)
		if kind := t.Kind(); (kind == reflect.Bool || kind == reflect.Slice) && yaml.Unmarshal([]byte(initial), &v) == nil {
			s["default"] = v
		} else {
			s["default"] = initial
		}
	}
	return s
}

var codeSpan = regexp.MustCompile("^`([^`]+)`$")

var requiredOr = regexp.MustCompile("^required, or `([a-z_]+)`$")

// objectOf returns the schema of a mapping that is decoded into a struct.
func objectOf(t reflect.Type, path string, keys map[string]documentedKey) schema {
	properties, required := schema{}, []string{}
	inPlaceOf := map[string][]string{} // by the key that can be given instead
	types, names, others := strictyaml.Fields(t)
	for _, name := range names {
		below := strings.TrimPrefix(path+"."+name, ".")
		properties[name] = schemaOf(types[name], below, keys)
		if keys[below].initial == "required" {
			required = append(required, name)
		}
		if m := requiredOr.FindStringSubmatch(keys[below].initial); m != nil {
			inPlaceOf[m[1]] = append(inPlaceOf[m[1]], name)
		}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if others != nil {
		s["additionalProperties"] = schemaOf(others, path+".*", keys)
	}
	if len(required) > 0 {
		s["required"] = required
	}
	for instead, fields := range inPlaceOf {
		not := []schema{}
		for _, f := range fields {
			not = append(not, with(f))
		}
		s["oneOf"] = []schema{
			{"required": fields, "not": with(instead)},
			{"required": []string{instead}, "not": schema{"anyOf": not}},
		}
	}
	return s
}

// with is the schema of what has a key.
func with(key string) schema { return schema{"required": []string{key}} }
