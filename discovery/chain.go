package discovery

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A Chain is what the last accepted answer says about a network, whoever has
// targets. It is kept in memory only: after a restart nothing is known until an
// answer is accepted, because an old truth about who is in jail is none.
type Chain struct {
	Network string
	Height  int64
	PReps   []Facts // by rank, of the ranks that were asked for
}

// Facts are what the chain says about one P-Rep. Its texts are sanitised.
type Facts struct {
	Owner       string
	Name        string
	Country     string
	City        string
	NodeAddress string
	Endpoint    string // as registered
	Refused     string // why that is no target, one of the Reason constants; empty where it is one

	Rank      int    // from 1
	Grade     Number // 0 main, 1 sub, 2 candidate
	Status    Number // 0 active, 1 unregistered, 2 disqualified
	Penalty   Number // 0 none, 1 disqualified, 2 accumulated failure, 3 validation failure, 4 missed vote, 5 double sign
	JailFlags Number // bits: 1 in jail, 2 unjailing, 4 accumulated failure, 8 double sign

	Power     Number // in ICX, as the next two
	Delegated Number
	Bonded    Number

	TotalBlocks     Number
	ValidatedBlocks Number
	LastHeight      Number // at which it began or ceased to validate, not of its last block
}

// loopsPerICX: the chain counts in the smallest unit.
const loopsPerICX = 1e18

// chainFacts takes the facts out of rows, the first of which has the given rank.
func chainFacts(rows []row, first int, refused []Refusal) []Facts {
	all := make([]Facts, len(rows))
	reasons := make(map[string]string, len(refused))
	for _, r := range refused {
		reasons[r.Owner] = r.Reason
	}
	for i := range rows {
		r := &rows[i]
		f := &all[i]
		*f = Facts{
			Owner:     r.Address,
			Name:      prepName(r.Name, r.Address),
			Country:   strings.ToUpper(sanitize(r.Country, maxText)),
			City:      sanitize(r.City, maxText),
			Endpoint:  sanitize(r.P2PEndpoint, maxURL),
			Refused:   reasons[r.Address],
			Rank:      first + i,
			Grade:     parseNumber(r.Grade),
			Status:    r.Status,
			Penalty:   r.Penalty,
			JailFlags: r.JailFlags,
			Power:     r.Power.icx(),
			Delegated: r.Delegated.icx(),
			Bonded:    r.Bonded.icx(),

			TotalBlocks:     r.TotalBlocks,
			ValidatedBlocks: r.ValidatedBlocks,
			LastHeight:      r.LastHeight,
		}
		if isAddress(r.NodeAddress) {
			f.NodeAddress = r.NodeAddress
		}
	}
	return all
}

// A Number is an integer of the chain, which may be larger than any machine's, as
// what a metric can hold. Unknown are the fields that a revision doesn't have.
type Number struct {
	Value float64
	Known bool
}

func (n Number) icx() Number { return Number{n.Value / loopsPerICX, n.Known} }

// UnmarshalJSON never fails: no fact about a P-Rep is worth its targets, so what
// isn't a number is unknown.
func (n *Number) UnmarshalJSON(data []byte) error {
	*n = Number{}
	if last := len(data) - 1; last > 0 && data[0] == '"' && data[last] == '"' {
		*n = parseNumber(string(data[1:last]))
	}
	return nil
}

// maxDigits is the length of the largest integers below infinity.
const maxDigits = 256

// parseNumber reads the chain's hex integers, 0x1f and -0x1.
func parseNumber(s string) Number {
	digits, negative := strings.CutPrefix(s, "-")
	digits, ok := strings.CutPrefix(digits, "0x")
	if !ok || digits == "" || len(digits) > maxDigits || strings.Trim(digits, "0123456789abcdef") != "" {
		return Number{}
	}
	if small, err := strconv.ParseUint(digits, 16, 64); err == nil {
		if negative {
			return Number{-float64(small), true}
		}
		return Number{float64(small), true}
	}
	large, err := strconv.ParseFloat(s+"p0", 64)
	if err != nil { // infinite
		return Number{}
	}
	return Number{large, true}
}

// Chains returns what is known of all networks, in the order of the
// configuration, without those that nothing is known of. It doesn't wait for a
// Sync under way.
func (a *Agent) Chains() []Chain {
	a.mu.Lock()
	defer a.mu.Unlock()
	var known []Chain
	for _, c := range a.chains {
		if c.PReps != nil {
			known = append(known, c)
		}
	}
	return known
}

// ChainCollector shows what the chains say as metrics (icon_…), for a registry of
// its own: they are about the networks, not about stoker. A P-Rep that isn't in
// the last accepted answer has none, also while its targets are kept; one whose
// endpoint is refused has them all.
func (a *Agent) ChainCollector() prometheus.Collector { return chainCollector{a} }

type chainCollector struct{ agent *Agent }

var (
	heightDesc = prometheus.NewDesc("icon_network_block_height", "Height of the block that the metrics of the network and its P-Reps are of: that of the last accepted answer.", []string{"network"}, nil)
	gradesDesc = prometheus.NewDesc("icon_network_preps", "Number of P-Reps within the configured ranks, by grade: 0 main, 1 sub, 2 candidate.", []string{"network", "grade"}, nil)
	infoDesc   = prometheus.NewDesc("icon_prep_info", "What a P-Rep has registered about itself, as labels; always 1.", []string{"network", "prep", "prep_name", "country", "city", "node_address", "p2p_endpoint"}, nil)
)

// factMetrics are the metrics that each P-Rep has one of, where the value is known.
var factMetrics = [...]struct {
	desc  *prometheus.Desc
	value func(*Facts) Number
}{
	{factDesc("rank", "Rank of the P-Rep, from 1."), func(f *Facts) Number { return Number{float64(f.Rank), true} }},
	{factDesc("grade", "Grade of the P-Rep in this term: 0 main, 1 sub, 2 candidate."), func(f *Facts) Number { return f.Grade }},
	{factDesc("status", "Status of the P-Rep: 0 active, 1 unregistered, 2 disqualified."), func(f *Facts) Number { return f.Status }},
	{factDesc("penalty", "Penalty of the P-Rep: 0 none, 1 disqualified, 2 accumulated validation failure, 3 validation failure, 4 missed network proposal vote, 5 double sign."), func(f *Facts) Number { return f.Penalty }},
	{factDesc("jail_flags", "Sum of: 1 in jail, 2 unjailing, 4 accumulated validation failure, 8 double sign; 0 for a free P-Rep. From revision 25 on."), func(f *Facts) Number { return f.JailFlags }},
	{factDesc("power", "Voting power of the P-Rep, in ICX."), func(f *Facts) Number { return f.Power }},
	{factDesc("delegated", "Delegation that the P-Rep receives, in ICX."), func(f *Facts) Number { return f.Delegated }},
	{factDesc("bonded", "Bond that the P-Rep receives, in ICX."), func(f *Facts) Number { return f.Bonded }},
	{factDesc("total_blocks", "Blocks that the P-Rep had to validate so far."), func(f *Facts) Number { return f.TotalBlocks }},
	{factDesc("validated_blocks", "Blocks of icon_prep_total_blocks that the P-Rep did validate."), func(f *Facts) Number { return f.ValidatedBlocks }},
	{factDesc("last_height", "Height at which the P-Rep last began or ceased to validate blocks; not that of its last block."), func(f *Facts) Number { return f.LastHeight }},
}

func factDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("icon_prep_"+name, help, []string{"network", "prep"}, nil)
}

// Describe implements prometheus.Collector.
func (chainCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- heightDesc
	ch <- gradesDesc
	ch <- infoDesc
	for _, m := range factMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c chainCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, chain := range c.agent.Chains() {
		gauge(heightDesc, float64(chain.Height), chain.Network)
		grades := map[string]int{"0": 0, "1": 0, "2": 0}
		for i := range chain.PReps {
			f := &chain.PReps[i]
			grades[f.gradeLabel()]++
			gauge(infoDesc, 1, chain.Network, f.Owner, f.Name, f.Country, f.City, f.NodeAddress, f.Endpoint)
			for _, m := range factMetrics {
				if n := m.value(f); n.Known {
					gauge(m.desc, n.Value, chain.Network, f.Owner)
				}
			}
		}
		for grade, count := range grades {
			gauge(gradesDesc, float64(count), chain.Network, grade)
		}
	}
}

// gradeLabel is one of few: grades that nobody has heard of make no series each.
func (f *Facts) gradeLabel() string {
	if f.Grade.Known {
		switch f.Grade.Value {
		case 0:
			return "0"
		case 1:
			return "1"
		case 2:
			return "2"
		}
	}
	return "other"
}
