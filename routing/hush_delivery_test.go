package routing_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/stoker-project/stoker/internal/redact"
	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// token is the last part of an address of the page.
const token = "wZ-4_s3cr3t"

// Whoever follows the link of a message comes to the page of the contact that the message was for, with the labels of the
// alert. There is none in what tells that all is over, in what a subscriber is told, and in Alertmanager's own JSON.
func TestEveryMethodLeadsToThePage(t *testing.T) {
	routing.EachAlertmanager(t, func(t *testing.T, binary, version string) {
		asked := make(chan *url.URL, 1)
		page := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL }))
		t.Cleanup(page.Close)
		d := newDelivery(t, version)
		d.hushURL = func(stem string) string { return page.URL + "/hush/" + stem + "/" + token }
		d.write("contacts/carol.yml", fmt.Sprintf("kind: subscriber\nname: Carol\ncontact_methods:\n  mail: { email: { to: carol@example.org } }\n  talk: { slack: { api_url: %q } }\n"+
			"subscriptions:\n- { notify: [mail, talk], send_resolved: true }\n", "https://hooks.slack.com"+strings.TrimPrefix(d.inbox.AddSlackChannel("carol"), d.inbox.URL())))
		d.methods = append(d.methods, "carol's mail", "carol's talk")
		server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(d.generate()),
			servertest.Flags("--web.external-url=http://alertmanager.example"))
		const alert = `[{
				"labels": {"alertname": "Node & down+", "severity": "critical", "network": "mainnet", "prep": "hx1", "prep_name": "Acme", "instance": "10.0.0.1:9100", "audience": "public"},
				"annotations": {"summary": "it doesn't answer"}, "startsAt": "2026-01-05T14:03:00Z"%s}]`
		want := url.Values{
			"alertname": {"Node & down+"}, "severity": {"critical"}, "network": {"mainnet"}, "prep": {"hx1"}, "instance": {"10.0.0.1:9100"},
		}
		server.Post("/api/v2/alerts", fmt.Sprintf(alert, ""))
		firing := d.told(0)
		for _, m := range firing {
			links := linksOf(t, m)
			switch {
			case strings.HasPrefix(m.To, "carol") || m.Via == inboxtest.Webhook:
				if len(links) > 0 || bytes.Contains(m.Raw, []byte(token)) {
					t.Errorf("%s has links: %q", m, links)
				}
			case len(links) == 0:
				t.Errorf("%s has no link:\n%s", m, m.Text)
			}
			for _, link := range links {
				res, err := page.Client().Get(link)
				if err != nil {
					t.Errorf("%s: %v", m, err)
					continue
				}
				if err := res.Body.Close(); err != nil {
					t.Error(err)
				}
				u := <-asked
				if diff := cmp.Diff(want, u.Query()); u.Path != "/hush/acme/"+token || diff != "" {
					t.Errorf("%s leads to %s, (-want +got):\n%s", m, u.Path, diff)
				}
			}
		}
		server.Post("/api/v2/alerts", fmt.Sprintf(alert, `, "endsAt": "2026-01-05T14:20:00Z"`))
		for _, m := range d.told(len(firing)) {
			if links := linksOf(t, m); len(links) > 0 || bytes.Contains(m.Raw, []byte(token)) {
				t.Errorf("%s leads to the page when all is over: %q", m, links)
			}
			if m.Via == inboxtest.Slack && m.To == "#acme" && !strings.Contains(m.Text, "\nAlerts (http://alertmanager.example/#/alerts?receiver=contact%2Facme%2Ftalk)") {
				t.Errorf("%s: the button of what is over leads nowhere:\n%s", m, m.Text)
			}
		}
		if log := server.Log(); regexp.MustCompile(`(?i)notify.*(fail|err=)`).MatchString(log) || strings.Contains(log, token) {
			t.Errorf("a notification failed, or its link is logged:\n%s", log)
		}
	})
}

// hushLink is how the inbox shows a link, or Markdown writes it.
var hushLink = regexp.MustCompile(`Hush(?:: |\]\(| \()(https?://[^\s)]+)`)

// linksOf returns the links to the page that somebody can follow who reads a message, each where it belongs.
func linksOf(t *testing.T, m inboxtest.Message) (links []string) {
	t.Helper()
	for _, found := range hushLink.FindAllStringSubmatch(m.Text, -1) {
		links = append(links, found[1])
	}
	switch m.Via {
	case inboxtest.Mail:
		for _, found := range regexp.MustCompile(`<a href="([^"]*)"[^>]*>Hush</a>`).FindAllStringSubmatch(htmlOf(t, m.Raw), -1) {
			links = append(links, html.UnescapeString(found[1]))
		}
		if len(links) == 1 {
			t.Errorf("%s has one link, of the text and the HTML", m)
		}
	case inboxtest.Slack:
		var payload struct {
			Attachments []struct {
				Text    string
				Actions []struct{ Type, Text, URL string }
			}
		}
		if err := json.Unmarshal(m.Raw, &payload); err != nil || len(payload.Attachments) != 1 {
			t.Fatalf("%v in %s", err, m.Raw)
		}
		a := payload.Attachments[0]
		if len(links) > 0 && (len(a.Actions) != 1 || a.Actions[0].Type != "button" || a.Actions[0].Text != "Hush" || strings.Contains(a.Text, token)) {
			t.Errorf("the link is no button: %s", m.Raw)
		}
	}
	return links
}

// htmlOf returns the HTML of a mail.
func htmlOf(t *testing.T, raw []byte) string {
	t.Helper()
	read := func() (string, error) {
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			return "", err
		}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil {
			return "", err
		}
		for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
			part, err := parts.NextPart() // decodes it
			if err != nil {
				return "", err
			}
			text, err := io.ReadAll(part)
			if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") || err != nil {
				return string(text), err
			}
		}
	}
	text, err := read()
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return text
}

// Another key means another address in every message from now on. It is no news: nobody is told again because of it.
func TestAnotherKeyTellsNobodyAgain(t *testing.T) {
	routing.EachAlertmanager(t, func(t *testing.T, binary, version string) {
		d := newDelivery(t, version)
		// The control tells of every flush.
		d.base = strings.Replace(deliveryBase, "receivers:\n- name: team\n",
			"  routes:\n  - { receiver: control, repeat_interval: 1s }\nreceivers:\n- name: team\n- name: control\n  webhook_configs: [{ url: '"+d.inbox.WebhookURL("control")+"' }]\n", 1)
		told := func() (contact []inboxtest.Message, control int) {
			for _, m := range d.inbox.Messages() {
				if m.To == "control" {
					control++
				} else {
					contact = append(contact, m)
				}
			}
			return contact, control
		}
		wait := func(contacts, controls int) []inboxtest.Message {
			t.Helper()
			servertest.Eventually(t, time.Minute, func() error {
				if contact, control := told(); len(contact) < contacts || control < controls {
					return fmt.Errorf("%d messages and %d of the control", len(contact), control)
				}
				return nil
			})
			contact, _ := told()
			if len(contact) > contacts {
				t.Errorf("contacts were told %d times instead of %d: %v", len(contact), contacts, contact[contacts:])
			}
			return contact
		}
		d.hushURL = func(stem string) string { return "https://hush.example.org/hush/" + stem + "/0ld-" + token }
		server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(d.generate()))
		server.Post("/api/v2/alerts", `[{"labels": {"alertname": "NodeDown", "severity": "critical", "prep": "hx1", "instance": "a"}}]`)
		first := wait(len(d.methods), 1)

		d.hushURL = func(stem string) string { return "https://hush.example.org/hush/" + stem + "/n3w-" + token }
		d.generate()
		res, err := server.Client().Post(server.URL()+"/-/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res.Status, err)
		}
		_, control := told()
		wait(len(d.methods), control+2)

		server.Post("/api/v2/alerts", `[{"labels": {"alertname": "NodeDown", "severity": "critical", "prep": "hx1", "instance": "b"}}]`)
		second := wait(2*len(d.methods), 0)[len(d.methods):]
		for _, m := range first {
			if got := strings.Contains(m.Text, "/0ld-"+token); got == (m.Via == inboxtest.Webhook) {
				t.Errorf("%s before: link %t", m, got)
			}
		}
		for _, m := range second {
			if got := strings.Contains(m.Text, "/n3w-"+token); got == (m.Via == inboxtest.Webhook) || bytes.Contains(m.Raw, []byte("0ld")) {
				t.Errorf("%s after: link %t", m, got)
			}
		}
		if a, b := groupKey(t, first), groupKey(t, second); a != b {
			t.Errorf("the group was %s and is %s", a, b)
		}
	})
}

// groupKey returns what Alertmanager's own JSON says of the group.
func groupKey(t *testing.T, messages []inboxtest.Message) string {
	t.Helper()
	var payload struct{ GroupKey string }
	for _, m := range messages {
		if m.Via != inboxtest.Webhook {
			continue
		}
		if err := json.Unmarshal(m.Raw, &payload); err != nil {
			t.Fatal(err)
		}
	}
	if payload.GroupKey == "" {
		t.Fatal("no group key")
	}
	return payload.GroupKey
}

// The difference between two keys, or between none and one, is shown without any address of the page.
func TestPlanHidesTheLink(t *testing.T) {
	d := newDelivery(t, "0.34.2")
	release := func(token string) []byte {
		d.hushURL = func(stem string) string { return "https://hush.example.org/hush/" + stem + token }
		if token == "" {
			d.hushURL = nil
		}
		data, err := os.ReadFile(d.generate())
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(data, []byte(token)); token != "" && got < len(d.methods) {
			t.Fatalf("only %d links in\n%s", got, data)
		}
		return data
	}
	none, old, current := release(""), release("/0ld-"+token), release("/n3w-"+token)
	for _, versions := range [][2][]byte{{none, old}, {old, current}, {current, none}, {nil, current}} {
		text, note := redact.New().Diff(redact.File{Name: routing.MainFile, Kind: redact.Alertmanager, Before: versions[0], After: versions[1]})
		if text == "" || !strings.Contains(text, "<secret") || strings.Contains(text+note, token) || strings.Contains(text, "hush.example.org") {
			t.Errorf("%s\n%s", note, text)
		}
	}
}
