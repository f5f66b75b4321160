package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
	"github.com/stoker-project/stoker/routing/twiliotest"
)

// patience is how long a script waits for what it expects to happen.
const patience = time.Minute

// world is what a script has started.
type world struct {
	servers map[string]*servertest.Server
	network *icontest.Network
	api     *httptest.Server
	node    *icontest.Node
	inbox   *inboxtest.Inbox
	twilio  *twiliotest.Twilio
	// sources are the folders and links that are swapped, by path.
	sources map[string]publisher

	cleanups []func()
}

type worldKey struct{}

// publisher swaps whole versions of files.
type publisher interface{ Publish(files map[string]string) }

func setup(env *testscript.Env) error {
	w := &world{servers: map[string]*servertest.Server{}, sources: map[string]publisher{}}
	env.Values[worldKey{}] = w
	env.Values[stillnessKey{}] = &stillness{proxies: map[string]*servertest.Proxy{}, counted: map[string]int{}}
	env.Defer(func() {
		for i := len(w.cleanups) - 1; i >= 0; i-- {
			w.cleanups[i]()
		}
	})
	port, err := freePort()
	if err != nil {
		return err
	}
	env.Setenv("WEB", "127.0.0.1:"+port)
	if port, err = freePort(); err != nil {
		return err
	}
	env.Setenv("BRIDGE", "127.0.0.1:"+port)
	// Until a script starts them, there are no servers.
	env.Setenv("PROMETHEUS", "http://127.0.0.1:1")
	env.Setenv("ALERTMANAGER", "http://127.0.0.1:1")
	now := time.Now().UTC()
	env.Setenv("NOW", now.Format(time.RFC3339))
	env.Setenv("LATER", now.Add(time.Hour).Format(time.RFC3339))
	// An hour of the day that is neither now nor soon, and a time after that.
	env.Setenv("HOUR", strconv.Itoa(now.Add(6*time.Hour).Hour()))
	env.Setenv("NEXT_MONTH", now.AddDate(0, 1, 0).Format(time.RFC3339))
	return nil
}

// commands are the words that scripts have besides testscript's own.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"expand":     cmdExpand,
		"server":     cmdServer,
		"network":    cmdNetwork,
		"inbox":      cmdInbox,
		"twilio":     cmdTwilio,
		"publish":    cmdPublish,
		"until":      cmdUntil,
		"post-alert": cmdPostAlert,
		"proxy":      cmdProxy,
		"look":       cmdLook,
		"still":      cmdStill,
		"seal":       cmdSeal,
		"zone":       cmdZone,
		"amtool":     cmdAmtool,
	}
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// expand FILE.in… writes FILE with the script's variables in place of ${NAME}.
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		expanded := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(strings.TrimSuffix(ts.MkAbs(name), ".in"), []byte(expanded), 0o644))
	}
}

// scriptTB lets packages for tests run in a script.
type scriptTB struct {
	ts *testscript.TestScript
	w  *world
}

func (tb scriptTB) Helper()                           {}
func (tb scriptTB) Cleanup(fn func())                 { tb.w.cleanups = append(tb.w.cleanups, fn) }
func (tb scriptTB) Errorf(format string, args ...any) { tb.ts.Logf("ERROR: "+format, args...) }
func (tb scriptTB) Failed() bool                      { return false }
func (tb scriptTB) Fatalf(format string, args ...any) { tb.ts.Fatalf(format, args...) }
func (tb scriptTB) Logf(format string, args ...any)   { tb.ts.Logf(format, args...) }
func (tb scriptTB) TempDir() string {
	dir, err := os.MkdirTemp(tb.ts.Getenv("WORK"), "server-")
	tb.ts.Check(err)
	return dir
}

// server start NAME FILE [FLAG…] starts a real server, NAME being that of a program in .servers, on a main file,
// and sets $PROMETHEUS or $ALERTMANAGER to its URL; server stop|kill|restart NAME. It knows the time zones in the folder
// zoneinfo besides those of this machine.
func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: server start|stop|kill|restart NAME [FILE]")
	}
	w, name := worldOf(ts), args[1]
	if args[0] == "start" {
		options := []servertest.Option{
			servertest.Binary(name), servertest.ConfigFile(ts.MkAbs(args[2])), servertest.Flags(args[3:]...),
			servertest.Env("ZONEINFO=" + ts.MkAbs("zoneinfo")),
		}
		if strings.HasPrefix(name, "prometheus") {
			w.servers[name] = servertest.Prometheus(scriptTB{ts, w}, options...)
			ts.Setenv("PROMETHEUS", w.servers[name].URL())
		} else {
			w.servers[name] = servertest.Alertmanager(scriptTB{ts, w}, options...)
			ts.Setenv("ALERTMANAGER", w.servers[name].URL())
		}
		return
	}
	s, ok := w.servers[name]
	if !ok {
		ts.Fatalf("no server %s has been started", name)
	}
	switch args[0] {
	case "stop":
		s.Stop()
	case "kill":
		s.Kill()
	case "restart":
		s.Restart()
	default:
		ts.Fatalf("server %s?", args[0])
	}
}

// network start N serves a generated network of N P-Reps and sets $API. Then: network join NAME ENDPOINT, leave
// NAME, drop N (the last ones by rank), rename NAME NEW, move NAME ENDPOINT, owner NAME VARIABLE, fail KIND (as in
// icontest.Faults), mend, stop (the API, which then refuses connections), restart.
func cmdNetwork(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	address := func(name string) string {
		for _, p := range w.network.PReps() {
			if p["name"] == name {
				return p.Address()
			}
		}
		ts.Fatalf("no P-Rep is named %q", name)
		return ""
	}
	switch args[0] {
	case "start":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		w.network = icontest.Generate(n, 1)
		w.node = icontest.NewNode(w.network)
		w.api = httptest.NewServer(w.node)
		w.cleanups = append(w.cleanups, w.api.Close)
		ts.Setenv("API", w.api.URL+"/api/v3")
	case "join":
		w.network.Join(w.network.NewPRep(args[1], args[2]))
	case "leave":
		w.network.Leave(address(args[1]))
	case "drop":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		preps := w.network.PReps()
		var last []string
		for _, p := range preps[len(preps)-n:] {
			last = append(last, p.Address())
		}
		w.network.Leave(last...)
	case "rename":
		w.network.Rename(address(args[1]), args[2])
	case "move":
		w.network.Move(address(args[1]), args[2])
	case "owner":
		ts.Setenv(args[2], address(args[1]))
	case "fail":
		for _, f := range icontest.Faults() {
			if f.Name == args[1] {
				w.node.Misbehave(f)
				return
			}
		}
		ts.Fatalf("no fault is named %q", args[1])
	case "mend":
		w.node.Behave()
	case "stop":
		w.api.Close()
	case "restart":
		l, err := net.Listen("tcp", w.api.Listener.Addr().String())
		ts.Check(err)
		w.api = &httptest.Server{Listener: l, Config: &http.Server{Handler: w.node}}
		w.api.Start()
		w.cleanups = append(w.cleanups, w.api.Close)
	default:
		ts.Fatalf("network %s?", args[0])
	}
}

// inbox start sets $INBOX, the URL for webhooks, and $SMTP; inbox TO TEXT… waits for a message to TO with all
// the texts in it, ! inbox TO TEXT… requires that none has come.
func cmdInbox(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if args[0] == "start" {
		w.inbox = inboxtest.New(scriptTB{ts, w})
		ts.Setenv("INBOX", w.inbox.URL()+"/webhook")
		ts.Setenv("SMTP", w.inbox.SMTPAddress())
		return
	}
	match := func(m inboxtest.Message) bool {
		if m.To != args[0] {
			return false
		}
		for _, text := range args[1:] {
			if !strings.Contains(m.Subject+"\n"+m.Text, text) {
				return false
			}
		}
		return true
	}
	if neg {
		for _, m := range w.inbox.Messages() {
			if match(m) {
				ts.Fatalf("the inbox holds %v", m)
			}
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := w.inbox.Wait(ctx, match)
	ts.Check(err)
	ts.Logf("%v", m)
}

// publish volume DIR FROM makes what is in the folder FROM the next version of a ConfigMap volume, as the kubelet does;
// publish worktree LINK FROM makes it the next commit behind a link, as git-sync does. The version before is gone then.
func cmdPublish(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: publish volume|worktree PATH FROM")
	}
	w, to, from := worldOf(ts), ts.MkAbs(args[1]), ts.MkAbs(args[2])
	files := map[string]string{}
	ts.Check(filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(from, p)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	}))
	if w.sources[to] == nil && args[0] == "volume" {
		w.sources[to] = servertest.NewVolume(scriptTB{ts, w}, to)
	} else if w.sources[to] == nil {
		w.sources[to] = servertest.NewWorktrees(scriptTB{ts, w}, to)
	}
	w.sources[to].Publish(files)
}

// until URL TEXT… asks the URL until the answer, status line and body, holds every text; ! until URL TEXT… until
// it holds none.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	servertest.Eventually(scriptTB{ts, worldOf(ts)}, patience, func() error {
		answer, err := ask(http.MethodGet, args[0], "")
		for _, text := range args[1:] {
			if err == nil && strings.Contains(answer, text) == neg {
				err = fmt.Errorf("%s: %q\n%s", args[0], text, answer)
			}
		}
		return err
	})
}

// post-alert LABEL=VALUE… tells Alertmanager that an alert fires, and ! post-alert LABEL=VALUE… that it is over.
func cmdPostAlert(ts *testscript.TestScript, neg bool, args []string) {
	var labels []string
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		labels = append(labels, fmt.Sprintf("%q: %q", name, value))
	}
	end := ""
	if neg {
		end = fmt.Sprintf(", \"endsAt\": %q", time.Now().Format(time.RFC3339Nano))
	}
	_, err := ask(http.MethodPost, ts.Getenv("ALERTMANAGER")+"/api/v2/alerts", "[{\"labels\": {"+strings.Join(labels, ", ")+"}"+end+"}]")
	ts.Check(err)
}

// zone DIR NAME… adds time zones to a database, which a program has for its own where ZONEINFO is DIR.
func cmdZone(ts *testscript.TestScript, neg bool, args []string) {
	// As in RFC 9636: a header with six counts, and one kind of local time, 9 h ahead and called XST.
	const data = "TZif" + "\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01" + "\x00\x00\x00\x04" +
		"\x00\x00\x7e\x90" + "\x00" + "\x00" + "XST\x00"
	for _, name := range args[1:] {
		servertest.WriteFile(scriptTB{ts, worldOf(ts)}, filepath.Join(ts.MkAbs(args[0]), name), data)
	}
}

// amtool ARG… is Alertmanager's own tool, as people use it; its output is for stdout. The argument stdout is that of the
// command before.
func cmdAmtool(ts *testscript.TestScript, neg bool, args []string) {
	amtool := servertest.Program(scriptTB{ts, worldOf(ts)}, "amtool")
	for i, arg := range args {
		if arg == "stdout" {
			args[i] = strings.TrimSpace(ts.ReadFile(arg))
		}
	}
	ts.Check(ts.Exec(amtool, append([]string{"--alertmanager.url=" + ts.Getenv("ALERTMANAGER")}, args...)...))
}

// ask sends a request and returns the answer's status line and body.
func ask(method, url, body string) (string, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.Status + "\n" + string(data), err
}
