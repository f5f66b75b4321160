package sidecar

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each mistake in the section ack is said at its line, with what would be right.
func TestAckConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stoker.yml")
	const page = "listen_address: ':9097', external_url: 'https://hush.example.org', key_file: key"
	long := "https: over plain http, links could be read on their way and browsers don't say what the page needs to know; TLS is a proxy's, or web_config_file's"
	for ack, want := range map[string]string{
		"{}":                    "",
		"{ " + page + " }":      "",
		"{ max_duration: 8h }":  "",
		"{ max_duration: 29m }": `:3:22: ack.max_duration: 29m must be from 30m to 7d: what lasts longer belongs in silences.yaml`,
		"{ max_duration: 8d }":  `:3:22: ack.max_duration: 8d must be from 30m to 7d: what lasts longer belongs in silences.yaml`,
		"{ " + page + ", max_duration: 7d, labels: [alertname, severity, prep, device], trusted_proxies: [10.0.0.0/8, '::1'], web_config_file: web.yml, previous_key_file: old }": "",
		"{ listen_address: ':9097' }": ":3:6: ack.external_url: missing, it is where phones reach listen_address, such as https://hush.example.org\n" +
			":3:6: ack.key_file: missing, it holds what links are made with: head -c 32 /dev/urandom | base64 makes a good one",
		"{ key_file: key }": ":3:18: ack.key_file: is for the page, which needs listen_address, such as :9097",
		"{ " + strings.Replace(page, ":9097", "9097", 1) + " }":                                        ":3:24: ack.listen_address: \"9097\" must be host:port, such as :9097",
		"{ " + strings.Replace(page, "https://hush.example.org", "hush.example.org", 1) + " }":         `:3:47: ack.external_url: "hush.example.org" must be a URL, such as https://hush.example.org`,
		"{ " + strings.Replace(page, "https:", "http:", 1) + " }":                                      ":3:47: ack.external_url: must be " + long,
		"{ " + strings.Replace(page, "https://hush.example.org", "http://127.0.0.1:9097/a/", 1) + " }": "",
		"{ " + strings.Replace(page, "https://hush.example.org", "http://localhost:9097", 1) + " }":    "",
		"{ " + strings.Replace(page, "example.org", "example.org/?a=b", 1) + " }":                      ":3:47: ack.external_url: must have no user, query or fragment",
		"{ " + strings.Replace(page, "hush.", "me:secret@hush.", 1) + " }":                             ":3:47: ack.external_url: must have no user, query or fragment",
		"{ " + strings.Replace(page, "example.org", "example.org/{stem}", 1) + " }":                    `:3:47: ack.external_url: its path "/{stem}" must be of letters, digits and -._~ only`,
		"{ " + strings.Replace(page, "example.org", "example.org/a/../b", 1) + " }":                    `:3:47: ack.external_url: its path "/a/../b" must be of letters, digits and -._~ only`,
		"{ " + page + ", previous_key_file: key }":                                                     ":3:109: ack.previous_key_file: is key_file itself: move the key before to a file of its own",
		"{ " + page + ", trusted_proxies: [nginx] }":                                                   `:3:108: ack.trusted_proxies[0]: "nginx" must be an address or a network, such as 10.0.0.0/8`,
		"{ labels: [alertname, alertname, severity, prep] }":                                           `:3:28: ack.labels[1]: "alertname" is listed twice`,
		"{ labels: [instance] }": ":3:16: ack.labels: must list alertname, or other alerts would be hushed too\n" +
			":3:16: ack.labels: must list prep, or the alerts of others would be hushed too\n" +
			":3:16: ack.labels: must list severity, or the critical sibling would be hushed too",
		"{ kye_file: key }": `:3:8: field "kye_file" not known, did you mean "key_file"?`,
	} {
		source := "alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\ncontacts: { dir: c }\nack: " + ack + "\n"
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(file)
		var got []string
		for _, e := range listOf(err) {
			got = append(got, strings.TrimPrefix(e.Error(), file))
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s:\ngot  %s\nwant %s", ack, strings.Join(got, "\n"), want)
		}
	}
	for source, want := range map[string]string{
		"prometheus: { url: 'http://a:1', source_dir: a, output_dir: b }\nack: {}\n":                                                              ":2:6: ack: needs the section alertmanager, where the silences are kept",
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\nack: {}\n":                                                            "",
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\nack: { " + page + " }\n":                                              ":2:6: ack: needs the section contacts: the links to its page are in their notifications",
		"alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\nidentity_label: node\nack: { labels: [alertname, severity, prep] }\n": ":3:16: ack.labels: must list node, or the alerts of others would be hushed too",
	} {
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := LoadConfig(file); err != nil {
			got = strings.TrimPrefix(err.Error(), file)
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", source, got, want)
		}
	}
}

// What isn't said of hushes is what is best for most.
func TestHushConfig(t *testing.T) {
	c := hushConfig(&Config{IdentityLabel: "node"})
	if !slices.Equal(c.Labels, []string{"alertname", "severity", "node", "network", "instance"}) || c.MaxDuration != 24*time.Hour {
		t.Errorf("%+v", c)
	}
	c = hushConfig(&Config{Ack: &AckConfig{MaxDuration: 3600e9, Labels: []string{"a"}}})
	if fmt.Sprint(c) != "{[a] 1h0m0s}" {
		t.Errorf("%+v", c)
	}
}
