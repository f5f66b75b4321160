package routing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// ContactSchema returns the JSON Schema (draft 2020-12) of a contact file, for editors. It says what can be said of
// each field and of which go together; what takes a look at other fields, the site or the meaning of an address is left
// to [ParseContact], which refuses all that the schema refuses.
func ContactSchema() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(contactSchema()); err != nil {
		panic(err) // plain data
	}
	return b.Bytes()
}

func contactSchema() schema {
	c := contactReader{reader: reader{outline: newOutline()}, contact: &Contact{}}
	top := schema{}
	c.read(c.outline.blank(top))
	describe(top, "")
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "contact"
	top["description"] = "Who is called about which alerts, and when: an operator of nodes, or a subscriber to what concerns the network."
	top["$defs"] = schema{
		"text": schema{
			"type": "string", "minLength": 1,
			"not": schema{"pattern": `\{\{|^\s|\s$|[\x00-\x1f\x7f-\x9f]`},
		},
		"value": schema{
			"anyOf": []schema{
				{"$ref": "#/$defs/text", "maxLength": maxValue, "not": schema{"pattern": sealedPattern()}},
				{
					"type": "object", "additionalProperties": false, "patternProperties": schema{"^x-": true}, "required": []string{"secret"},
					"properties": schema{"secret": schema{
						"type": "string", "pattern": secretPattern.String(),
						"description": "The file <stem>.<secret> in the secrets folder of the machine that runs stoker.",
					}},
				},
				{
					"type": "object", "additionalProperties": false, "patternProperties": schema{"^x-": true}, "required": []string{"age"},
					"properties": schema{"age": schema{
						"type": "string", "pattern": `^\s*-----BEGIN AGE ENCRYPTED FILE-----`,
						"description": "Encrypted for the team's age key, as stoker encrypt prints it.",
					}},
				},
			},
		},
	}
	return top
}

// describe puts what fields mean into a schema. A field of a method, or of anything that the author names, has the same
// description wherever it is.
func describe(s schema, path string) {
	if text, ok := descriptions[path]; ok {
		s["description"] = text
	}
	below := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	for _, key := range []string{"items", "additionalProperties"} {
		if inner, ok := s[key].(schema); ok {
			describe(inner, map[string]string{"items": path, "additionalProperties": below("*")}[key])
			if key == "items" {
				delete(inner, "description")
			}
		}
	}
	properties, _ := s["properties"].(schema)
	for name, inner := range properties {
		describe(inner.(schema), below(name))
	}
}

// descriptions are the words that an editor shows, by the path of a field; * is a name that the author chooses.
var descriptions = map[string]string{
	"kind":                   "operator: is told about the alerts of their own nodes. subscriber: hears about what concerns the network, nothing else.",
	"name":                   "For people.",
	"owner":                  "Whose alerts: the address of a P-Rep, or whatever the site's identity label holds. A list is fine.",
	"networks":               "Only alerts with this label network. Default: all.",
	"location":               "The time zone of the quiet hours, such as Europe/Berlin. Default: UTC.",
	"contact_methods":        "The ways to reach you, each under a name of your own.",
	"notification_rules":     "Who of contact_methods is told about what. Two rules that name the same method for the same alert tell it once.",
	"subscriptions":          "What a subscriber hears about, of the alerts that are labelled audience=\"public\".",
	"quiet_hours":            "Times of the week in which a rule that names them keeps quiet.",
	"exporters":              "How exporters of your nodes are reached, where that differs from what the site has.",
	"tests":                  "What you expect; checked at every merge.",
	"contact_methods.*":      "One method.",
	"quiet_hours.*":          "In the time zone of location.",
	"quiet_hours.*.times":    "Such as \"22:00-07:00\", or a list. A range that crosses midnight belongs to the day it begins on.",
	"quiet_hours.*.bypass":   "Severities that come through.",
	"quiet_hours.*.weekdays": "Days or ranges of days, such as monday:friday. Default: all.",

	"notification_rules.notify":       "Names of contact_methods.",
	"notification_rules.min_severity": "This severity and worse. Default: every alert, also one without a severity.",
	"notification_rules.after":        "Tell only if it has been firing for that long, such as 15m; promised for the first alert of a group.",
	"notification_rules.quiet_hours":  "Name of the quiet_hours that this rule observes.",

	"subscriptions.components":    "Only alerts with this label component. Default: all.",
	"subscriptions.networks":      "Only alerts with this label network. Default: all.",
	"subscriptions.min_severity":  "This severity and worse. Default: all.",
	"subscriptions.notify":        "Names of contact_methods.",
	"subscriptions.send_resolved": "Whether to tell that an alert has ended. Default: true.",

	"exporters.name":                       "The name that the site gave the exporter.",
	"exporters.port":                       "Of the node's own host.",
	"exporters.path":                       "Of the node's own host, such as /metrics.",
	"exporters.scheme":                     "Of the node's own host.",
	"exporters.url":                        "Where it is instead; https where there is basic_auth.",
	"exporters.basic_auth":                 "Who is let in there.",
	"exporters.basic_auth.username":        "The user's name.",
	"exporters.basic_auth.password":        "A secret of the machine that runs stoker, never the password itself.",
	"exporters.basic_auth.password.secret": "The file <stem>.<secret> in the secrets folder of the machine that runs stoker.",

	"tests.at":     "When the alert begins to fire, on the clock of location as 2026-11-27 23:30, or with an offset as 2026-11-27T23:30:00+01:00. notify are those that are told then, or when their after is over; without it, those of any hour.",
	"tests.labels": "Of the alert. Those that make it yours are filled in where they are left out.",
	"tests.notify": "The names of contact_methods that it reaches sooner or later, or at the time of at; [] for none.",

	"contact_methods.*.email":                  "Mail, by the site's mail server.",
	"contact_methods.*.email.to":               "One address.",
	"contact_methods.*.webhook":                "Alertmanager's own JSON, posted to a URL.",
	"contact_methods.*.webhook.url":            "An https URL of a public host.",
	"contact_methods.*.slack":                  "A channel in Slack.",
	"contact_methods.*.slack.api_url":          "An incoming webhook. Default: the site's own workspace.",
	"contact_methods.*.slack.channel":          "Such as #ops, where the webhook leaves a choice.",
	"contact_methods.*.discord":                "A channel in Discord.",
	"contact_methods.*.discord.webhook_url":    "The channel's own webhook.",
	"contact_methods.*.msteams":                "A channel in Microsoft Teams.",
	"contact_methods.*.msteams.webhook_url":    "The address of a workflow that posts into the channel.",
	"contact_methods.*.mattermost":             "A channel in Mattermost.",
	"contact_methods.*.mattermost.webhook_url": "An incoming webhook. Default: the site's own server.",
	"contact_methods.*.mattermost.channel":     "Where the webhook leaves a choice.",
	"contact_methods.*.pagerduty":              "A service in PagerDuty, by its Events API v2.",
	"contact_methods.*.pagerduty.routing_key":  "The integration key of the service.",
	"contact_methods.*.pagerduty.region":       "Where the account is. Default: us.",
	"contact_methods.*.pushover":               "A person or a group in Pushover.",
	"contact_methods.*.pushover.user_key":      "Of the person or the group.",
	"contact_methods.*.pushover.token":         "Of your own application.",
	"contact_methods.*.pushover.device":        "Only this device. Default: all.",
	"contact_methods.*.phone":                  "A phone, by what the site uses to reach phones.",
	"contact_methods.*.phone.number":           "With the country's code, such as +442079460123.",
	"contact_methods.*.phone.via":              "Text messages, calls or both. Default: [sms].",
	"contact_methods.*.phone.language":         "Of calls, such as de-DE or ko-KR. Default: en-US.",
	"contact_methods.*.telegram":               "A chat in Telegram.",
	"contact_methods.*.telegram.chat_id":       "The number of the chat, in quotes.",
	"contact_methods.*.telegram.bot_token":     "Of your own bot. Default: the site's.",
}

// sealedPattern matches the plain values that are meant for another tool to open.
func sealedPattern() string {
	var marks []string
	for _, mark := range sealedMarks {
		marks = append(marks, jsQuote(mark))
	}
	return fmt.Sprintf("^%s$|^(%s)", jsQuote(secretToken), strings.Join(marks, "|"))
}

// jsQuote quotes what has a meaning in a regular expression of JavaScript, which is what a schema has.
func jsQuote(s string) string {
	return strings.NewReplacer("$", `\$`, "[", `\[`, ".", `\.`, "/", `\/`).Replace(s)
}
