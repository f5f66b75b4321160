package routing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/prometheus/alertmanager/config"
)

// One bad contact never costs anybody a notification: itself it keeps its last good version, others go on,
// across restarts, lost secrets and lost folders.
func TestQuarantineStory(t *testing.T) {
	h := newHouse(t)

	// Nothing is there yet: the base goes live alone, and it's an error all the same.
	h.remove("contacts")
	h.expect(false, "contacts: no such file or directory")
	h.expectMetrics(0, 0, 1)
	h.write("contacts/README.md", "Contacts go here.")
	h.expect(false, "contacts: holds no contact file, <stem>.yml")

	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/eu/bravo.yml", hookContact("hx2"))
	h.expect(true, "", "acme/hook", "bravo/hook")
	h.expect(false, "", "acme/hook", "bravo/hook")
	h.expectMetrics(2, 0, 0)

	// Acme makes a mistake while bravo renames its method.
	h.write("contacts/acme.yml", strings.Replace(hookContact("hx1"), "https", "http", 1))
	h.write("contacts/eu/bravo.yml", strings.ReplaceAll(strings.ReplaceAll(hookContact("hx2"), "{ hook:", "{ page:"), "[hook]", "[page]"))
	const problem = "contacts/acme.yml:5:44: url must begin with https://"
	h.expect(true, problem, "acme/hook", "bravo/page")
	h.expectMetrics(1, 1, 0, `file="acme.yml",routed="true"`)
	logged := h.log.String()
	if want := "level=WARN msg=\"contact rejected, keeping its last good version\" file=acme.yml"; strings.Count(logged, want) != 1 {
		t.Errorf("log:\n%s\nwant once: %s", logged, want)
	}
	h.expect(false, problem, "acme/hook", "bravo/page")
	if h.log.String() != logged {
		t.Errorf("logged again although nothing changed:\n%s", h.log)
	}

	// A newcomer with a mistake has no last good version.
	h.write("contacts/new.yml", "kind: operator\n")
	if _, problems := h.sync(); !strings.Contains(problems, "(and 4 more errors)") {
		t.Errorf("problems of two files: %s", problems)
	}
	h.publish()
	h.expectMetrics(1, 2, 0, `file="acme.yml",routed="true"`, `file="new.yml",routed="false"`)
	if want := "level=WARN msg=\"contact rejected, its alerts reach nobody but the receivers of the base\" file=new.yml"; !strings.Contains(h.log.String(), want) {
		t.Errorf("log:\n%s\nwant %s", h.log, want)
	}
	h.remove("contacts/new.yml")

	// After a restart it is the same, since the live release remembers.
	h.restart()
	h.expect(true, problem, "acme/hook", "bravo/page")
	h.expectMetrics(1, 1, 0, `file="acme.yml",routed="true"`)

	// So it is when the folder is lost.
	h.remove("contacts")
	h.restart()
	h.expect(false, "contacts: no such file or directory", "acme/hook", "bravo/page")
	h.expectMetrics(2, 0, 1)

	// Acme is repaired, bravo leaves.
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.expect(true, "", "acme/hook")
	h.expectMetrics(1, 0, 0)
}

// A contact that the base can't serve, or that doesn't reach whom it says, is found when it is merged.
func TestQuarantineAtTheMerge(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.expect(true, "", "acme/hook", "bravo/hook")

	h.write("contacts/acme.yml", hookContact("hx1")+"tests: [ { labels: { severity: info }, notify: [] } ]\n")
	h.write("contacts/bravo.yml", strings.Replace(hookContact("hx2"), `webhook: { url: "https://hooks.acme.example/hx2" }`, `telegram: { chat_id: "1" }`, 1))
	h.expect(true, "", "acme/hook", "bravo/hook")
	h.expectMetrics(0, 2, 0, `file="acme.yml",routed="true"`, `file="bravo.yml",routed="true"`)
	for i, want := range []string{
		h.dir + `/contacts/acme.yml:7:48: test expects nobody, but hook would be told about {prep="hx1", severity="info"}`,
		h.dir + "/contacts/bravo.yml:5:20: telegram without bot_token needs telegram_bot_token under global in alertmanager.yml",
	} {
		if got := h.agent.Status().Contacts[i].Problems.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	live := h.live.(fstest.MapFS)[contactsFolder+"/bravo.yml"].Data
	if string(live) != hookContact("hx2") {
		t.Errorf("the source kept of bravo is not its last good one:\n%s", live)
	}
}

// The key or a secret is gone for a while. Nobody is forgotten, and who changes nothing is sent the same.
func TestSecretsGone(t *testing.T) {
	h := newHouse(t)
	key := newKeyPair(t)
	h.write("age-key", key.identity.String()+"\n")
	h.write("secrets/bravo.url", "https://hooks.bravo.example/\n")
	h.write("contacts/acme.yml", fmt.Sprintf(mailContact, key.encrypt("noc@acme.example")))
	h.write("contacts/bravo.yml", strings.ReplaceAll(hookContact("hx2"), `"https://hooks.acme.example/hx2"`, "{ secret: url }")+
		"quiet_hours: { night: { times: '22:00-07:00' } }\n")
	h.write("contacts/charlie.yml", hookContact("hx3"))
	h.expect(true, "", "acme/mail", "bravo/hook", "charlie/hook")
	before := h.live.(fstest.MapFS)
	if want := fmt.Sprintf("url_file: %q", h.opts.Contacts.SecretsDir+"/bravo.url"); !bytes.Contains(before[MainFile].Data, []byte(want)) {
		t.Errorf("want %s in\n%s", want, before[MainFile].Data)
	}
	if bytes.Contains(before[contactsFolder+"/acme.yml"].Data, []byte("noc@acme.example")) {
		t.Error("the source of a contact is kept decrypted")
	}

	h.remove("age-key")
	h.remove("secrets")
	h.restart()
	_, problems := h.sync()
	if want := "contacts/acme.yml:6:31: age can't be decrypted: open age-key: no such file or directory (and 1 more errors)"; problems != want {
		t.Errorf("got %s, want %s", problems, want)
	}
	h.publish()
	after := h.live.(fstest.MapFS)
	for name := range maps.Keys(before) {
		if diff := cmp.Diff(string(before[name].Data), string(after[name].Data)); diff != "" {
			t.Errorf("%s changed:\n%s", name, diff)
		}
	}

	// Nor does it cost anybody their notifications that the site changes its rules.
	h.write("contacts/delta.yml", strings.Replace(hookContact("hx4"), "notify: [hook]", "notify: [hook], min_severity: warning", 1))
	h.restart()
	h.sync()
	h.publish()
	h.opts.Severities = []string{"low", "high"}
	h.restart()
	h.sync()
	if diff := cmp.Diff([]string{"acme/mail", "bravo/hook", "charlie/hook", "delta/hook"}, h.publish()); diff != "" {
		t.Errorf("receivers (-want +got):\n%s", diff)
	}
}

// A test that fails because the site changed its rules is a problem, but not of whoever has to be told.
func TestHeldInSpiteOfItsTests(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", strings.Replace(hookContact("hx1"), "notify: [hook]", "notify: [hook], min_severity: warning", 1)+
		"tests: [ { labels: { severity: notice }, notify: [] } ]\n")
	h.expect(true, "", "acme/hook")
	h.opts.Severities = []string{"info", "warning", "notice", "critical"}
	h.restart()
	h.expect(true, "", "acme/hook")
	h.expectMetrics(0, 1, 0, `file="acme.yml",routed="true"`)
	if want := `'severity=~"critical|notice|warning"'`; !bytes.Contains(h.live.(fstest.MapFS)[MainFile].Data, []byte(want)) {
		t.Errorf("the last good version is not made by today's rules, want %s", want)
	}
}

// A secret that is written into the configuration changes it.
func TestSecretRotates(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", fmt.Sprintf(mailContact, "{ secret: mail }"))
	for _, address := range []string{"old@acme.example", "new@acme.example"} {
		h.write("secrets/acme.mail", address+"\n")
		h.expect(true, "", "acme/mail")
		h.expect(false, "", "acme/mail")
		if !bytes.Contains(h.live.(fstest.MapFS)[MainFile].Data, []byte(address)) {
			t.Errorf("%s is not in the configuration", address)
		}
	}
}

// A base that does without what live contacts need is a bad base.
func TestBaseDropsWhatContactsNeed(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", fmt.Sprintf(mailContact, "noc@acme.example"))
	h.write("contacts/bravo.yml", hookContact("hx2"))
	h.expect(true, "", "acme/mail", "bravo/hook")
	h.base[MainFile] = []byte("route: { receiver: team }\nreceivers: [ { name: team } ]\n")
	_, err := h.agent.Generate(context.Background(), Source{Base: h.base, Live: h.live, Version: h.version})
	want := `alertmanager.yml: does without what contact "acme" of the live release needs: ` +
		`.stoker/contacts/acme.yml:6:3: email needs smtp_smarthost and smtp_from under global in alertmanager.yml`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}

	// A newcomer can't hold up the base.
	h.live = nil
	if diff := cmp.Diff([]string{"bravo/hook"}, h.publish()); diff != "" {
		t.Errorf("receivers (-want +got):\n%s", diff)
	}
	h.expectMetrics(1, 1, 0, `file="acme.yml",routed="false"`)
}

// All that can fail comes before anything is returned.
func TestGenerateFails(t *testing.T) {
	h := newHouse(t)
	h.opts.BaseDir = "/etc/stoker/alertmanager"
	h.restart()
	h.write("contacts/acme.yml", hookContact("hx1"))
	generate := func() string {
		files, err := h.agent.Generate(context.Background(), Source{Base: h.base, Live: h.live, Version: h.version})
		if err == nil || files != nil {
			t.Fatalf("got %v, %v", slices.Collect(maps.Keys(files)), err)
		}
		return err.Error()
	}
	delete(h.base, MainFile)
	if got, want := generate(), "/etc/stoker/alertmanager/alertmanager.yml: missing"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	h.base[MainFile] = []byte("route:\n  receiver: tema\nreceivers:\n- name: team\n")
	if got, want := generate(), `/etc/stoker/alertmanager/alertmanager.yml:2:13: undefined receiver "tema" used in route`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	// A live release that can't be read is no reason to forget who is in it.
	h.base[MainFile] = []byte(houseBase)
	h.write("contacts/acme.yml", "kind: operator\n")
	h.restart()
	broken := errors.New("input/output error")
	for _, name := range []string{contactsFolder, contactsFolder + "/acme.yml", MainFile} {
		h.live = brokenFS{fstest.MapFS{contactsFolder + "/acme.yml": {}, MainFile: {}}, name, broken}
		if _, err := h.agent.Generate(context.Background(), Source{Base: h.base, Live: h.live, Version: h.version}); !errors.Is(err, broken) {
			t.Errorf("%s can't be read: error %v", name, err)
		}
	}

	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.agent.Sync(canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("Sync when canceled: %v", err)
	}
}

// A brokenFS fails to read one file or folder.
type brokenFS struct {
	fs.FS
	name string
	err  error
}

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: b.err}
	}
	return b.FS.Open(name)
}

// The main file of a release stands where that of the base stood, beside the same files.
func TestTemplatePathsStayRelative(t *testing.T) {
	h := newHouse(t)
	h.write("contacts/acme.yml", hookContact("hx1"))
	files, err := h.agent.Generate(context.Background(), Source{Base: h.base})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{".stoker/contacts/acme.yml", MainFile, templatesFile}; !slices.Equal(slices.Sorted(maps.Keys(files)), want) {
		t.Errorf("files %v, want %v", slices.Sorted(maps.Keys(files)), want)
	}
	if string(files[".stoker/contacts/acme.yml"]) != hookContact("hx1") {
		t.Error("the source is not the contact's file")
	}
	file := filepath.Join(t.TempDir(), MainFile)
	if err := os.WriteFile(file, files[MainFile], 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(file), "templates/*.tmpl"); cfg.Templates[0] != want {
		t.Errorf("template %s, want %s", cfg.Templates[0], want)
	}
}

func TestMetricsLint(t *testing.T) {
	h := newHouse(t)
	problems, err := testutil.GatherAndLint(h.opts.Registerer.(*prometheus.Registry))
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// Comments of the base that a YAML library sees at a contact's part come with the base already.
func TestFragmentHasNoComments(t *testing.T) {
	r := reader{file: MainFile}
	last := lastGood{main: r.document([]byte(`
route:
  routes:
  - receiver: team
  # above
  - receiver: contact/acme/hook # beside
    # below
  - receiver: contact/acme-eu/hook
receivers:
- name: contact/acme/hook
  # below
`)).Content[0]}
	f, err := last.fragment("acme")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"routes": "- receiver: contact/acme/hook\n", "receivers": "- name: contact/acme/hook\n"}
	if len(f.items) != len(want) {
		t.Errorf("%d lists, want %d", len(f.items), len(want))
	}
	for key, text := range want {
		if got := string(f.items[key]); got != text {
			t.Errorf("%s are\n%s", key, got)
		}
	}
}

// What was made for a version stays while Alertmanager can't be asked for it, also after a restart of stoker. What
// needs more than all versions have has to wait only where nobody has ever known it.
func TestVersionGone(t *testing.T) {
	h := newHouse(t)
	teams := strings.ReplaceAll(hookContact("hx1"), "{ webhook: { url:", "{ msteams: { webhook_url:")
	h.write("contacts/acme.yml", teams)
	h.write("contacts/charlie.yml", hookContact("hx3"))
	h.version = ""
	h.expect(true, "", "charlie/hook")
	for _, c := range h.agent.Status().Contacts {
		if want := "msteams needs Alertmanager 0.28 or newer, and it isn't known which one runs"; c.Stem == "acme" && !strings.Contains(c.Problems.Error(), want) || c.Routed == (c.Stem == "acme") {
			t.Errorf("%s is routed %v with %v", c.Stem, c.Routed, c.Problems)
		}
	}
	h.version = "0.34.2"
	h.expect(false, "", "acme/hook", "charlie/hook")
	known := h.live
	h.version = ""
	h.restart()
	h.expect(true, "", "acme/hook", "charlie/hook")
	if diff := cmp.Diff(known, h.live); diff != "" {
		t.Errorf("another release without the version (-with +without):\n%s", diff)
	}
	h.write("contacts/bravo.yml", strings.ReplaceAll(teams, "hx1", "hx2"))
	h.expect(true, "", "acme/hook", "bravo/hook", "charlie/hook")
	h.version = "0.27.0"
	h.expect(false, "", "acme/hook", "bravo/hook", "charlie/hook") // held, and said
	if p := h.agent.Status().Contacts[0].Problems.Error(); !strings.Contains(p, "msteams needs Alertmanager 0.28 or newer, 0.27.0 runs") {
		t.Error(p)
	}
}
