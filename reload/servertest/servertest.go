package servertest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	readyTimeout = time.Minute      // a server on a busy machine, with a write-ahead log to replay
	stopTimeout  = 20 * time.Second // Prometheus flushes its storage first
)

// TB is the part of testing.TB that this package uses, so that a script or a program that has no
// *testing.T can start servers too. Fatalf must not return to its caller.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Failed() bool
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	TempDir() string
}

// Option changes how a server is started.
type Option func(*options)

type options struct {
	binary     string // its path, or its name in the .servers folder
	command    []string
	configFile string
	webConfig  string
	client     *http.Client
	dir        string
	flags      []string
	env        []string
	args       []string
	noWait     bool
}

// Binary picks another program of the .servers folder, such as "alertmanager-0.27" or "prometheus-2.53".
func Binary(name string) Option { return func(o *options) { o.binary = name } }

// ConfigFile is the main file of the server. Default: a minimal one that scrapes and notifies nobody.
func ConfigFile(path string) Option { return func(o *options) { o.configFile = path } }

// Flags adds command-line flags as --name=value; one that is set by default is replaced. A boolean one is
// turned off by its --no-name form.
func Flags(flags ...string) Option {
	return func(o *options) { o.flags = append(o.flags, flags...) }
}

// Env adds variables as NAME=value to the environment, which is that of the test otherwise.
func Env(variables ...string) Option {
	return func(o *options) { o.env = append(o.env, variables...) }
}

// Args is the whole command line of the server, as a manifest has it, instead of all flags that are set otherwise. Only
// where it listens is still up to the kernel.
func Args(args ...string) Option { return func(o *options) { o.args = args } }

// Dir is the folder that the server runs in and keeps its data below. Default: a temporary one.
func Dir(path string) Option { return func(o *options) { o.dir = path } }

// NoWait returns as soon as the process has been started, for a server that is expected to come up late
// or never.
func NoWait() Option { return func(o *options) { o.noWait = true } }

// WebConfig is the --web.config.file for TLS and basic auth. The client is one that it lets in; it becomes
// the [Server.Client].
func WebConfig(path string, client *http.Client) Option {
	return func(o *options) { o.webConfig, o.client = path, client }
}

// Server is a Prometheus or Alertmanager that runs as a process of its own. Its methods are for one
// goroutine, the test's; they fail the test when the server doesn't do as told.
type Server struct {
	t      TB
	binary string
	dir    string
	flags  []string
	env    []string
	client *http.Client
	noWait bool

	url     string // kept over restarts; empty until the first process listens
	current *process
	log     string // of the processes before the current one
}

// Prometheus starts a Prometheus server and waits until it is ready.
func Prometheus(t TB, opts ...Option) *Server {
	t.Helper()
	return start(t, options{
		binary: "prometheus",
		flags:  []string{"--storage.tsdb.path=data", "--web.enable-lifecycle"},
	}, "global: { scrape_interval: 1m }\n", opts)
}

// Alertmanager starts an Alertmanager and waits until it is ready.
func Alertmanager(t TB, opts ...Option) *Server {
	t.Helper()
	return start(t, options{
		binary: "alertmanager",
		flags:  []string{"--storage.path=data", "--cluster.listen-address="},
	}, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n", opts)
}

// Stoker starts "stoker run" from a program file, for tests from outside, and waits until it is ready. It
// needs a [ConfigFile].
func Stoker(t TB, program string, opts ...Option) *Server {
	t.Helper()
	return start(t, options{binary: absolute(t, program), command: []string{"run"}}, "", opts)
}

func start(t TB, o options, minimal string, opts []Option) *Server {
	t.Helper()
	defaults := o.flags
	o.flags = nil
	for _, opt := range opts {
		opt(&o)
	}
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	if o.configFile == "" && o.args == nil {
		o.configFile = filepath.Join(o.dir, "minimal.yml")
		if err := os.WriteFile(o.configFile, []byte(minimal), 0o600); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if !filepath.IsAbs(o.binary) {
		o.binary = Program(t, o.binary)
	}
	const listen = "--web.listen-address=127.0.0.1:0"
	defaults = append(defaults, listen, "--config.file="+absolute(t, o.configFile))
	if o.webConfig != "" {
		defaults = append(defaults, "--web.config.file="+absolute(t, o.webConfig))
	}
	flags := append(o.command, override(defaults, o.flags)...)
	if o.args != nil {
		flags = append(slices.Clone(o.args), listen)
	}
	if o.client == nil {
		o.client = &http.Client{Timeout: 10 * time.Second}
	}
	s := &Server{
		t:      t,
		binary: o.binary,
		dir:    o.dir,
		flags:  flags,
		env:    o.env,
		client: o.client,
		noWait: o.noWait,
	}
	t.Cleanup(s.cleanup)
	s.launch()
	if !o.noWait {
		s.WaitReady()
	}
	return s
}

// URL is the server's base URL, without a slash at its end. It waits until the server listens, which is
// before it is ready, and stays the same while the server is down or restarts.
func (s *Server) URL() string {
	s.t.Helper()
	if s.url == "" {
		Eventually(s.t, readyTimeout, s.listening)
	}
	return s.url
}

// Dir is the folder that the server runs in; its data is in data below.
func (s *Server) Dir() string { return s.dir }

// Client is an HTTP client that the server lets in.
func (s *Server) Client() *http.Client { return s.client }

// Get returns the body of an HTTP 200 answer to GET of a path of the server, and an error with the
// server's words for any other.
func (s *Server) Get(path string) ([]byte, error) {
	s.t.Helper()
	res, err := s.client.Get(s.URL() + path)
	return answer(path, res, err)
}

// Post sends JSON to a path of the server. An answer other than HTTP 200 fails the test with the server's words.
func (s *Server) Post(path, body string) {
	s.t.Helper()
	res, err := s.client.Post(s.URL()+path, "application/json", strings.NewReader(body))
	if _, err := answer(path, res, err); err != nil {
		s.t.Fatalf("POST %v", err)
	}
}

func answer(path string, res *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", path, res.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// WaitReady waits until the server says on /-/ready that it is.
func (s *Server) WaitReady() {
	s.t.Helper()
	Eventually(s.t, readyTimeout, s.Ready)
}

// Ready is nil if the server says on /-/ready that it is, and tells what it says otherwise. It fails the
// test if the process has ended.
func (s *Server) Ready() error {
	s.t.Helper()
	if err := s.listening(); err != nil {
		return err
	}
	_, err := s.Get("/-/ready")
	return err
}

// listening is nil once the current process listens.
func (s *Server) listening() error {
	s.t.Helper()
	if s.current.stopped() && strings.Contains(s.current.log.String(), "address already in use") {
		// Nobody holds the port of a server that is down: an outgoing connection of another process may
		// have got it, for as long as that lives.
		s.launch()
	}
	if s.current.stopped() {
		s.t.Fatalf("%s is not running: %v\n%s", filepath.Base(s.binary), s.current.err, s.current.log.tail())
	}
	url := s.current.log.listensOn()
	if url == "" {
		return errors.New("not listening yet")
	}
	s.url = url
	return nil
}

// Running tells whether the server's process is there.
func (s *Server) Running() bool { return !s.current.stopped() }

// Log is everything that the server has printed so far, over all its restarts.
func (s *Server) Log() string { return s.log + s.current.log.String() }

// Stop ends the server as an init system does, and waits until it has gone.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.current.stop(syscall.SIGTERM, stopTimeout); err != nil {
		s.t.Fatalf("stop %s: %v", filepath.Base(s.binary), err)
	}
}

// Kill ends the server without letting it know, as a crash does, and waits until it has gone.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.current.stop(syscall.SIGKILL, stopTimeout); err != nil {
		s.t.Fatalf("kill %s: %v", filepath.Base(s.binary), err)
	}
}

// Restart starts the server again on the same address, with the same flags and data, after stopping it if
// it runs, and waits until it is ready unless it was started with [NoWait].
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.launch()
	if !s.noWait {
		s.WaitReady()
	}
}

func (s *Server) launch() {
	s.t.Helper()
	flags := s.flags
	if _, address, ok := strings.Cut(s.url, "://"); ok {
		flags = override(flags, []string{"--web.listen-address=" + address})
	}
	if s.current != nil {
		s.log += s.current.log.String()
	}
	p, err := launch(s.binary, s.dir, s.env, flags)
	if err != nil {
		s.t.Fatalf("start %s: %v", filepath.Base(s.binary), err)
	}
	s.current = p
}

func (s *Server) cleanup() {
	if s.current == nil {
		return
	}
	err := s.current.stop(syscall.SIGTERM, stopTimeout)
	if err != nil || s.t.Failed() {
		s.t.Logf("log of %s:\n%s", filepath.Base(s.binary), s.Log())
	}
	if err != nil {
		s.t.Errorf("stop %s: %v", filepath.Base(s.binary), err)
	}
}

// override appends flags to defaults, without the defaults that they set.
func override(defaults, flags []string) []string {
	name := func(flag string) string {
		name, _, _ := strings.Cut(flag, "=")
		return strings.TrimPrefix(strings.TrimPrefix(name, "--"), "no-")
	}
	merged := slices.DeleteFunc(slices.Clone(defaults), func(d string) bool {
		return slices.ContainsFunc(flags, func(f string) bool { return name(f) == name(d) })
	})
	return append(merged, flags...)
}

func absolute(t TB, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return abs
}

// Program is the file of a program that "make servers" built, such as "promtool".
func Program(t TB, name string) string {
	t.Helper()
	path := filepath.Join(root(t), ".servers", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: run make servers", path)
	}
	return path
}

// root is the folder of the module that the working directory is in.
func root(t TB) string {
	t.Helper()
	start := absolute(t, ".")
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("no go.mod in %s or above", start)
		}
	}
}
