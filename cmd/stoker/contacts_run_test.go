package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// Two hundred contacts of all kinds, what `stoker render` makes of them, and a real Alertmanager that it is given to:
// amtool finds nothing wrong with it, and of random alerts everybody hears exactly what their file asks for, once, and
// nobody else. Who that is comes from the generator of the files, which knows nothing of routes.
func TestTwoHundredContacts(t *testing.T) {
	t.Parallel()
	for _, binary := range []string{"alertmanager", "alertmanager-0.27"} {
		t.Run(binary, func(t *testing.T) {
			t.Parallel()
			inbox := inboxtest.New(t)
			r := rand.New(rand.NewPCG(20, 26))
			crowd := newCrowd(r, 200, inbox, time.Now())
			dir := t.TempDir()
			for _, p := range crowd {
				servertest.WriteFile(t, filepath.Join(dir, "contacts", p.folder, p.stem+".yml"), p.file())
			}
			servertest.WriteFile(t, filepath.Join(dir, "base/alertmanager.yml"), fmt.Sprintf(crowdBase, inbox.SMTPAddress(), inbox.WebhookURL("team"), inbox.WebhookURL("sentinel")))
			servertest.WriteFile(t, filepath.Join(dir, "stoker.yml"), "alertmanager: { url: 'http://127.0.0.1:1', source_dir: base, output_dir: out }\ncontacts: { dir: contacts, allow_private: true }\n")

			if out, err := in(dir, program(t), "check").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			merged, err := in(dir, program(t), "render", "alertmanager").Output()
			if err != nil {
				t.Fatal(err)
			}
			// The templates that it mentions are in the release.
			if out, err := in(dir, program(t), "sync", "--publish-only").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			file := filepath.Join(dir, "out/live/alertmanager.yml")
			if live, err := os.ReadFile(file); err != nil || string(live) != string(merged) {
				t.Fatalf("what is rendered isn't what is published, error %v", err)
			}
			out, err := in(dir, servertest.Program(t, "amtool"), "check-config", file).CombinedOutput()
			if err != nil || !regexp.MustCompile(`SUCCESS(?s:.*) - [2-9]\d\d receivers`).Match(out) {
				t.Fatalf("amtool: %v\n%s", err, out)
			}

			server := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(file))
			alerts := randomAlerts(r, 60)
			want := map[string]int{}
			for id, a := range alerts {
				want["team: "+id]++
				for _, p := range crowd {
					for _, to := range p.hears(a) {
						want[to+": "+id]++
					}
				}
			}
			if len(want) < 400 {
				t.Fatalf("only %d messages are expected", len(want))
			}
			postAlerts(t, server, slices.Collect(maps.Values(alerts)))
			servertest.Eventually(t, 2*time.Minute, func() error {
				got := told(t, inbox)
				for message := range want {
					if got[message] == 0 {
						return fmt.Errorf("%d of %d messages, %q isn't there", len(got), len(want), message)
					}
				}
				return nil
			})
			// Whatever is still to come of these alerts is due before this one.
			postAlerts(t, server, []alert{{"alertname": "Sentinel", "id": "sentinel"}})
			want["sentinel: sentinel"]++
			servertest.Eventually(t, time.Minute, func() error {
				if told(t, inbox)["sentinel: sentinel"] == 0 {
					return fmt.Errorf("the last alert isn't there")
				}
				return nil
			})
			if diff := cmp.Diff(want, told(t, inbox)); diff != "" {
				t.Errorf("messages by recipient and alert (-expected +received):\n%s", diff)
			}
		})
	}
}

// The waits of the base are long enough for all alerts of a group to come in before it is told. The sentinel's is longer
// than anybody's.
const crowdBase = `global: { smtp_smarthost: '%s', smtp_from: alertmanager@example.org, smtp_require_tls: false }
route:
  receiver: team
  group_by: [id]
  group_wait: 5s
  group_interval: 10m
  routes:
  - { receiver: sentinel, matchers: [ id="sentinel" ], group_wait: 12s }
receivers:
- { name: team, webhook_configs: [{ url: '%s' }] }
- { name: sentinel, webhook_configs: [{ url: '%s' }] }
`

// An alert is its labels.
type alert map[string]string

// crowdSeverities are in their order; what is none of them has no place in it.
var crowdSeverities = []string{"info", "warning", "critical"}

func randomAlerts(r *rand.Rand, n int) map[string]alert {
	alerts := map[string]alert{}
	for i := range n {
		id := fmt.Sprintf("alert-%d", i)
		a := alert{"alertname": fmt.Sprintf("Test%d", r.IntN(5)), "id": id}
		for _, label := range []struct {
			name   string
			values []string
		}{
			{"severity", slices.Concat([]string{"", "page"}, crowdSeverities, crowdSeverities)},
			{"prep", slices.Concat([]string{"", owner(1000)}, owners(60))},
			{"network", []string{"", "mainnet", "mainnet", "testnet"}},
			{"component", []string{"", "api", "network", "node"}},
			{"audience", []string{"", "", "public", "internal"}},
		} {
			if v := label.values[r.IntN(len(label.values))]; v != "" {
				a[label.name] = v
			}
		}
		alerts[id] = a
	}
	return alerts
}

func owner(i int) string { return fmt.Sprintf("hx%040x", i) }

func owners(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = owner(i)
	}
	return all
}

// A member of the crowd, as what it wants and not as how that is routed.
type member struct {
	stem, folder string
	operator     bool
	owners       []string
	networks     []string
	location     string
	methods      []crowdMethod
	rules        []crowdRule
	// night is when rules with quiet hours are quiet, in the file's own words; quiet is whether that is now.
	night  string
	quiet  bool
	bypass []string
}

type crowdMethod struct{ name, settings, to string }

// A crowdRule is a rule of an operator or a subscription.
type crowdRule struct {
	methods     []int
	minSeverity int // into crowdSeverities; -1: none
	after       string
	observes    bool // the quiet hours
	components  []string
	networks    []string
}

// newCrowd makes n contacts that can be reached at an inbox, for an hour around now.
func newCrowd(r *rand.Rand, n int, inbox *inboxtest.Inbox, now time.Time) (crowd []member) {
	for i := range n {
		m := member{
			stem: fmt.Sprintf("c%d", i), folder: []string{"", "eu", "eu/west"}[r.IntN(3)],
			operator: r.IntN(5) > 0,
			location: []string{"", "UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"}[r.IntN(5)],
		}
		for j := range 1 + r.IntN(3) {
			name := fmt.Sprintf("m%d", j)
			if to := m.stem + "-" + name; r.IntN(2) == 0 {
				m.methods = append(m.methods, crowdMethod{name, "email: { to: " + to + "@example.org }", to + "@example.org"})
			} else {
				m.methods = append(m.methods, crowdMethod{name, "webhook: { url: '" + inbox.WebhookURL(to) + "' }", to})
			}
		}
		if m.operator {
			m.operate(r, now)
		} else {
			m.subscribe(r)
		}
		crowd = append(crowd, m)
	}
	return crowd
}

func (m *member) operate(r *rand.Rand, now time.Time) {
	m.owners = pick(r, owners(60))[:1+r.IntN(3)]
	if r.IntN(3) == 0 {
		m.networks = pick(r, []string{"mainnet", "testnet"})[:1+r.IntN(2)]
	}
	m.nights(r, now)
	after := make([]string, len(m.methods)) // of each method one, so that it is told once
	for j := range after {
		after[j] = []string{"", "", "3s", "4s"}[r.IntN(4)]
	}
	for range 1 + r.IntN(3) {
		rule := crowdRule{minSeverity: r.IntN(4) - 1, observes: r.IntN(3) == 0}
		first := r.IntN(len(m.methods))
		rule.after = after[first]
		for j := range m.methods {
			if j == first || after[j] == rule.after && r.IntN(2) == 0 {
				rule.methods = append(rule.methods, j)
			}
		}
		m.rules = append(m.rules, rule)
	}
}

// nights picks quiet hours that are either in their middle now or far from it.
func (m *member) nights(r *rand.Rand, now time.Time) {
	zone, err := time.LoadLocation(m.location)
	if err != nil {
		panic(err)
	}
	begin := now.In(zone).Add(-3 * time.Hour) // of those that are now
	today := r.IntN(3)
	m.quiet = today > 0
	if !m.quiet {
		begin = begin.Add(9 * time.Hour)
	}
	days := ""
	switch weekday := strings.ToLower(begin.Weekday().String()); {
	case today == 1:
		days = ", weekdays: [" + weekday + "]"
	case r.IntN(2) == 0: // all but the day on which they would be now
		m.quiet = false
		tomorrow, yesterday := begin.AddDate(0, 0, 1).Weekday(), begin.AddDate(0, 0, -1).Weekday()
		days = fmt.Sprintf(", weekdays: ['%s:%s']", strings.ToLower(tomorrow.String()), strings.ToLower(yesterday.String()))
	}
	m.bypass = pick(r, crowdSeverities)[:r.IntN(3)]
	m.night = fmt.Sprintf("{ times: '%s-%s'%s", begin.Format("15:04"), begin.Add(6*time.Hour).Format("15:04"), days)
	if len(m.bypass) > 0 {
		m.night += ", bypass: [" + strings.Join(m.bypass, ", ") + "]"
	}
	m.night += " }"
}

func (m *member) subscribe(r *rand.Rand) {
	components := pick(r, []string{"api", "network", "node"})
	for _, c := range components[:1+r.IntN(3)] {
		rule := crowdRule{minSeverity: r.IntN(4) - 1, components: []string{c}, methods: []int{r.IntN(len(m.methods))}}
		if r.IntN(2) == 0 {
			rule.networks = []string{"mainnet"}
		}
		m.rules = append(m.rules, rule)
	}
	if r.IntN(4) == 0 {
		m.rules = m.rules[:1]
		m.rules[0].components = nil
	}
}

// pick returns all in a random order.
func pick(r *rand.Rand, all []string) []string {
	all = slices.Clone(all)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// hears returns by which addresses one hears of an alert.
func (m *member) hears(a alert) (to []string) {
	if m.operator && !(slices.Contains(m.owners, a["prep"]) && (m.networks == nil || slices.Contains(m.networks, a["network"]))) ||
		!m.operator && a["audience"] != "public" {
		return nil
	}
	told := map[int]bool{}
	for _, rule := range m.rules {
		switch {
		case slices.Index(crowdSeverities, a["severity"]) < rule.minSeverity:
		case rule.components != nil && !slices.Contains(rule.components, a["component"]):
		case rule.networks != nil && !slices.Contains(rule.networks, a["network"]):
		case rule.observes && m.quiet && !slices.Contains(m.bypass, a["severity"]):
		default:
			for _, j := range rule.methods {
				told[j] = true
			}
		}
	}
	for j := range told {
		to = append(to, m.methods[j].to)
	}
	return to
}

// file is the contact file.
func (m *member) file() string {
	var b strings.Builder
	kind, rules := "subscriber", "subscriptions"
	if m.operator {
		kind, rules = "operator", "notification_rules"
	}
	fmt.Fprintf(&b, "kind: %s\nname: \"Number %s, Ünicode & Söhne: #1\"\n", kind, m.stem)
	if m.operator {
		fmt.Fprintf(&b, "owner: [%s]\n", strings.Join(m.owners, ", "))
	}
	if m.networks != nil {
		fmt.Fprintf(&b, "networks: [%s]\n", strings.Join(m.networks, ", "))
	}
	if m.location != "" {
		fmt.Fprintf(&b, "location: %s\n", m.location)
	}
	b.WriteString("contact_methods:\n")
	for _, method := range m.methods {
		fmt.Fprintf(&b, "  %s: { %s }\n", method.name, method.settings)
	}
	fmt.Fprintf(&b, "%s:\n", rules)
	for _, rule := range m.rules {
		var names, more []string
		for _, j := range rule.methods {
			names = append(names, m.methods[j].name)
		}
		if rule.minSeverity >= 0 {
			more = append(more, "min_severity: "+crowdSeverities[rule.minSeverity])
		}
		if rule.after != "" {
			more = append(more, "after: "+rule.after)
		}
		if rule.observes {
			more = append(more, "quiet_hours: night")
		}
		if rule.components != nil {
			more = append(more, "components: ["+strings.Join(rule.components, ", ")+"]")
		}
		if rule.networks != nil {
			more = append(more, "networks: ["+strings.Join(rule.networks, ", ")+"]")
		}
		fmt.Fprintf(&b, "- { %s }\n", strings.Join(append([]string{"notify: [" + strings.Join(names, ", ") + "]"}, more...), ", "))
	}
	if m.operator {
		fmt.Fprintf(&b, "quiet_hours:\n  night: %s\n", m.night)
	}
	return b.String()
}

func postAlerts(t *testing.T, server *servertest.Server, alerts []alert) {
	t.Helper()
	var body []map[string]alert
	for _, a := range alerts {
		body = append(body, map[string]alert{"labels": a, "annotations": {"summary": a["id"] + " fires"}})
	}
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	server.Post("/api/v2/alerts", string(data))
}

var alertID = regexp.MustCompile(`(alert-\d+|sentinel) fires`)

// told counts what has arrived, by recipient and alert. A message may be about several alerts.
func told(t *testing.T, inbox *inboxtest.Inbox) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, m := range inbox.Messages() {
		var ids []string
		if m.Via == inboxtest.Webhook {
			var payload struct{ Alerts []struct{ Labels alert } }
			if err := json.Unmarshal(m.Raw, &payload); err != nil {
				t.Fatal(err)
			}
			for _, a := range payload.Alerts {
				ids = append(ids, a.Labels["id"])
			}
		} else {
			// What is said of one alert may stand in the mail more than once.
			for _, id := range alertID.FindAllStringSubmatch(m.Text, -1) {
				if !slices.Contains(ids, id[1]) {
					ids = append(ids, id[1])
				}
			}
		}
		if len(ids) == 0 {
			t.Fatalf("no alert in %s:\n%s", m, m.Text)
		}
		for _, id := range ids {
			counts[m.To+": "+id]++
		}
	}
	return counts
}
