package routing

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/alert"
	amtemplate "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
	"golang.org/x/net/html"
)

// A messenger writes messages as Alertmanager does.
type messenger struct {
	t         *testing.T
	templates *amtemplate.Template
}

func newMessenger(t *testing.T, site Site) messenger {
	t.Helper()
	file := filepath.Join(t.TempDir(), "contacts.tmpl")
	if err := os.WriteFile(file, templates(site), 0o600); err != nil {
		t.Fatal(err)
	}
	tmpl, err := amtemplate.FromGlobs([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	tmpl.ExternalURL = &url.URL{Scheme: "https", Host: "alertmanager.example.org"}
	return messenger{t, tmpl}
}

func (m messenger) write(text string, group model.LabelSet, alerts ...*alert.Alert) string {
	m.t.Helper()
	data := m.templates.Data("contact/acme/chat", group, nil, "", alerts...)
	execute := m.templates.ExecuteTextString
	if strings.Contains(text, "stoker.telegram.") || strings.Contains(text, "stoker.email.") {
		execute = m.templates.ExecuteHTMLString
	}
	s, err := execute(text, data)
	if err != nil {
		m.t.Fatalf("%s: %v", text, err)
	}
	return s
}

// messages are all texts that are shown to people, by the template.
func messages(t terms) map[string]string {
	all := map[string]string{}
	for _, name := range []string{
		"text.head", "text.body", "text.message", "text.details", "telegram.message", "slack.head", "slack.body",
		"markdown.head", "markdown.body", "teams.body", "email.html",
	} {
		all[name] = t.message(name)
	}
	return all
}

var (
	sampleNow   = time.Now()
	samplePage  = "https://hush.example.org/hush/acme/dG9r_W4-"
	sampleStart = time.Date(2026, time.November, 26, 14, 3, 0, 0, time.UTC)
	sampleGroup = model.LabelSet{"alertname": "NodeDown", "prep": "hx0b047c751658f7ce1b2595da34d57a0e7dad357d"}
)

func sampleAlert(instance string, with ...func(*alert.Alert)) *alert.Alert {
	a := &alert.Alert{Alert: model.Alert{
		Labels: sampleGroup.Merge(model.LabelSet{
			"prep_name": "Acme node 1", "severity": "critical", "network": "mainnet", "instance": model.LabelValue(instance),
		}),
		Annotations: model.LabelSet{
			"summary":     "the node doesn't answer, 5 < 6 & 7",
			"description": "Nobody has\nseen it for 5 minutes.",
			"runbook_url": "https://runbooks.example.org/NodeDown?a=1&b=2#first",
		},
		StartsAt:     sampleStart,
		EndsAt:       sampleNow.Add(time.Hour),
		GeneratorURL: "https://prometheus.example.org/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
	}}
	for _, change := range with {
		change(a)
	}
	return a
}

func resolved(a *alert.Alert) { a.EndsAt = sampleStart.Add(17 * time.Minute) }

func labelled(name model.LabelName, value model.LabelValue) func(*alert.Alert) {
	return func(a *alert.Alert) { a.Labels[name] = value }
}

func annotated(name model.LabelName, value model.LabelValue) func(*alert.Alert) {
	return func(a *alert.Alert) { a.Annotations[name] = value }
}

// TestMessages compares what each style makes of some groups with testdata/messages; -update rewrites it.
func TestMessages(t *testing.T) {
	m := newMessenger(t, testSite())
	berlin := terms{version: "0.34.2", location: "Europe/Berlin", kind: Operator}
	hushing := berlin
	hushing.hushURL = samplePage
	for name, test := range map[string]struct {
		terms  terms
		alerts []*alert.Alert
	}{
		"one":        {berlin, []*alert.Alert{sampleAlert("10.0.0.1:9100")}},
		"resolved":   {berlin, []*alert.Alert{sampleAlert("10.0.0.1:9100", resolved)}},
		"several":    {berlin, []*alert.Alert{sampleAlert("10.0.0.1:9100", labelled("severity", "warning")), sampleAlert("10.0.0.1:9000"), sampleAlert("10.0.0.1:9200", resolved)}},
		"old":        {terms{version: "0.27.0", location: "Europe/Berlin", kind: Operator}, []*alert.Alert{sampleAlert("10.0.0.1:9100")}},
		"hush":       {hushing, []*alert.Alert{sampleAlert("10.0.0.1:9100")}},
		"subscriber": {terms{version: "0.34.2", location: "Asia/Seoul", kind: Subscriber}, []*alert.Alert{sampleAlert("10.0.0.1:9100", labelled("component", "api"))}},
		"bare": {berlin, []*alert.Alert{{Alert: model.Alert{
			Labels: model.LabelSet{"alertname": "Odd"}, StartsAt: sampleStart, EndsAt: sampleNow.Add(time.Hour),
		}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			texts := messages(test.terms)
			for _, template := range slices.Sorted(maps.Keys(texts)) {
				fmt.Fprintf(&got, "-- %s --\n%s\n", template, strings.TrimRight(m.write(texts[template], sampleGroup, test.alerts...), "\n"))
			}
			golden(t, "messages/"+name+".txt", got.String())
		})
	}
}

// What a node calls itself, and whatever else comes with an alert, is shown as text: it makes no link, calls nobody and
// writes no line of its own.
func TestMessagesDisarmHostileText(t *testing.T) {
	m := newMessenger(t, testSite())
	const evil = "https://evil.example/"
	for _, page := range []string{"", samplePage} {
		operator := terms{version: "0.34.2", location: "UTC", kind: Operator, hushURL: page}
		m.disarms(operator, evil)
	}
}

func (m messenger) disarms(operator terms, evil string) {
	t := m.t
	hostile := []string{
		"<!channel> <!here> <@U123> <!subteam^S1>", "<" + evil + "|Acme>", "@everyone @here @channel @all @acme_noc",
		"[Acme](" + evil + ")", "![x](" + evil + ")", `<a href="` + evil + `">Acme</a>`, "<script>alert(1)</script>", "<b>&lt;i&gt;</b> </b>",
		"\n\nRESOLVED\nall is well\n# big", "\u202egnp.exe\u2066", "**bold** __b__ ~~s~~ `c` ||spoiler||", `\[Acme](` + evil + `)`, "{{ .ExternalURL }}",
		"# heading", "> quote", `" onmouseover="alert(1)`, "<at>everyone</at>", "[x]: " + evil, "</title><h1>x", "&#60;!channel&#62;",
	}
	link := map[string]*regexp.Regexp{
		"slack":    regexp.MustCompile(`<[^>]*>`),
		"markdown": regexp.MustCompile(`(^|[^\\])\[[^\]]*\]\([^)]*\)|<[^>]*>`),
	}
	link["teams"] = link["markdown"]
	mention := regexp.MustCompile(`(^|[^\w.])@\w`)
	for _, text := range hostile {
		v := model.LabelValue(text)
		a := sampleAlert("10.0.0.1:9100", labelled("prep_name", v), labelled("instance", v), labelled("network", v), labelled("component", v),
			annotated("summary", v), annotated("description", v))
		b := sampleAlert("10.0.0.2:9100", labelled("prep_name", v), labelled("network", v), annotated("summary", v))
		for _, alerts := range [][]*alert.Alert{{a}, {a, b}} {
			want := m.lines(operator, alerts, text)
			for name, template := range messages(operator) {
				got := m.write(template, model.LabelSet{"alertname": "NodeDown", "prep_name": v}, alerts...)
				style, _, _ := strings.Cut(name, ".")
				if style != "email" && style != "slack" && mention.MatchString(got) {
					t.Errorf("%s: %q mentions somebody in\n%s", name, text, got)
				}
				if n := strings.Count(got, "\n"); style != "email" && n > want[name] {
					t.Errorf("%s: %q makes %d lines instead of %d in\n%s", name, text, n, want[name], got)
				}
				if strings.ContainsAny(got, "\u202e\u2066") && style != "email" {
					t.Errorf("%s: %q changes the direction", name, text)
				}
				switch style {
				case "email", "telegram":
					m.onlyOurMarkup(name, got, evil)
				case "slack", "markdown", "teams":
					for _, l := range link[style].FindAllString(got, -1) {
						if !regexp.MustCompile(`Runbook|Graph|Hush`).MatchString(l) || strings.Contains(l, "evil.example/") && !strings.Contains(l, "Hush") {
							t.Errorf("%s: %q makes %q in\n%s", name, text, l, got)
						}
					}
				}
			}
		}
	}
}

// lines returns how many lines each message has if the text is a harmless word.
func (m messenger) lines(t terms, alerts []*alert.Alert, text string) map[string]int {
	lines := map[string]int{}
	var harmless []*alert.Alert
	for _, a := range alerts {
		c := *a
		c.Labels, c.Annotations = a.Labels.Clone(), a.Annotations.Clone()
		for _, set := range []model.LabelSet{c.Labels, c.Annotations} {
			for k, v := range set {
				if string(v) == text {
					set[k] = "word"
				}
			}
		}
		harmless = append(harmless, &c)
	}
	for name, template := range messages(t) {
		lines[name] = strings.Count(m.write(template, sampleGroup, harmless...), "\n")
	}
	return lines
}

// onlyOurMarkup checks that HTML has nothing but the tags and attributes of the templates.
func (m messenger) onlyOurMarkup(name, text, evil string) {
	m.t.Helper()
	tags := []string{"html", "head", "meta", "title", "body", "h1", "p", "div", "a"}
	if strings.HasPrefix(name, "telegram") {
		tags = []string{"b", "a"}
	}
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if !slices.Contains(tags, token.Data) {
				m.t.Errorf("%s: tag %s in\n%s", name, token.Data, text)
			}
			for _, a := range token.Attr {
				if a.Key == "href" && strings.HasPrefix(a.Val, evil) || strings.HasPrefix(a.Key, "on") {
					m.t.Errorf("%s: attribute %s=%s in\n%s", name, a.Key, a.Val, text)
				}
			}
		}
	}
}

// Addresses that come with an alert are links only if they are http and can't leave the link.
func TestMessagesLinkOnlyWhatIsAnAddress(t *testing.T) {
	m := newMessenger(t, testSite())
	operator := terms{version: "0.34.2", location: "UTC", kind: Operator}
	for _, address := range []string{
		"javascript:alert(1)", "https://a.example/|x> <!channel>", "https://a.example/) [x](https://evil.example/", "https://a.example/\nx", "relative", "",
	} {
		a := sampleAlert("x", annotated("runbook_url", model.LabelValue(address)), func(a *alert.Alert) { a.GeneratorURL = address })
		for name, template := range messages(operator) {
			got := m.write(template, sampleGroup, a)
			if strings.Contains(got, "Runbook") || strings.Contains(got, "Graph") || strings.Contains(got, "javascript") {
				t.Errorf("%s: %q is a link in\n%s", name, address, got)
			}
		}
	}
}

// No message is longer than its service takes, in units that the service counts or larger ones, whatever an alert holds
// and however many there are.
func TestMessagesAreBounded(t *testing.T) {
	m := newMessenger(t, testSite())
	operator := terms{version: "0.34.2", location: "Europe/Berlin", kind: Operator, hushURL: "https://" + strings.Repeat("h", maxHushPage-9)}
	for _, r := range []string{"x", "&", "<", "'", "`", "ü", "字", "@", "*", "+"} {
		link := "x"
		if r == "&" || r == "+" {
			link = r
		}
		long := model.LabelValue(strings.Repeat(r, 5000))
		var alerts []*alert.Alert
		for i := range 100 {
			alerts = append(alerts, sampleAlert(fmt.Sprintf("%s%d", long, i),
				labelled("alertname", long), labelled("prep_name", long), labelled("network", long), labelled("component", long),
				annotated("summary", long), annotated("description", long),
				annotated("runbook_url", "https://a.example/"+model.LabelValue(strings.Repeat(link, 280))),
				func(a *alert.Alert) { a.GeneratorURL = "https://a.example/" + strings.Repeat(link, 480) }))
		}
		for _, n := range []int{1, 2, 5, 100} {
			for name, most := range map[string]int{
				"telegram.message": 4096, "markdown.head": 256, "markdown.body": 4096, "teams.body": 20000, "slack.body": 12000, "text.head": 250,
			} {
				got := m.write(operator.message(name), model.LabelSet{"alertname": long}, alerts[:n]...)
				if length := utf8.RuneCountInString(got); length > most {
					t.Errorf("%s of %d alerts full of %s has %d characters", name, n, r, length)
				}
			}
			for _, text := range []string{show("hush"), operator.hush()} {
				if url := m.write(text, model.LabelSet{"alertname": long}, alerts[:n]...); len(url) > 512 {
					t.Errorf("the link to hush has %d characters", len(url))
				}
			}
		}
	}
}

// The link opens Alertmanager's form for a silence with matchers that are those of the group, and the severity.
func TestHushLink(t *testing.T) {
	m := newMessenger(t, testSite())
	for value, want := range map[string]string{
		"NodeDown":      `{alertname="NodeDown",prep="hx0b047c751658f7ce1b2595da34d57a0e7dad357d",severity="critical",network="mainnet"}`,
		`a "b" \ & #1+`: `{alertname="a \"b\" \\ & #1+",prep="hx0b047c751658f7ce1b2595da34d57a0e7dad357d",severity="critical",network="mainnet"}`,
	} {
		group := sampleGroup.Merge(model.LabelSet{"alertname": model.LabelValue(value)})
		got := m.write(show("hush"), group, sampleAlert("x"))
		filter, ok := strings.CutPrefix(got, "https://alertmanager.example.org/#/silences/new?filter=")
		if !ok || strings.ContainsAny(filter, "+ ()<>\"'&#") {
			t.Errorf("link %s", got)
		}
		if filter, err := url.PathUnescape(filter); err != nil || filter != want {
			t.Errorf("filter %s, %v, want %s", filter, err, want)
		}
	}
	if got := m.write(show("hush"), nil, &alert.Alert{Alert: model.Alert{StartsAt: sampleStart}}); got != "https://alertmanager.example.org/#/silences/new" {
		t.Errorf("without labels: %s", got)
	}
}

// The link to the page has the labels that all have in common that fire, each as one parameter, whatever is in them.
func TestHushPageLink(t *testing.T) {
	m := newMessenger(t, testSite())
	operator := terms{version: "0.34.2", location: "UTC", kind: Operator, hushURL: samplePage}
	long := model.LabelValue(strings.Repeat("ü", 50)) // 300 characters in an address
	for name, test := range map[string]struct {
		alerts []*alert.Alert
		want   url.Values
	}{
		"one": {[]*alert.Alert{sampleAlert("10.0.0.1:9100")}, url.Values{
			"alertname": {"NodeDown"}, "severity": {"critical"}, "prep": {string(sampleGroup["prep"])}, "network": {"mainnet"}, "instance": {"10.0.0.1:9100"}}},
		"several": {[]*alert.Alert{sampleAlert("a"), sampleAlert("b"), sampleAlert("c", labelled("network", ""))}, url.Values{
			"alertname": {"NodeDown"}, "severity": {"critical"}, "prep": {string(sampleGroup["prep"])}}},
		"one is over": {[]*alert.Alert{sampleAlert("a", resolved), sampleAlert("b", labelled("severity", "warning"))}, url.Values{
			"alertname": {"NodeDown"}, "severity": {"warning"}, "prep": {string(sampleGroup["prep"])}, "network": {"mainnet"}, "instance": {"b"}}},
		"too long for an address": {[]*alert.Alert{sampleAlert(string(long), labelled("network", long))}, url.Values{
			"alertname": {"NodeDown"}, "severity": {"critical"}, "prep": {string(sampleGroup["prep"])}}},
		"no labels": {[]*alert.Alert{{Alert: model.Alert{StartsAt: sampleStart, EndsAt: sampleNow.Add(time.Hour)}}}, url.Values{}},
	} {
		t.Run(name, func(t *testing.T) { m.leadsToPage(operator, test.want, test.alerts...) })
	}
	site := testSite()
	site.IdentityLabel = "instance"
	newMessenger(t, site).leadsToPage(operator, url.Values{"alertname": {"NodeDown"}, "severity": {"critical"}, "network": {"mainnet"}, "instance": {"a"}}, sampleAlert("a"))
	for _, text := range []string{
		"a b+c", "x&severity=info&y", "#x", "?x", `"><a href="https://evil.example/">`, "x) [y](https://evil.example/)", "x|y>", "</a>", "%41", "a;b=c", "x\ny\r\n", "`x`",
		"{{ . }}", "'x'", "ü字🙂", "/../../x", "@everyone", "&amp;", "*_~",
	} {
		v := model.LabelValue(text)
		m.leadsToPage(operator, url.Values{"alertname": {text}, "severity": {text}, "prep": {text}, "instance": {text}},
			sampleAlert(text, labelled("alertname", v), labelled("severity", v), labelled("prep", v), labelled("network", "")))
	}
}

// linkTo finds an address in what each style makes of it.
var linkTo = map[string]*regexp.Regexp{
	"text":     regexp.MustCompile(`(?m)^Hush: (\S+)$`),
	"telegram": regexp.MustCompile(`<a href="([^"]*)">Hush</a>`),
	"email":    regexp.MustCompile(`<a href="([^"]*)" style="[^"]*">Hush</a>`),
	"markdown": regexp.MustCompile(`\[Hush\]\(([^)\s]*)\)`),
	"teams":    regexp.MustCompile(`\[Hush\]\(([^)\s]*)\)`),
	"":         regexp.MustCompile(`^(\S*)$`),
}

// leadsToPage checks where "Hush" leads to in every text that has it.
func (m messenger) leadsToPage(operator terms, want url.Values, alerts ...*alert.Alert) {
	m.t.Helper()
	texts := messages(operator)
	texts[".hush"] = operator.hush()
	links := 0
	for name, template := range texts {
		style, part, _ := strings.Cut(name, ".")
		got := m.write(template, sampleGroup, alerts...)
		if part == "head" || part == "details" || style == "slack" {
			if strings.Contains(got, "Hush") || strings.Contains(got, samplePage) {
				m.t.Errorf("%s has a link:\n%s", name, got)
			}
			continue
		}
		found := linkTo[style].FindAllStringSubmatch(got, -1)
		if len(found) != 1 || strings.Count(got, samplePage) != 1 {
			m.t.Errorf("%s: links %q in\n%s", name, found, got)
			continue
		}
		links++
		link := found[0][1]
		if style == "telegram" || style == "email" {
			link = html.UnescapeString(link)
		}
		page, query, _ := strings.Cut(link, "?")
		parsed, err := url.ParseQuery(query)
		if diff := cmp.Diff(want, parsed); page != samplePage || err != nil || diff != "" {
			m.t.Errorf("%s leads to %s, %v, (-want +got):\n%s", name, link, err, diff)
		}
		if regexp.MustCompile(`[^a-zA-Z0-9._~/:?&=%+-]`).MatchString(link) {
			m.t.Errorf("%s: %s has what may end a link", name, link)
		}
	}
	if links != 7 {
		m.t.Errorf("%d texts have a link", links)
	}
}

// What isn't short or isn't made of what every message can hold is no page, and Alertmanager's form is linked.
func TestHushURL(t *testing.T) {
	site := testSite()
	for page, ok := range map[string]bool{
		samplePage: true, "http://127.0.0.1:9097/hush/a/b": true, "": false, "ftp://x/": false, "https://x/?a=b": false, "https://x/#a": false, "https://x/{{ . }}": false,
		"https://x/)": false, "https://[::1]/": false, "https://x/ y": false, "https://u@x/": false, "https://" + strings.Repeat("x", maxHushPage-9): true, "https://" + strings.Repeat("x", maxHushPage-8): false,
	} {
		site.HushURL = func(stem string) string { return page }
		if got := site.hushURL("acme"); (got == page) != ok && page != "" || !ok && got != "" {
			t.Errorf("%s: %q", page, got)
		}
		o := Options{HushURL: site.HushURL}
		if _, err := o.site(); (err == nil) != (ok || page == "") {
			t.Errorf("%s: %v", page, err)
		} else if err != nil && strings.Contains(err.Error(), page) {
			t.Errorf("the error tells the address: %v", err)
		}
	}
}

// Each severity of the site has its own word, and one that pagers know.
func TestMessagesKnowTheSitesSeverities(t *testing.T) {
	site := testSite()
	site.Severities = []string{"note", "low", "page"}
	site.IdentityLabel = "team"
	m := newMessenger(t, site)
	for severity, want := range map[string]string{
		"page": "page critical 2 danger", "low": "low warning 0 warning", "note": "note info 0 warning", "": "alert error 0 warning", "other": "alert error 0 warning",
	} {
		a := sampleAlert("x", labelled("severity", model.LabelValue(severity)), labelled("team", "storage"), labelled("prep_name", ""))
		got := m.write(show("severity")+" "+show("severity.pagerduty")+" "+show("severity.pushover")+" "+show("severity.color"), sampleGroup, a)
		if got != want {
			t.Errorf("%s: %s, want %s", severity, got, want)
		}
		if head := m.write(show("text.head"), sampleGroup, a); !strings.HasSuffix(head, "] NodeDown · storage") {
			t.Errorf("head %s", head)
		}
	}
}

// The message that the manual shows is a real one.
func TestDocumentedMessage(t *testing.T) {
	manual, err := os.ReadFile("../docs/contacts.md")
	if err != nil {
		t.Fatal(err)
	}
	m := newMessenger(t, testSite())
	text := m.write(terms{version: "0.34.2", location: "Europe/Berlin", kind: Operator}.message("telegram.message"), sampleGroup, sampleAlert("x"))
	text = html.UnescapeString(regexp.MustCompile("<[^>]*>").ReplaceAllString(text, ""))
	if !strings.Contains(string(manual), "```\n"+text+"\n```\n") {
		t.Errorf("docs/contacts.md lacks\n%s", text)
	}
}
