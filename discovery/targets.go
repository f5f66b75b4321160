package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Labels of a target. The first four are public; the others are there while
// Prometheus relabels and then dropped.
const (
	labelNetwork  = "network"
	labelPrep     = "prep"
	labelPrepName = "prep_name"
	labelExporter = "exporter"

	labelScheme      = "__scheme__"
	labelMetricsPath = "__metrics_path__"
	labelRank        = "__meta_icon_rank"
	labelGrade       = "__meta_icon_grade"
	labelCountry     = "__meta_icon_country"
	labelCity        = "__meta_icon_city"
	labelNodeAddress = "__meta_icon_node_address"
	labelP2PHost     = "__meta_icon_p2p_host"
	labelP2PPort     = "__meta_icon_p2p_port"
	labelWebsite     = "__meta_icon_website"
)

// appendTargets appends a file_sd file in JSON with one target group for every
// P-Rep and exporter, a group a line, in the order given. It is written by hand
// because a map of labels for each of 50,000 groups costs more than everything
// else together.
func appendTargets(b []byte, network string, preps []prep, exporters []Exporter) []byte {
	b = append(b, '[')
	var common []byte // the labels that a P-Rep's groups share
	for i, p := range preps {
		common = p.appendLabels(common[:0], network)
		for j, e := range exporters {
			if i+j > 0 {
				b = append(b, ',')
			}
			b = appendGroup(b, joinPort(p.Host, e.Port), e, common)
		}
	}
	return append(b, "\n]\n"...)
}

// appendGroup appends the target group of one exporter of one P-Rep.
func appendGroup(b []byte, address string, e Exporter, labels []byte) []byte {
	b = append(b, "\n{\"targets\":["...)
	b = appendString(b, address)
	b = append(b, "],\"labels\":{"...)
	b = appendLabel(b, labelExporter, e.Name)
	b = append(b, ',')
	b = append(b, labels...)
	b = append(b, ',')
	b = appendLabel(b, labelScheme, e.Scheme)
	b = append(b, ',')
	b = appendLabel(b, labelMetricsPath, e.Path)
	return append(b, "}}"...)
}

func (p *prep) appendLabels(b []byte, network string) []byte {
	b = appendLabel(b, labelNetwork, network)
	for _, l := range [...]struct{ name, value string }{
		{labelPrep, p.Owner},
		{labelPrepName, p.Name},
		{labelRank, strconv.Itoa(p.Rank)},
		{labelGrade, p.Grade},
		{labelCountry, p.Country},
		{labelCity, p.City},
		{labelNodeAddress, p.NodeAddress},
		{labelP2PHost, p.Host},
		{labelP2PPort, strconv.Itoa(p.P2PPort)},
		{labelWebsite, p.Website},
	} {
		if l.value != "" {
			b = append(b, ',')
			b = appendLabel(b, l.name, l.value)
		}
	}
	return b
}

func appendLabel(b []byte, name, value string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, "\":"...)
	return appendString(b, value)
}

// appendString appends a JSON string. Every text in a targets file has been
// through sanitize or a stricter check: valid UTF-8 without control characters,
// so that two characters are left to escape.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	begin := 0
	for i := range len(s) {
		if c := s[i]; c == '"' || c == '\\' {
			b = append(b, s[begin:i]...)
			b = append(b, '\\')
			begin = i
		}
	}
	b = append(b, s[begin:]...)
	return append(b, '"')
}

// A targetsFile is what can be read back from one.
type targetsFile struct {
	preps   []prep         // by owner
	targets map[string]int // how many, by exporter
}

// parseTargets reads a targets file back. It may have been edited, so its texts
// are as little trusted as the network's, and hosts that aren't allowed (any
// more) are left out. It is an error if nothing in the file can have been
// written by appendTargets.
func parseTargets(data []byte, allowPrivate bool) (*targetsFile, error) {
	var groups []struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(data, &groups); err != nil {
		return nil, err
	}
	ours := len(groups) == 0
	byOwner := make(map[string]prep, len(groups))
	targets := map[string]int{}
	for _, g := range groups {
		owner := g.Labels[labelPrep]
		if !isAddress(owner) || g.Labels[labelExporter] == "" {
			continue
		}
		ours = true
		targets[g.Labels[labelExporter]]++
		host, p2pPort, ok := parseEndpoint(g.Labels[labelP2PHost] + ":" + g.Labels[labelP2PPort])
		if _, known := byOwner[owner]; known || !ok {
			continue
		}
		if ok, _ := allowedHost(host, allowPrivate); !ok {
			continue
		}
		rank, _ := strconv.Atoi(g.Labels[labelRank])
		p := prep{
			Owner:   owner,
			Name:    prepName(g.Labels[labelPrepName], owner),
			Host:    host,
			P2PPort: p2pPort,
			Rank:    rank,
			Grade:   sanitize(g.Labels[labelGrade], maxText),
			Country: sanitize(g.Labels[labelCountry], maxText),
			City:    sanitize(g.Labels[labelCity], maxText),
			Website: sanitize(g.Labels[labelWebsite], maxURL),
		}
		if node := g.Labels[labelNodeAddress]; isAddress(node) {
			p.NodeAddress = node
		}
		byOwner[owner] = p
	}
	if !ours {
		return nil, errForeign
	}
	return &targetsFile{slices.SortedFunc(maps.Values(byOwner), byOwnerAddress), targets}, nil
}

var errForeign = errors.New("holds targets that stoker didn't write; move it away, or give the network another name")

func byOwnerAddress(a, b prep) int { return strings.Compare(a.Owner, b.Owner) }

// sharedEndpoints describes P-Reps that say they run at the same host and port.
// That can be right, and nobody proves to own an endpoint, so all are kept.
func sharedEndpoints(preps []prep) []string {
	type endpoint struct {
		host string
		port int
	}
	first := make(map[endpoint]string, len(preps))
	owners := map[endpoint][]string{}
	for _, p := range preps {
		e := endpoint{p.Host, p.P2PPort}
		if owner, taken := first[e]; !taken {
			first[e] = p.Owner
		} else if owners[e] == nil {
			owners[e] = []string{owner, p.Owner}
		} else {
			owners[e] = append(owners[e], p.Owner)
		}
	}
	var shared []string
	for e, who := range owners {
		shared = append(shared, fmt.Sprintf("%s: %s", joinPort(e.host, e.port), strings.Join(who, ", ")))
	}
	slices.Sort(shared)
	return shared
}
