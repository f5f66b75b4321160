package twilio_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/routing/twilio"
	"github.com/stoker-project/stoker/routing/twiliotest"
)

// What is said in a call is said in the contact's language, and nothing in an alert becomes a part of the document.
func TestSaid(t *testing.T) {
	for language, want := range map[string]string{
		"":      "2 alerts are firing. critical. 1 Node Down, 1 Disk Full. Acme Validators. The node doesn’t answer",
		"de-DE": "2 Alarme sind ausgelöst. critical. 1 Node Down, 1 Disk Full. Acme Validators. The node doesn’t answer",
		"ko-KR": "경보 2건이 발생했습니다. critical. 1 Node Down, 1 Disk Full. Acme Validators. The node doesn’t answer",
		"fi-FI": "2 alerts are firing. critical. 1 Node Down, 1 Disk Full. Acme Validators. The node doesn’t answer",
	} {
		r := newRig(t)
		r.phone.Language = language
		r.post("/voice/acme/oncall", group(2, "firing"))
		texts, languages := r.twilio.Requests()[0].Said()
		if language == "" {
			language = "en-US"
		}
		if diff := cmp.Diff([]string{want, want}, texts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", language, diff)
		}
		if diff := cmp.Diff([]string{language, language}, languages); diff != "" {
			t.Errorf("%s (-want +got):\n%s", language, diff)
		}
	}

	r := newRig(t)
	w := group(1, "firing")
	w.CommonLabels["prep_name"] = `</Say><Dial>+33639980000</Dial><Say language="`
	w.Alerts[0].Annotations["summary"] = "<Play>https://evil.example/</Play>]]> &amp;\x00\u202e\n\"x\""
	if status := r.post("/voice/acme/oncall", w); status != 200 {
		t.Fatal(status)
	}
	texts, _ := r.twilio.Requests()[0].Said()
	want := `One alert is firing. critical. Node Down. </Say><Dial>+33639980000</Dial><Say language=". <Play>https://evil.example/</Play>]]> &amp; "x"`
	if diff := cmp.Diff([]string{want, want}, texts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLanguage(t *testing.T) {
	for tag, want := range map[string]string{
		"en": "en-US", "de": "de-DE", "de-AT": "de-DE", "DE-de": "de-DE", "pt-BR": "pt-BR", "pt": "pt-PT", "zh": "zh-CN",
		"ko": "ko-KR", "no": "nb-NO", "tlh": "", "d": "", "": "", "-": "",
	} {
		if got, ok := twilio.Language(tag); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", tag, got, ok)
		}
	}
	if !slices.IsSorted(twilio.Languages()) {
		t.Error("the languages are not in order")
	}
}

// A text message is sent in three parts at most, whatever the alphabet.
func TestSegments(t *testing.T) {
	for name, test := range map[string]struct {
		summary string
		units   int // of the body, at most
		ends    string
	}{
		"short alphabet": {strings.Repeat("a", 1000), 459, "aaa..."},
		"two a sign":     {strings.Repeat("€", 1000), 459, "€€€..."},
		"other alphabet": {strings.Repeat("경", 1000), 201, "경경경..."},
		"beyond it":      {strings.Repeat("🔥", 1000), 201, "🔥🔥🔥..."},
		"fits":           {"It burns.", 459, "It burns."},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w := group(1, "firing")
			w.Alerts[0].Annotations["summary"] = test.summary
			w.CommonLabels["prep_name"] = strings.Repeat("n", 200)
			w.Alerts[0].Labels["alertname"] = strings.Repeat("A", 500)
			if status := r.post("/sms/acme/oncall", w); status != 200 {
				t.Fatal(status)
			}
			body := r.twilio.Requests()[0].Body
			units := 0
			for _, c := range body {
				switch {
				case c == '€' || c > 0xffff:
					units += 2
				default:
					units++
				}
			}
			if units > test.units || !strings.HasSuffix(body, test.ends) {
				t.Errorf("%d units: %s", units, body)
			}
		})
	}
}

// Whatever an alert says, Twilio takes what is made of it.
func FuzzWords(f *testing.F) {
	f.Add("NodeDown", "critical", "Acme", "It burns", 3)
	f.Add("", "", "", "", 0)
	f.Add("\x00\xff", "]]>", "<Say>", strings.Repeat("&", 2000), 100000)
	f.Add(strings.Repeat("\"", 200), "", strings.Repeat("\"", 200), strings.Repeat("\"", 500), 3)
	f.Add("🔥\ufffe", "{{", "\u2028", strings.Repeat("<", 500), 1)
	f.Fuzz(func(t *testing.T, name, severity, who, summary string, more int) {
		r := newRig(t)
		w := group(2, "firing")
		w.TruncatedAlerts = max(more, 0)
		w.CommonLabels["prep_name"] = who
		for i := range w.Alerts {
			w.Alerts[i].Labels = map[string]string{"alertname": name + fmt.Sprint(i), "severity": severity}
			w.Alerts[i].Annotations = map[string]string{"summary": summary}
		}
		for _, path := range []string{"/sms/acme/oncall", "/voice/acme/oncall"} {
			if status := r.post(path, w); status != 200 {
				t.Errorf("%s: %d %s", path, status, r.answers)
			}
		}
		requests := r.twilio.Requests()
		if len(requests) != 2 {
			t.Fatalf("%d requests", len(requests))
		}
		if n := utf8.RuneCountInString(requests[0].Body); n > 3*153 {
			t.Errorf("%d characters", n)
		}
		if texts, _ := requests[1].Said(); len(texts) != 2 || texts[0] != texts[1] || texts[0] == "" {
			t.Errorf("said: %q", texts)
		}
		if requests[0].Resource != twiliotest.Messages || requests[1].Resource != twiliotest.Calls {
			t.Errorf("%+v", requests)
		}
	})
}
