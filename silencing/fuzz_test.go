package silencing

import (
	"errors"
	"go/scanner"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParse: whatever the file, either every problem has its place, or every
// silence in it is one that Alertmanager takes and that is recognised later.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := Parse("silences.yaml", data, testNow)
		if err != nil {
			var problems scanner.ErrorList
			if !errors.As(err, &problems) || rules != nil {
				t.Fatalf("%T, %d rules", err, len(rules))
			}
			for _, p := range problems {
				if p.Pos.Filename != "silences.yaml" || p.Pos.Line < 1 || p.Pos.Column < 1 || p.Msg == "" {
					t.Errorf("%+v", p)
				}
			}
			return
		}
		keys := map[string]bool{}
		for _, now := range []time.Time{testNow, testNow.AddDate(0, 0, 7)} {
			desired := Desired(rules, now)
			for _, o := range desired {
				s := o.silence(owner, now)
				if length := s.EndsAt.Sub(s.StartsAt); length <= 0 || !s.EndsAt.After(now) || length > maxDuration+time.Hour {
					t.Errorf("%s: from %s to %s", o.key(), s.StartsAt, s.EndsAt)
				}
				if m, mine, _ := ownership(*s, owner); !mine || m != o.mark(owner) {
					t.Errorf("%s: not recognised by %q", o.key(), s.Comment)
				}
				if keys[now.String()+o.key()] {
					t.Errorf("%s: twice", o.key())
				}
				keys[now.String()+o.key()] = true
				if !utf8.ValidString(s.Comment) || len(s.Matchers) == 0 {
					t.Errorf("%s: %+v", o.key(), s)
				}
				for _, m := range s.Matchers {
					if _, err := regexp.Compile(m.Value); m.IsRegex && err != nil || m.Name == "" || !utf8.ValidString(m.Name+m.Value) {
						t.Errorf("%s: %+v, %v", o.key(), m, err)
					}
				}
			}
			if left := Plan(owner, withState(desired, now), desired, nil, now).Writes; len(left) > 0 {
				t.Errorf("what is as desired is changed: %q", describe(Changes{Writes: left}))
			}
		}
		Render(rules[:min(len(rules), 3)], testNow)
	})
}

func withState(desired []Occurrence, now time.Time) []Silence {
	var list []Silence
	for _, o := range desired {
		s := *o.silence(owner, now)
		s.ID, s.Status.State = o.key(), stateActive
		if s.StartsAt.After(now) {
			s.Status.State = statePending
		}
		list = append(list, s)
	}
	return list
}

// FuzzParseMark: a mark that is found is the one that stands there.
func FuzzParseMark(f *testing.F) {
	f.Add("why [stoker:team/r@once#12345678]")
	f.Add("why [stoker:team/r@20261201T233000Z#12345678;ended:removed] and more")
	f.Add("[stoker:team/r@once#12345678;ended:]")
	f.Add("[stoker:a/b@c#d[stoker:e/f@g#h]")
	f.Fuzz(func(t *testing.T, comment string) {
		m, text, ok := parseMark(comment)
		if !ok {
			return
		}
		again, textAgain, ok := parseMark(text + " " + m.String())
		if !ok || again != m || textAgain != text {
			t.Errorf("%q: %+v %q, then %+v %q %t", comment, m, text, again, textAgain, ok)
		}
	})
}
