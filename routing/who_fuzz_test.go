package routing

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Whatever a configuration that loads and a question are, there is an answer, and the base's faults are found without a
// fault.
func FuzzWho(f *testing.F) {
	f.Add(whoBase, "alertname=NodeDown severity=critical", int64(1795000000))
	f.Add("route: { receiver: x, routes: [ { <<: &a { matchers: [ a=~\"b|c\" ] }, active_time_intervals: [ i ] } ] }\nreceivers: [ { name: x } ]\n"+
		"time_intervals: [ { name: i, time_intervals: [ { days_of_month: [ '-1' ], location: Australia/Lord_Howe } ] } ]\n", "a=b", int64(0))
	f.Add("route: { receiver: contact/a, routes: [ { receiver: contact//b/1h } ] }\nreceivers: [ { name: contact/a }, { name: contact//b/1h } ]\n", "prep=x", int64(-1))
	f.Fuzz(func(t *testing.T, base, question string, at int64) {
		labels, err := ParseLabels(strings.Fields(question))
		if err != nil {
			return
		}
		when := time.Unix(at%(1<<36), 0)
		Lint(MainFile, []byte(base), Options{})
		r, err := ReadRoutes(FilesOf(map[string][]byte{MainFile: []byte(base)}), Options{})
		if err != nil {
			return
		}
		a := r.Who(labels, when)
		if len(a.Told) == 0 {
			t.Fatalf("no route of %q matches %s", base, labels)
		}
		for _, told := range a.Told {
			if !told.MutedUntil.IsZero() && told.MutedUntil.Before(told.Due) {
				t.Fatalf("muted until %s, before %s", told.MutedUntil, told.Due)
			}
		}
		if table := a.Table(time.UTC); !utf8.Valid(table) || strings.ContainsAny(string(table), "\x1b\u202e\r") {
			t.Fatalf("%q", table)
		}
	})
}
