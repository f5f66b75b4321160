package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"github.com/stoker-project/stoker/reload/servertest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// phone is a browser like that of a phone: 375 pixels wide, without JavaScript.
type phone struct {
	t   *testing.T
	ctx context.Context

	mu    sync.Mutex
	words []string // of its log about security
}

// newPhone starts a headless Chromium that reaches nothing but this machine's 127.0.0.1.
func newPhone(t *testing.T) *phone {
	t.Helper()
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Fatal("no browser: install Debian's package chromium, as .ci/run does")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(browser),
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.Headless,
		chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(tab); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the browser's end: %v", err)
		}
		closeTab()
		stop()
	})
	p := &phone{t: t, ctx: tab}
	if err := chromedp.Listen(tab, func(event any) {
		if e, ok := event.(*cdplog.EventEntryAdded); ok && !strings.Contains(e.Entry.URL, "favicon.ico") {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.words = append(p.words, e.Entry.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.do(
		told(cdplog.Enable, cdp.Empty{}),
		told(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
		chromedp.EmulateViewport(375, 812, chromedp.EmulateScale(2), chromedp.EmulateMobile),
	)
	return p
}

// told gives the browser a command.
func told[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (p *phone) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(p.ctx, chromedp.Text(chromedp.CSS("body")))
		p.t.Fatalf("%v, on the page: %s", err, text)
	}
}

// open follows a link, and waits until the page says something.
func (p *phone) open(link string, says string) {
	p.t.Helper()
	p.do(chromedp.Navigate(link), said(says))
}

// said waits until something is on the page.
func said(text string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.Search(fmt.Sprintf(`//main//*[contains(text(), %q)]`, text)))
}

// tap presses a button or a choice by its text.
func tap(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.Search(fmt.Sprintf(`//button[contains(., %q)] | //label[contains(., %q)] | //summary[contains(., %q)]`, text, text, text)))
}

// show keeps what the page looks like in light and dark, and checks that all of it fits on the phone and can be tapped.
func (p *phone) show(name string) {
	p.t.Helper()
	dir := filepath.Join("..", "bin", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		p.do(told(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
		picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "ack-"+name+"-"+scheme+".png"), picture, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	outside := func(script string) []string {
		p.t.Helper()
		found, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](script))
		if err != nil {
			p.t.Fatal(err)
		}
		return found
	}
	wide := outside(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > 375.5).map(e => e.outerHTML.slice(0, 100))`)
	small := outside(`[...document.querySelectorAll("button, .button, .tile, .check, summary, input[type=text]")].filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 100))`)
	if len(wide) > 0 || len(small) > 0 {
		p.t.Errorf("%s: wider than the phone: %q; too small for a thumb: %q", name, wide, small)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.words {
		if !strings.Contains(w, "403") && !strings.Contains(w, "404") {
			p.t.Errorf("%s: the browser says: %s", name, w)
		}
	}
}

// run lets the scene's stoker run until the test ends.
func (a *ackScene) run() {
	a.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.s.Run(ctx, WebOptions{}) }()
	a.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			a.t.Errorf("the end: %v", err)
		}
	})
	servertest.Eventually(a.t, time.Minute, a.answers)
}

// A notification's link, in a browser: tapped, confirmed, silenced at the real Alertmanager; undone; hushed until resolved, and
// then told that it is, and told at once when it comes back.
func TestAckInBrowser(t *testing.T) {
	a := newAckScene(t, "")
	a.run()
	a.fire(diskOfAcme)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	mail, err := a.inbox.Wait(ctx, func(m inboxtest.Message) bool { return m.Via == inboxtest.Mail && m.To == "acme@example.org" })
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`Hush: (http://\S+)`).FindStringSubmatch(mail.Text)
	if found == nil {
		t.Fatalf("the mail has no link:\n%s", mail.Text)
	}
	link := found[1]
	p := newPhone(t)

	p.open(link, "For how long?")
	p.show("ask")
	p.do(tap("8 hours"), tap("2 hours"), chromedp.SendKeys(chromedp.CSS(`input[name=comment]`), "fills up on Sundays"), tap("Hush"), said("✓ Hushed until"))
	silenceOf := func() amSilence {
		t.Helper()
		list := a.silences()
		if len(list) != 1 || !a.silenced(diskOfAcme) {
			t.Fatalf("silences: %+v; the alert: %+v", list, a.find(diskOfAcme))
		}
		return list[0]
	}
	first := silenceOf()
	if left := time.Until(first.EndsAt); left < 100*time.Minute || left > 2*time.Hour || !strings.HasPrefix(first.Comment, "fills up on Sundays ") {
		t.Errorf("%+v", first)
	}
	p.show("hushed")
	p.do(chromedp.Reload(), said("✓ Hushed until"))
	if again := silenceOf(); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("loading it again made %+v of %+v", again, first)
	}
	p.do(tap("Change how long"), tap("8 hours"), tap("Hush longer"), said("✓ Hushed until"))
	servertest.Eventually(t, time.Minute, func() error {
		if s := silenceOf(); s.ID != first.ID || !s.EndsAt.After(first.EndsAt) {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	p.do(tap("Undo"), said("It sounds again."))
	p.show("undone")
	if n := len(a.silences()); n != 0 || a.silenced(diskOfAcme) {
		t.Errorf("undone, and %d silences", n)
	}

	p.do(tap("Until resolved"), tap("Hush"), said("Hushed until it’s resolved"))
	p.show("until-resolved")
	silenceOf()
	servertest.Eventually(t, 2*time.Minute, func() error {
		a.resolve(diskOfAcme) // as Prometheus does, again and again
		if !a.told("acme", 0, `"status":"resolved"`) {
			return errors.New("not told that it is resolved")
		}
		return nil
	})
	p.open(link, "Nothing like that fires now")
	p.show("over")
	so := len(a.inbox.Messages())
	a.fire(diskOfAcme)
	servertest.Eventually(t, time.Minute, func() error {
		if !a.told("acme", so, `"status":"firing"`) {
			return errors.New("not told that it fires again")
		}
		return nil
	})

	a.fire(worseDisk, withLabel(diskOfAcme, "instance", "203.0.113.8:9100"))
	p.open(a.origin+a.link("acme", tokenOf(ackKey, "acme"), map[string]string{"alertname": "DiskAlmostFull", "prep": "hx1"}), "Several alerts fire.")
	p.show("several")
	p.do(tap("Hush"), said("✓ Hushed until"))
	if a.silenced(worseDisk) || !a.silenced(diskOfAcme) {
		t.Error("not all but the critical one is hushed")
	}
	p.show("several-hushed")
	p.open(a.origin+a.link("acme", tokenOf("another key, which isn't the one that is there", "acme"), diskOfAcme), "newest notification")
	p.show("forbidden")
	p.open(a.origin+"/page/", "Links in notifications")
}
