package routing

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoker-project/stoker/reload/servertest"
)

// A house is a folder of contacts and secrets, a base, and what is live.
type house struct {
	t    *testing.T
	dir  string
	opts Options
	base map[string][]byte
	live fs.FS
	// version is that of the Alertmanager that runs.
	version string
	// refusals are its words for releases.
	refusals []string
	agent    *Agent
	log      *bytes.Buffer
}

const houseBase = `
global: { smtp_smarthost: "localhost:25", smtp_from: a@example.org }
route:
  receiver: team
  routes:
  - receiver: team
    matchers: [ severity="critical" ]
    # the end of the routes
receivers:
- name: team
# the end of the receivers
templates: [ templates/*.tmpl ]
`

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), base: map[string][]byte{MainFile: []byte(houseBase), "templates/a.tmpl": nil}, version: "0.34.2"}
	h.opts.Contacts = ContactsConfig{Dir: "contacts", SecretsDir: "secrets", AgeIdentityFile: "age-key"}
	h.opts.Contacts.SetDirectory(h.dir)
	for _, d := range []string{h.opts.Contacts.Dir, h.opts.Contacts.SecretsDir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.restart()
	return h
}

// restart forgets everything that isn't on disk.
func (h *house) restart() {
	h.t.Helper()
	h.log = &bytes.Buffer{}
	h.opts.Logger = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	h.opts.Registerer = prometheus.NewRegistry()
	agent, err := New(h.opts)
	if err != nil {
		h.t.Fatal(err)
	}
	h.agent = agent
}

func (h *house) write(name, content string) {
	h.t.Helper()
	servertest.WriteFile(h.t, filepath.Join(h.dir, name), content)
}

func (h *house) remove(name string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.dir, name)); err != nil {
		h.t.Fatal(err)
	}
}

// publish makes what Generate returns the live release, and returns the receivers of contacts in it.
func (h *house) publish() []string {
	h.t.Helper()
	files, err := h.agent.Generate(context.Background(), Source{Base: h.base, Live: h.live, Version: h.version, Refusals: h.refusals})
	if err != nil {
		h.t.Fatal(err)
	}
	live := fstest.MapFS{}
	var stems []string
	for name, data := range files {
		live[name] = &fstest.MapFile{Data: data}
		if rest, ok := strings.CutPrefix(name, contactsFolder+"/"); ok {
			stems = append(stems, strings.TrimSuffix(rest, ".yml"))
		}
	}
	h.live = live
	var receivers, routed []string
	for _, r := range loadFile(h.t, files[MainFile]).Receivers {
		if rest, ok := strings.CutPrefix(r.Name, reservedPrefix); ok {
			receivers = append(receivers, rest)
			stem, _, _ := strings.Cut(rest, "/")
			routed = append(routed, stem)
		}
	}
	slices.Sort(stems)
	if diff := cmp.Diff(slices.Compact(routed), stems); diff != "" {
		h.t.Errorf("contacts with receivers and contacts with sources differ (-receivers +sources):\n%s", diff)
	}
	return receivers
}

func (h *house) sync() (changed bool, problems string) {
	h.t.Helper()
	changed, err := h.agent.Sync(context.Background())
	if err != nil {
		problems = strings.ReplaceAll(err.Error(), h.dir+"/", "")
	}
	return changed, problems
}

// expect syncs, publishes and compares.
func (h *house) expect(changed bool, problems string, receivers ...string) {
	h.t.Helper()
	gotChanged, gotProblems := h.sync()
	if gotChanged != changed || gotProblems != problems {
		h.t.Errorf("Sync: %t, %q; want %t, %q", gotChanged, gotProblems, changed, problems)
	}
	if diff := cmp.Diff(receivers, h.publish()); diff != "" {
		h.t.Errorf("receivers (-want +got):\n%s", diff)
	}
}

func (h *house) expectMetrics(routed, quarantined, unavailable int, rejected ...string) {
	h.t.Helper()
	want := fmt.Sprintf("stoker_contacts{state=\"quarantined\"} %d\nstoker_contacts{state=\"routed\"} %d\nstoker_contacts_unavailable %d\n",
		quarantined, routed, unavailable)
	for _, labels := range rejected {
		want += "stoker_contact_rejected{" + labels + "} 1\n"
	}
	metrics, err := h.opts.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	var got []string
	for _, family := range metrics {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			got = append(got, fmt.Sprintf("%s %g", name, m.Gauge.GetValue()))
		}
	}
	wantLines := strings.Split(strings.TrimSuffix(want, "\n"), "\n")
	slices.Sort(got)
	slices.Sort(wantLines)
	if diff := cmp.Diff(wantLines, got); diff != "" {
		h.t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func hookContact(owner string) string {
	return fmt.Sprintf(`
kind: operator
name: %[1]s
owner: %[1]s
contact_methods: { hook: { webhook: { url: "https://hooks.acme.example/%[1]s" } } }
notification_rules: [ { notify: [hook] } ]
`, owner)
}
