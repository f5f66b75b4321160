package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/sidecar"
)

// defaultSettle is how long a folder that is edited in place must have been still; the benchmarks leave it as it is.
const defaultSettle = 2 * time.Second

// change makes version n of a source live in one of the ways in which sources change, and returns when it did.
type change func(n int) time.Time

// benchmarkChangeToPost is from the moment at which a change is complete on disk to the arrival of the POST at a real
// Prometheus: in between stoker notices, reads, checks, asks the server and publishes durably. Every start of stoker
// sees ten changes, because reloaders exist that are fast only once. The floor is what a reloader needs that does
// nothing but notice and POST.
func benchmarkChangeToPost(b *testing.B, program string) {
	for _, kind := range []struct {
		name   string
		starts int
		settle time.Duration
		source func(s *site) change
		shows  string // the name that appears where the change is complete
		// inPlace is whether Prometheus reads the source itself.
		inPlace bool
	}{
		{"ConfigMap", 7, 0, (*site).configMap, "source/prometheus/..data", false},
		{"ConfigMap-in-place", 7, 0, (*site).configMap, "source/prometheus/..data", true},
		{"git-sync", 7, 0, (*site).gitSync, "source", false},
		{"file", 2, defaultSettle, (*site).plainFile, "source/prometheus/up.rules.yml", false},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s := newSite(b)
			change := kind.source(s)
			n := 0
			change(n)
			main := "source/prometheus/prometheus.yml"
			if !kind.inPlace {
				main = "out/prometheus/live/prometheus.yml"
				s.config("http://127.0.0.1:1", "", "")
				s.publish(program)
			}
			posts := make(chan time.Time, 100)
			proxy := servertest.NewProxy(b, servertest.Prometheus(b, servertest.ConfigFile(s.path(main))).URL())
			proxy.Intercept(http.MethodPost, "/-/reload", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				posts <- time.Now()
				next.ServeHTTP(w, r)
			})
			if kind.inPlace {
				s.write("stoker.yml", "prometheus: { url: '"+proxy.URL()+"', config_file: "+main+" }\n")
			} else {
				s.config(proxy.URL(), "", "")
			}
			var first, tenth, all, floor times
			for b.Loop() {
				for range kind.starts {
					stoker := s.run(program)
					for len(posts) > 0 { // some servers are reloaded once when stoker starts
						<-posts
					}
					for i := 1; i <= 10; i++ {
						before := releaseOf(b, stoker).Proved
						n++
						done := change(n)
						took := (<-posts).Sub(done) - kind.settle
						servertest.Eventually(b, benchPatience, func() error {
							if r := releaseOf(b, stoker); r.Proved == before || r.State != sidecar.StateProved {
								return fmt.Errorf("%+v", r)
							}
							return nil
						})
						all = append(all, took)
						switch i {
						case 1:
							first = append(first, took)
						case 10:
							tenth = append(tenth, took)
						}
					}
					stoker.Stop()
				}
				for range 20 {
					n++
					floor = append(floor, noticeAndPost(b, s.path(kind.shows), proxy.URL(), func() time.Time { return change(n) }, posts))
				}
			}
			all.report(b, "all")
			first.report(b, "1st")
			tenth.report(b, "10th")
			floor.report(b, "floor")
			b.ReportMetric(all.ratio(floor), "x-floor")
		})
	}
}

// configMap lets source/prometheus be a volume that is updated as the kubelet does it.
func (s *site) configMap() change {
	dir := s.path("source/prometheus")
	must(s.b, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"prometheus.yml", "up.rules.yml"} {
		must(s.b, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	return func(n int) time.Time {
		version := fmt.Sprintf("..2026_11_25.%d", n)
		s.version(filepath.Join("source/prometheus", version), n)
		return s.swap(version, filepath.Join(dir, "..data"))
	}
}

// gitSync lets source be a link that is replaced as git-sync does it.
func (s *site) gitSync() change {
	return func(n int) time.Time {
		worktree := fmt.Sprintf("worktrees/%d", n)
		s.version(worktree+"/prometheus", n)
		return s.swap(worktree, s.path("source"))
	}
}

// plainFile lets source/prometheus be a folder whose files are edited: replaced by rename, as most editors and git do it.
func (s *site) plainFile() change {
	return func(n int) time.Time {
		if n == 0 {
			s.version("source/prometheus", n)
			return time.Now()
		}
		s.write("source/prometheus/up.rules.yml~", ruleFile("up", n))
		done := time.Now()
		must(s.b, os.Rename(s.path("source/prometheus/up.rules.yml~"), s.path("source/prometheus/up.rules.yml")))
		return done
	}
}

// version writes the files of version n.
func (s *site) version(dir string, n int) {
	s.write(dir+"/prometheus.yml", "rule_files: ['*.rules.yml']\n")
	s.write(dir+"/up.rules.yml", ruleFile("up", n))
}

// swap makes a link point to another folder, and removes the one before at once.
func (s *site) swap(target, link string) time.Time {
	old, _ := os.Readlink(link) // "" the first time
	must(s.b, os.Symlink(target, link+".tmp"))
	done := time.Now()
	must(s.b, os.Rename(link+".tmp", link))
	if old != "" {
		must(s.b, os.RemoveAll(filepath.Join(filepath.Dir(link), old)))
	}
	return done
}

// noticeAndPost is from a change to the arrival of a POST that is sent as soon as the kernel says that a name appears.
func noticeAndPost(b *testing.B, name, url string, change func() time.Time, posts <-chan time.Time) time.Duration {
	watcher, err := fsnotify.NewWatcher()
	must(b, err)
	defer watcher.Close()
	must(b, watcher.Add(filepath.Dir(name)))
	began := make(chan time.Time, 1)
	go func() { began <- change() }()
	for event := range watcher.Events {
		if event.Name == name && event.Has(fsnotify.Create) {
			post(b, url)
			return (<-posts).Sub(<-began)
		}
	}
	b.Fatal("no notice")
	return 0
}

func post(b *testing.B, url string) {
	resp, err := http.Post(url+"/-/reload", "", nil)
	if err != nil {
		b.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Errorf("POST: %s", resp.Status)
	}
}

// benchmarkFixToProof is from the correction of a bad file to the proof that the server runs it, beyond the settle time.
// Prometheus' bad file is refused by the check, Alertmanager's by the server itself, so that it has been rolled back
// meanwhile. The floor is the POST and its answer.
func benchmarkFixToProof(b *testing.B, program string) {
	for _, kind := range []struct {
		server    string
		good, bad func(s *site, n int)
	}{
		{
			"prometheus",
			func(s *site, n int) { s.write("source/prometheus/up.rules.yml", ruleFile("up", n)) },
			func(s *site, n int) {
				s.write("source/prometheus/up.rules.yml", "groups: [{ name: up, rules: [{ alert: A, expr: 'up ==' }] }]\n")
			},
		},
		{
			"alertmanager",
			func(s *site, n int) { s.write("source/alertmanager/alertmanager.yml", receiver(n, "")) },
			func(s *site, n int) {
				s.write("source/alertmanager/alertmanager.yml", receiver(n, "http_config: { tls_config: { ca_file: /nowhere/ca.pem } }"))
			},
		},
	} {
		b.Run(kind.server, func(b *testing.B) {
			s := newSite(b)
			s.write("source/prometheus/prometheus.yml", "rule_files: ['*.rules.yml']\n")
			n := 0
			kind.good(s, n)
			config := func(url string) {
				if kind.server == "prometheus" {
					s.config(url, "", "")
				} else {
					s.config("", url, "")
				}
			}
			config("http://127.0.0.1:1")
			s.publish(program)
			start := s.prometheus
			if kind.server == "alertmanager" {
				start = s.alertmanager
			}
			server := start()
			config(server.URL())
			stoker := s.run(program)
			var spent, floor times
			for b.Loop() {
				for range 10 {
					n++
					kind.bad(s, n)
					servertest.Eventually(b, time.Minute, func() error { return withheld(b, stoker) })
					before := s.link(kind.server, "proved")
					n++
					kind.good(s, n)
					fixed := time.Now()
					spent = append(spent, s.proved(kind.server, before).Sub(fixed)-defaultSettle)
				}
				for range 10 {
					sent := time.Now()
					post(b, server.URL())
					floor = append(floor, time.Since(sent))
				}
			}
			spent.report(b, "proof")
			floor.report(b, "floor")
			b.ReportMetric(spent.ratio(floor), "x-floor")
		})
	}
}

// receiver is an alertmanager.yml whose webhook has a setting.
func receiver(n int, setting string) string {
	return fmt.Sprintf("route: { receiver: a }\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://127.0.0.1:1/%d\n    %s\n", n, setting)
}

// withheld is nil if stoker keeps the newest files back and the server runs the ones before.
func withheld(b *testing.B, stoker *servertest.Server) error {
	if r := releaseOf(b, stoker); r.Withheld == nil || r.State != sidecar.StateProved {
		return fmt.Errorf("status is %+v", r)
	}
	return nil
}

// releaseOf is what stoker knows of the releases of its first server.
func releaseOf(b *testing.B, stoker *servertest.Server) sidecar.ReleaseStatus {
	b.Helper()
	page, err := stoker.Get("/api/v1/status")
	must(b, err)
	var status sidecar.Status
	must(b, json.Unmarshal(page, &status))
	return status.Releases[0]
}
