package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// The benchmarks run the real command as a process of its own, as users do.

// stokerCommand returns the test binary dressed as stoker (see TestMain).
func stokerCommand(b *testing.B, dir string, args ...string) *exec.Cmd {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	link := filepath.Join(b.TempDir(), "stoker")
	if err := os.Symlink(self, link); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(link, args...)
	cmd.Dir = dir
	return cmd
}

// site writes a configuration for one Prometheus at url and n rule files.
func site(b *testing.B, url string, rules int) (dir string) {
	b.Helper()
	dir = b.TempDir()
	files := map[string]string{
		"stoker.yml":               "prometheus: { url: '" + url + "', source_dir: source, output_dir: out, settle: 10ms }\n",
		"source/prometheus.yml":    "rule_files: [rules/*.yml]\n",
		"source/rules/placeholder": "",
	}
	for i := range rules {
		files[fmt.Sprintf("source/rules/%d.yml", i)] = fmt.Sprintf("groups: [{ name: g%d, rules: [{ alert: Down, expr: up == 0 }] }]\n", i)
	}
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// BenchmarkFirstRelease is from the start of the process to its end with a first checked release on disk, as an
// init container does it. The floor is a process that only prints its version.
func BenchmarkFirstRelease(b *testing.B) {
	for _, rules := range []int{1, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			dir := site(b, "http://127.0.0.1:1", rules)
			var spent, floor time.Duration
			for b.Loop() {
				if err := os.RemoveAll(filepath.Join(dir, "out")); err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				if out, err := stokerCommand(b, dir, "sync", "--publish-only").CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				spent += time.Since(began)
				began = time.Now()
				if out, err := stokerCommand(b, dir, "version").CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				floor += time.Since(began)
			}
			b.ReportMetric(float64(spent.Milliseconds())/float64(b.N), "ms/release")
			b.ReportMetric(float64(floor.Milliseconds())/float64(b.N), "ms/version")
			b.ReportMetric(float64(spent)/float64(floor), "x-version")
		})
	}
}

// BenchmarkChangeToPost is from a swap of the source on disk to the arrival of the POST at the server. The floor
// is the same POST sent by this process.
func BenchmarkChangeToPost(b *testing.B) {
	reloads := make(chan time.Time, 10)
	loaded := 1.0
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/-/reload":
			loaded++
			reloads <- time.Now()
		case "/metrics":
			fmt.Fprintf(w, "prometheus_config_last_reload_successful 1\nprometheus_config_last_reload_success_timestamp_seconds %v\n", loaded)
		case "/api/v1/status/config":
			fmt.Fprint(w, `{"data":{"yaml":""}}`)
		case "/api/v1/rules":
			fmt.Fprint(w, `{"data":{"groups":[{"name":"g0","file":"0.yml"}]}}`)
		}
	}))
	defer fake.Close()
	dir := site(b, fake.URL, 1)
	// A link that is swapped, as git-sync does it.
	source := filepath.Join(dir, "source")
	version := func(i int) string { return filepath.Join(dir, "v"+strconv.Itoa(i)) }
	if err := os.Rename(source, version(0)); err != nil {
		b.Fatal(err)
	}
	if err := os.Symlink("v0", source); err != nil {
		b.Fatal(err)
	}
	cmd := stokerCommand(b, dir, "run", "--web.listen-address=127.0.0.1:0")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }()
	<-reloads
	b.ResetTimer()
	var spent, floor time.Duration
	n := 0
	for b.Loop() {
		n++
		next := version(n)
		if err := os.CopyFS(next, os.DirFS(version(0))); err != nil {
			b.Fatal(err)
		}
		rules := fmt.Sprintf("groups: [{ name: g0, rules: [{ alert: Down, expr: up == %d }] }]\n", n)
		if err := os.WriteFile(filepath.Join(next, "rules", "0.yml"), []byte(rules), 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Symlink("v"+strconv.Itoa(n), source+".tmp"); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := os.Rename(source+".tmp", source); err != nil {
			b.Fatal(err)
		}
		spent += (<-reloads).Sub(began)
		began = time.Now()
		resp, err := http.Post(fake.URL+"/-/reload", "", nil)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		floor += (<-reloads).Sub(began)
	}
	b.ReportMetric(float64(spent.Microseconds())/1000/float64(n), "ms/change")
	b.ReportMetric(float64(spent)/float64(floor), "x-post")
}

// BenchmarkIdle measures a stoker that has nothing to do, beside a real Prometheus: its memory and the CPU that
// it uses in ten seconds. It is no loop, so it takes -benchtime=1x.
func BenchmarkIdle(b *testing.B) {
	for _, rules := range []int{1, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			dir := site(b, "http://127.0.0.1:1", rules)
			if out, err := stokerCommand(b, dir, "sync", "--publish-only").CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			server := servertest.Prometheus(b, servertest.ConfigFile(filepath.Join(dir, "out", "live", "prometheus.yml")))
			config := "prometheus: { url: '" + server.URL() + "', source_dir: source, output_dir: out }\n"
			if err := os.WriteFile(filepath.Join(dir, "stoker.yml"), []byte(config), 0o644); err != nil {
				b.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			address := l.Addr().String()
			l.Close()
			cmd := stokerCommand(b, dir, "run", "--web.listen-address="+address)
			cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(runtime.NumCPU()))
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }()
			servertest.Eventually(b, time.Minute, func() error {
				// The first pass, and the one that follows when the watches are in place.
				answer, err := ask(http.MethodGet, "http://"+address+"/metrics", "")
				if err == nil && !strings.Contains(answer, `stoker_syncs_total{agent="prometheus",result="noop"} 2`) {
					err = fmt.Errorf("%s", answer)
				}
				return err
			})
			for b.Loop() {
				before := cpuSeconds(b, cmd.Process.Pid)
				time.Sleep(10 * time.Second)
				b.ReportMetric((cpuSeconds(b, cmd.Process.Pid)-before)*10, "cpu-%")
			}
			rss, anon := memory(b, cmd.Process.Pid)
			b.ReportMetric(rss, "rss-MB")
			b.ReportMetric(anon, "anon-MB")
		})
	}
}

// cpuSeconds is the user and system time of a process so far.
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(data)[strings.LastIndex(string(data), ")"):])
	ticks := 0.0
	for _, f := range fields[12:14] { // utime and stime, as of proc(5)
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100
}

// memory is the resident and the anonymous memory of a process in MB.
func memory(b *testing.B, pid int) (rss, anon float64) {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			rss = kb / 1024
		}
		if n, _ := fmt.Sscanf(line, "RssAnon: %f kB", &kb); n == 1 {
			anon = kb / 1024
		}
	}
	return rss, anon
}

// BenchmarkBinary reports the size of the binary as `make build` makes it.
func BenchmarkBinary(b *testing.B) {
	out := filepath.Join(b.TempDir(), "stoker")
	build := exec.Command("go", "build", "-o", out, "-ldflags", "-s -w", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, msg)
	}
	info, err := os.Stat(out)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}
