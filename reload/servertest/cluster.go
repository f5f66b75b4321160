package servertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Cluster is a number of Alertmanagers that gossip with each other. Their gossip goes through relays of this
// process, one before each member, so that a test can part them as a broken network does; that needs no rights and
// no network namespaces. Their APIs can be reached at all times.
type Cluster struct {
	// Members are the servers, in the order of their starts. Which of them is first among its cluster's sorted
	// peers is up to the names, which are random unless [Flags] give them.
	Members []*Server

	t    TB
	mu   sync.Mutex
	side map[string]int // by label; members of different sides don't hear each other
}

// AlertmanagerCluster starts n Alertmanagers and waits until each is ready and knows all others. The options are
// for all of them. They gossip faster than by default, so that a member that is gone is known to be within
// seconds.
func AlertmanagerCluster(t TB, n int, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, side: map[string]int{}}
	relays := make([]*relay, n)
	for i := range relays {
		relays[i] = newRelay(t, labelOf(i), func(from string) bool { return c.hears(labelOf(i), from) })
	}
	for i, r := range relays {
		flags := []string{
			"--cluster.listen-address=" + r.target,
			"--cluster.advertise-address=" + r.address(),
			"--cluster.label=" + r.label,
			"--cluster.gossip-interval=50ms",
			"--cluster.pushpull-interval=1s",
			"--cluster.probe-interval=500ms",
			"--cluster.probe-timeout=400ms",
			"--cluster.tcp-timeout=2s",
			"--cluster.reconnect-interval=500ms",
		}
		for j, peer := range relays {
			if j != i {
				flags = append(flags, "--cluster.peer="+peer.address())
			}
		}
		c.Members = append(c.Members, Alertmanager(t, append([]Option{Flags(flags...), NoWait()}, opts...)...))
	}
	c.WaitPeers(n)
	return c
}

// hears reports whether a member gets what another one sends.
func (c *Cluster) hears(member, from string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.side[member] == c.side[from]
}

// Part cuts the given members, by their index, off from all others.
func (c *Cluster) Part(members ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.side)
	for _, i := range members {
		c.side[labelOf(i)] = 1
	}
}

// Heal ends what Part did.
func (c *Cluster) Heal() { c.Part() }

// WaitPeers waits until the given members, by default all, are ready and know n members each, themselves included,
// in a cluster that has settled.
func (c *Cluster) WaitPeers(n int, members ...int) {
	c.t.Helper()
	for i, m := range c.Members {
		if len(members) > 0 && !slices.Contains(members, i) {
			continue
		}
		m.WaitReady()
		Eventually(c.t, time.Minute, func() error {
			name, peers, err := m.Peers()
			if err == nil && (name == "" || len(peers) != n) {
				err = fmt.Errorf("member %d is %q among %q, want %d", i, name, peers, n)
			}
			return err
		})
	}
}

// Peers returns the name of an Alertmanager in its cluster and those of all members that it knows, itself included,
// sorted. It is an error while the cluster settles or if there is none.
func (s *Server) Peers() (name string, peers []string, err error) {
	s.t.Helper()
	body, err := s.Get("/api/v2/status")
	if err != nil {
		return "", nil, err
	}
	var status struct {
		Cluster struct {
			Name, Status string
			Peers        []struct{ Name string }
		}
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return "", nil, err
	}
	if status.Cluster.Status != "ready" {
		return "", nil, fmt.Errorf("the cluster is %q, not ready", status.Cluster.Status)
	}
	for _, p := range status.Cluster.Peers {
		peers = append(peers, p.Name)
	}
	slices.Sort(peers)
	return status.Cluster.Name, peers, nil
}
