package silencing

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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

func TestHushRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne, diskCritical, diskOther, "prep=alpha severity=warning")
		many := make([]string, maxHushes+1)
		for i := range many {
			many[i] = fmt.Sprintf("alertname=Many prep=alpha instance=i%d", i)
		}
		h.starts(many...)
		d := h.desk()
		for name, test := range map[string]struct {
			change func(*HushRequest)
			want   string
		}{
			"nothing fires":      {func(r *HushRequest) { r.Labels["prep"] = "gamma" }, "no alert like that fires now"},
			"no name":            {func(r *HushRequest) { r.Labels = map[string]string{"prep": "alpha", "alertname": ""} }, "no alert like that fires now"},
			"of nobody":          {func(r *HushRequest) { r.Receiver = func(string) bool { return false } }, "no alert like that fires now"},
			"too long":           {func(r *HushRequest) { r.For = 24*time.Hour + time.Second }, "longer than allowed: 1d1s, the limit is 1d"},
			"too many":           {func(r *HushRequest) { r.Labels = map[string]string{"alertname": "Many"} }, "too many different alerts: it would take 21 silences, the limit is 20"},
			"no labels":          {func(r *HushRequest) { r.Labels = nil }, "not a request to hush: it names no label"},
			"no end":             {func(r *HushRequest) { r.For = 0 }, "not a request to hush: it must be for whole seconds or until resolved"},
			"two ends":           {func(r *HushRequest) { r.UntilResolved = true }, "not a request to hush: it must be for whole seconds or until resolved"},
			"in the past":        {func(r *HushRequest) { r.For = -time.Hour }, "not a request to hush: it must be for whole seconds or until resolved"},
			"part of a second":   {func(r *HushRequest) { r.For = time.Millisecond }, "not a request to hush: it must be for whole seconds or until resolved"},
			"nobody":             {func(r *HushRequest) { r.By = " \n" }, "not a request to hush: it doesn't say by whom"},
			"scope":              {func(r *HushRequest) { r.Scope = "a/b" }, `not a request to hush: scope "a/b" must be the name of a contact`},
			"scope of the shell": {func(r *HushRequest) { r.Scope = "_other" }, `not a request to hush: scope "_other" must be the name of a contact`},
		} {
			if p, err := d.Propose(t.Context(), request(test.change)); err == nil || err.Error() != test.want {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
			if made, err := d.Hush(t.Context(), request(test.change)); err == nil || err.Error() != test.want {
				t.Errorf("%s: %+v, %v", name, made, err)
			}
		}
		if _, err := d.End(t.Context(), "", "", nil); !errors.Is(err, ErrNoHush) {
			t.Error(err)
		}
		byHand := h.personPosts(Silence{
			Matchers: []Matcher{alertA}, StartsAt: h.now, EndsAt: h.now.Add(time.Hour), CreatedBy: "bo", Comment: "mine",
		})
		if _, err := d.End(t.Context(), byHand, "", nil); !errors.Is(err, ErrNoHush) {
			t.Error(err)
		}
		if len(h.wire.writes) > 0 {
			t.Errorf("writes %q", h.wire.writes)
		}
	})
}

// Alertmanager gets nothing from a request that looks like another silence's.
func TestHushTexts(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne)
		d := h.desk()
		made, err := d.Hush(t.Context(), request(func(r *HushRequest) {
			r.By = "stoker/team\n"
			r.Comment = "a\nb [stoker:team/r@once#12345678] \x1b[31m" + strings.Repeat("ü", 2000)
		}))
		if err != nil {
			t.Fatal(err)
		}
		s := h.list()[0]
		if s.CreatedBy != "person stoker/team" || !strings.HasPrefix(s.Comment, `a b [stoker team/r@once#12345678] \x1b[31mü`) || len(s.Comment) > 1200 {
			t.Errorf("silence is %+v", s)
		}
		if hushes, err := d.Hushes(t.Context()); err != nil || len(hushes) != 1 || hushes[0].ID != made[0].ID {
			t.Errorf("%+v, %v", hushes, err)
		}
		// The file's agent has nothing to do with it.
		h.write("silences: []\n")
		h.noWrites("somebody hushes")
	})
}

// Two that were made at the same moment, each at its own Alertmanager, end together.
func TestEndOfTwins(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne)
		d := h.desk()
		if _, err := d.Hush(t.Context(), request(nil)); err != nil {
			t.Fatal(err)
		}
		first := h.list()[0]
		twin := first
		twin.ID, twin.StartsAt = "", time.Now()
		second := h.personPosts(twin)
		mine := first
		mine.ID, mine.CreatedBy = "", "bo"
		byHand := h.personPosts(mine)
		made, err := d.Hush(t.Context(), request(func(r *HushRequest) { r.For = 3 * time.Hour }))
		if err != nil || len(made) != 1 || made[0].ID != first.ID && made[0].ID != second {
			t.Errorf("%+v, %v", made, err)
		}
		if _, err := d.End(t.Context(), first.ID, "", nil); err != nil {
			t.Fatal(err)
		}
		for _, s := range h.list() {
			if (s.Status.State == stateActive) != (s.ID == byHand) {
				t.Errorf("silence is %+v", s)
			}
		}
	})
}

// What an alert lacks, all that is silenced lacks: nobody hushes the alerts of others by one that is nobody's.
func TestHushOfWhatIsLacking(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		const plain = "alertname=Disk network=mainnet"
		h.starts(plain, plain+" severity=warning", plain+" prep=alpha", plain+" instance=a1", diskOne)
		p, err := h.desk().Propose(t.Context(), request(func(r *HushRequest) {
			r.Labels = map[string]string{"alertname": "Disk", "severity": "", "prep": "", "instance": ""}
		}))
		if err != nil {
			t.Fatal(err)
		}
		h.equal("alerts", named(p.Alerts), []string{plain})
		h.equal("sounding", named(p.Sounding), []string{plain + " severity=warning"})
		if _, err := h.desk().Hush(t.Context(), request(func(r *HushRequest) {
			r.Labels = map[string]string{"alertname": "Disk", "severity": "", "prep": "", "instance": ""}
		})); err != nil {
			t.Fatal(err)
		}
		h.equal("silenced", h.silenced(), []string{plain})
	})
}

// Two taps at once make one silence.
func TestTwoTaps(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne)
		o := h.options()
		o.Client = nil
		d, err := NewDesk(o, HushConfig{Labels: hushLabels})
		if err != nil {
			t.Fatal(err)
		}
		var taps sync.WaitGroup
		for range 8 {
			taps.Go(func() {
				if _, err := d.Hush(t.Context(), request(nil)); err != nil {
					t.Error(err)
				}
			})
		}
		taps.Wait()
		if list := h.list(); len(list) != 1 {
			t.Errorf("silences are %+v", list)
		}
	})
}

// A hush is shown as what it is, and one that somebody has changed as theirs.
func TestSurveyOfHushes(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.starts(diskOne, diskCritical)
		h.write("silences: []\n")
		d := h.desk()
		for _, r := range []HushRequest{
			request(untilResolved),
			request(func(r *HushRequest) { r.Scope, r.By = CLI, "bo"; r.Labels["severity"] = "critical" }),
		} {
			if _, err := d.Hush(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		changed := h.list()[0]
		changed.ID, changed.EndsAt = "", h.now.Add(5*time.Hour)
		h.personPosts(changed)
		rows := func() string {
			s, fileErr, countErr, err := Look(t.Context(), Config{File: h.file, Owner: owner}, h.options())
			if fileErr != nil || countErr != nil || err != nil {
				t.Fatal(fileErr, countErr, err)
			}
			var b strings.Builder
			for _, e := range s.Entries {
				fmt.Fprintln(&b, e.Origin, e.State, e.Note, e.Scope, e.UntilResolved, !e.Latest.IsZero(), e.Rule, e.Owner, e.CreatedBy, e.Comment, *e.Alerts)
			}
			return b.String()
		}
		h.equal("survey", rows(), `ack active  alpha true true   Alpha Validators new disk on Monday 1
ack active  _cli false false   bo new disk on Monday 1
person active disowned  false false   `+changed.CreatedBy+` new disk on Monday 1
`)
		for _, s := range h.list() {
			if rule, err := Export(t.Context(), Config{File: h.file, Owner: owner}, h.options(), s.ID); err != nil || strings.Contains(string(rule), "stoker:") {
				t.Errorf("%s, %v", rule, err)
			}
		}
		k := h.keeper()
		h.keeps(k)
		h.resolve(diskOne)
		h.keeps(k)
		if got := rows(); !strings.Contains(got, "ack expired resolved alpha true true   Alpha Validators new disk on Monday 0\n") {
			t.Error(got)
		}
		h.noWrites("the file's agent touches no hush")
		if n := h.agent.found.plan.Disowned; len(n) > 0 {
			t.Errorf("disowned are %+v", n)
		}
	})
}
