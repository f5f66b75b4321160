package sidecar

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// hushLinks makes and checks the links by which contacts hush their alerts. A link's token proves that stoker wrote it for that
// contact: it depends on the key and the contact's stem alone, so that every sidecar makes the same, and it never runs out by
// itself.
type hushLinks struct {
	external      string // without a slash at its end
	key, previous keyFile
}

// newHushLinks returns the links of a site; nil if it has no page.
func newHushLinks(cfg *Config) *hushLinks {
	if !cfg.Ack.on() {
		return nil
	}
	return &hushLinks{
		external: strings.TrimSuffix(cfg.Ack.ExternalURL, "/"),
		key:      keyFile{name: cfg.Ack.KeyFile},
		previous: keyFile{name: cfg.Ack.PreviousKeyFile},
	}
}

// hushURL returns the address of a contact's page, without the labels of what it is about. It is what contacts are told, so
// it is made of letters, digits and /:._~- only. It is "" while the key can't be read: that somebody can't hush is no reason
// not to tell them.
func (l *hushLinks) hushURL(stem string) string {
	key, err := l.key.read()
	if err != nil {
		return ""
	}
	return l.external + "/hush/" + stem + "/" + hushToken(key, stem)
}

// hushToken is the token of a contact's links: 256 bits, of which nobody can guess one.
func hushToken(key []byte, stem string) string {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, "hush\x00"+stem) // never fails
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// check reports whether a token is that of a contact. The error says that it can't be known now.
func (l *hushLinks) check(stem, token string) (bool, error) {
	key, err := l.key.read()
	good := 0
	if err == nil {
		good |= equal(token, hushToken(key, stem))
	}
	if l.previous.name != "" {
		previous, perr := l.previous.read()
		switch {
		case perr == nil:
			good |= equal(token, hushToken(previous, stem))
		case errors.Is(perr, fs.ErrNotExist): // then there is none
		case err == nil:
			err = perr
		}
	}
	if good == 1 {
		return true, nil
	}
	return false, err
}

// equal is 1 if two tokens are the same. How long it takes says nothing about them.
func equal(a, b string) int {
	if hmac.Equal([]byte(a), []byte(b)) {
		return 1
	}
	return 0
}

// ready says why links can't be made.
func (l *hushLinks) ready() error {
	if l == nil {
		return nil
	}
	if _, err := l.key.read(); err != nil {
		return fmt.Errorf("ack.key_file: %w: without it links don't work, and notifications lead to Alertmanager's own form", err)
	}
	return nil
}

// files returns the paths whose change changes links.
func (l *hushLinks) files() []string {
	if l == nil {
		return nil
	}
	return []string{l.key.name}
}

// A keyFile is read when it is needed, and again when it was replaced.
type keyFile struct {
	name string

	mu   sync.Mutex
	info os.FileInfo // of what key was read from
	key  []byte
}

// The sizes of a key, in bytes.
const (
	minKey = 32
	maxKey = 64 << 10
)

func (f *keyFile) read() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.name)
	if err != nil {
		f.info = nil
		return nil, err
	}
	if f.info != nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime()) {
		return f.key, nil
	}
	f.info = nil
	file, err := os.Open(f.name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	key, err := io.ReadAll(io.LimitReader(file, maxKey+1))
	if err != nil {
		return nil, err
	}
	key = bytes.TrimSpace(key)
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("%s: must hold at least %d bytes, such as head -c 32 /dev/urandom | base64 prints", f.name, minKey)
	}
	f.info, f.key = info, key
	return key, nil
}
