package routing

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// contactsFolder holds, in a release, the sources of the contacts that are in it, as they were accepted.
const contactsFolder = ".stoker/contacts"

// A lastGood is what the live release knows about contacts. Its files are read when they are asked for: mostly one of
// a thousand is.
type lastGood struct {
	live  fs.FS      // nil if there is no release
	stems []string   // of its contacts, in order
	main  *yaml.Node // once it was read
}

// readLastGood looks into the live release, which may not exist yet. One that can't be read is an error: as
// long as it isn't known who was told, nobody may be left out.
func readLastGood(live fs.FS) (*lastGood, error) {
	last := &lastGood{live: live}
	if live == nil {
		return last, nil
	}
	entries, err := fs.ReadDir(live, contactsFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("live release: %w", err)
	}
	for _, e := range entries {
		if path.Ext(e.Name()) == ".yml" {
			last.stems = append(last.stems, stem(e.Name()))
		}
	}
	slices.Sort(last.stems)
	return last, nil
}

// candidate returns the last good version of a contact. If that can't be made again, because a secret is
// not mounted yet or the site changed its rules, what the live release says about the contact stands in
// for it: that must not leave anybody untold.
func (l *lastGood) candidate(stem string, site Site) (c candidate, ok bool, err error) {
	if _, ok := slices.BinarySearch(l.stems, stem); !ok {
		return candidate{}, false, nil
	}
	file := contactsFolder + "/" + stem + ".yml"
	source, err := fs.ReadFile(l.live, file)
	if err != nil {
		return candidate{}, false, fmt.Errorf("live release: %w", err)
	}
	contact, err := site.contact(file, source)
	if err == nil {
		contact.tests = nil // it was accepted with them; they are no reason to leave it untold
		contact.held = true // and neither is the version of Alertmanager
		return candidate{stem: stem, source: source, contact: contact}, true, nil
	}
	f, err := l.fragment(stem)
	if err != nil {
		return candidate{}, false, fmt.Errorf("live release: contact %q: %w", stem, err)
	}
	return candidate{stem: stem, source: source, fragment: f}, len(f.items[routesList]) > 0, nil
}

// fragment cuts what a contact added out of the live configuration.
func (l *lastGood) fragment(stem string) (*fragment, error) {
	prefix := reservedPrefix + stem + "/"
	own := func(items *yaml.Node, key string) []*yaml.Node {
		var found []*yaml.Node
		for _, item := range items.Content {
			if strings.HasPrefix(get(item, key).Value, prefix) {
				uncomment(item)
				found = append(found, item)
			}
		}
		return found
	}
	root, err := l.root()
	if err != nil {
		return nil, err
	}
	return newFragment(contactsFolder+"/"+stem+".yml",
		own(get(get(root, "route"), routesList), "receiver"),
		own(get(root, receiversList), "name"),
		own(get(root, intervalsList), "name"))
}

// root returns the live configuration.
func (l *lastGood) root() (*yaml.Node, error) {
	if l.main == nil {
		l.main = &yaml.Node{}
		data, err := fs.ReadFile(l.live, MainFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		r := reader{file: MainFile}
		if doc := r.document(data); doc != nil {
			l.main = doc.Content[0]
		}
	}
	return l.main, nil
}

// uncomment drops the comments below n. What this package writes has none, so they are the base's, which
// come with the base again.
func uncomment(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, child := range n.Content {
		uncomment(child)
	}
}
