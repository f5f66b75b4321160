package routing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const acmeOwner = "hx0b047c751658f7ce1b2595da34d57a0e7dad357d"

// exporterContact is a contact with these entries of exporters, each in YAML's flow style.
func exporterContact(entries ...string) string {
	s := "kind: operator\nname: Acme\nowner: " + acmeOwner + `
contact_methods: { hook: { webhook: { url: "https://hooks.acme.example/a" } } }
notification_rules: [ { notify: [hook] } ]
`
	if len(entries) > 0 {
		s += "exporters:\n- " + strings.Join(entries, "\n- ") + "\n"
	}
	return s
}

const behindNginx = `{ name: node, url: "https://metrics.acme.example/node/metrics", basic_auth: { username: stoker, password: { secret: metrics } } }`

func TestExporters(t *testing.T) {
	c := parse(t, "acme.yml", exporterContact(
		`{ name: goloop, port: 9010 }`,
		`{ name: cadvisor, path: /cadvisor/metrics, scheme: https }`,
		behindNginx,
		`{ name: nginx, url: "HTTPS://Metrics.ACME.example:08443/status" }`,
		`{ name: open, url: "http://metrics.acme.example/open" }`,
	), testSite())
	var got []string
	for _, e := range c.Exporters {
		got = append(got, fmt.Sprintf("%d %s %d %q %q %q %q %q %t", e.Position.Line, e.Name, e.Port, e.Path, e.Scheme, e.URL, e.Username, e.secret.name, e.Password.Known()))
	}
	want := []string{
		`7 goloop 9010 "" "" "" "" "" false`,
		`8 cadvisor 0 "/cadvisor/metrics" "https" "" "" "" false`,
		`9 node 0 "" "" "https://metrics.acme.example/node/metrics" "stoker" "metrics" false`,
		`10 nginx 0 "" "" "https://metrics.acme.example:8443/status" "" "" false`,
		`11 open 0 "" "" "http://metrics.acme.example/open" "" "" false`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Test networks have private addresses and no certificates.
	const local = `{ name: node, url: "http://127.0.0.1:8080/node", basic_auth: { username: stoker, password: { secret: metrics } } }`
	site := testSite()
	if _, err := ParseContact("acme.yml", []byte(exporterContact(local)), site); err == nil {
		t.Error("a private address passes")
	}
	site.AllowPrivate = true
	if c := parse(t, "acme.yml", exporterContact(local), site); c.Exporters[0].URL != "http://127.0.0.1:8080/node" {
		t.Errorf("%+v", c.Exporters)
	}
}

// said is what is in force, in short.
func (h *house) said() []string {
	h.t.Helper()
	found, err := h.agent.Exporters(h.t.Context())
	if err != nil {
		return []string{"error: " + strings.ReplaceAll(err.Error(), h.dir+"/", "")}
	}
	var said []string
	for _, c := range found {
		line := c.Stem + " " + c.File
		if c.Quarantined {
			line += " quarantined"
		}
		for _, e := range c.Exporters {
			line += " " + e.Name + "=" + e.Password.Reveal()
		}
		said = append(said, line)
	}
	return said
}

func (h *house) expectExporters(changed bool, problems string, said ...string) {
	h.t.Helper()
	gotChanged, gotProblems := h.sync()
	if gotChanged != changed || gotProblems != problems {
		h.t.Errorf("Sync: %t, %q; want %t, %q", gotChanged, gotProblems, changed, problems)
	}
	if diff := cmp.Diff(said, h.said()); diff != "" {
		h.t.Errorf("exporters (-want +got):\n%s", diff)
	}
}

// What a contact says about exporters stands by itself: it counts while a secret for Alertmanager is missing, its
// own missing password costs nobody a notification, and a file that can't be used says nothing new.
func TestExportersStory(t *testing.T) {
	h := newHouse(t)
	if diff := cmp.Diff([]string{"error: contacts: holds no contact file, <stem>.yml"}, h.said()); diff != "" {
		t.Error(diff)
	}
	h.write("contacts/eu/acme.yml", exporterContact(behindNginx, `{ name: goloop, port: 9010 }`))
	h.write("contacts/plain.yml", exporterContact())

	const missing = `contacts/eu/acme.yml:7:119: secret "metrics" can't be read: open secrets/acme.metrics: no such file or directory`
	h.expectExporters(true, missing, "acme eu/acme.yml quarantined")
	if diff := cmp.Diff([]string{"acme/hook", "plain/hook"}, h.publish()); diff != "" {
		t.Errorf("a missing password costs notifications: %s", diff)
	}
	h.write("secrets/acme.metrics", "first\n")
	h.expectExporters(true, "", "acme eu/acme.yml node=first goloop=")
	h.expectExporters(false, "", "acme eu/acme.yml node=first goloop=")

	// A rotation is a change, a comment above isn't one of the exporters.
	h.write("secrets/acme.metrics", " second ")
	h.expectExporters(true, "", "acme eu/acme.yml node=second goloop=")
	h.write("secrets/acme.metrics", "two\nlines")
	h.expectExporters(true, `contacts/eu/acme.yml:7:119: secret "metrics" is more than one line`, "acme eu/acme.yml quarantined")
	h.write("secrets/acme.metrics", " \n")
	h.expectExporters(false, `contacts/eu/acme.yml:7:119: secret "metrics" is empty`, "acme eu/acme.yml quarantined")
	h.write("secrets/acme.metrics", "third")

	// Alertmanager's part can't be used, this one can.
	h.write("contacts/eu/acme.yml", strings.Replace(exporterContact(behindNginx), `"https://hooks.acme.example/a"`, "{ secret: hook }", 1))
	h.expectExporters(true, `contacts/eu/acme.yml:4:54: secret "hook" can't be read: open secrets/acme.hook: no such file or directory`,
		"acme eu/acme.yml node=third")

	// A file that can't be read says nothing, two of one name say nothing.
	h.write("contacts/eu/acme.yml", exporterContact(behindNginx, `{ name: node, port: 1 }`))
	h.expectExporters(true, `contacts/eu/acme.yml:8:3: exporter "node" is listed twice`, "acme eu/acme.yml quarantined")
	h.write("contacts/eu/acme.yml", exporterContact(behindNginx))
	h.write("contacts/us/acme.yml", exporterContact(behindNginx))
	if _, problems := h.sync(); !strings.Contains(problems, "has the same name as") {
		t.Errorf("two files of one name: %s", problems)
	}
	if diff := cmp.Diff([]string{"acme eu/acme.yml quarantined", "acme us/acme.yml quarantined"}, h.said()); diff != "" {
		t.Error(diff)
	}
	h.remove("contacts/us")
	h.expectExporters(true, "", "acme eu/acme.yml node=third")

	// A machine that only runs a Prometheus has no secrets of Alertmanager.
	h.write("contacts/eu/acme.yml", strings.Replace(exporterContact(behindNginx), `"https://hooks.acme.example/a"`, "{ secret: hook }", 1))
	h.opts.ExportersOnly = true
	h.restart()
	h.expectExporters(true, "", "acme eu/acme.yml node=third")

	h.remove("contacts/eu")
	h.expectExporters(true, "")
	h.remove("contacts")
	h.expectExporters(false, "contacts: no such file or directory", "error: contacts: no such file or directory")
}

// Whatever a contact writes, stoker only opens files that are named after the contact.
func TestNobodyReadsAnothersSecret(t *testing.T) {
	h := newHouse(t)
	for file, content := range map[string]string{
		"secrets/globex.metrics": "globex", "secrets/metrics": "the team's", "secrets/Acme.metrics": "upper case", "secrets/acme": "no name",
		"secrets/acme.sub/metrics": "deeper", "secrets/acmé.metrics": "accent", "outside": "outside", "secrets/.metrics": "hidden",
		"secrets/acme.": "empty", "secrets/acme.x": "own", "secrets/acme-x.metrics": "another's", "secrets/acme.x.metrics": "dotted",
	} {
		h.write(file, content)
	}
	spellings := []string{
		"globex.metrics", "../secrets/globex.metrics", "x/../globex.metrics", "../globex.metrics", "sub/metrics", "/etc/passwd",
		"..", ".", "", " ", "x/", "/x", "./x", "../outside", "x/../../outside", `..\\outside`, "x\\x00", "X", "x ", " x", "x\\n", "x.metrics",
		"\\u0078\\u0300", "х" /* Cyrillic */, "ｘ" /* full width */, "x\\u200b", "%2e%2e", "~", "*", "?", "[x]", "{{ x }}", "$HOME", "x;y", "-\\u2024",
	}
	entry := func(s string) string {
		return `{ name: node, url: "https://metrics.acme.example/", basic_auth: { username: u, password: { secret: "` + s + `" } } }`
	}
	for _, s := range spellings {
		h.write("contacts/acme.yml", exporterContact(entry(s)))
		if _, problems := h.sync(); !strings.Contains(problems, "contacts/acme.yml:7:") {
			t.Errorf("secret %q: %q", s, problems)
		}
		if diff := cmp.Diff([]string{"acme acme.yml quarantined"}, h.said()); diff != "" {
			t.Errorf("secret %q: %s", s, diff)
		}
	}
	h.write("contacts/acme.yml", exporterContact(entry("x")))
	h.expectExporters(true, "", "acme acme.yml node=own")

	// The stem is as little a way out as the name is.
	for _, file := range []string{"globex.acme.yml", "..yml", "acme..yml", "Acme.yml", "acmé.yml", "acme .yml"} {
		h.write("contacts/"+file, exporterContact(entry("metrics")))
		for _, line := range func() []string { h.sync(); return h.said() }() {
			if strings.Contains(line, "=") && line != "acme acme.yml node=own" {
				t.Errorf("%s reads a secret: %s", file, line)
			}
		}
		h.remove("contacts/" + file)
	}
}

// A password shows nowhere: not in what is printed of a contact, not in errors, logs and status.
func TestPasswordsNeverPrint(t *testing.T) {
	h := newHouse(t)
	const password = "pa55-w0rd"
	h.write("secrets/acme.metrics", password)
	h.write("contacts/acme.yml", exporterContact(behindNginx))
	h.write("contacts/plain.yml", exporterContact(`{ name: node, url: "https://metrics.acme.example/", basic_auth: { username: u, password: `+password+` } }`))
	h.write("contacts/user.yml", exporterContact(`{ name: node, url: "https://u:`+password+`@metrics.acme.example/" }`))
	h.write("contacts/secret.yml", exporterContact(`{ name: node, url: "https://metrics.acme.example/", basic_auth: { username: u, password: { secret: metrics } } }`))
	h.write("secrets/secret.metrics", password+"\n"+password)
	_, err := h.agent.Sync(t.Context())
	problems := problemLines(t, "", err)
	h.publish()
	found, err := h.agent.Exporters(t.Context())
	if err != nil || found[0].Exporters[0].Password.Reveal() != password {
		t.Fatalf("%v, %v", found, err)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("contacts", "found", found, "exporter", found[0].Exporters[0], "status", h.agent.Status())
	asJSON, err := json.Marshal(found)
	asYAML, err2 := yaml.Marshal(found)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	_, warnings, _ := Check(t.Context(), h.opts, nil)
	checked, _, _ := Check(t.Context(), h.opts, h.base)
	for _, printed := range []string{
		strings.Join(problems, "\n"), log.String(), h.log.String(), string(asJSON), string(asYAML), fmt.Sprint(warnings), fmt.Sprint(checked),
		fmt.Sprintf("%v %+v %#v", found, found, found), fmt.Sprintf("%+v", h.agent.Status()), fmt.Sprintf("%+v", h.agent),
	} {
		if strings.Contains(printed, password) {
			t.Errorf("prints the password: %s", printed)
		}
	}
	if len(problems) != 3 {
		t.Errorf("problems %q", problems)
	}
}

// Offline, a password that should be there is a problem, and where there is no folder of secrets a note.
func TestCheckOfExporters(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", exporterContact(behindNginx))
	problems, warnings, _ := Check(t.Context(), h.opts, h.base)
	if len(problems) != 1 || !strings.Contains(problems[0].Msg, `secret "metrics" can't be read`) || len(warnings) != 0 {
		t.Errorf("%v, %v", problems, warnings)
	}
	h.remove("secrets")
	problems, warnings, notes := Check(t.Context(), h.opts, h.base)
	if len(problems)+len(warnings) != 0 || len(notes) != 1 || !strings.Contains(notes[0], "not at hand here") {
		t.Errorf("%v, %v, %v", problems, warnings, notes)
	}
	found, err := ReadExporters(t.Context(), h.opts)
	if err != nil || len(found) != 1 || found[0].Quarantined || found[0].Exporters[0].Password.Known() {
		t.Errorf("%+v, %v", found, err)
	}
}

// FuzzExporters: whatever stands in a contact, what comes out of it can be used as it is, and no file is opened but
// the contact's own secrets.
func FuzzExporters(f *testing.F) {
	for _, name := range []string{"exporters", "exporters-url", "exporters-owner"} {
		data, err := os.ReadFile(filepath.Join("testdata", "invalid-"+name+".yml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
		for line := range strings.Lines(string(data)) {
			f.Add(exporterContact(strings.TrimSpace(strings.TrimPrefix(line, "- "))))
		}
	}
	f.Add(exporterContact(behindNginx))
	own := regexp.MustCompile(`^acme\.[a-z0-9_-]+$`)
	site := testSite()
	f.Fuzz(func(t *testing.T, source string) {
		site.ReadSecret = func(file string) (string, error) {
			if !own.MatchString(file) || filepath.Base(file) != file {
				t.Errorf("opens %q", file)
			}
			return "s3cret", fs.ErrNotExist
		}
		c, err := ParseContact("acme.yml", []byte(source), site)
		if err != nil {
			return
		}
		if problems := c.readPasswords(c.Exporters, site); len(problems) != len(slices.DeleteFunc(slices.Clone(c.Exporters), func(e Exporter) bool { return e.secret.name == "" })) {
			t.Errorf("problems %v", problems)
		}
		for _, e := range c.Exporters {
			if e.Name == "" || (e.URL == "") == (e.Port == 0 && e.Path == "" && e.Scheme == "") || e.URL == "" && e.Username != "" || e.Position.Line < 1 {
				t.Errorf("%+v", e)
			}
			if e.URL == "" {
				continue
			}
			u, err := url.Parse(e.URL)
			if err != nil || u.String() != e.URL || u.User != nil || u.RawQuery != "" || u.Fragment != "" || hostProblem(u.Hostname()) != "" ||
				e.Username != "" && u.Scheme != "https" {
				t.Errorf("%q: %v", e.URL, err)
			}
			if again, problem := site.parseExporterURL(e.URL); problem != "" || again.String() != e.URL {
				t.Errorf("%q isn't in one spelling: %v %s", e.URL, again, problem)
			}
		}
	})
}
