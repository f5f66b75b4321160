package routing

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// refused is what 0.27 and 0.34.2 answer on a host without the zone; unknownzone.txtar has it from them.
func refused(zone string) string { return "failed to reload config: unknown time zone " + zone }

// away is a contact of a location.
func away(owner, location string) string {
	return fmt.Sprintf("kind: operator\nlocation: %s", location) + strings.Replace(hookContact(owner), "\nkind: operator", "", 1)
}

// A contact whose time zone Alertmanager refused keeps its last good version, or is loud; the others go on.
func TestZoneThatAlertmanagerLacks(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", away("hx2", "Asia/Seoul"))
	h.expect(true, "", "acme/hook", "bravo/hook")

	h.write("contacts/acme.yml", away("hx9", "America/Coyhaique"))
	h.write("contacts/bravo.yml", away("hx3", "Asia/Seoul"))
	h.write("contacts/new.yml", away("hx4", "America/Coyhaique"))
	h.sync()
	good := h.live
	all := h.publish() // which Alertmanager refuses
	quarantined := []string{"acme/hook", "bravo/hook"}
	publish := func(want []string, refusals ...string) string {
		t.Helper()
		h.live, h.refusals = good, refusals
		if d := cmp.Diff(want, h.publish()); d != "" {
			t.Errorf("receivers (-want +got):\n%s", d)
		}
		return string(h.live.(fstest.MapFS)[MainFile].Data)
	}
	rejected := func() {
		t.Helper()
		h.expectMetrics(1, 2, 0, `file="acme.yml",routed="true"`, `file="new.yml",routed="false"`)
	}
	merged := publish(quarantined, refused("America/Coyhaique"))
	if !strings.Contains(merged, "hx1") || strings.Contains(merged, "hx9") || !strings.Contains(merged, "hx3") {
		t.Errorf("acme isn't what it was, or bravo isn't what it is:\n%s", merged)
	}
	rejected()
	const problem = "contacts/acme.yml:2:11: Alertmanager doesn't know the time zone America/Coyhaique: update the time zone data (tzdata) where it runs"
	if !strings.Contains(h.log.String(), problem) {
		t.Errorf("log:\n%s\nwant %s", h.log, problem)
	}

	// A trial is no news, neither that it begins nor that it failed.
	h.log.Reset()
	publish(all)
	rejected()
	publish(quarantined, refused("America/Coyhaique"))
	rejected()
	if h.log.Len() > 0 {
		t.Errorf("log:\n%s", h.log)
	}
	// That it succeeded is.
	publish(all)
	h.publish()
	h.expectMetrics(3, 0, 0)
	if n := strings.Count(h.log.String(), "contact no longer rejected"); n != 2 {
		t.Errorf("log:\n%s", h.log)
	}

	// What they mend counts at once.
	publish(quarantined, refused("America/Coyhaique"))
	h.write("contacts/acme.yml", away("hx9", "America/Santiago"))
	h.sync()
	if merged := publish(quarantined, refused("America/Coyhaique")); !strings.Contains(merged, "hx9") {
		t.Error("acme's new location doesn't count")
	}
	h.expectMetrics(2, 1, 0, `file="new.yml",routed="false"`)

	// Several zones are lacking where there are none at all, and nobody is told in a zone that isn't there.
	all = []string{"acme/hook", "bravo/hook", "new/hook"}
	publish(all)
	good = h.live
	publish([]string{"bravo/hook"}, refused("America/Coyhaique"), refused("America/Santiago"))
	h.expectMetrics(1, 2, 0, `file="acme.yml",routed="false"`, `file="new.yml",routed="false"`)
	h.write("contacts/acme.yml", "kind: operator")
	h.sync()
	publish([]string{"bravo/hook"}, refused("America/Coyhaique"), refused("America/Santiago"))
	h.remove("contacts")
	h.sync()
	publish([]string{"bravo/hook"}, refused("America/Coyhaique"), refused("America/Santiago"))
	h.expectMetrics(1, 2, 1, `file="acme.yml",routed="false"`, `file="new.yml",routed="false"`)
}

// What isn't about the zone of a contact concerns no contact.
func TestZoneOfNoContact(t *testing.T) {
	for name, tt := range map[string]struct {
		base, version, refusal string
	}{
		"another refusal":    {refusal: "failed to reload config: no route"},
		"another's words":    {refusal: "failed to reload config: bad url unknown time zone Asia/Seoul"},
		"another zone":       {refusal: refused("America/Coyhaique")},
		"the base's":         {refusal: refused("Asia/Seoul"), base: "time_intervals: [ { name: office, time_intervals: [ { location: Asia/Seoul } ] } ]"},
		"the base's, of old": {refusal: refused("Asia/Seoul"), base: "mute_time_intervals: [ { name: office, time_intervals: [ { location: Asia/Seoul } ] } ]"},
		"a zone for nothing": {refusal: refused("Asia/Seoul"), version: "0.27.0"}, // which has no clocks in messages
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.base[MainFile] = []byte(houseBase + tt.base)
			if tt.version != "" {
				h.version = tt.version
			}
			h.refusals = []string{tt.refusal}
			h.write("contacts/acme.yml", away("hx1", "Asia/Seoul"))
			h.expect(true, "", "acme/hook")
			h.expectMetrics(1, 0, 0)
		})
	}
}
