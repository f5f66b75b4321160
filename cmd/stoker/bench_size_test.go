package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// benchmarkFirstRelease is from the start of the process to its end with a first checked release on disk, as an init
// container does it. The floor is a process that only prints its version.
func benchmarkFirstRelease(b *testing.B, program string) {
	for _, rules := range []int{1, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			s := newSite(b)
			s.rules(rules, 0)
			s.config("http://127.0.0.1:1", "", "")
			s.publish(program) // waits for the settle time; the folder has been still afterwards
			var spent, floor times
			for b.Loop() {
				for range 5 {
					must(b, os.RemoveAll(s.path("out/prometheus")))
					began := time.Now()
					s.publish(program)
					spent = append(spent, time.Since(began))
					began = time.Now()
					if out, err := exec.Command(program, "version").CombinedOutput(); err != nil {
						b.Fatalf("%v\n%s", err, out)
					}
					floor = append(floor, time.Since(began))
				}
			}
			spent.report(b, "release")
			floor.report(b, "floor")
			b.ReportMetric(spent.ratio(floor), "x-floor")
		})
	}
}

// confirmEvery is how often stoker asks a server what it runs when nothing changes: a part of being idle that a window of
// seconds doesn't have in it.
const confirmEvery = 5 * time.Minute

// benchmarkIdle measures a stoker that has nothing to do, beside a real Prometheus: the CPU that it uses in half a
// minute, three looks at all files, and with it the pass of every five minutes; and its memory after that. The floor
// of the CPU is one look at the same files by this process, as often.
func benchmarkIdle(b *testing.B, program string) {
	for _, files := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			s := newSite(b)
			s.rules(files, 0)
			s.config("http://127.0.0.1:1", "", "")
			s.publish(program)
			s.config(s.prometheus().URL(), "", "")
			p := s.process(program, s.dir, "")
			stoker := s.run(p.script)
			const window, looks = 30 * time.Second, 3
			for b.Loop() {
				before := p.cpu()
				time.Sleep(window)
				idle := p.cpu() - before

				before = p.cpu()
				stoker.Client().Timeout = benchPatience
				syncNow(b, stoker)
				pass := p.cpu() - before

				var walks times
				for range looks {
					began := time.Now()
					must(b, filepath.WalkDir(s.path("source"), func(_ string, d fs.DirEntry, err error) error {
						if err == nil {
							_, err = d.Info()
						}
						return err
					}))
					walks = append(walks, time.Since(began))
				}
				share := idle.Seconds()/window.Seconds() + pass.Seconds()/confirmEvery.Seconds()
				b.ReportMetric(share*100, "cpu-%")
				b.ReportMetric(float64(idle.Microseconds())/1000/looks, "look-ms")
				b.ReportMetric(float64(pass.Microseconds())/1000, "pass-ms")
				b.ReportMetric(idle.Seconds()/looks/walks.median().Seconds(), "x-walk")
			}
			m := p.memory()
			b.ReportMetric(m["VmRSS"], "rss-MB")
			b.ReportMetric(m["RssAnon"], "anon-MB")
		})
	}
}

func size(b *testing.B, file string) int64 {
	info, err := os.Stat(file)
	must(b, err)
	return info.Size()
}

// syncNow asks stoker for a pass and waits for its end.
func syncNow(b *testing.B, stoker *servertest.Server) {
	b.Helper()
	resp, err := stoker.Client().Post(stoker.URL()+"/-/sync", "", nil)
	must(b, err)
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		b.Fatalf("POST /-/sync: %s", resp.Status)
	}
}

// limit is what a container of stoker is given in the design: it must live through what follows.
const limit = 96 << 20

// benchmarkLimit changes 1,000 rule files and 1,000 contacts at once beside real servers, three times, with a limit of
// 96 MiB on all memory that the kernel counts, the page cache too, and without one, which is the floor of the time. The
// most anonymous memory, which the kernel can't take back, is looked for every 2 ms.
func benchmarkLimit(b *testing.B, program string) {
	var unlimited times
	for _, limited := range []bool{false, true} {
		b.Run(fmt.Sprintf("limited=%v", limited), func(b *testing.B) {
			var group *cgroup
			disk, join := b.TempDir(), ""
			if limited {
				var err error
				if group, err = newCgroup(b, limit); err == nil {
					join = group.join
					disk, err = usualDisk(b, size(b, program))
				}
				if err != nil {
					for b.Loop() {
					}
					b.Logf("not measured, because this machine doesn't let its memory be limited or its disk be a usual one: %v", err)
					return
				}
			}
			const files = 1000
			s := newSite(b)
			s.rules(files, 0)
			s.contacts(files, 0)
			s.write("source/alertmanager/alertmanager.yml", baseConfig)
			s.config("http://127.0.0.1:1", "http://127.0.0.1:1", "contacts: { dir: source/contacts }\n")
			p := s.process(program, disk, join)
			s.publish(p.script)
			s.config(s.prometheus().URL(), s.alertmanager().URL(), "contacts: { dir: source/contacts }\n")
			stoker := s.run(p.script)
			peak := p.watchAnonymous()
			var spent times
			version := 0
			for b.Loop() {
				for range 3 {
					version++
					prometheus, alertmanager := s.link("prometheus", "proved"), s.link("alertmanager", "proved")
					s.rules(files, version)
					s.contacts(files, version)
					changed := time.Now()
					s.proved("prometheus", prometheus)
					spent = append(spent, s.proved("alertmanager", alertmanager).Sub(changed)-defaultSettle)
				}
			}
			most := peak()
			if !stoker.Running() {
				b.Fatalf("stoker died:\n%s", stoker.Log())
			}
			time.Sleep(5 * time.Second) // The pass ends some time after the proof, and gives its memory back.
			spent.report(b, "reload")
			b.ReportMetric(most, "peak-anon-MB")
			b.ReportMetric(p.memory()["RssAnon"], "after-anon-MB")
			if !limited {
				unlimited = spent
				return
			}
			if unlimited != nil {
				b.ReportMetric(spent.ratio(unlimited), "x-unlimited")
			}
			b.ReportMetric(group.peak(), "peak-counted-MB")
			b.ReportMetric(group.kills(), "kills")
		})
	}
}

const baseConfig = `global: { smtp_smarthost: '127.0.0.1:1', smtp_from: a@example.org }
route: { receiver: team }
receivers: [{ name: team }]
`

// contacts writes n contact files.
func (s *site) contacts(n, version int) {
	s.b.Helper()
	for i := range n {
		s.contact(i, version)
	}
}

// contact writes one of them.
func (s *site) contact(i, version int) {
	s.b.Helper()
	s.write(fmt.Sprintf("source/contacts/operators/c%d.yml", i), fmt.Sprintf(`kind: operator
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
`, i, i, version, i, i))
}

// process is a stoker whose resources can be looked at.
type process struct {
	b *testing.B
	// script starts stoker as this process.
	script  string
	pidFile string
}

// process writes a script that starts the program after the line join, which can put it into a control group. The
// script itself copies the program to dir, because the page cache of a file is counted where it was first filled.
func (s *site) process(program, dir, join string) *process {
	s.b.Helper()
	p := &process{b: s.b, script: s.path("start"), pidFile: s.path("pid")}
	s.write("start", fmt.Sprintf("#!/bin/sh\necho $$ >'%s'\n%s\ntest -e '%[3]s' || cp '%[4]s' '%[3]s'\nexec '%[3]s' \"$@\"\n",
		p.pidFile, join, filepath.Join(dir, "stoker"), program))
	must(s.b, os.Chmod(p.script, 0o755))
	return p
}

// file reads a file of the process below /proc.
func (p *process) file(name string) (string, error) {
	pid, err := os.ReadFile(p.pidFile)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), name))
	return string(data), err
}

// cpu is the processor time that the threads of the process have used so far, to a nanosecond: /proc/<pid>/stat counts in
// steps of 10 ms, which is a whole minute of what is allowed here.
func (p *process) cpu() (sum time.Duration) {
	p.b.Helper()
	pid, err := os.ReadFile(p.pidFile)
	must(p.b, err)
	threads, err := filepath.Glob(filepath.Join("/proc", strings.TrimSpace(string(pid)), "task/*/schedstat"))
	must(p.b, err)
	if len(threads) == 0 {
		p.b.Fatal("the process has ended, or its kernel keeps no schedstat")
	}
	for _, t := range threads {
		data, err := os.ReadFile(t)
		must(p.b, err)
		var spent time.Duration
		if _, err := fmt.Sscan(string(data), &spent); err != nil {
			p.b.Fatalf("%s: %v", t, err)
		}
		sum += spent
	}
	return sum
}

// memory is the memory of the process in MB as of proc(5): VmRSS is what is resident, RssAnon what of it isn't in a file.
func (p *process) memory() map[string]float64 {
	p.b.Helper()
	text, err := p.file("status")
	must(p.b, err)
	return memoryOf(text)
}

func memoryOf(status string) map[string]float64 {
	m := map[string]float64{}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		var kb float64
		if n, _ := fmt.Sscanf(value, "%f kB", &kb); n == 1 {
			m[name] = kb * 1024 / 1e6
		}
	}
	return m
}

// watchAnonymous looks at the anonymous memory of the process until the function that it returns is called, which
// returns the most that was seen, in MB.
func (p *process) watchAnonymous() (most func() float64) {
	stop, answer := make(chan struct{}), make(chan float64)
	go func() {
		peak := 0.0
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				answer <- peak
				return
			case <-ticker.C:
				if text, err := p.file("status"); err == nil {
					peak = max(peak, memoryOf(text)["RssAnon"])
				}
			}
		}
	}()
	return func() float64 { close(stop); return <-answer }
}
