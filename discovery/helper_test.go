package discovery

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// inProcess carries requests to handlers by host, without a connection, so that
// tests can run in a bubble of virtual time. A host that isn't in it refuses.
type inProcess map[string]http.Handler

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	h, ok := p[r.URL.Host]
	if !ok {
		return nil, errRefused
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

type refusedError struct{}

func (refusedError) Error() string { return "connection refused" }

var errRefused = refusedError{}

// testNetwork is a network of the tests: api/v3 at http://a.test and, with two
// nodes, http://b.test.
func testNetwork(nodes int) Network {
	n := DefaultNetwork()
	n.Name, n.NetworkID, n.AllowPrivate = "testnet", "0x1", true
	n.RefreshInterval = model.Duration(5 * time.Minute)
	n.API = []string{"http://a.test/api/v3", "http://b.test/api/v3"}[:nodes]
	n.Exporters = []Exporter{
		{Name: "goloop", Port: 9000, Path: "/metrics", Scheme: "http"},
		{Name: "node", Port: 9100, Path: "/node/metrics", Scheme: "https"},
	}
	return n
}

// testAgent makes an agent of one network whose endpoints are the given nodes.
func testAgent(t *testing.T, dir string, n Network, opts Options, nodes ...http.Handler) *Agent {
	t.Helper()
	a, err := New(Config{TargetsDir: dir, Networks: []Network{n}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	connect(a, nodes...)
	return a
}

// connect makes nodes the endpoints of all networks; nil is one that is down.
func connect(a *Agent, nodes ...http.Handler) {
	hosts := inProcess{}
	for i, node := range nodes {
		if node != nil {
			hosts[[]string{"a.test", "b.test"}[i]] = node
		}
	}
	for _, n := range a.networks {
		for _, c := range n.clients {
			c.http.Transport = hosts
		}
	}
}

// armed is a node that misbehaves at one request to come: 1 is the identity, 2 the
// first page, 3 the second.
type armed struct {
	*icontest.Node
	left  int
	fault icontest.Fault
}

func (a *armed) arm(request int, fault icontest.Fault) { a.left, a.fault = request, fault }

func (a *armed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.left--; a.left == 0 {
		a.MisbehaveNext(1, a.fault)
	}
	a.Node.ServeHTTP(w, r)
}

func mustSync(t *testing.T, a *Agent, want bool) {
	t.Helper()
	changed, err := a.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if changed != want {
		t.Fatalf("changed = %t, want %t", changed, want)
	}
}

func readTargets(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "testnet.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// owners are the P-Reps with targets in the file.
func owners(t *testing.T, dir string) map[string]prep {
	t.Helper()
	file, err := parseTargets([]byte(readTargets(t, dir)), true)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]prep{}
	for _, p := range file.preps {
		all[p.Owner] = p
	}
	return all
}

func addresses(n *icontest.Network) (all []string) {
	for _, p := range n.PReps() {
		all = append(all, p.Address())
	}
	return all
}

// firstDiff shows the first line in which two files differ.
func firstDiff(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d, want %s\n         got %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(b), len(a))
}
