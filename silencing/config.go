package silencing

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Config is the section silencing of stoker.yml.
type Config struct {
	// File is the path of silences.yaml. Required; a relative path is resolved
	// against the folder of stoker.yml.
	File string `yaml:"file"`

	// Owner names whose silences the file describes: 1 to 63 of a-z, 0-9 and -.
	// Required. It is part of the mark on every silence made from the file, so
	// two files with different owners can share one Alertmanager or cluster,
	// and changing it leaves the silences of the former owner to run out.
	Owner string `yaml:"owner"`
}

// SetDirectory resolves a relative File against dir.
func (c *Config) SetDirectory(dir string) {
	if c.File != "" && !filepath.IsAbs(c.File) {
		c.File = filepath.Join(dir, c.File)
	}
}

// Validate returns every problem of the section, each beginning with its key.
func (c Config) Validate() error {
	var errs []error
	if c.File == "" {
		errs = append(errs, errors.New("file: must be the path of a silences.yaml"))
	}
	if !isName(c.Owner) {
		errs = append(errs, fmt.Errorf("owner: %q must be 1 to 63 of a-z, 0-9 and -", c.Owner))
	}
	if c.Owner == hushOwner {
		errs = append(errs, fmt.Errorf("owner: %q marks the silences of stoker ack, take another name", c.Owner))
	}
	return errors.Join(errs...)
}

// isName reports whether s can stand in a mark: an owner or the name of a rule.
func isName(s string) bool {
	if len(s) == 0 || len(s) > 63 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
