package routing

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/stoker-project/stoker/internal/secret"
	"github.com/stoker-project/stoker/routing/twilio"
)

// A phonebook has the phones by the names of contact and method. A contact that is there without any has phones that
// can't be read now.
type phonebook map[string]map[string]twilio.Phone

// IdentityLabel returns the label that says whose alert it is.
func (a *Agent) IdentityLabel() string { return a.site.IdentityLabel }

// Severities returns the values of the severity label, the mildest first.
func (a *Agent) Severities() []string { return slices.Clone(a.site.Severities) }

// Phone returns what the bridge reaches for a contact's method; false if no such phone is in what was last generated,
// nor in what was live then. It fails with twilio.ErrNotYet before the first Generate.
func (a *Agent) Phone(contact, method string) (twilio.Phone, bool, error) {
	book := a.phones.Load()
	if book == nil {
		return twilio.Phone{}, false, twilio.ErrNotYet
	}
	methods, ok := (*book)[contact]
	if ok && methods == nil {
		return twilio.Phone{SMS: true, Voice: true}, true, nil // with a number that isn't at hand
	}
	phone, ok := methods[method]
	return phone, ok, nil
}

// keepPhones makes the phonebook of what was accepted. What is live stays in it as far as it is different: Alertmanager
// runs that until it has the new release, and for good if it refuses it.
func (a *Agent) keepPhones(accepted []candidate, live fs.FS) error {
	if a.site.Phone == nil || a.site.Phone.Provider != Twilio {
		return nil
	}
	book := phonebook{}
	site := notAtHand(a.opts.withSecrets(a.site))
	add := func(stem string, contact *Contact, source []byte) {
		if contact == nil {
			// A part of the live configuration stands in for it, because not all of it is at hand: its phones may be.
			var err error
			if contact, err = ParseContact(contactsFolder+"/"+stem+".yml", source, site); err != nil {
				if book[stem] == nil {
					book[stem] = nil
				}
				return
			}
		}
		if book[stem] == nil {
			book[stem] = map[string]twilio.Phone{}
		}
		for _, m := range contact.methods {
			p, ok := m.method.(phone)
			if _, double := book[stem][m.name]; !ok || double {
				continue
			}
			entry := twilio.Phone{Language: p.language, SMS: p.sms, Voice: p.voice}
			if p.number.plain != nil {
				entry.Number = secret.New(*p.number.plain)
			}
			book[stem][m.name] = entry
		}
	}
	sources := map[string][]byte{}
	for _, c := range accepted {
		sources[c.stem] = c.source
		add(c.stem, c.contact, c.source)
	}
	if live != nil {
		files, err := fs.Glob(live, contactsFolder+"/*.yml")
		if err != nil {
			return fmt.Errorf("live release: %w", err)
		}
		for _, file := range files {
			source, err := fs.ReadFile(live, file)
			if err != nil {
				return fmt.Errorf("live release: %w", err)
			}
			if now, ok := sources[stem(path.Base(file))]; !ok || !bytes.Equal(now, source) {
				add(stem(file), nil, source)
			}
		}
	}
	a.phones.Store(&book)
	return nil
}

var errNotAtHand = errors.New("not at hand")

// notAtHand takes what can't be read for what is not at hand: for whoever wants the rest of a contact.
func notAtHand(s Site) Site {
	read, decrypt := s.ReadSecret, s.Decrypt
	s.ReadSecret = func(file string) (string, error) {
		plain, err := read(file)
		if err != nil {
			return "", errNotAtHand
		}
		return plain, nil
	}
	s.Decrypt = func(armored string) (string, error) {
		plain, err := decrypt(armored)
		if err != nil {
			return "", errNotAtHand
		}
		return plain, nil
	}
	s.readCredential, s.read = nil, nil
	return s
}
