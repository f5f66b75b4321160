package routing_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// The keys under which the inbox knows the contacts.
const (
	botToken   = "123456:secret"
	pageKey    = "0123456789abcdef0123456789abcdef"
	pageKeyEU  = "fedcba9876543210fedcba9876543210"
	pushToken  = "a23456789012345678901234567890"
	pushUser   = "u23456789012345678901234567890"
	hostileKey = "ffffffffffffffffffffffffffffffff"
)

const deliveryBase = `
global:
  smtp_smarthost: %s
  smtp_from: alertmanager@example.org
  smtp_require_tls: false
  http_config:
    proxy_url: %s
    tls_config: { ca_file: %s }
route:
  receiver: team
  group_wait: 0s
  group_interval: 1s
receivers:
- name: team
`

// What is generated for a version makes that Alertmanager tell everybody, with the words that a person sees: when an alert
// fires, and when it is over. testdata/delivered-*.txt has them; -update rewrites it.
func TestEveryMethodDelivers(t *testing.T) {
	routing.EachAlertmanager(t, func(t *testing.T, binary, version string) {
		d := newDelivery(t, version)
		server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(d.generate()),
			servertest.Flags("--web.external-url=http://alertmanager.example"))
		const alert = `[{
				"labels": {"alertname": "NodeDown", "severity": "critical", "network": "mainnet", "prep": "hx1", "prep_name": "Acme node 1", "instance": "10.0.0.1:9100"},
				"annotations": {"summary": "the node doesn't answer, 5 < 6", "runbook_url": "https://runbooks.example.org/NodeDown"},
				"generatorURL": "http://prometheus.example/graph?g0.expr=up+%%3D%%3D+0&g0.tab=1", "startsAt": "2026-01-05T14:03:00Z"%s}]`
		server.Post("/api/v2/alerts", fmt.Sprintf(alert, ""))
		firing := d.told(0)
		server.Post("/api/v2/alerts", fmt.Sprintf(alert, `, "endsAt": "2026-01-05T14:20:00Z"`))
		resolved := d.told(len(firing))

		var got strings.Builder
		for _, m := range append(firing, resolved...) {
			fmt.Fprintf(&got, "-- %s to %s: %s --\n%s\n", m.Via, m.To, m.Subject, m.Text)
		}
		routing.Golden(t, "delivered-"+version+".txt", got.String())
		d.hostile(server)
		if log := server.Log(); regexp.MustCompile(`(?i)notify.*(fail|err=)`).MatchString(log) {
			t.Errorf("a notification failed:\n%s", log)
		}
	})
}

// A service that fails, as each does one day, harms nobody else. An Alertmanager 0.27 that reads the address of a webhook from
// a file would die of it.
func TestFailingServicesHarmNobody(t *testing.T) {
	routing.EachAlertmanager(t, func(t *testing.T, binary, version string) {
		d := newDelivery(t, version)
		server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(d.generate()))
		for _, via := range []inboxtest.Via{
			inboxtest.Webhook, inboxtest.Slack, inboxtest.Telegram, inboxtest.Discord, inboxtest.PagerDuty, inboxtest.Pushover,
			inboxtest.Teams, inboxtest.Mattermost,
		} {
			d.inbox.Fail(via, http.StatusBadRequest)
		}
		server.Post("/api/v2/alerts", `[{"labels": {"alertname": "NodeDown", "severity": "critical", "prep": "hx1"}}]`)
		servertest.Eventually(t, time.Minute, func() error {
			if err := server.Ready(); err != nil {
				return err
			}
			for _, name := range d.methods {
				if name != "mail" && !strings.Contains(server.Log(), "contact/acme/"+name) {
					return fmt.Errorf("%s has not failed yet", name)
				}
			}
			return nil
		})
		if got := d.wait(0, 1); got[0].Via != inboxtest.Mail {
			t.Errorf("%s arrived", got[0])
		}
	})
}

// A delivery is a contact with every method that a version has, and the inbox that they lead to.
type delivery struct {
	t       *testing.T
	inbox   *inboxtest.Inbox
	dir     string
	version string
	methods []string // their names
	base    string   // deliveryBase, if there is no other
	hushURL func(stem string) string
}

func newDelivery(t *testing.T, version string) *delivery {
	d := &delivery{t: t, inbox: inboxtest.New(t), dir: t.TempDir(), version: version, base: deliveryBase}
	d.inbox.AddTelegramBot(botToken, "-1001234567890", "-1009999999999")
	for _, key := range []string{pageKey, pageKeyEU, hostileKey} {
		d.inbox.AddPagerDutyService(key)
	}
	d.inbox.AddPushoverUser(pushToken, pushUser)
	d.write("ca.pem", string(d.inbox.CertificatePEM()))
	d.write("secrets/acme.bot", botToken+"\n")
	d.write("secrets/acme.page", pageKey+"\n")
	d.write("secrets/acme.push", pushToken+"\n")
	d.write("secrets/acme.disc", d.inbox.AddDiscordWebhook("acme-secret")+"\n")
	d.write("secrets/acme.hook", d.inbox.WebhookURL("acme-secret")+"\n")
	slack := func(channel string) string {
		return "https://hooks.slack.com" + strings.TrimPrefix(d.inbox.AddSlackChannel(channel), d.inbox.URL())
	}
	d.write("secrets/acme.talk", slack("T1")+"\n")
	methods := map[string]string{
		"mail":  `email: { to: noc@acme.example }`,
		"hook":  `webhook: { url: { secret: hook } }`,
		"talk":  `slack: { api_url: { secret: talk }, channel: "#acme" }`,
		"chat":  `telegram: { chat_id: "-1001234567890", bot_token: { secret: bot } }`,
		"disc":  `discord: { webhook_url: { secret: disc } }`,
		"disc2": fmt.Sprintf(`discord: { webhook_url: %q }`, d.inbox.AddDiscordWebhook("acme-plain")),
		"page":  `pagerduty: { routing_key: { secret: page } }`,
		"page2": fmt.Sprintf(`pagerduty: { routing_key: %s, region: eu }`, pageKeyEU),
		"push":  fmt.Sprintf(`pushover: { user_key: %s, token: { secret: push } }`, pushUser),
	}
	hostile := map[string]string{
		"mail": `email: { to: noc@bravo.example }`,
		"talk": fmt.Sprintf(`slack: { api_url: %q }`, slack("bravo")),
		"chat": fmt.Sprintf(`telegram: { chat_id: "-1009999999999", bot_token: %q }`, botToken),
		"disc": fmt.Sprintf(`discord: { webhook_url: %q }`, d.inbox.AddDiscordWebhook("bravo")),
		"page": fmt.Sprintf(`pagerduty: { routing_key: %s }`, hostileKey),
	}
	if version != "0.27.0" {
		d.write("secrets/acme.most", d.inbox.AddMattermostWebhook("acme-secret")+"\n")
		d.write("secrets/acme.team", d.inbox.AddTeamsWorkflow("acme-secret")+"\n")
		methods["most"] = `mattermost: { webhook_url: { secret: most }, channel: acme }`
		methods["team"] = `msteams: { webhook_url: { secret: team } }`
		methods["team2"] = fmt.Sprintf(`msteams: { webhook_url: %q }`, d.inbox.AddTeamsWorkflow("acme-plain"))
		hostile["most"] = fmt.Sprintf(`mattermost: { webhook_url: %q }`, d.inbox.AddMattermostWebhook("bravo"))
		hostile["team"] = fmt.Sprintf(`msteams: { webhook_url: %q }`, d.inbox.AddTeamsWorkflow("bravo"))
	}
	d.methods = slices.Sorted(maps.Keys(methods))
	d.write("contacts/acme.yml", contact("hx1", methods))
	d.write("contacts/bravo.yml", contact("hx2", hostile))
	return d
}

func contact(owner string, methods map[string]string) string {
	var names []string
	var lines strings.Builder
	for name, method := range methods {
		names = append(names, name)
		fmt.Fprintf(&lines, "  %s: { %s }\n", name, method)
	}
	return fmt.Sprintf("kind: operator\nname: Acme\nowner: %s\nlocation: Europe/Berlin\ncontact_methods:\n%snotification_rules:\n- { notify: [%s] }\n",
		owner, lines.String(), strings.Join(names, ", "))
}

func (d *delivery) write(name, content string) {
	d.t.Helper()
	servertest.WriteFile(d.t, filepath.Join(d.dir, name), content)
}

// generate writes a release and returns its main file.
func (d *delivery) generate() string {
	d.t.Helper()
	agent, err := routing.New(routing.Options{HushURL: d.hushURL, Contacts: routing.ContactsConfig{
		Dir: filepath.Join(d.dir, "contacts"), SecretsDir: filepath.Join(d.dir, "secrets"), AllowPrivate: true,
	}})
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := agent.Sync(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	base := fmt.Sprintf(d.base, d.inbox.SMTPAddress(), d.inbox.ProxyURL(), filepath.Join(d.dir, "ca.pem"))
	files, err := agent.Generate(d.t.Context(), routing.Source{Base: map[string][]byte{routing.MainFile: []byte(base)}, Version: d.version})
	if err != nil {
		d.t.Fatal(err)
	}
	for name, data := range files {
		d.write("release/"+name, string(data))
	}
	return filepath.Join(d.dir, "release", routing.MainFile)
}

// told waits until every method has told something after so many messages, and returns that in order.
func (d *delivery) told(before int) []inboxtest.Message {
	d.t.Helper()
	return d.wait(before, len(d.methods))
}

func (d *delivery) wait(before, more int) []inboxtest.Message {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	seen := 0
	if _, err := d.inbox.Wait(ctx, func(inboxtest.Message) bool { seen++; return seen == before+more }); err != nil {
		d.t.Fatal(err)
	}
	messages := slices.Clone(d.inbox.Messages()[before : before+more])
	slices.SortFunc(messages, func(a, b inboxtest.Message) int {
		return strings.Compare(string(a.Via)+a.To, string(b.Via)+b.To)
	})
	return messages
}

// hostile lets a node go down that has a name with markup, links and calls of every service in it. It reaches everybody,
// and is text.
func (d *delivery) hostile(server *servertest.Server) {
	d.t.Helper()
	const name = `<!channel> <@U1> @everyone @channel [x](https://evil.example/1) <https://evil.example/2|y> <a href=\"https://evil.example/3\">z</a> </b>\n@here`
	before := len(d.inbox.Messages())
	server.Post("/api/v2/alerts", `[{"labels": {"alertname": "NodeDown", "severity": "critical", "prep": "hx2", "prep_name": "`+name+`"},
		"annotations": {"summary": "`+name+` is down"}, "startsAt": "2026-01-05T14:03:00Z"}]`)
	methods := 5
	if d.version != "0.27.0" {
		methods = 7
	}
	for _, m := range d.wait(before, methods) {
		link := map[inboxtest.Via]string{
			inboxtest.Slack:      `(<|\\u003c)(!|@|https://evil)`,
			inboxtest.Telegram:   `(^|[^\w.])@\w|\w \(https://evil`, // as the inbox shows a link
			inboxtest.Discord:    `(^|[^\w.])@\w|[^\\]\]\(https://evil|<|\\u003c`,
			inboxtest.Mattermost: `(^|[^\w.])@\w|[^\\]\]\(https://evil|<|\\u003c`,
			inboxtest.Teams:      `(^|[^\w.])@\w|[^\\]\]\(https://evil|<|\\u003c`,
			inboxtest.Mail:       `(?i)<a href=(3D)?"https://evil`,
			inboxtest.PagerDuty:  `^$`,
		}[m.Via]
		text := string(m.Raw)
		switch m.Via {
		case inboxtest.Telegram:
			text = m.Text
		case inboxtest.Mail:
			_, text, _ = strings.Cut(text, "Content-Type: text/html")
		}
		if bad := regexp.MustCompile(link).FindString(text); bad != "" || text == "" {
			d.t.Errorf("%s: %q in\n%s", m.Via, bad, text)
		}
		if !strings.HasPrefix(m.Subject, "[critical] NodeDown · ") {
			d.t.Errorf("%s has the subject %q", m.Via, m.Subject)
		}
	}
}
