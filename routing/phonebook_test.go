package routing

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/routing/twilio"
)

// phoneHouse is a house whose phones are reached over the bridge.
func phoneHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.opts.Phone = twilioConfig()
	h.opts.Phone.AuthTokenFile = filepath.Join(h.dir, "twilio-token")
	h.write("twilio-token", twilioPassword+"\n")
	h.restart()
	return h
}

// numbers returns what the bridge finds for methods of acme.
func (h *house) numbers(methods ...string) string {
	h.t.Helper()
	var all []string
	for _, m := range methods {
		p, ok, err := h.agent.Phone("acme", m)
		switch {
		case err != nil:
			all = append(all, err.Error())
		case !ok:
			all = append(all, "none")
		case !p.Number.Known():
			all = append(all, "not at hand")
		default:
			all = append(all, p.Number.Reveal())
		}
	}
	return strings.Join(all, ", ")
}

// The bridge finds the number of what Alertmanager runs: also of what stays because it can't be renewed.
func TestPhonebook(t *testing.T) {
	h := phoneHouse(t)
	key := newKeyPair(t)
	h.write("age-key", key.identity.String()+"\n")
	contact := func(methods string) string {
		var names []string
		for line := range strings.Lines(methods) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			names = append(names, name)
		}
		return "kind: operator\nname: Acme\nowner: hx1\ncontact_methods:\n" + methods + "notification_rules: [ { notify: [" + strings.Join(names, ", ") + "] } ]\n"
	}
	phones := func(want string) {
		t.Helper()
		if got := h.numbers("open", "sealed", "secret"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	phones("the contacts have not been read yet, the contacts have not been read yet, the contacts have not been read yet")

	h.write("secrets/acme.number", parisNumber)
	h.write("contacts/acme.yml", contact("  open: { phone: { number: +442079460123, via: [voice] } }\n"+
		"  sealed: { phone: { number: "+key.encrypt(mobileNumber)+" } }\n  secret: { phone: { number: { secret: number } } }\n"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.expect(true, "", "acme/open", "acme/sealed", "acme/secret", "bravo/hook")
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)
	if p, _, _ := h.agent.Phone("acme", "open"); p.SMS || !p.Voice {
		t.Errorf("%+v", p)
	}
	if strings.Contains(h.log.String()+fmt.Sprint(h.agent.Status()), londonNumber[1:]) {
		t.Error("a number is in the log or the status")
	}

	// The key is gone: who is in the live release stays, and what isn't encrypted is called.
	h.remove("age-key")
	h.restart()
	h.sync()
	h.publish()
	phones(londonNumber + ", not at hand, " + parisNumber)
	h.remove("secrets/acme.number")
	h.restart()
	h.sync()
	h.publish()
	phones(londonNumber + ", not at hand, not at hand")
	h.write("age-key", key.identity.String()+"\n")
	h.write("secrets/acme.number", parisNumber)
	h.sync()
	h.publish()
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)

	// So it is without the auth token: then Alertmanager keeps the one that it has.
	before := h.live.(fstest.MapFS)[MainFile].Data
	h.remove("twilio-token")
	h.restart()
	h.sync()
	h.publish()
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)
	if diff := cmp.Diff(string(before), string(h.live.(fstest.MapFS)[MainFile].Data)); diff != "" {
		t.Errorf("the configuration changes (-before +after):\n%s", diff)
	}
	h.write("twilio-token", twilioPassword)

	// What becomes of a new version isn't known yet: Alertmanager may still run the one before, or go back to it.
	h.write("contacts/acme.yml", contact("  sealed: { phone: { number: +33199001236 } }\n"))
	h.sync()
	was := h.live
	h.publish()
	phones(londonNumber + ", +33199001236, " + parisNumber)
	h.publish()
	phones("none, +33199001236, none")
	h.live = was
	h.publish()
	phones(londonNumber + ", +33199001236, " + parisNumber)
	h.remove("contacts/acme.yml")
	h.sync()
	h.live = was
	h.publish()
	phones(londonNumber + ", " + mobileNumber + ", " + parisNumber)
	h.publish()
	phones("none, none, none")
}

// Whoever reviews a pull request has neither the provider's files nor a stoker.yml.
func TestCheckPhones(t *testing.T) {
	h := phoneHouse(t)
	h.write("contacts/acme.yml", strings.Replace(phoneContact, "via: [sms, voice]", "via: [voice]", 1))
	h.expectCheck(h.base, nil, nil)
	h.write("contacts/acme.yml", phoneContact)
	warning := []string{"contacts/acme.yml:7:22: number is a landline, which text messages may not reach: via: [voice] calls it"}
	h.expectCheck(h.base, nil, warning)
	h.remove("twilio-token")
	h.expectCheck(h.base, nil, warning)
	h.expectNote("some secrets or encrypted values are not at hand here, they were checked in structure only")
	h.opts.Phone = nil
	h.expectCheck(nil, nil, warning)
	h.expectCheck(h.base, []string{
		"contacts/acme.yml:7:13: phone needs routing.phone in stoker.yml, with a provider: sns, twilio or webhook",
		"contacts/acme.yml:8:11: phone needs routing.phone in stoker.yml, with a provider: sns, twilio or webhook",
	}, nil)
	h.opts.Phone, h.opts.AlertmanagerVersion = webhookConfig(), "0.33.0"
	h.expectCheck(h.base, []string{
		"contacts/acme.yml:7:3: phone by webhook needs Alertmanager 0.34 or newer, 0.33.0 runs",
		"contacts/acme.yml:8:3: phone by webhook needs Alertmanager 0.34 or newer, 0.33.0 runs",
	}, warning)
	h.opts.ExportersOnly = true
	h.opts.Phone = nil
	h.expectCheck(nil, nil, warning)
}

// A new auth token makes new webhooks, though no contact file has changed.
func TestAuthTokenChanges(t *testing.T) {
	h := phoneHouse(t)
	h.write("contacts/acme.yml", phoneContact)
	token := func() string {
		t.Helper()
		h.publish()
		main := string(h.live.(fstest.MapFS)[MainFile].Data)
		_, rest, _ := strings.Cut(main, "credentials: \"")
		found, _, _ := strings.Cut(rest, "\"")
		if strings.Count(main, found) != 3 {
			t.Errorf("%s is not in all of\n%s", found, main)
		}
		return found
	}
	h.sync()
	if got := token(); got != twilio.Token(twilioPassword) {
		t.Errorf("token %s", got)
	}
	if changed, _ := h.sync(); changed {
		t.Error("changed without a reason")
	}
	h.write("twilio-token", "another")
	if changed, _ := h.sync(); !changed {
		t.Error("not changed by another auth token")
	}
	if got := token(); got != twilio.Token("another") {
		t.Errorf("token %s", got)
	}
}

// A contact of the live release that can't be read by today's rules is still called by Alertmanager: the bridge doesn't
// say that there is no such phone, but that it can't tell the number now.
func TestPhonebookOfOtherRules(t *testing.T) {
	h := phoneHouse(t)
	h.write("contacts/acme.yml", phoneContact)
	h.sync()
	h.publish()
	if got := h.numbers("oncall", "text", "mail"); got != londonNumber+", "+mobileNumber+", none" {
		t.Errorf("got %s", got)
	}
	h.opts.Severities = []string{"low", "high"}
	h.restart()
	h.sync()
	if diff := cmp.Diff([]string{"acme/mail", "acme/text", "acme/oncall/15m"}, h.publish()); diff != "" {
		t.Errorf("receivers (-want +got):\n%s", diff)
	}
	if got := h.numbers("oncall", "text"); got != "not at hand, not at hand" {
		t.Errorf("got %s", got)
	}
}
