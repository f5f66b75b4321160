package sidecar

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// Acceptance of the fast way, against a real Alertmanager: looking never acts, a tap silences once, a second one extends the
// same silence, links of others and broken ones do nothing, the critical sibling still notifies, a page of somebody else can't
// press the button, and no token is in any log.
func TestAckAcceptance(t *testing.T) {
	for _, binary := range []string{"alertmanager", "alertmanager-0.27"} {
		t.Run(binary, func(t *testing.T) { newAckScene(t, "", servertest.Binary(binary)).acceptance() })
	}
}

func (a *ackScene) acceptance() {
	t := a.t
	a.fire(diskOfAcme, diskOfB)
	link := a.link("acme", tokenOf(ackKey, "acme"), diskOfAcme)

	before := a.writes()
	for i := range 200 {
		method := []string{http.MethodGet, http.MethodHead}[i%2]
		if r := a.ask(method, link, nil, nil); r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", method, r.Status)
		}
	}
	if n := a.writes(); n != before || len(a.silences()) > 0 {
		t.Errorf("200 times GET and HEAD wrote %d times; silences: %v", n-before, a.silences())
	}

	page := bodyOf(t, a.ask("GET", link, nil, nil))
	for _, want := range []string{
		"<title>Hush DiskAlmostFull?</title>", "<bdi>warning</bdi>", "<bdi>Acme Validators</bdi>, <bdi>mainnet</bdi>", "is 85 % full", "48 min ago",
		`<span class="soft">prep</span> <bdi>hx1</bdi>`, "Everything else, also the same at another severity.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "hx2") {
		t.Error("the page shows somebody else's alert")
	}

	wrongOrigin := map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
	if r := a.ask("POST", link, formOf(t, page, "2h"), wrongOrigin); r.StatusCode != http.StatusForbidden || len(a.silences()) > 0 {
		t.Errorf("another origin: %s, %v", r.Status, a.silences())
	}
	r := a.ask("POST", link, formOf(t, page, "2h"), bySelf())
	if r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(r.Header.Get("Location"), "/page/hush/acme/") {
		t.Fatalf("%s to %q: %s", r.Status, r.Header.Get("Location"), bodyOf(t, r))
	}
	first := a.silences()
	if len(first) != 1 || first[0].CreatedBy != "acme" || !strings.HasPrefix(first[0].Comment, "fills up on Sundays [stoker:ack/acme@") {
		t.Fatalf("silences: %+v", first)
	}
	if !a.silenced(diskOfAcme) || a.silenced(diskOfB) {
		t.Error("not exactly acme's is silenced")
	}
	done := bodyOf(t, a.ask("GET", r.Header.Get("Location"), nil, nil))
	if !strings.Contains(done, "✓ Hushed until ") || !strings.Contains(done, "Undo") {
		t.Errorf("done:\n%s", done)
	}
	a.ask("POST", link, formOf(t, done, "8h"), bySelf())
	again := a.silences()
	if len(again) != 1 || again[0].ID != first[0].ID || !again[0].EndsAt.After(first[0].EndsAt.Add(5*time.Hour)) {
		t.Errorf("the second time: %+v, was %+v", again, first)
	}

	// Tokens that are not bravo's for bravo's alert, and no token.
	for name, stray := range map[string]string{
		"acme's on bravo's alert": a.link("acme", tokenOf(ackKey, "acme"), diskOfB), // nothing of acme's fires like that
		"acme's for bravo":        a.link("bravo", tokenOf(ackKey, "acme"), diskOfB),
		"bad":                     a.link("bravo", "bad", diskOfB),
		"of a key that is gone":   a.link("bravo", tokenOf("a key of long ago, with as many letters", "bravo"), diskOfB),
	} {
		got, posted := a.ask("GET", stray, nil, nil), a.ask("POST", stray, formOf(t, page, "2h"), bySelf())
		want := http.StatusForbidden
		if name == "acme's on bravo's alert" {
			want = http.StatusOK
		}
		if got.StatusCode != want || posted.StatusCode != want {
			t.Errorf("%s: GET %s, POST %s", name, got.Status, posted.Status)
		}
		if text := bodyOf(t, got) + bodyOf(t, posted); strings.Contains(text, "is 85 % full") || strings.Contains(text, "203.0.113.7") {
			t.Errorf("%s tells what fires: %s", name, text)
		}
	}
	if a.silenced(diskOfB) || len(a.silences()) != 1 {
		t.Errorf("silences: %+v", a.silences())
	}

	// The critical sibling, and only that, rings.
	a.fire(worseDisk)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := a.inbox.Wait(ctx, saying(a, "acme", `"severity":"critical"`, `"status":"firing"`)); err != nil {
		t.Error(err)
	}
	if a.silenced(worseDisk) {
		t.Error("the critical sibling is hushed")
	}
	page = bodyOf(t, a.ask("GET", link, nil, nil))
	if !strings.Contains(page, `<b class="bad"><bdi>critical</bdi></b> <bdi>DiskAlmostFull</bdi> at <bdi>203.0.113.7:9100</bdi>, it fires now`) {
		t.Errorf("the page doesn't say that the critical one sounds:\n%s", page)
	}

	// Undo.
	r = a.ask("POST", link, url.Values{"do": {"end"}, "id": {first[0].ID}}, bySelf())
	if r.StatusCode != http.StatusSeeOther || len(a.silences()) > 0 {
		t.Errorf("undone: %s, %+v", r.Status, a.silences())
	}
	if page := bodyOf(t, a.ask("GET", r.Header.Get("Location"), nil, nil)); !strings.Contains(page, "It sounds again.") {
		t.Errorf("undone:\n%s", page)
	}

	log := a.log.String()
	for _, secret := range []string{tokenOf(ackKey, "acme"), tokenOf(ackKey, "bravo"), tokenOf(ackOlderKey, "acme"), strings.TrimSpace(ackKey)} {
		if strings.Contains(log, secret) {
			t.Error("a token or a key is in the log")
		}
	}
	for _, want := range []string{`msg="alerts hushed from a notification"`, `msg="alerts extended from a notification"`, `msg="alerts ended from a notification"`, "contact=acme", "client=198.51."} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	_, metrics := request(t, a.s, "GET", "/metrics", nil)
	for _, want := range []string{
		`stoker_acks_total{result="hushed"} 1`, `stoker_acks_total{result="extended"} 1`, `stoker_acks_total{result="ended"} 1`,
		`stoker_acks_total{result="cross_origin"} 1`, `stoker_acks_total{result="forbidden"} 6`, `stoker_acks_total{result="nothing"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in\n%s", want, grep(metrics, "stoker_acks"))
		}
	}
	onPage(t, a.s, "/silences", []string{"Done from notifications", "<bdi>acme</bdi>", "extended", "ended"}, []string{tokenOf(ackKey, "acme")})
}

func grep(text, word string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return !strings.Contains(l, word) }), "\n")
}

// Every route, with every method, token and origin: only a POST of the page itself with the contact's token acts.
func TestAckWalk(t *testing.T) {
	a := newAckScene(t, "")
	a.fire(diskOfAcme, diskOfB)
	page := bodyOf(t, a.ask("GET", a.link("acme", tokenOf(ackKey, "acme"), diskOfAcme), nil, nil))
	tokens := map[string]string{
		"none": "", "wrong": strings.Repeat("A", 43), "older": tokenOf(ackOlderKey, "acme"), "bravo's": tokenOf(ackKey, "bravo"), "right": tokenOf(ackKey, "acme"),
	}
	origins := map[string]map[string]string{
		"nothing":                   {},
		"itself":                    bySelf(),
		"itself, with its origin":   {"Sec-Fetch-Site": "same-origin", "Origin": a.origin},
		"an old browser's own":      {"Origin": a.origin},
		"an old browser's null":     {"Origin": "null"},
		"another page":              {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
		"another page, hidden":      {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
		"another origin":            {"Origin": "https://evil.example"},
		"a page of the same site":   {"Sec-Fetch-Site": "same-site", "Origin": a.origin},
		"typed":                     {"Sec-Fetch-Site": "none"},
		"what can't be":             {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
		"another port":              {"Origin": a.origin + "0"},
		"the same without a scheme": {"Origin": strings.TrimPrefix(a.origin, "http://")},
	}
	acts := []string{"itself", "itself, with its origin", "an old browser's own"}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PROPFIND"}
	for _, route := range []string{"hush", "elsewhere", "", "deeper", "unprefixed"} {
		for tokenName, token := range tokens {
			for originName, origin := range origins {
				for _, method := range methods {
					link := a.link("acme", token, diskOfAcme)
					switch route {
					case "elsewhere":
						link = strings.Replace(link, "/hush/", "/unhush/", 1)
					case "":
						link = "/page/"
					case "deeper":
						link = strings.Replace(link, "?", "/x?", 1)
					case "unprefixed":
						link = strings.TrimPrefix(link, "/page")
					}
					a.s.ack.acts = newLimits(time.Second, 1000) // how much is too much is another test's
					a.s.ack.contacts = newLimits(time.Second, 1000)
					form := formOf(t, page, "30m")
					if method == "GET" || method == "HEAD" {
						form = nil
					}
					r := a.ask(method, link, form, origin)
					body := bodyOf(t, r)
					name := fmt.Sprintf("%s of %q with token %s from %s", method, route, tokenName, originName)
					good := tokenName == "right" || tokenName == "older"
					want := http.StatusNotFound
					switch {
					case route == "hush" && tokenName != "none":
						switch { // another method is nothing that is there
						case !slices.Contains([]string{"GET", "HEAD", "POST"}, method):
						case !good:
							want = http.StatusForbidden
						case method != "POST":
							want = http.StatusOK
						case slices.Contains(acts, originName):
							want = http.StatusSeeOther
						default:
							want = http.StatusForbidden
						}
					}
					if r.StatusCode != want {
						t.Errorf("%s: %s, want %d", name, r.Status, want)
					}
					if tells := strings.Contains(body, "203.0.113.7"); tells != (want == http.StatusOK) {
						t.Errorf("%s tells what fires: %t", name, tells)
					}
					if token != "" && strings.Contains(body, token) {
						t.Errorf("%s: its token is on the page", name)
					}
					silences := a.silences()
					if want == http.StatusSeeOther != (len(silences) == 1) {
						t.Errorf("%s: %d silences", name, len(silences))
					}
					for _, s := range silences {
						a.ask("POST", a.link("acme", tokens["right"], diskOfAcme), url.Values{"do": {"end"}, "id": {s.ID}}, bySelf())
					}
					for header, want := range map[string]string{
						"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex, nofollow",
						"Content-Security-Policy": "default-src 'none'; style-src '" + ackStyleHash() + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
					} {
						if r.Header.Get(header) != want {
							t.Errorf("%s: %s is %q", name, header, r.Header.Get(header))
						}
					}
					if r.Header.Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%s: other sites may read it", name)
					}
				}
			}
		}
	}
	if a.silenced(diskOfB) {
		t.Error("bravo's is silenced")
	}
}
