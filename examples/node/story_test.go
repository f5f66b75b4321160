package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
)

const (
	patient  = 2 * time.Minute
	password = "correct-horse-battery"
)

// site is a stoker and a Prometheus that it feeds.
type site struct {
	t          *testing.T
	dir        string
	network    *icontest.Network
	api        *icontest.Server
	prometheus *servertest.Server
	stoker     *servertest.Server
}

const stokerConfig = `
prometheus: { url: "%s", source_dir: prometheus, output_dir: out, settle: 50ms, rescan_interval: 1s }
contacts: { dir: contacts, secrets_dir: secrets, allow_private: true }
discovery:
  targets_dir: targets
  networks:
  - name: mainnet
    api: ["%s"]
    allow_private: true
    exporters: [{ name: goloop, port: %s }, { name: node, port: %s }]
`

const prometheusConfig = `
global: { scrape_interval: 500ms, scrape_timeout: 500ms }
scrape_config_files: [scrape/*.yml]
scrape_configs:
- job_name: preps
  file_sd_configs: [{ files: ["%s/targets/*.json"] }]
  relabel_configs: [{ source_labels: [__meta_icon_p2p_host], target_label: p2p_host }]
  metric_relabel_configs: [{ regex: honest, action: labeldrop }]
`

func (s *site) write(name, content string) {
	s.t.Helper()
	servertest.WriteFile(s.t, filepath.Join(s.dir, name), content)
}

func (s *site) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// newSite starts all of it with a contact that says nothing about exporters.
func newSite(t *testing.T, version, goloopPort, nodePort string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), network: icontest.Generate(2, 1)}
	s.api = icontest.NewServer(s.network)
	t.Cleanup(s.api.Close)
	config := func(prometheus string) {
		s.write("stoker.yml", fmt.Sprintf(stokerConfig, prometheus, s.api.URL, goloopPort, nodePort))
	}
	s.write("prometheus/prometheus.yml", fmt.Sprintf(prometheusConfig, s.dir))
	s.write("contacts/other.yml", contact("Other", "hx0000000000000000000000000000000000000000", ""))
	s.write("secrets/other.metrics", "the password of somebody else")
	config("http://127.0.0.1:1")
	program := servertest.Build(t, "./cmd/stoker")
	first := exec.Command(program, "sync", "--publish-only", "--config.file="+filepath.Join(s.dir, "stoker.yml"))
	if output, err := first.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	s.prometheus = servertest.Prometheus(t, servertest.Binary(version), servertest.ConfigFile(filepath.Join(s.dir, "out/live/prometheus.yml")))
	config(s.prometheus.URL())
	s.stoker = servertest.Stoker(t, program, servertest.ConfigFile(filepath.Join(s.dir, "stoker.yml")))
	return s
}

func contact(name, owner, exporters string) string {
	return "kind: operator\nname: " + name + "\nowner: " + owner + `
contact_methods: { mail: { email: { to: noc@acme.example } } }
notification_rules: [{ notify: [mail] }]
` + exporters
}

// target is a target as Prometheus knows it.
type target struct{ url, health, labels string }

// targets are those of one exporter of a P-Rep.
func (s *site) targets(owner, exporter string) (found []target, err error) {
	body, err := s.prometheus.Get("/api/v1/targets?state=active")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			ActiveTargets []struct {
				Labels    map[string]string
				ScrapeURL string
				Health    string
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	for _, t := range answer.Data.ActiveTargets {
		if t.Labels["prep"] == owner && t.Labels["exporter"] == exporter {
			found = append(found, target{t.ScrapeURL, t.Health, inOrder(t.Labels)})
		}
	}
	return found, nil
}

func inOrder(labels map[string]string) string {
	var all []string
	for name, value := range labels {
		all = append(all, fmt.Sprintf("%s=%q", name, value))
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// eventually waits until there is exactly one target of an exporter of a P-Rep, and it is this one.
func (s *site) eventually(what, owner, exporter string, want target) {
	s.t.Helper()
	servertest.Eventually(s.t, patient, func() error {
		got, err := s.targets(owner, exporter)
		if err == nil && !slices.Equal(got, []target{want}) {
			err = fmt.Errorf("%s: targets are\n%q, want\n%q", what, got, want)
		}
		return err
	})
}

// stored waits until a query has one series and it has these labels.
func (s *site) stored(query, labels string) {
	s.t.Helper()
	servertest.Eventually(s.t, patient, func() error {
		body, err := s.prometheus.Get("/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return err
		}
		var answer struct {
			Data struct {
				Result []struct{ Metric map[string]string }
			}
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		if r := answer.Data.Result; len(r) != 1 || inOrder(r[0].Metric) != labels {
			return fmt.Errorf("%s is %s, want %s", query, body, labels)
		}
		return nil
	})
}

// sync asks the running stoker for a whole pass.
func (s *site) sync() {
	s.t.Helper()
	resp, err := http.Post(s.stoker.URL()+"/-/sync", "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%v, %s", err, body)
	}
}

// pools are the generated jobs that Prometheus has loaded.
func (s *site) pools() (found []string, err error) {
	body, err := s.prometheus.Get("/metrics")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, `prometheus_target_scrape_pool_targets{scrape_job="stoker/`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			found = append(found, name)
		}
	}
	return found, nil
}

// An operator's exporter behind the nginx of this example is scraped with the operator's password, nobody else ever gets
// that, and whatever goes wrong is visible as a target that is down.
func TestNodeBehindNginx(t *testing.T) {
	for _, version := range []string{"prometheus", "prometheus-2.53"} {
		t.Run(version, func(t *testing.T) {
			behind := newExporter(t, "127.0.0.1:0")
			nginx := startNginx(t, behind, "stoker", password)
			// The P-Rep's own host, where it is now and where it will be: anybody may listen there.
			node, goloop := newExporter(t, "127.0.0.2:0"), newExporter(t, "127.0.0.2:0")
			moved := []*exporter{newExporter(t, "127.0.0.3:"+node.port()), newExporter(t, "127.0.0.3:"+goloop.port())}
			elsewhere := append([]*exporter{node, goloop}, moved...)

			s := newSite(t, version, goloop.port(), node.port())
			acme, name := s.network.PReps()[0].Address(), "Acme"
			s.network.Rename(acme, name)
			s.network.Move(acme, "127.0.0.2:7100")
			s.sync()
			labels := func(instance, exporter, host string) string {
				return fmt.Sprintf(`exporter=%q,instance=%q,job="preps",network="mainnet",p2p_host=%q,prep=%q,prep_name=%q`, exporter, instance, host, acme, name)
			}
			direct := func(host string) target {
				return target{"http://" + host + ":" + node.port() + "/metrics", "up", labels(host+":"+node.port(), "node", host)}
			}
			s.eventually("without a contact", acme, "node", direct("127.0.0.2"))

			// With the password. The exporter sees neither that nor who asks.
			exporters := "exporters:\n- { name: node, url: 'https://" + nginx + "/node/metrics', basic_auth: { username: stoker, password: { secret: metrics } } }\n"
			s.write("secrets/acme.metrics", password+"\n")
			s.write("contacts/acme.yml", contact(name, acme, exporters))
			through := func(health, host string) target {
				return target{"https://" + nginx + "/node/metrics", health, labels(nginx, "node", host)}
			}
			s.eventually("with the password", acme, "node", through("up", "127.0.0.2"))
			s.stored(`up{instance="`+nginx+`"} == 1`, `__name__="up",`+labels(nginx, "node", "127.0.0.2"))
			s.stored(`node_load1{instance="`+nginx+`"} == 0.5`, `__name__="node_load1",`+labels(nginx, "node", "127.0.0.2"))
			for _, seen := range behind.requests() {
				if seen != "/metrics " {
					t.Errorf("the exporter behind nginx was asked for %q", seen)
				}
			}
			if version != "prometheus" {
				return // the rest is stoker's part
			}

			// With a wrong one it is down, and there to be alerted about; a rotation mends it.
			s.write("secrets/acme.metrics", "wrong\n")
			s.eventually("with a wrong password", acme, "node", through("down", "127.0.0.2"))
			s.stored(`up{instance="`+nginx+`"} == 0`, `__name__="up",`+labels(nginx, "node", "127.0.0.2"))
			s.write("secrets/acme.metrics", password+"\n")
			s.eventually("with the password again", acme, "node", through("up", "127.0.0.2"))

			// The P-Rep moves: whoever is at the new address doesn't get the password.
			s.network.Move(acme, "127.0.0.3:7100")
			s.sync()
			s.eventually("moved", acme, "goloop", target{"http://127.0.0.3:" + goloop.port() + "/metrics", "up", labels("127.0.0.3:"+goloop.port(), "goloop", "127.0.0.3")})
			s.eventually("moved", acme, "node", through("up", "127.0.0.3"))

			// A contact that can't be read says nothing new, also to a stoker that starts with it.
			s.write("contacts/acme.yml", "kind: operator\n")
			s.stoker.Restart()
			s.syncWithTrouble(t)
			s.eventually("quarantined", acme, "node", through("up", "127.0.0.3"))
			s.write("contacts/acme.yml", contact(name, acme, exporters))

			// Another contact claims the same: neither counts, and the target is what it is without them.
			thief := newExporter(t, "127.0.0.4:0")
			s.write("secrets/thief.metrics", "the thief's own")
			s.write("contacts/thief.yml", contact("Thief", acme, "exporters:\n- { name: node, url: 'http://"+thief.address+"/metrics', basic_auth: { username: stoker, password: { secret: metrics } } }\n"))
			s.eventually("contested", acme, "node", direct("127.0.0.3"))
			status, err := s.stoker.Get("/api/v1/status")
			if n := strings.Count(string(status), `"state": "contested"`); err != nil || n != 2 {
				t.Errorf("%d contested in the status, %v", n, err)
			}
			s.remove("contacts/thief.yml")
			s.eventually("no longer contested", acme, "node", through("up", "127.0.0.3"))

			// The contact goes, and everything with it.
			everything := s.everything(t)
			if pools, err := s.pools(); err != nil || !slices.Equal(pools, []string{"acme/node/preps"}) {
				t.Errorf("jobs %v, %v", pools, err)
			}
			s.remove("contacts/acme.yml")
			s.eventually("without the contact", acme, "node", direct("127.0.0.3"))
			servertest.Eventually(t, patient, func() error {
				pools, err := s.pools()
				if err == nil && len(pools) > 0 {
					err = fmt.Errorf("jobs %v are left", pools)
				}
				return err
			})
			for _, left := range []string{"out/live/scrape", "targets/owners/mainnet.json"} {
				if _, err := os.Stat(filepath.Join(s.dir, left)); err == nil {
					t.Errorf("%s is left", left)
				}
			}

			// All the while, no one else was given the password, and it stood nowhere but where Prometheus reads it.
			for _, e := range append(elsewhere, thief) {
				for _, seen := range e.requests() {
					if seen != "/metrics " {
						t.Errorf("%s was asked for %q", e.address, seen)
					}
				}
			}
			for _, e := range moved {
				if len(e.requests()) == 0 {
					t.Errorf("nobody asked %s, so the test proves nothing", e.address)
				}
			}
			for place, text := range everything {
				if strings.Contains(text, password) {
					t.Errorf("the password is in %s", place)
				}
			}
		})
	}
}

// syncWithTrouble asks for a pass of which a part fails: a contact is broken.
func (s *site) syncWithTrouble(t *testing.T) {
	t.Helper()
	resp, err := http.Post(s.stoker.URL()+"/-/sync", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusInternalServerError || !strings.Contains(string(body), "acme.yml") {
		t.Errorf("a broken contact isn't told: %d, %v, %s", resp.StatusCode, err, body)
	}
}

// everything is all that stoker has written, said and serves, but for the files in which Prometheus finds passwords.
func (s *site) everything(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"the log": s.stoker.Log(), "Prometheus' log": s.prometheus.Log()}
	for _, path := range []string{"/", "/releases", "/metrics", "/-/ready", "/api/v1/status"} {
		body, err := s.stoker.Get(path)
		if err != nil {
			t.Error(err)
		}
		all[path] = string(body)
	}
	for _, path := range []string{"/api/v1/status/config", "/api/v1/targets", "/metrics"} {
		body, err := s.prometheus.Get(path)
		if err != nil {
			t.Error(err)
		}
		all["Prometheus' "+path] = string(body)
	}
	passwords := 0
	for _, dir := range []string{"out", "targets"} {
		err := filepath.WalkDir(filepath.Join(s.dir, dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(p)
			if strings.HasSuffix(p, "/scrape/secrets/acme.node") {
				passwords++
			} else {
				all[p] = string(data)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if passwords == 0 {
		t.Error("the password is nowhere")
	}
	return all
}
