package reload

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// When a refused release is tried again.
func TestVerdictStands(t *testing.T) {
	at := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	const soon, later = time.Minute, 10 * time.Minute
	same, other := loaded{started: 100}, loaded{started: 200}
	for name, tt := range map[string]struct {
		by    refuser
		after time.Duration
		facts string
		said  loaded
		ready bool
		want  bool
	}{
		"check, soon":                       {theCheck, soon, "2.53", same, true, true},
		"check, soon, no server":            {theCheck, soon, "2.53", loaded{}, false, true},
		"check, soon, other process":        {theCheck, soon, "2.53", other, true, true},
		"check, soon, other version":        {theCheck, soon, "3.15", other, true, false},
		"check, later":                      {theCheck, later, "2.53", same, true, false},
		"check, later, no server":           {theCheck, later, "2.53", loaded{}, false, false},
		"server, soon":                      {theServer, soon, "2.53", same, true, true},
		"server, soon, other version":       {theServer, soon, "3.15", same, true, true}, // the same process said so
		"server, soon, other process":       {theServer, soon, "2.53", other, true, false},
		"server, soon, other one starting":  {theServer, soon, "2.53", other, false, true},
		"server, later":                     {theServer, later, "2.53", same, true, false},
		"server, later, it is away":         {theServer, later, "2.53", loaded{}, false, true},
		"its death, soon, other process":    {itsDeath, soon, "2.53", other, true, true},
		"its death, later":                  {itsDeath, later, "2.53", other, true, false},
		"its death, later, it is away":      {itsDeath, later, "2.53", loaded{}, false, true},
		"its absence, soon":                 {itsAbsence, soon, "2.53", loaded{}, false, true},
		"its absence, soon, one starting":   {itsAbsence, soon, "2.53", other, false, true},
		"its absence, soon, it is ready":    {itsAbsence, soon, "2.53", other, true, false},
		"its absence, later, still is away": {itsAbsence, later, "2.53", loaded{}, false, false},
	} {
		v := verdict{by: tt.by, at: at, facts: "2.53", process: same.started}
		if got := v.stands(at.Add(tt.after), tt.facts, tt.said, tt.ready); got != tt.want {
			t.Errorf("%s: stands is %v", name, got)
		}
	}
}

// The kernel's boot time moves by a second now and then, and every start with it.
func TestSameProcess(t *testing.T) {
	for _, tt := range []struct {
		a, b float64
		want bool
	}{
		{1764151200.25, 1764151200.25, true},
		{1764151200.25, 1764151201.25, true},
		{1764151201.25, 1764151200.25, true},
		{1764151200.25, 1764151200.31, false},
		{1764151200.25, 1764151202.25, false},
		{1764151200.25, 1764154800.25, false},
	} {
		if got := sameProcess(tt.a, tt.b); got != tt.want {
			t.Errorf("starts %v and %v: %v", tt.a, tt.b, got)
		}
	}
}

// What a server started from is told by times alone, and in doubt it isn't.
func TestStartedFrom(t *testing.T) {
	dir := t.TempDir()
	writeSource(t, dir, "one")
	a := crashAgent(dir)
	if _, err := a.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved := seconds(a.shelf.moved())
	now := a.shelf.moved().Add(time.Hour)
	a.now = func() time.Time { return now }
	for name, tt := range map[string]struct {
		started, at float64 // after the live link was made
		want        bool
	}{
		"ran before":                         {-3600, -1800, false},
		"ran before, loaded since":           {-3600, 10, false},
		"ran before, loaded long since":      {-3600, 121.5, true}, // longer than reload_timeout, 2m
		"started just now":                   {.5, 2, false},
		"started since":                      {1.5, 2, true},
		"started since, by a clock that was": {3700, 3701, false},
		"tells no start":                     {-moved, 1800, false},
	} {
		if got := a.startedFrom(loaded{successful: true, started: moved + tt.started, at: moved + tt.at}); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A proof ends when the live link moves, also when it comes back.
func TestProofEndsWhenLiveMoves(t *testing.T) {
	dir := t.TempDir()
	s := &store{dir: filepath.Join(dir, "out")}
	a := crashAgent(dir)
	var releases []string
	for _, job := range []string{"one", "two"} {
		writeSource(t, dir, job)
		if _, err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		releases = append(releases, s.current(liveLink))
	}
	move := func(link, release string) {
		t.Helper()
		before := s.changed(link)
		for !s.changed(link).After(before) || !s.changed(link).After(s.changed(liveLink)) && link != liveLink {
			// The clock of the file system ticks slowly: until the order can be seen.
			os.Remove(filepath.Join(s.dir, link))
			if err := s.point(link, release); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		link, release string
		want          bool
	}{
		{provedLink, releases[1], true},
		{liveLink, releases[0], false},
		{liveLink, releases[1], false}, // back, and who knows what the server read meanwhile
		{provedLink, releases[1], true},
		{provedLink, releases[0], false},
	} {
		move(step.link, step.release)
		if got := s.stands(); got != step.want {
			t.Errorf("after %s was made %s: %v", step.link, step.release, got)
		}
	}
	if err := s.point(liveLink, "000000000000"); err == nil || s.current(liveLink) != releases[1] {
		t.Errorf("a release that isn't there was made live: %v", err)
	}
	if s.recall() != nil {
		t.Error("a reload is remembered that nobody sent")
	}
	p := &posted{release: releases[0], sent: time.Now().Round(0), before: loaded{at: 1.5, started: 2.25, successful: true}}
	if err := s.remember(p); err != nil {
		t.Fatal(err)
	}
	if got := s.recall(); got == nil || got.release != p.release || !got.sent.Equal(p.sent) || got.before.at != 1.5 || got.before.started != 2.25 || !got.before.successful {
		t.Errorf("recalled %+v", got)
	}
	if err := s.remember(nil); err != nil || s.recall() != nil {
		t.Errorf("it is remembered when it is over: %v", err)
	}
}
