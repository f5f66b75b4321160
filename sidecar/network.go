package sidecar

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stoker-project/stoker/discovery"
)

// NetworkStatus is what is known of a network.
type NetworkStatus struct {
	Name string `json:"name"`
	// State is one of the constants below.
	State NetworkState `json:"state"`
	// Source is the endpoint of the last accepted answer, Height the block it was made at, LastGood when a new block
	// was last accepted.
	Source   string    `json:"source,omitempty"`
	Height   int64     `json:"height,omitempty"`
	LastGood time.Time `json:"last_good,omitzero"`
	// LastAttempt is when the network was asked last, Error what was wrong then, Next when it is asked again.
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	Error       string    `json:"error,omitempty"`
	Next        time.Time `json:"next,omitzero"`
	// Preps is how many P-Reps have targets, Targets how many targets each exporter has.
	Preps   int            `json:"preps"`
	Targets map[string]int `json:"targets,omitempty"`
	// Held are P-Reps whose targets are kept although the last answer lacks them, Refused those whose
	// endpoint is no target; by reason and name. Shared are endpoints of several P-Reps.
	Held    []NodeStatus `json:"held,omitempty"`
	Refused []NodeStatus `json:"refused,omitempty"`
	Shared  []string     `json:"shared,omitempty"`
	// Exporters are those that contacts say how to reach.
	Exporters []ExporterStatus `json:"exporters,omitempty"`
	// Endpoints are those of the network's API.
	Endpoints []EndpointStatus `json:"endpoints,omitempty"`
	// Listed are the P-Reps of the last accepted answer, by rank. Only /api/v1/status and the page of networks have
	// them. After a restart there are none until an answer is accepted.
	Listed []ListedStatus `json:"listed,omitempty"`
}

// NetworkState is what is known of a network, in a word.
type NetworkState string

const (
	// NetworkUnknown: it hasn't been asked yet, or not when it should have been.
	NetworkUnknown NetworkState = "unknown"
	// NetworkCurrent: the last answer was accepted.
	NetworkCurrent NetworkState = "current"
	// NetworkStalled: the last answer was accepted, and its block isn't new.
	NetworkStalled NetworkState = "stalled"
	// NetworkHeld: the last answer lacks too many P-Reps to be accepted at once.
	NetworkHeld NetworkState = "held"
	// NetworkFailing: the last attempt gave no answer to accept.
	NetworkFailing NetworkState = "failing"
)

// stalledAfter is how long a network may give the same block: some 300 that it should have made.
const stalledAfter = 10 * time.Minute

// networkStateOf never takes for good what isn't known.
func networkStateOf(n *discovery.NetworkStatus, now time.Time) NetworkState {
	switch {
	case n.LastAttempt.IsZero(), now.Sub(n.Next) > passLimit:
		return NetworkUnknown
	case n.Err != nil && slices.ContainsFunc(n.Held, func(h discovery.Held) bool { return h.Reason == discovery.HeldDrop }):
		return NetworkHeld
	case n.Err != nil:
		return NetworkFailing
	case n.LastAttempt.Sub(n.LastGood) > stalledAfter:
		return NetworkStalled
	}
	return NetworkCurrent
}

// NodeStatus is one P-Rep and why it is listed.
type NodeStatus struct {
	Prep   string `json:"prep"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Endpoint is what a refused one has registered.
	Endpoint string `json:"endpoint,omitempty"`
	// Since is when a kept one was first missing, Until when it goes, or when a drop is believed, if nothing changes.
	// Zero: that isn't a matter of time.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// EndpointStatus is what is known of an endpoint: only its host, because an URL may contain a key.
type EndpointStatus struct {
	Host string `json:"host"`
	// Asked is when it was asked last. Zero: never, and nothing is known.
	Asked time.Time `json:"asked,omitzero"`
	// SickSince is when it began to fail, RetryAt when it is asked first again, Error its last failure. Zero: its last
	// answer was good.
	SickSince time.Time `json:"sick_since,omitzero"`
	RetryAt   time.Time `json:"retry_at,omitzero"`
	Error     string    `json:"error,omitempty"`
}

// ListedStatus is what the chain says of a P-Rep. A number that its revision doesn't have is absent.
type ListedStatus struct {
	Rank            int      `json:"rank"`
	Prep            string   `json:"prep"`
	Name            string   `json:"name"`
	Endpoint        string   `json:"endpoint"`
	Grade           *float64 `json:"grade,omitempty"`
	Penalty         *float64 `json:"penalty,omitempty"`
	JailFlags       *float64 `json:"jail_flags,omitempty"`
	TotalBlocks     *float64 `json:"total_blocks,omitempty"`
	ValidatedBlocks *float64 `json:"validated_blocks,omitempty"`
	// Refused is why it has no targets, "" where it has them, if only kept ones.
	Refused string `json:"refused,omitempty"`
}

// networks returns what discovery knows.
func (s *Sidecar) networks(now time.Time) (all []NetworkStatus) {
	if s.discovery == nil {
		return nil
	}
	inOrder := func(a, b NodeStatus) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Prep, b.Prep))
	}
	for _, n := range s.discovery.Status() {
		ns := NetworkStatus{
			Name: n.Name, State: networkStateOf(&n, now), Source: n.Source, Height: n.Height, LastGood: n.LastGood,
			LastAttempt: n.LastAttempt, Error: errorLine(n.Err), Next: n.Next,
			Preps: n.Preps, Targets: n.Targets, Shared: n.Shared,
		}
		for _, h := range n.Held {
			ns.Held = append(ns.Held, NodeStatus{Prep: h.Owner, Name: h.Name, Reason: h.Reason, Since: h.Since, Until: n.Until(h)})
		}
		for _, r := range n.Refused {
			ns.Refused = append(ns.Refused, NodeStatus{Prep: r.Owner, Name: r.Name, Reason: r.Reason, Endpoint: r.Endpoint})
		}
		slices.SortFunc(ns.Held, inOrder)
		slices.SortFunc(ns.Refused, inOrder)
		for _, c := range n.Claims {
			ns.Exporters = append(ns.Exporters, ExporterStatus{c.Owner, c.Exporter, c.File, c.State})
		}
		for _, e := range n.Endpoints {
			ns.Endpoints = append(ns.Endpoints, EndpointStatus{e.Host, e.Asked, e.Since, e.RetryAt, errorLine(e.Err)})
		}
		all = append(all, ns)
	}
	return all
}

func errorLine(err error) string {
	if err == nil {
		return ""
	}
	return oneLine(err.Error())
}

// readChains adds the P-Reps to a status. It is apart from Status because probes ask for that all the time.
func (s *Sidecar) readChains(status *Status) {
	if s.discovery == nil {
		return
	}
	number := func(n discovery.Number) *float64 {
		if !n.Known {
			return nil
		}
		return &n.Value
	}
	for _, chain := range s.discovery.Chains() {
		i := slices.IndexFunc(status.Networks, func(n NetworkStatus) bool { return n.Name == chain.Network })
		n := &status.Networks[i]
		held := make(map[string]bool, len(n.Held))
		for _, h := range n.Held {
			held[h.Prep] = true
		}
		for _, f := range chain.PReps {
			if held[f.Owner] {
				f.Refused = ""
			}
			n.Listed = append(n.Listed, ListedStatus{
				Rank: f.Rank, Prep: f.Owner, Name: f.Name, Endpoint: f.Endpoint,
				Grade: number(f.Grade), Penalty: number(f.Penalty), JailFlags: number(f.JailFlags),
				TotalBlocks: number(f.TotalBlocks), ValidatedBlocks: number(f.ValidatedBlocks),
				Refused: f.Refused,
			})
		}
	}
}

// networkPage shows the networks to people. It needs no JavaScript, and doesn't reload itself: that would close what
// somebody has opened.
func (s *Sidecar) networkPage(w http.ResponseWriter, _ *http.Request) {
	status := s.Status()
	s.readChains(&status)
	showPage(w, "network.html", struct {
		Status
		Now time.Time
	}{status, time.Now()})
}

// networkMetrics are what the chains say, apart from those about stoker.
func (s *Sidecar) networkMetrics() http.Handler {
	if s.chains == nil {
		return http.HandlerFunc(noDiscovery)
	}
	return promhttp.HandlerFor(s.chains, promhttp.HandlerOpts{})
}

func noDiscovery(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no network is known here: the agent discovery isn't configured or not selected", http.StatusNotFound)
}

// serviceDiscovery answers Prometheus' http_sd with the targets of a network. For Prometheus everything but a 200 with
// a list is a failure that keeps the targets it has, and an empty list removes them all: so there is a 503 until
// there are targets, and neither an empty list nor a 304, ever.
func (s *Sidecar) serviceDiscovery(w http.ResponseWriter, r *http.Request) {
	if s.discovery == nil {
		noDiscovery(w, r)
		return
	}
	network := r.PathValue("network")
	targets, known := s.discovery.TargetsFile(network)
	switch {
	case !known:
		var names []string
		for _, n := range s.discovery.Status() {
			names = append(names, n.Name)
		}
		http.Error(w, fmt.Sprintf("no network %q, there are %s", network, strings.Join(names, ", ")), http.StatusNotFound)
	case targets == nil:
		http.Error(w, fmt.Sprintf("no targets of %s are known yet", network), http.StatusServiceUnavailable)
	default:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(targets)))
		h.Set("Cache-Control", "no-store")
		w.Write(targets) // the client is gone
	}
}
