package silencing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzHush makes random requests of random alerts and silences, keeps what comes of it, and looks at what no hush may
// ever do.
func FuzzHush(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		now := testNow
		am := newAlertmanager(func() time.Time { return now })
		c := HushConfig{Labels: hushLabels, MaxDuration: 24 * time.Hour}
		for range 4 {
			alerts := randomAlerts(rnd)
			r := randomRequest(rnd, alerts)
			before := am.list()
			p, posts, err := propose(c, r, alerts, before, now)
			if err != nil {
				if !errors.Is(err, ErrNothingFires) && !errors.Is(err, ErrShared) && !errors.Is(err, ErrTooMany) {
					t.Fatal(err)
				}
				continue
			}
			posted := make(map[string]bool)
			for i, post := range posts {
				if post == nil {
					continue
				}
				id, err := am.set(*post)
				if err != nil || post.ID != "" && id != post.ID {
					t.Fatalf("%+v: %s, %v", post, id, err)
				}
				posted[id] = true
				if p.Hushes[i].EndsAt.After(now.Add(c.MaxDuration)) || p.Hushes[i].Latest.Before(p.Hushes[i].EndsAt) {
					t.Errorf("too long: %+v", p.Hushes[i])
				}
				names := texts(post.Matchers)
				if !strings.HasPrefix(names[0], "alertname=") || names[0] == `alertname=""` || !strings.HasPrefix(names[1], "severity=") || len(names) != len(hushLabels) {
					t.Errorf("matchers are %q", names)
				}
			}
			for _, s := range before {
				if i := slices.IndexFunc(am.list(), func(o Silence) bool { return o.ID == s.ID }); !posted[s.ID] && !cmp.Equal(s, am.list()[i]) {
					t.Errorf("silence was %+v, is %+v", s, am.list()[i])
				}
			}
			for _, a := range alerts {
				n := 0
				for _, h := range p.Hushes {
					n += h.matches([]FiringAlert{a})
				}
				said := func(list []FiringAlert) bool {
					return slices.ContainsFunc(list, func(o FiringAlert) bool { return cmp.Equal(o, a) })
				}
				if hushed := said(p.Alerts) || said(p.Also); hushed != (n == 1) || n > 1 || said(p.Sounding) && hushed {
					t.Errorf("%s is in %d hushes, said to be hushed %t, to sound %t", a, n, hushed, said(p.Sounding))
				}
				if said(p.Sounding) && len(a.SilencedBy) > 0 {
					t.Errorf("%s is silenced, and said to sound", a)
				}
				if n > 0 && r.Receiver != nil && !slices.ContainsFunc(a.Receivers, r.Receiver) {
					t.Errorf("%s of somebody else is hushed", a)
				}
			}
			again, posts, err := propose(c, r, alerts, am.list(), now)
			if err != nil || len(again.Hushes) != len(p.Hushes) || slices.ContainsFunc(posts, func(s *Silence) bool { return s != nil }) {
				t.Errorf("after %+v: again %+v, %v, %v", p, again, posts, err)
			}

			for _, s := range am.list() {
				meddle(rnd, am, s)
			}
			now = now.Add(time.Duration(rnd.IntN(1200)) * time.Second)
			keepAll(t, rnd, am, randomAlerts(rnd), now)
		}
	})
}

// keepAll applies what a keeper would do.
func keepAll(t *testing.T, rnd *rand.Rand, am *alertmanager, alerts []FiringAlert, now time.Time) {
	certain := map[bool]func(string) bool{true: func(string) bool { return true }, false: func(string) bool { return false }}[rnd.IntN(3) > 0]
	before := am.list()
	steps := keep(before, alerts, certain, now)
	touched := make(map[string]bool)
	for _, s := range steps {
		touched[s.ID] = true
		if h, ok := parseHush(s.silence); !ok || !h.UntilResolved && !isEnded(s.silence) {
			t.Errorf("not one to keep: %+v", s.silence)
		}
		if s.ends {
			if s.Hush.matches(alerts) > 0 && s.reason == resolved {
				t.Errorf("ends while it fires: %+v", s.silence)
			}
			if err := am.expire(s.ID); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if id, err := am.set(s.Hush.silence()); err != nil || id != s.ID || s.EndsAt.After(s.Latest) {
			t.Fatalf("%s, %v: %+v", id, err, s)
		}
	}
	if again := keep(am.list(), alerts, certain, now); len(again) > 0 {
		t.Errorf("after %+v: again %+v", steps, again)
	}
	for i, s := range am.list() {
		if !touched[s.ID] && !cmp.Equal(s, before[i]) {
			t.Errorf("silence was %+v, is %+v", before[i], s)
		}
	}
}

func randomAlerts(rnd *rand.Rand) []FiringAlert {
	var alerts []FiringAlert
	for i := range rnd.IntN(8) {
		a := FiringAlert{Fingerprint: fmt.Sprint(i), Labels: map[string]string{"device": fmt.Sprint(i)}}
		for _, values := range [][]string{
			{"alertname", "Disk", "Disk", "Disk", "Load", ""}, {"severity", "warning", "critical", ""},
			{"prep", "alpha", "beta", ""}, {"instance", "a1", ""}, {"job", "node", ""},
		} {
			if v := values[1+rnd.IntN(len(values)-1)]; v != "" {
				a.Labels[values[0]] = v
			}
		}
		for range rnd.IntN(3) {
			a.Receivers = append(a.Receivers, []string{"contact/alpha/mail", "contact/beta/mail", "team"}[rnd.IntN(3)])
		}
		if rnd.IntN(4) == 0 {
			a.SilencedBy = []string{"x"}
		}
		alerts = append(alerts, a)
	}
	return alerts
}

func randomRequest(rnd *rand.Rand, alerts []FiringAlert) HushRequest {
	r := request(func(r *HushRequest) { r.Scope = []string{"alpha", "beta", CLI}[rnd.IntN(3)] })
	r.Labels = map[string]string{"alertname": "Disk"}
	if len(alerts) > 0 && rnd.IntN(2) == 0 {
		a := alerts[rnd.IntN(len(alerts))]
		for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
			if rnd.IntN(2) == 0 {
				r.Labels[name] = a.Labels[name]
			}
		}
	}
	if rnd.IntN(2) == 0 {
		r.Receiver = func(name string) bool { return strings.HasPrefix(name, "contact/alpha/") }
	}
	if r.For = time.Duration(1+rnd.IntN(24*60)) * time.Minute; rnd.IntN(2) == 0 {
		untilResolved(&r)
	}
	return r
}

// A day of a hush until resolved: never a gap, one silence, few requests, and an end whatever fires. In it,
// Alertmanager restarts and knows nothing for a while.
func TestADayOfAHush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		am := newAlertmanager(time.Now)
		am.alerts = []string{diskOne}
		o := Options{AlertmanagerURL: &url.URL{Scheme: "http", Host: "alertmanager"}, Client: &http.Client{Transport: am}}
		d, err := NewDesk(o, HushConfig{Labels: hushLabels})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := d.Hush(t.Context(), request(untilResolved)); err != nil {
			t.Fatal(err)
		}
		k, err := NewKeeper(o)
		if err != nil {
			t.Fatal(err)
		}
		end := began.Add(24 * time.Hour)
		silent := func() bool { return am.list()[0].Status.State == stateActive }
		for time.Since(began) < 25*time.Hour {
			if _, err := k.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if silent() != !time.Now().After(end) {
				t.Fatalf("after %s it is %+v", time.Since(began), am.list())
			}
			time.Sleep(time.Until(k.Next(time.Now())))
			switch since := time.Since(began); {
			case since > 5*time.Hour && since < 5*time.Hour+4*time.Minute:
				if am.alerts != nil {
					am.alerts, am.started = nil, time.Now()
				}
			default:
				am.alerts = []string{diskOne}
			}
		}
		if len(am.list()) != 1 || am.writes > 24*60/5+5 {
			t.Errorf("%d writes: %+v", am.writes, am.list())
		}
		if wait := time.Until(k.Next(time.Now())); wait != interval {
			t.Errorf("the next pass is in %s", wait)
		}

		// Another one, that begins in the same Alertmanager and is over when it is resolved.
		if _, err := d.Hush(t.Context(), request(untilResolved)); err != nil {
			t.Fatal(err)
		}
		sync := func() bool {
			changed, err := k.Sync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return changed
		}
		if sync() {
			t.Error("it writes")
		}
		if wait := time.Until(k.Next(time.Now())); wait != poll {
			t.Errorf("the next pass is in %s", wait)
		}
		am.alerts = nil
		if !sync() || am.list()[1].Status.State != stateExpired {
			t.Errorf("it isn't over: %+v", am.list())
		}
	})
}

// Later peers leave an end to those before them, and make it if they don't.
func TestTurnsOfKeepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		am := newAlertmanager(time.Now)
		am.alerts = []string{diskOne}
		am.cluster = `{"status": "ready", "name": "c", "peers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]}`
		o := Options{AlertmanagerURL: &url.URL{Scheme: "http", Host: "alertmanager"}, Client: &http.Client{Transport: am}}
		d, err := NewDesk(o, HushConfig{Labels: hushLabels})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Hush(context.Background(), request(untilResolved)); err != nil {
			t.Fatal(err)
		}
		k, err := NewKeeper(o)
		if err != nil {
			t.Fatal(err)
		}
		pass := func() {
			if _, err := k.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		pass()
		am.alerts = nil
		gone := time.Now()
		for am.list()[0].Status.State == stateActive {
			pass()
			if time.Since(gone) > time.Hour {
				t.Fatal("it never ends")
			}
			time.Sleep(time.Until(k.Next(time.Now())))
		}
		if took := time.Since(gone); took != 2*turn+poll {
			t.Errorf("it ends after %s", took)
		}

		am.cluster = `{"status": "settling", "peers": []}`
		am.alerts = []string{diskOne}
		if _, err := d.Hush(context.Background(), request(untilResolved)); err != nil {
			t.Fatal(err)
		}
		pass()
		am.alerts = nil
		if _, err := k.Sync(context.Background()); err == nil || !strings.Contains(err.Error(), "1 hushes are waiting: GET status: the cluster is \"settling\"") {
			t.Error(err)
		}
	})
}
