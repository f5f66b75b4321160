package sidecar

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/config"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing"
)

// BenchmarkContacts is the way from contact files to a release that was judged as a whole: read, parse, compile, merge,
// load, build every receiver, execute every text. Its floor is what Alertmanager itself needs to load the result,
// config.LoadFile and no more.
//
//	cold  the first pass of a process, which knows no contact yet
//	base  a pass after the base changed, so that all contacts are merged into another one
//	warm  a pass after one contact changed
//
// What counts is the time of the processors, that of the garbage collector included: it is the same on a busy machine.
// Files are in memory where the machine has a place for that: the disk says nothing about the code.
func BenchmarkContacts(b *testing.B) {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		b.Setenv("TMPDIR", "/dev/shm")
	}
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("contacts=%d", n), func(b *testing.B) {
			s := newContactSite(b, n)
			took := map[string][]time.Duration{}
			// One of 100 contacts is over before the collector has begun: only many of a kind pay for what they leave to it.
			many := max(1, 1000/n)
			measure := func(what string, prepare func(), pass func() error) {
				b.Helper()
				runtime.GC() // what others left behind is not this one's
				var sum time.Duration
				for range many {
					prepare()
					began := processorTime(b)
					if err := pass(); err != nil {
						b.Fatalf("%s: %v", what, err)
					}
					sum += processorTime(b) - began
				}
				took[what] = append(took[what], sum/time.Duration(many))
			}
			merged := filepath.Join(b.TempDir(), "alertmanager.yml")
			version := 0
			for b.Loop() {
				for range max(3, min(11, 20_000/n)) { // rounds, so that each load is near what is held against it
					var p *contactPass
					pass := func() error { return p.run(b.Context()) }
					measure("cold", func() { p = s.agents(b) }, pass)
					measure("base", func() { version++; s.base(b, version) }, pass)
					measure("warm", func() { version++; s.contact(b, n/2, version) }, pass)
					if err := os.WriteFile(merged, p.merged, 0o600); err != nil {
						b.Fatal(err)
					}
					measure("load", func() {}, func() error {
						_, err := config.LoadFile(merged)
						return err
					})
				}
			}
			median := func(of func(round int) float64) float64 {
				all := make([]float64, len(took["load"]))
				for round := range all {
					all[round] = of(round)
				}
				slices.Sort(all)
				return all[len(all)/2]
			}
			for what, t := range took {
				b.ReportMetric(median(func(round int) float64 { return math.Round(t[round].Seconds()*1e5) / 100 }), what+"-ms")
				if what != "load" {
					b.ReportMetric(median(func(round int) float64 { return t[round].Seconds() / took["load"][round].Seconds() }), what+"-x-load")
				}
			}
		})
	}
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// contactSite is a folder with contacts and a base.
type contactSite struct{ dir string }

func newContactSite(b *testing.B, n int) *contactSite {
	s := &contactSite{b.TempDir()}
	s.base(b, 0)
	for i := range n {
		s.contact(b, i, 0)
	}
	return s
}

func (s *contactSite) base(b *testing.B, version int) {
	servertest.WriteFile(b, filepath.Join(s.dir, "base/alertmanager.yml"), fmt.Sprintf(`global: { smtp_smarthost: '127.0.0.1:1', smtp_from: a%d@example.org }
route: { receiver: team }
receivers: [{ name: team }]
`, version))
}

// contact writes one of the contacts.
func (s *contactSite) contact(b *testing.B, i, version int) {
	servertest.WriteFile(b, filepath.Join(s.dir, fmt.Sprintf("contacts/c%d.yml", i)), fmt.Sprintf(`kind: operator
name: Validator %d
owner: hx%040x
networks: [mainnet]
location: Europe/Berlin
contact_methods:
  mail: { email: { to: noc%d@c%d.example } }
  chat: { webhook: { url: "https://c%d.example/hook" } }
notification_rules:
- { notify: [chat], min_severity: warning, quiet_hours: night }
- { notify: [mail], min_severity: critical, after: 15m }
quiet_hours:
  night: { times: "22:00-07:00", weekdays: [monday:friday], bypass: [critical] }
tests:
- { labels: { alertname: NodeDown, severity: critical }, notify: [chat, mail] }
`, i, i, version, i, i))
}

// contactPass is the pair of agents that make a release of contacts.
type contactPass struct {
	contacts *routing.Agent
	releases *reload.Agent
	merged   []byte
}

func (s *contactSite) agents(b *testing.B) *contactPass {
	contacts, err := routing.New(routing.Options{
		Contacts: routing.ContactsConfig{Dir: filepath.Join(s.dir, "contacts")},
		HushURL:  func(stem string) string { return "https://hush.example.org/hush/" + stem + "/0123456789abcdefghijkl" },
	})
	if err != nil {
		b.Fatal(err)
	}
	cfg := reload.DefaultConfig()
	cfg.URL, cfg.SourceDir, cfg.OutputDir, cfg.Version = "http://127.0.0.1:1", filepath.Join(s.dir, "base"), filepath.Join(s.dir, "out"), "0.34.2"
	releases, err := reload.NewAlertmanager(cfg, reload.Options{Generate: fromContacts(contacts)})
	if err != nil {
		b.Fatal(err)
	}
	return &contactPass{contacts: contacts, releases: releases}
}

// run is one pass of both agents, up to the verdict.
func (p *contactPass) run(ctx context.Context) error {
	if _, err := p.contacts.Sync(ctx); err != nil {
		return err
	}
	tree, _, err := p.releases.Preview(ctx)
	p.merged = tree["alertmanager.yml"]
	return err
}
