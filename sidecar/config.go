package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/internal/strictyaml"
	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/silencing"
)

// Config is a stoker.yml. An absent section switches its agent off.
type Config struct {
	// Prometheus says where its files come from, where its releases go and how it is reached.
	Prometheus *reload.Config `yaml:"prometheus,omitempty"`
	// Alertmanager is the same for Alertmanager.
	Alertmanager *reload.Config `yaml:"alertmanager,omitempty"`
	// Contacts says where people commit who is called, and how their exporters are reached. Needs alertmanager or
	// discovery.
	Contacts *routing.ContactsConfig `yaml:"contacts,omitempty"`
	// IdentityLabel is the alert label that says whose alert it is. Default: prep.
	IdentityLabel string `yaml:"identity_label,omitempty"`
	// Severities are the values of the severity label, mildest first. Default: info, warning, critical.
	Severities []string `yaml:"severities,omitempty"`
	// Discovery lists the networks whose nodes become targets.
	Discovery *discovery.Config `yaml:"discovery,omitempty"`
	// Routing holds what the team decides about how contacts are reached. Needs contacts and alertmanager.
	Routing *routing.Config `yaml:"routing,omitempty"`
	// Silencing names the file of silences. Needs alertmanager.
	Silencing *silencing.Config `yaml:"silencing,omitempty"`
	// Ack says how firing alerts are hushed. Needs alertmanager, and contacts for its page.
	Ack *AckConfig `yaml:"ack,omitempty"`
	// StateDir is a folder to remember in what no server does for long enough: which silences people ended
	// early. Optional; a relative path is resolved against the folder of stoker.yml.
	StateDir string `yaml:"state_dir,omitempty"`
}

// section is what every part of a Config can do.
type section interface {
	SetDirectory(dir string)
	Validate() error
}

// sections returns the sections that are there, by their keys.
func (c *Config) sections() map[string]section {
	all := map[string]section{}
	if c.Prometheus != nil {
		all["prometheus"] = c.Prometheus
	}
	if c.Alertmanager != nil {
		all["alertmanager"] = c.Alertmanager
	}
	if c.Contacts != nil {
		all["contacts"] = c.Contacts
	}
	if c.Discovery != nil {
		all["discovery"] = c.Discovery
	}
	if c.Routing != nil {
		all["routing"] = c.Routing
	}
	if c.Silencing != nil {
		all["silencing"] = c.Silencing
	}
	if c.Ack != nil {
		all["ack"] = c.Ack
	}
	return all
}

// LoadConfig reads a stoker.yml strictly. The error is a go/scanner.ErrorList with every problem at its line,
// or that of reading the file. Relative paths are resolved against the file's folder.
func LoadConfig(filename string) (*Config, error) {
	return loadConfig(filename, (*Config).validateParts)
}

// LoadContactsConfig is LoadConfig for [CheckContacts]: a repository that holds only contacts may say what they share, such as
// identity_label and severities, and has no server to name.
func LoadContactsConfig(filename string) (*Config, error) {
	return loadConfig(filename, func(*Config) error { return nil })
}

// loadConfig also asks parts, which says what of the file needs another part of it.
func loadConfig(filename string, parts func(*Config) error) (*Config, error) {
	data, err := os.ReadFile(filename)
	if err != nil {
		return nil, err
	}
	var c Config
	top, list := strictyaml.Decode(filename, data, &c)
	if len(list) > 0 {
		return nil, list
	}
	if top == nil {
		list.Add(token.Position{Filename: filename, Line: 1, Column: 1}, "is empty: at least one of prometheus, alertmanager, discovery must be there")
		return nil, list
	}
	dir, err := filepath.Abs(filepath.Dir(filename))
	if err != nil {
		return nil, err
	}
	for key, s := range c.sections() {
		// A key without a value decodes to nothing at all, so what is missing is said here.
		if err := s.Validate(); err != nil {
			list = append(list, placed(filename, top, key, err)...)
		}
		s.SetDirectory(dir)
	}
	if c.StateDir != "" && !filepath.IsAbs(c.StateDir) {
		c.StateDir = filepath.Join(dir, c.StateDir)
	}
	if err := errors.Join(parts(&c), c.validate()); err != nil {
		list = append(list, placed(filename, top, "", err)...)
	}
	list.Sort()
	return &c, list.Err()
}

// validateParts checks that sections are there which others need.
func (c *Config) validateParts() error {
	var errs []error
	if c.Contacts != nil && c.Alertmanager == nil && c.Discovery == nil {
		errs = append(errs, errors.New("contacts: needs the section alertmanager, whose configuration they become part of, or discovery, whose targets they are about"))
	}
	if c.Routing != nil && (c.Alertmanager == nil || c.Contacts == nil) {
		errs = append(errs, errors.New("routing: needs the sections contacts and alertmanager: it says how the one is reached by the other"))
	}
	if c.Silencing != nil && c.Alertmanager == nil {
		errs = append(errs, errors.New("silencing: needs the section alertmanager, where the silences are kept"))
	}
	if c.Prometheus == nil && c.Alertmanager == nil && c.Discovery == nil {
		errs = append(errs, errors.New("prometheus: at least one of prometheus, alertmanager, discovery must be there"))
	}
	return errors.Join(errs...)
}

// validate checks what concerns several sections.
func (c *Config) validate() error {
	var errs []error
	if c.Contacts != nil && c.Alertmanager != nil && c.Alertmanager.ConfigFile != "" {
		errs = append(errs, errors.New("contacts: are merged into a release, so alertmanager needs source_dir and output_dir instead of config_file, which stays as it is"))
	}
	errs = append(errs, c.validateAck()...)
	if c.Prometheus != nil && c.Alertmanager != nil && c.Prometheus.OutputDir == c.Alertmanager.OutputDir && c.Prometheus.OutputDir != "" {
		errs = append(errs, errors.New("alertmanager.output_dir: must not be that of prometheus"))
	}
	if c.Alertmanager != nil && c.Alertmanager.EnableFeatures != nil {
		errs = append(errs, errors.New("alertmanager.enable_features: is for prometheus only: none of Alertmanager's features changes what its files may say"))
	}
	for key, server := range map[string]*reload.Config{"prometheus": c.Prometheus, "alertmanager": c.Alertmanager} {
		if server == nil || c.StateDir == "" {
			continue
		}
		for _, dir := range []string{server.SourceDir, server.OutputDir} {
			if rel, err := filepath.Rel(dir, c.StateDir); dir != "" && err == nil && filepath.IsLocal(rel) {
				errs = append(errs, fmt.Errorf("state_dir: must not lie in source_dir or output_dir of %s", key))
			}
		}
	}
	for i, s := range c.Severities {
		if slices.Index(c.Severities, s) < i {
			errs = append(errs, fmt.Errorf("severities[%d]: %q is listed twice", i, s))
		}
	}
	return errors.Join(errs...)
}

// keyPath is what an error of a section begins with.
var keyPath = regexp.MustCompile(`^([a-z0-9_]+(?:\[\d+\])?(?:\.[a-z0-9_]+(?:\[\d+\])?)*): `)

// placed puts the joined errors of a section at the lines of the keys that they begin with.
func placed(filename string, top *yaml.Node, key string, err error) (list scanner.ErrorList) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			list = append(list, placed(filename, top, key, e)...)
		}
		return list
	}
	path := key
	if m := keyPath.FindStringSubmatch(err.Error()); m != nil {
		path += "." + m[1]
	}
	msg := err.Error()
	if key != "" {
		msg = key + "." + msg
	}
	list.Add(strictyaml.Position(filename, strictyaml.Find(top, path)), msg)
	return list
}

// identity is the alert label that says whose alert it is.
func (c *Config) identity() string {
	return cmp.Or(c.IdentityLabel, routing.DefaultIdentityLabel)
}

// severities are the values of the severity label, mildest first.
func (c *Config) severities() []string {
	if len(c.Severities) == 0 {
		return routing.DefaultSeverities()
	}
	return c.Severities
}
