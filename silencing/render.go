package silencing

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// rendered is how far ahead Render looks.
const rendered = 7 * 24 * time.Hour

// Render returns a table of the silences that the rules ask for from now on for
// seven days, by their start, each with its times as its rule's own clock shows
// them and in UTC.
func Render(rules []Rule, now time.Time) []byte {
	var list []Occurrence
	for i := range rules {
		list = slices.AppendSeq(list, occurrences(&rules[i], now, now.Add(rendered)))
	}
	slices.SortStableFunc(list, func(a, b Occurrence) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), a.EndsAt.Compare(b.EndsAt), cmp.Compare(a.Rule.Name, b.Rule.Name))
	})
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tSTARTS\tENDS\tSTARTS IN UTC\tENDS IN UTC\tMATCHERS")
	for _, o := range list {
		const local, utc = "Mon 2006-01-02 15:04:05 -07:00", time.RFC3339
		start, startUTC, end := "at once", "at once", o.EndsAt
		if !o.StartsAt.IsZero() {
			start, startUTC = o.StartsAt.Format(local), o.StartsAt.UTC().Format(utc)
			end = o.EndsAt.In(o.StartsAt.Location())
		}
		matchers := make([]string, len(o.Rule.Matchers))
		for i, m := range o.Rule.Matchers {
			matchers[i] = m.String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", o.Rule.Name, start, end.Format(local),
			startUTC, o.EndsAt.UTC().Format(utc), strings.Join(matchers, ", "))
	}
	w.Flush()
	return b.Bytes()
}
