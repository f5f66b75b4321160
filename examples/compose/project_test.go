package compose_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoker-project/stoker/examples/internal/exampletest"
	"github.com/stoker-project/stoker/reload/servertest"
)

// project is a copy of the example that runs.
type project struct {
	t          *testing.T
	dir        string
	env        []string
	containers map[string]string // id by service
}

// What differs from the example: the network is a simulated one, and its mail server has no TLS.
var replacements = map[string][2]string{
	"stoker.yml": {
		"api: [https://ctz.solidwallet.io/api/v3, https://api.icon.community/api/v3]\n",
		"api: [http://world:8000/api/v3]\n    allow_private: true\n",
	},
	"alertmanager/alertmanager.yml": {"global:\n", "global:\n  smtp_require_tls: false\n"},
}

// Containers reach each other and nothing else, not even a name server outside.
const override = `
services:
  world:
    image: ${WORLD_IMAGE}
    dns: [127.0.0.1]
    networks: { default: { aliases: [mail.example.org] } }
  init: { dns: [127.0.0.1] }
  stoker: { dns: [127.0.0.1] }
  prometheus: { dns: [127.0.0.1] }
  alertmanager: { dns: [127.0.0.1] }
networks:
  default: { internal: true }
`

// up starts a copy of the example, with images of the local programs, until the test ends.
func up(t *testing.T) *project {
	t.Helper()
	unique := strings.ToLower(filepath.Base(filepath.Dir(t.TempDir()))) // the test's own folder
	p := &project{t: t, dir: t.TempDir(), containers: make(map[string]string)}
	p.env = append(os.Environ(),
		"COMPOSE_PROJECT_NAME=stoker-"+unique,
		"COMPOSE_FILE=compose.yaml:override.yaml",
		"STOKER_IMAGE=stoker-test:"+unique,
		"WORLD_IMAGE=stoker-test-world:"+unique,
		// Empty: any free port.
		"STOKER_PORT=", "PROMETHEUS_PORT=", "ALERTMANAGER_PORT=",
	)
	if err := os.CopyFS(p.dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	for file, r := range replacements {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p.put(file, exampletest.Replace(t, file, string(content), r[:]...))
	}
	p.put("override.yaml", override)

	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stoker := map[string]string{"bin/stoker": servertest.Build(t, "./cmd/stoker")}
	p.image("stoker-test-folders:"+unique, string(dockerfile), stoker, "--target=folders") // named, so that it can be removed
	p.image("stoker-test:"+unique, string(dockerfile), stoker, "--target=prebuilt")
	p.image("stoker-test-world:"+unique, "FROM scratch\nCOPY world /\nENTRYPOINT [\"/world\"]\n",
		map[string]string{"world": servertest.Build(t, "./examples/internal/world")})
	zones := filepath.Join(p.run("go", "env", "GOROOT"), "lib/time/zoneinfo.zip")
	for image, name := range map[string]string{"prom/prometheus:v3.15.0": "prometheus", "prom/alertmanager:v0.34.2": "alertmanager"} {
		p.image(image, serverImage(name), map[string]string{
			name: servertest.Program(t, name), "zoneinfo.zip": zones, name + "-data": "",
		})
	}

	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.compose("logs", "--no-color"))
		}
		p.compose("down", "--volumes", "--timeout=5")
	})
	p.compose("up", "-d")
	return p
}

// serverImage is to stoker what the public image is: a program that runs as nobody in a folder of its own and
// knows the time zones.
func serverImage(name string) string {
	return strings.ReplaceAll(`FROM scratch
COPY --chown=65534:65534 NAME-data /NAME
COPY zoneinfo.zip /
ENV ZONEINFO=/zoneinfo.zip
COPY NAME /bin/NAME
USER 65534:65534
WORKDIR /NAME
ENTRYPOINT ["/bin/NAME"]
`, "NAME", name)
}

// image builds an image that isn't there, without pulling anything, and removes it when the test ends. The
// files are copies of others; one of nothing is a folder.
func (p *project) image(name, dockerfile string, files map[string]string, flags ...string) {
	p.t.Helper()
	if exec.Command("docker", "image", "inspect", name).Run() == nil {
		return
	}
	dir := p.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		p.t.Fatal(err)
	}
	for to, from := range files {
		to = filepath.Join(dir, to)
		err := os.MkdirAll(filepath.Dir(to), 0o755)
		if err == nil && from == "" {
			err = os.Mkdir(to, 0o755)
		} else if err == nil {
			err = copyFile(to, from)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	p.docker(slices.Concat([]string{"build", "--tag=" + name}, flags, []string{dir})...)
	p.t.Cleanup(func() { p.docker("rmi", name) })
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// put writes a file of the copy.
func (p *project) put(file, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, file), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// compose runs the plugin of docker, or the program that was before it.
func (p *project) compose(args ...string) string {
	p.t.Helper()
	if exec.Command("docker", "compose", "version").Run() == nil {
		return p.docker(append([]string{"compose"}, args...)...)
	}
	return p.run("docker-compose", args...)
}

func (p *project) docker(args ...string) string {
	p.t.Helper()
	return p.run("docker", args...)
}

func (p *project) run(program string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	output, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Errorf("%s %s: %v\n%s", program, strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output))
}

// inspect tells about the container of a service.
func (p *project) inspect(service, format string) string {
	p.t.Helper()
	if p.containers[service] == "" {
		p.containers[service] = p.compose("ps", "-q", service)
	}
	return p.docker("inspect", "--format="+format, p.containers[service])
}

// url is where a service's container listens. Published ports don't exist in a network without a way out.
func (p *project) url(service, portAndPath string) string {
	p.t.Helper()
	return "http://" + p.inspect(service, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}") + portAndPath
}

// eventually waits until a service answers with what check accepts.
func (p *project) eventually(service, portAndPath string, check func(body string) error) {
	p.t.Helper()
	url := p.url(service, portAndPath)
	servertest.Eventually(p.t, patient, func() error {
		body, err := fetch(http.Get(url))
		if err == nil && check != nil {
			err = check(body)
		}
		return err
	})
}

func (p *project) get(service, portAndPath string) string {
	p.t.Helper()
	body, err := fetch(http.Get(p.url(service, portAndPath)))
	if err != nil {
		p.t.Fatal(err)
	}
	return body
}

func (p *project) post(service, portAndPath, body string) {
	p.t.Helper()
	if _, err := fetch(http.Post(p.url(service, portAndPath), "application/json", strings.NewReader(body))); err != nil {
		p.t.Fatal(err)
	}
}

func fetch(res *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", res.Request.URL, res.Status, body)
	}
	return string(body), err
}
