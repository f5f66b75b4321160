package routing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A test without a time says who is told whatever the hour; one with a time, who is told then. What comes later is
// judged by when it is due.
func TestDeclaredTestsAtTimes(t *testing.T) {
	const contact = `
kind: operator
name: Acme
owner: hx1
location: Europe/Berlin
contact_methods:
  chat: { telegram: { chat_id: "-1001234567890" } }
  mail: { email: { to: noc@acme.example } }
notification_rules:
- { notify: [chat], quiet_hours: night }
- { notify: [mail], after: 2h, quiet_hours: night }
quiet_hours:
  night: { times: "22:00-07:00", weekdays: [monday:friday], bypass: [critical] }
tests:
`
	for test, want := range map[string]string{
		`labels: { severity: info }, notify: [ chat, mail ]`:                             "",
		`labels: { severity: info }, notify: [ chat, mail ], at: "2026-11-27 12:00"`:     "",
		`labels: { severity: info }, notify: [ chat ], at: "2026-11-27 20:30"`:           "",
		`labels: { severity: info }, notify: [ mail ], at: "2026-11-28 05:30"`:           "",
		`labels: { severity: info }, notify: [], at: "2026-11-27T22:30:00Z"`:             "",
		`labels: { severity: critical }, notify: [ chat, mail ], at: "2026-11-27 23:30"`: "",
		`labels: { severity: info }, notify: [ chat ], at: "2026-11-27 23:30"`:           `15:41: test expects chat, but nobody would be told about {prep="hx1", severity="info"} at 2026-11-27 23:30`,
		`labels: { severity: info }, notify: [ chat ], at: "2026-11-29 02:30"`:           `15:41: test expects chat, but chat, mail would be told about {prep="hx1", severity="info"} at 2026-11-29 02:30`,
		`labels: { severity: info }, notify: [], at: 2026-11-27T22:30:00Z`:               "",
		`labels: { severity: critical }, notify: [ chat, mail ], at: "2026-03-29 02:30"`: `15:65: at: "2026-03-29 02:30" doesn't exist in Europe/Berlin: the clock is put forward over it`,
	} {
		c, err := ParseContact("acme.yml", []byte(contact+"- { "+test+" }\n"), testSite())
		if err == nil {
			_, err = Merge([]byte(anyBase), []*Contact{c}, testSite())
		}
		said := ""
		if err != nil {
			said = strings.Join(problemLines(t, "acme.yml", err), "\n")
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test, diff)
		}
	}
}
