package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stoker-project/stoker/silencing"
)

// AckConfig is the section ack of stoker.yml: how firing alerts are hushed, by `stoker ack` and by the page that
// notifications link to.
type AckConfig struct {
	// ListenAddress is where the page is served, host:port. Empty: there is no page, and no link to it.
	ListenAddress string `yaml:"listen_address,omitempty"`
	// ExternalURL is the URL at which phones reach ListenAddress, perhaps with a path. Required with it. It is https, or on this
	// machine: browsers don't say where a request comes from over plain http, and the page acts only on its own ones.
	ExternalURL string `yaml:"external_url,omitempty"`
	// KeyFile holds what the links' tokens are made with, at least 32 bytes. It is read when it is needed. Required with
	// ListenAddress.
	KeyFile string `yaml:"key_file,omitempty"`
	// PreviousKeyFile holds the key before, whose links still count. Optional.
	PreviousKeyFile string `yaml:"previous_key_file,omitempty"`
	// MaxDuration bounds a hush, also one until resolved. Default: 24h; at least 30m, at most 7d.
	MaxDuration model.Duration `yaml:"max_duration,omitempty"`
	// Labels are those of an alert that a hush is made of, as far as it has them. Default: alertname, severity, the
	// identity_label, network, instance; the first three must be there.
	Labels []string `yaml:"labels,omitempty"`
	// WebConfigFile is a web configuration of the exporter-toolkit for the page. Optional.
	WebConfigFile string `yaml:"web_config_file,omitempty"`
	// TrustedProxies are addresses or networks whose X-Forwarded-For says who the client is. Optional.
	TrustedProxies []string `yaml:"trusted_proxies,omitempty"`
}

// The bounds of ack.max_duration. The page's shortest choice is no longer than the lower one.
const (
	defaultMaxHush = 24 * time.Hour
	leastMaxHush   = 30 * time.Minute
	mostMaxHush    = 7 * 24 * time.Hour
)

// on reports whether there is a page.
func (c *AckConfig) on() bool { return c != nil && c.ListenAddress != "" }

// SetDirectory joins relative paths with dir.
func (c *AckConfig) SetDirectory(dir string) {
	for _, p := range []*string{&c.KeyFile, &c.PreviousKeyFile, &c.WebConfigFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Validate returns every problem of the section, each beginning with its key. The files aren't read: whoever checks in git
// has no keys.
func (c *AckConfig) Validate() error {
	var errs []error
	problem := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+format, args...))
	}
	if c.ListenAddress == "" {
		for _, k := range []struct{ key, value string }{
			{"external_url", c.ExternalURL}, {"key_file", c.KeyFile}, {"previous_key_file", c.PreviousKeyFile},
			{"web_config_file", c.WebConfigFile}, {"trusted_proxies", strings.Join(c.TrustedProxies, "")},
		} {
			if k.value != "" {
				problem(k.key, "is for the page, which needs listen_address, such as :9097")
			}
		}
	} else {
		if _, _, err := net.SplitHostPort(c.ListenAddress); err != nil {
			problem("listen_address", "%q must be host:port, such as :9097", c.ListenAddress)
		}
		if c.ExternalURL == "" {
			problem("external_url", "missing, it is where phones reach listen_address, such as https://hush.example.org")
		} else if err := checkExternalURL(c.ExternalURL); err != nil {
			problem("external_url", "%w", err)
		}
		if c.KeyFile == "" {
			problem("key_file", "missing, it holds what links are made with: head -c 32 /dev/urandom | base64 makes a good one")
		}
		if c.PreviousKeyFile != "" && c.PreviousKeyFile == c.KeyFile {
			problem("previous_key_file", "is key_file itself: move the key before to a file of its own")
		}
	}
	if d := time.Duration(c.MaxDuration); d != 0 && (d < leastMaxHush || d > mostMaxHush) {
		problem("max_duration", "%s must be from 30m to 7d: what lasts longer belongs in silences.yaml", c.MaxDuration)
	}
	for i, l := range c.Labels {
		if !model.UTF8Validation.IsValidLabelName(l) {
			problem(fmt.Sprintf("labels[%d]", i), "%q isn't the name of a label", l)
		} else if slices.Index(c.Labels, l) < i {
			problem(fmt.Sprintf("labels[%d]", i), "%q is listed twice", l)
		}
	}
	for i, p := range c.TrustedProxies {
		if _, err := parsePrefix(p); err != nil {
			problem(fmt.Sprintf("trusted_proxies[%d]", i), "%q must be an address or a network, such as 10.0.0.0/8", p)
		}
	}
	return errors.Join(errs...)
}

// externalPath is what a path may look like that goes through proxies, patterns and links as it is.
var externalPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*/?$`)

func checkExternalURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q must be a URL, such as https://hush.example.org", s)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return errors.New("must have no user, query or fragment")
	case !externalPath.MatchString(u.EscapedPath()) || path.Clean("/"+u.Path) != "/"+strings.Trim(u.Path, "/"):
		return fmt.Errorf("its path %q must be of letters, digits and -._~ only", u.Path)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("must be https: over plain http, links could be read on their way and browsers don't say what the page needs to know; TLS is a proxy's, or web_config_file's")
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.IsLoopback()
}

// parsePrefix reads a network, or an address as the network of it alone.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// validateAck checks what concerns the section and others.
func (c *Config) validateAck() (errs []error) {
	if c.Ack == nil {
		return nil
	}
	if c.Alertmanager == nil {
		errs = append(errs, errors.New("ack: needs the section alertmanager, where the silences are kept"))
	} else if c.Ack.on() && c.Contacts == nil {
		errs = append(errs, errors.New("ack: needs the section contacts: the links to its page are in their notifications"))
	}
	if len(c.Ack.Labels) > 0 {
		for _, l := range []struct{ name, why string }{
			{model.AlertNameLabel, "or other alerts would be hushed too"},
			{"severity", "or the critical sibling would be hushed too"},
			{c.identity(), "or the alerts of others would be hushed too"},
		} {
			if !slices.Contains(c.Ack.Labels, l.name) {
				errs = append(errs, fmt.Errorf("ack.labels: must list %s, %s", l.name, l.why))
			}
		}
	}
	return errs
}

// hushConfig is what a desk is told of the site.
func hushConfig(cfg *Config) silencing.HushConfig {
	h := silencing.HushConfig{
		Labels:      []string{model.AlertNameLabel, "severity", cfg.identity(), "network", "instance"},
		MaxDuration: defaultMaxHush,
	}
	if cfg.Ack != nil {
		h.MaxDuration = cmp.Or(time.Duration(cfg.Ack.MaxDuration), h.MaxDuration)
		if len(cfg.Ack.Labels) > 0 {
			h.Labels = cfg.Ack.Labels
		}
	}
	return h
}
