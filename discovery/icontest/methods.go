package icontest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
)

// systemContract is where getPReps and its kin live.
const systemContract = "cx0000000000000000000000000000000000000000"

// termPeriod is the length of a term in blocks, about a day.
const termPeriod = 43_200

// handle answers one request. It returns nil where goloop sends no answer.
func (n *Node) handle(raw json.RawMessage, f Fault) *response {
	var req request
	resp := &response{Version: "2.0"}
	err := decodeStrict(raw, &req, "request")
	if err == nil {
		err = req.validate()
	}
	resp.ID = req.ID
	if err != nil {
		resp.Error = invalidRequest(err.Error())
		return resp
	}
	if req.Method == nil {
		resp.Error = invalidRequest("fail to validate, required('method')")
		return resp
	}
	var method func(json.RawMessage, Fault) (any, *rpcError)
	switch *req.Method {
	case "icx_call":
		method = n.call
	case "icx_getNetworkInfo":
		method = n.networkInfo
	case "icx_getLastBlock":
		method = n.lastBlock
	default:
		resp.Error = &rpcError{Code: codeMethodNotFound, Message: "MethodNotFound"}
		return resp
	}
	if req.ID == nil {
		return nil // a notification, which only transactions may be
	}
	result, failure := method(req.Params, f)
	if failure != nil {
		resp.Error = failure
		return resp
	}
	data, err := json.Marshal(result)
	if err != nil {
		panic(fmt.Sprintf("icontest: result of %s: %v", *req.Method, err))
	}
	resp.Result = data
	return resp
}

func (n *Node) networkInfo(_ json.RawMessage, f Fault) (any, *rpcError) {
	_, latest, failure := n.network.view(-1, f.lag)
	if failure != nil {
		return nil, failure
	}
	n.network.mu.RLock()
	defer n.network.mu.RUnlock()
	return f.apply("icx_getNetworkInfo", map[string]any{
		"platform":  "icon",
		"nid":       hexInt(n.network.nid),
		"channel":   n.network.channel,
		"earliest":  hexInt(n.network.earliest),
		"latest":    hexInt(latest),
		"stepPrice": "0x2e90edd00",
	}), nil
}

func (n *Node) lastBlock(params json.RawMessage, f Fault) (any, *rpcError) {
	if len(params) > 0 && string(params) != "null" {
		if err := decodeStrict(params, &struct{}{}, "'params' of request"); err != nil {
			return nil, invalidParams(err.Error())
		}
	}
	_, latest, failure := n.network.view(-1, f.lag)
	if failure != nil {
		return nil, failure
	}
	return f.apply("icx_getLastBlock", map[string]any{
		"version":                    "2.0",
		"height":                     latest, // a number here, unlike everywhere else
		"time_stamp":                 1_563_000_000_000_000 + latest*2_000_000,
		"block_hash":                 fmt.Sprintf("%064x", latest),
		"prev_block_hash":            fmt.Sprintf("%064x", max(latest-1, 0)),
		"merkle_tree_root_hash":      fmt.Sprintf("%064x", 0),
		"peer_id":                    "",
		"signature":                  "",
		"confirmed_transaction_list": []any{},
	}), nil
}

// call is icx_call: it picks the state by height and the method by name.
func (n *Node) call(params json.RawMessage, f Fault) (any, *rpcError) {
	if len(params) == 0 || string(params) == "null" {
		return nil, invalidParams("fail to unmarshal, 'params' of request is required ")
	}
	var p callParams
	err := decodeStrict(params, &p, "'params' of request")
	if err == nil {
		err = p.validate()
	}
	if err != nil {
		return nil, invalidParams(err.Error())
	}
	var data struct {
		Method *string                    `json:"method"`
		Params map[string]json.RawMessage `json:"params"`
	}
	if json.Unmarshal(p.Data, &data) != nil || data.Method == nil {
		return nil, invalidParams("fail to validate, data('data')")
	}
	args := make(map[string]string, len(data.Params))
	for name, value := range data.Params {
		var s string
		if string(value) == "null" || json.Unmarshal(value, &s) != nil {
			return nil, invalidParams("fail to validate, data.params('data')")
		}
		args[name] = s
	}
	height := int64(-1)
	if p.Height != "" {
		if height, err = strconv.ParseInt(p.Height, 0, 64); err != nil {
			return nil, invalidParams(err.Error())
		}
	}
	s, height, failure := n.network.view(height, f.lag)
	if failure != nil {
		return nil, failure
	}
	if p.To != systemContract {
		return nil, scoreError(codeContractNotFound, "ContractNotFound")
	}
	var result map[string]any
	switch *data.Method {
	case "getPReps":
		result, failure = s.getPReps(args, height)
	case "getPRep":
		result, failure = s.getPRep(args)
	case "getPRepTerm":
		result, failure = s.getPRepTerm(args, height, n.network.Revision())
	default:
		failure = scoreError(codeScoreMethod, "MethodNotFound")
	}
	if failure != nil {
		return nil, failure
	}
	return f.apply(*data.Method, result), nil
}

// getPReps returns the rows from startRanking to endRanking. With only one of
// them given, both are ignored.
func (s state) getPReps(args map[string]string, height int64) (map[string]any, *rpcError) {
	start, end, failure := rankings(args)
	if failure != nil {
		return nil, failure
	}
	if start > end {
		return nil, scoreError(codeInvalidParameter, fmt.Sprintf("Invalid ranking: start=%d > end=%d", start, end))
	}
	size := int64(len(s.rows))
	if start < 0 || end < 0 || start > size {
		return nil, scoreError(codeInvalidParameter, fmt.Sprintf("Failed to get PReps: start=%d end=%d", start, end))
	}
	start = max(start, 1)
	if end == 0 || end > size {
		end = size
	}
	return map[string]any{
		"blockHeight":    hexInt(height),
		"startRanking":   hexInt(start),
		"totalDelegated": s.totalDelegated,
		"totalStake":     s.stake(),
		"preps":          rawRows(s.rows[start-1 : end]),
	}, nil
}

func rankings(args map[string]string) (start, end int64, failure *rpcError) {
	given := 0
	for name, ranking := range map[string]*int64{"startRanking": &start, "endRanking": &end} {
		text, ok := args[name]
		if !ok {
			continue
		}
		given++
		i, ok := new(big.Int).SetString(text, 0)
		if !ok {
			return 0, 0, scoreError(codeUnknownFailure, "InvalidParameterError(ICON)")
		}
		*ranking = i.Int64()
	}
	if len(args) > given {
		return 0, 0, scoreError(codeInvalidParameter, "UnexpectedParam")
	}
	if given < 2 {
		return 0, 0, nil
	}
	return start, end, nil
}

func (s state) getPRep(args map[string]string) (map[string]any, *rpcError) {
	address, ok := args["address"]
	if !ok {
		return nil, scoreError(codeInvalidParameter, "MissingParam(param=address)")
	}
	if len(args) > 1 {
		return nil, scoreError(codeInvalidParameter, "UnexpectedParam")
	}
	i := find(s.rows, address)
	if i < 0 {
		return nil, scoreError(codeInvalidInstance, "Failed to get PRep")
	}
	return s.rows[i].prep.Clone(), nil
}

// getPRepTerm lists main and sub P-Reps with their endpoints, no candidates.
func (s state) getPRepTerm(args map[string]string, height int64, rev Revision) (map[string]any, *rpcError) {
	if len(args) > 0 {
		return nil, scoreError(codeInvalidParameter, "UnexpectedParam")
	}
	var elected []row
	mains := 0
	for _, r := range s.rows {
		switch r.prep.text("grade") {
		case "0x0":
			mains++
			elected = append(elected, r)
		case "0x1":
			elected = append(elected, r)
		}
	}
	begin := height - height%termPeriod
	return map[string]any{
		"sequence":         hexInt(height / termPeriod),
		"startBlockHeight": hexInt(begin),
		"endBlockHeight":   hexInt(begin + termPeriod - 1),
		"blockHeight":      hexInt(height),
		"totalSupply":      s.stake(),
		"totalDelegated":   s.totalDelegated,
		"totalPower":       s.totalDelegated,
		"period":           hexInt(termPeriod),
		"revision":         hexInt(int64(rev)),
		"isDecentralized":  "0x1",
		"mainPRepCount":    hexInt(int64(mains)),
		"iissVersion":      choose(rev >= IISS4, "0x4", "0x3"),
		"bondRequirement":  "0x5",
		"preps":            rawRows(elected),
	}, nil
}

// stake is the total stake: as recorded, or a tenth more than is delegated.
func (s state) stake() string {
	if s.totalStake != "" {
		return s.totalStake
	}
	total, _ := new(big.Int).SetString(s.totalDelegated, 0)
	return hexBig(total.Div(total.Mul(total, big.NewInt(11)), big.NewInt(10)))
}

func rawRows(rows []row) []json.RawMessage {
	raw := make([]json.RawMessage, len(rows))
	for i, r := range rows {
		raw[i] = r.json
	}
	return raw
}
