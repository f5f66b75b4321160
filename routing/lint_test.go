package routing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Two contacts that would have the same address told about the same alerts, whatever they call it.
func TestSharedAddresses(t *testing.T) {
	const operator = "kind: operator\nname: X\nowner: [%s]\ncontact_methods:\n  %s: { email: { to: %s } }\nnotification_rules: [ { notify: [%[2]s] } ]\n"
	const subscriber = "kind: subscriber\nname: X\ncontact_methods:\n  %s: { email: { to: %s } }\nsubscriptions: [ { notify: [%[1]s] } ]\n"
	h := newHouse(t)
	h.write("contacts/acme.yml", fmt.Sprintf(operator, "hx1, hx2", "mail", "noc@acme.example"))
	h.write("contacts/bravo.yml", fmt.Sprintf(operator, "hx2", "noc", "noc@acme.example"))
	h.write("contacts/charlie.yml", fmt.Sprintf(operator, "hx3", "mail", "noc@acme.example"))
	h.write("contacts/delta.yml", fmt.Sprintf(operator, "hx1", "mail", "noc@delta.example"))
	h.write("contacts/echo.yml", fmt.Sprintf(subscriber, "mail", "noc@acme.example"))
	h.write("contacts/foxtrot.yml", fmt.Sprintf(subscriber, "desk", "noc@acme.example"))
	key := newKeyPair(t)
	h.write("contacts/golf.yml", fmt.Sprintf(operator, "hx1", "mail", key.encrypt("noc@acme.example")))
	// Nor does it matter how it is given, nor what else differs.
	h.write("secrets/hotel.hook", "https://hooks.acme.example/hx5\n")
	h.write("contacts/hotel.yml", strings.ReplaceAll(hookContact("hx5"), `"https://hooks.acme.example/hx5"`, "{ secret: hook }"))
	h.write("contacts/india.yml", "location: Asia/Kolkata"+hookContact("hx5"))
	h.opts.Phone = twilioConfig()
	const phones = "kind: operator\nname: X\nowner: hx6\ncontact_methods:\n  call: { phone: { number: %q, via: [voice] } }\nnotification_rules: [ { notify: [call] } ]\n"
	h.write("contacts/juliett.yml", fmt.Sprintf(phones, londonNumber))
	h.write("contacts/kilo.yml", fmt.Sprintf(phones, londonNumber))
	h.write("contacts/lima.yml", fmt.Sprintf(phones, parisNumber))
	problems, warnings, _ := Check(context.Background(), h.opts, h.base)
	if len(problems) > 0 {
		t.Error(problems)
	}
	var got []string
	for _, w := range warnings {
		if line := strings.ReplaceAll(w.Error(), h.dir+"/", ""); !strings.Contains(line, "not at hand") {
			got = append(got, line)
		}
	}
	want := []string{
		`contacts/bravo.yml:5:3: "noc" has the address of "mail" in contacts/acme.yml, which is told about the same alerts`,
		`contacts/foxtrot.yml:4:3: "desk" has the address of "mail" in contacts/echo.yml, which is told about the same alerts`,
		`contacts/india.yml:5:20: "hook" has the address of "hook" in contacts/hotel.yml, which is told about the same alerts`,
		`contacts/kilo.yml:5:3: "call" has the address of "call" in contacts/juliett.yml, which is told about the same alerts`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
}

// What the bases of other tests say is all meant, but for four that are made to be odd.
func TestLintOfBases(t *testing.T) {
	want := []string{
		// A merge key adds to matchers instead of being replaced by them.
		`testdata/base-anchors.yml:19:5: never reached: its matchers and those above it never match together, because of severity="warning"`,
		"testdata/base-anchors.yml:22:5: never reached: the route in line 15 has the same matchers, and no continue",
		"testdata/base-intervals.yml:16:5: muted for ever: its time intervals leave no time at which it tells",
		"testdata/base-names.yml:3:3: repeat_interval 1y is longer than Alertmanager remembers what it has sent: it is repeated after 5d, unless --data.retention is longer",
		`testdata/base-swallows-all.yml:9:7: matcher severity=~".*" matches every alert, also one without that label`,
		"testdata/base-swallows-all.yml:11:5: never reached: the route in line 5 takes every alert, and has no continue",
	}
	var got []string
	for name, data := range bases(t) {
		for _, w := range Lint(name, data, Options{}) {
			got = append(got, w.Error())
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
}

// From 500 subscribers on, what one public alert costs is said with a number.
func TestManySubscribers(t *testing.T) {
	h := newHouse(t)
	for i := range subscribersWorthAWarning - 1 {
		h.write(fmt.Sprintf("contacts/s%d.yml", i), fmt.Sprintf("kind: subscriber\nname: X\ncontact_methods: { mail: { email: { to: s%d@exchange.example } } }\nsubscriptions: [ { notify: [mail] } ]\n", i))
	}
	h.write("contacts/acme.yml", hookContact("hx1"))
	if _, warnings, _ := Check(context.Background(), h.opts, h.base); len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	h.write("contacts/more.yml", "kind: subscriber\nname: X\ncontact_methods: { mail: { email: { to: more@exchange.example } } }\nsubscriptions: [ { notify: [mail] } ]\n")
	problems, warnings, _ := Check(context.Background(), h.opts, h.base)
	if len(problems) > 0 || len(warnings) != 1 || !strings.HasPrefix(warnings[0].Error(), h.dir+"/contacts: 500 subscribers: every public alert makes a group") {
		t.Errorf("problems: %v, warnings: %v", problems, warnings)
	}
}
