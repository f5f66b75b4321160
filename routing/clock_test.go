package routing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// The clock table: what somebody in a place would say on reading the wall clock there, around the days on which it is put
// forward or back. Instants are given in UTC, as a computer counts them; the wall clock beside them is written by hand
// from the law of the place, and the test holds that against the zone data before it looks at anything else.
//
//	Berlin      29 March 2026: 02:00 → 03:00 at 01:00 UTC; 25 October: 03:00 → 02:00 at 01:00 UTC
//	New York     8 March 2026: 02:00 → 03:00 at 07:00 UTC;  1 November: 02:00 → 01:00 at 06:00 UTC
//	Lord Howe    5 April 2026: 02:00 → 01:30 at 15:00 UTC of the 4th; 4 October: 02:00 → 02:30 at 15:30 UTC of the 3rd
//	Kolkata     never
const clockTable = `
# spec                     zone                 UTC               on the wall           quiet
# Every night, over the change.
22:00-07:00                Europe/Berlin        2026-03-28T20:59  Sat 28 Mar 21:59      no
22:00-07:00                Europe/Berlin        2026-03-28T21:00  Sat 28 Mar 22:00      yes
22:00-07:00                Europe/Berlin        2026-03-29T00:59  Sun 29 Mar 01:59      yes
22:00-07:00                Europe/Berlin        2026-03-29T01:00  Sun 29 Mar 03:00      yes
22:00-07:00                Europe/Berlin        2026-03-29T04:59  Sun 29 Mar 06:59      yes
22:00-07:00                Europe/Berlin        2026-03-29T05:00  Sun 29 Mar 07:00      no
22:00-07:00                Europe/Berlin        2026-10-24T19:59  Sat 24 Oct 21:59      no
22:00-07:00                Europe/Berlin        2026-10-24T20:00  Sat 24 Oct 22:00      yes
22:00-07:00                Europe/Berlin        2026-10-25T00:59  Sun 25 Oct 02:59      yes
22:00-07:00                Europe/Berlin        2026-10-25T01:00  Sun 25 Oct 02:00      yes
22:00-07:00                Europe/Berlin        2026-10-25T05:59  Sun 25 Oct 06:59      yes
22:00-07:00                Europe/Berlin        2026-10-25T06:00  Sun 25 Oct 07:00      no
22:00-07:00                America/New_York     2026-03-08T02:59  Sat 7 Mar 21:59       no
22:00-07:00                America/New_York     2026-03-08T03:00  Sat 7 Mar 22:00       yes
22:00-07:00                America/New_York     2026-03-08T10:59  Sun 8 Mar 06:59       yes
22:00-07:00                America/New_York     2026-03-08T11:00  Sun 8 Mar 07:00       no
22:00-07:00                America/New_York     2026-11-01T01:59  Sat 31 Oct 21:59      no
22:00-07:00                America/New_York     2026-11-01T02:00  Sat 31 Oct 22:00      yes
22:00-07:00                America/New_York     2026-11-01T11:59  Sun 1 Nov 06:59       yes
22:00-07:00                America/New_York     2026-11-01T12:00  Sun 1 Nov 07:00       no
22:00-07:00                Australia/Lord_Howe  2026-04-04T10:59  Sat 4 Apr 21:59       no
22:00-07:00                Australia/Lord_Howe  2026-04-04T11:00  Sat 4 Apr 22:00       yes
22:00-07:00                Australia/Lord_Howe  2026-04-04T20:29  Sun 5 Apr 06:59       yes
22:00-07:00                Australia/Lord_Howe  2026-04-04T20:30  Sun 5 Apr 07:00       no
22:00-07:00                Australia/Lord_Howe  2026-10-03T11:29  Sat 3 Oct 21:59       no
22:00-07:00                Australia/Lord_Howe  2026-10-03T11:30  Sat 3 Oct 22:00       yes
22:00-07:00                Australia/Lord_Howe  2026-10-03T19:59  Sun 4 Oct 06:59       yes
22:00-07:00                Australia/Lord_Howe  2026-10-03T20:00  Sun 4 Oct 07:00       no
22:00-07:00                Asia/Kolkata         2026-03-29T16:29  Sun 29 Mar 21:59      no
22:00-07:00                Asia/Kolkata         2026-03-29T16:30  Sun 29 Mar 22:00      yes
22:00-07:00                Asia/Kolkata         2026-03-30T01:29  Mon 30 Mar 06:59      yes
22:00-07:00                Asia/Kolkata         2026-03-30T01:30  Mon 30 Mar 07:00      no

# The hour that doesn't exist in spring and comes twice in autumn.
02:00-03:00                Europe/Berlin        2026-03-29T00:59  Sun 29 Mar 01:59      no
02:00-03:00                Europe/Berlin        2026-03-29T01:00  Sun 29 Mar 03:00      no
02:00-03:00                Europe/Berlin        2026-10-24T23:59  Sun 25 Oct 01:59      no
02:00-03:00                Europe/Berlin        2026-10-25T00:00  Sun 25 Oct 02:00      yes
02:00-03:00                Europe/Berlin        2026-10-25T01:59  Sun 25 Oct 02:59      yes
02:00-03:00                Europe/Berlin        2026-10-25T02:00  Sun 25 Oct 03:00      no
01:00-02:00                America/New_York     2026-11-01T04:59  Sun 1 Nov 00:59       no
01:00-02:00                America/New_York     2026-11-01T05:00  Sun 1 Nov 01:00       yes
01:00-02:00                America/New_York     2026-11-01T06:59  Sun 1 Nov 01:59       yes
01:00-02:00                America/New_York     2026-11-01T07:00  Sun 1 Nov 02:00       no
01:45-02:00                Australia/Lord_Howe  2026-04-04T14:44  Sun 5 Apr 01:44       no
01:45-02:00                Australia/Lord_Howe  2026-04-04T14:45  Sun 5 Apr 01:45       yes
01:45-02:00                Australia/Lord_Howe  2026-04-04T15:00  Sun 5 Apr 01:30       no
01:45-02:00                Australia/Lord_Howe  2026-04-04T15:15  Sun 5 Apr 01:45       yes
01:45-02:00                Australia/Lord_Howe  2026-04-04T15:30  Sun 5 Apr 02:00       no
02:00-02:30                Australia/Lord_Howe  2026-10-03T15:29  Sun 4 Oct 01:59       no
02:00-02:30                Australia/Lord_Howe  2026-10-03T15:30  Sun 4 Oct 02:30       no

# A night belongs to the day on which it begins: that of a friday ends on saturday, that of a sunday isn't one.
22:00-07:00,weekdays       Europe/Berlin        2026-03-26T22:00  Thu 26 Mar 23:00      yes
22:00-07:00,weekdays       Europe/Berlin        2026-03-27T22:00  Fri 27 Mar 23:00      yes
22:00-07:00,weekdays       Europe/Berlin        2026-03-28T05:59  Sat 28 Mar 06:59      yes
22:00-07:00,weekdays       Europe/Berlin        2026-03-28T06:00  Sat 28 Mar 07:00      no
22:00-07:00,weekdays       Europe/Berlin        2026-03-28T22:00  Sat 28 Mar 23:00      no
22:00-07:00,weekdays       Europe/Berlin        2026-03-29T03:00  Sun 29 Mar 05:00      no
22:00-07:00,weekdays       Europe/Berlin        2026-03-29T21:00  Sun 29 Mar 23:00      no
22:00-07:00,weekdays       Europe/Berlin        2026-03-30T03:00  Mon 30 Mar 05:00      no
22:00-07:00,weekdays       Europe/Berlin        2026-03-30T20:00  Mon 30 Mar 22:00      yes
22:00-07:00,saturday       Europe/Berlin        2026-10-25T00:30  Sun 25 Oct 02:30      yes
22:00-07:00,saturday       Europe/Berlin        2026-10-25T01:30  Sun 25 Oct 02:30      yes
22:00-07:00,saturday       Europe/Berlin        2026-10-25T06:00  Sun 25 Oct 07:00      no
22:00-07:00,saturday       Europe/Berlin        2026-10-25T21:00  Sun 25 Oct 22:00      no
22:00-07:00,saturday       America/New_York     2026-03-08T06:59  Sun 8 Mar 01:59       yes
22:00-07:00,saturday       America/New_York     2026-03-08T07:00  Sun 8 Mar 03:00       yes
22:00-07:00,sunday         America/New_York     2026-03-08T07:00  Sun 8 Mar 03:00       no
22:00-07:00,sunday         America/New_York     2026-03-09T02:00  Sun 8 Mar 22:00       yes
22:00-07:00,sunday         America/New_York     2026-03-09T10:59  Mon 9 Mar 06:59       yes

# Whole days have 23, 25 or 24 and a half hours.
00:00-24:00,sunday         Europe/Berlin        2026-03-28T22:59  Sat 28 Mar 23:59      no
00:00-24:00,sunday         Europe/Berlin        2026-03-28T23:00  Sun 29 Mar 00:00      yes
00:00-24:00,sunday         Europe/Berlin        2026-03-29T21:59  Sun 29 Mar 23:59      yes
00:00-24:00,sunday         Europe/Berlin        2026-03-29T22:00  Mon 30 Mar 00:00      no
00:00-24:00,sunday         Europe/Berlin        2026-10-24T21:59  Sat 24 Oct 23:59      no
00:00-24:00,sunday         Europe/Berlin        2026-10-24T22:00  Sun 25 Oct 00:00      yes
00:00-24:00,sunday         Europe/Berlin        2026-10-25T22:59  Sun 25 Oct 23:59      yes
00:00-24:00,sunday         Europe/Berlin        2026-10-25T23:00  Mon 26 Oct 00:00      no
00:00-24:00,sunday         Australia/Lord_Howe  2026-10-03T13:29  Sat 3 Oct 23:59       no
00:00-24:00,sunday         Australia/Lord_Howe  2026-10-03T13:30  Sun 4 Oct 00:00       yes
00:00-24:00,sunday         Australia/Lord_Howe  2026-10-04T12:59  Sun 4 Oct 23:59       yes
00:00-24:00,sunday         Australia/Lord_Howe  2026-10-04T13:00  Mon 5 Oct 00:00       no
00:00-24:00,sunday         Asia/Kolkata         2026-10-03T18:29  Sat 3 Oct 23:59       no
00:00-24:00,sunday         Asia/Kolkata         2026-10-03T18:30  Sun 4 Oct 00:00       yes
20:00-24:00,sunday         Europe/Berlin        2026-03-29T21:59  Sun 29 Mar 23:59      yes
20:00-24:00,sunday         Europe/Berlin        2026-03-29T22:00  Mon 30 Mar 00:00      no
`

func TestClockTable(t *testing.T) {
	spec := func(s string) string {
		times, days, ok := strings.Cut(s, ",")
		switch {
		case !ok:
			return fmt.Sprintf("{ times: %q }", times)
		case days == "weekdays":
			days = "monday:friday"
		}
		return fmt.Sprintf("{ times: %q, weekdays: %s }", times, days)
	}
	mutes := map[string]func(time.Time) bool{}
	rows := 0
	for line := range strings.Lines(clockTable) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		rows++
		location, err := time.LoadLocation(f[1])
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("2006-01-02T15:04", f[2])
		if err != nil {
			t.Fatal(err)
		}
		if wall := strings.Join(f[3:7], " "); at.In(location).Format("Mon 2 Jan 15:04") != wall {
			t.Errorf("the table says %s where it is %s: %s", wall, at.In(location).Format("Mon 2 Jan 15:04"), line)
			continue
		}
		key := f[0] + f[1]
		if mutes[key] == nil {
			_, mutes[key] = mergedQuietHours(t, f[1], spec(f[0]))
		}
		for _, second := range []time.Duration{0, 59 * time.Second} {
			if quiet := mutes[key](at.Add(second)); quiet != (f[7] == "yes") {
				t.Errorf("quiet is %t, %s after: %s", quiet, second, line)
			}
		}
	}
	if rows < 80 {
		t.Errorf("only %d rows", rows)
	}
}

// mergedQuietHours returns quiet hours, and when Alertmanager mutes the leaf of a contact that has them. It makes sure that a
// leaf of a severity that bypasses them has none.
func mergedQuietHours(t *testing.T, location, spec string) (quietHours, func(time.Time) bool) {
	t.Helper()
	c := parse(t, "acme.yml", fmt.Sprintf(`
kind: operator
name: Acme
owner: hx1
location: %s
contact_methods: { hook: { webhook: { url: "https://hooks.acme.example/" } } }
notification_rules: [ { notify: [hook], quiet_hours: night } ]
quiet_hours: { night: %s }
`, location, strings.Replace(spec, " }", ", bypass: [critical] }", 1)), testSite())
	merged, err := Merge([]byte(anyBase), []*Contact{c}, testSite())
	if err != nil {
		t.Fatal(err)
	}
	cfg := loadFile(t, merged)
	for _, leaf := range cfg.Route.Routes[1:] {
		bypasses := leaf.Matchers[len(leaf.Matchers)-1].Matches("critical")
		if (len(leaf.MuteTimeIntervals) == 0) != bypasses || len(leaf.ActiveTimeIntervals) > 0 {
			t.Errorf("leaf %v is muted by %q", leaf.Matchers, leaf.MuteTimeIntervals)
		}
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, i := range cfg.TimeIntervals {
		intervals[i.Name] = i.TimeIntervals
	}
	alertmanager := timeinterval.NewIntervener(intervals)
	return c.quietHours[0], func(at time.Time) bool {
		muted, _, err := alertmanager.Mutes([]string{"contact/acme/night"}, at)
		if err != nil {
			t.Fatal(err)
		}
		return muted
	}
}
