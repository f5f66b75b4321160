package routing

import (
	_ "embed"
	"fmt"
	"go/scanner"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// templatesFile holds, in a release, the templates of what contacts are told. It is no part of .stoker, which
// Alertmanager may not read.
const templatesFile = "stoker/contacts.tmpl"

// templatePrefix begins the names of the templates in it.
const templatePrefix = "stoker."

var (
	//go:embed contacts.tmpl
	sharedTemplates string
	//go:embed message.tmpl
	messageTemplates string
)

// The styles in which a message is written.
const (
	styleText     = "text"
	styleTelegram = "telegram"
	styleSlack    = "slack"
	styleMarkdown = "markdown"
	styleTeams    = "teams"
)

var styles = []string{styleText, styleTelegram, styleSlack, styleMarkdown, styleTeams}

// templates returns what templatesFile holds: what is embedded, each message in every style, and what depends on the
// names that the site gives to severities and owners.
func templates(site Site) []byte {
	var b strings.Builder
	// The identity label comes first: its name is the site's, and in HTML &region may become ®ion.
	labels := []string{site.IdentityLabel, model.AlertNameLabel, severityLabel, networkLabel}
	if !slices.Contains(labels, instanceLabel) {
		labels = append(labels, instanceLabel)
	}
	b.WriteString(strings.NewReplacer(
		"LABELS", `"`+strings.Join(labels, `" "`)+`"`,
		"ROOM", strconv.Itoa(maxHushURL-maxHushPage),
	).Replace(sharedTemplates))
	for _, style := range styles {
		b.WriteString(strings.ReplaceAll(messageTemplates, "STYLE", style))
	}
	b.WriteString("\n{{- /* By the worst severity of what fires. */ -}}\n")
	worst := len(site.Severities) - 1
	bySeverity := func(name, unknown string, known func(i int) string) {
		fmt.Fprintf(&b, "{{ define %q }}{{ $worst := -1 }}", templatePrefix+name)
		fmt.Fprint(&b, `{{ range .Alerts }}{{ if or (eq .Status "firing") (eq $.Status "resolved") }}`)
		for i, severity := range site.Severities {
			fmt.Fprintf(&b, "{{ if and (eq .Labels.severity %q) (lt $worst %d) }}{{ $worst = %d }}{{ end }}", severity, i, i)
		}
		b.WriteString("{{ end }}{{ end }}")
		for i := worst; i >= 0; i-- {
			fmt.Fprintf(&b, "{{ if eq $worst %d }}%s{{ else }}", i, known(i))
		}
		fmt.Fprintf(&b, "%s%s{{ end }}\n", unknown, strings.Repeat("{{ end }}", worst+1))
	}
	bySeverity("severity", "alert", func(i int) string { return site.Severities[i] })
	bySeverity("severity.pagerduty", "error", func(i int) string { return pagerdutySeverity(site.Severities, i) })
	bySeverity("severity.pushover", "0", func(i int) string {
		if i == worst {
			return "2"
		}
		return "0"
	})
	bySeverity("severity.color", "warning", func(i int) string {
		if i == worst {
			return "danger"
		}
		return "warning"
	})
	b.WriteString("\n{{- /* Whose alert it is: the name that a node has, or else its owner. */ -}}\n")
	for _, style := range styles {
		fmt.Fprintf(&b, `{{ define "stoker.%[1]s.whose" }}{{ with or .CommonLabels.prep_name (reReplaceAll "^(hx[0-9a-f]{8})[0-9a-f]{32}$" "$1…" (printf "%%s" (index .CommonLabels %[2]q))) }} · `+
			`{{ template "stoker.%[1]s.esc" (reReplaceAll "(?s)^(.{49}).{2,}$" "$1…" .) }}{{ end }}{{ end }}`+"\n", style, site.IdentityLabel)
	}
	return []byte(b.String())
}

// pagerdutySeverity translates a severity of the site into one of PagerDuty's.
func pagerdutySeverity(severities []string, i int) string {
	known := []string{"info", "warning", "error", "critical"}
	switch {
	case slices.Contains(known, severities[i]):
		return severities[i]
	case i == len(severities)-1:
		return "critical"
	case i == 0:
		return "info"
	default:
		return "warning"
	}
}

// show returns a text that executes one of the shipped templates.
func show(name string) string { return `{{ template "` + templatePrefix + name + `" . }}` }

const (
	// maxHushURL is how long the address of a silence may be: Pushover takes no longer one.
	maxHushURL = 512
	// maxHushPage is how much of that the page may have, and the rest is for the labels of alerts.
	maxHushPage = 212
)

// hushPage is an address that needs no escapes in any message, template or markup.
var hushPage = regexp.MustCompile(`^https?://[a-zA-Z0-9._~/:-]+$`)

// hushURL returns the address of the page on which a contact hushes alerts; "" if there is none, and Alertmanager's own form
// has to do.
func (s Site) hushURL(stem string) string {
	if s.HushURL == nil {
		return ""
	}
	page := s.HushURL(stem)
	if len(page) >= maxHushPage || !hushPage.MatchString(page) {
		return ""
	}
	return page
}

// ownHush is the template that makes every "Hush" lead to the contact's own page, if there is one.
func (t terms) ownHush() string {
	if t.hushURL == "" {
		return ""
	}
	return `{{ define "stoker.hush" }}` + t.hushURL + `?{{ template "stoker.hush.query" . }}{{ end }}`
}

// hush returns a text that is the address of the silence, and otherwise, by default nothing, once all is resolved.
func (t terms) hush(otherwise ...string) string {
	text := t.ownHush() + `{{ if eq .Status "firing" }}` + show("hush")
	for _, s := range otherwise {
		text += `{{ else }}` + s
	}
	return text + `{{ end }}`
}

// message returns a text that shows a message to the contact that the terms are of: with its own clock, and without what is
// not for subscribers.
func (t terms) message(name string) string {
	style, part, _ := strings.Cut(name, ".")
	if part == "head" {
		return show(name) // no time, no link
	}
	var own strings.Builder
	if t.ownClock() {
		fmt.Fprintf(&own, `{{ define "stoker.time" }}{{ (tz %q .).Format "2 Jan 15:04 MST" }}{{ end }}`, t.location)
	}
	switch {
	case part == "details": // no link
	case t.kind == Subscriber, style == styleSlack && t.hushURL != "":
		// A silence is for everybody; Slack has a button. What is empty doesn't replace a template.
		fmt.Fprintf(&own, `{{ define "stoker.%s.hush" }}{{ "" }}{{ end }}`, style)
	default:
		own.WriteString(t.ownHush())
	}
	return own.String() + show(name)
}

// ownClock reports whether times are shown where the contact is. The function for that, tz, came with Alertmanager 0.28.
func (t terms) ownClock() bool { return t.location != "UTC" && t.has(0, 28) }

var ownTemplate = regexp.MustCompile(`\{\{-?\s*(?:define|block)\s+["` + "`" + `]` + regexp.QuoteMeta(templatePrefix))

// reservedTemplates finds what of the base's files would be replaced by the shipped templates.
func reservedTemplates(tree map[string][]byte, name func(string) string) scanner.ErrorList {
	var problems scanner.ErrorList
	for file, data := range tree {
		switch file {
		case MainFile:
			continue
		case templatesFile:
			problems.Add(token.Position{Filename: name(file)}, "the name of this file belongs to contacts, rename it")
			continue
		}
		number := 0
		for line := range strings.Lines(string(data)) {
			number++
			if at := ownTemplate.FindStringIndex(line); at != nil {
				problems.Add(token.Position{Filename: name(file), Line: number, Column: at[0] + 1},
					"templates whose names begin with "+templatePrefix+" belong to contacts, rename this one")
			}
		}
	}
	return problems
}

// addTemplates adds the shipped templates to those of a configuration, as the last.
func addTemplates(root *yaml.Node) {
	set(root, "templates", extend(get(root, "templates"), word(templatesFile)))
}
