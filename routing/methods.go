package routing

import (
	"fmt"

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
	// version is that of the Alertmanager that will run them, such as 0.34.2; "" if it isn't known.
	version string
	// repeat is how often the base tells again about what goes on.
	repeat model.Duration
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

// method reads the settings of a method that has a name of its own in the contact; nil after a problem.
func (c *contactReader) method(kind, settings *yaml.Node, under string) method {
	switch name := kind.Value; name {
	case "email":
		return c.email(settings)
	case "webhook":
		return c.webhook(settings)
	case "slack":
		return c.slack(settings)
	case "telegram":
		return c.telegram(settings)
	case "phone":
		return c.phone(kind, settings, under)
	case "discord", "pagerduty", "pushover", "msteams", "mattermost":
		c.fail(kind, "method %q is not supported yet", name)
	default:
		c.fail(kind, "method %q not known%s", name, strictyaml.DidYouMean(name, []string{"email", "webhook", "slack", "telegram", "phone"}))
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
	return one("email_configs", object("to", text(m.to.text("someone@example.invalid"))))
}

type webhook struct{ url value }

func (c *contactReader) webhook(n *yaml.Node) method {
	var m webhook
	at := c.object(n,
		field{"url", func(n *yaml.Node) { m.url = c.value(n, c.site.urlProblem) }})
	c.need(n, at, "url")
	return m
}

func (m webhook) integrations(terms) ([]integration, error) {
	if m.url.file != "" {
		return one("webhook_configs", object("url_file", text(m.url.file)))
	}
	return one("webhook_configs", object("url", text(m.url.text("https://example.invalid/"))))
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
		field{"api_url", func(n *yaml.Node) {
			v := c.value(n, c.site.urlProblem)
			m.apiURL = &v
		}},
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
	if m.channel != "" {
		set(settings, "channel", text(m.channel))
	}
	return one("slack_configs", settings)
}

type telegram struct {
	chatID   value
	botToken *value
}

func (c *contactReader) telegram(n *yaml.Node) method {
	var m telegram
	at := c.object(n,
		field{"chat_id", func(n *yaml.Node) { m.chatID = c.value(n, chatIDProblem) }},
		field{"bot_token", func(n *yaml.Node) {
			v := c.value(n, botTokenProblem)
			m.botToken = &v
		}})
	c.need(n, at, "chat_id")
	return m
}

func (m telegram) integrations(t terms) ([]integration, error) {
	// chat_id_file came with Alertmanager 0.31, and a chat's number opens nothing.
	settings := object("chat_id", number(m.chatID.text("1")))
	switch {
	case m.botToken == nil && t.global.TelegramBotToken == "" && t.global.TelegramBotTokenFile == "":
		return nil, fmt.Errorf("telegram without bot_token needs telegram_bot_token under global in %s", MainFile)
	case m.botToken == nil:
	case m.botToken.file != "":
		set(settings, "bot_token_file", text(m.botToken.file))
	default:
		set(settings, "bot_token", text(m.botToken.text("1:closed")))
	}
	return one("telegram_configs", settings)
}

func (c *contactReader) need(n *yaml.Node, at map[string]*yaml.Node, name string) {
	if at[name] == nil && resolve(n).Kind == yaml.MappingNode {
		c.fail(n, "field %q is missing", name)
	}
}
