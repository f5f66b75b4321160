package silencing

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

// expiringWithin is how long before its end a rule is worth a warning.
const expiringWithin = 72 * time.Hour

// Check returns the problems of a silences.yaml, which make it unusable, and
// warnings: about rules that do nothing any more, about those that end within
// three days after having lasted longer than that, for whoever counts on them,
// and about those that name nothing but a severity. It contacts no server.
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
		if rules[i].onlySeverity() {
			warnings.Add(rules[i].Position, fmt.Sprintf("rule %s silences all alerts of a severity, add a matcher that names which", rules[i].Name))
		}
	}
	return nil, warnings
}

func (r *Rule) warning(now time.Time) string {
	at := r.EndsAt.Format(time.RFC3339)
	if !r.EndsAt.After(now) {
		return fmt.Sprintf("rule %s is over since %s and does nothing, remove it", r.Name, at)
	}
	for range occurrences(r, now, r.EndsAt) {
		if r.expiring(r.StartsAt, now) {
			return r.expires(now)
		}
		return ""
	}
	return fmt.Sprintf("rule %s has no silence left before it ends at %s, remove it", r.Name, at)
}

// expiring reports whether the rule ends soon and lasted longer, so that
// somebody may count on it. A zero start is long ago.
func (r *Rule) expiring(start, now time.Time) bool {
	left := r.EndsAt.Sub(now)
	return left > 0 && left <= expiringWithin && (r.Schedule != nil || r.EndsAt.Sub(start) > expiringWithin)
}

func (r *Rule) expires(now time.Time) string {
	return fmt.Sprintf("rule %s ends in %s, at %s", r.Name,
		model.Duration(r.EndsAt.Sub(now).Truncate(time.Minute)), r.EndsAt.Format(time.RFC3339))
}

// onlySeverity reports whether no matcher picks certain values of any label but
// severity.
func (r *Rule) onlySeverity() bool {
	return !slices.ContainsFunc(r.Matchers, func(m Matcher) bool {
		compiled, err := m.compile()
		return err == nil && m.Name != "severity" && narrows(compiled)
	})
}

// warn says once of each rule that it ends soon, and shows it as a metric.
func (a *Agent) warn(told map[string]bool) {
	for i := range a.found.rules {
		r, expiring := &a.found.rules[i], 0.0
		if a.found.expiring(r) {
			expiring = 1
			key := fmt.Sprintf("%s ends %d", r.Name, r.EndsAt.Unix())
			if told[key] = true; !a.told[key] {
				a.logger.Warn("a rule ends soon, renew it by a change of the file if it is still needed", "rule", r.Name, "ends_at", r.EndsAt, "position", r.Position)
			}
		}
		a.metrics.expiring.WithLabelValues(r.Name).Set(expiring)
	}
}
