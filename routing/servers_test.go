package routing

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stoker-project/stoker/routing/inboxtest"
)

// eachAlertmanager runs a test beside itself with the newest Alertmanager and with the oldest one that configurations are made
// for.
func eachAlertmanager(t *testing.T, test func(t *testing.T, binary, version string)) {
	for binary, version := range map[string]string{"alertmanager": "0.34.2", "alertmanager-0.27": "0.27.0"} {
		t.Run(binary, func(t *testing.T) {
			t.Parallel()
			test(t, binary, version)
		})
	}
}

// waitTold waits until a webhook has been told of exactly these alerts for the nth time.
func waitTold(t *testing.T, inbox *inboxtest.Inbox, to string, nth int, alerts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := 0
	if _, err := inbox.Wait(ctx, func(m inboxtest.Message) bool {
		if m.To == to && slices.Equal(alertsIn(t, m), alerts) {
			seen++
		}
		return seen == nth
	}); err != nil {
		t.Fatalf("%s isn't told %q for the %d. time: %v", to, alerts, nth, err)
	}
}

// alertsIn returns which alerts fire in a message to a webhook.
func alertsIn(t *testing.T, m inboxtest.Message) []string {
	t.Helper()
	var body struct {
		Alerts []struct {
			Status string
			Labels map[string]string
		}
	}
	if err := json.Unmarshal(m.Raw, &body); err != nil {
		t.Fatal(err)
	}
	var firing []string
	for _, a := range body.Alerts {
		if a.Status == "firing" {
			firing = append(firing, a.Labels["alertname"]+" "+a.Labels["instance"])
		}
	}
	slices.Sort(firing)
	return firing
}
