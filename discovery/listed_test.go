package discovery

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadListed(t *testing.T) {
	const a, b = "hx0b047c751658f7ce1b2595da34d57a0e7dad357d", "hx3c58970034d5a923aa95058365450feed28979a2"
	own := appendTargets(nil, "mainnet", []prep{{Owner: a, Name: "Acme"}, {Owner: b, Name: b}}, []Exporter{{Name: "node"}, {Name: "goloop"}})
	for _, test := range []struct {
		name, data, label, network, err string
		preps                           map[string]string
	}{
		{"our own", string(own), "prep", "mainnet", "", map[string]string{a: "Acme", b: b}},
		{"another label", `[{"targets": [], "labels": {"operator": "acme"}}, {"labels": {}}]`, "operator", "", "", map[string]string{"acme": ""}},
		{"none yet", "[]", "prep", "", "", map[string]string{}},
		{"an answer", `{"result": {"preps": [{"address": "` + a + `", "name": "A\u202ecme"}, {"address": "x"}]}}`, "prep", "", "", map[string]string{a: "Acme"}},
		{"its result", `{"preps": [{"address": "` + b + `"}]}`, "operator", "", "", map[string]string{b: ""}},
		{"foreign targets", `[{"targets": ["a:1"]}]`, "prep", "", `no target group has the label "prep"`, nil},
		{"something else", `{"status": "ok"}`, "prep", "", "neither a targets file nor an answer of getPReps: no P-Rep is in it", nil},
		{"no JSON", "a: b", "prep", "", "neither a targets file nor an answer of getPReps: invalid character 'a' looking for beginning of value", nil},
	} {
		l, err := ReadListed([]byte(test.data), test.label)
		said := ""
		if err != nil {
			said = err.Error()
		}
		if said != test.err {
			t.Errorf("%s: %s", test.name, said)
		} else if diff := cmp.Diff(Listed{test.network, test.preps}, l); err == nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
