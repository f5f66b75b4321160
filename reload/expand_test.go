package reload_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

const mailMain = "global:\n  smtp_smarthost: $(MAIL_HOST):25\n  smtp_from: stoker@example.org\n  smtp_auth_password: $(MAIL_PASSWORD) # not $$(THIS)\nroute: { receiver: a }\nreceivers: [{ name: a }]\ntemplates: ['*.tmpl']\n"

// expanding makes an agent that publishes only and expands variables in alertmanager.yml.
func expanding(t *testing.T, main string) (*bench, *reload.Agent) {
	t.Helper()
	b := newBench(t, map[string]string{"alertmanager.yml": main, "a.tmpl": "$(MAIL_HOST)"})
	cfg := b.config("http://127.0.0.1:1")
	cfg.ExpandEnv = []string{"alertmanager.yml"}
	a, err := reload.NewAlertmanager(cfg, reload.Options{PublishOnly: true})
	must(t, err)
	return b, a
}

// Variables are put into the files that are named for it, and into no other.
func TestExpandEnv(t *testing.T) {
	t.Setenv("MAIL_HOST", "mail.example")
	t.Setenv("MAIL_PASSWORD", "scarecrow")
	b, a := expanding(t, mailMain)
	mustSync(t, a, true)
	live := b.live()
	if main := live["alertmanager.yml"]; !strings.Contains(main, "smarthost: mail.example:25\n") || !strings.Contains(main, "password: scarecrow # not $(THIS)\n") {
		t.Errorf("live is %s", main)
	}
	if live["a.tmpl"] != "$(MAIL_HOST)" {
		t.Errorf("a file that isn't named was expanded: %s", live["a.tmpl"])
	}
	source, err := os.ReadFile(filepath.Join(b.source, "alertmanager.yml"))
	if err != nil || string(source) != mailMain {
		t.Errorf("the source is %s, %v", source, err)
	}
	mustSync(t, a, false)
}

// A variable that isn't set is an error where it stands, and so is a value that would break the file; what is live
// stays.
func TestExpandEnvRefuses(t *testing.T) {
	t.Setenv("MAIL_HOST", "mail.example")
	b, a := expanding(t, mailMain)
	_, err := sync(t, a)
	want := filepath.Join(b.source, "alertmanager.yml") + ":4:23: environment variable MAIL_PASSWORD isn't set: set it where stoker runs, or write $$(MAIL_PASSWORD) for these characters themselves; no release is live yet"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
	t.Setenv("MAIL_PASSWORD", "two\nlines")
	_, err = sync(t, a)
	if err == nil || !strings.Contains(err.Error(), "alertmanager.yml:4:23: the value of environment variable MAIL_PASSWORD holds a line break") || strings.Contains(err.Error(), "two") {
		t.Errorf("error is %v", err)
	}
	t.Setenv("MAIL_PASSWORD", "scarecrow")
	mustSync(t, a, true)
}

// What was put in is kept out of messages, even where a loader quotes it; a check on a machine without the
// secrets says what it could not see, and goes on.
func TestExpandedValuesStaySecret(t *testing.T) {
	t.Setenv("MAIL_HOST", "mail.example")
	t.Setenv("MAIL_PASSWORD", "scarecrow")
	b, a := expanding(t, strings.Replace(mailMain, "receiver: a", "receiver: $(MAIL_PASSWORD)", 1))
	_, err := sync(t, a)
	if err == nil || strings.Contains(err.Error(), "scarecrow") || !strings.Contains(err.Error(), `undefined receiver "$(MAIL_PASSWORD)"`) {
		t.Errorf("error is %v", err)
	}
	must(t, os.Unsetenv("MAIL_PASSWORD"))
	b.write("alertmanager.yml", mailMain)
	_, warnings, err := a.Preview(t.Context())
	if err != nil || len(warnings) != 1 || !strings.HasSuffix(warnings[0].Error(), "alertmanager.yml:4:23: environment variable MAIL_PASSWORD isn't set here: checked as $(MAIL_PASSWORD)") {
		t.Errorf("preview says %v, %v", warnings, err)
	}
}

// Nor does a warning show them.
func TestExpandedValuesStaySecretInWarnings(t *testing.T) {
	t.Setenv("MAIL_HOST", "mail.example")
	t.Setenv("MAIL_PASSWORD", "scarecrow")
	_, a := expanding(t, mailMain+"    opsgenie_configs: []\n")
	if _, err := sync(t, a); err == nil || strings.Contains(err.Error(), "scarecrow") {
		t.Errorf("error is %v", err)
	}
	_, a = expanding(t, strings.Replace(mailMain, "smtp_auth_password:", "smtp_auth_password_file: /gone/$(MAIL_PASSWORD)\n  smtp_auth_secret:", 1))
	_, warnings, err := a.Preview(t.Context())
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Msg, `"/gone/$(MAIL_PASSWORD)" isn't here`) {
		t.Errorf("preview says %v, %v", warnings, err)
	}
}
