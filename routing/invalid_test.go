package routing

import (
	"errors"
	"fmt"
	"go/scanner"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The problems of every testdata/invalid-*.yml, all of them, as line:column: message.
func invalidContacts() map[string][]string {
	return map[string][]string{
		"age": {
			"5:31: age is not an armored age file",
			"9:14: age is not an armored age file",
		},
		"duplicate-key": {
			`8:1: field "name" is already set in line 2`,
		},
		"discord": {
			`5:17: field "webhook_url" is missing`,
			"6:32: webhook_url must begin with https://",
			"7:32: webhook_url must not contain {{, Alertmanager would run it as a template",
			"8:32: webhook_url must not be a private or local address, Alertmanager would post into its own network",
			`9:72: field "content" not known, known: webhook_url`,
			"10:17: discord must be a mapping such as { webhook_url: … }, is a single value",
		},
		"pagerduty": {
			"5:34: routing_key must be the integration key of a service, 32 letters and digits",
			"6:34: routing_key must be a string, put it in quotes",
			"7:34: routing_key must be the integration key of a service, 32 letters and digits",
			`8:78: region "asia" not known, known: us, eu`,
			`9:70: field "url" not known, known: routing_key, region`,
			`10:19: field "routing_key" is missing`,
			"11:34: routing_key must be the integration key of a service, 32 letters and digits",
		},
		"pushover": {
			`5:18: field "token" is missing`,
			`6:18: field "user_key" is missing`,
			"7:30: user_key must be the key of a user or group, 30 letters and digits",
			"8:71: token must be the token of an application, 30 letters and digits",
			`9:113: "my phone" must match [a-zA-Z0-9_-]{1,25}`,
			`10:105: field "priority" not known, known: user_key, token, device`,
		},
		"msteams": {
			`5:17: field "webhook_url" is missing`,
			"6:32: webhook_url must begin with https://",
			`7:58: field "title" not known, known: webhook_url`,
		},
		"mattermost": {
			`5:20: field "webhook_url" is missing`,
			"6:35: webhook_url must begin with https://",
			"7:31: channel must not contain {{, Alertmanager would run it as a template",
			"8:31: channel must be a string, is a mapping",
			`9:20: field "webhook_url" is missing`,
			`9:22: field "chanel" not known, did you mean "channel"?`,
		},
		"email": {
			"5:24: to must be one email address such as noc@acme.example, without a name",
			"6:24: to must be one email address such as noc@acme.example, without a name",
			"7:24: to must be one email address such as noc@acme.example, without a name",
			"8:24: to must not contain {{, Alertmanager would run it as a template",
			"9:24: to must not contain control or invisible characters",
		},
		"empty": {
			"1:1: is empty",
		},
		"empty-values": {
			"2:6: name must not be empty",
			"3:8: owner must not be empty",
			"4:11: networks must not be empty",
			"5:18: contact_methods must not be empty",
			"6:21: notification_rules must not be empty",
		},
		"exporters": {
			`9:3: field "name" is missing, name the exporter of the site that is meant`,
			`10:11: "no de" must match [a-zA-Z0-9_.-]{1,64}`,
			"11:3: says nothing, give url, or what differs of port, path and scheme",
			"12:21: port must be a number from 1 to 65535",
			"13:21: port must be a number from 1 to 65535",
			"14:21: port must be a number from 1 to 65535",
			`14:36: scheme "htps" not known, did you mean "https"?`,
			"15:21: path must be a path such as /node/metrics, without a query and without anything that would have to be escaped",
			"16:21: path must be a path such as /node/metrics, without a query and without anything that would have to be escaped",
			"17:21: path must be a path such as /node/metrics, without a query and without anything that would have to be escaped",
			"18:15: url says all of it, leave out port, path and scheme",
			"19:27: basic_auth needs url: a node that moves would hand the password to whoever is at its new address",
			`20:3: exporter "a8" is listed twice`,
			`21:15: field "prt" not known, did you mean "port"?`,
			"22:3: exporters must be a mapping such as { name: … }, is a list",
			"23:81: username must be 1 to 128 ASCII characters without spaces and colons",
			"23:98: password must be {secret: name}, a file that the people who run stoker keep for you: here everybody could read it",
			"24:99: password must be {secret: name}, a file that the people who run stoker keep for you: whoever copies an encrypted password would have it sent to a host of their choice",
			"25:99: password must be {secret: name}, a file that the people who run stoker keep for you",
			`26:69: field "username" is missing`,
			"26:91: secret must be a name, [a-z0-9_-]+: the secret itself is in a file on the machine that runs stoker",
			"27:109: secret must be a name, [a-z0-9_-]+: the secret itself is in a file on the machine that runs stoker",
			`28:101: field "file" not known, known: secret`,
			"29:15: url must begin with https://, anybody on the way could read the password",
			"30:99: password must be {secret: name}, a file that the people who run stoker keep for you",
		},
		"exporters-owner": {
			`8:1: exporters are those of a P-Rep, and owner "Acme" is not the address of one, hx and 40 of 0-9a-f`,
			`8:1: exporters are those of a P-Rep, and owner "hx0B047c751658f7ce1b2595da34d57a0e7dad357d" is not the address of one, hx and 40 of 0-9a-f`,
		},
		"exporters-url": {
			"9:20: url must be a URL such as https://metrics.acme.example/node/metrics",
			"10:20: url must be a URL such as https://metrics.acme.example/node/metrics",
			"11:20: url must be a URL such as https://metrics.acme.example/node/metrics",
			"12:20: url must be a URL such as https://metrics.acme.example/node/metrics",
			"13:20: url must not hold a user or password, write basic_auth",
			"14:20: url must have no query and no fragment",
			"15:20: url must have no query and no fragment",
			"16:20: url must have no query and no fragment",
			"17:20: url must end in the path of the metrics, such as /node/metrics, without anything that would have to be escaped",
			"18:20: url must end in the path of the metrics, such as /node/metrics, without anything that would have to be escaped",
			"19:20: url must end in the path of the metrics, such as /node/metrics, without anything that would have to be escaped",
			"20:20: url must name its host by a name or an IPv4 address",
			"21:20: url must name its host in plain ASCII letters, digits, dots and dashes",
			"22:20: url must name its host in plain ASCII letters, digits, dots and dashes",
			"23:20: url must have a port after the colon, or no colon",
			"24:20: url must have a port from 1 to 65535",
			"25:20: url must not lead to a private or local address",
			"26:20: url must not lead to a private or local address",
			"27:20: url must not lead to a private or local address",
			"28:20: url must not write an IP address in an unusual way",
			"29:20: url must not write an IP address in an unusual way",
			"30:20: url must not lead to a private or local address",
			"31:20: url must name its host in plain ASCII letters, digits, dots and dashes",
			"32:20: url must not contain {{, Alertmanager would run it as a template",
			"33:20: url must be a string, is a list",
			"34:20: url must not lead to a private or local address",
			"35:20: url must be a URL such as https://metrics.acme.example/node/metrics",
			"36:20: url must name its host in plain ASCII letters, digits, dots and dashes",
		},
		"foreign-fields": {
			`7:1: field "owner" is not for a contact of kind subscriber`,
			`8:1: field "networks" is not for a contact of kind subscriber`,
			`9:1: field "notification_rules" is not for a contact of kind subscriber`,
			`11:1: field "quiet_hours" is not for a contact of kind subscriber`,
			`13:1: field "exporters" is not for a contact of kind subscriber`,
		},
		"foreign-subscriptions": {
			`8:1: field "subscriptions" is not for a contact of kind operator`,
		},
		"kind": {
			`1:7: kind "operater" not known, did you mean "operator"?`,
		},
		"list": {
			"1:1: must be a mapping such as { kind: … }, is a list",
		},
		"literals": {
			"5:27: url is the placeholder that servers print for a secret, give the real value",
			"6:24: url looks encrypted, give an encrypted value as {age: …}",
			"7:29: chat_id looks encrypted, give an encrypted value as {age: …}",
			"8:21: to is a private key, make a new one and never commit it",
			"9:21: to looks encrypted, give an encrypted value as {age: …}",
		},
		"location": {
			`8:11: time zone "Europe/Berln" not known, use a name such as Europe/Berlin`,
		},
		"location-local": {
			`8:11: time zone "Local" not known, use a name such as Europe/Berlin`,
		},
		"merge-key": {
			`1:1: field "name" is missing, a contact of kind operator needs it`,
			"2:1: merge keys are not supported, repeat the fields",
		},
		"method-count": {
			"5:9: mail must be one method, give each a name of its own under contact_methods",
			"6:9: none must not be empty",
		},
		"method-missing-fields": {
			`5:18: field "to" is missing`,
			`6:20: field "url" is missing`,
			`7:18: field "api_url" is missing`,
			`8:21: field "chat_id" is missing`,
		},
		"method-name": {
			`6:3: "My Mail" must match [a-z0-9-]+`,
		},
		"method-unknown": {
			`5:11: method "emial" not known, did you mean "email"?`,
			`6:8: method "carrier-pigeon" not known, known: email, webhook, slack, telegram, discord, pagerduty, pushover, msteams, mattermost, phone`,
		},
		"missing-fields-operator": {
			`1:1: field "contact_methods" is missing, a contact of kind operator needs it`,
			`1:1: field "name" is missing, a contact of kind operator needs it`,
			`1:1: field "notification_rules" is missing, a contact of kind operator needs it`,
			`1:1: field "owner" is missing, a contact of kind operator needs it`,
		},
		"missing-fields-subscriber": {
			`1:1: field "contact_methods" is missing, a contact of kind subscriber needs it`,
			`1:1: field "name" is missing, a contact of kind subscriber needs it`,
			`1:1: field "subscriptions" is missing, a contact of kind subscriber needs it`,
		},
		"missing-kind": {
			`1:1: field "kind" is missing, add kind: operator or kind: subscriber`,
		},
		"name": {
			"2:7: name must not contain {{, Alertmanager would run it as a template",
		},
		"networks": {
			`8:12: "Mainnet" must match [a-z0-9-]+`,
			`8:30: "mainnet" is listed twice`,
		},
		"owner": {
			`3:14: "a\"b" must match 1 to 128 characters without quotes, backslashes and braces`,
			`3:22: "hx1" is listed twice`,
			"3:27: owner must not begin or end with a space",
			"3:35: owner must be a string, put it in quotes",
		},
		"phone": {
			"5:25: number must be a phone number with + and country code and nothing but digits, such as +442079460123",
			"6:25: number must be a phone number with + and country code and nothing but digits, such as +442079460123",
			"7:25: number is not a phone number that can exist, check its country code and digits",
			"8:25: number must be a phone number with + and country code and nothing but digits, such as +442079460123",
			"9:25: number must be a phone number with + and country code and nothing but digits, such as +442079460123",
			"10:25: number must be a phone number with + and country code and nothing but digits, such as +442079460123",
			`11:15: field "number" is missing`,
			`12:48: way "fax" not known, known: sms, voice`,
			`13:53: "sms" is listed twice`,
			"14:47: via must not be empty",
			`15:66: language "tlh" can't be spoken, there are ca-ES, da-DK, de-DE, en-AU, en-CA, en-GB, en-IN, en-US, es-ES, es-MX, fi-FI, fr-CA, fr-FR, it-IT, ja-JP, ko-KR, nb-NO, nl-NL, pl-PL, pt-BR, pt-PT, ru-RU, sv-SE, zh-CN, zh-HK, zh-TW`,
			"16:54: language is that of calls, and via has no voice",
			`17:15: field "number" is missing`,
			`17:17: field "numbr" not known, did you mean "number"?`,
			"18:15: phone must be a mapping such as { number: … }, is a single value",
			"19:25: number must be a phone number with + and country code and nothing but digits, such as +442079460123",
			"20:25: number must not contain {{, Alertmanager would run it as a template",
			"21:25: number is one whose callers pay extra, and the team would call: give one of a person's own phone",
			"22:25: number is one whose callers pay extra, and the team would call: give one of a person's own phone",
		},
		"quiet-hours": {
			`9:10: field "times" is missing, such as "22:00-07:00"`,
			`10:15: "22-7" must be two times of day such as "22:00-07:00"`,
			"11:15: 25:00 is not a time of day",
			"12:15: 07:60 is not a time of day",
			`13:15: "07:00-07:00" begins where it ends, a whole day is "00:00-24:00"`,
			`14:15: "24:00-07:00" begins at the end of the day, write 00:00`,
			`15:15: "00:00-00:00" begins where it ends, a whole day is "00:00-24:00"`,
			"16:15: times must not be empty",
			`17:41: weekday "mondy" not known, did you mean "monday"?`,
			`17:48: weekday "sunda" not known, did you mean "sunday"?`,
			`17:64: weekday "1" not known, known: sunday, monday, tuesday, wednesday, thursday, friday, saturday; several are monday:friday`,
			`17:64: weekday "5" not known, known: sunday, monday, tuesday, wednesday, thursday, friday, saturday; several are monday:friday`,
			`18:39: severity "critcal" not known, did you mean "critical"?`,
			`19:3: "J" must match [a-z0-9-]+`,
			`20:30: field "location" not known, known: times, weekdays, bypass`,
		},
		"quiet-hours-conflict": {
			`8:57: "mail" already has other quiet hours for the same severity, "night" in line 7`,
		},
		"rules": {
			`7:14: contact method "mial" not known, did you mean "mail"?`,
			`7:26: "mail" is listed twice`,
			`8:3: field "notify" is missing, name who of contact_methods is told`,
			`9:35: severity "critcal" not known, did you mean "critical"?`,
			`10:28: "soon" must be a duration such as 15m, at most 1w`,
			`11:28: "0s" must be a duration such as 15m, at most 1w`,
			`12:28: "8d" must be a duration such as 15m, at most 1w`,
			`13:34: quiet hours "nigth" not known, did you mean "night"?`,
			`14:21: field "continue" not known, known: notify, min_severity, after, quiet_hours`,
			`14:37: field "matchers" not known, known: notify, min_severity, after, quiet_hours`,
		},
		"second-document": {
			"8:1: second document, one file holds one document",
		},
		"secret": {
			"5:37: secret must be a name, [a-z0-9_-]+: the secret itself is in a file on the machine that runs stoker",
			"6:34: secret must be a name, [a-z0-9_-]+: the secret itself is in a file on the machine that runs stoker",
			"7:34: secret must be a name, [a-z0-9_-]+: the secret itself is in a file on the machine that runs stoker",
			`8:34: secret "absent" can't be read: open invalid-secret.absent: file does not exist`,
			`9:34: secret "empty" is empty: /run/secrets/stoker/invalid-secret.empty`,
			"10:24: url must not be a private or local address, Alertmanager would post into its own network",
			"11:24: url must be a string, {secret: name} or {age: …}",
			"11:45: age is not an armored age file",
			"12:24: url must be a string, {secret: name} or {age: …}",
			`13:26: field "file" not known, known: secret, age`,
			"14:24: url must be a string, is a list",
			"15:53: channel must be a string, is a mapping",
		},
		"slips": {
			"6:28: number must be a phone number with + and country code and nothing but digits, such as +442079460123",
			"7:37: secret must be a name, [a-z0-9_-]+: the secret itself is in a file on the machine that runs stoker",
			`8:3: "K" must match [a-z0-9-]+`,
			"10:13: notify must be a list, put it in [ ]",
			`11:52: "15" must be a duration such as 15m, at most 1w`,
			`12:51: "1.5" must be a duration such as 15m, at most 1w`,
			`14:44: weekday "mon-fri" not known, known: sunday, monday, tuesday, wednesday, thursday, friday, saturday; several are monday:friday`,
		},
		"subscriptions": {
			`9:14: contact method "mial" not known, did you mean "mail"?`,
			"9:36: send_resolved must be true or false",
			`9:43: field "quiet_hours" not known, known: components, networks, min_severity, notify, send_resolved`,
			"10:17: components must be a list, put it in [ ]",
			"10:34: networks must not be empty",
			`10:52: severity "high" not known, known: info, warning, critical`,
		},
		"subscriptions-overlap": {
			`7:42: "mail" would be told twice, the subscription in line 6 covers some of the same alerts`,
			`8:54: "mail" has another send_resolved in line 6, use two contact methods`,
			`9:33: "mail" has another send_resolved in line 8, use two contact methods`,
		},
		"syntax": {
			"2:1: did not find expected ',' or ']': a comma, a quote or a bracket may be missing here or above",
		},
		"telegram": {
			`5:32: chat_id must be the number of a chat such as "-1001234567890"`,
			`6:32: chat_id must be the number of a chat such as "-1001234567890"`,
			"7:32: chat_id must be a string, put it in quotes",
			`8:32: chat_id must be the number of a chat such as "-1001234567890"`,
			"9:47: bot_token must be a bot token, digits:letters",
		},
		"tests": {
			`9:47: contact method "mial" not known, did you mean "mail"?`,
			`10:3: field "notify" is missing`,
			`10:15: "a b" is not a label name`,
			"10:36: alertname must not be empty",
			`11:3: field "labels" is missing`,
			"11:13: notify must be a list, put it in [ ]",
			`12:53: at: "tomorrow" must be a time such as "2026-11-26 22:30" or 2026-11-26T22:30:00+01:00`,
			"14:53: at must not be empty",
		},
		"unknown-fields": {
			`5:18: field "to" is missing`,
			`5:20: field "adress" not known, known: to`,
			`7:21: field "min_severty" not known, did you mean "min_severity"?`,
			`7:44: field "color" not known, known: notify, min_severity, after, quiet_hours`,
			`8:1: field "locaton" not known, did you mean "location"?`,
		},
		"url": {
			"5:27: url must begin with https://",
			"6:24: url must not be a private or local address, Alertmanager would post into its own network",
			"7:24: url must not be a private or local address, Alertmanager would post into its own network",
			"8:24: url must not be a private or local address, Alertmanager would post into its own network",
			"9:24: url must not be a private or local address, Alertmanager would post into its own network",
			"10:24: url must not be a private or local address, Alertmanager would post into its own network",
			"11:24: url must not be a private or local address, Alertmanager would post into its own network",
			"12:24: url must not be a private or local address, Alertmanager would post into its own network",
			"13:24: url must not write an IP address in an unusual way",
			"14:24: url must not write an IP address in an unusual way",
			"15:24: url must not write an IP address in an unusual way",
			"16:24: url must name its host in plain ASCII letters, digits, dots and dashes",
			"17:24: url must not be a private or local address, Alertmanager would post into its own network",
			"18:24: url must not be a private or local address, Alertmanager would post into its own network",
			"19:24: url must not be a private or local address, Alertmanager would post into its own network",
			"20:24: url must be a URL such as https://hooks.acme.example/alerts",
			"21:24: url must be a URL such as https://hooks.acme.example/alerts",
			"22:24: url must be a URL such as https://hooks.acme.example/alerts",
			"23:24: url must not contain {{, Alertmanager would run it as a template",
			"24:26: api_url must not be a private or local address, Alertmanager would post into its own network",
			"25:24: url must not be a private or local address, Alertmanager would post into its own network",
			"26:24: url must not be a private or local address, Alertmanager would post into its own network",
			"27:24: url must not be a private or local address, Alertmanager would post into its own network",
			"28:24: url must not be a private or local address, Alertmanager would post into its own network",
			"29:24: url must not be a private or local address, Alertmanager would post into its own network",
			"30:26: api_url must not write an IP address in an unusual way",
			"31:29: url must name its host in plain ASCII letters, digits, dots and dashes",
		},
		"wrong-types": {
			"1:7: kind must be a string, is a list",
			"2:7: name must be a string, put it in quotes",
			"3:8: owner must be a list, is a mapping",
			"4:11: networks must be a list, put it in [ ]",
			"5:18: contact_methods must be a mapping such as { mail: { email: … } }, is a list",
			"6:21: notification_rules must be a list, is a mapping",
		},
		"x-keys": {
			`10:46: field "y-why" not known, known: labels, notify, at`,
		},
	}
}

func TestParseContactInvalid(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yml")
	if err != nil {
		t.Fatal(err)
	}
	if table := invalidContacts(); len(files) != len(table) {
		t.Errorf("%d files in testdata, %d in the table", len(files), len(table))
	}
	for name, want := range invalidContacts() {
		t.Run(name, func(t *testing.T) {
			file := "testdata/invalid-" + name + ".yml"
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			contact, err := ParseContact(file, data, testSite())
			if contact != nil {
				t.Error("a contact, although it has problems")
			}
			if diff := cmp.Diff(want, problemLines(t, file, err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// problemLines returns the problems of a file without its name, which they all have to carry; with names
// if file is empty.
func problemLines(t *testing.T, file string, err error) []string {
	t.Helper()
	var problems scanner.ErrorList
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("not a list of problems: %v", err)
	}
	var lines []string
	for _, p := range problems {
		line, ok := strings.CutPrefix(p.Error(), file+":")
		if !ok && file != "" {
			t.Errorf("problem doesn't begin with its file: %v", p)
		}
		lines = append(lines, line)
	}
	return lines
}

// numbered repeats a line with the numbers from 0 on.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestParseContactBounds(t *testing.T) {
	const source = "kind: operator\n"
	for file, want := range map[string]string{
		"contacts/Acme.yml":      "contacts/Acme.yml: file name must match [a-z0-9-]+.yml",
		"contacts/acme.eu.yml":   "contacts/acme.eu.yml: file name must match [a-z0-9-]+.yml",
		"contacts/acme_eu.yml":   "contacts/acme_eu.yml: file name must match [a-z0-9-]+.yml",
		"contacts/acme.yaml":     "contacts/acme.yaml: file name must match [a-z0-9-]+.yml",
		"contacts/.yml":          "contacts/.yml: file name must match [a-z0-9-]+.yml",
		"contacts/acme\n.yml":    "contacts/acme\n.yml: file name must match [a-z0-9-]+.yml",
		"contacts/acmé.yml":      "contacts/acmé.yml: file name must match [a-z0-9-]+.yml",
		"contacts/a/b/acme/.yml": "contacts/a/b/acme/.yml: file name must match [a-z0-9-]+.yml",
	} {
		if _, err := ParseContact(file, []byte(source), testSite()); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	owners := "[o1" + strings.Repeat(", o", maxItems) + "]"
	rules := ""
	for i := range maxItems {
		rules += fmt.Sprintf("- { notify: [a, b, c], after: %dm }\n", i+1)
	}
	for _, test := range []struct{ source, want string }{
		{strings.Replace(hookContact("hx1"), "owner: hx1", "owner: "+owners, 1), "acme.yml:4:8: owner must not have more than 50 entries"},
		{"kind: operator\nname: Acme\nowner: hx1\ncontact_methods:\n  a: &a { telegram: { chat_id: '1' } }\n  b: *a\n  c: *a\nnotification_rules:\n" + rules,
			"acme.yml:1:1: makes 150 routes, at most 100 are allowed"},
		{"kind: operator\nname: Acme\nowner:\n" + numbered(maxItems, "- '"+strings.Repeat("x", 100)+"%d'\n") + "contact_methods:\n" + numbered(20, "  m%d: { telegram: { chat_id: '1' } }\n") +
			"notification_rules: [ { notify: [" + strings.TrimSuffix(numbered(20, "m%d, "), ", ") + "] } ]\n",
			"acme.yml:1:1: makes 20 routes that name 100 KiB of owners and networks, at most 64 are allowed: several files may share the owners"},
		{"kind: operator\nname: Acme\nowner: hx1\ncontact_methods:\n" + numbered(maxItems+1, "  m%d: { telegram: { chat_id: '1' } }\n") + "notification_rules: [ { notify: [m0] } ]\n",
			"acme.yml:5:3: contact_methods must not have more than 50 entries (and 1 more errors)"},
		{hookContact("hx1") + "quiet_hours:\n" + numbered(maxItems+1, "  q%d: { times: '22:00-07:00' }\n"),
			"acme.yml:8:3: quiet_hours must not have more than 50 entries"},
		{strings.Replace(hookContact("hx1"), "name: hx1", "name: "+strings.Repeat("é", maxName+1), 1), "acme.yml:3:7: name must not be longer than 100 characters"},
		{hookContact("hx1") + "quiet_hours: { " + strings.Repeat("q", maxName+1) + ": { times: '22:00-07:00' } }\n",
			"acme.yml:7:16: a name must not be longer than 100 characters"},
	} {
		if _, err := ParseContact("acme.yml", []byte(test.source), testSite()); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	big := []byte(strings.Repeat("# padding\n", maxContactFile/10+1))
	if _, err := ParseContact("acme.yml", big, testSite()); err == nil || err.Error() != "acme.yml: is larger than 64 KiB" {
		t.Errorf("large file: %v", err)
	}
}
