package sidecar

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
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
	a.alertmanager.Post("/api/v2/silences", `{"matchers": [{"name": "prep", "value": "hx1", "isRegex": false}], "startsAt": "`+
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
