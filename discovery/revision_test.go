package discovery

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// TestRowOfEveryRevision has one row as each node implementation and revision
// writes it, and some as none does yet.
func TestRowOfEveryRevision(t *testing.T) {
	const common = `"address":"` + ownerA + `","nodeAddress":"` + ownerB + `","name":"Acme","country":"kor","city":"Seoul","email":"noc@acme.example",` +
		`"website":"https://acme.example","details":"https://acme.example/details.json","p2pEndpoint":"8.8.8.8:7100","status":"0x0","penalty":"0x0",` +
		`"grade":"0x1","delegated":"0x1bc16d674ec80000","irep":"0x21e19e0c9bab2400000","irepUpdateBlockHeight":"0x7","totalBlocks":"0x64","validatedBlocks":"0x63"`
	want := prep{Owner: ownerA, Name: "Acme", Host: "8.8.8.8", P2PPort: 7100, Rank: 1, Grade: "1", Country: "KOR", City: "Seoul", NodeAddress: ownerB, Website: "https://acme.example"}
	bare := prep{Owner: ownerA, Name: ownerA, Host: "8.8.8.8", P2PPort: 7100, Rank: 1}
	with := func(change func(*prep)) prep { p := want; change(&p); return p }
	for _, tc := range []struct {
		name, row string
		want      prep
	}{
		{"ICON1", common + `,"stake":"0x1bc16d674ec80000","unvalidatedSequenceBlocks":"0x0","lastGenerateBlockHeight":"-0x1","blockHeight":"0x9","txIndex":"0x0"`, want},
		{"goloop, revision 13 to 20", common + `,"bonded":"0x0","power":"0x0","lastHeight":"0x20"`, want},
		{"goloop, revision 21 to 23", common + `,"bonded":"0x0","power":"0x0","lastHeight":"0x20","hasPublicKey":"0x1"`, want},
		{"goloop, revision 25, IISS4", common + `,"bonded":"0x1","power":"0x2","lastHeight":"0x20","hasPublicKey":"0x1","jailFlags":"0x1","unjailRequestHeight":"0x0",` +
			`"minDoubleSignHeight":"0x0","commissionRate":"0x64","maxCommissionRate":"0x7d0","maxCommissionChangeRate":"0xa"`, want},
		{"fields that nobody knows", common + `,"moon":"0x1","orbit":{"a":[1,{"b":null}],"c":-1e99},"list":[[[]]],"yes":true,"none":null`, want},
		{"values past the known ones", strings.NewReplacer(`"grade":"0x1"`, `"grade":"0x7f"`, `"penalty":"0x0"`, `"penalty":"0x99"`, `"status":"0x0"`, `"status":"0x3"`).Replace(common),
			with(func(p *prep) { p.Grade = "127" })},
		{"numbers of any size", strings.NewReplacer(`"grade":"0x1"`, `"grade":"-0x1"`, `"delegated":"0x1bc16d674ec80000"`, `"delegated":"0x`+strings.Repeat("f", 500)+`"`).Replace(common),
			with(func(p *prep) { p.Grade = "" })},
		{"null fields", `"address":"` + ownerA + `","nodeAddress":null,"name":null,"country":null,"city":null,"website":null,"grade":null,"p2pEndpoint":"8.8.8.8:7100"`, bare},
		{"the least", `"address":"` + ownerA + `","p2pEndpoint":"8.8.8.8:7100"`, bare},
		{"misspelt, as in goloop's documentation", strings.NewReplacer(`"details"`, `"detailes"`, `"irepUpdateBlockHeight"`, `"irepUpdatedBlockHeight"`).Replace(common), want},
	} {
		body := `{"jsonrpc":"2.0","result":{"blockHeight":"0x20","startRanking":"0x1","totalDelegated":"0x0","totalStake":"0x0","preps":[{` + tc.row + `}]},"id":1}`
		got, err := testClient(t, answering(200, []byte(body))).fetch(t.Context(), &rules{ranks: rankRange{1, maxPreps}}, nil)
		if err != nil || len(got.Preps) != 1 {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got.Preps[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestProgress: who waits for thousands of P-Reps from a slow API sees how far it
// is; a fast one says nothing.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		node := icontest.NewNode(icontest.Generate(950, 1))
		node.Misbehave(icontest.Slow(4 * time.Second))
		mustSync(t, testAgent(t, t.TempDir(), testNetwork(1), Options{Logger: logger}, node), true)
		const want = `level=INFO msg="still asking for P-Reps" network=testnet endpoint=a.test ranks=1-300 pages=3 for=12s
level=INFO msg="still asking for P-Reps" network=testnet endpoint=a.test ranks=1-600 pages=6 for=24s
level=INFO msg="still asking for P-Reps" network=testnet endpoint=a.test ranks=1-900 pages=9 for=36s
`
		got, _, found := strings.Cut(log.String(), "level=INFO msg=\"targets changed\"")
		if diff := cmp.Diff(want, got); diff != "" || !found {
			t.Errorf("(-want +got):\n%s", diff)
		}

		log.Reset()
		node.Behave()
		mustSync(t, testAgent(t, t.TempDir(), testNetwork(1), Options{Logger: logger}, node), true)
		if strings.Contains(log.String(), "still asking") {
			t.Errorf("got %s", &log)
		}
	})
}
