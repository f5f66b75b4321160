package kubernetes_test

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/examples/internal/exampletest"
	"github.com/stoker-project/stoker/reload/servertest"
)

const patient = 2 * time.Minute

// What a cluster would do with the manifests: find the pod by its labels, reach its ports, let it in under the strictest
// policy, and make a new pod when stoker.yml changes and at nothing else.
func TestManifests(t *testing.T) {
	m := build(t)
	template := m.set.Spec.Template
	for what, selector := range map[string]map[string]string{
		"StatefulSet": m.set.Spec.Selector.MatchLabels, "Service": m.service.Spec.Selector, "NetworkPolicy": m.policy.Spec.PodSelector.MatchLabels,
	} {
		if len(selector) == 0 || !contains(template.Labels, selector) {
			t.Errorf("the %s selects %v, the pod has %v", what, selector, template.Labels)
		}
	}
	ports := map[string]int32{}
	var started []string
	for _, c := range m.containers() {
		started = append(started, c.Name)
		for _, p := range c.Ports {
			ports[p.Name] = p.ContainerPort
		}
		for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
			if probe != nil && (len(c.Ports) != 1 || probe.HTTPGet.Port.StrVal != c.Ports[0].Name) {
				t.Errorf("a probe of %s asks another container: %+v", c.Name, probe)
			}
		}
	}
	if want := []string{"git-sync", "first-release", "stoker", "prometheus", "alertmanager"}; !slices.Equal(started, want) {
		t.Errorf("the pod starts %q, want %q", started, want)
	}
	for _, p := range m.service.Spec.Ports {
		if ports[p.TargetPort.StrVal] != p.Port {
			t.Errorf("the Service has %+v, the pod has %v", p, ports)
		}
	}

	if m.namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Error("the namespace takes any pod")
	}
	s := template.Spec.SecurityContext
	if diff := cmp.Diff(&corev1.PodSecurityContext{
		RunAsNonRoot: new(true), RunAsUser: new(int64(65534)), RunAsGroup: new(int64(65534)), FSGroup: new(int64(65534)),
		FSGroupChangePolicy: s.FSGroupChangePolicy, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}, s); diff != "" {
		t.Errorf("what the pod may (-want +got):\n%s", diff)
	}
	for _, c := range m.containers() {
		if diff := cmp.Diff(&corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}, c.SecurityContext); diff != "" {
			t.Errorf("what %s may (-want +got):\n%s", c.Name, diff)
		}
		if limit := c.Resources.Limits.Memory(); limit.IsZero() || strings.Contains(c.Image, "/stoker:") && limit.String() != "96Mi" {
			t.Errorf("%s may have %v of memory", c.Name, limit)
		}
		for _, mount := range c.VolumeMounts {
			if server := strings.HasPrefix(c.Image, "prom/"); mount.Name == "releases" && mount.ReadOnly != server {
				t.Errorf("%s mounts the releases with readOnly: %v", c.Name, mount.ReadOnly)
			}
		}
	}

	names := slices.Sorted(maps.Keys(m.maps))
	if len(names) != 4 || !slices.Equal(names[:3], []string{"alertmanager", "prometheus", "silences"}) || !strings.HasPrefix(names[3], "stoker-") {
		t.Errorf("ConfigMaps are %q: only that of stoker.yml may have another name when it changes", names)
	}
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}

func TestExample(t *testing.T) {
	stoker := servertest.Build(t, "./cmd/stoker")
	t.Run("check", func(t *testing.T) { testCheck(t, stoker) })
	t.Run("pod", func(t *testing.T) { testPod(t, stoker) })
}

// The folder is judged where it is edited, as its comments say.
func testCheck(t *testing.T, stoker string) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "git/contacts"), os.DirFS("../compose/contacts")); err != nil {
		t.Fatal(err)
	}
	check := exec.Command(stoker, "check", "--strict")
	check.Dir = dir
	if output, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// The pod's own commands, with the volumes as the kubelet makes them: the first start, every kind of change, and a new pod at
// the worst moment.
func testPod(t *testing.T, stoker string) {
	m := build(t)
	claims := t.TempDir()
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintln(w, "simulated 1")
	}))
	defer exporter.Close()
	at, err := url.Parse(exporter.URL)
	if err != nil {
		t.Fatal(err)
	}
	network := httptest.NewServer(icontest.NewNode(icontest.Generate(8, 1, icontest.WithHosts(func(int) string { return at.Hostname() }))))
	defer network.Close()
	main := m.configMap(t, "prometheus").Data
	main["prometheus.yml"] = exampletest.Replace(t, "prometheus.yml", main["prometheus.yml"], "scrape_interval: 30s", "scrape_interval: 1s")
	// What differs from the example: the network is a simulated one, and the servers don't listen on ports that others may have.
	edit := func(urls ...string) func(string) string {
		return func(stokerYML string) string {
			return exampletest.Replace(t, "stoker.yml", stokerYML, append(urls,
				"[https://ctz.solidwallet.io/api/v3, https://api.icon.community/api/v3]", "["+network.URL+"/api/v3]\n    allow_private: true",
				"port: 9000", "port: "+at.Port(), "port: 9100", "port: "+at.Port())...)
		}
	}

	// The first start: both servers find their files, before git-sync has brought anything.
	p := newPod(t, m, stoker, claims)
	p.publishAll()
	p.run("first-release", edit())
	prometheus, alertmanager := p.start("prometheus", edit()), p.start("alertmanager", edit())
	urls := []string{"http://127.0.0.1:9090", prometheus.URL(), "http://127.0.0.1:9093", alertmanager.URL()}
	sidecar := p.start("stoker", edit(urls...))
	eventually(t, prometheus, "/api/v1/targets?state=active&scrapePool=preps", exampletest.TargetsUp(16))
	eventually(t, prometheus, "/api/v1/rules", exampletest.Contains("NodeDown", "StokerSyncFailing", "PRepJailed"))

	// The contacts arrive, and then one that needs both Secrets.
	git := p.gitSync()
	contacts := files(t, "../compose/contacts")
	git.Publish(contacts)
	eventually(t, alertmanager, "/api/v2/receivers", exampletest.Contains("contact/acme/", "contact/exchange/"))
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	p.publish("key", "stoker", map[string]string{"age-key": key.String()})
	p.publish("contact-secrets", "alertmanager", map[string]string{"cedar.pager": strings.Repeat("0a", 16)})
	contacts["operators/cedar.yml"] = "kind: operator\nname: Cedar\nowner: hx3c58970034d5a923aa95058365450feed28979a2\n" +
		"contact_methods:\n  pager: { pagerduty: { routing_key: { secret: pager } } }\n  mail:\n    email:\n      to:\n" + encrypt(t, stoker, key) +
		"notification_rules:\n- { notify: [pager, mail] }\n"
	git.Publish(contacts)
	eventually(t, alertmanager, "/api/v2/receivers", exampletest.Contains("contact/cedar/pager", "contact/cedar/mail"))
	p.reads("alertmanager", "/run/secrets/contacts/cedar.pager")

	// Each ConfigMap that changes in place reaches its server.
	own := maps.Clone(main)
	own["prometheus.yml"] = strings.NewReplacer("127.0.0.1:9096", host(sidecar), "127.0.0.1:9093", host(alertmanager), "127.0.0.1:9090", host(prometheus)).Replace(own["prometheus.yml"])
	own["nodes.rules.yml"] = exampletest.Replace(t, "nodes.rules.yml", own["nodes.rules.yml"], "NodeDown", "MachineDown")
	p.publish("prometheus", "prometheus", own)
	eventually(t, prometheus, "/api/v1/rules", exampletest.Contains("MachineDown"))
	for _, pool := range []string{"stoker", "network", "alertmanager", "prometheus"} {
		eventually(t, prometheus, "/api/v1/targets?state=active&scrapePool="+pool, exampletest.TargetsUp(1))
	}
	base := m.configMap(t, "alertmanager").Data["alertmanager.yml"]
	p.publish("alertmanager", "alertmanager", map[string]string{"alertmanager.yml": base + "- name: night-shift\n"})
	eventually(t, alertmanager, "/api/v2/receivers", exampletest.Contains("night-shift", "contact/cedar/"))
	now := time.Now().UTC()
	p.publish("silences", "stoker", map[string]string{"silences.yaml": "silences:\n- name: acme-move\n  matchers: ['prep=\"hx0b\"', 'severity=\"warning\"']\n" +
		"  comment: a move\n  starts_at: " + now.Add(time.Hour).Format(time.RFC3339) + "\n  ends_at: " + now.Add(2*time.Hour).Format(time.RFC3339) + "\n"})
	eventually(t, alertmanager, "/api/v2/silences", exampletest.Contains("acme-move"))

	// A new pod, while a ConfigMap is bad and git is away: both servers start with what they had.
	for _, s := range []*servertest.Server{prometheus, alertmanager, sidecar} {
		s.Stop()
	}
	p = newPod(t, m, stoker, claims)
	p.publishAll()
	p.publish("alertmanager", "alertmanager", map[string]string{"alertmanager.yml": "route: { receiver: nobody }\n"})
	p.publish("prometheus", "prometheus", map[string]string{"prometheus.yml": "global: { scrape_intervall: 1m }\n"})
	p.run("first-release", edit())
	prometheus, alertmanager = p.start("prometheus", edit()), p.start("alertmanager", edit())
	eventually(t, prometheus, "/api/v1/rules", exampletest.Contains("MachineDown"))
	eventually(t, alertmanager, "/api/v2/receivers", exampletest.Contains("night-shift", "contact/acme/", "contact/cedar/"))
}

func eventually(t *testing.T, server *servertest.Server, path string, check func(string) error) {
	t.Helper()
	servertest.Eventually(t, patient, func() error {
		answer, err := server.Get(path)
		if err == nil {
			err = check(string(answer))
		}
		return err
	})
}

func host(s *servertest.Server) string { return strings.TrimPrefix(s.URL(), "http://") }

// encrypt has stoker encrypt an address for a key.
func encrypt(t *testing.T, stoker string, key *age.X25519Identity) string {
	t.Helper()
	cmd := exec.Command(stoker, "encrypt", "--recipient="+key.Recipient().String())
	cmd.Stdin = strings.NewReader("noc@cedar.example\n")
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(output)
}

// files are those of a folder, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		found[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
