package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// What can reach phones.
const (
	SNS     = "sns"     // Alertmanager sends text messages through Amazon SNS
	Twilio  = "twilio"  // stoker's bridge sends text messages and calls through Twilio
	Webhook = "webhook" // Alertmanager posts JSON to any provider
)

// PhoneConfig says how contacts are reached by phone. Each provider has keys of its own.
type PhoneConfig struct {
	// Provider is one of the constants above. Required.
	Provider string `yaml:"provider"`

	// AccountSID is the name of the account at Twilio. Required for twilio.
	AccountSID string `yaml:"account_sid,omitempty"`
	// AuthTokenFile holds the password of the account. It is read again whenever it's needed. Required for twilio.
	AuthTokenFile string `yaml:"auth_token_file,omitempty"`
	// From is the number that people are called from, one of the account's, in E.164 form. Required for twilio.
	From string `yaml:"from,omitempty"`
	// APIURL is where the API is. Optional for twilio (default https://api.twilio.com) and sns (default: the region's).
	APIURL string `yaml:"api_url,omitempty"`
	// BridgeListen is the address at which Alertmanager's webhooks are taken. For twilio; default 127.0.0.1:9098.
	BridgeListen string `yaml:"bridge_listen,omitempty"`
	// BridgeURL is where Alertmanager reaches that address. For twilio; default http:// and bridge_listen.
	BridgeURL string `yaml:"bridge_url,omitempty"`
	// BridgeWebConfigFile is a web configuration of the exporter-toolkit with TLS for the bridge. Optional for twilio.
	BridgeWebConfigFile string `yaml:"bridge_web_config_file,omitempty"`
	// BridgeCAFile holds the authorities that Alertmanager trusts for the bridge's TLS. Alertmanager reads it itself, at the
	// same path. Optional for twilio.
	BridgeCAFile string `yaml:"bridge_ca_file,omitempty"`

	// Sigv4 is how requests to SNS are signed. Required for sns.
	Sigv4 *Sigv4Config `yaml:"sigv4,omitempty"`

	// SMS is the request for a text message. For webhook, which needs this or Voice.
	SMS *PhoneRequest `yaml:"sms,omitempty"`
	// Voice is the request for a call. For webhook.
	Voice *PhoneRequest `yaml:"voice,omitempty"`
	// BasicAuth goes with the requests of webhook. Optional.
	BasicAuth *PhoneBasicAuth `yaml:"basic_auth,omitempty"`
	// Authorization goes with the requests of webhook. Optional.
	Authorization *PhoneAuthorization `yaml:"authorization,omitempty"`
}

// Sigv4Config names the credentials for AWS as Alertmanager's sigv4 does. Without keys and profile, Alertmanager finds
// them by itself, as in the environment or from the machine that it runs on.
type Sigv4Config struct {
	// Region is that of AWS. Required.
	Region string `yaml:"region,omitempty"`
	// AccessKey is the name of a key. Optional; needs SecretKeyFile.
	AccessKey string `yaml:"access_key,omitempty"`
	// SecretKeyFile holds the key. Its content becomes part of Alertmanager's configuration, which can't read it from a file.
	SecretKeyFile string `yaml:"secret_key_file,omitempty"`
	// Profile is one of the shared credentials file. Optional.
	Profile string `yaml:"profile,omitempty"`
	// RoleARN is a role to assume. Optional.
	RoleARN string `yaml:"role_arn,omitempty"`
}

// A PhoneRequest is what Alertmanager posts for one group of alerts.
type PhoneRequest struct {
	// URL is where to. Required.
	URL string `yaml:"url,omitempty"`
	// Payload is JSON. In its strings, $(number), $(text) and $(language) stand for what they say. Required.
	Payload string `yaml:"payload,omitempty"`
}

// PhoneBasicAuth is a user and the file of its password, which Alertmanager reads itself.
type PhoneBasicAuth struct {
	// Username is the user. Required.
	Username string `yaml:"username,omitempty"`
	// PasswordFile is where Alertmanager finds the password. Required.
	PasswordFile string `yaml:"password_file,omitempty"`
}

// PhoneAuthorization is an Authorization header whose credentials Alertmanager reads from a file itself.
type PhoneAuthorization struct {
	// Type is the scheme. Default: Bearer.
	Type string `yaml:"type,omitempty"`
	// CredentialsFile is where Alertmanager finds what follows. Required.
	CredentialsFile string `yaml:"credentials_file,omitempty"`
}

// DefaultBridgeListen is where the bridge listens if nothing else is said.
const DefaultBridgeListen = "127.0.0.1:9098"

// Listen returns the address that the bridge listens at.
func (c *PhoneConfig) Listen() string {
	if c.BridgeListen == "" {
		return DefaultBridgeListen
	}
	return c.BridgeListen
}

// bridge returns the URL at which Alertmanager reaches the bridge.
func (c *PhoneConfig) bridge() string {
	if c.BridgeURL == "" {
		return "http://" + c.Listen()
	}
	return strings.TrimSuffix(c.BridgeURL, "/")
}

// voice reports whether the provider can call. Where it isn't known which one it is, it can.
func (c *PhoneConfig) voice() bool {
	return c.Provider == Twilio || c.Provider == Webhook && c.Voice != nil || c.Provider == ""
}

// sms reports whether the provider can send text messages.
func (c *PhoneConfig) sms() bool { return c.Provider != Webhook || c.SMS != nil }

// credentialFile returns the file whose content becomes part of what Alertmanager is given, "" if there is none.
func (c *PhoneConfig) credentialFile() string {
	switch {
	case c.Provider == Twilio:
		return c.AuthTokenFile
	case c.Provider == SNS && c.Sigv4 != nil:
		return c.Sigv4.SecretKeyFile
	}
	return ""
}

// Files returns the files that stoker reads itself: a change of one changes what Alertmanager is given.
func (c *PhoneConfig) Files() []string {
	if f := c.credentialFile(); f != "" {
		return []string{f}
	}
	return nil
}

// paths returns the fields that are files.
func (c *PhoneConfig) paths() []*string {
	paths := []*string{&c.AuthTokenFile, &c.BridgeWebConfigFile, &c.BridgeCAFile}
	if c.Sigv4 != nil {
		paths = append(paths, &c.Sigv4.SecretKeyFile)
	}
	if c.BasicAuth != nil {
		paths = append(paths, &c.BasicAuth.PasswordFile)
	}
	if c.Authorization != nil {
		paths = append(paths, &c.Authorization.CredentialsFile)
	}
	return paths
}

// SetDirectory joins relative paths with dir.
func (c *Config) SetDirectory(dir string) {
	if c.Phone == nil {
		return
	}
	for _, p := range c.Phone.paths() {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Validate reports every problem of c, each prefixed with the path of its key.
func (c *Config) Validate() error {
	if c.Phone == nil {
		return nil
	}
	var errs []error
	for _, err := range c.Phone.problems() {
		errs = append(errs, fmt.Errorf("phone.%w", err))
	}
	return errors.Join(errs...)
}

var (
	accountSID = regexp.MustCompile(`^AC[0-9a-f]{32}$`)
	e164       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
)

// problems returns what is wrong with c, the path of a key in front of each. Keys of another provider are problems too:
// whoever wrote them expects something of them.
func (c *PhoneConfig) problems() (errs []error) {
	add := func(key, format string, args ...any) { errs = append(errs, fmt.Errorf(key+": "+format, args...)) }
	twilio, sns, webhook := c.Provider == Twilio, c.Provider == SNS, c.Provider == Webhook
	switch {
	case c.Provider == "":
		add("provider", "missing, it is sns, twilio or webhook")
		return errs
	case !twilio && !sns && !webhook:
		add("provider", "%q not known, it is sns, twilio or webhook", c.Provider)
		return errs
	}
	for _, key := range []struct {
		name       string
		set, needs bool // set, and needed
		is         bool // a key of the provider
	}{
		{"account_sid", c.AccountSID != "", true, twilio},
		{"auth_token_file", c.AuthTokenFile != "", true, twilio},
		{"from", c.From != "", true, twilio},
		{"api_url", c.APIURL != "", false, twilio || sns},
		{"bridge_listen", c.BridgeListen != "", false, twilio},
		{"bridge_url", c.BridgeURL != "", false, twilio},
		{"bridge_web_config_file", c.BridgeWebConfigFile != "", false, twilio},
		{"bridge_ca_file", c.BridgeCAFile != "", false, twilio},
		{"sigv4", c.Sigv4 != nil, true, sns},
		{"sms", c.SMS != nil, false, webhook},
		{"voice", c.Voice != nil, false, webhook},
		{"basic_auth", c.BasicAuth != nil, false, webhook},
		{"authorization", c.Authorization != nil, false, webhook},
	} {
		switch {
		case key.set && !key.is:
			add(key.name, "is not for provider %s", c.Provider)
		case key.is && key.needs && !key.set:
			add(key.name, "missing, provider %s needs it", c.Provider)
		}
	}
	if c.APIURL != "" {
		if problem := remoteProblem(c.APIURL); problem != "" {
			add("api_url", "%s", problem)
		}
	}
	switch {
	case twilio:
		errs = append(errs, c.bridgeProblems()...)
	case sns && c.Sigv4 != nil:
		if c.Sigv4.Region == "" {
			add("sigv4.region", "missing, such as eu-central-1")
		}
		if (c.Sigv4.AccessKey == "") != (c.Sigv4.SecretKeyFile == "") {
			add("sigv4", "access_key and secret_key_file come together")
		}
	case webhook:
		errs = append(errs, c.webhookProblems()...)
	}
	return errs
}

func (c *PhoneConfig) bridgeProblems() (errs []error) {
	add := func(key, format string, args ...any) { errs = append(errs, fmt.Errorf(key+": "+format, args...)) }
	if c.AccountSID != "" && !accountSID.MatchString(c.AccountSID) {
		add("account_sid", "must be AC and 32 of 0-9a-f")
	}
	if c.From != "" && !e164.MatchString(c.From) {
		add("from", "must be a phone number with + and country code and nothing but digits, such as +442079460123")
	}
	host, port, err := net.SplitHostPort(c.Listen())
	if err != nil || port == "" || port == "0" {
		add("bridge_listen", "must be host:port, such as %s", DefaultBridgeListen)
	} else if ip, err := netip.ParseAddr(host); c.BridgeURL == "" && (host == "" || err == nil && ip.IsUnspecified()) {
		add("bridge_url", "missing, bridge_listen doesn't say by which host Alertmanager reaches the bridge")
	}
	if c.BridgeURL != "" {
		u, err := url.Parse(c.BridgeURL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			add("bridge_url", "must be http:// or https://, a host and a port, and no path")
		case u.Scheme == "http" && c.BridgeWebConfigFile != "":
			add("bridge_url", "must begin with https:// where bridge_web_config_file is set")
		case strings.ContainsAny(c.BridgeURL, `{}"\`):
			add("bridge_url", "must not contain braces, quotes and backslashes")
		}
	}
	if c.BridgeURL == "" && c.BridgeWebConfigFile != "" {
		add("bridge_url", "missing, give the https:// URL that bridge_web_config_file has a certificate for")
	}
	return errs
}

func (c *PhoneConfig) webhookProblems() (errs []error) {
	add := func(key, format string, args ...any) { errs = append(errs, fmt.Errorf(key+": "+format, args...)) }
	if c.SMS == nil && c.Voice == nil {
		add("sms", "missing, provider webhook needs sms or voice")
	}
	for key, r := range map[string]*PhoneRequest{"sms": c.SMS, "voice": c.Voice} {
		if r == nil {
			continue
		}
		if problem := remoteProblem(r.URL); problem != "" {
			add(key+".url", "%s", problem)
		}
		if err := payloadProblem(r.Payload); err != nil {
			add(key+".payload", "%w", err)
		}
	}
	switch {
	case c.BasicAuth != nil && c.Authorization != nil:
		add("authorization", "is not for use beside basic_auth")
	case c.BasicAuth != nil && (c.BasicAuth.Username == "" || c.BasicAuth.PasswordFile == ""):
		add("basic_auth", "needs username and password_file")
	case c.Authorization != nil && c.Authorization.CredentialsFile == "":
		add("authorization", "needs credentials_file")
	}
	return errs
}

// remoteProblem says what is wrong with a URL that numbers and passwords are sent to, or "".
func remoteProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "missing"
	case err != nil || u.Hostname() == "":
		return "must be a URL such as https://api.example.com"
	case u.User != nil:
		return "must not hold a user or password"
	case strings.Contains(text, "{{"):
		return "must not contain {{, Alertmanager would run it as a template"
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())) {
		return "must begin with https://, phone numbers and passwords go there"
	}
	return ""
}

// payloadProblem says what keeps a payload from being one.
func payloadProblem(payload string) error {
	var v any
	if payload == "" {
		return errors.New("missing")
	}
	if err := json.Unmarshal([]byte(payload), &v); err != nil {
		return fmt.Errorf("must be JSON: %w", err)
	}
	if _, ok := v.(map[string]any); !ok {
		return errors.New("must be a JSON object")
	}
	number := false
	var walk func(any) error
	walk = func(v any) error {
		switch v := v.(type) {
		case string:
			if strings.Contains(v, "{{") {
				return errors.New("must not contain {{, use $(number), $(text) and $(language)")
			}
			for _, m := range placeholder.FindAllString(v, -1) {
				switch m {
				case "$(number)":
					number = true
				case "$(text)", "$(language)":
				default:
					return fmt.Errorf("%s not known, there are $(number), $(text) and $(language)", m)
				}
			}
		case []any:
			for _, item := range v {
				if err := walk(item); err != nil {
					return err
				}
			}
		case map[string]any:
			for key, item := range v {
				if placeholder.MatchString(key) || strings.Contains(key, "{{") {
					return fmt.Errorf("%q can't be a key", key)
				}
				if err := walk(item); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(v); err != nil {
		return err
	}
	if !number {
		return errors.New("has no $(number), nobody would be reached")
	}
	return nil
}

var placeholder = regexp.MustCompile(`\$\([^)]*\)`)
