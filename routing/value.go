package routing

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"go.yaml.in/yaml/v3"
)

// A value is an address or a token of a contact. It never prints: the text hides behind a pointer, which
// fmt and encoding/json don't follow, and what would format it says <secret>.
type value struct {
	plain *string // nil: not at hand
	file  string  // the absolute path under which Alertmanager finds it; "" if it has to be written out
}

const secretToken = "<secret>"

func (v value) String() string               { return secretToken }
func (v value) LogValue() slog.Value         { return slog.StringValue(secretToken) }
func (v value) MarshalYAML() (any, error)    { return secretToken, nil }
func (v value) MarshalJSON() ([]byte, error) { return []byte(`"` + secretToken + `"`), nil }

// text returns what the value is, or a stand-in of the same shape where it is not at hand.
func (v value) text(standIn string) string {
	if v.plain == nil {
		return standIn
	}
	return *v.plain
}

var (
	wordPattern   = regexp.MustCompile(`^[a-z0-9-]+$`)
	secretPattern = regexp.MustCompile(`^[a-z0-9_-]+$`)
)

const (
	maxSecret = 64 << 10
	// maxIdentities is what age itself reads of a file with keys.
	maxIdentities = 1 << 20
	maxValue      = 4 << 10
)

// value reads an address or token that is plain, {secret: name} or {age: armored}, and lets check say what
// is wrong with it. Messages never quote the value.
func (c *contactReader) value(n *yaml.Node, check func(string) string) value {
	var (
		v      value
		plain  string
		closed bool // given, but not at hand
	)
	if c.outline.has(n) {
		c.says(n, "$ref", "#/$defs/value")
		return v
	}
	n = resolve(n)
	switch before := len(c.problems); {
	case n.Kind == yaml.MappingNode:
		set := c.object(n,
			field{"secret", func(n *yaml.Node) {
				if name := c.secretName(n); name != "" {
					plain, v.file, closed = c.secret(n, name)
				}
			}},
			field{"age", func(n *yaml.Node) {
				if armored := c.scalar(n); armored != "" {
					plain, closed = c.age(n, armored)
				}
			}})
		if len(set) > 1 || len(set) == 0 && len(c.problems) == before {
			c.wrong(n, "must be a string, {secret: name} or {age: …}")
		}
	default:
		plain = c.text(n)
		if problem := sealedProblem(plain); problem != "" {
			c.wrong(n, "%s", problem)
			return value{}
		}
	}
	switch {
	case closed:
		c.contact.closed = true
		return v
	case plain == "":
		return value{} // a problem by now
	}
	problem := textProblem(plain)
	if problem == "" && len(plain) > maxValue {
		problem = "is too long"
	}
	if problem == "" {
		problem = check(plain)
	}
	if problem != "" {
		c.wrong(n, "%s", problem)
		return value{}
	}
	c.hash(plain)
	v.plain = &plain
	return v
}

// secretName reads the name of a secret. Who takes it for the place of the secret itself doesn't see that in a log.
func (c *contactReader) secretName(n *yaml.Node) string {
	c.says(n, "pattern", secretPattern.String())
	s := c.text(n)
	if s != "" && !secretPattern.MatchString(s) {
		c.wrong(n, "must be a name, [a-z0-9_-]+: the secret itself is in a file on the machine that runs stoker")
		return ""
	}
	return s
}

// optional reads a value that may be left out, which is nil then.
func (c *contactReader) optional(n *yaml.Node, check func(string) string) *value {
	v := c.value(n, check)
	return &v
}

// secretFile is the file of a contact's secret. It is named after the contact and neither part of its name can
// hold a dot, so no contact can spell the secret of another.
func secretFile(stem, name string) string { return stem + "." + name }

// secret reads the secret of this contact that has the given name.
func (c *contactReader) secret(n *yaml.Node, name string) (plain, path string, closed bool) {
	file := secretFile(c.contact.Stem, name)
	path = filepath.Join(c.site.SecretsDir, file)
	if c.site.ReadSecret == nil {
		return "", path, true
	}
	plain, err := c.site.ReadSecret(file)
	if err == errNotAtHand {
		return "", path, true
	}
	if err != nil {
		c.fail(n, "secret %q can't be read: %v", name, err)
		return "", "", false
	}
	if plain = strings.TrimSpace(plain); plain == "" {
		c.fail(n, "secret %q is empty: %s", name, path)
	}
	return plain, path, false
}

// age opens an encrypted value, or checks that it is one where the key is not at hand.
func (c *contactReader) age(n *yaml.Node, armored string) (plain string, closed bool) {
	_, err := age.Decrypt(armor.NewReader(strings.NewReader(armored)), noIdentity{})
	if noMatch := new(age.NoIdentityMatchError); !errors.As(err, &noMatch) {
		c.wrong(n, "is not an armored age file")
		return "", false
	}
	if _, err := io.Copy(io.Discard, armor.NewReader(strings.NewReader(armored))); err != nil {
		c.wrong(n, "is not a whole armored age file")
		return "", false
	}
	if c.site.Decrypt == nil {
		return "", true
	}
	plain, err = c.site.Decrypt(armored)
	if err == errNotAtHand {
		return "", true
	}
	if err != nil {
		c.wrong(n, "can't be decrypted: %v", err)
		return "", false
	}
	if plain = strings.TrimSpace(plain); plain == "" {
		c.wrong(n, "is empty when decrypted")
	}
	return plain, false
}

// noIdentity opens nothing: decrypting with it ends where a well-formed header has been read.
type noIdentity struct{}

func (noIdentity) Unwrap([]*age.Stanza) ([]byte, error) { return nil, age.ErrIncorrectIdentity }

// decrypter returns a function that opens armored age files with the identities in text.
func decrypter(identities io.Reader) (func(string) (string, error), error) {
	ids, err := age.ParseIdentities(identities)
	if err != nil {
		return nil, err
	}
	return func(armored string) (string, error) {
		plain, err := age.Decrypt(armor.NewReader(strings.NewReader(armored)), ids...)
		if noMatch := new(age.NoIdentityMatchError); errors.As(err, &noMatch) {
			return "", errors.New("it is not encrypted for this site's key")
		}
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(io.LimitReader(plain, maxValue+1))
		return string(b), err
	}, nil
}

// sealedProblem says what is wrong with a plain value that is meant for another tool to open, or that a
// server printed in place of the real one. Alertmanager would take it as it stands.
func sealedProblem(s string) string {
	if s == secretToken {
		return "is the placeholder that servers print for a secret, give the real value"
	}
	for _, mark := range sealedMarks {
		switch {
		case !strings.HasPrefix(s, mark):
		case mark == privateKey:
			return "is a private key, make a new one and never commit it"
		default:
			return "looks encrypted, give an encrypted value as {age: …}"
		}
	}
	return ""
}

const privateKey = "AGE-SECRET-KEY-"

// sealedMarks begin what is not meant to be read as it stands.
var sealedMarks = []string{privateKey, "ENC[", "$ANSIBLE_VAULT", "-----BEGIN ", "age-encryption.org/"}
