package routing

import (
	"bytes"
	"crypto/sha256"
	"go/scanner"
)

// A memory holds what was made in the last pass, and forgets what the next one has no use for.
type memory[V any] struct{ last, now map[string]V }

// begin begins a pass.
func (m *memory[V]) begin() {
	if m.last == nil {
		m.last, m.now = m.now, nil
	}
}

// end ends it.
func (m *memory[V]) end() { m.last = nil }

// get returns what was kept under a name in this pass or the last one.
func (m *memory[V]) get(name string) (v V, ok bool) {
	if v, ok = m.now[name]; !ok {
		v, ok = m.last[name]
	}
	return v, ok
}

func (m *memory[V]) keep(name string, v V) {
	if m.now == nil {
		m.now = map[string]V{}
	}
	m.now[name] = v
	delete(m.last, name) // so that two versions of all are never in memory
}

// A made contact is what one came to for a base: its fragment, or the problems that it has there.
type made struct {
	contact  *Contact
	hushURL  string
	fragment *fragment
	problems scanner.ErrorList
	tested   bool
	// versioned says that another Alertmanager might be given another fragment.
	versioned bool
}

// A reading is what a file was read as, with all that this rested on.
type reading struct {
	source  []byte
	contact *Contact
	secrets map[string][sha256.Size]byte // by file
	// credentials are what files of the site held, by file.
	credentials map[string][sha256.Size]byte
	key         string // that opened its encrypted values, "" if it has none
}

// contact is [ParseContact], but doesn't parse again what it would read as before. Secrets are read each time, what is
// encrypted is decrypted again only with another key. What has problems isn't remembered.
func (s Site) contact(file string, data []byte) (*Contact, error) {
	if s.read == nil {
		return ParseContact(file, data, s)
	}
	if r, ok := s.read.get(file); ok && s.stillReads(r, data) {
		r.source = data // so that it is in memory once
		s.read.keep(file, r)
		return r.contact, nil
	}
	r := reading{source: data, secrets: map[string][sha256.Size]byte{}, credentials: map[string][sha256.Size]byte{}}
	recording, known := s, true
	if s.ReadSecret != nil {
		recording.ReadSecret = func(file string) (string, error) {
			text, err := s.ReadSecret(file)
			r.secrets[file] = sha256.Sum256([]byte(text))
			return text, err
		}
	}
	if s.readCredential != nil {
		recording.readCredential = func(file string) (string, error) {
			text, err := s.readCredential(file)
			r.credentials[file] = sha256.Sum256([]byte(text))
			return text, err
		}
	}
	if s.Decrypt != nil {
		recording.Decrypt = func(armored string) (string, error) {
			text, err := s.Decrypt(armored)
			if s.key != nil {
				r.key = s.key()
			}
			known = known && r.key != ""
			return text, err
		}
	}
	c, err := ParseContact(file, data, recording)
	if err == nil && known {
		r.contact = c
		s.read.keep(file, r)
	}
	return c, err
}

// stillReads reports whether a file would be read as before.
func (s Site) stillReads(r reading, data []byte) bool {
	if !bytes.Equal(r.source, data) || r.key != "" && r.key != s.key() {
		return false
	}
	for file, sum := range r.secrets {
		text, err := s.ReadSecret(file)
		if err != nil || sha256.Sum256([]byte(text)) != sum {
			return false
		}
	}
	for file, sum := range r.credentials {
		text, err := s.readCredential(file)
		if err != nil || sha256.Sum256([]byte(text)) != sum {
			return false
		}
	}
	return true
}
