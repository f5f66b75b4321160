package sidecar

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

// linkTo is acme's link about labels.
func (a *ackScene) linkTo(labels map[string]string) string {
	return a.link("acme", tokenOf(ackKey, "acme"), labels)
}

// press posts a form to a link as the page does, and returns the answer's page.
func (a *ackScene) press(link string, form url.Values) (status int, page string) {
	a.t.Helper()
	r := a.ask("POST", link, form, bySelf())
	return r.StatusCode, bodyOf(a.t, r)
}

// What was shown is what is hushed: if something worse has joined, nothing is, until it has been seen.
func TestAckOfWhatWasShown(t *testing.T) {
	a := newAckScene(t, "")
	a.fire(diskOfAcme)
	link := a.linkTo(map[string]string{"alertname": "DiskAlmostFull", "prep": "hx1", "utm_source": "mail", "device": "gone"})
	before := bodyOf(t, a.ask("GET", link, nil, nil))
	a.fire(worseDisk)
	status, page := a.press(link, formOf(t, before, "2h"))
	if status != http.StatusConflict || len(a.silences()) > 0 || !strings.Contains(page, "Something else fires since you opened this page.") {
		t.Fatalf("%d, %v:\n%s", status, a.silences(), page)
	}
	form := formOf(t, page, "2h")
	if len(form["shown"]) != 2 || len(form["hush"]) != 1 {
		t.Errorf("the critical one is chosen already: %v", form)
	}
	none := url.Values{"do": {"hush"}, "for": {"2h"}, "shown": form["shown"]}
	if status, page := a.press(link, none); status != http.StatusConflict || !strings.Contains(page, "nothing was chosen") || len(a.silences()) > 0 {
		t.Errorf("nothing chosen: %d, %v", status, a.silences())
	}
	if status, _ := a.press(link, form); status != http.StatusSeeOther || !a.silenced(diskOfAcme) || a.silenced(worseDisk) {
		t.Errorf("%d: %v", status, a.silences())
	}
	form["hush"] = form["shown"] // the critical one too, knowingly
	if status, _ := a.press(link, form); status != http.StatusSeeOther || !a.silenced(worseDisk) || len(a.silences()) != 2 {
		t.Errorf("%d: %v", status, a.silences())
	}
	a.resolve(diskOfAcme, worseDisk)
	page = bodyOf(t, a.ask("GET", link, nil, nil))
	if !strings.Contains(page, "Nothing like that fires now") || strings.Count(page, "End it now") != 2 {
		t.Errorf("over:\n%s", page)
	}
	if status, page := a.press(link, form); status != http.StatusOK || !strings.Contains(page, "Nothing like that fires now") {
		t.Errorf("hushed when it's over: %d\n%s", status, page)
	}
	for _, s := range a.silences() {
		if status, _ := a.press(link, url.Values{"do": {"end"}, "id": {s.ID}}); status != http.StatusSeeOther {
			t.Errorf("ended when it's over: %d", status)
		}
	}
	if n := len(a.silences()); n > 0 {
		t.Errorf("%d silences are left", n)
	}
}

// Nobody ends a silence that isn't a hush of the contact, and hushes nothing that others are told of.
func TestAckOfOthers(t *testing.T) {
	a := newAckScene(t, "")
	public := map[string]string{"alertname": "NetworkStalled", "severity": "warning", "network": "mainnet", "audience": "public"}
	a.fire(diskOfAcme, diskOfB, public)
	page := bodyOf(t, a.ask("GET", a.link("bravo", tokenOf(ackKey, "bravo"), diskOfB), nil, nil))
	if r := a.ask("POST", a.link("bravo", tokenOf(ackKey, "bravo"), diskOfB), formOf(t, page, "resolved"), bySelf()); r.StatusCode != http.StatusSeeOther {
		t.Fatal(r.Status)
	}
	end := time.Now().UTC().Add(time.Hour).Format(time.RFC3339)
	postJSON(t, a.alertmanager.URL()+"/api/v2/silences", `{"matchers": [{"name": "prep", "value": "hx1", "isRegex": false}], "startsAt": "`+
		time.Now().UTC().Format(time.RFC3339)+`", "endsAt": "`+end+`", "createdBy": "alice", "comment": "planned"}`)
	for _, s := range a.silences() {
		a.press(a.linkTo(diskOfAcme), url.Values{"do": {"end"}, "id": {s.ID}})
		a.press(a.linkTo(diskOfAcme), url.Values{"do": {"end"}, "id": {s.ID[:8]}})
	}
	if n := len(a.silences()); n != 2 {
		t.Errorf("%d silences are left of 2", n)
	}
	page = bodyOf(t, a.ask("GET", a.linkTo(diskOfAcme), nil, nil))
	if !strings.Contains(page, "Somebody else silences it already.") || strings.Contains(page, "alice") || strings.Contains(page, "Undo") {
		t.Errorf("a silence of somebody else:\n%s", page)
	}
	// A subscriber is told of it, and so are others.
	for _, method := range []string{"GET", "POST"} {
		r := a.ask(method, a.link("carol", tokenOf(ackKey, "carol"), public), formOf(t, page, "2h"), bySelf())
		if r.StatusCode != http.StatusForbidden || strings.Contains(bodyOf(t, r), "NetworkStalled") {
			t.Errorf("a subscriber's %s: %s", method, r.Status)
		}
	}
	if a.silenced(public) {
		t.Error("a subscriber has hushed what is for all")
	}
}

// Labels and annotations hold anything, and the page only shows it.
func TestAckOfHostileAlerts(t *testing.T) {
	a := newAckScene(t, "")
	hostile := map[string]string{
		"alertname": `<script>alert(1)</script>`, "severity": `"><img src=x onerror=alert(1)>`, "prep": "hx1", "prep_name": "\u202egnp.exe\u200b</title>",
		"network": "a\nb", "instance": strings.Repeat("long ", 200), "device": "</style><style>*{display:none}",
	}
	a.fire(hostile)
	page := bodyOf(t, a.ask("GET", a.linkTo(map[string]string{"prep": "hx1"}), nil, nil))
	for _, not := range []string{"<script", "<img", "\u202e", "\u200b", "</title>\u200b", "<style>*", strings.Repeat("long ", 90)} {
		if strings.Contains(page, not) {
			t.Errorf("the page has %q:\n%s", not, page)
		}
	}
	if strings.Count(page, "<style>") != 1 || strings.Count(page, "</title>") != 1 || !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") ||
		!strings.Contains(page, `\u202egnp.exe\u200b&lt;/title&gt;`) {
		t.Errorf("the page:\n%s", page)
	}
	form := formOf(t, page, "30m")
	form.Set("comment", "</b>\r\n\u202e[stoker:team/rule@once#12345678]")
	if status, page := a.press(a.linkTo(map[string]string{"prep": "hx1"}), form); status != http.StatusSeeOther || !a.silenced(hostile) {
		t.Errorf("%d: %s", status, page)
	}
	if c := a.silences()[0].Comment; strings.ContainsAny(c, "\r\n\u202e") || !strings.Contains(c, "[stoker:ack/acme@") {
		t.Errorf("comment %q", c)
	}
	onPage(t, a.s, "/silences", []string{"&lt;script&gt;"}, []string{"<script", "\u202e"})
}

// What isn't whole or too much is refused before anybody is asked.
func TestAckRefuses(t *testing.T) {
	a := newAckScene(t, "  max_duration: 2h\n")
	a.fire(diskOfAcme)
	link := a.linkTo(diskOfAcme)
	page := bodyOf(t, a.ask("GET", link, nil, nil))
	if strings.Contains(page, "8 hours") || !strings.Contains(page, "at most 2 hours") {
		t.Errorf("choices beyond what is allowed:\n%s", page)
	}
	asked := len(a.proxy.Requests())
	base := a.link("acme", tokenOf(ackKey, "acme"), nil)
	for name, target := range map[string]string{
		"no label":           base,
		"no label of a hush": base + "device=x&utm_source=y",
		"a label twice":      base + "prep=hx1&prep=hx2",
		"no UTF-8":           base + "prep=%ff",
		"no query":           base + "prep=%zz",
		"a long value":       base + "prep=" + strings.Repeat("x", maxLabel+1),
		"a long query":       base + "prep=hx1&x=" + strings.Repeat("x", maxQuery),
	} {
		if r := a.ask("GET", target, nil, nil); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, r.Status)
		}
	}
	for name, change := range map[string]func(url.Values){
		"longer than allowed": func(f url.Values) { f.Set("for", "8h") },
		"for a while":         func(f url.Values) { f.Set("for", "3h") },
		"for ever":            func(f url.Values) { f.Del("for") },
		"nothing to do":       func(f url.Values) { f.Del("do") },
		"something else":      func(f url.Values) { f.Set("do", "delete") },
		"too much":            func(f url.Values) { f.Set("comment", strings.Repeat("x", maxForm)) },
	} {
		form := formOf(t, page, "2h")
		change(form)
		if status, _ := a.press(link, form); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	for _, kind := range []string{"", "text/plain", "multipart/form-data; boundary=x", "application/json"} {
		header := bySelf()
		header["Content-Type"] = kind
		if r := a.ask("POST", link, formOf(t, page, "2h"), header); r.StatusCode != http.StatusBadRequest {
			t.Errorf("content of type %q: %s", kind, r.Status)
		}
	}
	if n := len(a.proxy.Requests()); n != asked || len(a.silences()) > 0 {
		t.Errorf("Alertmanager was asked %d times", n-asked)
	}
}

// Whatever Alertmanager does, the page says what came of it, and no more than that.
func TestAckWithoutAlertmanager(t *testing.T) {
	a := newAckScene(t, "")
	a.fire(diskOfAcme, withLabel(diskOfAcme, "instance", "203.0.113.8:9100"))
	link := a.linkTo(map[string]string{"prep": "hx1"})
	page := bodyOf(t, a.ask("GET", link, nil, nil))
	posts := 0
	a.proxy.Intercept("POST", "/api/v2/silences", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if posts++; posts == 2 {
			http.Error(w, `"limit of silences"`, http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
	status, answer := a.press(link, formOf(t, page, "2h"))
	if status != http.StatusBadGateway || !strings.Contains(answer, "Only a part is hushed") || len(a.silences()) != 1 || strings.Contains(answer, "limit of") {
		t.Errorf("a part: %d, %v:\n%s", status, a.silences(), answer)
	}
	a.proxy.Down()
	for _, method := range []string{"GET", "POST"} {
		r := a.ask(method, link, formOf(t, page, "2h"), bySelf())
		if body := bodyOf(t, r); r.StatusCode != http.StatusBadGateway || !strings.Contains(body, "doesn’t answer") || strings.Contains(body, "127.0.0.1") {
			t.Errorf("%s while it's away: %s\n%s", method, r.Status, body)
		}
	}
	if log := a.log.String(); !strings.Contains(log, "only a part was hushed") || !strings.Contains(log, "limit of silences") || !strings.Contains(log, "nothing hushed or shown") {
		t.Errorf("the log:\n%s", log)
	}
}

// Too many requests are refused: of one client, whatever it asks; of a contact's links, whoever asks; and fewer of those that
// act. Nobody without a token can use up what a contact has.
func TestAckLimits(t *testing.T) {
	a := newAckScene(t, "")
	a.fire(diskOfAcme)
	link, stray := a.linkTo(diskOfAcme), a.link("acme", "guess", diskOfAcme)
	from := func(client string) map[string]string {
		h := bySelf()
		h["X-Forwarded-For"] = client
		return h
	}
	count := func(n int, ask func() *http.Response) (refused int) {
		for range n {
			if r := ask(); r.StatusCode == http.StatusTooManyRequests {
				refused++
				if r.Header.Get("Retry-After") == "" || !strings.Contains(bodyOf(t, r), "wait a minute") {
					t.Error("it isn't said when to try again")
				}
			}
		}
		return refused
	}
	guessed := count(200, func() *http.Response { return a.ask("GET", stray, nil, from("203.0.113.1")) })
	if guessed < 50 || guessed > 80 {
		t.Errorf("of 200 guesses of one client, %d were refused unread", guessed)
	}
	if count(1, func() *http.Response { return a.ask("GET", link, nil, from("203.0.113.1")) }) != 1 {
		t.Error("a client that guesses is let in")
	}
	if count(1, func() *http.Response { return a.ask("GET", link, nil, from("203.0.113.2")) }) != 0 {
		t.Error("who guesses locks others out")
	}
	for i := range 200 {
		a.ask("GET", stray, nil, from("2001:db8::"+strings.Repeat("1", 1+i%4)))
	}
	if count(1, func() *http.Response { return a.ask("GET", link, nil, from("2001:db8::77")) }) != 1 {
		t.Error("every address of an IPv6 network counts as another client")
	}
	form := url.Values{"do": {"end"}, "id": {"none"}}
	acted := count(40, func() *http.Response { return a.ask("POST", link, form, bySelf()) })
	if acted < 15 || acted > 20 {
		t.Errorf("of 40 acts, %d were refused", acted)
	}
	bravo := a.link("bravo", tokenOf(ackKey, "bravo"), diskOfB)
	if count(1, func() *http.Response { return a.ask("POST", bravo, form, bySelf()) }) != 0 {
		t.Error("a contact uses up what others have")
	}
	a.s.ack.contacts = newLimits(time.Hour, 2)
	if n := count(5, func() *http.Response { return a.ask("GET", link, nil, nil) }); n != 3 {
		t.Errorf("of 5 requests of a contact that has 2, %d were refused", n)
	}
}

// Limits come back with time, and what they remember is bounded.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(time.Second, 2)
		for i, want := range []bool{true, true, false} {
			if l.allow("a", time.Now()) != want {
				t.Errorf("request %d", i)
			}
		}
		time.Sleep(time.Second)
		if !l.allow("a", time.Now()) || l.allow("a", time.Now()) {
			t.Error("not one more after a second")
		}
		for i := range 2*maxLimited + 5 {
			l.allow(string(rune(0x10000+i)), time.Now())
			if len(l.all) > maxLimited {
				t.Fatalf("%d names are remembered", len(l.all))
			}
		}
		if !l.allow("late", time.Now()) {
			t.Error("many others keep one out")
		}
	})
}

// The client is whom the last proxy says that is trusted, and nobody's own word counts.
func TestClientBehindProxies(t *testing.T) {
	trusted, err := newProxies([]string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ remote, forwarded, want string }{
		{"203.0.113.5:1", "", "203.0.113.5"},
		{"203.0.113.5:1", "198.51.100.1", "203.0.113.5"},
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "6.6.6.6, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "6.6.6.6, 198.51.100.1, 10.9.9.9,192.0.2.1", "198.51.100.1"},
		{"10.0.0.1:1", "unknown", "10.0.0.1"},
		{"10.0.0.1:1", "6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"},
		{"10.0.0.1:1", "10.0.0.3", "10.0.0.3"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"[2001:db8::1]:1", "2001:470::7", "2001:470::7"},
		{"[::ffff:10.0.0.1]:1", "::ffff:198.51.100.1", "198.51.100.1"},
		{"[fe80::1%eth0]:1", "198.51.100.1", "fe80::1"},
		{"@", "198.51.100.1", "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = test.remote
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if got := trusted.client(r).String(); got != test.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", test.remote, test.forwarded, got, test.want)
		}
	}
	if limitName(netip.MustParseAddr("2001:db8::1")) != limitName(netip.MustParseAddr("2001:db8::ffff:1")) || limitName(netip.MustParseAddr("192.0.2.1")) == limitName(netip.MustParseAddr("192.0.2.2")) {
		t.Error("what a client is limited by")
	}
}

// A key is read when it is needed: a new one counts at once, the previous one still does, and without one nothing is said of
// a link and nothing is published.
func TestAckKeys(t *testing.T) {
	a := newAckScene(t, "")
	a.fire(diskOfAcme)
	status := func(key string) int {
		t.Helper()
		return a.ask("GET", a.link("acme", tokenOf(key, "acme"), diskOfAcme), nil, nil).StatusCode
	}
	put := func(name, content string) {
		t.Helper()
		file := filepath.Join(a.dir, name)
		if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	const newKey = "a new key, after one that has leaked away"
	if a.s.links.hushURL("acme") != a.origin+"/page/hush/acme/"+tokenOf(ackKey, "acme") {
		t.Error("another link than is taken")
	}
	put("older", ackKey)
	put("key", newKey)
	for key, want := range map[string]int{newKey: 200, ackKey: 200, ackOlderKey: 403} {
		if got := status(key); got != want {
			t.Errorf("after a rotation, %q: %d", key, got)
		}
	}
	if a.s.links.hushURL("acme") != a.origin+"/page/hush/acme/"+tokenOf(newKey, "acme") {
		t.Error("the link isn't of the new key")
	}

	// A previous one that isn't there is none. While one can't be read, nothing is said to be wrong that may be right.
	if err := os.Remove(filepath.Join(a.dir, "older")); err != nil {
		t.Fatal(err)
	}
	if status(newKey) != 200 || status(ackKey) != 403 {
		t.Errorf("without the previous key: %d, %d", status(newKey), status(ackKey))
	}
	put("older", "half a k")
	if status(newKey) != 200 || status(ackKey) != 503 {
		t.Errorf("with a broken previous key: %d, %d", status(newKey), status(ackKey))
	}
	put("older", ackKey)
	for name, content := range map[string]string{"short": "less than 32 bytes\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", "empty": "", "long": strings.Repeat("x", maxKey+1)} {
		put("key", content)
		if status(newKey) != 503 || status(ackKey) != 200 {
			t.Errorf("%s key: %d, %d", name, status(newKey), status(ackKey))
		}
		if a.s.links.hushURL("acme") != "" || status(content) == 200 {
			t.Errorf("%s key: a link is made with it", name)
		}
	}
	// Who can't hush is told all the same, and that it is so is said.
	main := filepath.Join(a.dir, "out/am/live/alertmanager.yml")
	if text, err := os.ReadFile(main); err != nil || !strings.Contains(string(text), "/hush/acme/") {
		t.Fatalf("no link before, %v", err)
	}
	if err := os.Remove(filepath.Join(a.dir, "key")); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(a.dir, "alertmanager/alertmanager.yml"), "4h", "5h")
	if _, err := a.s.SyncOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(main); err != nil || strings.Contains(string(text), "/hush/acme/") || !strings.Contains(string(text), "5h") {
		t.Errorf("without a key, %v:\n%s", err, text)
	}
	if r := a.s.hushes.pass(t.Context()); r.Outcome != "error" || !strings.HasPrefix(r.Error, "ack.key_file: stat ") || !strings.Contains(r.Error, "no such file or directory: without it links don't work") {
		t.Errorf("without a key: %+v", r)
	}
	edit(t, filepath.Join(a.dir, "stoker.yml"), "contacts: {", "silencing: { file: silences.yaml, owner: team }\ncontacts: {")
	put("silences.yaml", "silences: []\n")
	if r := a.sidecar(Options{Agents: []string{agentSilencing}}).hushes.pass(t.Context()); r.Outcome == "error" {
		t.Errorf("where neither links are written nor the page is served: %+v", r)
	}
	put("key", newKey)
	if r := a.s.hushes.pass(t.Context()); r.Outcome == "error" {
		t.Errorf("with a key again: %+v", r)
	}
	if log := a.log.String(); strings.Contains(log, strings.TrimSpace(ackKey)) || strings.Contains(log, newKey) {
		t.Error("a key is in the log")
	}
}

// The page's listener is opened with stoker's own, says what is wrong with it, serves with the given TLS, and a key that is
// mounted late is found by itself.
func TestAckListener(t *testing.T) {
	a := newAckScene(t, "")
	if s := a.sidecar(Options{PublishOnly: true}); s.ack != nil {
		t.Error("an init container has the page")
	}
	if s := a.sidecar(Options{Agents: []string{agentAlertmanager}}); s.ack == nil {
		t.Error("without the page")
	}
	address := strings.TrimPrefix(a.origin, "http://")
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	err = a.s.Run(t.Context(), WebOptions{ListenAddresses: []string{"127.0.0.1:0"}})
	if err == nil || !strings.HasPrefix(err.Error(), "ack.listen_address: listen tcp "+address) {
		t.Errorf("a port that is taken: %v", err)
	}
	l.Close()

	key := filepath.Join(a.dir, "key")
	if err := os.Rename(key, key+".late"); err != nil {
		t.Fatal(err)
	}
	a.run()
	loop := func() Result {
		for _, r := range a.s.Status().Agents {
			if r.Agent == agentHushes {
				return r
			}
		}
		return Result{}
	}
	waitFor := func(good bool) {
		t.Helper()
		servertest.Eventually(t, time.Minute, func() error {
			if r := loop(); r.Outcome == "unknown" || (r.Outcome != "error") != good {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
	}
	waitFor(false)
	r, err := http.Get(a.origin + a.linkTo(diskOfAcme))
	if err != nil {
		t.Fatal(err)
	}
	if page := bodyOf(t, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "doesn’t answer") {
		t.Errorf("without a key: %s %s", r.Status, page)
	}
	if err := os.Rename(key+".late", key); err != nil {
		t.Fatal(err)
	}
	waitFor(true)
	a.fire(diskOfAcme)
	head, err := http.Head(a.origin + a.linkTo(diskOfAcme))
	if err != nil || head.StatusCode != http.StatusOK || head.Header.Get("Set-Cookie") != "" || head.Header.Get("Server") != "" {
		t.Errorf("HEAD: %v, %v", head, err)
	}
	// Another key, in the place of that one: what Alertmanager runs has its links within seconds, and those before still work.
	const newKey = "a new key, put in the place of the one before"
	if err := os.Rename(key, filepath.Join(a.dir, "older")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte(newKey), 0o600); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, time.Minute, func() error {
		release, err := os.ReadFile(filepath.Join(a.dir, "out/am/live/alertmanager.yml"))
		if err == nil && (!bytes.Contains(release, []byte(tokenOf(newKey, "acme"))) || bytes.Contains(release, []byte(tokenOf(ackKey, "acme")))) {
			err = errors.New("the links are those of the key before")
		}
		return err
	})
	for key, want := range map[string]int{newKey: http.StatusOK, ackKey: http.StatusOK, ackOlderKey: http.StatusForbidden} {
		if r, err := http.Head(a.origin + a.link("acme", tokenOf(key, "acme"), diskOfAcme)); err != nil || r.StatusCode != want {
			t.Errorf("%q: %v, %v", key, r, err)
		}
	}
	// A path that isn't clean leads nowhere, above all not to another with the token in it.
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("GET //page/hush/../hush/acme/x HTTP/1.0\r\n\r\n"))
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(c); err != nil || !strings.HasPrefix(answer.String(), "HTTP/1.0 404 ") || strings.Contains(answer.String(), "Location") {
		t.Errorf("%v: %s", err, &answer)
	}
}

// The page has TLS of its own where there is no proxy to have it.
func TestAckTLS(t *testing.T) {
	a := newAckScene(t, "  web_config_file: web.yml\n")
	trusted := x509.NewCertPool()
	trusted.AddCert(putCertificate(t, a.dir))
	edit(t, filepath.Join(a.dir, "stoker.yml"), "external_url: http://", "external_url: https://")
	a.s = a.sidecar(Options{})
	a.fire(diskOfAcme)
	a.run()
	link := "https" + strings.TrimPrefix(a.origin, "http") + a.linkTo(diskOfAcme)
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	defer browser.CloseIdleConnections()
	var page string
	servertest.Eventually(t, time.Minute, func() error {
		r, err := browser.Get(link)
		if err != nil {
			return err
		}
		page = bodyOf(t, r)
		return nil
	})
	if !strings.Contains(page, "<title>Hush DiskAlmostFull?</title>") {
		t.Errorf("with TLS:\n%s", page)
	}
	if r, err := http.Get(a.origin + a.linkTo(diskOfAcme)); err == nil && r.StatusCode == http.StatusOK {
		t.Error("without TLS, too")
	}
	// An old browser's only word is the origin, which is that of external_url.
	request, err := http.NewRequest("POST", link, strings.NewReader(formOf(t, page, "2h").Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", "https"+strings.TrimPrefix(a.origin, "http"))
	if r, err := browser.Do(request); err != nil || !a.silenced(diskOfAcme) {
		t.Errorf("not hushed: %v, %v", r, err)
	}
}
