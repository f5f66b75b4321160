package routing

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/config"
	utf8matchers "github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestMerge merges what is in each testdata/merge/*.txtar and compares the outcome; -update rewrites it. A comment that
// ends with "For Alertmanager 0.34.2" says for which.
func TestMerge(t *testing.T) {
	files, err := filepath.Glob("testdata/merge/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			base, contacts := readArchive(t, archive)
			_, version, _ := strings.Cut(strings.TrimSpace(string(archive.Comment)), "For Alertmanager ")
			merge := func() ([]byte, error) { return mergeFor(version, base, contacts, testSite()) }
			got, mergeErr := merge()
			outcome := &archive.Files[len(archive.Files)-1]
			if mergeErr != nil {
				got = []byte(strings.Join(problemLines(t, "", mergeErr), "\n") + "\n")
			}
			if wantErr := outcome.Name == "error"; wantErr != (mergeErr != nil) {
				t.Fatalf("error %v", mergeErr)
			}
			if *update {
				outcome.Data = got
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(outcome.Data), string(got)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if mergeErr != nil {
				return
			}
			loadFile(t, got)

			again, err := merge()
			if err != nil || string(again) != string(got) {
				t.Errorf("the same again gives other bytes, error %v", err)
			}
			for range 10 {
				rand.Shuffle(len(contacts), func(i, j int) { contacts[i], contacts[j] = contacts[j], contacts[i] })
				shuffled, err := merge()
				if err != nil || string(shuffled) != string(got) {
					t.Errorf("another order gives other bytes, error %v", err)
				}
			}
			if _, err := Merge(got, nil, testSite()); len(contacts) > 0 && err == nil {
				t.Error("a merged configuration can be merged again")
			}
		})
	}
}

func readArchive(t *testing.T, archive *txtar.Archive) (base []byte, contacts []*Contact) {
	t.Helper()
	for _, f := range archive.Files {
		switch {
		case f.Name == "base.yml":
			base = f.Data
		case strings.HasPrefix(f.Name, "contacts/"):
			contacts = append(contacts, parse(t, f.Name, string(f.Data), testSite()))
		}
	}
	return base, contacts
}

// loadFile loads a merged configuration as the server does, unless it has fields that only a newer one knows.
func loadFile(t *testing.T, data []byte) *config.Config {
	t.Helper()
	cfg, unknown, err := load(data)
	if err == nil && unknown == nil {
		file := filepath.Join(t.TempDir(), MainFile)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err = config.LoadFile(file)
	}
	if err != nil {
		t.Fatalf("Alertmanager refuses the result: %v\n%s", err, data)
	}
	return cfg
}

// A base that Alertmanager would refuse, be crashed by, or read otherwise than it looks, is refused at the
// right place.
func TestMergeInvalidBase(t *testing.T) {
	const rest = "\nreceivers:\n- name: team\n"
	for name, test := range map[string]struct{ base, want string }{
		"empty":                {"", "1:1: is empty"},
		"only comments":        {"# nothing\n", "1:1: is empty"},
		"null":                 {"~\n", "1:1: is empty"},
		"a word":               {"team\n", "1:1: cannot unmarshal !!str `team` into config.plain"},
		"syntax":               {"route: {receiver: team\n", "2:1: did not find expected ',' or '}': a comma, a quote or a bracket may be missing here or above"},
		"tab":                  {"route:\n\treceiver: team\n", "2:2: found character that cannot start any token: indent with spaces instead of tabs, and quote a text that begins with @, ` or %"},
		"second document":      {"route: {receiver: team}" + rest + "---\nroute: {}\n", "4:1: second document, one file holds one document"},
		"no route":             {"receivers: []\n", "1:1: no routes provided"},
		"duplicate key":        {"route: {receiver: team}\nroute: {receiver: team}" + rest, "2:1: field \"route\" is already set in line 1"},
		"undefined receiver":   {"route:\n  receiver: team\n  routes:\n  - receiver: taem" + rest, `4:15: undefined receiver "taem" used in route`},
		"undefined interval":   {"route:\n  receiver: team\n  routes:\n  - active_time_intervals: [x]" + rest, `4:29: undefined time interval "x" used in route`},
		"double receiver":      {"route: {receiver: team}" + rest + "- name: team\n", `4:9: notification config name "team" is not unique`},
		"wrong type":           {"route: {receiver: team}\nglobal:\n  resolve_timeout: [5m]" + rest, "3:3: cannot unmarshal !!seq into string"},
		"continue in root":     {"route: {receiver: team, continue: true}" + rest, "1:1: cannot have continue in root route"},
		"null slack config":    {"route: {receiver: team}\nreceivers:\n- name: team\n  slack_configs:\n  -\n", "5:4: empty entry in slack_configs, fill or remove it"},
		"null opsgenie config": {"route: {receiver: team}\nreceivers:\n- name: team\n  opsgenie_configs: [null]\n", "4:22: empty entry in opsgenie_configs, fill or remove it"},
		"null route":           {"route:\n  receiver: team\n  routes: [~]" + rest, "3:12: empty entry in routes, fill or remove it"},
		"null receiver":        {"route: {receiver: team}" + rest + "-\n", "4:2: empty entry in receivers, fill or remove it"},
		"null by alias":        {"templates: &x\nroute: {receiver: team, routes: [*x]}" + rest, "2:34: empty entry in routes, fill or remove it"},
		"crasher": {"route: {receiver: team}\nglobal: {slack_api_url: https://example.org/}\nreceivers:\n- name: team\n  slack_configs:\n  - update_message: true\n",
			"1:1: crashes Alertmanager when it is loaded: runtime error: invalid memory address or nil pointer dereference"},
		"reserved receiver": {"route: {receiver: team}" + rest + "- name: contact/acme/mail\n",
			`4:9: names that begin with contact/ belong to contacts, rename "contact/acme/mail"`},
		"reserved interval": {"route: {receiver: team}" + rest + "time_intervals:\n- name: contact/acme/night\n",
			`5:9: names that begin with contact/ belong to contacts, rename "contact/acme/night"`},
		"unknown among others": {"route: {receiver: team, color: red}\nglobal: {resolve_timeout: x}" + rest,
			`2:27: not a valid duration string: "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Merge([]byte(test.base), nil, testSite())
			got := problemLines(t, MainFile, err)
			if len(got) == 0 || got[0] != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Whatever mode the server parses matchers in, it reads what was meant.
func TestMatchersReadTheSameInEveryMode(t *testing.T) {
	for _, owner := range []string{"hx1", "a b", "a,b", "a'b", "ü", "x=~y", "#1", "a|b", "1.2+3*", "$x", "(", "°C 😀"} {
		source := "kind: operator\nname: Acme\nowner: ['" + strings.ReplaceAll(owner, "'", "''") + "', other]\n" +
			"contact_methods: { hook: { webhook: { url: 'https://hooks.acme.example/' } } }\nnotification_rules: [ { notify: [hook] } ]\n"
		c := parse(t, "acme.yml", source, testSite())
		for _, m := range append(c.leaves[0].matchers, oneOf("prep", []string{owner})) {
			classic, err := labels.ParseMatchers(m.String())
			if err != nil {
				t.Fatal(err)
			}
			utf8, err := utf8matchers.Matchers(m.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range []labels.Matchers{classic, utf8} {
				if len(got) != 1 || got[0].String() != m.String() || !got[0].Matches(owner) || got[0].Matches(owner+"x") || got[0].Matches("x"+owner) {
					t.Errorf("owner %q: matcher %s is read as %s", owner, m, got)
				}
			}
		}
	}
}
