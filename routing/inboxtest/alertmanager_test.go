package inboxtest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// What the real Alertmanager sends with its own templates arrives, readable, on every way.
func TestReceivesFromAlertmanager(t *testing.T) {
	t.Parallel()
	inbox := inboxtest.New(t)
	inbox.AddTelegramBot("123456:secret", "-1001234567890")
	alertmanager := startAlertmanager(t, inbox)
	postAlert(t, alertmanager, "NodeDown")

	mail := inboxtest.Message{
		Via:     inboxtest.Mail,
		From:    "alertmanager@example.org",
		Subject: "[FIRING:1] NodeDown (José & Söhne)",
		Text: `1 alert for alertname=NodeDown
View in Alertmanager (http://alertmanager.example/#/alerts?receiver=everybody)
[1] Firing
Labels
alertname = NodeDown
prep_name = José & Söhne
Annotations
summary = the node doesn't answer, 5 < 6
Source
Sent by Alertmanager (http://alertmanager.example)`,
	}
	plain := mail
	plain.Text = "the node doesn't answer, 5 < 6"
	want := map[string]inboxtest.Message{
		"noc@acme.example":   mail,
		"duty@acme.example":  mail,
		"plain@acme.example": plain,
		"ops": {
			Via:     inboxtest.Webhook,
			Subject: "[FIRING:1] NodeDown",
			Text: `firing alertname="NodeDown" prep_name="José & Söhne"
  summary: the node doesn't answer, 5 < 6`,
		},
		"#ops": {
			Via:     inboxtest.Slack,
			From:    "Alertmanager",
			Subject: "NodeDown",
			Text: `NodeDown
http://alertmanager.example/#/alerts?receiver=everybody
the node doesn't answer, 5 < 6`,
		},
		"-1001234567890": {
			Via:     inboxtest.Telegram,
			From:    "bot 123456",
			Subject: "Alerts Firing:",
			Text: `Alerts Firing:
Labels:
 - alertname = NodeDown
 - prep_name = José & Söhne
Annotations:
 - summary = the node doesn't answer, 5 < 6
Source:`,
		},
	}
	for to, want := range want {
		want.To = to
		got := wait(t, inbox, to)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(got, "Time", "Raw")); diff != "" {
			t.Errorf("to %s, -want +got:\n%s", to, diff)
		}
		if got.Time.IsZero() || len(got.Raw) == 0 {
			t.Errorf("to %s: no time or no raw bytes", to)
		}
	}
}

// A way that is told to fail does so, for each way with a code that Alertmanager tries again after.
func TestFail(t *testing.T) {
	t.Parallel()
	tests := map[inboxtest.Via]struct {
		to   string
		code int
		log  string
	}{
		inboxtest.Mail:     {"noc@acme.example", 451, "4.0.0 told to fail"},
		inboxtest.Webhook:  {"ops", 503, "unexpected status code 503"},
		inboxtest.Slack:    {"#ops", 503, "unexpected status code 503"},
		inboxtest.Telegram: {"-1001234567890", 502, "telegram: Bad Gateway (502)"},
	}
	for via, test := range tests {
		t.Run(string(via), func(t *testing.T) {
			t.Parallel()
			inbox := inboxtest.New(t)
			inbox.AddTelegramBot("123456:secret", "-1001234567890")
			alertmanager := startAlertmanager(t, inbox)
			inbox.Fail(via, test.code)
			postAlert(t, alertmanager, "NodeDown")
			servertest.Eventually(t, time.Minute, func() error {
				if !strings.Contains(alertmanager.Log(), test.log) {
					return fmt.Errorf("no %q in Alertmanager's log", test.log)
				}
				return nil
			})
			for _, m := range inbox.Messages() {
				if m.Via == via {
					t.Errorf("%s arrived", m)
				}
			}
			inbox.Fail(via, 0)
			wait(t, inbox, test.to)
		})
	}
}

func startAlertmanager(t *testing.T, inbox *inboxtest.Inbox) *servertest.Server {
	t.Helper()
	config, err := os.ReadFile("testdata/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	config = []byte(strings.NewReplacer(
		"SMTP", inbox.SMTPAddress(),
		"WEBHOOK", inbox.WebhookURL("ops"),
		"SLACK", inbox.AddSlackChannel("#ops"),
		"TELEGRAM", inbox.TelegramURL(),
	).Replace(string(config)))
	configFile := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return servertest.Alertmanager(t, servertest.ConfigFile(configFile),
		servertest.Flags("--web.external-url=http://alertmanager.example"))
}

func postAlert(t *testing.T, alertmanager *servertest.Server, name string) {
	t.Helper()
	alert := `[{"labels": {"alertname": "` + name + `", "prep_name": "José & Söhne"},
		"annotations": {"summary": "the node doesn't answer, 5 < 6"}}]`
	res, err := http.Post(alertmanager.URL()+"/api/v2/alerts", "application/json", strings.NewReader(alert))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
}

func wait(t *testing.T, inbox *inboxtest.Inbox, to string) inboxtest.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := inbox.Wait(ctx, func(m inboxtest.Message) bool { return m.To == to })
	if err != nil {
		t.Fatalf("to %s: %v", to, err)
	}
	return m
}
