package routing

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// The team is told once more about what fires when its configuration is wrapped for the first time, since its groups have
// another key then. Contacts that come and go later change nothing for it.
func TestAdoption(t *testing.T) {
	t.Parallel()
	eachAlertmanager(t, func(t *testing.T, binary, _ string) {
		inbox := inboxtest.New(t)
		site := testSite()
		site.AllowPrivate = true
		acme := parse(t, "acme.yml", fmt.Sprintf("kind: operator\nname: Acme\nowner: hx1\ncontact_methods: { hook: { webhook: { url: %q } } }\nnotification_rules: [ { notify: [hook] } ]\n",
			inbox.WebhookURL("acme")), site)
		base := fmt.Sprintf("route: { receiver: team, group_wait: 0s, group_interval: 200ms }\nreceivers: [ { name: team, webhook_configs: [ { url: %q } ] } ]\n", inbox.WebhookURL("team"))
		file := filepath.Join(t.TempDir(), MainFile)
		write := func(data []byte, err error) {
			t.Helper()
			if err == nil {
				err = os.WriteFile(file, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}

		write([]byte(base), nil)
		alertmanager := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(file))
		alert := func(name string) {
			t.Helper()
			alertmanager.Post("/api/v2/alerts", fmt.Sprintf(`[{"labels": {"alertname": %q, "instance": "a", "prep": "hx1"}}]`, name))
		}
		// queries is how often groups have asked the log of notifications: once at each turn.
		queries := func() (n int) {
			t.Helper()
			metrics, err := alertmanager.Get("/metrics")
			if err != nil {
				t.Fatal(err)
			}
			_, value, _ := strings.Cut(string(metrics), "\nalertmanager_nflog_queries_total ")
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		reload := func(contacts ...*Contact) {
			t.Helper()
			// What was told is in that log once the group has its next turn; there are two groups at most.
			before := queries()
			servertest.Eventually(t, time.Minute, func() error {
				if n := queries() - before; n < 3 {
					return fmt.Errorf("%d turns", n)
				}
				return nil
			})
			write(Merge([]byte(base), contacts, site))
			alertmanager.Post("/-/reload", "")
		}
		alert("A")
		waitTold(t, inbox, "team", 1, "A a")
		reload()
		waitTold(t, inbox, "team", 2, "A a")
		reload(acme)
		waitTold(t, inbox, "acme", 1, "A a")
		alert("B")
		waitTold(t, inbox, "team", 1, "A a", "B a")
		reload()
		alert("C")
		waitTold(t, inbox, "team", 1, "A a", "B a", "C a")

		var team [][]string
		for _, m := range inbox.Messages() {
			if m.To == "team" {
				team = append(team, alertsIn(t, m))
			}
		}
		want := [][]string{{"A a"}, {"A a"}, {"A a", "B a"}, {"A a", "B a", "C a"}}
		if d := cmp.Diff(want, team); d != "" {
			t.Errorf("the team (-want +got):\n%s", d)
		}
	})
}
