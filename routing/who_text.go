package routing

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/internal/table"
)

// Table returns the answer as a table for a terminal, with the times of a location, and its notes below. What people
// wrote in it can neither move the cursor nor look like another row.
func (a Answer) Table(location *time.Location) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "an alert that begins to fire at %s and goes on tells:\n\n", a.At.In(location).Format(localMinute+" MST"))
	var rows table.Table
	rows.Row("WHO", "METHOD", "KIND", "AFTER", fmt.Sprintf("WHEN (%s)", location), "REPEAT", "RESOLVED")
	for _, t := range a.Told {
		who, method := "(base)", printable.Quote(t.Receiver)
		if t.Contact != "" {
			who, method = t.Contact, t.Method
		}
		if t.Name != "" {
			who += ": " + printable.Quote(t.Name)
		}
		kind := strings.Join(t.Kinds, ", ")
		if kind == "" {
			kind = "-"
		}
		rows.Row(who, method, kind, t.After.String(), t.When(location), t.Repeat.String(), t.Resolved)
	}
	b.Write(rows.Bytes())
	if explained := a.Explained(); len(explained) > 0 {
		b.WriteByte('\n')
		for _, note := range explained {
			fmt.Fprintln(&b, printable.Quote(note))
		}
	}
	return b.Bytes()
}

// When says when it is told, or why not, in words.
func (t Told) When(location *time.Location) string {
	switch {
	case len(t.Kinds) == 0:
		return "never: has no integration"
	case len(t.MutedBy) == 0:
		return t.Due.In(location).Format(localMinute)
	case t.MutedUntil.IsZero():
		return "never: muted for years"
	}
	return "muted until " + t.MutedUntil.In(location).Format(localMinute)
}

// Explained are the notes, and what the table doesn't say of its rows.
func (a Answer) Explained() []string {
	var notes []string
	muted, escalates := false, false
	for _, t := range a.Told {
		muted = muted || len(t.MutedBy) > 0
		escalates = escalates || t.Escalates
	}
	if len(a.Told) > 0 && !a.Reached() {
		notes = append(notes, "nobody is told then")
	}
	notes = append(notes, a.Notes...)
	if escalates {
		notes = append(notes, "an escalation (after …) is promised for the first alert of a group; one that joins later comes with the group's next notification")
	}
	if muted {
		notes = append(notes, "what is muted is told with the group's next notification once the quiet hours are over, if it still fires; an end that falls into them isn't told")
	}
	return notes
}
