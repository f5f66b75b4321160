package icontest

import (
	"cmp"
	"maps"
	"strings"
)

// A PRep is one row of a getPReps answer: its fields by name, with the values
// that will be marshalled. It is a map because that is what an answer is:
// fields come and go with the revision, and a test may put anything in.
type PRep map[string]any

// Address is the owner's address, the key of a P-Rep.
func (p PRep) Address() string { return p.text("address") }

// Name is the name as registered, with all its oddities.
func (p PRep) Name() string { return p.text("name") }

// Endpoint is the p2pEndpoint, host:port.
func (p PRep) Endpoint() string { return p.text("p2pEndpoint") }

// Clone returns a copy that shares no field with p.
func (p PRep) Clone() PRep { return maps.Clone(p) }

func (p PRep) text(field string) string {
	s, _ := p[field].(string)
	return s
}

// compareRank orders P-Reps as goloop ranks them: those who cannot be elected
// last, then by power, delegation and address, all from high to low. Rows
// without power (ICON1) are ordered by delegation alone and otherwise keep
// their order.
func compareRank(a, b PRep) int {
	if c := cmp.Compare(a.unelectable(), b.unelectable()); c != 0 {
		return c
	}
	if c := compareHex(b.text("power"), a.text("power")); c != 0 {
		return c
	}
	if c := compareHex(b.text("delegated"), a.text("delegated")); c != 0 {
		return c
	}
	if a["power"] == nil {
		return 0
	}
	return cmp.Compare(b.Address(), a.Address())
}

// unelectable is 0 for a P-Rep that may produce blocks, more for one that may
// not: a missing public key weighs more than jail.
func (p PRep) unelectable() int {
	n := 0
	if p.text("hasPublicKey") == "0x0" {
		n += 2
	}
	if flags := p.text("jailFlags"); flags != "" && flags != "0x0" {
		n++
	}
	return n
}

// compareHex compares non-negative hex integers without leading zeros, of any
// size, by value.
func compareHex(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
