package icontest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// post sends body to path of handler and returns what comes back.
func post(h http.Handler, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

// preps asks for getPReps with these data params and decodes the answer.
func preps(t *testing.T, h http.Handler, params, height string) (result struct {
	BlockHeight, StartRanking, TotalDelegated, TotalStake string
	PReps                                                 []icontest.PRep
}) {
	t.Helper()
	w := post(h, "/api/v3", getPReps(params, height))
	var answer struct{ Result any }
	answer.Result = &result
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("getPReps(%s) = %d %s", params, w.Code, w.Body)
	}
	return result
}

func getPReps(params, height string) string {
	if height != "" {
		height = `,"height":"` + height + `"`
	}
	return `{"jsonrpc":"2.0","id":1,"method":"icx_call","params":{"to":"cx0000000000000000000000000000000000000000","dataType":"call"` +
		height + `,"data":{"method":"getPReps","params":` + params + `}}}`
}

func call(data string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"icx_call","params":{"to":"cx0000000000000000000000000000000000000000","dataType":"call","data":` + data + `}}`
}

func TestRanking(t *testing.T) {
	node := icontest.NewNode(icontest.Generate(25, 1))
	for _, tc := range []struct {
		params    string
		wantStart string
		want      int
	}{
		{`{}`, "0x1", 25},
		{`{"startRanking":"0x1","endRanking":"0xa"}`, "0x1", 10},
		{`{"startRanking":"0xb","endRanking":"0x14"}`, "0xb", 10},
		{`{"startRanking":"0x15","endRanking":"0x1e"}`, "0x15", 5},
		{`{"startRanking":"0x19","endRanking":"0x19"}`, "0x19", 1},
		{`{"startRanking":"0x1","endRanking":"0xaaa"}`, "0x1", 25},
		{`{"startRanking":"0x0","endRanking":"0x0"}`, "0x1", 25},
		{`{"startRanking":"0x0","endRanking":"0x5"}`, "0x1", 5},
		{`{"startRanking":"5"}`, "0x1", 25}, // one alone is ignored
		{`{"endRanking":"0x5"}`, "0x1", 25},
		{`{"startRanking":"2","endRanking":"3"}`, "0x2", 2}, // decimals are fine
	} {
		got := preps(t, node, tc.params, "")
		if got.StartRanking != tc.wantStart || len(got.PReps) != tc.want {
			t.Errorf("%s: %d rows from %s, want %d from %s", tc.params, len(got.PReps), got.StartRanking, tc.want, tc.wantStart)
		}
	}
}

// TestAnswers compares whole answers of requests that are refused, or nearly.
func TestAnswers(t *testing.T) {
	network := icontest.Generate(3, 1, icontest.WithHeight(100))
	network.Advance(100)
	network.Prune(90)
	node := icontest.NewNode(network)
	request := func(method string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`
	}
	batch := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(request("icx_nothing")+",", n), ",") + "]"
	}
	rpc := func(code int, message string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","error":{"code":%d,"message":"%s"},"id":1}`, code, message)
	}
	for _, tc := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"not json", "/api/v3", `{`, 400, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"ParseError"},"id":null}`},
		{"nothing", "/api/v3", ``, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"InvalidRequest: fail to unmarshal, EOF"},"id":null}`},
		{"not an object", "/api/v3", `7`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"InvalidRequest: fail to unmarshal, request must be object type"},"id":null}`},
		{"no version", "/api/v3", `{"id":1,"method":"x"}`, 400, rpc(-32600, "InvalidRequest: fail to validate, required('jsonrpc')")},
		{"wrong version", "/api/v3", `{"jsonrpc":"1.0","id":1,"method":"x"}`, 400, rpc(-32600, "InvalidRequest: fail to validate, version('jsonrpc')")},
		{"no method", "/api/v3", `{"jsonrpc":"2.0","id":1}`, 400, rpc(-32600, "InvalidRequest: fail to validate, required('method')")},
		{"unknown method", "/api/v3", request("icx_nothing"), 400, rpc(-32601, "MethodNotFound")},
		{"unknown key", "/api/v3", `{"jsonrpc":"2.0","id":1,"method":"icx_getLastBlock","extra":1}`, 400, rpc(-32600, "InvalidRequest: fail to unmarshal, unknown field 'extra'")},
		{"no id", "/api/v3", `{"jsonrpc":"2.0","method":"icx_getLastBlock"}`, 200, ``},
		{"null id", "/api/v3", `{"jsonrpc":"2.0","id":null,"method":"icx_getNetworkInfo"}`, 200, ``},
		{"text id", "/api/v3", `{"jsonrpc":"2.0","id":"a","method":"icx_nothing"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"MethodNotFound"},"id":"a"}`},
		{"list id", "/api/v3", `{"jsonrpc":"2.0","id":[1],"method":"icx_nothing"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"InvalidRequest: fail to validate, id('id')"},"id":[1]}`},
		{"params of last block", "/api/v3", `{"jsonrpc":"2.0","id":1,"method":"icx_getLastBlock","params":{"height":"0x1"}}`, 400, rpc(-32602, "InvalidParams: fail to unmarshal, unknown field 'height'")},

		{"no params", "/api/v3", request("icx_call"), 400, rpc(-32602, "InvalidParams: fail to unmarshal, 'params' of request is required ")},
		{"unknown param", "/api/v3", strings.Replace(call(`{"method":"getPReps"}`), `"dataType"`, `"datatype2":"call","dataType"`, 1), 400, rpc(-32602, "InvalidParams: fail to unmarshal, unknown field 'datatype2'")},
		{"wrong type", "/api/v3", strings.Replace(call(`{"method":"getPReps"}`), `"call"`, `1`, 1), 400, rpc(-32602, "InvalidParams: fail to unmarshal, 'dataType' must be string type")},
		{"other data type", "/api/v3", strings.Replace(call(`{"method":"getPReps"}`), `"call"`, `"deploy"`, 1), 400, rpc(-32602, "InvalidParams: fail to validate, call('dataType')")},
		{"height with a leading zero", "/api/v3", getPReps(`{}`, "0x01"), 400, rpc(-32602, "InvalidParams: fail to validate, t_int('height')")},
		{"decimal height", "/api/v3", getPReps(`{}`, "100"), 400, rpc(-32602, "InvalidParams: fail to validate, t_int('height')")},
		{"capital height", "/api/v3", getPReps(`{}`, "0xA"), 400, rpc(-32602, "InvalidParams: fail to validate, t_int('height')")},
		{"pruned height", "/api/v3", getPReps(`{}`, "0x59"), 400, rpc(-31004, "NotFound: PrunedBlock(height=89,base=90)")},
		{"height to come", "/api/v3", getPReps(`{}`, "0xc9"), 400, rpc(-31004, "NotFound: no block for 201")},
		{"no data", "/api/v3", call(`null`), 400, rpc(-32602, "InvalidParams: fail to validate, data('data')")},
		{"number as param", "/api/v3", getPReps(`{"startRanking":1,"endRanking":2}`, ""), 400, rpc(-32602, "InvalidParams: fail to validate, data.params('data')")},

		{"start after end", "/api/v3", getPReps(`{"startRanking":"0x2","endRanking":"0x1"}`, ""), 400, rpc(-30006, "SCOREError(-30006): Invalid ranking: start=2 > end=1")},
		{"to the end from one", "/api/v3", getPReps(`{"startRanking":"0x1","endRanking":"0x0"}`, ""), 400, rpc(-30006, "SCOREError(-30006): Invalid ranking: start=1 > end=0")},
		{"start past the end", "/api/v3", getPReps(`{"startRanking":"0x4","endRanking":"0x9"}`, ""), 400, rpc(-30006, "SCOREError(-30006): Failed to get PReps: start=4 end=9")},
		{"negative start", "/api/v3", getPReps(`{"startRanking":"-0x1","endRanking":"0x9"}`, ""), 400, rpc(-30006, "SCOREError(-30006): Failed to get PReps: start=-1 end=9")},
		{"no number", "/api/v3", getPReps(`{"startRanking":"one","endRanking":"0x9"}`, ""), 400, rpc(-30001, "SCOREError(-30001): InvalidParameterError(ICON)")},
		{"unknown data param", "/api/v3", getPReps(`{"limit":"0x9"}`, ""), 400, rpc(-30006, "SCOREError(-30006): UnexpectedParam")},
		{"unknown P-Rep", "/api/v3", call(`{"method":"getPRep","params":{"address":"hx0000000000000000000000000000000000000000"}}`), 400, rpc(-30007, "SCOREError(-30007): Failed to get PRep")},
		{"no P-Rep", "/api/v3", call(`{"method":"getPRep"}`), 400, rpc(-30006, "SCOREError(-30006): MissingParam(param=address)")},
		{"unknown contract method", "/api/v3", call(`{"method":"getNothing"}`), 400, rpc(-30003, "SCOREError(-30003): MethodNotFound")},
		{"other contract", "/api/v3", strings.Replace(call(`{"method":"getPReps"}`), "cx00", "cx01", 1), 400, rpc(-30002, "SCOREError(-30002): ContractNotFound")},

		{"empty batch", "/api/v3", `[]`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"InvalidRequest"},"id":null}`},
		{"batch", "/api/v3", batch(2), 200, "[" + rpc(-32601, "MethodNotFound") + "," + rpc(-32601, "MethodNotFound") + "]"},
		{"batch with a notification", "/api/v3", `[{"jsonrpc":"2.0","method":"icx_getLastBlock"},` + request("icx_nothing") + `]`, 200, "[" + rpc(-32601, "MethodNotFound") + "]"},
		{"batch too large", "/api/v3", batch(11), 503, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"InvalidRequest","data":"too many request"},"id":null}`},

		{"slash", "/api/v3/", request("icx_nothing"), 400, rpc(-32601, "MethodNotFound")},
		{"channel", "/api/v3/icon_dex", request("icx_nothing"), 400, rpc(-32601, "MethodNotFound")},
		{"unknown channel", "/api/v3/other", request("icx_nothing"), 404, `No channel`},
		{"other path", "/api/v2", request("icx_nothing"), 404, `Not Found <nil>`},
		{"debug path", "/api/v3d", request("icx_nothing"), 404, `Not Found <nil>`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := post(node, tc.path, tc.body)
			if w.Code != tc.status {
				t.Errorf("status %d, want %d", w.Code, tc.status)
			}
			if diff := cmp.Diff(tc.want, strings.TrimSuffix(w.Body.String(), "\n")); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if tc.status == http.StatusNotFound && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Errorf("content type %q, want text/plain", w.Header().Get("Content-Type"))
			}
		})
	}
	w := httptest.NewRecorder()
	node.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v3", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d, want 405", w.Code)
	}
}

func TestHeightPinsTheState(t *testing.T) {
	network := icontest.Generate(5, 1, icontest.WithHeight(100))
	node := icontest.NewNode(network)
	before := preps(t, node, `{}`, "")
	gone := before.PReps[2].Address()
	network.Leave(gone)
	network.Join(network.NewPRep("Newcomer", "127.9.9.9:7100"))
	network.Rename(before.PReps[0].Address(), "Renamed")

	if diff := cmp.Diff(before, preps(t, node, `{}`, "0x64")); diff != "" {
		t.Errorf("the state at height 100 changed (-before +after):\n%s", diff)
	}
	if got := preps(t, node, `{}`, "0x65"); got.BlockHeight != "0x65" || len(got.PReps) != 4 {
		t.Errorf("at 0x65: height %s, %d rows, want 0x65 and 4", got.BlockHeight, len(got.PReps))
	}
	got := preps(t, node, `{}`, "")
	if got.BlockHeight != "0x67" || len(got.PReps) != 5 {
		t.Errorf("at the end: height %s, %d rows, want 0x67 and 5", got.BlockHeight, len(got.PReps))
	}
	for _, p := range got.PReps {
		if p.Address() == gone {
			t.Errorf("%s left and is still listed", gone)
		}
	}
}

func TestNetworkInfoAndLastBlock(t *testing.T) {
	network := icontest.Generate(2, 1, icontest.WithNID(0x53), icontest.WithHeight(255))
	network.Prune(16)
	node := icontest.NewNode(network)
	got := post(node, "/api/v3", `{"jsonrpc":"2.0","id":7,"method":"icx_getNetworkInfo"}`).Body.String()
	want := `{"jsonrpc":"2.0","result":{"channel":"icon_dex","earliest":"0x10","latest":"0xff","nid":"0x53","platform":"icon","stepPrice":"0x2e90edd00"},"id":7}` + "\n"
	if got != want {
		t.Errorf("icx_getNetworkInfo = %s, want %s", got, want)
	}
	got = post(node, "/api/v3", `{"jsonrpc":"2.0","id":7,"method":"icx_getLastBlock"}`).Body.String()
	if !strings.Contains(got, `"height":255,`) {
		t.Errorf("icx_getLastBlock = %s, want height 255", got)
	}
}

func TestPRepAndTerm(t *testing.T) {
	network := icontest.Generate(150, 3)
	node := icontest.NewNode(network)
	want := network.PReps()[140]
	var one struct{ Result icontest.PRep }
	w := post(node, "/api/v3", call(`{"method":"getPRep","params":{"address":"`+want.Address()+`"}}`))
	if err := json.Unmarshal(w.Body.Bytes(), &one); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, one.Result); diff != "" {
		t.Errorf("getPRep (-want +got):\n%s", diff)
	}
	var term struct {
		Result struct{ PReps []icontest.PRep }
	}
	w = post(node, "/api/v3", call(`{"method":"getPRepTerm"}`))
	if err := json.Unmarshal(w.Body.Bytes(), &term); err != nil {
		t.Fatal(err)
	}
	elected := 0
	for _, p := range network.PReps() {
		if p["grade"] != "0x2" {
			elected++
		}
	}
	if got := len(term.Result.PReps); got != elected || got >= 150 || got < 50 {
		t.Errorf("getPRepTerm lists %d P-Reps, want the %d that are no candidates", got, elected)
	}
}
