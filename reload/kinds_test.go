package reload_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/discovery"

	"github.com/stoker-project/stoker/reload"
)

// kinds has one valid section of every kind of service discovery, with as little in it as its server allows: what a
// cloud's machine would be asked for, such as its region, isn't here.
var kinds = map[string]string{
	"aws":          "{ role: ec2 }",
	"azure":        "{ subscription_id: s, tenant_id: t, client_id: c, client_secret: x }",
	"consul":       "{ server: 'consul.example.org:8500', services: [web] }",
	"digitalocean": "{ authorization: { credentials: x } }",
	"dns":          "{ names: [_http._tcp.example.org] }",
	"docker":       "{ host: 'unix:///var/run/docker.sock' }",
	"dockerswarm":  "{ host: 'http://docker.example.org:2375', role: nodes }",
	"ec2":          "{ filters: [{ name: 'tag:service', values: [web] }] }",
	"ecs":          "{ clusters: [one] }",
	"elasticache":  "{ clusters: [one] }",
	"eureka":       "{ server: 'http://eureka.example.org:8761/eureka' }",
	"file":         "{ files: [/etc/prometheus/targets/*.json] }",
	"gce":          "{ project: p, zone: z }",
	"hetzner":      "{ role: hcloud, authorization: { credentials: x } }",
	"http":         "{ url: 'http://targets.example.org/' }",
	"ionos":        "{ datacenter_id: 8feda53f-15f0-447f-badf-ebe32dad2fc0, authorization: { credentials: x } }",
	"kubernetes":   "{ role: pod }",
	"kuma":         "{ server: 'http://kuma.example.org:5676' }",
	"lightsail":    "{ port: 80 }",
	"linode":       "{ authorization: { credentials: x } }",
	"marathon":     "{ servers: ['https://marathon.example.org'], auth_token: x }",
	"msk":          "{ clusters: [one] }",
	"nerve":        "{ servers: [zookeeper.example.org], paths: [/monitoring] }",
	"nomad":        "{ server: 'http://nomad.example.org:4646' }",
	"oci":          "{ region: eu-frankfurt-1, auth: instance_principal }",
	"openstack":    "{ role: instance, region: RegionOne }",
	"outscale":     "{ region: eu-west-2, access_key: k, secret_key: x }",
	"ovhcloud":     "{ service: vps, endpoint: ovh-eu, application_key: k, application_secret: s, consumer_key: c }",
	"puppetdb":     "{ url: 'https://puppetdb.example.org', query: 'resources { type = \"Package\" }' }",
	"rds":          "{ port: 5432 }",
	"scaleway":     "{ role: instance, project_id: 11111111-1111-1111-1111-111111111112, access_key: SCWXXXXXXXXXXXXXXXXX, secret_key: 11111111-1111-1111-1111-111111111111 }",
	"serverset":    "{ servers: [zookeeper.example.org], paths: [/aurora] }",
	"stackit":      "{ project: 11111111-1111-1111-1111-111111111111, service_account_key: k, private_key: x }",
	"static":       "{ targets: ['localhost:9090'] }",
	"triton":       "{ account: a, dns_suffix: triton.example.org, endpoint: triton.example.org, version: 1 }",
	"uyuni":        "{ server: 'https://uyuni.example.org', username: u, password: p }",
	"vultr":        "{ authorization: { credentials: x } }",
}

// noNetwork stands for the network in the two places that libraries take it from if nobody gives them another.
func noNetwork(t *testing.T) {
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		t.Errorf("a check dialed %s %s", network, address)
		return nil, errors.New("no network")
	}
	resolver, transport := net.DefaultResolver, http.DefaultTransport
	t.Cleanup(func() { net.DefaultResolver, http.DefaultTransport = resolver, transport })
	net.DefaultResolver, http.DefaultTransport = &net.Resolver{PreferGo: true, Dial: dial}, &http.Transport{DialContext: dial}
}

// Every kind of service discovery that Prometheus has is known to the check, which contacts none of them, nor the
// machine's cloud.
func TestEveryServiceDiscoveryIsKnown(t *testing.T) {
	noNetwork(t)
	for _, v := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "KUBERNETES_SERVICE_HOST"} {
		t.Setenv(v, "")
	}
	t.Setenv("HOME", t.TempDir())

	all := "scrape_configs:\n"
	for _, name := range discovery.RegisteredConfigNames() {
		section, ok := kinds[name]
		if !ok {
			t.Errorf("there is no section for %s_sd_configs", name)
			continue
		}
		key := name + "_sd_configs"
		if name == "static" {
			key = "static_configs"
		}
		job := "- job_name: " + name + "\n  " + key + ": [" + section + "]\n"
		all += job
		t.Run(name, func(t *testing.T) {
			for where, source := range map[string]files{
				"job":     {"prometheus.yml": "scrape_configs:\n" + job},
				"include": {"prometheus.yml": "scrape_config_files: [s.yml]\n", "s.yml": "scrape_configs:\n" + job},
			} {
				problems, warnings := preview(t, source, nil)
				wantLines(t, "problems of the "+where, problems)
				wantLines(t, "warnings of the "+where, warnings)
			}
			// It is the section that is judged: with a key too many it is refused, at its place.
			wrong := strings.Replace(job, "{ ", "{ no_such_key: 1, ", 1)
			problems, _ := preview(t, files{"prometheus.yml": "scrape_configs:\n" + wrong}, nil)
			if len(problems) != 1 || !strings.HasPrefix(problems[0], "prometheus.yml:3:") || !strings.Contains(problems[0], "field no_such_key is not known here") {
				t.Errorf("with a wrong key: %q", problems)
			}
		})
	}
	b := newBench(t, files{"prometheus.yml": all})
	mustSync(t, b.publishOnly(reload.NewPrometheus, nil), true)
}
