package sidecar

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
)

// TestOptions say how a contact is tested.
type TestOptions struct {
	// Severity is that of the alert. Empty: the worst of the site.
	Severity string
	// For is how long the alert fires at most. It ends sooner when everybody has been told who is told within that time.
	For time.Duration
	// Location is the time zone of what is printed.
	Location *time.Location
	// Print is given what happens, line by line.
	Print func(text string)
}

// testLabel marks the alert of a test; its value is the contact. The team's own routes can go by it.
const testLabel = "stoker_test"

// ErrNobodyTold is the end of a test after which somebody wasn't told. What there is to say has been printed.
var ErrNobodyTold = errors.New("not everybody was told")

// UnknownContactError says that there is no contact to test.
type UnknownContactError struct{ error }

// Test calls a contact: it posts an alert that says it is a test to the real Alertmanager, prints who is told and what
// Alertmanager's metrics say of it, and ends the alert, also if ctx ends. Everybody else is told who is told about any
// alert of the contact's.
func Test(ctx context.Context, cfg *Config, contact string, o TestOptions) (err error) {
	answers, err := ReadAnswers(ctx, cfg)
	if err != nil {
		return err
	}
	if status, ok := answers.contact(contact); ok && !status.Routed {
		return fmt.Errorf("contact %q is in quarantine and has no last good version, so nobody is called: %v", contact, status.Problems)
	} else if ok && status.Problems.Len() > 0 {
		o.Print(fmt.Sprintf("contact %q has problems, its last good version is called: %v\n", contact, status.Problems))
	}
	if o.Severity == "" {
		severities := cfg.severities()
		o.Severity = severities[len(severities)-1]
	}
	labels, err := answers.Sample(contact, o.Severity)
	if err != nil {
		return UnknownContactError{err}
	}
	now := time.Now().UTC().Truncate(time.Second)
	// A name of its own gives it groups of its own, so that nobody waits for the next notification of an older test.
	name := fmt.Sprintf("StokerTest-%08x", rand.Uint32())
	labels[model.AlertNameLabel], labels[testLabel] = model.LabelValue(name), model.LabelValue(contact)

	answer := answers.Who(labels, now)
	o.Print(string(answer.Table(o.Location)) + "\n")
	t := test{TestOptions: o, contact: contact, answer: answer}
	if t.alerts, err = newAlerts(cfg); err != nil {
		return err
	}
	if err := t.choose(); err != nil {
		return err
	}
	if err := t.compare(ctx, answers.alertmanager); err != nil {
		return err
	}
	if t.before, err = t.alerts.attempts(ctx); err != nil {
		return err
	}
	alert := postedAlert{
		Labels: labels,
		Annotations: model.LabelSet{
			"summary":     model.LabelValue(fmt.Sprintf("This is a test of contact %s. Nothing is wrong.", contact)),
			"description": "Somebody on the monitoring team ran stoker test to see whether you are reached. There is nothing to do.",
		},
		StartsAt: now,
		// Alertmanager ends it by itself if nobody is there to do that.
		EndsAt: now.Add(o.For + time.Minute),
	}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errors.New("interrupted") // whatever was being asked at that moment
		}
		// Also after a lost answer: it may be there.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		alert.EndsAt = time.Now().UTC()
		if endErr := t.alerts.post(ctx, alert); endErr != nil {
			err = errors.Join(err, fmt.Errorf("the alert couldn't be ended, Alertmanager ends it %s later: %w", o.For+time.Minute, endErr))
			return
		}
		o.Print("ended " + name + "; who hears of that hears it with the next notification of the group\n")
	}()
	if err := t.alerts.post(ctx, alert); err != nil {
		return err
	}
	o.Print(fmt.Sprintf("posted %s to %s\n", name, cfg.Alertmanager.URL))
	if err := t.look(ctx, name); err != nil {
		return err
	}
	return t.wait(ctx)
}

// A test is one that runs.
type test struct {
	TestOptions
	contact string
	answer  routing.Answer
	alerts  *alerts
	before  attempts
	// due are the receivers that are told in time.
	due []routing.Told
}

// choose finds out who is told within the time that the alert fires. It is an error if the contact isn't.
func (t *test) choose() error {
	end := t.answer.At.Add(t.For)
	reached := false
	var why []string
	for _, told := range t.answer.Told {
		mine := told.Contact == t.contact
		switch {
		case told.Reached() && told.Due.Before(end):
			t.due = append(t.due, told)
			reached = reached || mine
		case mine && told.Reached():
			why = append(why, fmt.Sprintf("%s is told only after %s: use --for=%s", told.Method, told.After, told.After+model.Duration(time.Minute)))
		case mine:
			why = append(why, fmt.Sprintf("%s is %s", told.Method, told.When(t.Location)))
		}
	}
	if !reached {
		if len(why) == 0 {
			why = []string{fmt.Sprintf("none of its rules covers severity %s", t.Severity)}
		}
		return fmt.Errorf("contact %q would not be called now, and nothing was sent: %s", t.contact, strings.Join(why, "; "))
	}
	for _, w := range why {
		t.Print(w + "\n")
	}
	return nil
}

// compare says if Alertmanager runs something else than stoker would publish: the test is of what it runs.
func (t *test) compare(ctx context.Context, a *reload.Agent) error {
	switch p := a.Plan(ctx); {
	case p.Runs == reload.RunsOther:
		t.Print("warning: Alertmanager runs something else than the live release: " + p.Why + "\n")
	case p.Refused == nil && p.Live != p.Next && p.ConfigFile == "":
		t.Print(fmt.Sprintf("warning: release %s isn't live yet, Alertmanager runs the one before: run stoker sync\n", p.Next))
	}
	return ctx.Err()
}

// look asks Alertmanager what becomes of the alert, by the configuration and the silences that it has.
func (t *test) look(ctx context.Context, name string) error {
	for {
		state, err := t.alerts.find(ctx, name)
		if err != nil {
			return err
		}
		if state == nil {
			if err := t.pause(ctx); err != nil {
				return err
			}
			continue
		}
		if by := state.Status.SilencedBy; len(by) > 0 {
			return fmt.Errorf("nobody is told, a silence mutes it: %s", joined(by))
		}
		if len(state.Status.InhibitedBy) > 0 {
			return errors.New("nobody is told, another alert that fires inhibits it")
		}
		var want []string
		for _, told := range t.answer.Told {
			want = append(want, told.Receiver)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := state.receivers(); !slices.Equal(got, want) {
			t.Print(fmt.Sprintf("warning: Alertmanager's own configuration routes it to %s\n", joined(got)))
			t.due = slices.DeleteFunc(t.due, func(told routing.Told) bool { return !slices.Contains(got, told.Receiver) })
			if !slices.ContainsFunc(t.due, func(told routing.Told) bool { return told.Contact == t.contact }) {
				return fmt.Errorf("contact %q isn't in the configuration that Alertmanager runs: run stoker sync", t.contact)
			}
		}
		return nil
	}
}

// pause is how often Alertmanager is asked.
func (t *test) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
		return nil
	}
}

// wait prints what Alertmanager's metrics say until all are told who are due, or the time is over.
func (t *test) wait(ctx context.Context) error {
	waiting := t.waiting()
	var last attempts
	for {
		now, err := t.alerts.attempts(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		} else if err == nil {
			last = now
			waiting = slices.DeleteFunc(waiting, func(w *awaited) bool { return t.arrived(w, now) })
		}
		if len(waiting) == 0 {
			return nil
		}
		if !time.Now().Before(t.answer.At.Add(t.For)) {
			break
		}
		if err := t.pause(ctx); err != nil {
			return err
		}
	}
	for _, w := range waiting {
		sent, failed := last.since(t.before, w.attempt)
		text := fmt.Sprintf("%s: %d of %d sent by %s", w.who, sent, w.count, w.integration)
		if failed > 0 {
			text += fmt.Sprintf(", %d tries failed: Alertmanager's log says why", failed)
		}
		t.Print(text + "\n")
	}
	return ErrNobodyTold
}

// awaited is what has to happen: as many notifications of a kind as there are integrations.
type awaited struct {
	attempt
	who   string
	count int
	tried bool // a failure has been printed
}

// waiting returns what is waited for: the contact's receivers, each by itself, where the metrics name them, and else
// whatever is due.
func (t *test) waiting() (all []*awaited) {
	for _, told := range t.due {
		if t.before.named() && told.Contact != t.contact {
			continue
		}
		for _, integration := range told.Integrations {
			a := attempt{integration: integration}
			who := "all receivers"
			if t.before.named() {
				a.receiver, who = told.Receiver, told.Receiver
			}
			i := slices.IndexFunc(all, func(w *awaited) bool { return w.attempt == a })
			if i < 0 {
				i = len(all)
				all = append(all, &awaited{attempt: a, who: who})
			}
			all[i].count++
		}
	}
	if !t.before.named() {
		t.Print("Alertmanager's metrics don't say whom it told: start it with --enable-feature=receiver-name-in-metrics for that\n")
	}
	return all
}

// arrived reports whether all of it was sent, and prints what is new.
func (t *test) arrived(w *awaited, now attempts) bool {
	sent, failed := now.since(t.before, w.attempt)
	after := time.Since(t.answer.At).Round(time.Second)
	if sent >= w.count {
		t.Print(fmt.Sprintf("%s: sent by %s after %s\n", w.who, w.integration, after))
		return true
	}
	if failed > 0 && !w.tried {
		w.tried = true
		t.Print(fmt.Sprintf("%s: %s failed after %s and is tried again: Alertmanager's log says why\n", w.who, w.integration, after))
	}
	return false
}
