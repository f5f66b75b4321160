package reload

import (
	"errors"
	"fmt"
	"go/token"
	htmltemplate "html/template"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/notify"
	amtemplate "github.com/prometheus/alertmanager/template"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// templates are those of a release, as Alertmanager loads them, and its own.
type templates struct {
	*amtemplate.Template
	// text and html are the sets behind it.
	text *template.Template
	html *htmltemplate.Template
}

// undefinedFunction is what the template parsers say of a function that they don't know.
var undefinedFunction = regexp.MustCompile(`function "([^"]+)" not defined`)

// loadTemplates loads the templates that absolute patterns match. It returns nil if there is a fault in them.
func (c *alertmanagerCheck) loadTemplates(patterns []string) *templates {
	if patterns == nil {
		for p := range c.files {
			if p != c.main && !private(p) && path.Ext(p) == ".tmpl" {
				patterns = append(patterns, filepath.Join(c.dir, p))
			}
		}
		slices.Sort(patterns)
	}
	// Functions that only a server of another version may know stand for nothing here.
	unknown := template.FuncMap{}
	for {
		var t templates
		var err error
		err = guard(func() error {
			t.Template, err = amtemplate.FromGlobs(patterns, func(text *template.Template, html *htmltemplate.Template) {
				t.text, t.html = text.Funcs(unknown), html.Funcs(htmltemplate.FuncMap(unknown))
			})
			return err
		})
		if err == nil {
			return &t
		}
		pos, msg := c.inTemplates(err.Error())
		name := undefinedFunction.FindStringSubmatch(err.Error())
		if name == nil || !c.lenient() || unknown[name[1]] != nil {
			c.errors.Add(pos, msg)
			return nil
		}
		c.warnings.Add(pos, c.unsure(msg))
		unknown[name[1]] = func(...any) string { return "" }
	}
}

// templateError is how text/template and html/template begin: "template: mail.tmpl:3:7: " with a column that counts
// from 0, and without one if the text can't be parsed. A text of the main file has no name.
var templateError = regexp.MustCompile(`(?:html/template|template): ?([^\s:]*):(\d+)(?::(\d+))?: `)

// inTemplates places an error that is about a template file.
func (c *alertmanagerCheck) inTemplates(msg string) (token.Position, string) {
	pos := token.Position{Filename: c.name(c.main), Line: 1, Column: 1}
	m := templateError.FindStringSubmatch(msg)
	if m == nil {
		return pos, c.inRelease(msg)
	}
	for _, p := range c.files.Paths() {
		if p != c.main && path.Base(p) == m[1] {
			pos.Filename = c.name(p)
		}
	}
	pos.Line, _ = strconv.Atoi(m[2])
	if column, err := strconv.Atoi(m[3]); err == nil {
		pos.Column = column + 1
	}
	return pos, strings.Replace(msg, m[0], "", 1)
}

// texts executes what receivers write into notifications on a sample of alerts.
type texts struct {
	*alertmanagerCheck
	*trial
	// done are those of this pass, or the like: contacts have many in common.
	done   map[sampleText]bool
	fields yamlFields
	paths  map[string]bool // those that hold no template
	data   *amtemplate.Data
	// set is a copy of the templates in which one text after the other is executed; nil until one is.
	set *template.Template
}

// sampleText is a text in which what may differ between contacts was taken out.
type sampleText struct {
	text string
	html bool
}

// sample returns alerts as they come: one fires, one has ended, and both have what most rules give them.
func sample(now time.Time) []*alert.Alert {
	one := func(instance string, ends time.Time) *alert.Alert {
		return &alert.Alert{
			Alert: model.Alert{
				Labels:       model.LabelSet{"alertname": "Sample", "severity": "critical", "job": "sample", "instance": model.LabelValue(instance)},
				Annotations:  model.LabelSet{"summary": "A sample", "description": "An alert to try templates on.", "runbook_url": "http://localhost/runbook"},
				StartsAt:     now.Add(-time.Hour),
				EndsAt:       ends,
				GeneratorURL: "http://localhost/graph?g0.expr=up",
			},
			UpdatedAt: now,
		}
	}
	return []*alert.Alert{one("localhost:9100", now.Add(time.Hour)), one("localhost:9101", now.Add(-time.Minute))}
}

// notExecuted are the texts that hold no template whatever they look like.
var notExecuted = regexp.MustCompile(`(^|\.)(http_config|tls_config|parse_mode|hello|auth_username|auth_identity|[a-z_]*_file)(\.|$)|^discord_configs\.(username|avatar_url)$`)

// isNotExecuted asks notExecuted about each path once.
func (x *texts) isNotExecuted(path string) bool {
	answer, ok := x.paths[path]
	if !ok {
		answer = notExecuted.MatchString(path)
		x.paths[path] = answer
	}
	return answer
}

// plainAddress is an address right behind an action, such as that of the page of a contact. Nothing in it ends a tag or an
// attribute, or begins an action.
var plainAddress = regexp.MustCompile(`\}\}https?://[a-zA-Z0-9._~/:-]+`)

// alike returns the same for texts that differ in nothing but such addresses. They fail alike, if at all, and there may be one
// of each contact.
func alike(text string) string {
	if !strings.Contains(text, "}}http") {
		return text
	}
	return plainAddress.ReplaceAllLiteralString(text, "}}http://")
}

// end remembers which texts could be executed.
func (x *texts) end() {
	maps.DeleteFunc(x.done, func(_ sampleText, passed bool) bool { return !passed })
	x.trials.remember(&trial{x.sum, x.templates, x.done})
}

// receiver executes every text of a receiver that holds a template.
func (x *texts) receiver(r config.Receiver, used bool) {
	x.walk(reflect.ValueOf(r), "", func(path string, v reflect.Value) {
		text := v.String()
		html := path == "email_configs.html"
		if !strings.Contains(text, "{{") || x.isNotExecuted(path) {
			return
		}
		kind := sampleText{alike(text), html}
		if _, done := x.done[kind]; done {
			return
		}
		err := error(nil)
		if !x.passed[kind] {
			err = x.execute(text, html)
		}
		x.done[kind] = err == nil
		if err == nil {
			return
		}
		secret := v.Type() != reflect.TypeFor[string]()
		pos, msg := x.place(r.Name, text, err)
		msg = fmt.Sprintf("receiver %s: %s: %s", r.Name, path, msg)
		switch {
		case secret:
			// Its words would show a part of the secret.
			x.warnings.Add(pos, fmt.Sprintf("receiver %s: %s: the template in this secret can't be executed", r.Name, path))
		case !used || !certain(err):
			x.warnings.Add(pos, msg+" (with a sample of alerts)")
		case x.lenient() && maybeOtherTemplates(err):
			x.warnings.Add(pos, x.unsure(msg))
		default:
			x.errors.Add(pos, msg)
		}
	})
}

// route executes the labels of a route. Alertmanager goes on without one that can't be.
func (x *texts) route(r *config.Route) {
	for name, label := range r.Labels {
		text := string(label)
		if !strings.Contains(text, "{{") {
			continue
		}
		if err := x.execute(text, false); err != nil {
			pos, msg := x.place("", text, err)
			x.warnings.Add(pos, fmt.Sprintf("label %s of a route: %s", name, msg))
		}
	}
}

// execute runs a text as Alertmanager's ExecuteTextString and ExecuteHTMLString do, without their copy of all
// templates for every text.
func (x *texts) execute(text string, html bool) error {
	if x.set == nil {
		x.set = template.Must(x.templates.text.Clone())
		x.data = x.templates.Data("sample", model.LabelSet{"alertname": "Sample"}, nil, notify.ReasonFirstNotification.String(), sample(time.Now())...)
	}
	return guard(func() error {
		if html || strings.Contains(text, "define") || strings.Contains(text, "block") || strings.Contains(text, "routeLabels") {
			if html {
				_, err := x.templates.ExecuteHTMLString(text, x.data)
				return err
			}
			_, err := x.templates.ExecuteTextString(text, x.data)
			return err
		}
		t, err := x.set.New("").Option("missingkey=zero").Parse(text)
		if err != nil {
			return err
		}
		return t.Execute(&limited{left: 10 << 20}, x.data)
	})
}

// limited takes so many bytes and no more.
type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("it writes more than 10 MiB")
	}
	return len(p), nil
}

// certain reports whether a template fails with whatever alerts it is given. Of the rest, such as an index out of
// range, only the alerts can tell.
func certain(err error) bool {
	msg := err.Error()
	return strings.Contains(msg, "not defined") || strings.Contains(msg, "no such template") || strings.Contains(msg, "wrong number of args") ||
		fieldOfData.MatchString(msg) || !strings.Contains(msg, "executing ") && !strings.Contains(msg, "html/template") && templateError.MatchString(msg)
}

// fieldOfData is the complaint about a field that the data of a notification, or an alert of it, doesn't have.
var fieldOfData = regexp.MustCompile(`can't evaluate field \w+ in type \*?(\[\])?template\.(Data|Alerts?)$`)

// maybeOtherTemplates reports whether another version may have the template, function or field that is missing.
func maybeOtherTemplates(err error) bool {
	return strings.Contains(err.Error(), "not defined") || strings.Contains(err.Error(), "no such template") || fieldOfData.MatchString(err.Error())
}

// place finds where in the files a text of a receiver fails.
func (x *texts) place(receiver, text string, err error) (token.Position, string) {
	msg := err.Error()
	m := templateError.FindStringSubmatch(msg)
	if m != nil && m[1] != "" {
		if pos, rest := x.inTemplates(msg); pos.Filename != x.name(x.main) {
			return pos, rest
		}
	}
	pos := token.Position{Filename: x.name(x.main), Line: 1, Column: 1}
	in := x.document()
	if n := x.receiverNode(receiver); n != nil {
		in = n
		pos = strictyaml.Position(pos.Filename, n)
	}
	values := scalarsOf(in)
	i := slices.IndexFunc(values, func(s scalar) bool { return s.Value == text })
	if i < 0 {
		return pos, msg
	}
	pos = strictyaml.Position(pos.Filename, values[i].Node)
	if m != nil {
		line, _ := strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		if exact := within(x.files[x.main], pos, line, column+1); m[3] != "" || exact.Line != pos.Line {
			pos = exact
		}
		msg = strings.Replace(msg, m[0], "", 1)
	}
	return pos, msg
}

// walk visits every text in a receiver with the path of its keys.
func (x *texts) walk(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			x.walk(v.Elem(), path, visit)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[commoncfg.HTTPClientConfig]() {
			return
		}
		for _, f := range x.fields.of(v.Type()) {
			switch field := v.Field(f.index); {
			case field.IsZero():
			case f.key == "":
				x.walk(field, path, visit)
			case path == "":
				x.walk(field, f.key, visit)
			default:
				x.walk(field, path+"."+f.key, visit)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			x.walk(v.Index(i), path, visit)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			x.walk(it.Key(), path, visit)
			x.walk(it.Value(), path, visit)
		}
	case reflect.String:
		visit(path, v)
	}
}
