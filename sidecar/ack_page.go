package sidecar

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/silencing"
)

// request is what a visitor may hush with this link.
func (p *ackPage) request(v visit) silencing.HushRequest {
	prefix := "contact/" + v.stem + "/"
	return silencing.HushRequest{
		Labels:   v.labels,
		Receiver: func(name string) bool { return strings.HasPrefix(name, prefix) },
		For:      ackFor[0].d,
		Scope:    v.stem,
		By:       v.stem,
	}
}

// hushKey names what a hush is of. It is how the page knows what somebody saw.
func hushKey(matchers []silencing.Matcher) string {
	var texts []string
	for _, m := range matchers {
		texts = append(texts, m.String())
	}
	slices.Sort(texts)
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return hex.EncodeToString(sum[:8])
}

// doneParam says in the address of the page what was just done; no label that Prometheus allows has such a name.
const doneParam = "stoker-done"

// show answers GET and HEAD. It changes nothing: mailers and chats follow links, too.
func (p *ackPage) show(w http.ResponseWriter, v visit) {
	view, _, err := p.look(v.Context(), v)
	if err != nil {
		p.fail(w, v, err)
		return
	}
	if v.URL.Query().Get(doneParam) == "ended" {
		view.Note = "ended"
	}
	p.answer(w, http.StatusOK, view)
}

// maxForm bounds what the page's form sends.
const maxForm = 16 << 10

// act answers POST.
func (p *ackPage) act(w http.ResponseWriter, v visit) {
	if !p.sameOrigin(v.Request) {
		p.refuse(w, v, ackCrossOrigin, http.StatusForbidden)
		return
	}
	if !p.acts.allow(v.stem, time.Now()) {
		p.refuse(w, v, ackLimited, http.StatusTooManyRequests)
		return
	}
	v.Body = http.MaxBytesReader(w, v.Body, maxForm)
	kind, _, err := mime.ParseMediaType(v.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || v.ParseForm() != nil {
		p.refuse(w, v, ackInvalid, http.StatusBadRequest)
		return
	}
	switch v.PostForm.Get("do") {
	case "hush":
		p.doHush(w, v)
	case "end":
		p.doEnd(w, v)
	default:
		p.refuse(w, v, ackInvalid, http.StatusBadRequest)
	}
}

// doHush hushes what was shown and chosen, as far as it still fires. If something fires that wasn't shown, as a severity that
// joined in the meantime, nothing is done and all of it is shown.
func (p *ackPage) doHush(w http.ResponseWriter, v visit) {
	r := p.request(v)
	r.For, r.Comment = 0, cmp.Or(printable.Line(strings.TrimSpace(v.PostForm.Get("comment")), 300), "hushed from a notification")
	switch choice := v.PostForm.Get("for"); {
	case choice == untilResolved:
		r.UntilResolved = true
	default:
		i := slices.IndexFunc(ackFor, func(c ackPeriod) bool { return c.value == choice && c.d <= p.longest })
		if i < 0 {
			p.refuse(w, v, ackInvalid, http.StatusBadRequest)
			return
		}
		r.For = ackFor[i].d
	}
	view, proposal, err := p.look(v.Context(), v)
	if err != nil {
		p.fail(w, v, err)
		return
	}
	if view.Kind != "ask" {
		p.results.WithLabelValues(ackNothing).Inc()
		p.answer(w, http.StatusOK, view)
		return
	}
	shown, chosen := v.PostForm["shown"], v.PostForm["hush"]
	var do []silencing.Hush
	for _, h := range proposal.Hushes {
		key := hushKey(h.Matchers)
		if !slices.Contains(shown, key) {
			p.again(w, v, view, "changed")
			return
		}
		if slices.Contains(chosen, key) {
			do = append(do, h)
		}
	}
	if len(do) == 0 {
		p.again(w, v, view, "unchosen")
		return
	}
	var done []silencing.Hush
	result := ackExtended
	for _, h := range do {
		one := r
		one.Labels = map[string]string{}
		for _, m := range h.Matchers {
			one.Labels[m.Name] = m.Value
		}
		var made []silencing.Hush
		made, err = p.desk.Hush(v.Context(), one)
		did := "extended"
		if h.ID == "" {
			did, result = "hushed", ackHushed
		}
		for _, m := range made {
			p.record(v, did, m)
		}
		if len(made) > 0 {
			p.hushed()
		}
		done = append(done, made...)
		if errors.Is(err, silencing.ErrNothingFires) {
			err = nil // in this moment
		}
		if err != nil {
			break
		}
	}
	switch {
	case err != nil && len(done) > 0:
		p.results.WithLabelValues(ackPartly).Inc()
		p.logger.Error("only a part was hushed", "contact", v.stem, "err", err)
		p.answer(w, http.StatusBadGateway, ackView{Kind: ackPartly})
		return
	case err != nil:
		p.fail(w, v, err)
		return
	case len(done) == 0:
		result = ackNothing
	}
	p.results.WithLabelValues(result).Inc()
	p.back(w, v, "")
}

// doEnd ends a hush of the contact.
func (p *ackPage) doEnd(w http.ResponseWriter, v visit) {
	h, err := p.desk.End(v.Context(), v.PostForm.Get("id"), v.stem, func(h silencing.Hush) bool {
		return h.Scope == v.stem && h.ID == v.PostForm.Get("id")
	})
	switch {
	case errors.Is(err, silencing.ErrNoHush):
		p.results.WithLabelValues(ackNothing).Inc() // it is over already
	case err != nil:
		p.fail(w, v, err)
		return
	default:
		p.results.WithLabelValues(ackEnded).Inc()
		p.record(v, "ended", h)
	}
	p.back(w, v, "ended")
}

// record says in the log, and on the page of silences, who did what.
func (p *ackPage) record(v visit, did string, h silencing.Hush) {
	e := AckEntry{At: time.Now(), Contact: v.stem, Did: did, Until: h.EndsAt, UntilResolved: h.UntilResolved, Client: v.client.String(), ID: h.ID}
	if h.UntilResolved && did != "ended" {
		e.Until = h.Latest
	}
	for _, m := range h.Matchers {
		if m.Value != "" {
			e.Matchers = append(e.Matchers, m.String())
		}
	}
	p.audit.add(e)
	p.logger.Info("alerts "+did+" from a notification", "contact", e.Contact, "matchers", strings.Join(e.Matchers, ", "),
		"until", e.Until.UTC().Format(time.RFC3339), "until_resolved", e.UntilResolved, "silence", e.ID, "client", e.Client)
}

// again shows the page once more instead of doing anything.
func (p *ackPage) again(w http.ResponseWriter, v visit, view ackView, why string) {
	p.results.WithLabelValues(map[string]string{"changed": ackChanged, "unchosen": ackInvalid}[why]).Inc()
	view.Note = why
	p.answer(w, http.StatusConflict, view)
}

// back leads a browser to the page, so that loading it again does nothing again.
func (p *ackPage) back(w http.ResponseWriter, v visit, done string) {
	query := v.URL.Query()
	query.Del(doneParam)
	if done != "" {
		query.Set(doneParam, done)
	}
	// The path is this request's, whose token is good, so it leads nowhere else.
	w.Header().Set("Location", v.URL.EscapedPath()+"?"+query.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// fail says that Alertmanager didn't do its part.
func (p *ackPage) fail(w http.ResponseWriter, v visit, err error) {
	p.results.WithLabelValues(ackError).Inc()
	p.logger.Error("nothing hushed or shown", "contact", v.stem, "err", err)
	p.answer(w, http.StatusBadGateway, ackView{Kind: ackError})
}
