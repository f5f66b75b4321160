package sidecar

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// container is what an example says of one, whatever starts it.
type container struct {
	args   []string
	mounts []mount
}

type mount struct {
	volume, path string
	readOnly     bool
}

// What people copy from docs/releases.md fits together: it loads, the server reads what stoker publishes, and no mount
// freezes it.
func TestDocumentedReleases(t *testing.T) {
	var stokers []string // every stoker.yml of the page
	var sites int
	for _, block := range examples(t, "docs/releases.md") {
		switch {
		case strings.HasPrefix(block, "services:"):
			checkSite(t, loadExample(t, stokers[0]), composeContainers(t, block))
			sites++
		default:
			loadExample(t, block)
			stokers = append(stokers, block)
		}
	}
	if len(stokers) < 3 || sites != 1 {
		t.Errorf("the page has %d examples of a stoker.yml and %d of where it runs", len(stokers), sites)
	}
}

// loadExample reads a stoker.yml.
func loadExample(t *testing.T, content string) *Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stoker.yml")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	return cfg
}

// checkSite checks the containers of an example: two of stoker and one of Prometheus.
func checkSite(t *testing.T, cfg *Config, containers map[string]container) {
	t.Helper()
	for _, name := range []string{"first-release", "stoker", "prometheus"} {
		if _, ok := containers[name]; !ok {
			t.Fatalf("no container %s among %v", name, containers)
		}
	}
	out := cfg.Prometheus.OutputDir
	holds := func(name string) mount {
		for _, m := range containers[name].mounts {
			if out == m.path || strings.HasPrefix(out, m.path+"/") {
				return m
			}
		}
		t.Fatalf("container %s has no mount that holds %s", name, out)
		return mount{}
	}
	writer, reader := holds("stoker"), holds("prometheus")
	if writer.readOnly || !reader.readOnly || writer.volume != reader.volume || writer.path != reader.path {
		t.Errorf("stoker has %+v, Prometheus %+v", writer, reader)
	}
	if first := holds("first-release"); first != writer {
		t.Errorf("the first release goes to %+v, later ones to %+v", first, writer)
	}
	for name, arg := range map[string]string{
		"first-release": "--publish-only",
		"stoker":        "run",
		"prometheus":    "--config.file=" + path.Join(out, "live", "prometheus.yml"),
	} {
		if !slices.Contains(containers[name].args, arg) {
			t.Errorf("%s is started with %q, which lacks %s", name, containers[name].args, arg)
		}
	}
	if !slices.Contains(containers["prometheus"].args, "--web.enable-lifecycle") {
		t.Error("Prometheus takes no reloads")
	}
}

func composeContainers(t *testing.T, block string) map[string]container {
	t.Helper()
	var file struct {
		Services map[string]struct {
			Command, Volumes []string
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal([]byte(block), &file); err != nil {
		t.Fatal(err)
	}
	containers := map[string]container{}
	for name, s := range file.Services {
		c := container{args: s.Command}
		for _, v := range s.Volumes {
			parts := strings.Split(v, ":")
			if _, known := file.Volumes[parts[0]]; !known && parts[0] != "." {
				t.Errorf("%s has no volume %s", name, parts[0])
			}
			c.mounts = append(c.mounts, mount{parts[0], parts[1], slices.Contains(parts[2:], "ro")})
		}
		containers[name] = c
	}
	return containers
}

// What docs/releases.md quotes is what people meet: messages, metrics and alerts.
func TestReleasesPageQuotes(t *testing.T) {
	page := read(t, "../docs/releases.md")
	var source strings.Builder
	for _, dir := range []string{"../reload", "../sidecar", "../cmd/stoker"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
			if err == nil && path.Ext(p) == ".go" && !strings.HasSuffix(p, "_test.go") {
				source.WriteString(read(t, filepath.Join(dir, p)))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	code := regexp.MustCompile("`([^`]+)`")
	_, table, ok := strings.Cut(page, "| message | cause | remedy |\n")
	if !ok {
		t.Fatal("there is no table of messages")
	}
	// What the servers themselves say; the tests of reload have it from them.
	servers := []string{"403 Forbidden: Lifecycle API is not enabled", "401 Unauthorized", "404 Not Found"}
	rows := strings.Split(strings.TrimSpace(table), "\n")[1:]
	if len(rows) < 20 {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		for _, quoted := range code.FindAllStringSubmatch(strings.Split(row, " | ")[0], -1) {
			if !slices.Contains(servers, quoted[1]) && !strings.Contains(source.String(), quoted[1]) {
				t.Errorf("no message holds %q", quoted[1])
			}
		}
	}
	for _, metric := range regexp.MustCompile(`stoker_[a-z_]+`).FindAllString(page, -1) {
		if !strings.Contains(source.String(), `"`+metric+`"`) {
			t.Errorf("no metric is named %s", metric)
		}
	}
	rules := read(t, "../examples/rules/stoker.yml")
	for _, alert := range regexp.MustCompile("`(Stoker[A-Za-z]+)`").FindAllStringSubmatch(page, -1) {
		if !strings.Contains(rules, "alert: "+alert[1]+"\n") {
			t.Errorf("no alert is named %s", alert[1])
		}
	}
}

// Links between the pages lead somewhere.
func TestLinksOfTheDocumentation(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		for _, m := range regexp.MustCompile(`\]\(([^):#]+)(#[a-z-]+)?\)`).FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
