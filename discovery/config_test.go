package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

func TestInvalidConfig(t *testing.T) {
	want := map[string]string{
		"no-networks":           `networks: must list at least one network`,
		"network-name":          `networks[0].name: must be 1 to 63 lower-case letters, digits and inner dashes, got "Main Net"`,
		"network-twice":         `networks[1].name: "a" is the name of an earlier network`,
		"no-api":                `networks[0].api: must list at least one URL, such as https://api.example.org/api/v3`,
		"network-id":            `networks[0].network_id: must be a hex number in quotes, such as "0x1", got "1"`,
		"ranks":                 `networks[0].ranks: must be two ranks such as 1-100, at most 20000, got "100-1"`,
		"schedule":              `networks[0].schedule: must be a cron expression of five fields: expected exactly 5 fields, found 4: [*/5 * * *]`,
		"schedule-never":        `networks[0].schedule: "0 0 30 2 *" never comes`,
		"schedule-zone":         `networks[0].schedule: must not name a time zone: schedules are in UTC`,
		"schedule-and-interval": `networks[0].schedule: must not be set together with refresh_interval`,
		"interval":              `networks[0].refresh_interval: must be at least 1s, got 10ms`,
		"no-exporters":          `networks[0].exporters: must list at least one exporter, such as {name: node, port: 9100}`,
		"http-config":           `at most one of basic_auth password, password_file & password_ref must be configured`,
		"deny": `deny[1]: must be an address, a network such as 8.8.8.0/24 or a hostname, got "http://prometheus.example.org:9090"
deny[3]: must be an address, a network such as 8.8.8.0/24 or a hostname, got "300.0.0.1"
deny[5]: must be an address, a network such as 8.8.8.0/24 or a hostname, got "10.0.0.0/33"`,
		"api": `networks[0].api[0]: must be an http or https URL, such as https://api.example.org/api/v3
networks[0].api[1]: must be a URL, such as https://api.example.org/api/v3
networks[0].api[2]: must not carry a user or password; write them in http_config
networks[0].api[4]: is listed already`,
		"exporter": `networks[0].exporters[0].name: must be 1 to 64 letters, digits, dots, dashes and underscores, got "a b"
networks[0].exporters[0].port: must be 1 to 65535, got 0
networks[0].exporters[0].path: must begin with / and have no query, got "metrics"
networks[0].exporters[0].scheme: must be http or https, got "ftp"
networks[0].exporters[2].port: must be 1 to 65535, got 65536
networks[0].exporters[2].path: must begin with / and have no query, got "/m?a=b"
networks[0].exporters[2].name: "x" is the name of an earlier exporter`,
	}
	files, err := filepath.Glob("testdata/invalid-*.yml")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files for %d errors, %v", len(files), len(want), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "invalid-"), ".yml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var cfg Config
			got := yaml.Unmarshal(data, &cfg) // http_config validates itself here
			if got == nil {
				_, got = New(cfg, Options{})
			}
			if got == nil {
				t.Fatal("is valid")
			}
			if diff := cmp.Diff(want[name], got.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	const minimal = `
targets_dir: targets
networks:
- name: mainnet
  api: [https://api.example.org/api/v3]
  http_config: {tls_config: {ca_file: ca.pem}}
  exporters: [{name: goloop, port: 9000}]
`
	var got Config
	if err := yaml.Unmarshal([]byte(minimal), &got); err != nil {
		t.Fatal(err)
	}
	got.SetDirectory("/etc/stoker")
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	http := promconfig.DefaultHTTPClientConfig
	http.TLSConfig.CAFile = "/etc/stoker/ca.pem"
	want := Config{
		TargetsDir: "/etc/stoker/targets",
		Networks: []Network{{
			Name:        "mainnet",
			API:         []string{"https://api.example.org/api/v3"},
			RemoveAfter: model.Duration(time.Hour),
			HTTPConfig:  http,
			Exporters:   []Exporter{{Name: "goloop", Port: 9000, Path: "/metrics", Scheme: "http"}},
		}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(promconfig.ProxyConfig{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseRanks(t *testing.T) {
	for _, s := range []string{"1-100", " 1 - 100", "1-1", "20-20000", ""} {
		if _, err := parseRanks(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"0-5", "5", "-5", "5-", "2-1", "1-20001", "a-b", "1-2-3", "0x1-0x2"} {
		if got, err := parseRanks(s); err == nil {
			t.Errorf("%q: %v, want an error", s, got)
		}
	}
}

// FuzzSchedule checks that no schedule brings down upstream's parser.
func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"", "*/5 * * * *", "TZ=", "@every 1s", "0-70 * * * *", "*/0 * * * *", "? ? ? ? ?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		schedule, err := parseSchedule(s)
		if s != "" && err == nil && schedule.Next(time.Unix(1e9, 0).UTC()).IsZero() {
			t.Errorf("%q is accepted and never comes", s)
		}
	})
}
