package routing

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// The methods that need nothing of the base: they bring the address and the right to write there in one.

type discord struct{ webhookURL value }

func (c *contactReader) discord(n *yaml.Node) method {
	var m discord
	at := c.object(n,
		field{"webhook_url", func(n *yaml.Node) { m.webhookURL = c.value(n, c.site.urlProblem) }})
	c.need(n, at, "webhook_url")
	return m
}

func (m discord) integrations(t terms) ([]integration, error) {
	settings := m.webhookURL.webhook(t)
	set(settings, "title", template(t.message("markdown.head")))
	set(settings, "message", template(t.message("markdown.body")))
	return one("discord_configs", settings)
}

type msteams struct{ webhookURL value }

func (c *contactReader) msteams(n *yaml.Node) method {
	var m msteams
	at := c.object(n,
		field{"webhook_url", func(n *yaml.Node) { m.webhookURL = c.value(n, c.site.urlProblem) }})
	c.need(n, at, "webhook_url")
	return m
}

// The msteams_configs of older versions write the cards of Office 365 connectors, which Microsoft has retired; what
// replaces them, a workflow, wants the adaptive cards of msteamsv2_configs.
func (m msteams) integrations(t terms) ([]integration, error) {
	if err := t.needs("msteams", 0, 28); err != nil {
		return nil, err
	}
	settings := m.webhookURL.webhook(t)
	set(settings, "title", template(t.message("markdown.head")))
	set(settings, "text", template(t.message("teams.body")))
	return one("msteamsv2_configs", settings)
}

// The channel is plain for the same reason as that of slack.
type mattermost struct {
	webhookURL *value
	channel    string
}

func (c *contactReader) mattermost(n *yaml.Node) method {
	var m mattermost
	at := c.object(n,
		field{"webhook_url", func(n *yaml.Node) { m.webhookURL = c.optional(n, c.site.urlProblem) }},
		field{"channel", func(n *yaml.Node) { m.channel = c.text(n) }})
	if len(at) == 0 {
		c.need(n, at, "webhook_url")
	}
	return m
}

func (m mattermost) integrations(t terms) ([]integration, error) {
	if err := t.needs("mattermost", 0, 30); err != nil {
		return nil, err
	}
	settings := object()
	switch {
	case m.webhookURL != nil:
		settings = m.webhookURL.webhook(t)
	case t.global.MattermostWebhookURL == nil && t.global.MattermostWebhookURLFile == "":
		return nil, fmt.Errorf("mattermost without webhook_url needs mattermost_webhook_url under global in %s", MainFile)
	}
	if m.channel != "" {
		set(settings, "channel", text(m.channel))
	}
	// The text is what a phone shows; only an attachment has a colour.
	set(settings, "text", template(t.message("markdown.head")))
	set(settings, "attachments", list(object(
		"fallback", template(t.message("markdown.head")),
		"color", template(attachmentColor),
		"text", template(t.message("markdown.body")),
	)))
	return one("mattermost_configs", settings)
}

// webhook returns the settings of a receiver that posts to a webhook_url.
func (v value) webhook(t terms) *yaml.Node {
	// 0.27 knows webhook_url_file, but its loader demands a webhook_url all the same.
	if v.file != "" && t.has(0, 28) {
		return object("webhook_url_file", text(v.file), "http_config", t.outward)
	}
	return object("webhook_url", text(v.text("https://example.invalid/")), "http_config", t.outward)
}
