package silencing

import (
	"fmt"
	"go/token"
	"io"
	"io/fs"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds silences.yaml: far above 10,000 rules, far below trouble.
const maxFile = 16 << 20

// Rule is one entry of silences.yaml: a silence, or with a Schedule one for each
// of its occurrences.
type Rule struct {
	Name string

	// Matchers all have to match an alert. They are sorted, without duplicates.
	Matchers []Matcher

	// StartsAt and EndsAt, in whole seconds, are the silence's times when there
	// is no Schedule; a zero StartsAt means at once. With a Schedule, EndsAt is
	// the end of the rule itself: nothing is silenced from there on.
	StartsAt, EndsAt time.Time

	// Schedule makes the rule recurring.
	Schedule *Schedule

	// CreatedBy and Comment are for the people who meet the silence. CreatedBy
	// is optional; it is shown in the comment.
	CreatedBy, Comment string

	// AllowCritical says that silencing severity="critical" is meant.
	AllowCritical bool

	// Recreate undoes an early end by a person, which is otherwise respected.
	// It is `on_manual_expire: recreate` in the file.
	Recreate bool

	// Position is where the rule stands in the file.
	Position token.Position
}

// Load reads and parses the file. A problem in it is a scanner.ErrorList.
func Load(filename string, now time.Time) ([]Rule, error) {
	data, err := read(filename)
	if err != nil {
		return nil, err
	}
	return Parse(filename, data, now)
}

func read(filename string) ([]byte, error) {
	f, err := os.Open(filename)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, &fs.PathError{Op: "read", Path: filename, Err: fmt.Errorf("larger than %d MiB", maxFile>>20)}
	}
	return data, nil
}

// Parse decodes and checks the text of a silences.yaml. All its problems are
// returned at once, as a scanner.ErrorList in the order of the file, and then
// there are no rules. The filename is only for messages. The present, now, is
// what the limits on ends_at are measured from where there is no start.
func Parse(filename string, data []byte, now time.Time) ([]Rule, error) {
	d := &document{filename: filename}
	rules := d.file(data, now)
	if len(d.problems) > 0 {
		d.problems.Sort()
		return nil, d.problems
	}
	return rules, nil
}

func (d *document) file(data []byte, now time.Time) []Rule {
	const none = "write `silences: []` for none"
	top := d.root(data)
	if top == nil {
		return nil
	}
	if kind(top) == "empty" {
		d.problem(top, "the file is empty, %s", none)
		return nil
	}
	fields := d.fields(top, "the file", "silences")
	if fields == nil {
		return nil
	}
	list, ok := fields["silences"]
	switch {
	case !ok:
		d.problem(top, "silences is missing, %s", none)
		return nil
	case list == nil:
		return nil
	case list.Kind != yaml.SequenceNode:
		d.problem(list, "silences must be a list, not %s; %s", kind(list), none)
		return nil
	}
	rules := make([]Rule, 0, len(list.Content))
	lines := make(map[string]int, len(list.Content))
	for _, n := range list.Content {
		rule := d.rule(n, now)
		if rule.Name == "" {
			continue
		}
		if line, ok := lines[rule.Name]; ok {
			d.problem(n, "name %q is already that of the rule in line %d", rule.Name, line)
			continue
		}
		lines[rule.Name] = n.Line
		rules = append(rules, rule)
	}
	return rules
}

// rule decodes one entry. After a problem the result is not to be used, except
// for a name that isn't empty.
func (d *document) rule(n *yaml.Node, now time.Time) Rule {
	rule := Rule{Position: d.position(n)}
	fields := d.fields(n, "a silence",
		"name", "matchers", "starts_at", "ends_at", "duration", "schedule", "location",
		"created_by", "comment", "allow_critical", "on_manual_expire")
	if fields == nil {
		return rule
	}
	for _, required := range []string{"name", "matchers", "comment"} {
		if _, ok := fields[required]; !ok {
			d.problem(n, "%s is missing", required)
		}
	}
	if v := fields["name"]; v != nil {
		if s, ok := d.text(v, "name"); ok {
			if isName(s) {
				rule.Name = s
			} else {
				d.problem(v, "name %q must be 1 to 63 of a-z, 0-9 and -", s)
			}
		}
	}
	if v := fields["comment"]; v != nil {
		rule.Comment = d.comment(v, "comment")
	}
	if v := fields["created_by"]; v != nil {
		rule.CreatedBy = d.comment(v, "created_by")
	}
	if v := fields["allow_critical"]; v != nil {
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" || v.Decode(&rule.AllowCritical) != nil {
			d.problem(v, "allow_critical must be true or false, not %s", kind(v))
		}
	}
	if v := fields["on_manual_expire"]; v != nil {
		switch v.Value {
		case "respect":
		case "recreate":
			rule.Recreate = true
		default:
			d.problem(v, "on_manual_expire must be respect or recreate, not %s", kind(v))
		}
	}
	if v := fields["matchers"]; v != nil {
		rule.Matchers = d.matchers(v, rule.AllowCritical)
	}
	if _, ok := fields["schedule"]; ok {
		d.recurring(n, fields, &rule, now)
	} else {
		d.oneOff(n, fields, &rule, now)
	}
	return rule
}
