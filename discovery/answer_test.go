package discovery

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	promconfig "github.com/prometheus/common/config"

	"github.com/stoker-project/stoker/discovery/icontest"
)

func testClient(t *testing.T, nodes ...http.Handler) *client {
	t.Helper()
	return testAgent(t, t.TempDir(), testNetwork(1), Options{}, nodes...).networks[0].clients[0]
}

func TestPaging(t *testing.T) {
	for _, tc := range []struct {
		preps       int
		ranks       string
		page        int
		first, rows int // rank of the first row, number of rows
		requests    int
		icon1       bool // [] instead of an error past the end
	}{
		{preps: 1, page: 10, first: 1, rows: 1, requests: 1},
		{preps: 9, page: 10, first: 1, rows: 9, requests: 1},
		{preps: 10, page: 10, first: 1, rows: 10, requests: 2},
		{preps: 10, page: 10, first: 1, rows: 10, requests: 2, icon1: true},
		{preps: 11, page: 10, first: 1, rows: 11, requests: 2},
		{preps: 30, page: 10, first: 1, rows: 30, requests: 4},
		{preps: 35, page: 10, first: 1, rows: 35, requests: 4},
		{preps: 35, page: 1, first: 1, rows: 35, requests: 36},
		{preps: 150, page: 100, first: 1, rows: 150, requests: 2},
		{preps: 35, ranks: "1-10", page: 10, first: 1, rows: 10, requests: 1},
		{preps: 35, ranks: "1-20", page: 10, first: 1, rows: 20, requests: 2},
		{preps: 35, ranks: "6-20", page: 10, first: 6, rows: 15, requests: 2},
		{preps: 35, ranks: "31-60", page: 10, first: 31, rows: 5, requests: 1},
		{preps: 35, ranks: "26-60", page: 10, first: 26, rows: 10, requests: 2},
		{preps: 35, ranks: "1-1", page: 10, first: 1, rows: 1, requests: 1},
	} {
		t.Run(fmt.Sprintf("%d preps by %d, ranks %q", tc.preps, tc.page, tc.ranks), func(t *testing.T) {
			network := icontest.Generate(tc.preps, 1)
			node := icontest.NewNode(network)
			var handler http.Handler = node
			if tc.icon1 {
				handler = emptyPastTheEnd(node)
			}
			ranks, err := parseRanks(tc.ranks)
			if err != nil {
				t.Fatal(err)
			}
			c := testClient(t, handler)
			c.budget = maxTotal
			rows, height, err := c.fetchRows(t.Context(), ranks, tc.page)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				got = append(got, r.Address)
			}
			if diff := cmp.Diff(addresses(network)[tc.first-1:tc.first-1+tc.rows], got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if height != network.Height() || node.Requests() != tc.requests {
				t.Errorf("height %d, %d requests, want %d and %d", height, node.Requests(), network.Height(), tc.requests)
			}
		})
	}
}

// emptyPastTheEnd answers with no rows where goloop says -30006, as ICON1 did.
func emptyPastTheEnd(node http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		rec := httptest.NewRecorder()
		node.ServeHTTP(rec, r)
		if rec.Code == http.StatusBadRequest && strings.Contains(rec.Body.String(), "-30006") {
			var asked struct{ Params struct{ Height string } }
			json.Unmarshal(body, &asked)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","result":{"blockHeight":%q,"startRanking":"0x0","preps":[]},"id":1}`, asked.Params.Height)
			return
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	})
}

// TestPagesAreOfOneHeight lets the network change between any two requests:
// all pages are of the block that the first one was.
func TestPagesAreOfOneHeight(t *testing.T) {
	network := icontest.Generate(25, 1)
	want := addresses(network)
	node := icontest.NewNode(network)
	c := testClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		node.ServeHTTP(w, r)
		network.Leave(addresses(network)[0])
		network.Join(network.NewPRep("Newcomer", "127.9.9.9:7100"))
	}))
	c.budget = maxTotal
	rows, _, err := c.fetchRows(t.Context(), rankRange{1, maxPreps}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, r.Address)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFetchErrors has one exact error for each way that an endpoint can fail.
func TestFetchErrors(t *testing.T) {
	want := map[string]string{
		"server error":       `icx_getNetworkInfo: HTTP status 500 Internal Server Error`,
		"unavailable":        `icx_getNetworkInfo: HTTP status 503 Service Unavailable`,
		"too many requests":  `icx_getNetworkInfo: HTTP status 429 Too Many Requests`,
		"redirect":           `icx_getNetworkInfo: HTTP status 307: redirects to /api/v3/icon_dex, which is not followed`,
		"hanging":            `icx_getNetworkInfo: no whole answer within 10s`,
		"truncated":          `icx_getNetworkInfo: not a JSON-RPC answer: unexpected end of JSON input`,
		"not json":           `icx_getNetworkInfo: not a JSON-RPC answer: invalid character '<' looking for beginning of value`,
		"empty body":         `icx_getNetworkInfo: not a JSON-RPC answer: unexpected end of JSON input`,
		"huge":               `icx_getNetworkInfo: is larger than 16 MiB, or all answers together than 64 MiB`,
		"nested":             `icx_getNetworkInfo: not a JSON-RPC answer: invalid character '[' exceeded max depth`,
		"null result":        `icx_getNetworkInfo: has no result`,
		"no preps":           `getPReps 1-100: has no preps`,
		"preps not an array": `getPReps 1-100: not a JSON-RPC answer: has a JSON object for result.preps`,
		"null preps":         `getPReps 1-100: row 1 has "" for its address`,
		"wrong types":        `getPReps 1-100: not a JSON-RPC answer: has a JSON number for result.preps.address`,
		"empty preps":        `lists no P-Rep`,
		"bad height":         `getPReps 1-100: has "latest" for its height`,
		"wrong nid":          `belongs to network "0x2", not "0x1"`,
		"duplicates":         `lists %[1]s twice`,
		"shifting":           `lists %[2]s twice`,
		"unpinned":           `getPReps 101-200: is of height "0x2aea53d", not 0x2aea53f as the first page`,

		"behind":  ``, // for the guard
		"partial": ``,
	}
	for _, fault := range icontest.Faults() {
		t.Run(fault.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := icontest.Generate(150, 1)
				node := icontest.NewNode(network)
				node.Misbehave(fault)
				rules := &rules{networkID: "0x1", ranks: rankRange{1, maxPreps}, allowPrivate: true}
				_, err := testClient(t, node).fetch(t.Context(), rules, resolver{})
				all := addresses(network)
				want := strings.NewReplacer("%[1]s", all[0], "%[2]s", all[99]).Replace(want[fault.Name])
				if err == nil && want != "" || err != nil && err.Error() != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			})
		})
		if _, ok := want[fault.Name]; !ok {
			t.Errorf("no error for %q", fault.Name)
		}
	}
}

// TestForeignAnswers are answers that icontest has no fault for.
func TestForeignAnswers(t *testing.T) {
	const address = `"address":"hx0000000000000000000000000000000000000001"`
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{200, `{"jsonrpc":"2.0","id":2,"result":{}}`, `getPReps 1-100: answers request 2, not 1`},
		{200, `{"jsonrpc":"2.0","id":"1","result":{}}`, `getPReps 1-100: answers request 1, not 1`},
		{200, `{"jsonrpc":"2.0","result":{}}`, `getPReps 1-100: answers request <nil>, not 1`},
		{200, `{"jsonrpc":"2.0","id":1,"result":{}} {}`, `getPReps 1-100: not a JSON-RPC answer: invalid character '{' after top-level value`},
		{200, `[]`, `getPReps 1-100: not a JSON-RPC answer: is a JSON array`},
		{200, `null`, `getPReps 1-100: answers request <nil>, not 1`},
		{400, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Stop\u202eped\n"},"id":1}`, `getPReps 1-100: error -32000: Stopped`},
		{400, `{"jsonrpc":"2.0","id":1,"result":{"blockHeight":"0x1","preps":[]}}`, `getPReps 1-100: HTTP status 400 Bad Request`},
		{400, `<html>`, `getPReps 1-100: HTTP status 400 Bad Request`},
		{400, `{"jsonrpc":"2.0","error":{"code":-30006,"message":"SCOREError(-30006): none"},"id":1}`, `getPReps 1-100: error -30006: SCOREError(-30006): none`},
		{204, ``, `getPReps 1-100: HTTP status 204 No Content`},
		{200, `{"id":1,"result":{"blockHeight":"-0x1","preps":[]}}`, `getPReps 1-100: has "-0x1" for its height`},
		{200, `{"id":1,"result":{"blockHeight":"0x0","preps":[]}}`, `getPReps 1-100: has "0x0" for its height`},
		{200, `{"id":1,"result":{"blockHeight":"0xffffffffffffffffffff","preps":[]}}`, `getPReps 1-100: has "0xffffffffffffffffff" for its height`},
		{200, `{"id":1,"result":{"blockHeight":"0x1","preps":null}}`, `getPReps 1-100: has no preps`},
		{200, `{"id":1,"result":{"blockHeight":"0x1","startRanking":"0x2","preps":[{` + address + `}]}}`, `getPReps 1-100: begins with rank "0x2"`},
		{200, `{"id":1,"result":{"blockHeight":"0x1","preps":[` + strings.Repeat(`{`+address+`},`, 100) + `{}]}}`, `getPReps 1-100: lists 101 P-Reps`},
		{200, `{"id":1,"result":{"blockHeight":"0x1","preps":[{"address":"cx0000000000000000000000000000000000000001"}]}}`, `getPReps 1-100: row 1 has "cx0000000000000000000000000000000000000001" for its address`},
		{200, `{"id":1,"result":{"blockHeight":"0x1","preps":[{"address":"hx000000000000000000000000000000000000000A"}]}}`, `getPReps 1-100: row 1 has "hx000000000000000000000000000000000000000A" for its address`},
	} {
		node := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			io.WriteString(w, tc.body)
		})
		_, err := testClient(t, node).fetch(t.Context(), &rules{ranks: rankRange{1, maxPreps}}, nil)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%.80s:\ngot  %v\nwant %s", tc.body, err, tc.want)
		}
	}
}

// TestEveryRevision reads rows of all shapes: fields come and go.
func TestEveryRevision(t *testing.T) {
	for _, rev := range []icontest.Revision{icontest.ICON1, icontest.IISS3, icontest.BTP2, icontest.IISS4} {
		network := icontest.Generate(150, 1, icontest.WithRevision(rev))
		rules := &rules{networkID: "0x1", ranks: rankRange{1, maxPreps}, allowPrivate: true}
		answer, err := testClient(t, icontest.NewNode(network)).fetch(t.Context(), rules, nil)
		if err != nil || len(answer.Preps) != 150 || len(answer.Refused) != 0 {
			t.Errorf("revision %d: %v, %+v", rev, err, answer)
		}
	}
}

func TestRowToPrep(t *testing.T) {
	got := sortOut(t.Context(), []row{
		{Address: "hx2", NodeAddress: "hx000000000000000000000000000000000000000a", Name: " 서울\u202e노드 ", Country: "kor", City: "부산\n",
			Website: "https://a.example/\x00", P2PEndpoint: "Node.Example.com:00080", Grade: "0x2"},
		{Address: "hx1", NodeAddress: "nobody", Name: "\u3164", P2PEndpoint: "127.0.0.1:7100", Grade: "-0x1"},
		{Address: "hx3", Name: "Hidden {{ . }}", P2PEndpoint: "0.0.0.0:7100"},
		{Address: "hx0", Name: "Wrong", P2PEndpoint: "\x1b[31m:\u202e" + strings.Repeat("x", 100)},
		{Address: "hx4", Name: "Many", P2PEndpoint: "127.0.0.1:7100", Grade: "0x" + strings.Repeat("f", 1000)},
	}, &rules{ranks: rankRange{11, 20}, allowPrivate: true}, nil)
	want := &listing{
		Preps: []prep{
			{Owner: "hx1", Name: "hx1", Host: "127.0.0.1", P2PPort: 7100, Rank: 12},
			{Owner: "hx2", Name: "서울노드", Host: "node.example.com", P2PPort: 80, Rank: 11, Grade: "2", Country: "KOR", City: "부산",
				NodeAddress: "hx000000000000000000000000000000000000000a", Website: "https://a.example/"},
			{Owner: "hx4", Name: "Many", Host: "127.0.0.1", P2PPort: 7100, Rank: 15},
		},
		Refused: []Refusal{
			{Owner: "hx0", Name: "Wrong", Endpoint: "[31m:" + strings.Repeat("x", 59), Reason: ReasonMalformed},
			{Owner: "hx3", Name: "Hidden {{ . }}", Endpoint: "0.0.0.0:7100", Reason: ReasonPrivate, host: "0.0.0.0"},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Refusal{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestErrorsNameNoURL: a path or a query may be a key.
func TestErrorsNameNoURL(t *testing.T) {
	c, err := newClient("http://a.test/api/v3/s3cret?key=s3cret", promconfig.DefaultHTTPClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport = inProcess{}
	_, err = c.fetch(t.Context(), &rules{ranks: rankRange{1, 1}}, nil)
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

func TestSickness(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var s sickness
	var waits []time.Duration
	for range 12 {
		s.failed(now, errRefused)
		waits = append(waits, s.until.Sub(now))
	}
	want := []time.Duration{10e9, 20e9, 40e9, 80e9, 160e9, 320e9, 640e9, 1280e9, 2560e9, 3600e9, 3600e9, 3600e9}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for header, want := range map[string]time.Duration{"120": 2 * time.Minute, "1": 10 * time.Second, "999999999": time.Hour, "-5": 10 * time.Second, "soon": 10 * time.Second} {
		s = sickness{}
		s.failed(now, fmt.Errorf("x: %w", &statusError{code: 503, retryAfter: retryAfter(http.Header{"Retry-After": {header}})}))
		if got := s.until.Sub(now); got != want {
			t.Errorf("Retry-After: %s: waits %s, want %s", header, got, want)
		}
	}
}
