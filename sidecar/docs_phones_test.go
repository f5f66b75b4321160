package sidecar

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/routing"
)

// What people copy from docs/phones.md works: a part of a contact, and three of stoker.yml.
func TestDocumentedPhones(t *testing.T) {
	blocks := examples(t, "docs/phones.md")
	if len(blocks) != 4 {
		t.Fatalf("%d examples", len(blocks))
	}
	contact := "kind: operator\nname: Acme\nowner: hx1\nnotification_rules: [ { notify: [oncall, desk] } ]\n" + blocks[0]
	contact = strings.Replace(contact, `{ age: "-----BEGIN AGE ENCRYPTED FILE-----…" }`, "+442079460123", 1)
	site := routing.Site{IdentityLabel: routing.DefaultIdentityLabel, Severities: routing.DefaultSeverities()}
	providers := map[string]bool{}
	for _, block := range blocks[1:] {
		file := filepath.Join(t.TempDir(), "stoker.yml")
		rest := "alertmanager: { url: 'http://a:1', source_dir: a, output_dir: b }\ncontacts: { dir: c }\n"
		if err := os.WriteFile(file, []byte(rest+block), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadConfig(file)
		if err != nil {
			t.Error(err)
			continue
		}
		site.Phone = phoneOf(cfg)
		providers[site.Phone.Provider] = true
		of := contact
		if site.Phone.Provider == routing.SNS {
			of = strings.Replace(contact, "via: [sms, voice], language: de", "via: [sms]", 1)
		}
		if _, err := routing.ParseContact("acme.yml", []byte(of), site); err != nil {
			t.Errorf("%s: %v", site.Phone.Provider, err)
		}
	}
	if len(providers) != 3 {
		t.Errorf("examples of %v", providers)
	}
}
