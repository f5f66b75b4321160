package discovery

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/robfig/cron/v3"
	"go.yaml.in/yaml/v3"
)

// Config is the discovery section of stoker.yml.
type Config struct {
	// TargetsDir is the folder that gets one <network>.json for each network,
	// for Prometheus' file_sd_configs. It is made if it isn't there. Empty: there
	// are no files, and with the process goes what was known of the networks.
	TargetsDir string `yaml:"targets_dir,omitempty"`
	// Networks are the networks to discover, at least one.
	Networks []Network `yaml:"networks"`
	// Deny are addresses, networks (10.0.0.0/8) and hostnames that never become
	// targets, whoever registers them. Of a hostname, its addresses are denied,
	// too, unless AllowPrivate keeps it from being resolved.
	Deny []string `yaml:"deny,omitempty"`
}

// Network is one network and the exporters to be scraped on its nodes. Decoding
// from YAML begins with [DefaultNetwork].
type Network struct {
	// Name names the targets file and is the value of the label "network".
	// Lower-case letters, digits and dashes. Required, unique.
	Name string `yaml:"name"`
	// API are the URLs of the network's api/v3, tried in this order. A second
	// one on another host is what lets a large drop of P-Reps be confirmed at
	// once. Required.
	API []string `yaml:"api"`
	// NetworkID is the id that an endpoint must say it belongs to, as in "0x1"
	// for mainnet. Empty: not checked.
	NetworkID string `yaml:"network_id,omitempty"`
	// Ranks are the first and the last rank that become targets, as in "1-100".
	// Empty: all.
	Ranks string `yaml:"ranks,omitempty"`
	// Schedule is a cron expression of five fields, in UTC. Not together with
	// RefreshInterval.
	Schedule string `yaml:"schedule,omitempty"`
	// RefreshInterval is the time between two refreshes, give or take 10 %.
	// Default 5m.
	RefreshInterval model.Duration `yaml:"refresh_interval,omitempty"`
	// RemoveAfter is how long a P-Rep must have been absent from every accepted
	// answer before its targets go. Default 1h; 0 removes at once.
	RemoveAfter model.Duration `yaml:"remove_after"`
	// AllowPrivate accepts private, shared (100.64.0.0/10) and loopback
	// addresses, and hostnames without resolving them. For test networks.
	AllowPrivate bool `yaml:"allow_private,omitempty"`
	// Exporters become one target each for every P-Rep, at least one.
	Exporters []Exporter `yaml:"exporters"`
	// HTTPConfig is how the API is reached. Redirects are never followed,
	// whatever it says.
	HTTPConfig promconfig.HTTPClientConfig `yaml:"http_config,omitempty"`
}

// Exporter is what is scraped on every node. Decoding from YAML begins with
// [DefaultExporter].
type Exporter struct {
	// Name is the value of the label "exporter". Required, unique within its
	// network.
	Name string `yaml:"name"`
	// Port is where it listens. Required: what the chain says is the port of
	// the network protocol, never of an exporter.
	Port int `yaml:"port"`
	// Path is the metrics path. Default /metrics.
	Path string `yaml:"path,omitempty"`
	// Scheme is http or https. Default http.
	Scheme string `yaml:"scheme,omitempty"`
}

// defaultInterval is between two refreshes where nothing else is said.
const defaultInterval = 5 * time.Minute

// DefaultNetwork is a network before anything is said about it.
func DefaultNetwork() Network {
	return Network{
		RemoveAfter: model.Duration(time.Hour),
		HTTPConfig:  promconfig.DefaultHTTPClientConfig,
	}
}

// DefaultExporter is an exporter before anything is said about it.
func DefaultExporter() Exporter { return Exporter{Path: "/metrics", Scheme: "http"} }

// UnmarshalYAML decodes over the defaults.
func (n *Network) UnmarshalYAML(node *yaml.Node) error {
	*n = DefaultNetwork()
	type plain Network
	return node.Decode((*plain)(n))
}

// UnmarshalYAML decodes over the defaults.
func (e *Exporter) UnmarshalYAML(node *yaml.Node) error {
	*e = DefaultExporter()
	type plain Exporter
	return node.Decode((*plain)(e))
}

// SetDirectory makes relative paths relative to dir.
func (c *Config) SetDirectory(dir string) {
	if c.TargetsDir != "" && !filepath.IsAbs(c.TargetsDir) {
		c.TargetsDir = filepath.Join(dir, c.TargetsDir)
	}
	for i := range c.Networks {
		c.Networks[i].HTTPConfig.SetDirectory(dir)
	}
}

var (
	networkName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	exporterName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
	hexNumber    = regexp.MustCompile(`^0x(0|[1-9a-f][0-9a-f]{0,15})$`)
)

// Validate reports every problem of the section, each beginning with the path
// of its key.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Networks) == 0 {
		errs = append(errs, errors.New("networks: must list at least one network"))
	}
	for i, entry := range c.Deny {
		if err := new(denyList).add(entry); err != nil {
			errs = append(errs, fmt.Errorf("deny[%d]: %w", i, err))
		}
	}
	seen := map[string]bool{}
	for i := range c.Networks {
		n, path := &c.Networks[i], fmt.Sprintf("networks[%d]", i)
		if seen[n.Name] {
			errs = append(errs, fmt.Errorf("%s.name: %q is the name of an earlier network", path, n.Name))
		}
		seen[n.Name] = true
		errs = append(errs, n.validate(path)...)
	}
	return errors.Join(errs...)
}

func (n *Network) validate(path string) (errs []error) {
	problem := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(path+"."+key+": "+format, args...))
	}
	if !networkName.MatchString(n.Name) {
		problem("name", "must be 1 to 63 lower-case letters, digits and inner dashes, got %q", n.Name)
	}
	if len(n.API) == 0 {
		problem("api", "must list at least one URL, such as https://api.example.org/api/v3")
	}
	urls := map[string]bool{}
	for i, api := range n.API {
		key := fmt.Sprintf("api[%d]", i)
		u, err := url.Parse(api)
		switch {
		case err != nil:
			problem(key, "must be a URL, such as https://api.example.org/api/v3")
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			problem(key, "must be an http or https URL, such as https://api.example.org/api/v3")
		case u.User != nil:
			problem(key, "must not carry a user or password; write them in http_config")
		case urls[u.String()]:
			problem(key, "is listed already")
		default:
			urls[u.String()] = true
		}
	}
	if n.NetworkID != "" && !hexNumber.MatchString(n.NetworkID) {
		problem("network_id", `must be a hex number in quotes, such as "0x1", got %q`, n.NetworkID)
	}
	if _, err := parseRanks(n.Ranks); err != nil {
		problem("ranks", "%w", err)
	}
	switch _, err := parseSchedule(n.Schedule); {
	case err != nil:
		problem("schedule", "%w", err)
	case n.Schedule != "" && n.RefreshInterval != 0:
		problem("schedule", "must not be set together with refresh_interval")
	}
	if n.RefreshInterval < 0 || n.RefreshInterval > 0 && n.RefreshInterval < model.Duration(time.Second) {
		problem("refresh_interval", "must be at least 1s, got %s", n.RefreshInterval)
	}
	if n.RemoveAfter < 0 {
		problem("remove_after", "must not be negative")
	}
	if len(n.Exporters) == 0 {
		problem("exporters", "must list at least one exporter, such as {name: node, port: 9100}")
	}
	names := map[string]bool{}
	for i, e := range n.Exporters {
		errs = append(errs, e.validate(fmt.Sprintf("%s.exporters[%d]", path, i))...)
		if names[e.Name] {
			problem(fmt.Sprintf("exporters[%d].name", i), "%q is the name of an earlier exporter", e.Name)
		}
		names[e.Name] = true
	}
	if err := n.HTTPConfig.Validate(); err != nil {
		problem("http_config", "%w", err)
	}
	return errs
}

func (e *Exporter) validate(path string) (errs []error) {
	if !exporterName.MatchString(e.Name) {
		errs = append(errs, fmt.Errorf("%s.name: must be 1 to 64 letters, digits, dots, dashes and underscores, got %q", path, e.Name))
	}
	if e.Port < 1 || e.Port > math.MaxUint16 {
		errs = append(errs, fmt.Errorf("%s.port: must be 1 to 65535, got %d", path, e.Port))
	}
	if !strings.HasPrefix(e.Path, "/") || strings.ContainsAny(e.Path, "?#") || sanitize(e.Path, 256) != e.Path {
		errs = append(errs, fmt.Errorf("%s.path: must begin with / and have no query, got %q", path, e.Path))
	}
	if e.Scheme != "http" && e.Scheme != "https" {
		errs = append(errs, fmt.Errorf("%s.scheme: must be http or https, got %q", path, e.Scheme))
	}
	return errs
}

// A rankRange is what Ranks means. Ranks begin with 1.
type rankRange struct{ first, last int }

func (r rankRange) contains(rank int) bool { return r.first <= rank && rank <= r.last }

func parseRanks(s string) (rankRange, error) {
	if s == "" {
		return rankRange{1, maxPreps}, nil
	}
	from, to, ok := strings.Cut(s, "-")
	first, err1 := strconv.Atoi(strings.TrimSpace(from))
	last, err2 := strconv.Atoi(strings.TrimSpace(to))
	if !ok || err1 != nil || err2 != nil || first < 1 || last < first || last > maxPreps {
		return rankRange{}, fmt.Errorf("must be two ranks such as 1-100, at most %d, got %q", maxPreps, s)
	}
	return rankRange{first, last}, nil
}

// parseSchedule returns nil for no schedule.
func parseSchedule(s string) (cron.Schedule, error) {
	if s == "" {
		return nil, nil
	}
	if strings.Contains(s, "TZ=") {
		return nil, errors.New("must not name a time zone: schedules are in UTC")
	}
	schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(s)
	if err != nil {
		return nil, fmt.Errorf("must be a cron expression of five fields: %w", err)
	}
	if schedule.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, fmt.Errorf("%q never comes", s)
	}
	return schedule, nil
}
