package routing

import (
	"fmt"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// A method is one way to reach somebody, checked, and turns into integrations of Alertmanager.
type method interface {
	// integrations returns what the method's receiver consists of. It fails if the method rests on something that the
	// terms lack.
	integrations(t terms) ([]integration, error)
}

// terms are what contact methods have to go by.
type terms struct {
	site   Site
	global *config.GlobalConfig // of the base
	// outward is the http_config for URLs that the contact chose.
	outward *yaml.Node
	// version is that of the Alertmanager that will run them, such as 0.34.2; "" if it isn't known.
	version string
	// repeat is how often the base tells again about what goes on.
	repeat model.Duration
	// stem, location and kind are the contact's, and method is the name that it gave to the method.
	stem, location, kind, method string
	// hushURL is the address of the page on which the contact hushes alerts, "" if there is none, as for subscribers.
	hushURL string
	// versioned is set once something depends on the version. Nil: nobody wants to know.
	versioned *bool
	// held says that the contact is as an earlier release has it.
	held bool
}

// An integration is one entry of a receiver.
type integration struct {
	section string // such as email_configs
	// settings are those of the entry, send_resolved aside.
	settings *yaml.Node
	// firingOnly keeps resolved alerts from it whatever the rule says.
	firingOnly bool
}

// one returns a single integration.
func one(section string, settings *yaml.Node) ([]integration, error) {
	return []integration{{section: section, settings: settings}}, nil
}

// methodNames are the methods that a contact can have.
var methodNames = []string{
	"email", "webhook", "slack", "telegram", "discord", "pagerduty", "pushover", "msteams", "mattermost", "phone",
}

// method reads the settings of a method; nil after a problem.
func (c *contactReader) method(kind, settings *yaml.Node) method {
	switch name := kind.Value; name {
	case "email":
		return c.email(settings)
	case "webhook":
		return c.webhook(settings)
	case "slack":
		return c.slack(settings)
	case "telegram":
		return c.telegram(settings)
	case "discord":
		return c.discord(settings)
	case "pagerduty":
		return c.pagerduty(settings)
	case "pushover":
		return c.pushover(settings)
	case "msteams":
		return c.msteams(settings)
	case "mattermost":
		return c.mattermost(settings)
	case "phone":
		return c.phone(kind, settings)
	default:
		c.fail(kind, "method %q not known%s", name, strictyaml.DidYouMean(name, methodNames))
	}
	return nil
}

type email struct{ to value }

func (c *contactReader) email(n *yaml.Node) method {
	var m email
	at := c.object(n,
		field{"to", func(n *yaml.Node) { m.to = c.value(n, emailProblem) }})
	c.need(n, at, "to")
	return m
}

func (m email) integrations(t terms) ([]integration, error) {
	if t.global.SMTPSmarthost.String() == "" || t.global.SMTPFrom == "" {
		return nil, fmt.Errorf("email needs smtp_smarthost and smtp_from under global in %s", MainFile)
	}
	return one("email_configs", object(
		"to", text(m.to.text("someone@example.invalid")),
		"headers", object("Subject", template(t.message("text.head"))),
		"html", template(t.message("email.html")),
		"text", template(t.message("text.body")),
	))
}

type webhook struct{ url value }

func (c *contactReader) webhook(n *yaml.Node) method {
	var m webhook
	at := c.object(n,
		field{"url", func(n *yaml.Node) { m.url = c.value(n, c.site.urlProblem) }})
	c.need(n, at, "url")
	return m
}

// What is posted is Alertmanager's own JSON. It has no link to hush: only a payload could have one, which takes its place and
// doesn't know the groupKey that programs go by.
func (m webhook) integrations(t terms) ([]integration, error) {
	// 0.27 knows url_file, but crashes when such a webhook answers with an error.
	if m.url.file != "" && t.has(0, 28) {
		return one("webhook_configs", object("url_file", text(m.url.file), "http_config", t.outward))
	}
	return one("webhook_configs", object("url", text(m.url.text("https://example.invalid/")), "http_config", t.outward))
}

// The channel of slack is plain: it is sent to the URL, which is the contact's own choice, so that an
// encrypted value copied from another contact would be disclosed there.
type slack struct {
	apiURL  *value
	channel string
}

func (c *contactReader) slack(n *yaml.Node) method {
	var m slack
	at := c.object(n,
		field{"api_url", func(n *yaml.Node) { m.apiURL = c.optional(n, c.site.urlProblem) }},
		field{"channel", func(n *yaml.Node) { m.channel = c.text(n) }})
	if len(at) == 0 {
		c.need(n, at, "api_url")
	}
	return m
}

func (m slack) integrations(t terms) ([]integration, error) {
	appToken := t.global.SlackAppToken != "" || t.global.SlackAppTokenFile != ""
	settings := object()
	switch {
	case m.apiURL == nil && !appToken && t.global.SlackAPIURL == nil && t.global.SlackAPIURLFile == "":
		return nil, fmt.Errorf("slack without api_url needs slack_app_token or slack_api_url under global in %s", MainFile)
	case m.apiURL == nil:
	// Where the base has a token, Alertmanager prefers it to an api_url_file.
	case m.apiURL.file != "" && !appToken:
		set(settings, "api_url_file", text(m.apiURL.file))
	default:
		set(settings, "api_url", text(m.apiURL.text("https://example.invalid/")))
	}
	if m.apiURL != nil {
		set(settings, "http_config", t.outward)
	}
	if m.channel != "" {
		set(settings, "channel", text(m.channel))
	}
	set(settings, "title", template(t.message("slack.head")))
	set(settings, "title_link", template(show("alerts")))
	set(settings, "text", template(t.message("slack.body")))
	set(settings, "fallback", template(t.message("slack.head")))
	set(settings, "color", template(attachmentColor))
	if t.hushURL != "" {
		// A button is easier to hit than a link, and no part of the text, whose links Slack fetches to show what is behind
		// them. It needs a text and an address also once all is resolved.
		set(settings, "actions", list(object(
			"type", text("button"),
			"text", template(`{{ if eq .Status "firing" }}Hush{{ else }}Alerts{{ end }}`),
			"url", template(t.hush(show("alerts"))))))
	}
	return one("slack_configs", settings)
}

const attachmentColor = `{{ if eq .Status "resolved" }}good{{ else }}{{ template "stoker.severity.color" . }}{{ end }}`

type telegram struct {
	chatID   value
	botToken *value
}

func (c *contactReader) telegram(n *yaml.Node) method {
	var m telegram
	at := c.object(n,
		field{"chat_id", func(n *yaml.Node) { m.chatID = c.value(n, chatIDProblem) }},
		field{"bot_token", func(n *yaml.Node) { m.botToken = c.optional(n, botTokenProblem) }})
	c.need(n, at, "chat_id")
	return m
}

func (m telegram) integrations(t terms) ([]integration, error) {
	settings := object()
	if m.chatID.file != "" && t.has(0, 31) {
		set(settings, "chat_id_file", text(m.chatID.file))
	} else {
		set(settings, "chat_id", number(m.chatID.text("1")))
	}
	switch {
	case m.botToken == nil && t.global.TelegramBotToken == "" && t.global.TelegramBotTokenFile == "":
		return nil, fmt.Errorf("telegram without bot_token needs telegram_bot_token under global in %s", MainFile)
	case m.botToken == nil:
	case m.botToken.file != "":
		set(settings, "bot_token_file", text(m.botToken.file))
	default:
		set(settings, "bot_token", text(m.botToken.text("1:closed")))
	}
	// Before 0.28 Telegram isn't told the mode, and tags would be shown as they are.
	message, mode := "text", ""
	if t.has(0, 28) {
		message, mode = "telegram", "HTML"
	}
	set(settings, "message", template(t.message(message+".message")))
	set(settings, "parse_mode", text(mode))
	return one("telegram_configs", settings)
}

// need makes sure that a mapping has a field. A hint says what would be right, unless the name does.
func (c *contactReader) need(n *yaml.Node, at map[string]*yaml.Node, name string, hint ...string) {
	c.requires(n, name)
	if at[name] == nil && resolve(n).Kind == yaml.MappingNode {
		c.fail(n, "%s", strings.Join(append([]string{fmt.Sprintf("field %q is missing", name)}, hint...), ", "))
	}
}
