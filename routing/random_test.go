package routing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/dispatch"
)

// randomBase writes a base as a team might: a tree of any shape, with every setting that a route can have, matchers in
// all three spellings, in block and in flow style.
func randomBase(r *rand.Rand) string {
	var b strings.Builder
	receivers := []string{"team", "db", "web", "on", "0x1F", "null-device"}
	names := []string{"severity", "service", "team", "prep", "network", "audience", "alertname"}
	values := []string{"critical", "warning", "info", "db", "web", "hx0", "hx1", "mainnet", "public", "x", ""}
	pick := func(words []string) string { return words[r.IntN(len(words))] }
	maybe := func(of int) bool { return r.IntN(of) == 0 }
	settings := func(indent string, root bool) {
		if maybe(3) {
			b.WriteString(indent + "group_by: " + pick([]string{"['...']", "[alertname]", "[prep, network]", "[]"}) + "\n")
		}
		if maybe(4) {
			b.WriteString(indent + "group_wait: " + pick([]string{"0s", "30s", "1m30s"}) + "\n")
		}
		if maybe(4) {
			b.WriteString(indent + "group_interval: " + pick([]string{"5m", "1h"}) + "\n")
		}
		if maybe(4) {
			b.WriteString(indent + "repeat_interval: " + pick([]string{"4h", "1d"}) + "\n")
		}
		if maybe(6) {
			b.WriteString(indent + "labels: { owner: " + pick([]string{"'{{ .CommonLabels.prep }}'", "team"}) + " }\n")
		}
		if root {
			return
		}
		if maybe(4) {
			b.WriteString(indent + "mute_time_intervals: " + pick([]string{"[nights]", "[nights, weekends]"}) + "\n")
		}
		if maybe(5) {
			b.WriteString(indent + "active_time_intervals: [weekends]\n")
		}
		if maybe(2) {
			b.WriteString(indent + "continue: " + pick([]string{"true", "true", "false"}) + "\n")
		}
	}
	var routes func(indent string, depth int)
	routes = func(indent string, depth int) {
		if depth == 0 || depth < 4 && maybe(3) {
			return
		}
		b.WriteString(indent + "routes:\n")
		for range 1 + r.IntN(4) {
			b.WriteString(indent + "- receiver: " + pick(receivers) + pick([]string{"", " # theirs"}) + "\n")
			in := indent + "  "
			kinds := r.Perm(3) // each key once
			for range r.IntN(3) {
				name, value, kind := pick(names), pick(values), kinds[0]
				kinds = kinds[1:]
				if kind == 2 {
					kind += r.IntN(2)
				}
				switch kind {
				case 0:
					fmt.Fprintf(&b, "%smatch: { %s: %q }\n", in, name, value)
				case 1:
					fmt.Fprintf(&b, "%smatch_re: { %s: '%s|%s.*' }\n", in, name, value, pick(values))
				case 2:
					fmt.Fprintf(&b, "%smatchers: [ '%s%s\"%s\"' ]\n", in, name, pick([]string{"=", "!=", "=~", "!~"}), value)
				default:
					fmt.Fprintf(&b, "%smatchers:\n%s- '{%s=~\"%s|%s\", %s!=\"y\"}'\n", in, in, name, value, pick(values), pick(names))
				}
			}
			settings(in, false)
			routes(in, depth-1)
		}
	}
	b.WriteString("# A base.\nglobal: { smtp_smarthost: 'localhost:25', smtp_from: a@example.org }\nroute:\n  receiver: team\n")
	settings("  ", true)
	routes("  ", 4)
	b.WriteString("time_intervals:\n- { name: nights, time_intervals: [ { times: [ { start_time: '00:00', end_time: '06:00' } ] } ] }\n")
	b.WriteString("- { name: weekends, time_intervals: [ { weekdays: [ saturday, sunday ], location: Europe/Berlin } ] }\nreceivers:\n")
	for _, name := range receivers {
		b.WriteString("- name: " + name + "\n")
	}
	return b.String()
}

// Whatever tree the base has, contacts change nothing of what it does, in whatever order they come; and no leaf of theirs
// is one that Alertmanager would take for another.
func TestAnyBaseIsUntouched(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	usable, deepest := 0, 0
	for range 75 {
		source := randomBase(r)
		alone, unknown, err := load([]byte(source))
		if err != nil {
			// Such as a receiver whose name YAML takes for something else.
			if _, err := Merge([]byte(source), nil, testSite()); err == nil {
				t.Fatalf("Alertmanager refuses it, and the merge doesn't\n%s", source)
			}
			continue
		}
		if unknown != nil {
			t.Fatalf("%v in\n%s", unknown, source)
		}
		usable++
		deepest = max(deepest, strings.Count(source, "routes:"))
		before := dispatch.NewRoute(alone.Route, nil)
		contacts := randomContacts(t, r, r.IntN(6))
		merged, err := Merge([]byte(source), contacts, testSite())
		if err != nil {
			t.Fatalf("%v\n%s", err, source)
		}
		cfg := loadFile(t, merged)
		if !reflect.DeepEqual(alone.Global, cfg.Global) || !beginsWith(cfg.Receivers, alone.Receivers) || !beginsWith(cfg.TimeIntervals, alone.TimeIntervals) {
			t.Fatalf("something of the base besides its routes changed:\n%s\nto\n%s", source, merged)
		}
		after := dispatch.NewRoute(cfg.Route, nil)
		names, values := append(labelNames(before), severityLabel, networkLabel, audienceLabel, DefaultIdentityLabel), labelValues(source)
		for range 300 {
			set := randomLabels(r, names, values)
			if d := cmp.Diff(decisions(before, set, false), decisions(after, set, false)); d != "" {
				t.Fatalf("contacts change what the base does with %s (-alone +merged):\n%s\n%s", set, d, source)
			}
			told := 0
			for _, leaf := range after.Routes[1:] {
				told += len(leaf.Match(set))
			}
			if all := decisions(after, set, true); len(all) != told {
				t.Fatalf("%d leaves match %s, but %d in the tree:\n%s", told, set, len(all), merged)
			}
		}
		r.Shuffle(len(contacts), func(i, j int) { contacts[i], contacts[j] = contacts[j], contacts[i] })
		if again, err := Merge([]byte(source), contacts, testSite()); err != nil || string(again) != string(merged) {
			t.Fatalf("another order gives other bytes, error %v", err)
		}
		leaves := map[string]string{}
		for _, route := range after.Routes[1:] {
			key := leafKey(route)
			if leaves[key] != "" {
				t.Fatalf("equal leaves of %s and %s:\n%s", leaves[key], route.RouteOpts.Receiver, merged)
			}
			leaves[key] = route.RouteOpts.Receiver
		}
	}
	if usable < 60 || deepest < 12 {
		t.Errorf("only %d bases, of at most %d lists of routes", usable, deepest)
	}
}

// However often it is generated, from whatever is live by then, the same files give the same bytes.
func TestGenerateAgainChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	for range 10 {
		h := newHouse(t)
		for i := range 1 + r.IntN(8) {
			h.write(fmt.Sprintf("contacts/c%d.yml", i), randomOperator(r))
			h.write(fmt.Sprintf("contacts/eu/s%d.yml", i), randomSubscriber(r))
		}
		var before map[string][]byte
		for pass := range 4 {
			files, err := h.agent.Generate(context.Background(), Source{Base: h.base, Live: h.live, Version: h.version})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(before, files); pass > 0 && d != "" {
				t.Fatalf("pass %d changes something:\n%s", pass, d)
			}
			before = files
			h.publish()
			h.restart()
		}
	}
}

// secretSpellings are ways to write what is not a secret of one's own.
var secretSpellings = []string{
	"other.hook", "../other.hook", "./other.hook", "x/../../other.hook", "/run/secrets/stoker/other.hook", "/etc/passwd", "..", ".", "", " ", "site",
	".hook", "hook.", "hook/..", `..\other.hook`, `hook\..\other.hook`, "HOOK", "Hook", "hook ", " hook", "hook\x00", "hook\n", "hook\t",
	"%2e%2e%2fother.hook", "..%2fother.hook", "other%2ehook", "ｈook", "hооk", "other․hook", "other。hook", "other·hook", "..／other.hook", "‥/other.hook",
	"~", "~/x", "$HOME", "${HOME}", "`id`", "*", "?", "hook*", "file:///etc/passwd", "hook#x", "hook:x", "a.b.c", "other.hook\u200b", "\u202ekooh.rehto",
}

// asked parses a contact that names a secret wherever one can stand, and returns the files that it would have read.
func asked(t *testing.T, stem, name string) (files []string, err error) {
	t.Helper()
	site := phoneSite(twilioConfig())
	site.ReadSecret = func(file string) (string, error) {
		files = append(files, file)
		return "", fs.ErrNotExist
	}
	quoted := fmt.Sprintf("%q", strings.ToValidUTF8(name, "?"))
	source := "kind: operator\nname: Acme\nowner: hx0b047c751658f7ce1b2595da34d57a0e7dad357d\ncontact_methods:\n"
	var names []string
	methods := contactSchema()["properties"].(schema)["contact_methods"].(schema)["additionalProperties"].(schema)["properties"].(schema)
	for method, s := range methods {
		var fields []string
		for field, s := range s.(schema)["properties"].(schema) {
			if strings.Contains(fmt.Sprint(s), "#/$defs/value") {
				fields = append(fields, field+": { secret: "+quoted+" }")
			}
		}
		source += fmt.Sprintf("  %s: { %s: { %s } }\n", method, method, strings.Join(fields, ", "))
		names = append(names, method)
	}
	source += "notification_rules: [ { notify: [" + strings.Join(names, ", ") + "] } ]\n" +
		`exporters: [ { name: node, url: "https://acme.example/m", basic_auth: { username: x, password: { secret: ` + quoted + ` } } } ]` + "\n"
	c, err := ParseContact(stem+".yml", []byte(source), site)
	if err == nil {
		c.readPasswords(slices.Clone(c.Exporters), site)
	}
	// Its exporters count while its other secrets are missing.
	structure := site
	structure.ReadSecret = nil
	if c, err := ParseContact(stem+".yml", []byte(source), structure); err == nil {
		c.readPasswords(slices.Clone(c.Exporters), site)
	}
	return files, err
}

var ownSecret = regexp.MustCompile(`^acme\.[a-z0-9_-]+$`)

// No spelling reaches a secret of another contact or of the site, wherever a secret can be named.
func TestSecretsOfOthersAreOutOfReach(t *testing.T) {
	for _, name := range secretSpellings {
		files, err := asked(t, "acme", name)
		if name == "site" {
			for _, file := range files {
				if file != "acme.site" {
					t.Errorf("%q reads %q", name, file)
				}
			}
			continue
		}
		if len(files) > 0 || err == nil {
			t.Errorf("%q reads %q, error %v", name, files, err)
		}
	}
	if files, _ := asked(t, "acme", "hook"); len(files) < 12 || !ownSecret.MatchString(files[0]) {
		t.Errorf("its own secret is read as %q", files)
	}

	// Nor does a name of a file: whose secrets those are is told by the part before the dot.
	for _, stem := range []string{"other", "acme-eu", "acm", "a"} {
		for _, name := range []string{"hook", "eu", "acme-hook", "e", "me-hook"} {
			files, _ := asked(t, stem, name)
			for _, file := range files {
				if owner, _, _ := strings.Cut(file, "."); owner != stem || strings.Count(file, ".") != 1 {
					t.Errorf("%s reads %q", stem, file)
				}
			}
		}
	}

	// With real files: what a contact gets is what lies under its own name.
	h := newHouse(t)
	for _, name := range []string{"acme.hook", "other.hook", "site", "hook"} {
		h.write("secrets/"+name, "https://hooks.acme.example/"+name)
	}
	site := testSite()
	site.SecretsDir = h.opts.Contacts.SecretsDir
	site = h.opts.withSecrets(site)
	for _, spelling := range append(slices.Clone(secretSpellings), "hook") {
		source := strings.ReplaceAll(hookContact("hx1"), `"https://hooks.acme.example/hx1"`, fmt.Sprintf("{ secret: %q }", spelling))
		c, err := ParseContact("acme.yml", []byte(source), site)
		if (err == nil) != (spelling == "hook") {
			t.Errorf("%q: %v", spelling, err)
		}
		if err == nil && c.methods[0].method.(webhook).url.text("") != "https://hooks.acme.example/acme.hook" {
			t.Errorf("%q reads another secret", spelling)
		}
	}
	if _, err := os.Stat(filepath.Join(h.dir, "secrets/other.hook")); errors.Is(err, fs.ErrNotExist) {
		t.Error("there was nothing to reach")
	}
}

// FuzzSecretName: whatever a contact calls a secret, it is one of its own that is read.
func FuzzSecretName(f *testing.F) {
	for _, name := range append(slices.Clone(secretSpellings), "hook", "a_b-c", strings.Repeat("a", 5000)) {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		files, _ := asked(t, "acme", name)
		for _, file := range files {
			if !ownSecret.MatchString(file) || file != "acme."+name {
				t.Errorf("%q reads %q", name, file)
			}
		}
	})
}
