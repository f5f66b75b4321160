package routing

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// clockZones are far apart, so that it is another day in some of them.
var clockZones = []string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York", "Pacific/Auckland", "Pacific/Honolulu"}

// aroundNow returns a range of times of day on a clock that holds now, or that doesn't, and the day it begins on. Both
// ends are more than an hour away.
func aroundNow(r *rand.Rand, now time.Time, zone *time.Location, holds bool) (times string, begins time.Weekday) {
	start := now.In(zone).Add(-time.Duration(80+r.IntN(200)) * time.Minute)
	end := now.In(zone).Add(time.Duration(80+r.IntN(200)) * time.Minute)
	if !holds {
		start, end = end, end.Add(time.Duration(1+r.IntN(300))*time.Minute)
	}
	return start.Format(timeOfToday) + "-" + end.Format(timeOfToday), start.Weekday()
}

// clockContact is an operator with quiet hours about now.
func clockContact(t *testing.T, r *rand.Rand, now time.Time, url string) string {
	t.Helper()
	var b strings.Builder
	name := some(r, clockZones...)[0]
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "kind: operator\nname: Random\nowner: [%s]\nlocation: %s\ncontact_methods:\n", strings.Join(some(r, "hx0", "hx1", "hx2", "hx3"), ", "), name)
	methods := []string{"m0", "m1", "m2"}
	for _, m := range methods {
		fmt.Fprintf(&b, "  %s: { webhook: { url: '%s' } }\n", m, url)
	}
	b.WriteString("notification_rules:\n")
	for i, m := range methods {
		// One rule a method and step: others would be about the same alerts with other quiet hours.
		for _, after := range []string{"", ", after: 1s", ", after: 2s"}[:1+r.IntN(3)] {
			fmt.Fprintf(&b, "- { notify: [%s], min_severity: %s%s", m, some(r, DefaultSeverities()...)[0], after)
			if r.IntN(4) > 0 {
				fmt.Fprintf(&b, ", quiet_hours: q%d", i)
			}
			b.WriteString(" }\n")
		}
	}
	b.WriteString("quiet_hours:\n")
	for i := range methods {
		times, begins := aroundNow(r, now, zone, r.IntN(3) > 0)
		days := "sunday:saturday"
		switch r.IntN(3) {
		case 0:
			days = dayNames[begins]
		case 1:
			days = dayNames[(begins+1)%7] + ":" + dayNames[(begins+6)%7] // all but that one
		}
		fmt.Fprintf(&b, "  q%d: { times: %q, weekdays: [%s], bypass: [%s] }\n", i, times, days, strings.Join(some(r, DefaultSeverities()...)[:1], ", "))
	}
	return b.String()
}

const clockSubscriber = `
kind: subscriber
name: Random
contact_methods: { m0: { webhook: { url: 'URL' } } }
subscriptions: [ { components: [ api, db ], min_severity: warning, notify: [ m0 ] } ]
`

// clockBase has routes that are muted and active by the clock, too.
const clockBase = `
route:
  receiver: team
  group_by: [ alertname ]
  group_wait: 0s
  routes:
  - receiver: marker
    matchers: [ alertname="Marker" ]
    group_wait: 5s
  - receiver: by-day
    matchers: [ severity="info" ]
    mute_time_intervals: [ now, never ]
    continue: true
  - receiver: by-night
    matchers: [ severity=~"info|warning" ]
    active_time_intervals: [ now, never ]
    continue: true
  - receiver: nobody
    matchers: [ component="db" ]
    active_time_intervals: [ never ]
  - receiver: by-day
    matchers: [ severity="critical" ]
    active_time_intervals: [ now ]
    mute_time_intervals: [ never ]
    group_wait: 1s
receivers:
- { name: team, webhook_configs: [ { url: 'URL' } ] }
- { name: marker, webhook_configs: [ { url: 'URL' } ] }
- { name: by-day, webhook_configs: [ { url: 'URL' } ] }
- { name: by-night, webhook_configs: [ { url: 'URL' } ] }
- { name: nobody, webhook_configs: [ { url: 'URL' } ] }
time_intervals:
- { name: never, time_intervals: [ { years: [ '2020' ] } ] }
- name: now
  time_intervals:
  - times: [ { start_time: '00:00', end_time: '24:00' } ]
    location: Asia/Kathmandu
    years: [ '2020:3000' ]
`

// What stoker says of who is told now is what the real Alertmanager then sends, of every version, with quiet hours on
// clocks all over the world.
func TestWhoIsWhatAlertmanagerSends(t *testing.T) {
	eachAlertmanager(t, func(t *testing.T, binary, _ string) {
		inbox := inboxtest.New(t)
		url := inbox.WebhookURL("all")
		r := rand.New(rand.NewPCG(9, 10))
		now := time.Now()
		opts := Options{Contacts: ContactsConfig{AllowPrivate: true}}
		site, err := opts.site()
		if err != nil {
			t.Fatal(err)
		}
		tree := map[string][]byte{}
		var contacts []*Contact
		for i := range 20 {
			file, source := fmt.Sprintf("c%02d.yml", i), strings.ReplaceAll(clockSubscriber, "URL", url)
			if i > 2 {
				source = clockContact(t, r, now, url)
			}
			tree[contactsFolder+"/"+file] = []byte(source)
			contacts = append(contacts, parse(t, file, source, site))
		}
		if tree[MainFile], err = Merge([]byte(strings.ReplaceAll(clockBase, "URL", url)), contacts, site); err != nil {
			t.Fatal(err)
		}
		routes, err := ReadRoutes(FilesOf(tree), opts)
		if err != nil {
			t.Fatal(err)
		}
		config := filepath.Join(t.TempDir(), MainFile)
		if err := os.WriteFile(config, tree[MainFile], 0o600); err != nil {
			t.Fatal(err)
		}
		server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(config))

		var want []string
		var alerts []model.LabelSet
		now = time.Now()
		muted := 0
		for i := range 60 {
			labels := randomLabels(r, []string{severityLabel, componentLabel, audienceLabel, DefaultIdentityLabel},
				[]string{"critical", "warning", "info", "api", "db", publicAudience, "hx0", "hx1", "hx2", "hx3"})
			if i%2 == 0 {
				labels[severityLabel] = model.LabelValue(some(r, DefaultSeverities()...)[0])
				labels[DefaultIdentityLabel] = model.LabelValue(some(r, "hx0", "hx1", "hx2", "hx3")[0])
			}
			labels[model.AlertNameLabel] = model.LabelValue(fmt.Sprintf("A%02d", i)) // a group of its own
			alerts = append(alerts, labels)
			for _, told := range routes.Who(labels, now).Told {
				if told.Reached() {
					want = append(want, told.Receiver+" "+string(labels[model.AlertNameLabel]))
				} else {
					muted++
				}
			}
		}
		if muted < 50 || len(want) < 100 {
			t.Fatalf("%d receivers are told and %d muted, the test is too small", len(want), muted)
		}
		want = append(want, "marker Marker")
		alerts = append(alerts, model.LabelSet{model.AlertNameLabel: "Marker"})
		postAlerts(t, server, alerts)

		// The marker waits longer than all others, so those that aren't muted have been sent by then, or soon are.
		slices.Sort(want)
		servertest.Eventually(t, time.Minute, func() error {
			if got := sent(t, inbox); !slices.Contains(got, "marker Marker") || len(got) < len(want) {
				return fmt.Errorf("%d of %d messages", len(got), len(want))
			}
			return nil
		})
		if diff := cmp.Diff(want, sent(t, inbox)); diff != "" {
			t.Errorf("-said +sent:\n%s", diff)
		}
	})
}

// sent returns what came, as receiver and name of the alert, in order.
func sent(t *testing.T, inbox *inboxtest.Inbox) (all []string) {
	t.Helper()
	for _, m := range inbox.Messages() {
		var payload struct {
			Receiver string
			Alerts   []struct{ Labels map[string]string }
		}
		if err := json.Unmarshal(m.Raw, &payload); err != nil {
			t.Fatal(err)
		}
		for _, a := range payload.Alerts {
			all = append(all, payload.Receiver+" "+a.Labels["alertname"])
		}
	}
	slices.Sort(all)
	return all
}

func postAlerts(t *testing.T, server *servertest.Server, alerts []model.LabelSet) {
	t.Helper()
	var body []map[string]model.LabelSet
	for _, a := range alerts {
		body = append(body, map[string]model.LabelSet{"labels": a})
	}
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	server.Post("/api/v2/alerts", string(data))
}
