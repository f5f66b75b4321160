package routing

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// Config is the routing section of stoker.yml: what the team decides about how contacts are reached.
type Config struct {
	// Phone says who makes calls and sends text messages. Optional: without it a contact with a phone is refused.
	Phone *PhoneConfig `yaml:"phone,omitempty"`
}

// ContactsConfig is the contacts section of stoker.yml: where the contacts and their secrets are.
type ContactsConfig struct {
	// Dir holds one file for each contact, <stem>.yml, at any depth. Required.
	Dir string `yaml:"dir"`
	// SecretsDir holds what contacts refer to as {secret: name}, in files named <stem>.<name>.
	// Alertmanager reads some of them itself, so it must see the folder at the same path.
	// Optional: without it a contact that refers to a secret is refused.
	SecretsDir string `yaml:"secrets_dir,omitempty"`
	// AgeIdentityFile opens what contacts give as {age: …}; the format is that of age-keygen.
	// Optional: without it a contact with an encrypted value is refused.
	AgeIdentityFile string `yaml:"age_identity_file,omitempty"`
	// AllowPrivate accepts plain http and private, loopback and local addresses in the URLs of
	// contacts. Alertmanager posts to whatever a contact names, so this is for test networks.
	// Default: false.
	AllowPrivate bool `yaml:"allow_private,omitempty"`
}

// Validate reports every problem of c, each prefixed with the path of its key.
func (c *ContactsConfig) Validate() error {
	if c.Dir == "" {
		return errors.New("dir: missing, name the folder with the contact files")
	}
	return nil
}

// SetDirectory joins relative paths with dir.
func (c *ContactsConfig) SetDirectory(dir string) {
	for _, p := range []*string{&c.Dir, &c.SecretsDir, &c.AgeIdentityFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// DefaultIdentityLabel is the label that says whose alert it is, if Options name no other.
const DefaultIdentityLabel = "prep"

// DefaultSeverities returns the values of the severity label from the mildest to the worst, if Options
// name no others.
func DefaultSeverities() []string { return []string{"info", "warning", "critical"} }

// Options are what an Agent and Check need.
type Options struct {
	Contacts ContactsConfig
	// Phone says how contacts are reached by phone. Nil: not at all.
	Phone *PhoneConfig
	// HushURL returns the address of the page on which a contact, by its stem, hushes alerts, without a query. Messages to
	// operators lead there, with labels of what fires as parameters. It is asked in every pass. Nil, or a result of "":
	// messages lead to Alertmanager's own form.
	HushURL func(stem string) string
	// IdentityLabel says whose alert it is. Empty: DefaultIdentityLabel.
	IdentityLabel string
	// Severities are the values of the severity label, the mildest first. Empty: DefaultSeverities.
	Severities []string
	// ExportersOnly leaves out what concerns Alertmanager: addresses are checked in structure only, and nothing
	// of them needs to be at hand. For a machine that only runs a Prometheus.
	ExportersOnly bool
	// AlertmanagerVersion is what Check takes the running Alertmanager to be, such as 0.34.2. Empty: unknown.
	AlertmanagerVersion string
	// Networks are those whose P-Reps Check compares with the owners of contacts, and AllNetworks says that there are no
	// others.
	Networks    []Network
	AllNetworks bool
	// BaseDir is where people edit the base. It only prefixes the file name in problems. Optional.
	BaseDir string
	// Logger is told what is rejected and what that means. Nil logs nothing.
	Logger *slog.Logger
	// Registerer receives the metrics. Nil registers none.
	Registerer prometheus.Registerer
}

// Site is what the people who run stoker decided for all contacts.
type Site struct {
	// IdentityLabel says whose alert it is.
	IdentityLabel string
	// Severities are the values of the severity label, the mildest first.
	Severities []string
	// AllowPrivate accepts http and private addresses in URLs.
	AllowPrivate bool
	// Phone says how contacts are reached by phone. Nil: not at all, and such a contact is refused. One without a
	// provider: somehow, and only the structure is checked.
	Phone *PhoneConfig
	// HushURL returns the address of a contact's page. Nil: there are none.
	HushURL func(stem string) string
	// SecretsDir is the absolute path under which Alertmanager finds the secrets of contacts.
	SecretsDir string
	// ReadSecret returns the content of one file of SecretsDir.
	// Nil: secrets are not at hand and only references to them are checked.
	ReadSecret func(file string) (string, error)
	// Decrypt opens an armored age file.
	// Nil: the key is not at hand and only the structure is checked.
	Decrypt func(armored string) (string, error)

	// readCredential returns the content of a file that Phone names. Nil: it is not at hand.
	readCredential func(file string) (string, error)
	// key identifies what Decrypt opens with; "" if that isn't known.
	key func() string
	// read is what was read with this site before.
	read *memory[reading]
}

var severityName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// site checks what o decides for all contacts.
func (o *Options) site() (Site, error) {
	s := Site{
		IdentityLabel: o.IdentityLabel,
		Severities:    slices.Clone(o.Severities),
		AllowPrivate:  o.Contacts.AllowPrivate,
		SecretsDir:    o.Contacts.SecretsDir,
		Phone:         o.Phone,
		HushURL:       o.HushURL,
	}
	if s.Phone == nil && o.ExportersOnly {
		s.Phone = &PhoneConfig{}
	}
	if s.IdentityLabel == "" {
		s.IdentityLabel = DefaultIdentityLabel
	}
	if len(s.Severities) == 0 {
		s.Severities = DefaultSeverities()
	}
	var errs []error
	switch label := s.IdentityLabel; {
	case !model.LegacyValidation.IsValidLabelName(label):
		errs = append(errs, fmt.Errorf("identity_label: %q is not a label name, it must match [a-zA-Z_][a-zA-Z0-9_]*", label))
	case slices.Contains([]string{model.AlertNameLabel, severityLabel, networkLabel, componentLabel, audienceLabel}, label):
		errs = append(errs, fmt.Errorf("identity_label: %q has a meaning of its own in routing, use another label", label))
	}
	for i, name := range s.Severities {
		if !severityName.MatchString(name) {
			errs = append(errs, fmt.Errorf("severities[%d]: %q must match [a-zA-Z0-9_-]+", i, name))
		}
		if slices.Index(s.Severities, name) < i {
			errs = append(errs, fmt.Errorf("severities[%d]: %q is listed twice", i, name))
		}
	}
	if s.HushURL != nil && s.HushURL("a") != "" && s.hushURL("a") == "" {
		errs = append(errs, errors.New("ack.external_url: can't be part of every message, it must be short and hold nothing but letters, digits and ._~/:- after http"))
	}
	if s.SecretsDir != "" {
		abs, err := filepath.Abs(s.SecretsDir)
		if err != nil {
			errs = append(errs, fmt.Errorf("contacts.secrets_dir: %w", err))
		}
		s.SecretsDir = abs
	}
	return s, errors.Join(errs...)
}
