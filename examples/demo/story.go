package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

//go:embed files
var files embed.FS

const (
	nodes   = 8 // and one that joins later
	patient = 2 * time.Minute
)

// story is everything that takes part.
type story struct {
	*stage
	dir     string // what a team has in git, and below live/ what stoker makes of it
	network *icontest.Network
	inbox   *inboxtest.Inbox
	nodes   []*node
	port    int // of the exporters

	prometheus, alertmanager, stoker *servertest.Server
}

// place is what the files need to know about this machine.
type place struct {
	API, Prometheus, Alertmanager, AlertmanagerAddress, SMTP, Targets string
	Port                                                              int
}

// prepare starts everything, in the order of a real installation.
func prepare(stage *stage, program string) *story {
	program, err := filepath.Abs(program)
	if err != nil {
		stage.fail(err)
	}
	if _, err := os.Stat(program); err != nil {
		stage.fail(fmt.Errorf("%w: run make demo, which builds it", err))
	}
	s := &story{stage: stage, dir: stage.TempDir()}
	api := s.startNetwork()
	s.inbox = inboxtest.New(stage)

	ports := s.freePorts(2)
	s.write(place{
		API:                 api,
		Prometheus:          "http://" + ports[0],
		Alertmanager:        "http://" + ports[1],
		AlertmanagerAddress: ports[1],
		SMTP:                s.inbox.SMTPAddress(),
		Targets:             filepath.Join(s.dir, "live/targets"),
		Port:                s.port,
	})
	for i, name := range []string{"birch", "cedar", "dogwood"} {
		s.contact(name, s.network.PReps()[i+1])
	}

	config := filepath.Join(s.dir, "stoker.yml")
	s.say("stoker sync --publish-only: everything is checked, the first releases are put in place")
	sync := exec.CommandContext(stage.ctx, program, "sync", "--publish-only", "--config.file="+config)
	if output, err := sync.CombinedOutput(); err != nil {
		s.fail(fmt.Errorf("stoker sync --publish-only: %w\n%s", err, output))
	}

	s.say("Prometheus, Alertmanager and stoker start")
	s.prometheus = servertest.Prometheus(stage, servertest.NoWait(),
		servertest.ConfigFile(filepath.Join(s.dir, "live/prometheus/live/prometheus.yml")),
		servertest.Flags("--web.listen-address="+ports[0]))
	s.alertmanager = servertest.Alertmanager(stage, servertest.NoWait(),
		servertest.ConfigFile(filepath.Join(s.dir, "live/alertmanager/live/alertmanager.yml")),
		servertest.Flags("--web.listen-address="+ports[1]))
	s.stoker = servertest.Stoker(stage, program, servertest.NoWait(), servertest.ConfigFile(config))
	for name, server := range map[string]*servertest.Server{
		"Prometheus": s.prometheus, "Alertmanager": s.alertmanager, "stoker": s.stoker,
	} {
		s.until(name+" is ready", patient, server.Ready)
	}
	s.introduce(api)
	return s
}

func (s *story) introduce(api string) {
	s.Logf(`
  inbox         %s   (open it in a browser)
  stoker        %s   (a status page, and /metrics)
  Prometheus    %s/api/v1/targets
  Alertmanager  %s/api/v2/alerts
  network       %s
  files         %s

  Prometheus and Alertmanager are real, but built from their Go modules, which lack the web pages:
  these are addresses of their APIs.
`, s.inbox.URL(), s.stoker.URL(), s.prometheus.URL(), s.alertmanager.URL(), api, s.dir)
}

// startNetwork starts the simulated chain and its nodes, and returns the URL of its API.
func (s *story) startNetwork() string {
	s.say("a simulated ICON network of %d nodes starts", nodes)
	s.network = icontest.Generate(nodes, 1, icontest.WithHosts(host))
	s.network.Rename(s.network.PReps()[0].Address(), "Acme Validators")
	api := icontest.NewServer(s.network)
	s.Cleanup(api.Close)

	var err error
	if s.port, err = freePort(nodes + 1); err != nil {
		s.fail(err)
	}
	for i := range nodes + 1 {
		n := &node{address: net.JoinHostPort(host(i), strconv.Itoa(s.port))}
		s.start(n)
		s.nodes = append(s.nodes, n)
	}
	return api.URL
}

func (s *story) start(n *node) {
	if err := n.up(); err != nil {
		s.fail(err)
	}
	s.Cleanup(func() { _ = n.down() }) // it may be down already
}

// write fills in the files and puts them where stoker.yml says.
func (s *story) write(at place) {
	for name, path := range map[string]string{
		"stoker.yml":       "stoker.yml",
		"silences.yaml":    "silences.yaml",
		"prometheus.yml":   "prometheus/prometheus.yml",
		"alertmanager.yml": "alertmanager/alertmanager.yml",
	} {
		s.fill(name, path, at)
	}
	rules, err := files.ReadFile("files/nodes.rules.yml") // has templates of its own
	if err != nil {
		s.fail(err)
	}
	s.put("prometheus/rules/nodes.yml", rules)
	if err := os.Mkdir(filepath.Join(s.dir, "live"), 0o755); err != nil {
		s.fail(err)
	}
}

// contact commits an operator's contact file.
func (s *story) contact(stem string, prep icontest.PRep) {
	s.fill("contact.yml", "contacts/"+stem+".yml", struct{ Name, Owner, Mail string }{
		strconv.Quote(prep.Name()), prep.Address(), mail(stem),
	})
}

func mail(stem string) string { return "noc@" + stem + ".example" }

func (s *story) fill(name, path string, data any) {
	var content bytes.Buffer
	tmpl, err := template.ParseFS(files, "files/"+name)
	if err == nil {
		err = tmpl.Execute(&content, data)
	}
	if err != nil {
		s.fail(err)
	}
	s.put(path, content.Bytes())
}

func (s *story) put(path string, content []byte) {
	path = filepath.Join(s.dir, path)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		s.fail(err)
	}
}

// tell plays the story and checks that it goes as it should.
func (s *story) tell(calm time.Duration) {
	s.until("all nodes are scraped", patient, func() error { return s.query(fmt.Sprintf(`count(up{job="preps"} == 1) == %d`, nodes)) })
	s.say("Prometheus scrapes all %d nodes, which nobody had to list", nodes)

	newcomer := s.network.NewPRep("Juniper Works", net.JoinHostPort(host(nodes), "7100"))
	s.network.Join(newcomer)
	s.say("a new node registers on the chain: Juniper Works (simulated)")
	s.until("the new node is scraped", patient, func() error { return s.query(fmt.Sprintf(`up{prep=%q} == 1`, newcomer.Address())) })
	s.say("Prometheus scrapes it")

	acme := s.network.PReps()[0]
	s.contact("acme", acme)
	s.say("a pull request of %s is merged: contacts/acme.yml", acme.Name())
	s.until("Alertmanager knows acme", patient, func() error { return s.contains(s.alertmanager, "/api/v2/receivers", "acme") })
	s.say("Alertmanager runs with it: checked, published, reloaded and proved")

	if left := calm - time.Since(s.started); left > 0 {
		s.say("all is calm; in %v a node will go down", left.Round(time.Second))
		select {
		case <-s.ctx.Done():
			s.fail(s.ctx.Err())
		case <-time.After(left):
		}
	}
	if len(s.inbox.Messages()) > 0 {
		s.fail(fmt.Errorf("somebody was told before anything happened: %s", s.inbox.Messages()[0]))
	}

	if err := s.nodes[0].down(); err != nil {
		s.fail(err)
	}
	s.say("the node of %s goes down (simulated)", acme.Name())
	s.until("the alert fires", patient, func() error {
		return s.query(fmt.Sprintf(`ALERTS{alertname="NodeDown", alertstate="firing", prep=%q}`, acme.Address()))
	})
	s.say("Prometheus: alert NodeDown fires")
	s.arrives("[critical] NodeDown")

	if err := s.nodes[0].up(); err != nil {
		s.fail(err)
	}
	s.say("the node of %s is back (simulated)", acme.Name())
	s.arrives("[RESOLVED] NodeDown")

	others := 0
	for _, m := range s.inbox.Messages() {
		if m.To != mail("acme") {
			others++
			s.say("inbox: %s", m)
		}
	}
	if others > 0 {
		s.fail(fmt.Errorf("%d messages went to somebody else", others))
	}
	s.say("nobody else was told: %d messages in the inbox, all of them for %s", len(s.inbox.Messages()), mail("acme"))
}

// arrives waits for the mail to acme that says so.
func (s *story) arrives(state string) {
	s.until("the mail arrives", patient, func() error {
		for _, m := range s.inbox.Messages() {
			if m.To == mail("acme") && strings.Contains(m.Subject, state) {
				s.say("inbox: mail to %s: %s", m.To, m.Subject)
				return nil
			}
		}
		return errors.New("not in the inbox")
	})
}

// query is nil if the PromQL expression has a result.
func (s *story) query(expr string) error {
	body, err := s.prometheus.Get("/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return err
	}
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if len(answer.Data.Result) == 0 {
		return fmt.Errorf("not true in Prometheus: %s", expr)
	}
	return nil
}

func (s *story) contains(server *servertest.Server, path, text string) error {
	body, err := server.Get(path)
	if err == nil && !strings.Contains(string(body), text) {
		err = fmt.Errorf("no %s in %s", text, body)
	}
	return err
}

// freePorts finds loopback addresses that nothing listens on.
func (s *story) freePorts(n int) []string {
	var addresses []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.fail(err)
		}
		defer listener.Close() // held until all are found
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}
