package silencing

import (
	"testing"
	"time"
)

func TestParseMark(t *testing.T) {
	plain := mark{owner: "team", rule: "r", occurrence: "once", hash: "12345678"}
	ended := plain
	ended.ended = "removed"
	for comment, want := range map[string]struct {
		mark
		text string
	}{
		"why [stoker:team/r@once#12345678]":                            {plain, "why"},
		"why [stoker:team/r@once#12345678;ended:removed]":              {ended, "why"},
		"[stoker:team/r@once#12345678] said bo":                        {plain, ""},
		"[stoker:other/x@once#0] copied [stoker:team/r@once#12345678]": {plain, "[stoker:other/x@once#0] copied"},
		"why [stoker:team/r@once#12345678;ended:]":                     {},
		"why [stoker:team/r@once#12345678":                             {},
		"why [stoker:team/r@once]":                                     {},
		"why [stoker:team/r#12345678]":                                 {},
		"why [stoker:team#12345678]":                                   {},
		"why [stoker:Team/r@once#12345678]":                            {},
		"why [stoker:team/@once#12345678]":                             {},
		"why":                                                          {},
		"":                                                             {},
	} {
		m, text, ok := parseMark(comment)
		if m != want.mark || text != want.text || ok != (want.mark != mark{}) {
			t.Errorf("%q: %+v %q %t", comment, m, text, ok)
		}
	}
}

// The hash of what is in Alertmanagers must not change with the code: every
// silence would be edited.
func TestMarkOfAnOccurrence(t *testing.T) {
	r := oneOffRule("r", testNow, testNow.Add(time.Hour), alertA, warning)
	o := Occurrence{Rule: &r, ID: once, StartsAt: r.StartsAt, EndsAt: r.EndsAt}
	if got := o.comment(owner); got != "why [stoker:team/r@once#b0b851af]" {
		t.Error(got)
	}
	r.CreatedBy = "alice"
	here := o
	here.StartsAt = here.StartsAt.In(time.FixedZone("", 9*3600))
	if here.mark(owner) != o.mark(owner) {
		t.Error("the hash depends on the zone that a time is written in")
	}
	o.EndsAt = o.EndsAt.Add(time.Second)
	if here.mark(owner) == o.mark(owner) {
		t.Error("the hash doesn't depend on the end")
	}
}
