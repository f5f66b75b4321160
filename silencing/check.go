package silencing

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"time"

	"github.com/prometheus/common/model"
)

// expiringWithin is how long before its end a rule is worth a warning.
const expiringWithin = 72 * time.Hour

// Check returns the problems of a silences.yaml, which make it unusable, and
// warnings: about rules that do nothing any more, and about those that end
// within three days after having lasted longer than that, for whoever counts
// on them. It contacts no server.
func Check(filename string, now time.Time) (problems, warnings scanner.ErrorList) {
	rules, err := Load(filename, now)
	if err != nil {
		if !errors.As(err, &problems) {
			// It begins with what was done and the name; the name is in the position.
			var path *fs.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			problems.Add(token.Position{Filename: filename}, err.Error())
		}
		return problems, nil
	}
	for i := range rules {
		if w := rules[i].warning(now); w != "" {
			warnings.Add(rules[i].Position, w)
		}
	}
	return nil, warnings
}

func (r *Rule) warning(now time.Time) string {
	at := r.EndsAt.Format(time.RFC3339)
	left := r.EndsAt.Sub(now)
	if left <= 0 {
		return fmt.Sprintf("rule %s is over since %s and does nothing, remove it", r.Name, at)
	}
	for range occurrences(r, now, r.EndsAt) {
		if left <= expiringWithin && (r.Schedule != nil || r.EndsAt.Sub(r.StartsAt) > expiringWithin) {
			return fmt.Sprintf("rule %s ends in %s, at %s", r.Name, model.Duration(left.Truncate(time.Minute)), at)
		}
		return ""
	}
	return fmt.Sprintf("rule %s has no silence left before it ends at %s, remove it", r.Name, at)
}
