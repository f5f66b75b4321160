package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A prep is one P-Rep that becomes targets: what its labels say. Its texts are
// sanitised, its host is checked.
type prep struct {
	Owner       string // the owner's address, hx and 40 hex digits: the key
	Name        string
	Host        string // of the p2pEndpoint: an IPv4 address or a hostname
	P2PPort     int
	Rank        int // from 1
	Grade       string
	Country     string
	City        string
	NodeAddress string
	Website     string
}

// A Refusal is a P-Rep that doesn't become targets.
type Refusal struct {
	Owner    string
	Name     string
	Endpoint string // as the chain has it, sanitised and cut
	Reason   string // one of the Reason constants

	host string // where it could be parsed
}

// A listing is what one endpoint said about the network at one height.
type listing struct {
	Source  string // the endpoint's host and port
	Height  int64
	Preps   []prep    // by owner
	Refused []Refusal // by owner
	Chain   []Facts   // of both, by rank
	Leap    bool      // its height was implausible
}

// A row is what we read of a P-Rep. Fields that a revision doesn't have stay
// empty, fields that we don't know are skipped.
type row struct {
	Address     string `json:"address"`
	NodeAddress string `json:"nodeAddress"`
	Name        string `json:"name"`
	Country     string `json:"country"`
	City        string `json:"city"`
	Website     string `json:"website"`
	P2PEndpoint string `json:"p2pEndpoint"`
	Grade       string `json:"grade"`

	Status          Number `json:"status"`
	Penalty         Number `json:"penalty"`
	JailFlags       Number `json:"jailFlags"`
	Power           Number `json:"power"`
	Delegated       Number `json:"delegated"`
	Bonded          Number `json:"bonded"`
	TotalBlocks     Number `json:"totalBlocks"`
	ValidatedBlocks Number `json:"validatedBlocks"`
	LastHeight      Number `json:"lastHeight"`
}

// A page is a result of getPReps.
type page struct {
	BlockHeight  string `json:"blockHeight"`
	StartRanking string `json:"startRanking"`
	Preps        []row  `json:"preps"`
}

// checkIdentity asks the endpoint which network it belongs to.
func (c *client) checkIdentity(ctx context.Context, networkID string) error {
	if networkID == "" {
		return nil
	}
	info, err := call[struct {
		NID string `json:"nid"`
	}](ctx, c, "icx_getNetworkInfo", nil)
	if err != nil {
		return fmt.Errorf("icx_getNetworkInfo: %w", err)
	}
	if info.NID != networkID {
		return fmt.Errorf("belongs to network %q, not %q", sanitize(info.NID, 20), networkID)
	}
	return nil
}

// progressEvery is how often a long fetch says how far it is: 10,000 P-Reps take
// 100 pages, and a slow API some seconds for each.
const progressEvery = 10 * time.Second

// fetchRows gets the P-Reps of the given ranks, by rank, all from one height:
// the first page says which, the others are asked for it. A page that is shorter
// than it could be is the last one; where the number of P-Reps is a multiple of
// the page size, that is an error -30006 (goloop) or an empty page (ICON1).
func (c *client) fetchRows(ctx context.Context, ranks rankRange, pageSize int) (rows []row, height int64, err error) {
	pinned := ""
	began := time.Now()
	said := began
	for start := ranks.first; start <= ranks.last; start += pageSize {
		end := min(start+pageSize-1, ranks.last)
		p, err := c.fetchPage(ctx, start, end, pinned)
		if refused, ok := errors.AsType[*rpcError](err); ok && refused.Code == invalidParameter && start > ranks.first {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("getPReps %d-%d: %w", start, end, err)
		}
		if pinned == "" {
			pinned = p.BlockHeight
			if height, err = parseHeight(pinned); err != nil {
				return nil, 0, fmt.Errorf("getPReps %d-%d: %w", start, end, err)
			}
		}
		if err := p.check(start, end, pinned); err != nil {
			return nil, 0, fmt.Errorf("getPReps %d-%d: %w", start, end, err)
		}
		rows = append(rows, p.Preps...)
		if len(p.Preps) <= end-start {
			break
		}
		if now := time.Now(); now.Sub(said) >= progressEvery {
			said = now
			c.logger.Info("still asking for P-Reps", "endpoint", c.host, "ranks", fmt.Sprintf("%d-%d", ranks.first, end),
				"pages", (end-ranks.first)/pageSize+1, "for", now.Sub(began).Round(time.Second))
		}
	}
	if len(rows) == 0 {
		return nil, 0, errors.New("lists no P-Rep")
	}
	seen := make(map[string]bool, len(rows))
	for _, r := range rows {
		if seen[r.Address] {
			return nil, 0, fmt.Errorf("lists %s twice", r.Address)
		}
		seen[r.Address] = true
	}
	return rows, height, nil
}

func (c *client) fetchPage(ctx context.Context, start, end int, height string) (*page, error) {
	return call[page](ctx, c, "icx_call", callParams{
		To: systemContract, DataType: "call", Height: height,
		Data: callData{Method: "getPReps", Params: map[string]string{
			"startRanking": "0x" + strconv.FormatInt(int64(start), 16),
			"endRanking":   "0x" + strconv.FormatInt(int64(end), 16),
		}},
	})
}

// check refuses a page that isn't what was asked for.
func (p *page) check(start, end int, height string) error {
	switch {
	case p.BlockHeight != height:
		return fmt.Errorf("is of height %q, not %s as the first page", sanitize(p.BlockHeight, 20), height)
	case p.Preps == nil:
		return errors.New("has no preps")
	case len(p.Preps) > end-start+1:
		return fmt.Errorf("lists %d P-Reps", len(p.Preps))
	}
	if len(p.Preps) > 0 && p.StartRanking != "" {
		if got, err := strconv.ParseInt(p.StartRanking, 0, 64); err != nil || got != int64(start) {
			return fmt.Errorf("begins with rank %q", sanitize(p.StartRanking, 20))
		}
	}
	for i := range p.Preps {
		if !isAddress(p.Preps[i].Address) {
			return fmt.Errorf("row %d has %q for its address", i+1, sanitize(p.Preps[i].Address, 50))
		}
	}
	return nil
}

// fetch gets an endpoint's answer and checks every address in it. Its errors are
// the endpoint's; refused P-Reps are none.
func (c *client) fetch(ctx context.Context, rules *rules, r Resolver) (*listing, error) {
	c.budget = maxTotal
	// Until the next fetch somebody would close the connection, and a POST on a
	// closed one fails instead of being sent again.
	defer c.http.CloseIdleConnections()
	if err := c.checkIdentity(ctx, rules.networkID); err != nil {
		return nil, err
	}
	rows, height, err := c.fetchRows(ctx, rules.ranks, pageSize)
	if err != nil {
		return nil, err
	}
	answer := sortOut(ctx, rows, rules, r)
	answer.Source, answer.Height = c.host, height
	answer.Chain = chainFacts(rows, rules.ranks.first, answer.Refused)
	if err := ctx.Err(); err != nil {
		return nil, err // lookups that were cut short say nothing about their names
	}
	return answer, nil
}

// sortOut makes P-Reps and refusals of rows.
func sortOut(ctx context.Context, rows []row, rules *rules, r Resolver) *listing {
	answer := &listing{Preps: make([]prep, 0, len(rows))}
	reasons := make(map[string]string, len(rows))
	refuse := func(r *row, host, reason string) {
		answer.Refused = append(answer.Refused, Refusal{
			Owner: r.Address, Name: prepName(r.Name, r.Address), Endpoint: sanitize(r.P2PEndpoint, maxText), Reason: reason, host: host,
		})
	}
	for i := range rows {
		r := &rows[i]
		host, port, ok := parseEndpoint(r.P2PEndpoint)
		if !ok {
			refuse(r, "", ReasonMalformed)
			continue
		}
		reasons[host] = ""
		p := prep{
			Owner:   r.Address,
			Name:    prepName(r.Name, r.Address),
			Host:    host,
			P2PPort: port,
			Rank:    rules.ranks.first + i,
			Grade:   decimal(r.Grade),
			Country: strings.ToUpper(sanitize(r.Country, maxText)),
			City:    sanitize(r.City, maxText),
			Website: sanitize(r.Website, maxURL),
		}
		if isAddress(r.NodeAddress) {
			p.NodeAddress = r.NodeAddress
		}
		answer.Preps = append(answer.Preps, p)
	}
	found := &lookups{Resolver: r, addrs: map[string][]netip.Addr{}}
	checkHosts(ctx, reasons, rules.allowPrivate, found)
	rules.deny.check(ctx, reasons, rules.allowPrivate, found)
	answer.Preps = slices.DeleteFunc(answer.Preps, func(p prep) bool {
		reason := reasons[p.Host]
		if reason != "" {
			refuse(&rows[p.Rank-rules.ranks.first], p.Host, reason)
		}
		return reason != ""
	})
	slices.SortFunc(answer.Preps, byOwnerAddress)
	slices.SortFunc(answer.Refused, func(a, b Refusal) int { return strings.Compare(a.Owner, b.Owner) })
	return answer
}

// Bounds on the bytes of a label's value.
const (
	maxText = 64
	maxURL  = 256
)

// prepName is never empty: a P-Rep without a printable name has its address.
func prepName(name, owner string) string {
	if name = sanitize(name, maxText); name != "" {
		return name
	}
	return owner
}

// isAddress reports whether s is the address of an account, which is all that
// an owner or a node can have.
func isAddress(s string) bool {
	if len(s) != 42 || s[:2] != "hx" {
		return false
	}
	for i := 2; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// parseHeight reads the chain's hex integer.
func parseHeight(s string) (int64, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	height, err := strconv.ParseInt(digits, 16, 64)
	if !ok || err != nil || height < 1 {
		return 0, fmt.Errorf("has %q for its height", sanitize(s, 20))
	}
	return height, nil
}

// decimal turns a small hex number into a decimal one, anything else into
// nothing.
func decimal(s string) string {
	if n, err := strconv.ParseUint(s, 0, 16); err == nil && strings.HasPrefix(s, "0x") {
		return strconv.FormatUint(n, 10)
	}
	return ""
}
