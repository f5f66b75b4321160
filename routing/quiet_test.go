package routing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

// Whatever the quiet hours, Alertmanager mutes by the generated interval exactly when a clock on the wall
// at the contact's location says so, also on the days on which clocks change.
func TestQuietHoursByTheClock(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	changes := []struct {
		location string
		around   string
	}{
		{"Europe/Berlin", "2026-03-29"}, {"Europe/Berlin", "2026-10-25"},
		{"America/New_York", "2026-03-08"}, {"America/New_York", "2026-11-01"},
		{"Australia/Lord_Howe", "2026-04-05"}, {"Australia/Lord_Howe", "2026-10-04"},
		{"Asia/Kathmandu", "2026-12-31"}, {"UTC", "2024-02-29"},
	}
	specs := []string{
		`{ times: "22:00-07:00" }`,
		`{ times: "22:00-07:00", weekdays: [monday:friday] }`,
		`{ times: "22:00-07:00", weekdays: [saturday] }`,
		`{ times: "02:30-02:00", weekdays: [sunday] }`,
		`{ times: "00:00-24:00", weekdays: [friday:sunday] }`,
		`{ times: "00:00-00:30" }`,
		`{ times: "23:45-00:00", weekdays: sunday }`,
		`{ times: ["12:00-13:15", "21:00-06:00", "20:00-24:00"], weekdays: [tuesday, saturday:monday] }`,
	}
	for range 20 {
		var times []string
		for range 1 + r.IntN(3) {
			start := r.IntN(day)
			end := (start + 1 + r.IntN(day-1)) % day
			times = append(times, fmt.Sprintf("%q", fmt.Sprintf("%02d:%02d-%02d:%02d", start/60, start%60, end/60, end%60)))
		}
		specs = append(specs, fmt.Sprintf("{ times: [%s], weekdays: [%s] }", strings.Join(times, ", "), strings.Join(some(r, dayNames[:]...), ", ")))
	}
	for _, spec := range specs {
		for _, change := range changes {
			quiet, mutes := mergedQuietHours(t, change.location, spec)
			location, err := time.LoadLocation(change.location)
			if err != nil {
				t.Fatal(err)
			}
			from, err := time.ParseInLocation(time.DateOnly, change.around, location)
			if err != nil {
				t.Fatal(err)
			}
			for at := from.Add(-4 * 24 * time.Hour); at.Before(from.Add(5 * 24 * time.Hour)); at = at.Add(5 * time.Minute) {
				if muted := mutes(at); muted != quietByTheClock(quiet, at.In(location)) {
					t.Fatalf("%s at %s: muted is %t", spec, at.In(location), muted)
				}
			}
		}
	}
}

func quietByTheClock(q quietHours, now time.Time) bool {
	minute, today := now.Hour()*60+now.Minute(), int(now.Weekday())
	yesterday := (today + 6) % 7
	return slices.ContainsFunc(q.times, func(r timeRange) bool {
		if r.start < r.end {
			return q.days[today] && r.start <= minute && minute < r.end
		}
		return q.days[today] && minute >= r.start || q.days[yesterday] && minute < r.end
	})
}
