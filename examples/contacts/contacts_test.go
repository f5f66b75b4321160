package contacts_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/examples/internal/exampletest"
	"github.com/stoker-project/stoker/reload/servertest"
)

// workflow is what check.yml may say, and nothing else: with least rights, without secrets, and with actions that stay
// what they are.
type workflow struct {
	Name string
	On   struct {
		PullRequest struct{} `yaml:"pull_request"`
		Push        struct{ Branches []string }
	}
	Permissions map[string]string
	Jobs        map[string]struct {
		RunsOn         string `yaml:"runs-on"`
		TimeoutMinutes int    `yaml:"timeout-minutes"`
		Steps          []struct {
			Uses string
			With map[string]string
			Run  string
		}
	}
}

func TestRepository(t *testing.T) {
	stoker := servertest.Build(t, "./cmd/stoker")
	t.Run("workflow", func(t *testing.T) { testWorkflow(t, newCopy(t, stoker)) })
	t.Run("README", func(t *testing.T) { testReadme(t, newCopy(t, stoker)) })
}

// The workflow's own lines find nothing wrong with the example, and say beside the line what is wrong with a broken contact.
func testWorkflow(t *testing.T, c *repository) {
	file, err := os.Open(".github/workflows/check.yml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var w workflow
	dec := yaml.NewDecoder(file)
	dec.KnownFields(true)
	if err := dec.Decode(&w); err != nil {
		t.Fatal(err)
	}
	if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
		t.Errorf("permissions are %v", w.Permissions)
	}
	var lines []string
	for _, step := range w.Jobs["contacts"].Steps {
		action, commit, _ := strings.Cut(step.Uses, "@")
		if step.Uses != "" && !regexp.MustCompile("^[0-9a-f]{40}$").MatchString(commit) {
			t.Errorf("%s may become another", step.Uses)
		}
		if action == "actions/checkout" && step.With["persist-credentials"] != "false" {
			t.Errorf("%v leaves its token to the steps after it", step)
		}
		if step.Run != "" {
			lines = append(lines, step.Run)
		}
	}
	if len(lines) != 2 {
		t.Fatalf("lines are %q", lines)
	}

	if output, err := c.run("MAKEFLAGS=n " + lines[0]); err != nil || !strings.Contains(output, " bin/stoker ") {
		t.Errorf("%s would not make bin/stoker: %v\n%s", lines[0], err, output)
	}
	if output, err := c.run(lines[1]); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	c.replace("operators/birch.yml", "notify: [mail]", "notify: [male]")
	output, err := c.run(lines[1])
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("a broken contact: %v", err)
	}
	if want := `::error file=operators/birch.yml,line=8,col=14::contact method "male" not known, did you mean "mail"?`; !strings.Contains(output, want+"\n") {
		t.Errorf("no %s in\n%s", want, output)
	}
}

// What README.md tells operators to type works, and what it prints fits where it says.
func testReadme(t *testing.T, c *repository) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^ *((?:echo .*)?\.\./stoker/bin/stoker .*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(commands) != 2 || !strings.Contains(commands[0][1], " encrypt ") || !strings.Contains(commands[1][1], " check ") {
		t.Fatalf("commands are %q", commands)
	}
	encrypted, err := c.run(commands[0][1])
	if err != nil {
		t.Fatalf("%v\n%s", err, encrypted)
	}
	was := regexp.MustCompile(`(?s) +age: \|.*-----END AGE ENCRYPTED FILE-----\n`).FindString(c.read("operators/acme.yml"))
	c.replace("operators/acme.yml", was, encrypted)
	if output, err := c.run(commands[1][1] + " --strict"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}

	schema, err := c.run("../stoker/bin/stoker schema contact")
	if err != nil || schema != c.read("contact.schema.json") {
		t.Errorf("write it anew with `go run ./cmd/stoker schema contact > examples/contacts/contact.schema.json`: %v", err)
	}
	for _, link := range regexp.MustCompile(`(?m)(?:\]\(|^\[.*\]: )([^)#\s]+)`).FindAllStringSubmatch(string(readme), -1) {
		// Whoever copies the folder hasn't got the documentation beside it.
		page := strings.Replace(link[1], "https://github.com/stoker-project/stoker/blob/main/", "../../", 1)
		if _, err := os.Stat(page); err != nil {
			t.Error(err)
		}
	}
}

// A copy of the repository has a stoker where the workflow builds it, and where README.md does.
type repository struct {
	t   *testing.T
	dir string
}

func newCopy(t *testing.T, stoker string) *repository {
	t.Helper()
	parent := t.TempDir()
	c := &repository{t, filepath.Join(parent, "contacts")}
	if err := os.CopyFS(c.dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	makefile, err := filepath.Abs("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		filepath.Join(parent, "stoker/bin/stoker"): stoker,
		filepath.Join(c.dir, ".stoker/bin/stoker"): stoker,
		filepath.Join(c.dir, ".stoker/Makefile"):   makefile,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(to, link)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// run runs a line in the copy, as a shell of the workflow does.
func (c *repository) run(line string) (output string, err error) {
	cmd := exec.Command("bash", "-ec", line)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *repository) read(file string) string {
	c.t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(content)
}

func (c *repository) replace(file, old, new string) {
	c.t.Helper()
	content := exampletest.Replace(c.t, file, c.read(file), old, new)
	if err := os.WriteFile(filepath.Join(c.dir, file), []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
}
