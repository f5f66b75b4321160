package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// benchmarkContacts is what it costs a real Alertmanager to take a release in which one contact changed: from stoker's
// POST to the proof, and the memory of the server's process after it. The floor is a POST to a server that has the base
// alone, and its memory.
func benchmarkContacts(b *testing.B, program string) {
	var bare times
	bareMemory := 0.0
	for _, n := range []int{0, 1000} {
		b.Run(fmt.Sprintf("contacts=%d", n), func(b *testing.B) {
			s := newSite(b)
			s.write("source/alertmanager/alertmanager.yml", baseConfig)
			more := ""
			if n > 0 {
				s.contacts(n, 0)
				more = "contacts: { dir: source/contacts }\n"
			}
			s.config("", "http://127.0.0.1:1", more)
			s.publish(program)
			server := s.alertmanager()
			posts := make(chan time.Time, 1000)
			proxy := servertest.NewProxy(b, server.URL())
			proxy.Intercept(http.MethodPost, "/-/reload", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				posts <- time.Now()
				next.ServeHTTP(w, r)
			})
			s.config("", proxy.URL(), more)
			s.run(program)
			var spent, whole times
			version := 0
			for b.Loop() {
				for range 5 {
					version++
					for len(posts) > 0 {
						<-posts // of the start
					}
					before := s.link("alertmanager", "proved")
					if n > 0 {
						s.contact(n/2, version)
					} else {
						s.write("source/alertmanager/alertmanager.yml", fmt.Sprintf("# %d\n%s", version, baseConfig))
					}
					changed := time.Now()
					proved := s.proved("alertmanager", before)
					spent = append(spent, proved.Sub(<-posts))
					whole = append(whole, proved.Sub(changed)-defaultSettle)
				}
			}
			memory := residentMB(b, server)
			spent.report(b, "post-to-proof")
			whole.report(b, "change-to-proof")
			b.ReportMetric(memory, "server-rss-MB")
			if n == 0 {
				bare, bareMemory = spent, memory
				return
			}
			if bare != nil {
				b.ReportMetric(spent.ratio(bare), "x-floor")
				b.ReportMetric(memory/bareMemory, "x-floor-rss")
			}
		})
	}
}

// residentMB is what a server says of its own memory.
func residentMB(b *testing.B, server *servertest.Server) (mb float64) {
	b.Helper()
	page, err := server.Get("/metrics")
	must(b, err)
	for line := range strings.Lines(string(page)) {
		if n, _ := fmt.Sscanf(line, "process_resident_memory_bytes %g", &mb); n == 1 {
			return mb / 1e6
		}
	}
	b.Fatal("no process_resident_memory_bytes")
	return 0
}
