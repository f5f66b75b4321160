package icontest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"sync"
)

// A Network is a chain's list of P-Reps at every height. Below the height it
// was made at, the list is the one it was made with. All methods may be called
// while nodes serve it.
type Network struct {
	mu       sync.RWMutex
	nid      int64
	channel  string
	revision Revision
	earliest int64
	latest   int64
	states   []state // by rising height; each holds until the next one begins
}

// A state is the ranked list from one height on. It never changes.
type state struct {
	height         int64
	rows           []row
	totalDelegated string
	totalStake     string // as recorded; empty means computed
}

// A row is a P-Rep with its JSON, which is made once, when the row changes.
type row struct {
	prep PRep
	json json.RawMessage
}

func newRow(p PRep) row {
	data, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("icontest: P-Rep %s: %v", p.Address(), err))
	}
	return row{p, data}
}

// NID is the network id, 1 for mainnet.
func (n *Network) NID() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.nid
}

// Channel is the name that paths may end in, icon_dex for mainnet.
func (n *Network) Channel() string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.channel
}

// Revision is the chain's feature level.
func (n *Network) Revision() Revision {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.revision
}

// Height is the height of the last block.
func (n *Network) Height() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.latest
}

// PReps returns the P-Reps as of the last block, by rank. Changing them changes
// nothing; see [Network.Update].
func (n *Network) PReps() []PRep {
	n.mu.RLock()
	defer n.mu.RUnlock()
	rows := n.states[len(n.states)-1].rows
	preps := make([]PRep, len(rows))
	for i, r := range rows {
		preps[i] = r.prep.Clone()
	}
	return preps
}

// Advance adds blocks in which no P-Rep changes.
func (n *Network) Advance(blocks int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latest += blocks
}

// Prune forgets all states below height: asking for one is error -31004.
func (n *Network) Prune(height int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.earliest = min(height, n.latest)
}

// Join registers P-Reps, or replaces those that are registered already.
func (n *Network) Join(preps ...PRep) {
	n.change(func(rows []row) []row {
		for _, p := range preps {
			added := newRow(p.Clone())
			if i := find(rows, p.Address()); i >= 0 {
				rows[i] = added
			} else {
				rows = append(rows, added)
			}
		}
		return rows
	})
}

// Leave unregisters P-Reps. Unknown addresses are ignored.
func (n *Network) Leave(addresses ...string) {
	n.change(func(rows []row) []row {
		return slices.DeleteFunc(rows, func(r row) bool {
			return slices.Contains(addresses, r.prep.Address())
		})
	})
}

// Rename gives a P-Rep another name.
func (n *Network) Rename(address, name string) {
	n.Update(address, func(p PRep) { p["name"] = name })
}

// Move gives a P-Rep another endpoint, host:port.
func (n *Network) Move(address, endpoint string) {
	n.Update(address, func(p PRep) { p["p2pEndpoint"] = endpoint })
}

// Update lets edit change any field of one P-Rep, as setPRep would, and more.
// An unknown address is ignored.
func (n *Network) Update(address string, edit func(PRep)) {
	n.change(func(rows []row) []row {
		if i := find(rows, address); i >= 0 {
			p := rows[i].prep.Clone()
			edit(p)
			rows[i] = newRow(p)
		}
		return rows
	})
}

// Become makes n what other is now: its P-Reps, height, history and identity.
// It serves to move from one recorded answer to another.
func (n *Network) Become(other *Network) {
	other.mu.RLock()
	nid, channel, revision := other.nid, other.channel, other.revision
	earliest, latest, states := other.earliest, other.latest, slices.Clone(other.states)
	other.mu.RUnlock()

	n.mu.Lock()
	defer n.mu.Unlock()
	n.nid, n.channel, n.revision = nid, channel, revision
	n.earliest, n.latest, n.states = earliest, latest, states
}

// change makes a block in which the P-Reps are what edit returns. The rows that
// edit gets are a copy it may keep.
func (n *Network) change(edit func([]row) []row) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latest++
	last := n.states[len(n.states)-1]
	n.states = append(n.states, newState(n.latest, edit(slices.Clone(last.rows))))
}

func newState(height int64, rows []row) state {
	slices.SortStableFunc(rows, func(a, b row) int { return compareRank(a.prep, b.prep) })
	total := new(big.Int)
	for _, r := range rows {
		if d, ok := new(big.Int).SetString(r.prep.text("delegated"), 0); ok {
			total.Add(total, d)
		}
	}
	return state{height: height, rows: rows, totalDelegated: hexBig(total)}
}

// view returns the state at height and that height, as seen by a node that is
// lag blocks behind. A negative height means the last block.
func (n *Network) view(height, lag int64) (state, int64, *rpcError) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	latest := max(n.latest-lag, 0)
	switch {
	case height < 0:
		height = latest
	case height < n.earliest:
		return state{}, 0, notFound(fmt.Sprintf("PrunedBlock(height=%d,base=%d)", height, n.earliest))
	case height > latest:
		return state{}, 0, notFound(fmt.Sprintf("no block for %d", height))
	}
	i := len(n.states) - 1
	for i > 0 && n.states[i].height > height {
		i--
	}
	return n.states[i], height, nil
}

func find(rows []row, address string) int {
	return slices.IndexFunc(rows, func(r row) bool { return r.prep.Address() == address })
}

func hexInt(i int64) string {
	if i < 0 {
		return fmt.Sprintf("-0x%x", -i)
	}
	return fmt.Sprintf("0x%x", i)
}

func hexBig(i *big.Int) string { return fmt.Sprintf("%#x", i) }
