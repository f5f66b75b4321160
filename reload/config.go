package reload

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Config is the `prometheus` or the `alertmanager` section of stoker.yml.
type Config struct {
	// URL is the server's base URL with its path prefix, if it has one. Required.
	URL string `yaml:"url"`
	// SourceDir holds the hand-written files: prometheus.yml or alertmanager.yml and what it refers to.
	SourceDir string `yaml:"source_dir,omitempty"`
	// OutputDir is where releases are published; the server reads <output_dir>/live/.
	OutputDir string `yaml:"output_dir,omitempty"`
	// ConfigFile is the main file that the server reads where it is, in place of SourceDir and OutputDir: it
	// and what it refers to are watched, checked, reloaded and proved, and nothing is written.
	ConfigFile string `yaml:"config_file,omitempty"`
	// ExpandEnv are the files, as patterns relative to source_dir, in which $(NAME) stands for an environment
	// variable. Default: none.
	ExpandEnv []string `yaml:"expand_env,omitempty"`
	// FileMode is the mode of published files. Default 0640: they may hold secrets, and the server is in the
	// same group.
	FileMode FileMode `yaml:"file_mode,omitempty"`
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
		FileMode:       0o640,
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
	c.ConfigFile = commoncfg.JoinDir(dir, c.ConfigFile)
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
	errs = append(errs, c.validatePlaces()...)
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

// validatePlaces returns the problems of where the files come from and go to.
func (c *Config) validatePlaces() (errs []error) {
	if c.ConfigFile != "" {
		if c.SourceDir != "" || c.OutputDir != "" {
			errs = append(errs, errors.New("config_file: stays where it is, so there must be no source_dir and no output_dir beside it"))
		}
		if len(c.ExpandEnv) > 0 {
			errs = append(errs, errors.New("expand_env: needs source_dir and output_dir, because a config_file stays as it is"))
		}
		return errs
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
	for i, pattern := range c.ExpandEnv {
		if _, err := path.Match(pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("expand_env[%d]: %q is no pattern of files: %w", i, pattern, err))
		}
	}
	if c.FileMode&0o400 == 0 || c.FileMode&^0o666 != 0 {
		errs = append(errs, fmt.Errorf("file_mode: %s must let the owner read, and hold nothing but read and write permissions, such as 0640", c.FileMode))
	}
	return errs
}

// FileMode is the permissions of a file, written in octal as for chmod: 0640.
type FileMode fs.FileMode

// UnmarshalYAML reads the octal digits as they are written: YAML's own versions read 0640 differently.
func (m *FileMode) UnmarshalYAML(node *yaml.Node) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(node.Value, "0o"), 8, 32)
	if node.Kind != yaml.ScalarNode || err != nil {
		return fmt.Errorf("line %d: must be octal digits, such as 0640", node.Line)
	}
	*m = FileMode(n)
	return nil
}

func (m FileMode) String() string { return fmt.Sprintf("%#o", uint32(m)) }
