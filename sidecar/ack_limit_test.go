package sidecar

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
