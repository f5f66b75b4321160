// Package routing merges the contacts that people commit to git into the Alertmanager configuration that a
// team writes by hand.
//
// # Contacts
//
// One contact is one file below the contacts folder, at any depth. Its name without .yml, the stem, is
// made of a-z, 0-9 and dashes and is unique; it names the contact in everything generated.
//
//	kind: operator
//	name: Acme Validators
//	owner: hx0b047c751658f7ce1b2595da34d57a0e7dad357d   whose alerts: the identity label, or a list
//	networks: [mainnet]                                 only there; default: everywhere
//	location: Europe/Berlin                             where the quiet hours are; default: UTC
//	contact_methods:                                    each under a name of its own
//	  mail: { email: { to: noc@acme.example } }
//	  chat: { telegram: { chat_id: "-1001234567890" } }
//	  talk: { slack: { api_url: { secret: talk }, channel: "#ops" } }
//	  hook: { webhook: { url: { age: "-----BEGIN AGE …" } } }
//	  call: { phone: { number: +442079460123, via: [sms, voice], language: en-GB } }
//	notification_rules:
//	- { notify: [chat], min_severity: warning, quiet_hours: night }
//	- { notify: [mail, hook], min_severity: critical }
//	- { notify: [talk], min_severity: critical, after: 15m }
//	quiet_hours:
//	  night: { times: "22:00-07:00", weekdays: [monday:friday], bypass: [critical] }
//	tests:
//	- { labels: { alertname: NodeDown, severity: critical }, notify: [chat, mail, hook, talk] }
//
// A rule without min_severity covers every alert, also one without a severity. Two rules that name the
// same method for the same alert tell it once; quiet hours hold only if both have them. A rule with after
// tells what has been firing for that long. That holds for the first alert of a group; one that joins
// later comes with the group's next notification. A range of quiet hours that crosses midnight belongs to
// the day it begins on, so that of a friday ends on saturday morning. What resolves in quiet hours is not
// told. Tests say which methods an alert reaches sooner or later, whatever the hour, or with at, such as
// at: "2026-11-27 23:30" on the contact's clock, which are told about one that begins to fire then; the labels
// that make an alert this contact's are filled in where they are left out.
//
// A subscriber hears about what concerns the network and is labelled audience="public", nothing else:
//
//	kind: subscriber
//	name: Exchange X
//	contact_methods:
//	  mail: { email: { to: ops@exchange.example } }
//	subscriptions:
//	- { components: [api], networks: [mainnet], min_severity: critical, send_resolved: true, notify: [mail] }
//
// Files are read strictly: unknown, repeated and misplaced keys are problems, except keys that begin
// with x-. All problems of a file are reported together, each with file, line and column.
//
// # Addresses
//
// An address or a token is plain text, {secret: name} or {age: armored}. A secret is the file
// <stem>.<name> of the secrets folder, and since neither part holds a dot, no contact can spell another's.
// (So that folder is for contacts: a secret of the team that is named like one belongs to that contact.)
// Where Alertmanager can read a file itself, it is given the path, else the value. What is encrypted can
// be decrypted by whoever has the age key; it is written into the merged configuration, never into logs.
//
// A contact decides where Alertmanager posts to. So it can only name https URLs of public hosts, unless
// the site allows private ones, and it can't set matchers, continue, templates, HTTP options or paths. Redirects from there
// are not followed, and the credentials of the base's global http_config don't go there.
// Names of hosts are not resolved: what a name points to is for the network around Alertmanager to guard.
//
// # Methods
//
// Each method has the keys that Alertmanager has for it, and is written as the Alertmanager that runs can read it: of a
// version that isn't known only what all have is expected. One that it lacks is a problem that names the version needed;
// a contact that was accepted before stays nevertheless.
//
// What people are told comes from one file of templates, stoker/contacts.tmpl of the release, which the merged configuration
// lists as its last. It is written once for each dialect of markup. Labels and annotations come from anybody, so they are
// shown as text, on one line and cut to a length; its comments say how. A contact's own clock, and what a subscriber must
// not see, are templates that its receivers define anew. So is, where [Options] has a HushURL, what leads to the page on which
// an operator hushes alerts: its address is a secret of that operator, and stands in no other's receivers.
//
// # Phones
//
// How phones are reached is the site's decision, a [PhoneConfig]: Alertmanager's own receiver for Amazon SNS, a payload
// for any provider that takes JSON, or webhooks to the bridge of package twilio, which finds the number by
// [Agent.Phone]. A phone's leaves group by owner alone, one call for all that goes wrong at once, and repeat once an hour at
// most. Calls are never told that something is over. Over the bridge go no alerts that are about it: those with the label
// [NotVia].
//
// # Exporters
//
// An operator may say how exporters of their nodes are reached, where that differs from what the site has:
//
//	exporters:
//	- { name: goloop, port: 9010 }                                        of the node's own host; also path, scheme
//	- name: node
//	  url: https://metrics.acme.example/node/metrics                      somewhere else, for instance behind nginx
//	  basic_auth: { username: stoker, password: { secret: metrics } }
//
// [Agent.Exporters] has them as plain data; what becomes of them is discovery's business. A password is never
// plain and never age-encrypted: a copy of an encrypted one in another file would be sent to a host of the
// copier's choice. With basic_auth, url is https. What a contact says here counts even if a secret for
// Alertmanager is missing, and the other way round.
//
// # The merge
//
// [Merge] works on YAML nodes, so the base keeps its comments and fields that this package doesn't know.
// Its tree becomes the first child of its root route, without matchers and with continue, and behaves as
// it did; that holds without any contact, too, so that the first contact changes nobody's group keys.
// Contacts follow as flat leaves that each set receiver, matchers, grouping and intervals of their own;
// group_wait, group_interval and repeat_interval are those of the base's root route where no rule asks
// for others. Everything generated is named contact/<stem>/…; the base must not use such names.
// Equal input gives equal bytes. What Alertmanager would refuse, or be crashed by, is an error.
//
// An [Agent] remembers from one pass to the next what it read of each file, what it made of each contact for the
// base, and who was rejected why; no longer than that, and never a secret that may have changed. The whole is
// loaded once, by [Source].Load where the caller needs it loaded, too.
//
// # Answers
//
// [Routes.Who] says by the files of a release who is told about an alert, when, and who is muted then until when; what
// Alertmanager then sends is compared with it in a test. [Lint] and [Check] find what tells nobody.
//
// # Quarantine
//
// A contact with a problem keeps its last good version, and the others go on. The last good version is
// the one in the live release, which holds the sources of its contacts in .stoker/contacts; so it survives
// restarts and is the same on every replica. If it can't be made again, say because the age key is not
// mounted yet, its part of the live configuration is taken over as it is. A contacts folder that is
// missing, unreadable or without contacts is an error and all contacts of the live release stay. A base
// with a problem, such as doing without a setting that live contacts need, changes nothing at all.
//
// Whether Alertmanager knows a time zone is seen when it refuses one: then the contacts that use it have that problem
// for as long as [Source].Refusals says so. A last good version that uses it can't stay. When it is tried again, what is
// said of the contact remains until the trial has succeeded.
//
// The semantics of routes are those of Alertmanager's packages config, dispatch and timeinterval, which
// this package uses to check what it made.
package routing
