package discovery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"github.com/stoker-project/stoker/discovery/icontest"
)

const (
	ownerA = "hx000000000000000000000000000000000000000a"
	ownerB = "hx000000000000000000000000000000000000000b"
)

func TestTargetsFile(t *testing.T) {
	preps := []prep{
		{Owner: ownerA, Name: `Nest { "You" \ We }`, Host: "8.8.8.8", P2PPort: 7100, Rank: 1, Grade: "0", Country: "KOR", City: "서울",
			NodeAddress: ownerB, Website: "https://a.example/?a=b&c=<d>"},
		{Owner: ownerB, Name: "Bare", Host: "node.example.com", P2PPort: 7200, Rank: 200},
	}
	got := string(appendTargets(nil, "mainnet", preps, testNetwork(1).Exporters))
	const want = `[
{"targets":["8.8.8.8:9000"],"labels":{"exporter":"goloop","network":"mainnet","prep":"hx000000000000000000000000000000000000000a","prep_name":"Nest { \"You\" \\ We }","__meta_icon_rank":"1","__meta_icon_grade":"0","__meta_icon_country":"KOR","__meta_icon_city":"서울","__meta_icon_node_address":"hx000000000000000000000000000000000000000b","__meta_icon_p2p_host":"8.8.8.8","__meta_icon_p2p_port":"7100","__meta_icon_website":"https://a.example/?a=b&c=<d>","__scheme__":"http","__metrics_path__":"/metrics"}},
{"targets":["8.8.8.8:9100"],"labels":{"exporter":"node","network":"mainnet","prep":"hx000000000000000000000000000000000000000a","prep_name":"Nest { \"You\" \\ We }","__meta_icon_rank":"1","__meta_icon_grade":"0","__meta_icon_country":"KOR","__meta_icon_city":"서울","__meta_icon_node_address":"hx000000000000000000000000000000000000000b","__meta_icon_p2p_host":"8.8.8.8","__meta_icon_p2p_port":"7100","__meta_icon_website":"https://a.example/?a=b&c=<d>","__scheme__":"https","__metrics_path__":"/node/metrics"}},
{"targets":["node.example.com:9000"],"labels":{"exporter":"goloop","network":"mainnet","prep":"hx000000000000000000000000000000000000000b","prep_name":"Bare","__meta_icon_rank":"200","__meta_icon_p2p_host":"node.example.com","__meta_icon_p2p_port":"7200","__scheme__":"http","__metrics_path__":"/metrics"}},
{"targets":["node.example.com:9100"],"labels":{"exporter":"node","network":"mainnet","prep":"hx000000000000000000000000000000000000000b","prep_name":"Bare","__meta_icon_rank":"200","__meta_icon_p2p_host":"node.example.com","__meta_icon_p2p_port":"7200","__scheme__":"https","__metrics_path__":"/node/metrics"}}
]
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := loads([]byte(got), 4); err != nil {
		t.Error(err)
	}
	back, err := parseTargets([]byte(got), false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&targetsFile{preps, map[string]int{"goloop": 2, "node": 2}}, back, cmp.AllowUnexported(targetsFile{})); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// loads checks a targets file as Prometheus' file_sd does, and more: the number
// of groups, one valid target and valid labels in each.
func loads(data []byte, want int) error {
	var groups []*targetgroup.Group
	if err := json.Unmarshal(data, &groups); err != nil {
		return err
	}
	if len(groups) != want {
		return fmt.Errorf("%d groups, want %d", len(groups), want)
	}
	for i, g := range groups {
		if g == nil || len(g.Targets) != 1 {
			return fmt.Errorf("group %d: %v", i, g)
		}
		address := string(g.Targets[0][model.AddressLabel])
		if strings.ContainsAny(address, "/ \n") || strings.Count(address, ":") != 1 {
			return fmt.Errorf("group %d: target %q", i, address)
		}
		for name, value := range g.Labels {
			if !model.LegacyValidation.IsValidLabelName(string(name)) || !value.IsValid() || value == "" {
				return fmt.Errorf("group %d: label %q=%q", i, name, value)
			}
		}
		for _, name := range []model.LabelName{labelNetwork, labelPrep, labelPrepName, labelExporter, labelScheme, labelMetricsPath} {
			if g.Labels[name] == "" {
				return fmt.Errorf("group %d: no label %q", i, name)
			}
		}
	}
	return nil
}

func TestParseTargetsOfOthers(t *testing.T) {
	group := func(host, owner string) string {
		return `{"targets":["x"],"labels":{"exporter":"e","prep":"` + owner + `","__meta_icon_p2p_host":"` + host + `","__meta_icon_p2p_port":"1"}}`
	}
	for _, tc := range []struct {
		name, data string
		want       string
		preps      int
	}{
		{"not json", `[`, "unexpected end of JSON input", 0},
		{"not a list", `{}`, "json: cannot unmarshal object into Go value of type []struct { Labels map[string]string \"json:\\\"labels\\\"\" }", 0},
		{"empty", `[]`, "", 0},
		{"null", `null`, "", 0},
		{"hand-written", `[{"targets":["a:1"],"labels":{"job":"x"}}]`, errForeign.Error(), 0},
		{"without labels", `[{"targets":["a:1"]}]`, errForeign.Error(), 0},
		{"partly ours", `[{"targets":["a:1"]},` + group("8.8.8.8", ownerA) + `]`, "", 1},
		{"twice", `[` + group("8.8.8.8", ownerA) + `,` + group("9.9.9.9", ownerA) + `]`, "", 1},
		{"private host", `[` + group("10.0.0.1", ownerA) + `,` + group("8.8.8.8", ownerB) + `]`, "", 1},
		{"only private hosts", `[` + group("10.0.0.1", ownerA) + `]`, "", 0},
		{"hostile host", `[` + group("a/b", ownerA) + `]`, "", 0},
		{"no owner", `[` + group("8.8.8.8", "hx1") + `]`, errForeign.Error(), 0},
	} {
		got, err := parseTargets([]byte(tc.data), false)
		if tc.want != "" && (err == nil || err.Error() != tc.want) || tc.want == "" && (err != nil || len(got.preps) != tc.preps) {
			t.Errorf("%s: %v, %v, want %d P-Reps, %q", tc.name, got, err, tc.preps, tc.want)
		}
	}
}

func TestSharedEndpoints(t *testing.T) {
	got := sharedEndpoints([]prep{
		{Owner: "hx1", Host: "a", P2PPort: 1}, {Owner: "hx2", Host: "a", P2PPort: 2},
		{Owner: "hx3", Host: "b", P2PPort: 1}, {Owner: "hx4", Host: "a", P2PPort: 1},
	})
	if diff := cmp.Diff([]string{"a:1: hx1, hx4"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzAnswer feeds a result of getPReps all the way into a targets file, which
// Prometheus' own file_sd must load, with a group for everybody's exporters, and
// which must be the same after it was read back.
func FuzzAnswer(f *testing.F) {
	for _, rev := range []icontest.Revision{icontest.ICON1, icontest.IISS4} {
		var answer []byte
		network := icontest.Generate(12, 1, icontest.WithRevision(rev), icontest.WithHostnames(2))
		for _, p := range network.PReps() {
			row, err := json.Marshal(p)
			if err != nil {
				f.Fatal(err)
			}
			answer = append(append(answer, ','), row...)
		}
		f.Add(200, []byte(`{"jsonrpc":"2.0","id":1,"result":{"blockHeight":"0x10","startRanking":"0x1","preps":[`+string(answer[1:])+`]}}`), true)
	}
	const hostile = `{"id":1,"result":{"blockHeight":"0x1","preps":[{"address":"` + ownerA + `","name":%q,"city":%q,"website":%q,"p2pEndpoint":%q}]}}`
	f.Add(200, fmt.Appendf(nil, hostile, "{{ . }}", "- a: *b", "\\u0000", "8.8.8.8:1"), false)
	f.Add(200, fmt.Appendf(nil, hostile, `"`, `\`, "</script>", "a.b.com:00001"), false)
	f.Add(400, []byte(`{"id":1,"error":{"code":-30006}}`), false)
	f.Add(503, []byte(`<html>`), false)
	exporters := testNetwork(1).Exporters
	f.Fuzz(func(t *testing.T, status int, body []byte, private bool) {
		if status < 200 || status > 599 {
			return
		}
		c := &client{url: "http://a.test/api/v3", host: "a.test", http: &http.Client{Transport: inProcess{"a.test": answering(status, body)}}}
		rules := &rules{ranks: rankRange{1, 10}, allowPrivate: private}
		answer, err := c.fetch(t.Context(), rules, resolver{"a.b.com": {"8.8.8.8"}})
		if err != nil || len(answer.Preps) == 0 {
			return
		}
		data := appendTargets(nil, "testnet", answer.Preps, exporters)
		if err := loads(data, len(answer.Preps)*len(exporters)); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		groups, err := fileSD(t, data)
		if err != nil || len(groups) != len(answer.Preps)*len(exporters) {
			t.Fatalf("Prometheus reads %d groups, %v of %s", len(groups), err, data)
		}
		for i, g := range groups {
			if owner := answer.Preps[i/len(exporters)].Owner; string(g.Labels[labelPrep]) != owner || len(g.Targets) != 1 {
				t.Fatalf("Prometheus reads %s as %v", owner, g)
			}
		}
		back, err := parseTargets(data, private)
		if err != nil {
			t.Fatal(err)
		}
		if again := appendTargets(nil, "testnet", back.preps, exporters); string(again) != string(data) {
			t.Fatalf("read back and written again:\n%s", cmp.Diff(string(data), string(again)))
		}
	})
}

func answering(status int, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write(body)
	})
}
