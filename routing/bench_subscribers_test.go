package routing

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// What one alert for everybody costs a real Alertmanager with that many subscribers, each with a receiver of its own: from
// its post to the last of the notifications, with memory and goroutines as its own metrics have them then. Notifications
// go to a webhook on this machine that answers at once; mail servers are slower.
func BenchmarkSubscribers(b *testing.B) {
	for _, n := range []int{1, subscribersWorthAWarning, 1000, 5000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			var arrived atomic.Int64
			sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				arrived.Add(1)
			}))
			defer sink.Close()
			site := testSite()
			site.AllowPrivate = true
			var contacts []*Contact
			for i := range n {
				c, err := ParseContact(fmt.Sprintf("s%04d.yml", i), fmt.Appendf(nil, "kind: subscriber\nname: S\ncontact_methods: { hook: { webhook: { url: '%s/%d' } } }\nsubscriptions: [ { notify: [hook] } ]\n", sink.URL, i), site)
				if err != nil {
					b.Fatal(err)
				}
				contacts = append(contacts, c)
			}
			merged, err := Merge([]byte("route: { receiver: team, group_wait: 0s }\nreceivers: [ { name: team } ]\n"), contacts, site)
			if err != nil {
				b.Fatal(err)
			}
			file := filepath.Join(b.TempDir(), MainFile)
			if err := os.WriteFile(file, merged, 0o600); err != nil {
				b.Fatal(err)
			}
			alertmanager := servertest.Alertmanager(b, servertest.ConfigFile(file))
			idle := metric(b, alertmanager, "process_resident_memory_bytes")
			passes := 0
			for b.Loop() {
				passes++
				arrived.Store(0)
				alertmanager.Post("/api/v2/alerts", fmt.Sprintf(`[{"labels": {"alertname": "Halted", "network": "n%d", "audience": "public"}}]`, passes))
				servertest.Eventually(b, 5*time.Minute, func() error {
					if got := arrived.Load(); got < int64(n) {
						return fmt.Errorf("%d of %d have arrived", got, n)
					}
					return nil
				})
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(passes), "s/alert")
			b.ReportMetric(idle/1e6, "idle-rss-MB")
			b.ReportMetric(metric(b, alertmanager, "process_resident_memory_bytes")/1e6, "rss-MB")
			b.ReportMetric(metric(b, alertmanager, "go_goroutines"), "goroutines")
			b.ReportMetric(float64(passes), "groups/subscriber")
		})
	}
}

// metric is a value that a server says of itself.
func metric(b *testing.B, server *servertest.Server, name string) (v float64) {
	b.Helper()
	page, err := server.Get("/metrics")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if n, _ := fmt.Sscanf(line, name+" %g", &v); n == 1 {
			return v
		}
	}
	b.Fatal("no " + name)
	return 0
}
