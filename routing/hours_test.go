package routing

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	yamlv2 "gopkg.in/yaml.v2"

	"github.com/prometheus/alertmanager/timeinterval"
)

// randomIntervals are some that begin and end at odd minutes, in zones with odd clocks.
func randomIntervals(t *testing.T, r *rand.Rand) []timeinterval.TimeInterval {
	t.Helper()
	var b strings.Builder
	for range 1 + r.IntN(2) {
		start := r.IntN(day)
		fmt.Fprintf(&b, "- times: [{ start_time: '%02d:%02d', end_time: '%02d:%02d' }]\n", start/60, start%60, (start+1+r.IntN(day-start))/60, 0)
		if r.IntN(2) == 0 {
			b.Reset()
			b.WriteString("- times: [{ start_time: '00:00', end_time: '24:00' }]\n")
		}
		first := r.IntN(7)
		fmt.Fprintf(&b, "  weekdays: ['%s:%s']\n", dayNames[first], dayNames[first+r.IntN(7-first)])
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "  days_of_month: ['%d:-1']\n", 1+r.IntN(31))
		}
		fmt.Fprintf(&b, "  location: %s\n", some(r, "UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia")[0])
	}
	var intervals []timeinterval.TimeInterval
	if err := yamlv2.Unmarshal([]byte(b.String()), &intervals); err != nil {
		return randomIntervals(t, r) // a range that ends before it begins
	}
	return intervals
}

// The search jumps from change to change; by the minute it comes to the same, also where a clock is put forward or
// back.
func TestUnmuted(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	starts := []time.Time{
		time.Date(2026, 3, 28, 9, 17, 31, 5, time.UTC),   // Berlin
		time.Date(2026, 4, 4, 1, 1, 0, 0, time.UTC),      // Lord Howe, by half an hour
		time.Date(2026, 10, 24, 22, 59, 59, 0, time.UTC), // Berlin
		time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC),     // St. John's
		time.Date(2028, 2, 28, 12, 0, 0, 0, time.UTC),
	}
	const days = 4
	found := 0
	for range 300 {
		h := hours{"a": randomIntervals(t, r), "b": randomIntervals(t, r)}
		mute, active := []string{"a"}, []string{"b"}
		if r.IntN(2) == 0 {
			mute, active = []string{"a", "b"}, nil
		}
		start := starts[r.IntN(len(starts))]
		want, ok := start, len(h.mutedBy(mute, active, start)) == 0
		for minute := start.Truncate(time.Minute); !ok && minute.Before(start.AddDate(0, 0, days)); {
			minute = minute.Add(time.Minute)
			want, ok = minute, len(h.mutedBy(mute, active, minute)) == 0
		}
		got, _ := h.unmuted(mute, active, start)
		if ok && !got.Equal(want) || !ok && !got.IsZero() && got.Before(start.AddDate(0, 0, days)) {
			t.Fatalf("from %s: unmuted at %s, by the minute at %s (%t)\n%+v", start, got, want, ok, h)
		}
		if ok && want.After(start) {
			found++
		}
	}
	if found < 50 {
		t.Errorf("only %d searches had to search", found)
	}
}

func TestComes(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for spec, want := range map[string]bool{
		"[]":                         false,
		"[{}]":                       true,
		"[{ years: ['2020:2025'] }]": false,
		"[{ years: ['2020:2026'] }]": true,
		"[{ years: ['2026'], months: ['1:10'] }]":                              false,
		"[{ years: ['2026'], months: ['november'], days_of_month: ['1:25'] }]": false,
		"[{ months: ['february'], days_of_month: ['29'] }]":                    true,
		"[{ months: ['february'], days_of_month: ['30'] }]":                    false,
		"[{ years: ['2020'] }, { weekdays: ['monday'] }]":                      true,
	} {
		var intervals []timeinterval.TimeInterval
		if err := yamlv2.Unmarshal([]byte(spec), &intervals); err != nil {
			t.Fatal(err)
		}
		if got := comes(intervals, now); got != want {
			t.Errorf("%s comes: %t", spec, got)
		}
	}
}

func TestParseTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 26, 23, 30, 0, 0, time.UTC) // the 27th in Berlin
	for text, want := range map[string]string{
		"2026-11-26T22:30:00+09:00": "2026-11-26T13:30:00Z",
		"2026-11-26T22:30:00Z":      "2026-11-26T22:30:00Z",
		"2026-11-26 22:30":          "2026-11-26T21:30:00Z",
		"2026-07-26T22:30":          "2026-07-26T20:30:00Z",
		"2026-07-26 22:30:05":       "2026-07-26T20:30:05Z",
		"22:30":                     "2026-11-27T21:30:00Z",
		"2026-03-29 02:30":          `"2026-03-29 02:30" doesn't exist in Europe/Berlin: the clock is put forward over it`,
		"tomorrow":                  `"tomorrow" must be a time such as "2026-11-26 22:30" or 2026-11-26T22:30:00+01:00`,
		"2026-11-31 22:30":          `"2026-11-31 22:30" must be a time such as "2026-11-26 22:30" or 2026-11-26T22:30:00+01:00`,
	} {
		got, err := ParseTime(text, berlin, now)
		said := got.UTC().Format(time.RFC3339)
		if err != nil {
			said = err.Error()
		}
		if said != want {
			t.Errorf("%s is %s, want %s", text, said, want)
		}
	}
}

// Quiet hours end by the clock of their zone in nights in which that is put forward or back, and when a mute and an
// active interval take turns.
func TestUnmutedByTheClock(t *testing.T) {
	var h hours
	const spec = `
night:
- { times: [ { start_time: "22:00", end_time: "24:00" }, { start_time: "00:00", end_time: "07:00" } ], location: Europe/Berlin }
morning:
- { times: [ { start_time: "00:00", end_time: "02:30" } ], location: Europe/Berlin }
work:
- { times: [ { start_time: "06:00", end_time: "17:00" } ], weekdays: [ "monday:friday" ], location: America/New_York }
always: [ {} ]
`
	if err := yamlv2.Unmarshal([]byte(spec), &h); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from, mute, active, want string
	}{
		{"2026-03-28T21:30:00Z", "night", "", "2026-03-29T05:00:00Z"},
		{"2026-10-24T21:30:00Z", "night", "", "2026-10-25T06:00:00Z"},
		{"2026-03-28T23:30:00Z", "morning", "", "2026-03-29T01:00:00Z"}, // 02:30 is left out
		{"2026-10-24T23:30:00Z", "morning", "", "2026-10-25T00:30:00Z"}, // the first of two
		{"2026-10-25T01:05:00Z", "morning", "", "2026-10-25T01:30:00Z"}, // the second
		{"2026-11-27T23:00:00Z", "night", "work", "2026-11-30T11:00:00Z"},
		{"2026-11-27T12:34:56Z", "night", "work", "2026-11-27T12:34:56Z"},
		{"2026-11-27T12:34:56Z", "always", "", "0001-01-01T00:00:00Z"},
	} {
		from, err := time.Parse(time.RFC3339, test.from)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := h.unmuted(strings.Fields(test.mute), strings.Fields(test.active), from)
		if said := got.UTC().Format(time.RFC3339); said != test.want {
			t.Errorf("%+v: %s", test, said)
		}
	}
}
