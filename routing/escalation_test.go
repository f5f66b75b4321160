package routing

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// What after promises, and what it doesn't: the first alert of a group is told when it has been firing for that long, one
// that joins later comes with the group's next notification, and what is resolved or silenced before isn't told at all.
func TestEscalation(t *testing.T) {
	t.Parallel()
	eachAlertmanager(t, func(t *testing.T, binary, _ string) {
		inbox := inboxtest.New(t)
		site := testSite()
		site.AllowPrivate = true
		c := parse(t, "acme.yml", fmt.Sprintf(`
kind: operator
name: Acme
owner: hx1
contact_methods:
  chat: { webhook: { url: %q } }
  page: { webhook: { url: %q } }
notification_rules:
- { notify: [chat] }
- { notify: [page], after: 8s }
`, inbox.WebhookURL("chat"), inbox.WebhookURL("page")), site)
		merged, err := Merge([]byte("route: { receiver: team, group_wait: 0s, group_interval: 1s }\nreceivers: [ { name: team } ]\n"), []*Contact{c}, site)
		if err != nil {
			t.Fatal(err)
		}
		// An escalating group is told every five minutes at most. Nobody waits for that here.
		config := strings.Replace(string(merged), "group_interval: "+minEscalationInterval.String(), "group_interval: 8s", 1)
		if config == string(merged) {
			t.Fatalf("no group_interval of %s in\n%s", minEscalationInterval, merged)
		}
		file := filepath.Join(t.TempDir(), MainFile)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		alertmanager := servertest.Alertmanager(t, servertest.Binary(binary), servertest.ConfigFile(file))
		alert := func(name, instance string, more ...string) {
			t.Helper()
			alertmanager.Post("/api/v2/alerts", fmt.Sprintf(`[{"labels": {"alertname": %q, "instance": %q, "prep": "hx1"}%s}]`, name, instance, strings.Join(more, "")))
		}

		alert("Ends", "a")
		alert("Silenced", "a")
		alert("Stays", "a")
		for _, name := range []string{"Ends", "Silenced", "Stays"} {
			waitTold(t, inbox, "chat", 1, name+" a")
		}
		now := time.Now().UTC()
		alert("Ends", "a", fmt.Sprintf(`, "endsAt": %q`, now.Format(time.RFC3339Nano)))
		alertmanager.Post("/api/v2/silences", fmt.Sprintf(`{"matchers": [{"name": "alertname", "value": "Silenced", "isRegex": false, "isEqual": true}],
				"startsAt": %q, "endsAt": %q, "createdBy": "test", "comment": "seen"}`, now.Format(time.RFC3339Nano), now.Add(time.Hour).Format(time.RFC3339Nano)))
		alert("Later", "a")

		waitTold(t, inbox, "page", 1, "Stays a")
		alert("Stays", "b")
		waitTold(t, inbox, "chat", 1, "Stays a", "Stays b")
		waitTold(t, inbox, "page", 1, "Later a")
		waitTold(t, inbox, "page", 1, "Stays a", "Stays b")
		var pages [][]string
		chat := false
		for _, m := range inbox.Messages() {
			switch {
			case m.To == "page":
				pages = append(pages, alertsIn(t, m))
			case slices.Equal(alertsIn(t, m), []string{"Stays a", "Stays b"}):
				chat = chat || len(pages) < 3 // sooner than the page about both
			}
		}
		slices.SortFunc(pages, slices.Compare)
		if d := cmp.Diff([][]string{{"Later a"}, {"Stays a"}, {"Stays a", "Stays b"}}, pages); d != "" {
			t.Errorf("pages (-want +got):\n%s", d)
		}
		if !chat {
			t.Error("the chat isn't told at once about an alert that joins")
		}
	})
}
