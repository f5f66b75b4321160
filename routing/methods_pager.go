package routing

import "go.yaml.in/yaml/v3"

// A service of PagerDuty. Where the event is sent to is not the contact's choice: an encrypted key copied from another
// contact would be disclosed there.
type pagerduty struct {
	routingKey value
	region     string
}

// Where PagerDuty takes events, by its service region: https://support.pagerduty.com/main/docs/service-regions
var pagerdutyURLs = map[string]string{
	"us": "https://events.pagerduty.com/v2/enqueue",
	"eu": "https://events.eu.pagerduty.com/v2/enqueue",
}

func (c *contactReader) pagerduty(n *yaml.Node) method {
	var m pagerduty
	at := c.object(n,
		field{"routing_key", func(n *yaml.Node) { m.routingKey = c.value(n, routingKeyProblem) }},
		field{"region", func(n *yaml.Node) { m.region = c.oneOf(n, "region", []string{"us", "eu"}) }})
	c.need(n, at, "routing_key")
	return m
}

func (m pagerduty) integrations(t terms) ([]integration, error) {
	settings := object()
	if m.routingKey.file != "" {
		set(settings, "routing_key_file", text(m.routingKey.file))
	} else {
		set(settings, "routing_key", text(m.routingKey.text("closed")))
	}
	if m.region != "" {
		set(settings, "url", text(pagerdutyURLs[m.region]))
	}
	set(settings, "description", template(t.message("text.head")))
	set(settings, "severity", template(show("severity.pagerduty")))
	set(settings, "client", text("Alertmanager"))
	set(settings, "client_url", template(show("alerts")))
	// The list of what is resolved is Alertmanager's default; our text says it.
	set(settings, "details", object("firing", template(t.message("text.details")), "resolved", text("")))
	links := list(
		object("href", template(show("runbook")), "text", text("Runbook")),
		object("href", template(show("graph")), "text", text("Graph")),
	)
	if t.kind != Subscriber {
		links.Content = append(links.Content, object("href", template(t.hush()), "text", text("Hush")))
	}
	set(settings, "links", links)
	return one("pagerduty_configs", settings)
}

type pushover struct {
	userKey, token value
	device         string
}

func (c *contactReader) pushover(n *yaml.Node) method {
	var m pushover
	at := c.object(n,
		field{"user_key", func(n *yaml.Node) { m.userKey = c.value(n, userKeyProblem) }},
		field{"token", func(n *yaml.Node) { m.token = c.value(n, pushoverTokenProblem) }},
		field{"device", func(n *yaml.Node) { m.device = c.word(n, devicePattern, "[a-zA-Z0-9_-]{1,25}") }})
	c.need(n, at, "user_key")
	c.need(n, at, "token")
	return m
}

// Alertmanager has files for both keys, but sends the newline that ends such a file along.
func (m pushover) integrations(t terms) ([]integration, error) {
	settings := object("user_key", text(m.userKey.text("closed")), "token", text(m.token.text("closed")))
	if m.device != "" {
		set(settings, "device", text(m.device))
	}
	set(settings, "title", template(t.message("text.head")))
	set(settings, "message", template(t.message("text.details")))
	if t.kind != Subscriber {
		set(settings, "url", template(t.hush()))
		set(settings, "url_title", text("Hush"))
	} else {
		set(settings, "url", text(""))
	}
	set(settings, "priority", template(`{{ if eq .Status "resolved" }}0{{ else }}`+show("severity.pushover")+`{{ end }}`))
	return one("pushover_configs", settings)
}
