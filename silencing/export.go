package silencing

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/printable"
)

// Export returns the entry of silences.yaml that asks for what a silence of
// Alertmanager does, which is given by its ID or the beginning of one. The name
// differs from those of the file's rules, if that can be read. Alertmanager is
// only asked. A silence that no rule may be like is an error, with what the file
// would be refused for.
func Export(ctx context.Context, cfg Config, o Options, id string) ([]byte, error) {
	c := client{url: o.AlertmanagerURL, http: o.Client}
	list, err := c.silences(ctx)
	if err != nil {
		return nil, err
	}
	s, err := byID(list, id)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var rules []Rule
	if cfg.File != "" {
		rules, _ = Load(cfg.File, now) // with problems, it has no names to avoid
	}
	if m, mine, _ := ownership(s, cfg.Owner); mine {
		return nil, fmt.Errorf("silence %s is made from rule %s of %s already", s.ID, m.rule, cfg.File)
	}
	return export(s, rules, now)
}

// byID finds the silence whose ID is or begins with id.
func byID(list []Silence, id string) (Silence, error) {
	var found []Silence
	for _, s := range list {
		if s.ID == id {
			return s, nil
		}
		if id != "" && strings.HasPrefix(s.ID, id) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Silence{}, fmt.Errorf("no silence %q in Alertmanager, `stoker silences --all` lists those that it remembers", id)
	}
	return Silence{}, fmt.Errorf("%q begins the IDs of %d silences, write more of it", id, len(found))
}

// export returns a silence as a rule. What the file's limits change is said in
// comments.
func export(s Silence, rules []Rule, now time.Time) ([]byte, error) {
	rule := &yaml.Node{Kind: yaml.MappingNode}
	set := func(key, comment string, value *yaml.Node) {
		value.LineComment = comment
		rule.Content = append(rule.Content, text(key), value)
	}
	set("name", "", text(exportName(s, rules)))
	want := normalize(s.Matchers)
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	var all labels.Matchers
	for _, m := range want {
		compiled, err := m.compile()
		if err != nil {
			return nil, fmt.Errorf("silence %s: %w", s.ID, err)
		}
		all = append(all, compiled)
		list.Content = append(list.Content, text(m.String()))
		list.Content[len(list.Content)-1].Style = yaml.SingleQuotedStyle
	}
	set("matchers", "", list)
	t := exportTimes(s, now)
	if !t.start.IsZero() {
		set("starts_at", "", instantNode(t.start))
	}
	set("ends_at", t.comment, instantNode(t.end))
	if by := exportText(s.CreatedBy); by != "" && !strings.HasPrefix(by, createdBy("")) {
		set("created_by", "", text(by))
	}
	if comment := exportText(s.Comment); comment != "" {
		set("comment", "", text(comment))
	} else {
		set("comment", "# the silence doesn't say why", text("exported from Alertmanager"))
	}
	if matchesCritical(all) {
		set("allow_critical", `# no matcher spares severity="critical"`, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"})
	}

	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err := errors.Join(enc.Encode(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{rule}}), enc.Close())
	if err != nil {
		return nil, fmt.Errorf("silence %s: %w", s.ID, err)
	}
	return out.Bytes(), verify(s, out.Bytes(), want, t.end, now)
}

// verify reports why a rule isn't what it was made from.
func verify(s Silence, rule []byte, want []Matcher, end, now time.Time) error {
	rules, err := Parse("", slices.Concat([]byte("silences:\n"), rule), now)
	var problems scanner.ErrorList
	if errors.As(err, &problems) {
		var all []string
		for _, p := range problems {
			all = append(all, p.Msg)
		}
		return fmt.Errorf("silence %s can't be a rule: %s", s.ID, strings.Join(all, "; "))
	}
	if err != nil {
		return err
	}
	if len(rules) != 1 || !slices.Equal(rules[0].Matchers, want) || !rules[0].EndsAt.Equal(end) {
		return fmt.Errorf("silence %s can't be written as a rule with the same meaning", s.ID)
	}
	return nil
}

// exported are times that the file's limits allow.
type exported struct {
	start, end time.Time // a zero start is left out
	comment    string    // on the end
}

// exportTimes returns the times of a silence, shortened to what a rule may last.
// A start so long ago that the rule would be refused is left out.
func exportTimes(s Silence, now time.Time) exported {
	start, end := s.StartsAt.UTC().Truncate(time.Second), s.EndsAt.UTC().Truncate(time.Second)
	t := exported{start: start, end: end}
	if end.Sub(start) > maxDuration {
		limit := start.Add(maxDuration)
		if start.Before(now) {
			t.start, limit = time.Time{}, now.UTC().Truncate(time.Second).Add(maxDuration)
		}
		if end.After(limit) {
			t.end = limit
			t.comment = fmt.Sprintf("# the silence's is %s, a rule's limit is %s", end.Format(time.RFC3339), model.Duration(maxDuration))
		}
	}
	if !end.After(now) {
		t.comment = "# is over: the rule does nothing until this is later"
	}
	return t
}

// exportText returns what a person wrote as a rule may say it, on one line.
func exportText(s string) string {
	if _, before, marked := parseMark(s); marked {
		s = before
	}
	return plain(s)
}

// plain returns a text as a comment may say it: on one line, bounded, and without anything like a mark.
func plain(s string) string {
	s = printable.Line(strings.TrimSpace(strings.ReplaceAll(s, markOpen, "[stoker ")), maxComment)
	for len(s) > maxComment {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}

// exportName derives a name that no rule has: from the comment, else from the
// alert's name, else from the ID.
func exportName(s Silence, rules []Rule) string {
	alertname := ""
	for _, m := range s.Matchers {
		if m.Name == "alertname" && m.IsEqual {
			alertname = m.Value
		}
	}
	base := cmp.Or(slug(exportText(s.Comment)), slug(alertname), slug("silence "+s.ID[:min(8, len(s.ID))]))
	name := base
	for n := 2; slices.ContainsFunc(rules, func(r Rule) bool { return r.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// slug returns the first words of a text as a name, "" if it has none.
func slug(s string) string {
	const most = 40
	name := ""
	for _, word := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) {
		switch {
		case name == "":
			name = word[:min(most, len(word))]
		case len(name)+1+len(word) > most:
			return name
		default:
			name += "-" + word
		}
	}
	return name
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func instantNode(t time.Time) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: t.Format(time.RFC3339)}
}
