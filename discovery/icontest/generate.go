package icontest

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
)

// A Revision is the chain's feature level. It decides which fields a P-Rep has.
type Revision int

// Revisions at which the fields of a P-Rep change. The ones between have the
// fields of the one before.
const (
	ICON1 Revision = 12 // the first node implementation: stake, txIndex, …, but no power
	IISS3 Revision = 13 // goloop: bonded, power, lastHeight
	BTP2  Revision = 21 // and hasPublicKey
	IISS4 Revision = 25 // and jailFlags, unjailRequestHeight, minDoubleSignHeight, commission rates
)

// An Option changes what [Generate] makes.
type Option func(*plan)

type plan struct {
	revision  Revision
	nid       int64
	height    int64
	host      func(i int) string
	hostnames int
}

// WithRevision sets the fields that P-Reps have. The default is IISS4.
func WithRevision(r Revision) Option { return func(p *plan) { p.revision = r } }

// WithNID sets the network id. The default is 1, mainnet's.
func WithNID(nid int64) Option { return func(p *plan) { p.nid = nid } }

// WithHeight sets the height of the last block. The default is 45,000,000.
func WithHeight(height int64) Option { return func(p *plan) { p.height = height } }

// WithHosts chooses the host of the i-th P-Rep, counted by rank from 0. The
// default is a loopback address of its own for each, 127.1.0.1 and up.
func WithHosts(host func(i int) string) Option { return func(p *plan) { p.host = host } }

// WithHostnames gives count P-Reps, spread over the ranks, a hostname under
// .test instead of an address. The default is none, because a Prometheus that
// scrapes such a network would ask the world's DNS for them.
func WithHostnames(count int) Option { return func(p *plan) { p.hostnames = count } }

// Generate makes a network of n P-Reps, the same one for the same arguments. It
// has what the real network has: names with braces, bars, slashes, quotes,
// Korean and trailing spaces, odd ports, node addresses that differ from the
// owner's, candidates, P-Reps without power, a few penalties and, where the
// revision has them, jail, missing keys and commission rates.
func Generate(n int, seed uint64, options ...Option) *Network {
	p := plan{revision: IISS4, nid: 1, height: 45_000_000, host: loopback}
	for _, o := range options {
		o(&p)
	}
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	rows := make([]row, n)
	for i := range rows {
		rows[i] = newRow(p.prep(i, n, rng))
	}
	return &Network{
		nid: p.nid, channel: "icon_dex", revision: p.revision,
		latest: p.height, states: []state{newState(p.height, rows)},
	}
}

// loopback spreads P-Reps over 127.0.0.0/8, all of which is this machine on
// Linux, and stays away from 127.0.0.x, where things listen.
func loopback(i int) string {
	return fmt.Sprintf("127.%d.%d.%d", 1+i/62500, i/250%250, 1+i%250)
}

func (p *plan) prep(i, n int, rng *rand.Rand) PRep {
	host := p.host(i)
	if p.hostnames > 0 && i%max(n/p.hostnames, 1) == 0 && i/max(n/p.hostnames, 1) < p.hostnames {
		host = fmt.Sprintf("node%02d.prep.test", i+1)
	}
	address := randomAddress(rng)
	node := address
	if rng.IntN(4) == 0 {
		node = randomAddress(rng)
	}
	delegated := new(big.Int).Mul(big.NewInt(int64(n-i)*1_000+rng.Int64N(1_000)), big.NewInt(1e18))
	blocks := rng.Int64N(p.height/2 + 1)
	place := places[rng.IntN(len(places))]
	domain := fmt.Sprintf("prep%d.example", i+1)
	prep := PRep{
		"address":               address,
		"nodeAddress":           node,
		"name":                  name(i, rng),
		"country":               place[0],
		"city":                  place[1],
		"email":                 "noc@" + domain,
		"website":               "https://" + domain,
		"details":               "https://" + domain + "/details.json",
		"p2pEndpoint":           fmt.Sprintf("%s:%d", host, port(rng)),
		"grade":                 grade(i, rng),
		"status":                "0x0",
		"penalty":               "0x0",
		"delegated":             hexBig(delegated),
		"irep":                  "0x21e19e0c9bab2400000",
		"irepUpdateBlockHeight": hexInt(p.height / 3),
		"totalBlocks":           hexInt(blocks),
		"validatedBlocks":       hexInt(blocks - blocks/100),
	}
	if rng.IntN(40) == 0 {
		prep["penalty"] = "0x3" // validation failure
	}
	if p.revision < IISS3 {
		prep["stake"] = hexBig(delegated)
		prep["unvalidatedSequenceBlocks"] = "0x0"
		prep["lastGenerateBlockHeight"] = hexInt(max(-1, p.height-rng.Int64N(100)*1_000))
		prep["blockHeight"] = hexInt(p.height / 2)
		prep["txIndex"] = hexInt(rng.Int64N(8))
		if i%3 == 2 {
			prep["lastGenerateBlockHeight"] = "-0x1"
		}
		return prep
	}
	power := delegated
	if i > n/2 && rng.IntN(2) == 0 {
		power = new(big.Int) // no bond, no power
	}
	prep["power"] = hexBig(power)
	prep["bonded"] = hexBig(new(big.Int).Div(power, big.NewInt(20)))
	prep["lastHeight"] = hexInt(p.height - rng.Int64N(1_000))
	if p.revision >= BTP2 {
		prep["hasPublicKey"] = choose(rng.IntN(50) == 0, "0x0", "0x1")
	}
	if p.revision >= IISS4 {
		jailed := rng.IntN(50) == 0
		prep["jailFlags"] = choose(jailed, "0x1", "0x0")
		prep["unjailRequestHeight"] = "0x0"
		prep["minDoubleSignHeight"] = "0x0"
		if rng.IntN(3) > 0 {
			prep["commissionRate"] = hexInt(rng.Int64N(2_000))
			prep["maxCommissionRate"] = "0x7d0"
			prep["maxCommissionChangeRate"] = "0xa"
		}
	}
	return prep
}

// grade is 0 main, 1 sub, 2 candidate. It is fixed for a term while ranks move,
// so a few don't match their rank.
func grade(i int, rng *rand.Rand) string {
	if rng.IntN(30) == 0 {
		i += 15
	}
	switch {
	case i < 22:
		return "0x0"
	case i < 100:
		return "0x1"
	}
	return "0x2"
}

func port(rng *rand.Rand) int {
	switch rng.IntN(30) {
	case 0:
		return 9000
	case 1:
		return 7200
	}
	return 7100
}

// oddNames are the kinds of names that people have really registered.
var oddNames = [...]string{
	"Acorn { You Pick We Plant }",
	"Mousehole | Multi.example",
	"POCKET / FIGURE",
	"Red Hot Kettle ",
	"서울 노드",
	"도토리 밸리데이터",
	`The "Quoted" Node`,
	"GROW {SEED INCUBATOR}",
	"ICE  (We burn our node rewards, every single one of them!)",
	"Łódź & Wrocław Validators",
	"vote for us - social.example/info_prep",
	"node's",
}

var (
	firstNames = [...]string{"Alpine", "Amber", "Basalt", "Cedar", "Copper", "Delta", "Ember", "Fjord", "Granite", "Harbor",
		"Iron", "Juniper", "Lantern", "Meadow", "Northern", "Onyx", "Prairie", "Quartz", "River", "Summit", "Tidal", "Willow"}
	lastNames = [...]string{"Capital", "Labs", "Node", "Pool", "Stake", "Station", "Tech", "Validators", "Works", "Forge"}
	places    = [...][2]string{{"CHE", "Zug"}, {"KOR", "Seoul"}, {"USA", "San Francisco"}, {"SGP", "Singapore"},
		{"DEU", "Frankfurt am Main"}, {"AUS", "Sydney"}, {"VNM", "Hanoi"}, {"FIN", "Helsinki"}, {"BRA", "São Paulo"}, {"kor", "부산"}}
)

func name(i int, rng *rand.Rand) string {
	if i%9 == 4 {
		return oddNames[i/9%len(oddNames)]
	}
	name := firstNames[rng.IntN(len(firstNames))] + " " + lastNames[rng.IntN(len(lastNames))]
	if i >= 100 {
		name = fmt.Sprintf("%s %d", name, i)
	}
	return name
}

func randomAddress(rng *rand.Rand) string {
	return fmt.Sprintf("hx%016x%016x%08x", rng.Uint64(), rng.Uint64(), rng.Uint32())
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// NewPRep makes one more P-Rep of the network's revision, not yet part of it:
//
//	network.Join(network.NewPRep("Newcomer", "127.9.9.9:7100"))
func (n *Network) NewPRep(name, endpoint string) PRep {
	n.mu.RLock()
	defer n.mu.RUnlock()
	rows := n.states[len(n.states)-1].rows
	p := plan{revision: n.revision, height: n.latest, host: loopback}
	rng := rand.New(rand.NewPCG(uint64(n.latest), uint64(len(rows))))
	prep := p.prep(0, 1, rng)
	for slices.ContainsFunc(rows, func(r row) bool { return r.prep.Address() == prep.Address() }) {
		prep["address"] = randomAddress(rng)
	}
	prep["name"], prep["p2pEndpoint"], prep["grade"] = name, endpoint, "0x2"
	return prep
}
