package sidecar

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
)

// exporterSite is a folder with everything that scraping behind passwords needs, and one network.
type exporterSite struct {
	t    *testing.T
	dir  string
	acme string // a P-Rep
	api  *icontest.Server
}

func newExporterSite(t *testing.T) *exporterSite {
	network := icontest.Generate(3, 1)
	s := &exporterSite{t: t, dir: t.TempDir(), acme: network.PReps()[0].Address(), api: apiServer(t, network)}
	s.write("stoker.yml", fmt.Sprintf(`
prometheus: { url: "http://127.0.0.1:1", source_dir: prometheus, output_dir: out, settle: 0s }
contacts: { dir: contacts, secrets_dir: secrets, allow_private: true }
discovery:
  targets_dir: targets
  networks:
  - name: mainnet
    api: [%s]
    allow_private: true
    exporters: [{ name: goloop, port: 9000 }, { name: node, port: 9100 }]
`, s.api.URL))
	s.write("prometheus/prometheus.yml", fmt.Sprintf("scrape_config_files: [scrape/*.yml]\nscrape_configs: [{ job_name: preps, file_sd_configs: [{ files: [%q] }] }]\n", filepath.Join(s.dir, "targets/*.json")))
	s.contact("acme", "{ name: node, url: 'https://127.0.0.1:8443/node', basic_auth: { username: stoker, password: { secret: metrics } } }")
	s.write("secrets/acme.metrics", "pa55-w0rd\n")
	return s
}

func (s *exporterSite) write(name, content string) {
	s.t.Helper()
	servertest.WriteFile(s.t, filepath.Join(s.dir, name), content)
}

// contact writes one whose pager is a secret that isn't there: Alertmanager's side has it.
func (s *exporterSite) contact(stem, exporter string) {
	s.t.Helper()
	s.write("contacts/"+stem+".yml", "kind: operator\nname: "+stem+"\nowner: "+s.acme+`
contact_methods: { hook: { webhook: { url: { secret: pager } } } }
notification_rules: [{ notify: [hook] }]
exporters:
- `+exporter+"\n")
}

// new returns a sidecar that contacts no server.
func (s *exporterSite) new(agents ...string) *Sidecar {
	s.t.Helper()
	cfg, err := LoadConfig(filepath.Join(s.dir, "stoker.yml"))
	if err != nil {
		s.t.Fatal(err)
	}
	sc, err := New(cfg, Options{Agents: agents})
	if err != nil {
		s.t.Fatal(err)
	}
	return sc
}

func (s *exporterSite) has(file string) bool {
	_, err := os.Stat(filepath.Join(s.dir, file))
	return err == nil
}

// A sidecar without an Alertmanager reads the contacts for their exporters, needs no secret of Alertmanager's, and says
// what became of them without an address or a password.
func TestContactsWithoutAlertmanager(t *testing.T) {
	s := newExporterSite(t)
	sc := s.new()
	results, err := sc.SyncOnce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var passes []string
	for _, r := range results {
		passes = append(passes, r.Agent+" "+r.Outcome)
	}
	// Prometheus isn't there; its release is live on disk all the same.
	if want := []string{"routing success", "prometheus error", "discovery success", "exporters noop"}; !slices.Equal(passes, want) {
		t.Errorf("passes %v, want %v", passes, want)
	}
	if !s.has("out/live/scrape/acme.node.yml") || !s.has("targets/owners/mainnet.json") {
		t.Error("no job, or no target")
	}
	onPage(t, sc, "/network", nil, []string{"Scraped as without"})

	s.contact("thief", "{ name: node, port: 1 }")
	pass(t, sc)
	onPage(t, sc, "/network", []string{"<b>Scraped as without their contact:</b> 2 exporters", "<td>thief.yml</td><td class=\"bad\">contested</td>", s.acme}, nil)
	if s.has("out/live/scrape/acme.node.yml") || s.has("targets/owners/mainnet.json") {
		t.Error("contested, and there is a job or a target")
	}
	if err := os.Remove(filepath.Join(s.dir, "contacts/thief.yml")); err != nil {
		t.Fatal(err)
	}
	pass(t, sc)
	if !s.has("targets/owners/mainnet.json") {
		t.Error("no longer contested, and no target")
	}

	// What render shows is what was written.
	rendered, err := RenderTargets(t.Context(), sc.cfg)
	if err != nil || len(rendered) != 2 {
		t.Errorf("%d files, %v", len(rendered), err)
	}
	for name, data := range rendered {
		if written, err := os.ReadFile(filepath.Join(s.dir, "targets", name+".json")); err != nil || string(written) != string(data) {
			t.Errorf("%s: render and sync differ, %v", name, err)
		}
	}

	_, body := request(t, sc, "GET", "/api/v1/status", nil)
	var status Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if e := status.Networks[0].Exporters; len(e) != 1 || e[0] != (ExporterStatus{s.acme, "node", "acme.yml", "used"}) {
		t.Errorf("%+v", e)
	}
	printed := body
	for _, path := range []string{"/", "/network", "/releases", "/metrics", "/network/metrics", "/sd/mainnet", "/-/ready"} {
		_, body := request(t, sc, "GET", path, nil)
		printed += body
	}
	if strings.Contains(printed, "pa55-w0rd") || strings.Contains(printed, "127.0.0.1:8443") {
		t.Errorf("a password or an address is in\n%s", printed)
	}
}

// The targets and the scrape jobs may have a sidecar each: what one says to the other is on disk.
func TestTargetsAndJobsApart(t *testing.T) {
	s := newExporterSite(t)
	targets, jobs := s.new(agentDiscovery), s.new(agentPrometheus)
	pass(t, targets)
	if s.has("targets/owners/mainnet.json") {
		t.Error("a target without its job")
	}
	pass(t, jobs)
	if !s.has("out/live/scrape/acme.node.yml") {
		t.Error("no job")
	}
	pass(t, targets)
	if !s.has("targets/owners/mainnet.json") {
		t.Error("a job without its target")
	}
}

// A plan says what follows from what: the job, and the target that moves when it is there. It writes nothing, and after
// a pass there is nothing left of it.
func TestPlanOfExporters(t *testing.T) {
	s := newExporterSite(t)
	s.contact("acme", "{ name: goloop, port: 9010 }")
	pass(t, s.new())
	s.contact("acme", "{ name: node, url: 'https://127.0.0.1:8443/node', basic_auth: { username: stoker, password: { secret: metrics } } }")
	s.contact("other", "{ name: nod, port: 1 }")
	before := everyFile(t, s.dir)
	plan := s.new().Plan(t.Context())
	var got strings.Builder
	for _, a := range plan.Agents {
		for _, step := range a.Steps {
			fmt.Fprintf(&got, "%s: %s %s\n", a.Agent, step.Action, strings.ReplaceAll(step.Text, s.acme, "hx"))
		}
		for _, f := range a.Files {
			fmt.Fprintf(&got, "%s: %s %s\n", a.Agent, f.Change, strings.TrimPrefix(f.File, s.dir+"/"))
			if strings.Contains(f.Diff+f.Note, "pa55-w0rd") {
				t.Errorf("the password is in the plan of %s:\n%s", f.File, f.Diff)
			}
		}
		for _, p := range a.Problems {
			if a.Agent != agentPrometheus {
				t.Errorf("%s: %+v", a.Agent, p)
			}
		}
	}
	text := got.String()
	for _, want := range []string{
		"prometheus: added scrape/acme.node.yml\n", "prometheus: added scrape/secrets/acme.node\n",
		"discovery: change mainnet: exporter goloop of hx is scraped as without contact acme.yml, which says nothing of it any more\n",
		"discovery: change mainnet: exporter node of hx is scraped as contact acme.yml says\n",
		"discovery: refuse mainnet: exporter nod of hx is scraped as without contact other.yml: unknown\n",
		"discovery: changed targets/mainnet.json\n", "discovery: added targets/owners/mainnet.json\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan lacks %q:\n%s", want, text)
		}
	}
	if after := everyFile(t, s.dir); after != before {
		t.Errorf("a plan writes:\n%s\n%s", before, after)
	}
	pass(t, s.new())
	if !s.has("targets/owners/mainnet.json") || !s.has("out/live/scrape/secrets/acme.node") {
		t.Error("the pass doesn't do what the plan says")
	}
	for _, a := range s.new().Plan(t.Context()).Agents {
		if len(a.Files) > 0 {
			t.Errorf("after a pass, %s would change %+v", a.Agent, a.Files)
		}
	}

	// The network is away; what the contact says no longer is planned all the same.
	s.api.Close()
	if err := os.Remove(filepath.Join(s.dir, "contacts/acme.yml")); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, a := range s.new().Plan(t.Context()).Agents {
		for _, f := range a.Files {
			if a.Agent == agentDiscovery {
				files = append(files, f.Change+" "+strings.TrimPrefix(f.File, s.dir+"/"))
			}
		}
	}
	if want := []string{"changed targets/mainnet.json", "removed targets/owners/mainnet.json"}; !slices.Equal(files, want) {
		t.Errorf("without the network: %v, want %v", files, want)
	}
}

// everyFile describes the files below a folder.
func everyFile(t *testing.T, dir string) (all string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		all += fmt.Sprintf("%s %x\n", p, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
