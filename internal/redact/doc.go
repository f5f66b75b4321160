// Package redact shows how two versions of a configuration file differ without showing the secrets in them.
//
// A diff of prometheus.yml or alertmanager.yml is read in pull requests and chats, by people and machines that must
// not learn a token, a phone number or an address. [Differ.Diff] puts <secret> in the place of each, and numbers them
// where something changed, so that
//
//	@@ -12,2 +12,2 @@
//	   email_configs:
//	-  - to: <secret 1>
//	+  - to: <secret 2>
//
// says that an address is another one now and not which. Which number stands for which value is of that diff alone.
//
// # What is hidden
//
// The walk over a file follows upstream's own types, so there is no list of keys to keep. Hidden is
//
//   - what has a type that upstream itself prints as <secret>, found out by trying it on a value,
//   - what upstream has no key for, and what isn't of the shape it has in mind,
//   - in a receiver that was generated from a contact, everything but its name, send_resolved, paths of files and
//     texts that only show a template,
//   - what has a name like a secret's (password, token, key, …) where upstream takes it for plain text, as in headers,
//   - e-mail addresses and international phone numbers, whose ever they are,
//   - a URL with a user in it, or with a parameter that is named like a secret,
//   - what holds the text of one of these anywhere else in either version,
//   - in a file with environment variables put in, everything that isn't literally in its source: what a variable
//     held before can't be told from other text, so what was changed by hand is hidden too on its old side.
//
// Comments are left out of a file in which something is hidden by its kind; aliases are written out. Rule files hold
// no secrets and are shown as they are. Of anything else, certificates, password files, templates, only the size is
// told, and of small files not even that.
package redact
