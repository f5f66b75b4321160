package silencing

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/internal/table"
)

// Text returns what a request would do to which alerts, for a terminal. What alerts say is cut and can neither move the
// cursor nor look like another row.
func (p Proposal) Text(now time.Time) []byte {
	var rows table.Table
	rows.Row("WHAT", "FIRES FOR", "ALERT", "SUMMARY")
	for _, group := range []struct {
		what   string
		alerts []FiringAlert
	}{{"hushed", p.Alerts}, {"hushed too", p.Also}, {"still sounds", p.Sounding}} {
		for _, a := range group.alerts {
			summary := cmp.Or(a.Annotations["summary"], a.Annotations["message"], a.Annotations["description"])
			rows.Row(group.what, lasting(now.Sub(a.StartsAt)), printable.Line(a.String(), 200), printable.Line(summary, 100))
		}
	}
	text := rows.Bytes()
	if len(p.Also) > 0 {
		text = append(text, "hushed too is what a silence doesn't tell apart from what was asked for\n"...)
	}
	return text
}

// String returns the alert's labels, its name first.
func (a FiringAlert) String() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		if name != model.AlertNameLabel {
			pairs = append(pairs, (&labels.Matcher{Type: labels.MatchEqual, Name: name, Value: a.Labels[name]}).String())
		}
	}
	return a.Labels[model.AlertNameLabel] + "{" + strings.Join(pairs, ", ") + "}"
}

// String returns what the hush silences until when, on one line.
func (h Hush) String() string {
	const minute = "2006-01-02 15:04 UTC"
	id := "a new silence"
	if h.ID != "" {
		id = "silence " + h.ID
	}
	until := "until " + h.EndsAt.UTC().Format(minute)
	if h.UntilResolved {
		until = "until it is resolved, at the latest until " + h.Latest.UTC().Format(minute)
	}
	return fmt.Sprintf("%s of {%s} %s", id, printable.Line(strings.Join(texts(h.Matchers), ", "), 300), until)
}

// lasting says how long something has lasted.
func lasting(d time.Duration) string { return strings.TrimPrefix(distance(max(d, 0)), "in ") }
