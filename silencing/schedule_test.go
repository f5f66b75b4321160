package silencing

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := location(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// recurring returns a rule that ends late.
func recurring(t testing.TB, expr, location string, duration time.Duration) *Rule {
	t.Helper()
	s := &Schedule{Location: zone(t, location), Duration: duration}
	if err := s.parse(expr, testNow); err != nil {
		t.Fatal(err)
	}
	return &Rule{
		Name:     "recurring",
		Matchers: []Matcher{{Name: "alertname", Value: "a", IsEqual: true}},
		Schedule: s,
		EndsAt:   time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC),
		Comment:  "c",
	}
}

func TestOccurrences(t *testing.T) {
	utc := func(s string) time.Time {
		v, err := time.Parse("2006-01-02T15:04Z", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct {
		name, schedule, location string
		duration                 time.Duration
		from, to                 string
		want                     []string // start to end, in UTC
	}{
		{
			name: "gap in New York", schedule: "30 2 * * *", location: "America/New_York", duration: time.Hour,
			from: "2027-03-13T00:00Z", to: "2027-03-16T00:00Z",
			want: []string{
				"2027-03-13T07:30Z to 2027-03-13T08:30Z",
				"2027-03-14T07:00Z to 2027-03-14T08:00Z", // 02:30 isn't there, 03:00 is
				"2027-03-15T06:30Z to 2027-03-15T07:30Z",
			},
		},
		{
			name: "overlap in New York", schedule: "30 1 * * *", location: "America/New_York", duration: time.Hour,
			from: "2027-11-06T00:00Z", to: "2027-11-09T00:00Z",
			want: []string{
				"2027-11-06T05:30Z to 2027-11-06T06:30Z",
				"2027-11-07T05:30Z to 2027-11-07T06:30Z", // and not again at 06:30
				"2027-11-08T06:30Z to 2027-11-08T07:30Z",
			},
		},
		{
			name: "elapsed time through a gap", schedule: "30 23 * * 6", location: "America/New_York", duration: 4 * time.Hour,
			from: "2027-03-13T00:00Z", to: "2027-03-15T00:00Z",
			want: []string{"2027-03-14T04:30Z to 2027-03-14T08:30Z"}, // 23:30 to 04:30 on the wall
		},
		{
			name: "every quarter through a gap", schedule: "*/15 2-3 * * *", location: "America/New_York", duration: time.Minute,
			from: "2027-03-14T06:00Z", to: "2027-03-14T07:40Z",
			want: []string{
				"2027-03-14T07:00Z to 2027-03-14T07:01Z", // for 02:00 to 02:45, and its own
				"2027-03-14T07:15Z to 2027-03-14T07:16Z",
				"2027-03-14T07:30Z to 2027-03-14T07:31Z",
			},
		},
		{
			name: "every half hour through an overlap", schedule: "*/30 0-2 * * *", location: "America/New_York", duration: time.Minute,
			from: "2027-11-07T05:00Z", to: "2027-11-07T07:40Z",
			want: []string{
				"2027-11-07T05:00Z to 2027-11-07T05:01Z",
				"2027-11-07T05:30Z to 2027-11-07T05:31Z",
				"2027-11-07T07:00Z to 2027-11-07T07:01Z",
				"2027-11-07T07:30Z to 2027-11-07T07:31Z",
			},
		},
		{
			name: "half an hour's gap on Lord Howe", schedule: "15 2 * * *", location: "Australia/Lord_Howe", duration: time.Hour,
			from: "2027-10-01T12:00Z", to: "2027-10-04T12:00Z",
			want: []string{
				"2027-10-01T15:45Z to 2027-10-01T16:45Z",
				"2027-10-02T15:30Z to 2027-10-02T16:30Z", // 02:15 isn't there, 02:30 is
				"2027-10-03T15:15Z to 2027-10-03T16:15Z",
			},
		},
		{
			name: "half an hour's overlap on Lord Howe", schedule: "45 1 * * *", location: "Australia/Lord_Howe", duration: time.Hour,
			from: "2027-04-02T12:00Z", to: "2027-04-05T12:00Z",
			want: []string{
				"2027-04-02T14:45Z to 2027-04-02T15:45Z",
				"2027-04-03T14:45Z to 2027-04-03T15:45Z", // and not again at 15:15
				"2027-04-04T15:15Z to 2027-04-04T16:15Z",
			},
		},
		{
			name: "no change in Kolkata", schedule: "30 2 * * *", location: "Asia/Kolkata", duration: time.Hour,
			from: "2027-03-13T00:00Z", to: "2027-03-16T00:00Z",
			want: []string{
				"2027-03-13T21:00Z to 2027-03-13T22:00Z",
				"2027-03-14T21:00Z to 2027-03-14T22:00Z",
				"2027-03-15T21:00Z to 2027-03-15T22:00Z",
			},
		},
		{
			name: "no change in Kolkata while New York has its own", schedule: "30 1 * * *", location: "Asia/Kolkata", duration: time.Hour,
			from: "2027-11-06T00:00Z", to: "2027-11-08T00:00Z",
			want: []string{
				"2027-11-06T20:00Z to 2027-11-06T21:00Z",
				"2027-11-07T20:00Z to 2027-11-07T21:00Z",
			},
		},
		{
			name: "over midnight through an overlap", schedule: "30 23 * * 6", location: "America/New_York", duration: 4 * time.Hour,
			from: "2027-11-06T12:00Z", to: "2027-11-08T12:00Z",
			want: []string{"2027-11-07T03:30Z to 2027-11-07T07:30Z"}, // 23:30 to 02:30 on the wall
		},
		{
			name: "over midnight through half an hour's gap on Lord Howe", schedule: "0 23 * * 6", location: "Australia/Lord_Howe", duration: 4 * time.Hour,
			from: "2027-10-02T00:00Z", to: "2027-10-04T00:00Z",
			want: []string{"2027-10-02T12:30Z to 2027-10-02T16:30Z"}, // 23:00 to 03:30 on the wall
		},
		{
			name: "over midnight into a leap day, and out of it", schedule: "0 23 28,29 2 *", location: "UTC", duration: 2 * time.Hour,
			from: "2028-02-01T00:00Z", to: "2028-04-01T00:00Z",
			want: []string{
				"2028-02-28T23:00Z to 2028-02-29T01:00Z",
				"2028-02-29T23:00Z to 2028-03-01T01:00Z",
			},
		},
		{
			name: "midnight that isn't there in Beirut", schedule: "0 0 * * *", location: "Asia/Beirut", duration: time.Hour,
			from: "2027-03-26T12:00Z", to: "2027-03-28T12:00Z",
			want: []string{
				"2027-03-26T22:00Z to 2027-03-26T23:00Z",
				"2027-03-27T22:00Z to 2027-03-27T23:00Z", // 01:00 on the wall
			},
		},
		{
			name: "over midnight, seen from within", schedule: "30 23 * * 1-5", location: "Asia/Seoul", duration: 2 * time.Hour,
			from: "2026-11-30T15:00Z", to: "2026-11-30T15:01Z",
			want: []string{"2026-11-30T14:30Z to 2026-11-30T16:30Z"},
		},
		{
			name: "at its very end it is over", schedule: "30 23 * * 1-5", location: "Asia/Seoul", duration: 2 * time.Hour,
			from: "2026-11-30T16:30Z", to: "2026-11-30T17:00Z",
		},
		{
			name: "leap day", schedule: "0 12 29 2 *", location: "UTC", duration: time.Hour,
			from: "2027-01-01T00:00Z", to: "2029-01-01T00:00Z",
			want: []string{"2028-02-29T12:00Z to 2028-02-29T13:00Z"},
		},
		{
			name: "cut off at the rule's own end", schedule: "0 23 * * *", location: "UTC", duration: 2 * time.Hour,
			from: "2028-12-31T01:00Z", to: "2030-01-01T00:00Z",
			want: []string{"2028-12-31T23:00Z to 2029-01-01T00:00Z"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for o := range occurrences(recurring(t, tc.schedule, tc.location, tc.duration), utc(tc.from), utc(tc.to)) {
				const format = "2006-01-02T15:04Z"
				got = append(got, o.StartsAt.UTC().Format(format)+" to "+o.EndsAt.UTC().Format(format))
				if id := o.StartsAt.UTC().Format("20060102T150405Z"); o.ID != id {
					t.Errorf("ID is %s, want %s", o.ID, id)
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// The starts are the ones that somebody would write down who watches the wall
// clock every minute.
func TestStartsAgainstAWatchedClock(t *testing.T) {
	expressions := []string{"*/5 * * * *", "30 2 * * *", "15,45 1-2 * * *", "0 0 * * 0", "59 23 * 3,10 *", "0 3 29-31 * 1"}
	zones := []string{"America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Beirut", "Europe/Dublin", "America/Havana", "Pacific/Chatham"}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, name := range zones {
		loc := zone(t, name)
		for _, expr := range expressions {
			s := &Schedule{Location: loc}
			if err := s.parse(expr, testNow); err != nil {
				t.Fatal(err)
			}
			// Days around each change of the clock in 2027, and one anywhere.
			days := []time.Time{time.Date(2027, 1, 1+rnd.IntN(365), rnd.IntN(24), 0, 0, 0, loc)}
			for at := time.Date(2027, 1, 1, 0, 0, 0, 0, loc); ; {
				_, end := at.ZoneBounds()
				if end.IsZero() || end.Year() != 2027 {
					break
				}
				days = append(days, end.Add(-time.Duration(rnd.IntN(48))*time.Hour))
				at = end
			}
			for _, from := range days {
				to := from.Add(72 * time.Hour)
				var got []string
				for start := range s.starts(from) {
					if start.After(to) {
						break
					}
					got = append(got, start.UTC().Format(time.RFC3339))
				}
				if d := cmp.Diff(watched(s, from, to), got); d != "" {
					t.Errorf("%s in %s from %s:\n%s", expr, name, from, d)
				}
			}
		}
	}
}

// watched finds the starts after from until to by looking at the clock.
func watched(s *Schedule, from, to time.Time) []string {
	asked := func(reading time.Time) bool { return s.clock.Next(reading.Add(-time.Second)).Equal(reading) }
	var starts []string
	last := asUTC(from.Add(-2 * time.Hour).In(s.Location)) // the latest reading so far
	for at := from.Add(-2 * time.Hour); !at.After(to); at = at.Add(time.Minute) {
		reading := asUTC(at.In(s.Location))
		begins := false
		for ; last.Before(reading); last = last.Add(time.Minute) {
			begins = begins || asked(last.Add(time.Minute))
		}
		if begins && at.After(from) {
			starts = append(starts, at.UTC().Format(time.RFC3339))
		}
	}
	return starts
}

func TestDesired(t *testing.T) {
	at := func(clock string) time.Time {
		v, err := time.Parse(time.RFC3339, "2026-12-01T"+clock+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	day := recurring(t, "0 12 * * *", "UTC", time.Hour)
	day.Name = "day"
	often := recurring(t, "*/3 * * * *", "UTC", 2*time.Minute)
	often.Name = "often"
	rules := []Rule{
		{Name: "planned", StartsAt: at("18:00:00"), EndsAt: at("19:00:00")},
		{Name: "now", EndsAt: at("12:30:00")},
		*day,
		*often,
	}
	for _, tc := range []struct {
		now  string
		want []string
	}{
		{"11:49:59", []string{"planned once", "now once", "often 20261201T114800Z", "often 20261201T115100Z"}},
		{"11:50:01", []string{"planned once", "now once", "day 20261201T120000Z", "often 20261201T115100Z"}},
		{"12:30:00", []string{"planned once", "day 20261201T120000Z", "often 20261201T123000Z", "often 20261201T123300Z"}},
		{"18:59:59", []string{"planned once", "often 20261201T190000Z"}},
		{"19:00:00", []string{"often 20261201T190000Z", "often 20261201T190300Z"}},
	} {
		var got []string
		for _, o := range Desired(rules, at(tc.now)) {
			got = append(got, fmt.Sprintf("%s %s", o.Rule.Name, o.ID))
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("at %s:\n%s", tc.now, d)
		}
	}
}

func TestOccurrencesAreInTheirZone(t *testing.T) {
	for o := range occurrences(recurring(t, "30 2 * * *", "America/New_York", time.Hour), testNow, testNow.AddDate(1, 0, 0)) {
		if got := o.StartsAt.Location().String(); got != "America/New_York" {
			t.Fatalf("%s is in %s", o.StartsAt, got)
		}
	}
}
