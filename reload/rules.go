package reload

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// maxTokens bounds an expression. Parsing takes time by the square of how deep it is nested: with this many tokens a
// second, with ten times as many minutes, and with more the stack overflows, which ends the process.
const maxTokens = 10_000

// promQL parses expressions as a server does.
type promQL struct {
	parser.Parser // with the features that the server has switched on
	// all has every feature switched on.
	all parser.Parser
	judge
}

// newPromQL returns the language of a server of which these facts are known. Which feature means what is written in
// cmd/prometheus/main.go (setFeatureListOptions) of the version that our libraries are taken from. A server of
// another version may have other flags for it, so it may have everything switched on.
func newPromQL(j judge) promQL {
	every := parser.Options{
		EnableExperimentalFunctions:  true,
		ExperimentalDurationExpr:     true,
		EnableExtendedRangeSelectors: true,
		EnableBinopFillModifiers:     true,
	}
	exact := parser.Options{
		EnableExperimentalFunctions:  j.facts.has("promql-experimental-functions"),
		ExperimentalDurationExpr:     true, // for everybody since 3.14; the flag does nothing any more
		EnableExtendedRangeSelectors: j.facts.has("promql-extended-range-selectors"),
		EnableBinopFillModifiers:     j.facts.has("promql-binop-fill-modifiers"),
	}
	return promQL{Parser: parser.NewParser(exact), all: parser.NewParser(every), judge: j}
}

// ParseExpr parses an expression. The error of one that needs a feature says which.
func (p promQL) ParseExpr(expr string) (parser.Expr, error) {
	if len(expr) > maxTokens && tokens(expr) > maxTokens {
		return nil, fmt.Errorf("the expression has more than %d parts: parsing it would take minutes or crash the server", maxTokens)
	}
	e, err := p.Parser.ParseExpr(expr)
	if err == nil {
		return e, nil
	}
	if e, errAll := p.all.ParseExpr(expr); errAll != nil {
		err = errAll // what would be wrong with the feature too
	} else if feature := featureFor(err.Error()); feature != "" {
		err = &missingFeature{expr: e, err: err, feature: feature}
	}
	return nil, err
}

// missingFeature is the error of an expression that the server would understand with a feature switched on.
type missingFeature struct {
	expr    parser.Expr
	err     error
	feature string
}

func (e *missingFeature) Unwrap() error { return e.err }

func (e *missingFeature) Error() string {
	if strings.Contains(e.err.Error(), e.feature) {
		return e.err.Error()
	}
	return e.err.Error() + ": start Prometheus with --enable-feature=" + e.feature
}

// featureFor names the feature that the parser misses.
func featureFor(msg string) string {
	switch {
	case strings.Contains(msg, "fill modifiers are experimental"):
		return "promql-binop-fill-modifiers"
	case strings.Contains(msg, "anchored modifier is experimental"), strings.Contains(msg, "smoothed modifier is experimental"):
		return "promql-extended-range-selectors"
	case strings.Contains(msg, "is not enabled"), strings.Contains(msg, "promql-experimental-functions"):
		return "promql-experimental-functions"
	default:
		return ""
	}
}

// tokens counts the parts of an expression.
func tokens(expr string) (n int) {
	lexer := parser.Lex(expr)
	for {
		var item parser.Item
		lexer.NextItem(&item)
		if item.Typ == parser.EOF || item.Typ == parser.ERROR || n > maxTokens {
			return n
		}
		n++
	}
}

// rulesType is what a rule file is decoded into.
var rulesType = reflect.TypeFor[rulefmt.RuleGroups]()

// checkRules judges a rule file as the rule manager would.
func (p promQL) checkRules(filename string, data []byte, scheme model.ValidationScheme) (found findings) {
	file := &written{name: filename, data: data}
	parse := func(ignoreUnknown bool) (list scanner.ErrorList) {
		var errs []error
		err := guard(func() error {
			_, errs = rulefmt.Parse(data, ignoreUnknown, scheme, p, promslog.NewNopLogger())
			return nil
		})
		if err != nil {
			errs = append(errs, err)
		}
		for i, err := range errs {
			more := file.ruleProblems(err)
			if i == maxProblems {
				list.Add(more[0].Pos, fmt.Sprintf("%d problems from here on", len(errs)-i))
				break
			}
			list = append(list, more...)
		}
		return list
	}
	list := parse(false)
	if p.lenient() {
		// Behind an unknown key the parser judges nothing else.
		list = append(list, parse(true)...)
	}
	for _, problem := range list {
		if p.lenient() && p.otherSyntax(problem.Msg) {
			found.warnings.Add(problem.Pos, p.unsure(problem.Msg))
			continue
		}
		found.add(p.sort(scanner.ErrorList{problem}))
	}
	found.tidy()
	return found
}

// otherSyntax reports whether what is wrong with an expression may be right in the server's version. What a newer one
// has learned can't be foreseen, apart from what ends too early or puts a value of the wrong type somewhere. From
// older ones the language has taken away little: the first spelling of durations that are calculated.
func (p promQL) otherSyntax(msg string) bool {
	switch {
	case !strings.Contains(msg, "could not parse expression"), strings.Contains(msg, "has more than"):
		return false
	case strings.Contains(msg, "--enable-feature="), strings.Contains(msg, "duration"), strings.Contains(msg, "before range"):
		return true
	default:
		return p.newer() && !strings.Contains(msg, "end of input") && !strings.Contains(msg, "unclosed") &&
			!strings.Contains(msg, "unterminated") && !strings.Contains(msg, "expected type")
	}
}

var (
	// rulefmt writes "12:9: group …" or, where two places are meant, "12:9: 14:3: group …".
	ruleInMessage = regexp.MustCompile(`^(\d+):(\d+): (?:\d+:\d+: )?((?s:.*))$`)
	// What is wrong with a template has no position: `group "a", rule 1, "Down": annotation "summary": …`.
	ruleText = regexp.MustCompile(`^group ("(?:[^"\\]|\\.)*"), rule (\d+), "(?:[^"\\]|\\.)*": (?:(label|annotation) ("(?:[^"\\]|\\.)*"): )?`)
	// The parser counts lines and columns of the expression alone.
	inExpression = regexp.MustCompile(`^((?s:.*)could not parse expression: )(\d+):(\d+): (?:parse error: )?((?s:.*))$`)
	// So does a template, which has no column for what can't be parsed.
	inAnnotation = regexp.MustCompile(`template: __alert_.*?:(\d+): `)
)

// ruleProblems places what rulefmt said about a rule file.
func (w *written) ruleProblems(err error) scanner.ErrorList {
	if m := ruleText.FindStringSubmatch(err.Error()); m != nil {
		pos, msg := w.ruleTextPosition(m), err.Error()
		if t := inAnnotation.FindStringSubmatch(msg); t != nil {
			msg = strings.Replace(msg, t[0], "", 1)
			if line, _ := strconv.Atoi(t[1]); line > 1 {
				pos = within(w.data, pos, line, 1)
			}
		}
		return scanner.ErrorList{{Pos: pos, Msg: msg}}
	}
	m := ruleInMessage.FindStringSubmatch(err.Error())
	if m == nil {
		return w.problems(err, rulesType)
	}
	pos, msg := token.Position{Filename: w.name}, m[3]
	pos.Line, _ = strconv.Atoi(m[1])
	pos.Column, _ = strconv.Atoi(m[2])
	if rule := ruleText.FindStringSubmatch(msg); pos.Line == 0 && rule != nil { // of a key that isn't there
		pos = w.ruleTextPosition(rule)
	} else if pos.Line == 0 {
		pos = w.locate(msg, nil)
	}
	if e := inExpression.FindStringSubmatch(msg); e != nil {
		line, _ := strconv.Atoi(e[2])
		column, _ := strconv.Atoi(e[3])
		if exact := within(w.data, pos, line, column); exact != pos || line == 1 && column == 1 {
			pos, msg = exact, e[1]+e[4]
		}
	}
	return scanner.ErrorList{{Pos: pos, Msg: msg}}
}

// ruleTextPosition finds the rule, or the label or annotation of it, that m, a match of ruleText, is about.
func (w *written) ruleTextPosition(m []string) token.Position {
	pos := w.top()
	group, errGroup := strconv.Unquote(m[1])
	number, errNumber := strconv.Atoi(m[2])
	doc := w.document()
	if errors.Join(errGroup, errNumber) != nil || doc == nil {
		return pos
	}
	groups := strictyaml.Find(doc, "groups")
	for _, g := range groups.Content {
		if name := value(g, "name"); name == nil || name.Value != group {
			continue
		}
		rule := strictyaml.Find(g, fmt.Sprintf("rules[%d]", number-1))
		if key, err := strconv.Unquote(m[4]); err == nil {
			if texts := value(rule, m[3]+"s"); texts != nil && value(texts, key) != nil {
				rule = value(texts, key)
			}
		}
		return strictyaml.Position(w.name, rule)
	}
	return pos
}

// value returns the value of a key in a mapping, nil if there is none.
func value(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
