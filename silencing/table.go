package silencing

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/internal/table"
)

// Table returns the entries as a table for a terminal. What people wrote in them
// is cut and can neither move the cursor nor look like another row.
func Table(entries []Entry, now time.Time) []byte {
	var rows table.Table
	rows.Row("STATE", "FROM (UTC)", "UNTIL (UTC)", "", "ALERTS", "WHOSE", "ID", "MATCHERS", "COMMENT")
	for _, e := range entries {
		const minute = "2006-01-02 15:04"
		state, from, alerts := e.State, "at once", "-"
		if e.Note != "" {
			state += ", " + e.Note
		}
		if e.UntilResolved && e.State == stateActive {
			state += " until resolved"
		}
		if !e.StartsAt.IsZero() {
			from = e.StartsAt.UTC().Format(minute)
		}
		switch {
		case e.Alerts == nil:
			alerts = "unknown"
		case e.State == stateActive:
			alerts = strconv.Itoa(*e.Alerts)
		}
		comment := e.Comment
		if e.Origin == FromFile && e.CreatedBy != "" {
			comment += " (" + e.CreatedBy + ")"
		}
		rows.Row(state, from, e.EndsAt.UTC().Format(minute), distance(e.EndsAt.Sub(now)), alerts,
			e.whose(), printable.Line(cmp.Or(e.ID, "-"), 40), printable.Line(strings.Join(e.Matchers, ", "), 200), printable.Line(comment, 100))
	}
	return rows.Bytes()
}

// whose says in words whose a silence is. The first word is never a person's.
func (e Entry) whose() string {
	switch {
	case e.Line > 0:
		return printable.Line(fmt.Sprintf("file %s:%d %s", e.File, e.Line, e.Rule), 200)
	case e.Origin == FromFile:
		return "file, rule " + e.Rule
	case e.Origin == FromOthers:
		return "file of " + e.Owner + ", rule " + e.Rule
	case e.Origin == FromAck && e.Scope == CLI:
		return "ack, by " + printable.Line(cmp.Or(e.CreatedBy, "unknown"), 40)
	case e.Origin == FromAck:
		return "ack of contact " + printable.Line(e.Scope, 63)
	}
	return "person " + printable.Line(cmp.Or(e.CreatedBy, "unknown"), 40)
}

// distance says how long it is until something, or has been since, in two units.
func distance(d time.Duration) string {
	form, d := "in %s", d.Truncate(time.Second)
	if d < 0 {
		form, d = "%s ago", -d
	}
	days, hours, minutes := d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60
	switch {
	case days > 0:
		return fmt.Sprintf(form, fmt.Sprintf("%dd%dh", days, hours))
	case hours > 0:
		return fmt.Sprintf(form, fmt.Sprintf("%dh%dm", hours, minutes))
	case minutes > 0:
		return fmt.Sprintf(form, fmt.Sprintf("%dm", minutes))
	}
	return fmt.Sprintf(form, d)
}
