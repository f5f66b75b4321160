package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/stoker-project/stoker/internal/secret"
)

const plainBase = `global: { scrape_interval: 30s }
scrape_config_files: [ scrape/*.yml ]
scrape_configs:
- job_name: preps
  file_sd_configs: [ { files: [ /targets/*.json ] } ]
`

// twoNetworks is a site with mainnet and lisbon.
func twoNetworks() Config {
	mainnet, lisbon := testNetwork(1), testNetwork(1)
	mainnet.Name, lisbon.Name = "mainnet", "lisbon"
	return Config{TargetsDir: "/targets", Networks: []Network{mainnet, lisbon}}
}

func makeJobs(t *testing.T, main string, said []Override, live fs.FS) ScrapeJobs {
	t.Helper()
	jobs, err := MakeScrapeJobs(twoNetworks(), Base{"prometheus.yml", []byte(main)}, said, nil, live)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func TestScrapeJob(t *testing.T) {
	jobs := makeJobs(t, plainBase, []Override{atURL("acme", ownerA, "node", "https://metrics.acme.com/node")}, nil)
	if len(jobs.Problems)+len(jobs.Warnings) > 0 {
		t.Errorf("%v, %v", jobs.Problems, jobs.Warnings)
	}
	const want = scrapeHeader + `scrape_configs:
- job_name: "stoker/acme/node/preps"
  scheme: "https"
  honor_labels: false
  honor_timestamps: false
  follow_redirects: false
  basic_auth:
    username: "stoker"
    password_file: "secrets/acme.node"
  body_size_limit: 10MB
  sample_limit: 20000
  label_limit: 64
  label_name_length_limit: 256
  label_value_length_limit: 1024
  target_limit: 2
  keep_dropped_targets: 1
  file_sd_configs:
  - files: ["/targets/owners/*.json"]
    refresh_interval: "1m"
  relabel_configs:
  - source_labels: ["__meta_stoker_contact", "exporter", "network"]
    regex: "acme;node;(mainnet|lisbon)"
    action: "keep"
  - target_label: "job"
    replacement: "preps"
  - source_labels: ["__meta_stoker_address"]
    target_label: "__address__"
  - source_labels: ["__meta_stoker_scheme"]
    target_label: "__scheme__"
  - source_labels: ["__meta_stoker_path"]
    target_label: "__metrics_path__"
`
	if diff := cmp.Diff(want, string(jobs.Files["scrape/acme.node.yml"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := string(jobs.Files["scrape/secrets/acme.node"]); got != "pa55-w0rd" {
		t.Errorf("password file: %q", got)
	}
	for file, data := range jobs.Files {
		if strings.Contains(string(data), "pa55-w0rd") != (file == "scrape/secrets/acme.node") {
			t.Errorf("%s: %s", file, data)
		}
	}
}

// load has Prometheus' own loader read a base with the files that were made for it.
func load(t *testing.T, main string, jobs ScrapeJobs) (generated []*promconfig.ScrapeConfig) {
	t.Helper()
	dir := t.TempDir()
	for file, data := range jobs.Files {
		p := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := promconfig.LoadFile(file, false, promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	all, err := cfg.GetScrapeConfigs()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if strings.HasPrefix(c.JobName, "stoker/") {
			generated = append(generated, c)
			if auth := c.HTTPClientConfig.BasicAuth; auth != nil {
				if _, err := os.Stat(auth.PasswordFile); err != nil || auth.Password != "" {
					t.Errorf("%s: %v", c.JobName, err)
				}
			}
		}
	}
	return generated
}

// scraped lists what jobs scrape of the targets that claims ask for, as Prometheus
// would: job label, job name and URL, and whether there is a password.
func scraped(t *testing.T, said []Override, configs []*promconfig.ScrapeConfig) (all []string) {
	t.Helper()
	preps := []prep{{Owner: ownerA, Name: "A", Host: "8.8.8.8", P2PPort: 1, Rank: 1}, {Owner: ownerB, Name: "B", Host: "8.8.8.9", P2PPort: 1, Rank: 2}}
	var groups []*targetgroup.Group
	for _, n := range twoNetworks().Networks {
		net := &network{rules: rules{name: n.Name, exporters: n.Exporters}}
		o := outcome{next: baseline{Preps: preps}}
		o.next.Claims = claims(n.Name, n.Exporters, said, true, nil)
		if net.render(&o); o.renderedOwned == nil {
			continue
		}
		var these []*targetgroup.Group
		if err := json.Unmarshal(o.renderedOwned, &these); err != nil {
			t.Fatal(err)
		}
		groups = append(groups, these...)
	}
	for _, c := range configs {
		for _, g := range groups {
			lset := labels.NewBuilder(labels.FromStrings("job", c.JobName, "__address__", string(g.Targets[0]["__address__"])))
			for name, value := range g.Labels {
				lset.Set(string(name), string(value))
			}
			if !relabel.ProcessBuilder(lset, c.RelabelConfigs...) || lset.Get("__address__") == "" {
				continue
			}
			auth := ""
			if c.HTTPClientConfig.BasicAuth != nil {
				auth = " as " + c.HTTPClientConfig.BasicAuth.Username
			}
			all = append(all, fmt.Sprintf("%s by %s: %s://%s%s%s %s", lset.Get("job"), c.JobName,
				lset.Get("__scheme__"), lset.Get("__address__"), lset.Get("__metrics_path__"), auth, lset.Get("network")))
		}
	}
	slices.Sort(all)
	return all
}

// Every exporter is scraped where its contact says and nowhere else, with its own
// password and under the label of the job that scrapes everybody else.
func TestScrapeJobsOfABase(t *testing.T) {
	acme := atURL("acme", ownerA, "node", "https://metrics.acme.com/node")
	acme.Networks = []string{"mainnet"}
	acme.Exporters = append(acme.Exporters, OwnExporter{Name: "goloop", URL: "http://metrics.acme.com:8080/goloop"})
	birch := atURL("birch", ownerB, "node", "https://birch.com/node")
	said := []Override{acme, birch}
	for name, tc := range map[string]struct {
		base string
		want []string
		warn string
	}{
		"one job": {plainBase, []string{
			"preps by stoker/acme/goloop/preps: http://metrics.acme.com:8080/goloop mainnet",
			"preps by stoker/acme/node/preps: https://metrics.acme.com:443/node as stoker mainnet",
			"preps by stoker/birch/node/preps: https://birch.com:443/node as stoker lisbon",
			"preps by stoker/birch/node/preps: https://birch.com:443/node as stoker mainnet",
		}, ""},
		"a job for each network": {`
scrape_config_files: [ ./scrape/*.yml ]
scrape_configs:
- { job_name: main, file_sd_configs: [ { files: [ /targets/mainnet.json, /targets/other.json ] } ] }
- { job_name: lis, file_sd_configs: [ { files: [ /targets/other.json ] }, { files: [ /targets/lisbon.json ] } ] }
`, []string{
			"lis by stoker/birch/node/lis: https://birch.com:443/node as stoker lisbon",
			"main by stoker/acme/goloop/main: http://metrics.acme.com:8080/goloop mainnet",
			"main by stoker/acme/node/main: https://metrics.acme.com:443/node as stoker mainnet",
			"main by stoker/birch/node/main: https://birch.com:443/node as stoker mainnet",
		}, ""},
		"a job for each exporter": {`
scrape_config_files: [ scrape/*.yml ]
scrape_configs:
- job_name: node
  file_sd_configs: [ { files: [ /targets/*.json ] } ]
  relabel_configs: [ { source_labels: [ exporter ], regex: node, action: keep } ]
- job_name: all but node$1
  file_sd_configs: [ { files: [ /targets/*.json ] } ]
  relabel_configs: [ { source_labels: [ network, exporter ], separator: "/", regex: ".*/node", action: drop } ]
`, []string{
			"all but node$1 by stoker/acme/goloop/all but node$1: http://metrics.acme.com:8080/goloop mainnet",
			"node by stoker/acme/node/node: https://metrics.acme.com:443/node as stoker mainnet",
			"node by stoker/birch/node/node: https://birch.com:443/node as stoker lisbon",
			"node by stoker/birch/node/node: https://birch.com:443/node as stoker mainnet",
		}, ""},
		"hostile or clumsy rules": {`
scrape_config_files: [ scrape/*.yml ]
scrape_configs:
- job_name: probe
  metrics_path: /probe
  params: { module: [ icmp ] }
  file_sd_configs: [ { files: [ /targets/*.json ] } ]
  relabel_configs:
  - { source_labels: [ __address__ ], target_label: __param_target }
  - { target_label: __address__, replacement: blackbox:9115 }
- job_name: preps
  file_sd_configs: [ { files: [ /targets/*.json ] } ]
  relabel_configs:
  - { target_label: __scheme__, replacement: http }
  - { target_label: __metrics_path__, replacement: /other }
  - { source_labels: [ network ], regex: "(lisbon|mainnet)", target_label: "__${1}_address__", replacement: evil:1 }
  - { regex: "__mainnet_(address)__", action: labelmap, replacement: "__${1}__" }
  - { source_labels: [ prep_name ], target_label: job, replacement: "job of $1" }
`, []string{
			"job of A by stoker/acme/goloop/preps: http://metrics.acme.com:8080/goloop mainnet",
			"job of A by stoker/acme/node/preps: https://metrics.acme.com:443/node as stoker mainnet",
			"job of B by stoker/birch/node/preps: https://birch.com:443/node as stoker lisbon",
			"job of B by stoker/birch/node/preps: https://birch.com:443/node as stoker mainnet",
		}, ""},
		"no such job": {`
scrape_config_files: [ scrape/*.yml, more/*.yml ]
scrape_configs:
- { job_name: preps, file_sd_configs: [ { files: [ /other/*.json, /targets/lisbon.json ] } ] }
`, []string{
			"preps by stoker/birch/node/preps: https://birch.com:443/node as stoker lisbon",
			"stoker/acme/goloop by stoker/acme/goloop: http://metrics.acme.com:8080/goloop mainnet",
			"stoker/acme/node by stoker/acme/node: https://metrics.acme.com:443/node as stoker mainnet",
			"stoker/birch/node by stoker/birch/node: https://birch.com:443/node as stoker mainnet",
		}, "prometheus.yml:1:1: no scrape job here reads /targets/mainnet.json, so the exporters of contacts are scraped with defaults and without relabelling"},
		"aliases and merges": {`
x-common: &common
  scrape_interval: 17s
  relabel_configs: &rules
  - { source_labels: [ exporter ], regex: goloop, action: drop }
scrape_config_files: &include [ scrape/*.yml ]
scrape_configs:
- <<: *common
  job_name: &name preps
  file_sd_configs: [ { files: &files [ /targets/*.json ] } ]
- job_name: two
  file_sd_configs: [ { files: *files } ]
  relabel_configs: *rules
`, []string{
			"preps by stoker/birch/node/preps: https://birch.com:443/node as stoker lisbon",
			"preps by stoker/birch/node/preps: https://birch.com:443/node as stoker mainnet",
			"preps by stoker/acme/node/preps: https://metrics.acme.com:443/node as stoker mainnet",
			"stoker/acme/goloop by stoker/acme/goloop: http://metrics.acme.com:8080/goloop mainnet",
			"two by stoker/acme/node/two: https://metrics.acme.com:443/node as stoker mainnet",
			"two by stoker/birch/node/two: https://birch.com:443/node as stoker lisbon",
			"two by stoker/birch/node/two: https://birch.com:443/node as stoker mainnet",
		}, "prometheus.yml:1:1: no scrape job here reads /targets/mainnet.json, so the exporters of contacts are scraped with defaults and without relabelling"},
	} {
		t.Run(name, func(t *testing.T) {
			jobs := makeJobs(t, tc.base, said, nil)
			warnings := ""
			if len(jobs.Warnings) > 0 {
				warnings = jobs.Warnings.Error()
			}
			if len(jobs.Problems) > 0 || warnings != tc.warn {
				t.Errorf("%v, %v", jobs.Problems, jobs.Warnings)
			}
			base := strings.Replace(tc.base, "x-common: &common", "remote_read: []\nscrape_configs_: &common", 1)
			if name == "aliases and merges" { // upstream takes no key of its own
				base = "scrape_config_files: [ scrape/*.yml ]\n"
			}
			configs := load(t, base, jobs)
			slices.Sort(tc.want)
			if diff := cmp.Diff(tc.want, scraped(t, said, configs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, c := range configs {
				if c.HTTPClientConfig.FollowRedirects || c.HonorLabels || c.HonorTimestamps || c.SampleLimit == 0 || c.BodySizeLimit == 0 ||
					c.TargetLimit == 0 || c.LabelLimit == 0 || c.LabelNameLengthLimit == 0 || c.LabelValueLengthLimit == 0 || c.HTTPClientConfig.TLSConfig.InsecureSkipVerify {
					t.Errorf("%s is not limited: %+v", c.JobName, c)
				}
				// Prometheus shares one watch among jobs whose service discovery is the same.
				if !reflect.DeepEqual(c.ServiceDiscoveryConfigs, configs[0].ServiceDiscoveryConfigs) {
					t.Errorf("%s has service discovery of its own", c.JobName)
				}
			}
		})
	}
}

// What the base's job says about how to scrape holds, what it says about who is let in
// doesn't, and its limits count unless they are none.
func TestWhatIsCopied(t *testing.T) {
	const base = `
global: { scrape_interval: 7s, label_limit: 33, sample_limit: 0 }
scrape_config_files: [ scrape/*.yml ]
scrape_configs:
- job_name: preps
  honor_labels: true
  scrape_interval: 45s
  scrape_timeout: 9s
  params: { "collect[]": [ cpu ] }
  scheme: http
  proxy_url: http://proxy:3128
  sample_limit: 500
  body_size_limit: 0
  label_value_length_limit: 99
  authorization: { credentials: site-token }
  tls_config: { insecure_skip_verify: true }
  http_headers: { X-Site: { values: [ site-header ] } }
  file_sd_configs: [ { files: [ /targets/*.json ] } ]
  static_configs: [ { targets: [ "site:1" ] } ]
  metric_relabel_configs: [ { source_labels: [ __name__ ], regex: "go_.*", action: drop } ] # a comment
`
	jobs := makeJobs(t, base, []Override{atURL("acme", ownerA, "node", "https://metrics.acme.com/node")}, nil)
	c := load(t, base, jobs)[0]
	if c.ScrapeInterval.String() != "45s" || c.ScrapeTimeout.String() != "9s" || c.Params.Get("collect[]") != "cpu" || c.HTTPClientConfig.ProxyURL.String() != "http://proxy:3128" ||
		c.SampleLimit != 500 || c.BodySizeLimit != 10<<20 || c.LabelValueLengthLimit != 99 || c.LabelLimit != 33 || c.LabelNameLengthLimit != 256 || len(c.MetricRelabelConfigs) != 1 {
		t.Errorf("%+v", c)
	}
	text := string(jobs.Files["scrape/acme.node.yml"])
	if c.HonorLabels || c.Scheme != "https" || len(c.ServiceDiscoveryConfigs) != 1 || strings.Contains(text, "site") || strings.Contains(text, "skip") || strings.Contains(text, "a comment") {
		t.Errorf("%s", text)
	}
}

// Without the include nothing is made that Prometheus would not read, and it is said
// where what is to be written. Without URLs nothing is missing.
func TestScrapeIncludeIsMissing(t *testing.T) {
	said := []Override{atURL("acme", ownerA, "node", "https://metrics.acme.com/node")}
	for base, want := range map[string]string{
		"global: {}\n": "prometheus.yml:1:1: contacts have exporters behind URLs, such as node of acme, whose scrape jobs Prometheus would not read: add scrape_config_files: [scrape/*.yml]",
		"global: {}\nscrape_config_files: [ more/*.yml, 'scrape/*.yaml' ]\n": "prometheus.yml:2:22: contacts have exporters behind URLs, such as node of acme, whose scrape jobs Prometheus would not read: add scrape/*.yml here",
		"": "prometheus.yml:1:1: contacts have exporters behind URLs, such as node of acme, whose scrape jobs Prometheus would not read: add scrape_config_files: [scrape/*.yml]",
	} {
		jobs := makeJobs(t, base, said, nil)
		if len(jobs.Problems) != 1 || jobs.Problems[0].Error() != want {
			t.Errorf("%q: %v", base, jobs.Problems)
		}
		if len(jobs.Files) != 1 || jobs.Files[saidFile] == nil {
			t.Errorf("%q: %v", base, jobs.Files)
		}
		direct := []Override{{Contact: "acme", Owners: []string{ownerA}, Exporters: []OwnExporter{{Name: "node", Port: 1}}}}
		if jobs := makeJobs(t, base, direct, nil); len(jobs.Files)+len(jobs.Problems)+len(jobs.Warnings) > 0 {
			t.Errorf("%q: %+v", base, jobs)
		}
	}
}

// Targets that no generated job could read are as good as none.
func TestTargetsDirOfScrapeJobs(t *testing.T) {
	said := []Override{atURL("acme", ownerA, "node", "https://metrics.acme.com/node")}
	for dir, want := range map[string]string{"": "need a discovery.targets_dir", "/a*b": "has a *"} {
		cfg := twoNetworks()
		cfg.TargetsDir = dir
		jobs, err := MakeScrapeJobs(cfg, Base{"prometheus.yml", []byte(plainBase)}, said, nil, nil)
		if err != nil || len(jobs.Files) != 1 || len(jobs.Problems) != 1 || !strings.Contains(jobs.Problems[0].Msg, want) {
			t.Errorf("%q: %v, %v", dir, jobs, err)
		}
	}
}

// Contested exporters have no job, and a contact's exporter that the network doesn't
// have neither.
func TestOnlyGoodClaimsHaveJobs(t *testing.T) {
	acme, thief := atURL("acme", ownerA, "node", "https://a.com/"), atURL("thief", ownerA, "node", "https://b.com/")
	if jobs := makeJobs(t, plainBase, []Override{acme, thief, atURL("x", ownerB, "nodes", "https://x.com/")}, nil); len(jobs.Files) != 1 {
		t.Errorf("%v", jobs.Files)
	}
	thief.Networks = []string{"lisbon"}
	jobs := makeJobs(t, plainBase, []Override{acme, thief}, nil)
	if diff := cmp.Diff([]string{"preps by stoker/acme/node/preps: https://a.com:443/ as stoker mainnet"}, scraped(t, []Override{acme, thief}, load(t, plainBase, jobs))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	acme.Exporters[0].Username = ""
	acme.Exporters[0].Password = secret.Text{}
	jobs = makeJobs(t, plainBase, []Override{acme}, nil)
	if jobs.Files["scrape/secrets/acme.node"] != nil || strings.Contains(string(jobs.Files["scrape/acme.node.yml"]), "basic_auth") {
		t.Errorf("%v", jobs.Files)
	}
}

// What is known of a quarantined contact is in the live release, password and all.
func TestScrapeJobsInQuarantine(t *testing.T) {
	acme := atURL("acme", ownerA, "node", "https://metrics.acme.com/node")
	acme.Exporters = append(acme.Exporters, OwnExporter{Name: "goloop", Port: 5})
	birch := atURL("birch", ownerB, "node", "https://birch.com/node")
	good := makeJobs(t, plainBase, []Override{birch, acme}, nil)
	live := fstest.MapFS{}
	for file, data := range good.Files {
		live[file] = &fstest.MapFile{Data: data}
	}
	quarantined := Override{Contact: "acme", File: "elsewhere.yml", Quarantined: true}
	for name, jobs := range map[string]ScrapeJobs{
		"the same":    makeJobs(t, plainBase, []Override{acme, birch}, live),
		"quarantined": makeJobs(t, plainBase, []Override{quarantined, birch, quarantined}, live),
		"nobody knows": func() ScrapeJobs {
			j, _ := MakeScrapeJobs(twoNetworks(), Base{"prometheus.yml", []byte(plainBase)}, []Override{{}}, errors.New("no folder"), live)
			return j
		}(),
	} {
		if diff := cmp.Diff(good.Files, jobs.Files); diff != "" || len(jobs.Problems) > 0 {
			t.Errorf("%s: %v (-want +got):\n%s", name, jobs.Problems, diff)
		}
	}
	if jobs := makeJobs(t, plainBase, []Override{birch}, live); len(jobs.Files) != 3 {
		t.Errorf("a contact that is gone is still there: %v", jobs.Files)
	}
	delete(live, "scrape/secrets/acme.node")
	jobs := makeJobs(t, plainBase, []Override{quarantined, birch}, live)
	if len(jobs.Files) != 3 || len(jobs.Problems) != 1 || jobs.Problems[0].Msg != `password of exporter "node" of contact acme is not at hand, so it isn't scraped there` {
		t.Errorf("%v, %v", jobs.Problems, jobs.Files)
	}
	live[saidFile] = &fstest.MapFile{Data: []byte("{")}
	if jobs := makeJobs(t, plainBase, []Override{quarantined, birch}, live); len(jobs.Files) != 3 {
		t.Errorf("a damaged file stops others: %v", jobs.Files)
	}
}

// FuzzScrapeJobs: whatever the base and the contact say, Prometheus loads what is made,
// and no target of anybody else is in it.
func FuzzScrapeJobs(f *testing.F) {
	f.Add(plainBase, "stoker", "https://a.com/b")
	f.Add("scrape_config_files: ['*/*.yml']\nscrape_configs: [{ job_name: \"a$1\\n\", file_sd_configs: [{files: ['/*/*.json']}], relabel_configs: [{action: labeldrop, regex: .*}] }]", "u", "http://a.com:1/")
	f.Add("a: &a [*a]\nscrape_config_files: [scrape/*.yml]", `"{{"`, "https://a.com/'\"")
	f.Add("scrape_configs: [null, {}, 3, {relabel_configs: 7, file_sd_configs: [[]]}]\nscrape_config_files: [scrape/*]", "\\", "x")
	f.Fuzz(func(t *testing.T, base, username, url string) {
		o := atURL("acme", ownerA, "node", url)
		o.Exporters[0].Username = username
		said := []Override{o, atURL("birch", ownerB, "node", "https://birch.com/")}
		jobs, err := MakeScrapeJobs(twoNetworks(), Base{"prometheus.yml", []byte(base)}, said, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := promconfig.Load(base, promslog.NewNopLogger()); err != nil || jobs.Files["scrape/acme.node.yml"] == nil {
			return // the base is refused before
		}
		configs := load(t, "global: { scrape_interval: 1m, scrape_timeout: 10s }\nscrape_config_files: [ scrape/*.yml ]\n", jobs)
		if strings.Contains(base, "interval") || strings.Contains(base, "timeout") {
			return
		}
		for _, s := range scraped(t, said, configs) {
			_, rest, _ := strings.Cut(s, "by stoker/")
			contact, _, _ := strings.Cut(rest, "/")
			if contact == "acme" == strings.Contains(s, "https://birch.com:443/") {
				t.Errorf("%s", s)
			}
		}
	})
}
