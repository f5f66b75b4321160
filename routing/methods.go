package routing

import (
	"fmt"

	"github.com/prometheus/alertmanager/config"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// A method is one way to reach somebody, checked, and turns into an integration of Alertmanager.
type method interface {
	// integration returns the receiver's section, such as email_configs, and the settings of one entry in
	// it, send_resolved aside. It fails if the base's global section lacks what the method rests on.
	integration(global *config.GlobalConfig) (section string, settings *yaml.Node, err error)
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
	case "phone", "discord", "pagerduty", "pushover", "msteams", "mattermost":
		c.fail(kind, "method %q is not supported yet", name)
	default:
		c.fail(kind, "method %q not known%s", name, strictyaml.DidYouMean(name, []string{"email", "webhook", "slack", "telegram"}))
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

func (m email) integration(global *config.GlobalConfig) (string, *yaml.Node, error) {
	if global.SMTPSmarthost.String() == "" || global.SMTPFrom == "" {
		return "", nil, fmt.Errorf("email needs smtp_smarthost and smtp_from under global in %s", MainFile)
	}
	return "email_configs", object("to", text(m.to.text("someone@example.invalid"))), nil
}

type webhook struct{ url value }

func (c *contactReader) webhook(n *yaml.Node) method {
	var m webhook
	at := c.object(n,
		field{"url", func(n *yaml.Node) { m.url = c.value(n, c.site.urlProblem) }})
	c.need(n, at, "url")
	return m
}

func (m webhook) integration(*config.GlobalConfig) (string, *yaml.Node, error) {
	if m.url.file != "" {
		return "webhook_configs", object("url_file", text(m.url.file)), nil
	}
	return "webhook_configs", object("url", text(m.url.text("https://example.invalid/"))), nil
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

func (m slack) integration(global *config.GlobalConfig) (string, *yaml.Node, error) {
	appToken := global.SlackAppToken != "" || global.SlackAppTokenFile != ""
	settings := object()
	switch {
	case m.apiURL == nil && !appToken && global.SlackAPIURL == nil && global.SlackAPIURLFile == "":
		return "", nil, fmt.Errorf("slack without api_url needs slack_app_token or slack_api_url under global in %s", MainFile)
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
	return "slack_configs", settings, nil
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

func (m telegram) integration(global *config.GlobalConfig) (string, *yaml.Node, error) {
	// chat_id_file came with Alertmanager 0.31, and a chat's number opens nothing.
	settings := object("chat_id", number(m.chatID.text("1")))
	switch {
	case m.botToken == nil && global.TelegramBotToken == "" && global.TelegramBotTokenFile == "":
		return "", nil, fmt.Errorf("telegram without bot_token needs telegram_bot_token under global in %s", MainFile)
	case m.botToken == nil:
	case m.botToken.file != "":
		set(settings, "bot_token_file", text(m.botToken.file))
	default:
		set(settings, "bot_token", text(m.botToken.text("1:closed")))
	}
	return "telegram_configs", settings, nil
}

func (c *contactReader) need(n *yaml.Node, at map[string]*yaml.Node, name string) {
	if at[name] == nil && resolve(n).Kind == yaml.MappingNode {
		c.fail(n, "field %q is missing", name)
	}
}
