package reload

import (
	"strings"
	"testing"
	"time"
)

// What a server runs is compared with a release by what all versions tell alike.
func TestPrometheusStateDifference(t *testing.T) {
	tree := Tree{
		"prometheus.yml": []byte("global: { scrape_interval: 30s }\nrule_files: ['a/*.yml', 'b/*.yml']\nscrape_configs:\n- job_name: one\n  static_configs: [{ targets: ['127.0.0.1:1'] }]\n"),
		"a/x.yml":        []byte("groups: [{ name: g, rules: [{ alert: A, expr: 'sum(up) by (job) == 0' }] }, { name: empty }]\n"),
		"b/x.yml":        []byte("groups: [{ name: g, rules: [{ record: r, expr: 'holt_winters(up[5m], 0.5, 0.5)' }] }]\n"),
	}
	want, err := wanted("", tree)
	if err != nil {
		t.Fatal(err)
	}
	type state = prometheusState
	job := scrapeJob{interval: 30 * time.Second, timeout: 10 * time.Second, path: "/metrics", scheme: "http", targets: []string{"127.0.0.1:1"}}
	groups := map[string][]rule{
		"a/x.yml: g": {{"alerting", "A", "sum by (job) (up) == 0"}},
		"b/x.yml: g": {{"recording", "r", "holt_winters(up[5m], 0.5, 0.5)"}},
	}
	with := func(name string, rules ...rule) map[string][]rule {
		changed := map[string][]rule{name: rules}
		for k, v := range groups {
			if k != name {
				changed[k] = v
			}
		}
		return changed
	}
	other := job
	other.timeout = 5 * time.Second
	unknown := job
	unknown.interval, unknown.scheme = 0, ""
	for name, tt := range map[string]struct {
		have state
		want string
	}{
		"equal":               {state{map[string]scrapeJob{"one": job}, groups}, ""},
		"tells less":          {state{map[string]scrapeJob{"one": unknown}, groups}, ""},
		"nothing":             {state{}, "scrape jobs missing: one; rule groups missing: a/x.yml: g, b/x.yml: g"},
		"another job":         {state{map[string]scrapeJob{"two": job}, groups}, "scrape jobs missing: one, scrape jobs too many: two"},
		"another timeout":     {state{map[string]scrapeJob{"one": other}, groups}, "scrape jobs with other settings: one"},
		"another expression":  {state{map[string]scrapeJob{"one": job}, with("a/x.yml: g", rule{"alerting", "A", "up == 0"})}, "rule groups with other rules: a/x.yml: g"},
		"another alert":       {state{map[string]scrapeJob{"one": job}, with("a/x.yml: g", rule{"alerting", "B", "sum by (job) (up) == 0"})}, "rule groups with other rules: a/x.yml: g"},
		"another kind":        {state{map[string]scrapeJob{"one": job}, with("a/x.yml: g", rule{"recording", "A", "sum by (job) (up) == 0"})}, "rule groups with other rules: a/x.yml: g"},
		"one rule more":       {state{map[string]scrapeJob{"one": job}, with("a/x.yml: g", groups["a/x.yml: g"][0], groups["a/x.yml: g"][0])}, "rule groups with other rules: a/x.yml: g"},
		"beyond our language": {state{map[string]scrapeJob{"one": job}, with("b/x.yml: g", rule{"recording", "r", "holt_winters(up[1h], 0.5, 0.5)"})}, ""},
	} {
		if got := want.difference(tt.have); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A file that only another version understands is compared by names and targets.
func TestStateOfAnotherVersionsFile(t *testing.T) {
	state, err := wanted("", Tree{"prometheus.yml": []byte("future: yes\nscrape_configs: [{ job_name: one, scrape_interval: 1m, static_configs: [{ targets: [a] }] }]\n")})
	if err != nil {
		t.Fatal(err)
	}
	if job := state.jobs["one"]; job.interval != 0 || job.path != "" || len(job.targets) != 1 {
		t.Errorf("job is %+v", job)
	}
}

func TestPathOfRules(t *testing.T) {
	tree := Tree{"rules/a/x.yml": nil, "a/x.yml": nil, "x.yml": nil, "/etc/rules/y.yml": nil}
	for file, want := range map[string]string{
		"/etc/prometheus/live/rules/a/x.yml": "rules/a/x.yml",
		"live/a/x.yml":                       "a/x.yml",
		"/rules/x.yml":                       "x.yml",
		"/etc/rules/y.yml":                   "/etc/rules/y.yml",
		"/elsewhere/z.yml":                   "z.yml",
		"z.yml":                              "z.yml",
	} {
		if got := pathOfRules(tree, file); got != want {
			t.Errorf("%s is %s, want %s", file, got, want)
		}
	}
}

// A body is shortened to what fits a log line, and of a page only its text is left.
func TestWords(t *testing.T) {
	for body, want := range map[string]string{
		"":                                      "",
		" failed to reload\n\tconfig: a < b\n":  "failed to reload config: a < b",
		"<h1>Bad\ngateway</h1><hr>nginx/1":      "Bad gateway nginx/1",
		"<!doctype html><head>x</head><p>sorry": "sorry",
	} {
		if got := words([]byte(body)); got != want {
			t.Errorf("%q is %q, want %q", body, got, want)
		}
	}
	if got := words([]byte(strings.Repeat("ä", 5000))); len(got) > 1010 || !strings.HasSuffix(got, "ä…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
