package inboxtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/routing/inboxtest"
)

// behindProxy is a client that trusts the inbox to be the services.
func behindProxy(t *testing.T, inbox *inboxtest.Inbox) *http.Client {
	t.Helper()
	proxy, err := url.Parse(inbox.ProxyURL())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(inbox.CertificatePEM()) {
		t.Fatal("no certificate")
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// What the services would refuse is refused, in their words; the rest arrives.
func TestServices(t *testing.T) {
	t.Parallel()
	inbox := inboxtest.New(t)
	client := behindProxy(t, inbox)
	const key, token, user = "0123456789abcdef0123456789abcdef", "a23456789012345678901234567890", "u23456789012345678901234567890"
	inbox.AddPagerDutyService(key)
	inbox.AddPushoverUser(token, user)
	inbox.AddTelegramBot("1:x", "5")
	discord, teams, mattermost := inbox.AddDiscordWebhook("d"), inbox.AddTeamsWorkflow("w"), inbox.AddMattermostWebhook("m")
	const (
		pagerduty = "https://events.pagerduty.com/v2/enqueue"
		pushover  = "https://api.pushover.net/1/messages.json?"
		card      = `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard","body":[{"text":"a"},{"text":"b\n\nc"}]}}]}`
	)
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		url, body string
		status    int
		answer    string
		subject   string // of the message that arrives
	}{
		{discord, `{"embeds":[{"title":"t","description":"d"}]}`, 204, "", "t"},
		{discord, `{"content":"c"}`, 204, "", "c"},
		{discord, `{"embeds":[{"title":"` + long + `"}]}`, 400, "Invalid Form Body", ""},
		{discord, `{}`, 400, "empty message", ""},
		{discord, `{`, 400, "invalid JSON", ""},
		{discord + "x", `{"content":"c"}`, 404, "Unknown Webhook", ""},
		{pagerduty, `{"routing_key":"` + key + `","event_action":"trigger","payload":{"summary":"s","source":"x","severity":"error"}}`, 202, "Event processed", "s"},
		{pagerduty, `{"routing_key":"` + key + `","event_action":"resolve"}`, 202, "Event processed", "resolve"},
		{pagerduty, `{"routing_key":"` + key + `","event_action":"trigger","payload":{"severity":"page"}}`, 400, "payload.severity", ""},
		{pagerduty, `{"routing_key":"short","event_action":"trig"}`, 400, "wrong length", ""},
		{pagerduty, `{"routing_key":"` + strings.Repeat("0", 32) + `","event_action":"resolve"}`, 400, "Invalid routing key", ""},
		{pagerduty, `{`, 400, "JSON parse error", ""},
		{pushover + "token=" + token + "&user=" + user + "&message=m&title=t", "", 200, `"status":1`, "t"},
		{pushover, "token=" + token + "&user=" + user + "&message=m&title=u&priority=2&retry=60&expire=3600", 200, `"status":1`, "u"},
		{pushover + "token=" + token + "&user=" + user + "&message=m&priority=2", "", 400, "emergency", ""},
		{pushover + "token=" + token + "&user=" + user + "&message=m&priority=high", "", 400, "priority is invalid", ""},
		{pushover + "token=" + token + "&user=" + user, "", 400, "message cannot be blank", ""},
		{pushover + "token=" + token + "&user=" + user + "&message=m&title=" + long, "", 400, "too long", ""},
		{pushover + "token=" + token + "%0A&user=" + user + "&message=m", "", 400, "not a valid user", ""},
		{teams, card, 202, "", "a"},
		{teams, `{"@type":"MessageCard","text":"t"}`, 400, "TriggerInputSchemaMismatch", ""},
		{teams, strings.Replace(card, `"text":"a"`, `"text":"`+strings.Repeat(long, 100)+`"`, 1), 413, "RequestEntityTooLarge", ""},
		{teams + "x", card, 404, "WorkflowNotFound", ""},
		{mattermost, `{"text":"t","attachments":[{"text":"u"}]}`, 200, "ok", "t"},
		{mattermost, `{}`, 400, "No text specified", ""},
		{mattermost, `{`, 400, "Could not decode", ""},
		{mattermost + "x", `{"text":"t"}`, 400, "Invalid webhook", ""},
		{"https://api.telegram.org/bot1:x/sendMessage", `{"chat_id":"5","text":"t"}`, 200, `"ok":true`, "t"},
	} {
		before := len(inbox.Messages())
		contentType := "application/json"
		if strings.HasPrefix(test.body, "token=") {
			contentType = "application/x-www-form-urlencoded"
		}
		res, err := client.Post(test.url, contentType, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != test.status || !strings.Contains(string(answer), test.answer) {
			t.Errorf("%s %.80s: %s %s, %v", test.url, test.body, res.Status, answer, err)
		}
		messages := inbox.Messages()[before:]
		if (test.subject != "") != (len(messages) == 1) || len(messages) == 1 && messages[0].Subject != test.subject {
			t.Errorf("%s %.80s: %d messages %v", test.url, test.body, len(messages), messages)
		}
	}
}

// The proxy leads nowhere but to the inbox.
func TestProxyLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	client := behindProxy(t, inboxtest.New(t))
	for _, address := range []string{"https://example.org/", "https://discord.com:8443/", "https://evil-westeurope.logic.azure.com/"} {
		if res, err := client.Get(address); err == nil {
			_ = res.Body.Close()
			t.Errorf("%s: %s", address, res.Status)
		}
	}
}

// Slack's text is shown as a reader sees it.
func TestSlackShowsLinks(t *testing.T) {
	t.Parallel()
	inbox := inboxtest.New(t)
	res, err := http.Post(inbox.AddSlackChannel("x"), "application/json", strings.NewReader(`{"attachments":[{"title":"5 &lt; 6","text":"<https://a.example/?a=1&amp;b=2|Run> &amp;amp;"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	var got []string
	for _, m := range inbox.Messages() {
		got = append(got, m.Subject, m.Text)
	}
	if diff := cmp.Diff([]string{"5 < 6", "5 < 6\nRun (https://a.example/?a=1&b=2) &amp;"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
