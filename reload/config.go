package reload

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// Config is the `prometheus` or the `alertmanager` section of stoker.yml.
type Config struct {
	// URL is the server's base URL with its path prefix, if it has one. Required.
	URL string `yaml:"url"`
	// SourceDir holds the hand-written files: prometheus.yml or alertmanager.yml and what it refers to.
	// Required.
	SourceDir string `yaml:"source_dir"`
	// OutputDir is where releases are published; the server reads <output_dir>/live/. Required.
	OutputDir string `yaml:"output_dir"`
	// Version is the server's version, such as 2.53.4, and EnableFeatures is its --enable-feature. They are
	// asked from the server, and need to be here only where it can't be: for `check`, and for a first release
	// of a version other than stoker's own libraries. Default: that of the libraries, with every feature.
	Version        string   `yaml:"version,omitempty"`
	EnableFeatures []string `yaml:"enable_features,omitempty"`
	// Settle is how long a folder that is edited in place must have been still before it is read. Folders
	// that are swapped as a whole are read at once. Default 2s.
	Settle model.Duration `yaml:"settle,omitempty"`
	// RescanInterval is how often the source is looked at even without a notice of a change. Default 10s.
	RescanInterval model.Duration `yaml:"rescan_interval,omitempty"`
	// ReloadTimeout is how long a server may take to answer a reload. Default 2m.
	ReloadTimeout model.Duration `yaml:"reload_timeout,omitempty"`
	// HTTPConfig is how the server is reached: TLS, basic auth, proxies, as in Prometheus' own files.
	HTTPConfig commoncfg.HTTPClientConfig `yaml:"http_config,omitempty"`
}

// DefaultConfig holds the defaults of [Config].
func DefaultConfig() Config {
	return Config{
		Settle:         model.Duration(2 * time.Second),
		RescanInterval: model.Duration(10 * time.Second),
		ReloadTimeout:  model.Duration(2 * time.Minute),
		HTTPConfig:     commoncfg.DefaultHTTPClientConfig,
	}
}

// UnmarshalYAML fills in the defaults of what isn't given.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = DefaultConfig()
	return unmarshal((*plain)(c))
}

// SetDirectory makes relative paths relative to dir.
func (c *Config) SetDirectory(dir string) {
	c.SourceDir = commoncfg.JoinDir(dir, c.SourceDir)
	c.OutputDir = commoncfg.JoinDir(dir, c.OutputDir)
	c.HTTPConfig.SetDirectory(dir)
}

// Validate returns every problem, each beginning with the key that it is about.
func (c *Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		errs = append(errs, errors.New("url: must be the server's http or https URL, such as http://127.0.0.1:9090"))
	} else if u.User != nil {
		errs = append(errs, errors.New("url: must not hold a password: write it to http_config.basic_auth"))
	}
	if c.SourceDir == "" {
		errs = append(errs, errors.New("source_dir: must be the folder of the hand-written files"))
	}
	if c.OutputDir == "" {
		errs = append(errs, errors.New("output_dir: must be the folder that the server reads <output_dir>/live from"))
	}
	if c.SourceDir != "" && c.OutputDir != "" && (below(c.SourceDir, c.OutputDir) || below(c.OutputDir, c.SourceDir)) {
		errs = append(errs, errors.New("output_dir: must not lie inside source_dir, nor the other way round"))
	}
	if c.ReloadTimeout <= 0 {
		errs = append(errs, errors.New("reload_timeout: must be longer than 0s"))
	}
	if c.RescanInterval <= 0 {
		errs = append(errs, errors.New("rescan_interval: must be longer than 0s"))
	}
	if err := c.HTTPConfig.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("http_config: %w", err))
	}
	return errors.Join(errs...)
}

// baseURL returns the parsed URL of a valid configuration.
func (c *Config) baseURL() (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(c.URL, "/"))
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	return u, nil
}
