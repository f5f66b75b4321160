package kubernetes_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/stoker-project/stoker/reload/servertest"
)

// manifests are what "kubectl apply -k" sends to a cluster.
type manifests struct {
	namespace corev1.Namespace
	set       appsv1.StatefulSet
	service   corev1.Service
	policy    networkingv1.NetworkPolicy
	maps      map[string]*corev1.ConfigMap
}

// build has kustomize put the example together, and reads the result as strictly as an API server that is asked to.
func build(t *testing.T) *manifests {
	t.Helper()
	kustomize := exec.Command(servertest.Program(t, "kustomize"), "build", ".")
	var stderr bytes.Buffer
	kustomize.Stderr = &stderr
	output, err := kustomize.Output()
	if err != nil {
		t.Fatalf("kustomize build: %v\n%s", err, &stderr)
	}
	m := &manifests{maps: map[string]*corev1.ConfigMap{}}
	for _, doc := range strings.Split(string(output), "\n---\n") {
		var object struct{ Kind string }
		if err := yaml.Unmarshal([]byte(doc), &object); err != nil {
			t.Fatal(err)
		}
		configMap := new(corev1.ConfigMap)
		into, known := map[string]any{
			"Namespace": &m.namespace, "StatefulSet": &m.set, "Service": &m.service, "NetworkPolicy": &m.policy, "ConfigMap": configMap,
		}[object.Kind]
		if !known {
			t.Fatalf("kustomize made a %s", object.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if configMap.Name != "" {
			m.maps[configMap.Name] = configMap
		}
	}
	return m
}

// containers are all of the pod, in the order in which the kubelet starts them.
func (m *manifests) containers() []corev1.Container {
	spec := m.set.Spec.Template.Spec
	return slices.Concat(spec.InitContainers, spec.Containers)
}

// A pod is what the kubelet makes of the manifests, without containers: the same commands, and a folder for each container
// that has the pod's volumes where the container has them mounted, as links.
type pod struct {
	*manifests
	t       *testing.T
	stoker  string // its program
	dir     string
	claims  string                        // outlive the pod
	volumes map[string]*servertest.Volume // ConfigMaps and Secrets
}

// newPod lays out the volumes, with the claims of a pod before it, if there was one.
func newPod(t *testing.T, m *manifests, stoker, claims string) *pod {
	t.Helper()
	p := &pod{manifests: m, t: t, stoker: stoker, dir: t.TempDir(), claims: claims, volumes: map[string]*servertest.Volume{}}
	for _, v := range m.set.Spec.Template.Spec.Volumes {
		p.must(os.MkdirAll(p.volume(v.Name), 0o755))
		if v.EmptyDir == nil {
			p.volumes[v.Name] = servertest.NewVolume(t, p.volume(v.Name))
		}
	}
	for _, c := range m.set.Spec.VolumeClaimTemplates {
		p.must(os.MkdirAll(filepath.Join(claims, c.Name), 0o755))
		p.must(os.Symlink(filepath.Join(claims, c.Name), p.volume(c.Name)))
	}
	for _, c := range m.containers() {
		for _, mount := range c.VolumeMounts {
			if _, err := os.Stat(p.volume(mount.Name)); err != nil {
				t.Fatalf("%s mounts a volume that the pod hasn't got: %v", c.Name, err)
			}
			for _, other := range c.VolumeMounts {
				if strings.HasPrefix(mount.MountPath, other.MountPath+"/") {
					t.Fatalf("%s mounts %s inside %s, where nothing can be made if that is a ConfigMap", c.Name, mount.Name, other.Name)
				}
			}
			at := p.inside(&c, mount.MountPath)
			p.must(os.MkdirAll(filepath.Dir(at), 0o755))
			if mount.SubPath == "" {
				p.must(os.Symlink(p.volume(mount.Name), at))
			}
		}
	}
	return p
}

func (p *pod) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// volume is the folder of a volume on the node.
func (p *pod) volume(name string) string {
	dir := filepath.Join(p.dir, "volumes")
	p.must(os.MkdirAll(dir, 0o755))
	return filepath.Join(dir, name)
}

// inside returns a text in which the paths of a container's mounts lead to its folder here.
func (p *pod) inside(c *corev1.Container, text string) string {
	var mounts []string
	for _, m := range c.VolumeMounts {
		mounts = append(mounts, regexp.QuoteMeta(m.MountPath))
	}
	paths := regexp.MustCompile(`(^|[ ="'\[,])(` + strings.Join(mounts, "|") + `)\b`)
	return paths.ReplaceAllString(text, "${1}"+filepath.Join(p.dir, c.Name)+"${2}")
}

func (p *pod) container(name string) *corev1.Container {
	p.t.Helper()
	all := p.containers()
	i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		p.t.Fatalf("the pod has no container %s", name)
	}
	return &all[i]
}

// publish makes these files the content of a ConfigMap or Secret, as the kubelet does. Paths in them are those of one
// container.
func (p *pod) publish(volume, reader string, files map[string]string) {
	p.t.Helper()
	here := map[string]string{}
	for name, content := range files {
		here[name] = p.inside(p.container(reader), content)
	}
	p.volumes[volume].Publish(here)
}

// command is what a container is started with. The file that is mounted by itself stays as it is then; edit may change it.
func (p *pod) command(name string, edit func(stokerYML string) string) (program string, args []string) {
	p.t.Helper()
	c := p.container(name)
	for _, mount := range c.VolumeMounts {
		if mount.SubPath != "" {
			content := edit(p.configMap(p.t, mount.Name).Data[mount.SubPath])
			p.must(os.WriteFile(p.inside(c, mount.MountPath), []byte(p.inside(c, content)), 0o644))
		}
	}
	for _, arg := range c.Args {
		args = append(args, p.inside(c, arg))
	}
	image, _, _ := strings.Cut(c.Image, ":")
	switch image {
	case "prom/prometheus", "prom/alertmanager":
		return servertest.Program(p.t, strings.TrimPrefix(image, "prom/")), args
	case "ghcr.io/stoker-project/stoker":
		return p.stoker, args
	}
	p.t.Fatalf("nobody knows what %s has in it", c.Image)
	return "", nil
}

// configMap is that of a volume.
func (m *manifests) configMap(t *testing.T, volume string) *corev1.ConfigMap {
	t.Helper()
	for _, v := range m.set.Spec.Template.Spec.Volumes {
		if v.Name == volume && v.ConfigMap != nil && m.maps[v.ConfigMap.Name] != nil {
			return m.maps[v.ConfigMap.Name]
		}
	}
	t.Fatalf("volume %s has no ConfigMap", volume)
	return nil
}

// reads checks that a container finds a file.
func (p *pod) reads(name, file string) {
	p.t.Helper()
	if _, err := os.ReadFile(p.inside(p.container(name), file)); err != nil {
		p.t.Errorf("%s: %v", name, err)
	}
}

// run runs an init container to its end.
func (p *pod) run(name string, edit func(string) string) {
	p.t.Helper()
	if p.container(name).RestartPolicy != nil {
		p.t.Fatalf("the kubelet doesn't wait for %s to end", name)
	}
	program, args := p.command(name, edit)
	if output, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, output)
	}
}

// goesOn checks that the kubelet doesn't wait for a container to end before it starts the next.
func (p *pod) goesOn(name string) {
	p.t.Helper()
	for _, c := range p.set.Spec.Template.Spec.InitContainers {
		if c.Name == name && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways) {
			p.t.Fatalf("the kubelet waits for %s to end", name)
		}
	}
}

// start starts a container that goes on running, and waits until its probes succeed.
func (p *pod) start(name string, edit func(string) string) *servertest.Server {
	p.t.Helper()
	program, args := p.command(name, edit)
	server := servertest.Prometheus(p.t, servertest.Binary(program), servertest.Args(args...)) // whatever it is
	c := p.container(name)
	p.goesOn(name)
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if probe == nil {
			p.t.Fatalf("%s lacks a probe", name)
		}
		servertest.Eventually(p.t, patient, func() error {
			_, err := server.Get(probe.HTTPGet.Path)
			return err
		})
	}
	return server
}

// publishAll makes the content of the ConfigMaps that of their volumes. Secrets are made by people.
func (p *pod) publishAll() {
	p.t.Helper()
	for _, v := range p.set.Spec.Template.Spec.Volumes {
		if v.ConfigMap != nil {
			// Prometheus' files have paths that Prometheus reads, those of the others have none.
			p.publish(v.Name, "prometheus", p.configMap(p.t, v.Name).Data)
		}
	}
}

// gitSync returns what git-sync publishes to.
func (p *pod) gitSync() *servertest.Worktrees {
	p.t.Helper()
	p.goesOn("git-sync")
	c := p.container("git-sync")
	flag := func(name string) string {
		for _, arg := range c.Args {
			if value, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
				return value
			}
		}
		p.t.Fatalf("git-sync has no --%s", name)
		return ""
	}
	return servertest.NewWorktrees(p.t, p.inside(c, filepath.Join(flag("root"), flag("link"))))
}
