package sidecar

import (
	"fmt"
	"strconv"
	"strings"
)

// nodeGroup are P-Reps that are listed for one reason.
type nodeGroup struct {
	Reason string
	Nodes  []NodeStatus
}

// byReason groups P-Reps that are in order of their reasons.
func byReason(nodes []NodeStatus) (groups []nodeGroup) {
	for _, n := range nodes {
		if last := len(groups) - 1; last >= 0 && groups[last].Reason == n.Reason {
			groups[last].Nodes = append(groups[last].Nodes, n)
		} else {
			groups = append(groups, nodeGroup{n.Reason, []NodeStatus{n}})
		}
	}
	return groups
}

// What the chain's numbers mean.
var (
	gradeWords   = []string{"main", "sub", "candidate"}
	penaltyWords = []string{"none", "disqualified", "accumulated validation failures", "validation failure", "missed network proposal vote", "double sign"}
)

// word returns the word for a number, or the number itself.
func word(words []string, n float64) string {
	if i := int(n); float64(i) == n && 0 <= i && i < len(words) {
		return words[i]
	}
	return strconv.FormatFloat(n, 'g', -1, 64)
}

func grade(n *float64) string {
	if n == nil {
		return "grade unknown"
	}
	return word(gradeWords, *n)
}

// validated says which part of its blocks a P-Rep has validated.
func validated(total, validated *float64) string {
	switch {
	case total == nil || validated == nil:
		return "blocks unknown"
	case *total == 0:
		return "no block to validate yet"
	}
	return fmt.Sprintf("%.2f\u00a0%% of its blocks validated", 100**validated / *total)
}

// Bits of the jail flags.
const (
	inJail    = 1
	unjailing = 2
)

// trouble says what an operator should look at, "" for nothing. Before revision 25 there is no jail.
func trouble(p ListedStatus) string {
	var all []string
	if f := p.JailFlags; f != nil && *f != 0 {
		switch flags := int64(*f); {
		case flags&unjailing != 0:
			all = append(all, "leaving jail")
		case flags&inJail != 0:
			all = append(all, "in jail")
		default:
			all = append(all, "jail flags "+word(nil, *f))
		}
	}
	if f := p.Penalty; f != nil && *f != 0 {
		all = append(all, "penalty: "+word(penaltyWords, *f))
	}
	if p.Refused != "" {
		all = append(all, "no targets: "+p.Refused)
	}
	return strings.Join(all, "; ")
}
