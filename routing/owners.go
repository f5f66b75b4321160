package routing

import (
	"fmt"
	"go/scanner"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// A Network is what Check knows about one network that contacts may name.
type Network struct {
	Name string
	// PReps are its values of the identity label, with the names that go with them. Nil: not known.
	PReps map[string]string
	// File is where that was read.
	File string
}

// maxListed is how many of a long list a warning names.
const maxListed = 10

// checkNetworks warns about owners and networks that nobody knows.
func (o *Options) checkNetworks(contacts []*Contact) (warnings scanner.ErrorList) {
	var names []string
	for _, n := range o.Networks {
		names = append(names, n.Name)
	}
	for _, c := range contacts {
		if o.AllNetworks {
			for i, name := range c.Networks {
				warnings = appendUnknownNetwork(warnings, c.networksAt[i], name, names)
			}
			for _, s := range c.subscriptions {
				for i, name := range s.networks {
					warnings = appendUnknownNetwork(warnings, s.networksAt[i], name, names)
				}
			}
		}
		warnings = append(warnings, o.unknownOwners(c)...)
	}
	return warnings
}

func appendUnknownNetwork(warnings scanner.ErrorList, at token.Position, name string, known []string) scanner.ErrorList {
	if !slices.Contains(known, name) {
		warnings.Add(at, fmt.Sprintf("network %q is none of stoker.yml, so nobody is told about it%s", name, strictyaml.DidYouMean(name, known)))
	}
	return warnings
}

// covers reports whether the contact may be about alerts of a network.
func (c *Contact) covers(network string) bool {
	return c.Kind == Operator && (len(c.Networks) == 0 || slices.Contains(c.Networks, network))
}

// unknownOwners warns about owners that no network has. As long as one that a contact may be about isn't known, there
// are none.
func (o *Options) unknownOwners(c *Contact) (warnings scanner.ErrorList) {
	var known []Network
	for _, n := range o.Networks {
		if !c.covers(n.Name) {
			continue
		}
		if n.PReps == nil {
			return nil
		}
		known = append(known, n)
	}
	if len(known) == 0 || !o.AllNetworks && slices.ContainsFunc(c.Networks, func(name string) bool {
		return !slices.ContainsFunc(known, func(n Network) bool { return n.Name == name })
	}) {
		return nil
	}
	for i, owner := range c.Owners {
		if slices.ContainsFunc(known, func(n Network) bool { _, ok := n.PReps[owner]; return ok }) {
			continue
		}
		var names, meant []string
		var all []string
		for _, n := range known {
			names = append(names, n.Name)
			for address, name := range n.PReps {
				all = append(all, address)
				if strings.EqualFold(name, owner) {
					meant = append(meant, address)
				}
			}
		}
		slices.Sort(all)
		slices.Sort(meant)
		if near := strictyaml.Nearest(owner, all); near != "" {
			meant = []string{near}
		}
		msg := fmt.Sprintf("owner %q is not known in %s", owner, strings.Join(names, ", "))
		if len(meant) > 0 {
			msg += fmt.Sprintf(", did you mean %q", meant[0])
			for _, n := range known {
				if name := n.PReps[meant[0]]; name != "" {
					msg += fmt.Sprintf(" (%q)", name)
					break
				}
			}
			msg += "?"
		}
		warnings.Add(c.ownersAt[i], msg)
	}
	return warnings
}

// uncovered says for each network which of its P-Reps no contact is for, as far as they are known.
func (o *Options) uncovered(contacts []*Contact) (notes []string) {
	for _, n := range o.Networks {
		if note := n.uncovered(contacts); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

func (n *Network) uncovered(contacts []*Contact) string {
	left := maps.Clone(n.PReps)
	for _, c := range contacts {
		if c.covers(n.Name) {
			for _, owner := range c.Owners {
				delete(left, owner)
			}
		}
	}
	if len(left) == 0 {
		return ""
	}
	var listed []string
	for _, owner := range slices.Sorted(maps.Keys(left)) {
		if len(listed) == maxListed {
			listed = append(listed, fmt.Sprintf("and %d more", len(left)-maxListed))
			break
		}
		if left[owner] != "" {
			owner += fmt.Sprintf(" (%q)", left[owner])
		}
		listed = append(listed, owner)
	}
	return fmt.Sprintf("%d of %d P-Reps of %s have no contact: %s", len(left), len(n.PReps), n.Name, strings.Join(listed, ", "))
}

// sharedOwners says who is told by several contacts. Most are of one team, but nothing in a file proves whose alerts are its
// author's to hear.
func sharedOwners(contacts []*Contact) (notes []string) {
	files := map[string][]string{}
	for _, c := range contacts {
		for _, owner := range c.Owners {
			files[owner] = append(files[owner], filepath.Base(c.File))
		}
	}
	maps.DeleteFunc(files, func(_ string, of []string) bool { return len(of) < 2 })
	if len(files) == 0 {
		return nil
	}
	var listed []string
	for _, owner := range slices.Sorted(maps.Keys(files)) {
		if len(listed) == maxListed {
			listed = append(listed, fmt.Sprintf("and %d more", len(files)-maxListed))
			break
		}
		slices.Sort(files[owner])
		listed = append(listed, fmt.Sprintf("%s (%s)", owner, strings.Join(files[owner], ", ")))
	}
	owners := "1 owner has"
	if len(files) > 1 {
		owners = fmt.Sprintf("%d owners have", len(files))
	}
	return []string{owners + " several contacts, who all hear the same: " + strings.Join(listed, ", ")}
}
