package discovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/internal/secret"
)

// A site is a network of the tests whose contacts and live release a test edits.
type site struct {
	t       *testing.T
	dir     string
	network *icontest.Network
	node    *icontest.Node
	cfg     Network
	said    []Override
	err     error
	live    fstest.MapFS
	log     bytes.Buffer
	opts    Options
	agent   *Agent
}

func newSite(t *testing.T, preps int) *site {
	s := &site{t: t, dir: t.TempDir(), network: icontest.Generate(preps, 1), cfg: testNetwork(1), live: fstest.MapFS{}}
	s.node = icontest.NewNode(s.network)
	s.opts.Overrides = func(context.Context) ([]Override, error) { return s.said, s.err }
	s.opts.Served = func(contact, exporter string) bool { return s.live[ScrapeFile(contact, exporter)] != nil }
	s.restart()
	return s
}

// restart forgets what isn't on disk.
func (s *site) restart() {
	s.log.Reset()
	s.opts.Logger = slog.New(slog.NewTextHandler(&s.log, nil))
	s.opts.Registerer = prometheus.NewRegistry()
	s.agent = testAgent(s.t, s.dir, s.cfg, s.opts, s.node)
}

// serve makes the live release have the scrape jobs of contact.exporter.
func (s *site) serve(jobs ...string) {
	clear(s.live)
	for _, j := range jobs {
		contact, exporter, _ := strings.Cut(j, ".")
		s.live[ScrapeFile(contact, exporter)] = &fstest.MapFile{}
	}
}

func (s *site) apply(want bool) {
	s.t.Helper()
	changed, err := s.agent.Apply(s.t.Context())
	if err != nil || changed != want {
		s.t.Fatalf("Apply: changed %t, %v; want %t", changed, err, want)
	}
}

// targets are those of a P-Rep as Prometheus sees them with the pattern *.json, or
// those that generated jobs see: exporter to URL.
func (s *site) targets(owner string, owned bool) map[string]string {
	s.t.Helper()
	dir := s.dir
	if owned {
		dir = filepath.Join(dir, "owners")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			s.t.Fatal(err)
		}
		var groups []*targetgroup.Group
		if err := json.Unmarshal(data, &groups); err != nil {
			s.t.Fatal(err)
		}
		if err := loads(data, len(groups)); err != nil {
			s.t.Error(err)
		}
		for _, g := range groups {
			if string(g.Labels[labelPrep]) != owner {
				continue
			}
			exporter := string(g.Labels[labelExporter])
			if found[exporter] != "" {
				s.t.Errorf("two targets for %s of %s", exporter, owner)
			}
			found[exporter] = fmt.Sprintf("%s://%s%s", g.Labels[labelScheme], g.Targets[0]["__address__"], g.Labels[labelMetricsPath])
			if contact := string(g.Labels[labelContact]); contact != "" {
				found[exporter] += " " + contact
			}
		}
	}
	return found
}

func (s *site) expect(what, owner string, targets, owned map[string]string) {
	s.t.Helper()
	if diff := cmp.Diff(targets, s.targets(owner, false)); diff != "" {
		s.t.Errorf("%s: targets (-want +got):\n%s", what, diff)
	}
	if diff := cmp.Diff(owned, s.targets(owner, true)); diff != "" {
		s.t.Errorf("%s: targets at URLs (-want +got):\n%s", what, diff)
	}
}

func (s *site) states() (states []string) {
	for _, c := range s.agent.Status()[0].Claims {
		states = append(states, c.Contact+" "+c.Exporter+" "+c.State)
	}
	return states
}

func hostOf(p icontest.PRep) string {
	host, _, _ := strings.Cut(p.Endpoint(), ":")
	return host
}

func atURL(contact, owner, exporter, url string) Override {
	return Override{Contact: contact, File: contact + ".yml", Owners: []string{owner}, Exporters: []OwnExporter{
		{Name: exporter, URL: url, Username: "stoker", Password: secret.New("pa55-w0rd")},
	}}
}

// What a contact says of its own host changes the target where it is; what it says
// elsewhere moves it to another file, once there is a job for it, and back.
func TestOverridesStory(t *testing.T) {
	s := newSite(t, 10)
	prep, other := s.network.PReps()[0], s.network.PReps()[1]
	acme, host := prep.Address(), hostOf(prep)
	plain := map[string]string{"goloop": "http://" + host + ":9000/metrics", "node": "https://" + host + ":9100/node/metrics"}
	everybodyElse := map[string]string{"goloop": "http://" + hostOf(other) + ":9000/metrics", "node": "https://" + hostOf(other) + ":9100/node/metrics"}
	none := map[string]string{}
	mustSync(t, s.agent, true)
	s.expect("at first", acme, plain, none)
	s.apply(false)

	s.said = []Override{{Contact: "acme", File: "acme.yml", Owners: []string{acme}, Exporters: []OwnExporter{
		{Name: "goloop", Port: 9010}, {Name: "node", Path: "/other", Scheme: "http"},
	}}}
	s.apply(true)
	direct := map[string]string{"goloop": "http://" + host + ":9010/metrics", "node": "http://" + host + ":9100/other"}
	s.expect("of its own host", acme, direct, none)
	s.expect("of its own host", other.Address(), everybodyElse, none)
	s.apply(false)
	mustSync(t, s.agent, false)

	// A URL waits for its scrape job: until then something has to be there.
	const url = "https://127.0.0.1:8443/acme/metrics"
	s.said = []Override{atURL("acme", acme, "node", url)}
	s.apply(true)
	s.expect("without a job", acme, plain, none)
	if diff := cmp.Diff([]string{"acme node unserved"}, s.states()); diff != "" {
		t.Error(diff)
	}
	s.serve("acme.goloop", "acme2.node", "birch.node")
	s.apply(false)
	s.serve("acme.node")
	s.apply(true)
	own := map[string]string{"node": url + " acme"}
	s.expect("with a job", acme, map[string]string{"goloop": plain["goloop"]}, own)
	s.expect("with a job", other.Address(), everybodyElse, none)
	if got := s.agent.Status()[0].Targets["node"]; got != 10 {
		t.Errorf("%d targets for node", got)
	}

	// The API is down, the P-Rep moves, the process starts again: the URL stays.
	s.restart()
	connect(s.agent, nil)
	if _, err := s.agent.Sync(t.Context()); err == nil {
		t.Error("a network that is down answers")
	}
	s.apply(false)
	s.expect("with the API down", acme, map[string]string{"goloop": plain["goloop"]}, own)
	if got := s.agent.Status()[0].Targets["node"]; got != 10 {
		t.Errorf("%d targets for node with the API down", got)
	}
	connect(s.agent, s.node)
	s.network.Move(acme, "127.77.77.77:7100")
	mustSync(t, s.agent, true)
	s.expect("moved", acme, map[string]string{"goloop": "http://127.77.77.77:9000/metrics"}, own)

	// It is contested, and free again; its job goes, and comes.
	moved := map[string]string{"goloop": "http://127.77.77.77:9000/metrics", "node": "https://127.77.77.77:9100/node/metrics"}
	s.said = append(s.said, atURL("thief", acme, "node", "https://127.0.0.1:1/thief"))
	s.serve("acme.node", "thief.node")
	s.apply(true)
	s.expect("contested", acme, moved, none)
	s.said = s.said[:1]
	s.apply(true)
	s.expect("no longer contested", acme, map[string]string{"goloop": moved["goloop"]}, own)
	s.serve()
	s.apply(true)
	s.expect("its job is gone", acme, moved, none)
	s.serve("acme.node")
	s.apply(true)

	// Nobody knows what contacts say, or what this one says.
	s.err = errors.New("no folder")
	if changed, err := s.agent.Apply(t.Context()); changed || !errors.Is(err, s.err) {
		t.Errorf("%t, %v", changed, err)
	}
	mustSync(t, s.agent, false)
	s.err, s.said = nil, []Override{{Contact: "acme", File: "acme.yml", Quarantined: true}}
	s.restart()
	s.apply(false)
	mustSync(t, s.agent, false)
	s.expect("quarantined", acme, map[string]string{"goloop": moved["goloop"]}, own)

	// The contact is gone, while the API is down.
	s.said = nil
	connect(s.agent, nil)
	s.apply(true)
	s.expect("without the contact", acme, moved, none)
	if _, err := os.Stat(filepath.Join(s.dir, "owners", "testnet.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of nobody's URLs is still there: %v", err)
	}
}

// A P-Rep all of whose exporters are behind URLs is in the targets file no more, and
// still leaves as late as any other.
func TestOwnedPRepIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		acme := s.network.PReps()[9].Address() // the last one: nobody's rank changes when it goes
		s.said = []Override{atURL("acme", acme, "node", "https://127.0.0.1:8443/node")}
		s.said[0].Exporters = append(s.said[0].Exporters, OwnExporter{Name: "goloop", URL: "http://127.0.0.1:8080/goloop"})
		s.serve("acme.node", "acme.goloop")
		mustSync(t, s.agent, true)
		owned := map[string]string{"node": "https://127.0.0.1:8443/node acme", "goloop": "http://127.0.0.1:8080/goloop acme"}
		s.expect("owned", acme, map[string]string{}, owned)

		s.network.Leave(acme)
		s.restart()
		mustSync(t, s.agent, false)
		s.expect("it has left", acme, map[string]string{}, owned)
		if held := s.agent.Status()[0].Held; len(held) != 1 || held[0].Owner != acme {
			t.Errorf("held: %v", held)
		}
		time.Sleep(time.Hour)
		mustSync(t, s.agent, true)
		s.expect("after remove_after", acme, map[string]string{}, map[string]string{})
		s.apply(false)
		if preps := s.agent.Status()[0].Preps; preps != 9 {
			t.Errorf("%d P-Reps", preps)
		}
	})
}

// All P-Reps of a network may be behind URLs; that is no empty answer.
func TestEverybodyBehindURLs(t *testing.T) {
	s := newSite(t, 5)
	mustSync(t, s.agent, true)
	for i, p := range s.network.PReps() {
		name := fmt.Sprint("c", i)
		o := atURL(name, p.Address(), "node", fmt.Sprintf("https://127.0.0.1:8443/%d", i))
		o.Exporters = append(o.Exporters, OwnExporter{Name: "goloop", URL: "https://127.0.0.1:8443/x"})
		s.said = append(s.said, o)
		for _, e := range []string{"node", "goloop"} {
			s.live[ScrapeFile(name, e)] = &fstest.MapFile{}
		}
	}
	mustSync(t, s.agent, true)
	s.restart()
	mustSync(t, s.agent, false)
	if st := s.agent.Status()[0]; st.Preps != 5 || st.Targets["node"] != 5 {
		t.Errorf("%+v", st)
	}
	if data, known := s.agent.TargetsFile("testnet"); data != nil || !known {
		t.Errorf("an empty list is served: %s", data)
	}
	s.said = nil
	s.apply(true)
	if err := loads([]byte(readTargets(t, s.dir)), 10); err != nil {
		t.Error(err)
	}
	if data, _ := s.agent.TargetsFile("testnet"); string(data) != readTargets(t, s.dir) {
		t.Errorf("something else is served: %s", data)
	}
}

// Without a folder for targets, only what is of the P-Rep's own host can be followed:
// no generated job could read the rest.
func TestOverridesInMemory(t *testing.T) {
	s := newSite(t, 3)
	s.dir = ""
	s.restart()
	acme := s.network.PReps()[0].Address()
	s.said = []Override{atURL("acme", acme, "node", "https://127.0.0.1:8443/node")}
	s.said[0].Exporters = append(s.said[0].Exporters, OwnExporter{Name: "goloop", Port: 9010})
	s.serve("acme.node")
	mustSync(t, s.agent, true)
	s.apply(false)
	if diff := cmp.Diff([]string{"acme goloop used", "acme node unserved"}, s.states()); diff != "" {
		t.Error(diff)
	}
	data, _ := s.agent.TargetsFile("testnet")
	if err := loads(data, 6); err != nil || !strings.Contains(string(data), hostOf(s.network.PReps()[0])+":9010") {
		t.Errorf("%v, %s", err, data)
	}
}

// The host of a URL is looked at like a P-Rep's, time and again.
func TestHostsOfURLs(t *testing.T) {
	s := newSite(t, 5)
	s.cfg.AllowPrivate = false
	all := addresses(s.network)
	for i, owner := range all {
		s.network.Move(owner, fmt.Sprintf("8.8.4.%d:7100", i+1))
	}
	names := resolver{"good.acme.com": {"8.8.8.8", "2a00:1450::1"}, "mixed.acme.com": {"8.8.8.8", "10.0.0.1"}, "ours.acme.com": {"8.8.8.9"}}
	s.opts.Resolver, s.opts.Own = names, []string{"8.8.8.9"}
	urls := map[string]string{ // URL to what becomes of it
		"https://good.acme.com/a":       ClaimUsed,
		"https://GOOD.acme.com:8443/a":  ClaimUsed,
		"https://8.8.8.8/a":             ClaimUsed,
		"https://mixed.acme.com/a":      ReasonPrivate,
		"https://169.254.169.254/a":     ReasonPrivate,
		"https://127.0.0.1/a":           ReasonPrivate,
		"https://a.svc/a":               ReasonPrivate,
		"https://new.acme.com/a":        ReasonUnresolved,
		"https://8.8.8.9/a":             ReasonDenied,
		"https://ours.acme.com/a":       ReasonDenied,
		"https://[2a00:1450::1]/a":      ReasonMalformed,
		"https://0x7f.1/a":              ReasonMalformed,
		"https://u:p@good.acme.com/a":   ReasonMalformed,
		"https://good.acme.com/a?b":     ReasonMalformed,
		"https://good.acme.com/a#b":     ReasonMalformed,
		"https://good.acme.com":         ReasonMalformed,
		"https://good.acme.com:0/a":     ReasonMalformed,
		"https://good.acme.com/a\x7f":   ReasonMalformed,
		"https://good.acme.com/a%0Ab":   ReasonMalformed,
		"ftp://good.acme.com/a":         ReasonMalformed,
		"https://\u212a.acme.com/a":     ReasonMalformed,
		"https://good.acme.com\x00.b/a": ReasonMalformed,
		"https:good.acme.com":           ReasonMalformed,
	}
	for url, want := range urls {
		s.said = []Override{atURL("acme", all[0], "node", url)}
		s.serve("acme.node")
		s.restart()
		if _, err := s.agent.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"acme node " + want}, s.states()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", url, diff)
		}
		if used := s.targets(all[0], true)["node"] != ""; used != (want == ClaimUsed) || used == (s.targets(all[0], false)["node"] != "") {
			t.Errorf("%q: %v and %v", url, s.targets(all[0], false), s.targets(all[0], true))
		}
		if want != ClaimUsed && !strings.Contains(s.log.String(), want) {
			t.Errorf("%q: the log doesn't say that it is %s:\n%s", url, want, s.log.String())
		}
	}

	// A name that was good and isn't found stays, to be alerted about; one that leads
	// elsewhere goes.
	s.said = []Override{atURL("acme", all[0], "node", "https://good.acme.com/a")}
	s.restart()
	mustSync(t, s.agent, true)
	delete(names, "good.acme.com")
	mustSync(t, s.agent, false)
	s.restart()
	mustSync(t, s.agent, false)
	if diff := cmp.Diff([]string{"acme node used"}, s.states()); diff != "" {
		t.Error(diff)
	}
	names["good.acme.com"] = []string{"127.0.0.1"}
	s.apply(true)
	if diff := cmp.Diff([]string{"acme node private"}, s.states()); diff != "" {
		t.Error(diff)
	}
}

// No password is in anything that discovery writes or tells.
func TestPasswordsStayOut(t *testing.T) {
	s := newSite(t, 3)
	acme := addresses(s.network)[0]
	s.said = []Override{atURL("acme", acme, "node", "https://127.0.0.1:8443/node")}
	s.serve("acme.node")
	mustSync(t, s.agent, true)
	rendered, err := s.agent.Render(t.Context())
	if err != nil || len(rendered["owners/testnet"]) == 0 {
		t.Fatalf("%v, %v", rendered, err)
	}
	printed := fmt.Sprintf("%s %+v %v %#v %s", rendered, s.agent.Status(), s.said, s.said, s.log.String())
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			data, err := os.ReadFile(path)
			printed += string(data)
			return err
		}
		return err
	})
	asJSON, err2 := json.Marshal(s.said)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if printed += string(asJSON); strings.Contains(printed, "pa55-w0rd") {
		t.Errorf("the password is in\n%s", printed)
	}
}
