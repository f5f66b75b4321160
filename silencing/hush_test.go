package silencing

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var hushLabels = []string{"alertname", "severity", "prep", "network", "instance"}

// desk returns one for the house's Alertmanager.
func (h *house) desk() *Desk {
	h.t.Helper()
	d, err := NewDesk(h.options(), HushConfig{Labels: hushLabels})
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *house) options() Options {
	u, err := url.Parse(h.server.URL())
	if err != nil {
		h.t.Fatal(err)
	}
	return Options{AlertmanagerURL: u, Client: &http.Client{Transport: h.wire, Timeout: 10 * time.Second}}
}

// starts posts alerts that fire until they are ended, each written like `alertname=Disk severity=warning`.
func (h *house) starts(alerts ...string) { h.t.Helper(); h.alerts(time.Hour, alerts...) }

// resolve ends alerts.
func (h *house) resolve(alerts ...string) { h.t.Helper(); h.alerts(0, alerts...) }

func (h *house) alerts(left time.Duration, alerts ...string) {
	h.t.Helper()
	now := time.Now()
	var body []map[string]any
	for _, a := range alerts {
		body = append(body, map[string]any{"labels": labelsOf(a), "startsAt": now.Add(-time.Hour), "endsAt": now.Add(left)})
	}
	h.person("POST", "alerts", body)
}

func labelsOf(alert string) map[string]string {
	labels := make(map[string]string)
	for pair := range strings.FieldsSeq(alert) {
		name, value, _ := strings.Cut(pair, "=")
		labels[name] = value
	}
	return labels
}

// named returns alerts as they are written for starts, sorted.
func named(alerts []FiringAlert) []string {
	list := []string{}
	for _, a := range alerts {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
			pairs = append(pairs, name+"="+a.Labels[name])
		}
		list = append(list, strings.Join(pairs, " "))
	}
	slices.Sort(list)
	return list
}

// silenced returns the alerts that are silenced.
func (h *house) silenced() []string {
	h.t.Helper()
	alerts, err := h.desk().Firing(h.t.Context(), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return named(slices.DeleteFunc(alerts, func(a FiringAlert) bool { return len(a.SilencedBy) == 0 }))
}

func (h *house) equal(what string, got, want any) {
	h.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		h.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

const (
	disk         = "alertname=Disk instance=a1 network=mainnet prep=alpha severity=warning"
	diskOne      = "alertname=Disk device=sda instance=a1 network=mainnet prep=alpha severity=warning"
	diskTwo      = "alertname=Disk device=sdb instance=a1 network=mainnet prep=alpha severity=warning"
	diskCritical = "alertname=Disk device=sda instance=a1 network=mainnet prep=alpha severity=critical"
	diskOther    = "alertname=Disk device=sda instance=b1 network=mainnet prep=beta severity=warning"
	diskNobodys  = "alertname=Disk severity=warning"
)

func request(change func(*HushRequest)) HushRequest {
	r := HushRequest{
		Labels: map[string]string{"alertname": "Disk", "prep": "alpha", "severity": "warning"},
		For:    2 * time.Hour, Scope: "alpha", By: "Alpha Validators", Comment: "new disk on Monday",
	}
	if change != nil {
		change(&r)
	}
	return r
}

func TestHush(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne, diskTwo, diskCritical, diskOther, diskNobodys)
		d := h.desk()
		for range 20 {
			p, err := d.Propose(t.Context(), request(nil))
			if err != nil {
				t.Fatal(err)
			}
			h.equal("alerts", named(p.Alerts), []string{diskOne, diskTwo})
			h.equal("sounding", named(p.Sounding), []string{diskCritical})
			if len(p.Hushes) != 1 || p.Hushes[0].ID != "" || p.Hushes[0].Alerts != 2 || len(p.Also) > 0 {
				t.Errorf("proposal is %+v", p)
			}
		}
		if len(h.wire.writes) > 0 {
			t.Errorf("a proposal writes %q", h.wire.writes)
		}

		made, err := d.Hush(t.Context(), request(nil))
		if err != nil || len(made) != 1 || made[0].ID == "" {
			t.Fatalf("%+v, %v", made, err)
		}
		h.equal("silenced", h.silenced(), []string{diskOne, diskTwo})
		list := h.list()
		s := list[0]
		if len(list) != 1 || s.ID != made[0].ID || s.CreatedBy != "Alpha Validators" || !strings.HasPrefix(s.Comment, "new disk on Monday [stoker:ack/alpha@") {
			t.Errorf("silences are %+v", list)
		}
		h.equal("matchers", texts(s.Matchers), []string{`alertname="Disk"`, `severity="warning"`, `prep="alpha"`, `network="mainnet"`, `instance="a1"`})

		// Again: the same silence, until later, and never until earlier.
		for _, again := range []struct {
			change    func(*HushRequest)
			left      time.Duration
			untilDone bool
		}{
			{func(r *HushRequest) { r.For = 8 * time.Hour }, 8 * time.Hour, false},
			{func(r *HushRequest) { r.For = time.Hour }, 8 * time.Hour, false},
			{func(r *HushRequest) { r.For, r.UntilResolved = 0, true }, lease, true},
			{func(r *HushRequest) { r.For, r.Comment = 30*time.Minute, "" }, 30 * time.Minute, false},
		} {
			p, err := d.Propose(t.Context(), request(again.change))
			if err != nil || len(p.Hushes) != 1 || p.Hushes[0].ID != s.ID {
				t.Fatalf("%+v, %v", p, err)
			}
			got, err := d.Hush(t.Context(), request(again.change))
			if err != nil || len(got) != 1 || got[0].ID != s.ID {
				t.Fatalf("%+v, %v", got, err)
			}
			list := h.list()
			if len(list) != 1 || list[0].ID != s.ID || !list[0].StartsAt.Equal(s.StartsAt) || !strings.HasPrefix(list[0].Comment, "new disk on Monday [") {
				t.Errorf("silences are %+v", list)
			}
			if left := time.Until(list[0].EndsAt); left > again.left || left < again.left-time.Minute {
				t.Errorf("ends in %s, want %s", left, again.left)
			}
			hushes, err := d.Hushes(t.Context())
			if err != nil || len(hushes) != 1 || hushes[0].UntilResolved != again.untilDone || hushes[0].Alerts != 2 || hushes[0].Comment != "new disk on Monday" {
				t.Errorf("%+v, %v", hushes, err)
			}
		}

		// Of another contact, it is another one.
		other, err := d.Hush(t.Context(), request(func(r *HushRequest) { r.Scope = "beta" }))
		if err != nil || len(h.list()) != 2 || other[0].ID == s.ID {
			t.Fatalf("%+v, %v", other, err)
		}

		if _, err := d.End(t.Context(), s.ID, "Beta", func(h Hush) bool { return h.Scope == "beta" }); !errors.Is(err, ErrNoHush) {
			t.Errorf("somebody else's: %v", err)
		}
		ended, err := d.End(t.Context(), s.ID[:13], "bo", func(h Hush) bool { return h.Scope == "alpha" })
		if err != nil || ended.ID != s.ID {
			t.Errorf("%+v, %v", ended, err)
		}
		if _, err := d.End(t.Context(), s.ID, "bo", nil); !errors.Is(err, ErrNoHush) {
			t.Errorf("ended twice: %v", err)
		}
		if _, err := d.End(t.Context(), other[0].ID, "", nil); err != nil {
			t.Error(err)
		}
		h.equal("silenced", h.silenced(), []string{})
		for _, s := range h.list() {
			m, text, _ := parseMark(s.Comment)
			want := map[string]string{"alpha": "new disk on Monday (undone by bo)", "beta": "new disk on Monday"}[m.rule]
			if s.Status.State != stateExpired || m.ended != undoneBy || text != want {
				t.Errorf("silence is %+v", s)
			}
		}

		// What is over is not taken up again.
		again, err := d.Hush(t.Context(), request(nil))
		if err != nil || len(h.list()) != 3 || again[0].ID == s.ID {
			t.Errorf("%+v, %v", again, err)
		}
	})
}
