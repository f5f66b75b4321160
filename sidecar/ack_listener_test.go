package sidecar

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoker-project/stoker/reload/servertest"
)

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
