package discovery

import (
	"fmt"
	"go/scanner"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// A base is what of a prometheus.yml concerns scrape jobs.
type base struct {
	file     string
	includes []string   // scrape_config_files
	at       *yaml.Node // where they stand; nil if nowhere
	global   map[string]*yaml.Node
	jobs     []*baseJob
}

// A baseJob is a scrape job that people wrote.
type baseJob struct {
	name        string
	settings    map[string]*yaml.Node
	files       []string     // of its file_sd_configs
	relabelling []*yaml.Node // relabel_configs
	rules       []*relabel.Config
}

// copied are the settings of a job that hold for a contact's exporters too. What
// would let anybody in isn't among them.
var copied = [...]string{
	"params", "scrape_interval", "scrape_timeout", "scrape_protocols", "fallback_scrape_protocol", "enable_compression",
	"scrape_native_histograms", "scrape_classic_histograms", "always_scrape_classic_histograms", "convert_classic_histograms_to_nhcb",
	"native_histogram_bucket_limit", "native_histogram_min_bucket_factor", "metric_name_validation_scheme",
	"metric_name_escaping_scheme", "extra_scrape_metrics", "proxy_url", "no_proxy", "proxy_from_environment",
}

// readBase reads a prometheus.yml. Whether Prometheus takes it is others' business:
// what isn't understood is as if it weren't there.
func readBase(b Base) (*base, *scanner.Error) {
	top, problems := strictyaml.Parse(b.File, b.Data)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	parsed := &base{file: b.File}
	if top == nil {
		return parsed, nil
	}
	var any any
	if err := top.Decode(&any); err != nil { // an alias that contains itself, for one
		return nil, strictyaml.Faults(b.File, b.Data, err)[0]
	}
	root := fieldsOf(top)
	parsed.global = fieldsOf(root["global"])
	parsed.at = root["scrape_config_files"]
	parsed.includes = texts(parsed.at)
	for _, n := range items(root["scrape_configs"]) {
		settings := fieldsOf(n)
		j := &baseJob{settings: settings, relabelling: items(settings["relabel_configs"])}
		if n := settings["job_name"]; n != nil {
			j.name = n.Value
		}
		for _, sd := range items(settings["file_sd_configs"]) {
			j.files = append(j.files, texts(fieldsOf(sd)["files"])...)
		}
		for _, n := range j.relabelling {
			r := new(relabel.Config)
			if err := n.Decode(r); err != nil {
				j.rules = nil // then nothing is known about what it keeps
				break
			}
			j.rules = append(j.rules, r)
		}
		if !j.elsewhere() {
			parsed.jobs = append(parsed.jobs, j)
		}
	}
	return parsed, nil
}

// included says what is wrong if Prometheus would not read the jobs' files.
func (b *base) included(w wantedJob) *scanner.Error {
	file := ScrapeFile(w.contact, w.exporter.Name)
	if slices.ContainsFunc(b.includes, func(pattern string) bool {
		ok, err := path.Match(path.Clean(filepath.ToSlash(pattern)), file)
		return ok && err == nil
	}) {
		return nil
	}
	msg := fmt.Sprintf("contacts have exporters behind URLs, such as %s of %s, whose scrape jobs Prometheus would not read: ", w.exporter.Name, w.contact)
	if b.at == nil {
		msg += "add scrape_config_files: [" + ScrapeInclude + "]"
	} else {
		msg += "add " + ScrapeInclude + " here"
	}
	return &scanner.Error{Pos: b.position(b.at), Msg: msg}
}

// reads reports whether the job has the targets in a file.
func (j *baseJob) reads(file string) bool {
	return slices.ContainsFunc(j.files, func(pattern string) bool {
		ok, err := filepath.Match(pattern, file)
		return ok && err == nil
	})
}

// elsewhere reports whether the job doesn't scrape its targets' addresses, as one
// that has another exporter probe them.
func (j *baseJob) elsewhere() bool {
	return slices.ContainsFunc(j.rules, func(r *relabel.Config) bool {
		return r.TargetLabel == "__address__" && !slices.Contains([]relabel.Action{relabel.Keep, relabel.Drop, relabel.LabelDrop, relabel.LabelKeep}, r.Action)
	})
}

// wants reports whether the job may keep the targets of an exporter. Only rules
// about labels whose values are known can say no.
func (j *baseJob) wants(network, exporter string) bool {
	known := map[string]string{"job": j.name, labelNetwork: network, labelExporter: exporter}
	for _, r := range j.rules {
		values := make([]string, len(r.SourceLabels))
		sure := len(values) > 0
		for i, name := range r.SourceLabels {
			value, ok := known[string(name)]
			values[i], sure = value, sure && ok
		}
		switch r.Action {
		case relabel.Keep, relabel.Drop:
			if sure && r.Regex.MatchString(strings.Join(values, r.Separator)) != (r.Action == relabel.Keep) {
				return false
			}
		case relabel.KeepEqual, relabel.DropEqual:
		case relabel.Replace, relabel.Lowercase, relabel.Uppercase, relabel.HashMod:
			if delete(known, r.TargetLabel); strings.Contains(r.TargetLabel, "$") {
				clear(known)
			}
		default:
			clear(known)
		}
	}
	return true
}

// limit is a limit that the job sets; nil if it has none, or is none.
func (j *baseJob) limit(key string) *yaml.Node {
	if j == nil {
		return nil
	}
	if n := j.settings[key]; n != nil && n.Kind == yaml.ScalarNode && n.Value != "0" && n.Value != "" {
		return n
	}
	return nil
}

// fieldsOf returns the values of a mapping by key, and of those that are merged into
// it. All of them are copies without aliases, anchors and comments.
func fieldsOf(n *yaml.Node) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	if n = plain(n); n == nil || n.Kind != yaml.MappingNode {
		return fields
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		fields[n.Content[i].Value] = n.Content[i+1]
	}
	return fields
}

// items returns the entries of a list.
func items(n *yaml.Node) []*yaml.Node {
	if n = plain(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

func texts(n *yaml.Node) (all []string) {
	for _, item := range items(n) {
		if item.Kind == yaml.ScalarNode {
			all = append(all, item.Value)
		}
	}
	return all
}

// plain copies a node with all that it refers to written out. Positions stay.
func plain(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return plain(n.Alias)
	}
	c := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value, Line: n.Line, Column: n.Column}
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			c.Content = append(c.Content, plain(child))
		}
		return c
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := plain(n.Content[i]), plain(n.Content[i+1])
		switch {
		case key.ShortTag() != "!!merge":
			c.Content = append(c.Content, key, value)
		case value.Kind == yaml.SequenceNode:
			merged = append(merged, value.Content...)
		default:
			merged = append(merged, value)
		}
	}
	for _, from := range merged {
		for i := 0; i+1 < len(from.Content); i += 2 {
			if !hasKey(c, from.Content[i].Value) {
				c.Content = append(c.Content, from.Content[i], from.Content[i+1])
			}
		}
	}
	return c
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}
