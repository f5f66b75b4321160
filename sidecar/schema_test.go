package sidecar

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/schematest"
)

// docs/config.schema.json is what `stoker schema config` prints.
func TestConfigSchemaInDocs(t *testing.T) { schematest.InDocs(t, "config", ConfigSchema()) }

// loads reports whether LoadConfig takes a text.
func loads(t *testing.T, text string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stoker.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadConfig(file)
	return err
}

const everyKey = `
prometheus:
  url: https://prometheus.example/prefix
  source_dir: prometheus
  output_dir: out/prometheus
  expand_env: [prometheus.yml]
  file_mode: 0644
  version: 3.15.0
  enable_features: [promql-experimental-functions]
  settle: 0s
  rescan_interval: 1m
  reload_timeout: 1h30m
  http_config:
    basic_auth: { username: stoker, password_file: pw }
    tls_config: { ca_file: ca.pem, min_version: TLS12, insecure_skip_verify: true }
    http_headers: { X-Scope: { values: [a], secrets: [b] } }
    proxy_url: http://proxy.example
    proxy_connect_header: { A: [b] }
    follow_redirects: false
alertmanager:
  url: http://127.0.0.1:9093
  config_file: alertmanager.yml
  version: 0.34.2
identity_label: operator
severities: [low, high]
discovery:
  targets_dir: targets
  deny: [10.0.0.0/8]
  networks:
  - name: mainnet
    api: [https://ctz.example/api/v3]
    network_id: "0x1"
    ranks: 1-100
    schedule: "*/5 * * * *"
    remove_after: 0
    allow_private: true
    exporters: [ { name: goloop, port: 9000, path: /metrics, scheme: https } ]
silencing: { file: silences.yaml, owner: team }
ack: { max_duration: 8h, labels: [alertname, severity, operator] }
state_dir: state
`

// Every file that people copy, and that the tests of the command run with, is good by the schema.
func TestConfigSchemaTakesWhatLoads(t *testing.T) {
	s := schematest.Compile(t, ConfigSchema())
	texts := map[string]string{"every key": everyKey, "README.md": examples(t, "README.md")[0], "docs/ack.md": ackExample(t)}
	err := filepath.WalkDir("../examples", func(file string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "stoker") && filepath.Ext(file) == ".yml" && !strings.Contains(file, "/rules/") {
			var data []byte
			data, err = os.ReadFile(file)
			if !strings.Contains(string(data), "{{") { // a template of one
				texts[file] = string(data)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	scripts, _ := filepath.Glob("../cmd/stoker/testdata/*.txtar")
	for _, file := range scripts {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if filepath.Ext(f.Name) == ".yml" && loads(t, string(f.Data)) == nil {
				texts[file+", "+f.Name] = string(f.Data)
			}
		}
	}
	if len(texts) < 8 {
		t.Errorf("only %d files", len(texts))
	}
	for name, text := range texts {
		if err := loads(t, text); err != nil {
			t.Errorf("%s isn't valid: %v", name, err)
		}
		if err := s.Validate(t, text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// With anything but a null, a number or a boolean in place of any value, or with a key left out, what the schema refuses
// doesn't load.
func TestConfigSchemaIsNotStricter(t *testing.T) {
	s := schematest.Compile(t, ConfigSchema())
	text := func(s string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
	}
	node := func(kind yaml.Kind, content ...*yaml.Node) *yaml.Node {
		return &yaml.Node{Kind: kind, Content: content}
	}
	others := []*yaml.Node{
		text("x"), text("5m"), text("http://x"), text("/x"), text("1-2"), text("0x2"), text("X Y"),
		node(yaml.MappingNode), node(yaml.SequenceNode), node(yaml.SequenceNode, text("x")), node(yaml.MappingNode, text("x"), text("y")),
	}
	both, loadOnly := 0, 0
	for _, source := range []string{everyKey, examples(t, "README.md")[0], ackExample(t)} {
		b, l := s.NeverStricter(t, source, others, func(data []byte) error { return loads(t, string(data)) })
		both, loadOnly = both+b, loadOnly+l
	}
	if both < 300 || both < 3*loadOnly {
		t.Errorf("of %d bad files, the schema refuses only %d", both+loadOnly, both)
	}
}

// What can be said of each key alone, and of which go together, is wrong in an editor already.
func TestConfigSchemaRefuses(t *testing.T) {
	s := schematest.Compile(t, ConfigSchema())
	for _, edit := range [][2]string{
		{"url: https://prometheus.example/prefix", "url: prometheus.example"},
		{"  url: http://127.0.0.1:9093\n", ""},
		{"source_dir: prometheus", "source_dri: prometheus"},
		{"  source_dir: prometheus\n", ""},
		{"  output_dir: out/prometheus", "  output_dir: out/prometheus\n  config_file: prometheus.yml"},
		{"config_file: alertmanager.yml", "config_file: alertmanager.yml\n  enable_features: [x]"},
		{"expand_env: [prometheus.yml]", "expand_env: prometheus.yml"},
		{"settle: 0s", "settle: soon"},
		{"settle: 0s", "settle: 5"},
		{"username: stoker", "usrname: stoker"},
		{"TLS12", "TLS9"},
		{"values: [a]", "valeus: [a]"},
		{"follow_redirects: false", "follow_redirects: [no]"},
		{"severities: [low, high]", "severities: [low, low]"},
		{"name: mainnet", "name: Main"},
		{"api: [https://ctz.example/api/v3]", "api: []"},
		{"https://ctz.example", "ctz.example"},
		{`"0x1"`, `"1"`},
		{"ranks: 1-100", "ranks: all"},
		{"*/5 * * * *", "@daily"},
		{"*/5 * * * *", "TZ=UTC * * * * *"},
		{"port: 9000", "port: 0"},
		{"port: 9000", "port: http"},
		{"path: /metrics", "path: metrics"},
		{"scheme: https", "scheme: ftp"},
		{"{ name: goloop, port: 9000, path: /metrics, scheme: https }", ""},
		{"owner: team", "owner: The Team"},
		{", owner: team", ""},
		{"state_dir: state", "state_dir: [state]"},
		{"state_dir: state", "contacts: {}"},
		{"max_duration: 8h", "max_duration: soon"},
		{"max_duration: 8h", "listen_address: ':9097'"},
		{"max_duration: 8h", "trusted_proxies: [10.0.0.0/8]"},
		{"[alertname, severity, operator]", "[alertname, severity, operator, severity]"},
	} {
		if !strings.Contains(everyKey, edit[0]) {
			t.Fatal(edit[0])
		}
		text := strings.Replace(everyKey, edit[0], edit[1], 1)
		if loads(t, text) == nil {
			t.Errorf("it loads with %q", edit[1])
		}
		if s.Validate(t, text) == nil {
			t.Errorf("the schema takes %q", edit[1])
		}
	}
	for _, text := range []string{
		"{}\n", "[]\n", "state_dir: x\n", "contacts: { dir: x }\n", "silencing: { file: a, owner: b }\n",
		"prometheus: { url: 'http://x', source_dir: a, output_dir: b }\nsilencing: { file: a, owner: b }\n",
		"prometheus: { url: 'http://x', source_dir: a, output_dir: b }\ncontacts: { dir: b }\n",
		"discovery: { networks: [] }\n",
	} {
		if loads(t, text) == nil {
			t.Errorf("it loads:\n%s", text)
		}
		if s.Validate(t, text) == nil {
			t.Errorf("the schema takes:\n%s", text)
		}
	}
}

// Every key has a type and says what it means; those of http_config are Prometheus' own.
func TestConfigSchemaIsComplete(t *testing.T) {
	var walk func(s schema, path string)
	walk = func(s schema, path string) {
		if s["type"] == nil && s["$ref"] == nil {
			t.Errorf("%q can be anything: say in schemaOf what its type is decoded from", path)
		}
		if items, ok := s["items"].(schema); ok {
			walk(items, path+"[]")
		}
		properties, _ := s["properties"].(schema)
		for name, inner := range properties {
			below := strings.TrimPrefix(path+"."+name, ".")
			if inner.(schema)["description"] == nil {
				t.Errorf("%q has no description", below)
			}
			walk(inner.(schema), below)
		}
	}
	top := configSchema()
	walk(top, "")
	for path := range bounds {
		at := top
		for _, step := range strings.Split(path, ".") {
			name, list := strings.CutSuffix(step, "[]")
			at, _ = at["properties"].(schema)[name].(schema)
			if list {
				at, _ = at["items"].(schema)
			}
			if at == nil {
				t.Fatalf("bounds of %q, which isn't a key", path)
			}
		}
	}
}
