package routing

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	amwebhook "github.com/prometheus/alertmanager/notify/webhook"
	amtemplate "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	yamlv2 "gopkg.in/yaml.v2"
)

// A payload is for an Alertmanager that sends it as it stands.
func TestPayloadVersion(t *testing.T) {
	site := phoneSite(webhookConfig())
	c := parse(t, "acme.yml", phoneContact, site)
	const at = "acme.yml:8:3: "
	for version, want := range map[string]string{
		"":           at + "phone by webhook needs Alertmanager 0.34 or newer, and it isn't known which one runs: alertmanager.version in stoker.yml can say it (and 1 more errors)",
		"0.27.0":     at + "phone by webhook needs Alertmanager 0.34 or newer, 0.27.0 runs (and 1 more errors)",
		"0.33.9":     at + "phone by webhook needs Alertmanager 0.34 or newer, 0.33.9 runs (and 1 more errors)",
		"0.34.0":     "",
		"0.34.0-rc1": "",
		"1.0.0":      "",
	} {
		if _, rejected := mergeAs(t, version, phoneBase, site, c); rejected != want {
			t.Errorf("%s: %s", version, rejected)
		}
	}
}

// What Alertmanager's own notifier makes of a payload is JSON in which every text is one, whatever an alert says.
func TestPayload(t *testing.T) {
	for name, summary := range map[string]string{
		"plain":   "It burns",
		"hostile": "\"}, \"to\": \"+441\" # ' \\ {{ .Status }} <b>& \x7f\u2028\u0085\ufffe\U0001f525: - yes\n\ttab",
		"long":    strings.Repeat("경", 5000),
		"yaml":    "value:",
		"empty":   "",
	} {
		t.Run(name, func(t *testing.T) {
			var got []map[string]any
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				var body map[string]any
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				got = append(got, body)
			}))
			defer server.Close()
			c := webhookConfig()
			c.BasicAuth = nil
			site := phoneSite(c)
			acme := parse(t, "acme.yml", phoneContact, site)
			merged, _ := mergeAs(t, "0.34.2", phoneBase, site, acme)
			for _, r := range loadFile(t, []byte(merged)).Receivers {
				for _, conf := range r.WebhookConfigs {
					notifyAt(t, conf, server.URL, summary)
				}
			}
			if len(got) != 3 {
				t.Fatalf("%d requests", len(got))
			}
			text, _ := got[0]["body"].(string)
			if !strings.HasPrefix(text, "FIRING: 2 DiskFull, NodeDown (Acme)") || len([]rune(text)) > 300 || strings.Contains(text, "<no value>") {
				t.Errorf("text %q", text)
			}
			if summary == "It burns" && text != "FIRING: 2 DiskFull, NodeDown (Acme): It burns" {
				t.Errorf("text %q", text)
			}
			want := []map[string]any{
				{"to": []any{mobileNumber}, "body": text},
				{"to": []any{londonNumber}, "body": text},
				{"method": "tts", "tts": map[string]any{
					"to":     map[string]any{"type": "number", "endpoint": londonNumber},
					"locale": "de-DE", "text": "Alarm: " + text + `. Bye "<&>".`, "volume": 1.5, "big": 12345678901234567890.0, "none": nil}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// notifyAt sends two alerts as Alertmanager does, to another URL.
func notifyAt(t *testing.T, conf *amwebhook.WebhookConfig, to, summary string) {
	t.Helper()
	tmpl, err := amtemplate.FromGlobs(nil)
	if err != nil {
		t.Fatal(err)
	}
	if tmpl.ExternalURL, err = url.Parse("http://alertmanager.example"); err != nil {
		t.Fatal(err)
	}
	here := *conf
	if err := yamlv2.Unmarshal([]byte(to), &here.URL); err != nil {
		t.Fatal(err)
	}
	n, err := amwebhook.New(&here, tmpl, promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	ctx := notify.WithGroupKey(t.Context(), "key")
	ctx = notify.WithReceiverName(ctx, "contact/acme/oncall")
	var alerts []*alert.Alert
	for _, name := range []string{"DiskFull", "NodeDown"} {
		alerts = append(alerts, &alert.Alert{Alert: model.Alert{
			Labels:      model.LabelSet{"alertname": model.LabelValue(name), "prep": "hx1", "prep_name": "Acme"},
			Annotations: model.LabelSet{"summary": model.LabelValue(summary)},
			StartsAt:    time.Now().Add(-time.Minute), EndsAt: time.Now().Add(time.Hour),
		}})
	}
	if _, err := n.Notify(ctx, alerts...); err != nil {
		t.Error(err)
	}
}

// What an earlier release does by a payload goes on where nobody can say which Alertmanager runs, as in an init container.
func TestPayloadIsHeld(t *testing.T) {
	h := newHouse(t)
	h.opts.Phone = webhookConfig()
	h.restart()
	h.write("contacts/acme.yml", phoneContact)
	h.sync()
	publish := func(version string) []byte {
		t.Helper()
		files, err := h.agent.Generate(t.Context(), Source{Base: h.base, Live: h.live, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		live := fstest.MapFS{}
		for name, data := range files {
			live[name] = &fstest.MapFile{Data: data}
		}
		h.live = live
		return files[MainFile]
	}
	before := publish("0.34.2")
	h.restart()
	if after := publish(""); string(after) != string(before) {
		t.Errorf("(-before +after):\n%s", cmp.Diff(string(before), string(after)))
	}
}
