package discovery

import (
	"cmp"
	"context"
	"fmt"
	"go/scanner"
	"go/token"
	"net/netip"
	"net/url"
	"slices"

	"github.com/stoker-project/stoker/internal/secret"
	"github.com/stoker-project/stoker/internal/strictyaml"
)

// An Override is what one contact says about how exporters of its P-Reps are
// reached, in place of what the network's configuration has for everybody.
type Override struct {
	// Contact names it: lower-case letters, digits and dashes. File is for people.
	Contact string `json:"contact"`
	File    string `json:"file"`
	// Owners are addresses of P-Reps. Networks limit it to these; empty: all.
	Owners    []string      `json:"owners"`
	Networks  []string      `json:"networks,omitempty"`
	Exporters []OwnExporter `json:"exporters"`
	// Quarantined says that nothing but the name is known now: what the contact
	// said last is still meant.
	Quarantined bool `json:"-"`
}

// An OwnExporter stands in for the network's exporter of the same name.
type OwnExporter struct {
	Name string `json:"name"`
	// Port, Path and Scheme are of the P-Rep's own host; the zero value leaves
	// them as the network's configuration has them.
	Port   int    `json:"port,omitempty"`
	Path   string `json:"path,omitempty"`
	Scheme string `json:"scheme,omitempty"`
	// URL is where it is instead: http or https, without user, query and
	// fragment. Username and Password are sent there and nowhere else, by a
	// scrape job of its own.
	URL      string      `json:"url,omitempty"`
	Username string      `json:"username,omitempty"`
	Password secret.Text `json:"-"`
	// Position is where it is written, for problems.
	Position token.Position `json:"-"`
}

// Overrides is where an agent learns what contacts say now. An error says that
// nobody knows: what they said last is still meant.
type Overrides func(ctx context.Context) ([]Override, error)

// What becomes of a claim, besides the Reason constants: these say that the host
// of its URL isn't one to be scraped.
const (
	// ClaimUsed is one that the targets follow.
	ClaimUsed = "used"
	// ClaimUnknown names an exporter that the network doesn't have.
	ClaimUnknown = "unknown"
	// ClaimContested is one of several contacts' about one exporter of one P-Rep.
	ClaimContested = "contested"
	// ClaimUnserved has a URL, and the live release of Prometheus has no scrape
	// job for it.
	ClaimUnserved = "unserved"
)

// A Claim is what one contact says about one exporter of one P-Rep, on one
// network, and what became of it. Unless it is used, the target is what it would
// be without it: then there is something to be alerted about.
type Claim struct {
	Owner    string `json:"owner"`
	Exporter string `json:"exporter"`
	Contact  string `json:"contact"`
	File     string `json:"file"`
	Port     int    `json:"port,omitempty"`
	Path     string `json:"path,omitempty"`
	Scheme   string `json:"scheme,omitempty"`
	URL      string `json:"url,omitempty"`
	State    string `json:"state"`
}

// slot is what can be claimed: an exporter of a P-Rep.
type slot struct{ owner, exporter string }

func (c *Claim) slot() slot { return slot{c.Owner, c.Exporter} }

// claims lists what contacts say about a network, by owner, exporter and contact.
// What a quarantined one said is in last, and all of it if known is false. Their
// states say whether they stand by themselves:
//
//	a name that the network has no exporter of    unknown
//	of several contacts, about one slot           contested, all of them
//	else                                          used
func claims(network string, exporters []Exporter, said []Override, known bool, last []Claim) []Claim {
	var all []Claim
	if !known {
		all, said = slices.Clone(last), nil
	}
	seen := map[string]bool{} // two files of one name are one contact
	for _, o := range said {
		if seen[o.Contact] {
			continue
		}
		seen[o.Contact] = true
		if o.Quarantined {
			for _, c := range last {
				if c.Contact == o.Contact {
					all = append(all, c)
				}
			}
			continue
		}
		if len(o.Networks) > 0 && !slices.Contains(o.Networks, network) {
			continue
		}
		for _, owner := range o.Owners {
			for _, e := range o.Exporters {
				all = append(all, Claim{owner, e.Name, o.Contact, o.File, e.Port, e.Path, e.Scheme, e.URL, ""})
			}
		}
	}
	slices.SortFunc(all, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Exporter, b.Exporter), cmp.Compare(a.Contact, b.Contact), cmp.Compare(a.File, b.File))
	})
	for i := range all {
		c := &all[i]
		contested := i > 0 && all[i-1].slot() == c.slot() || i+1 < len(all) && all[i+1].slot() == c.slot()
		switch {
		case !slices.ContainsFunc(exporters, func(e Exporter) bool { return e.Name == c.Exporter }):
			c.State = ClaimUnknown
		case contested:
			c.State = ClaimContested
		default:
			c.State = ClaimUsed
		}
	}
	return all
}

// settle decides about the claims that stand by themselves: those with a URL need
// a scrape job that is live, and a host that may be scraped. A hostname
// that was good and isn't found now stays, to be alerted about: owned are the
// targets on disk that claims asked for.
func (n *network) settle(ctx context.Context, all []Claim, owned map[slot]string) error {
	reasons := map[string]string{} // by host
	hosts := make([]string, len(all))
	for i := range all {
		c := &all[i]
		at, ok := c.where()
		switch {
		case c.State != ClaimUsed:
		case c.URL == "" && !c.fits(n.exporters), c.URL != "" && !ok:
			c.State = ReasonMalformed
		case c.URL != "" && !n.serves(c):
			c.State = ClaimUnserved
		case c.URL != "":
			hosts[i], reasons[at.host] = at.host, ""
		}
	}
	found := &lookups{Resolver: n.resolver, addrs: map[string][]netip.Addr{}}
	checkHosts(ctx, reasons, n.allowPrivate, found)
	n.deny.check(ctx, reasons, n.allowPrivate, found)
	if err := ctx.Err(); err != nil {
		return err // lookups that were cut short say nothing about their names
	}
	for i := range all {
		c := &all[i]
		reason := reasons[hosts[i]]
		if reason == ReasonUnresolved {
			if at, _ := c.where(); owned[c.slot()] == at.address() {
				reason = ""
			}
		}
		if reason != "" {
			c.State = reason
		}
	}
	return nil
}

// fits reports whether what a claim says of the P-Rep's own host makes sense.
func (c *Claim) fits(exporters []Exporter) bool {
	for _, e := range exporters {
		if e.Name == c.Exporter {
			e = c.direct(e)
			return len(e.validate("")) == 0
		}
	}
	return false
}

// serves reports whether a claim's scrape job is live. No job can read what is in
// memory.
func (n *network) serves(c *Claim) bool {
	return n.served != nil && n.store.memory == nil && n.served(c.Contact, c.Exporter)
}

// A place is what a URL says of a target.
type place struct {
	scheme, host string
	port         int
	path         string
}

func (p place) address() string { return joinPort(p.host, p.port) }

// where takes the URL of a claim apart; it is as strict about it as about an
// endpoint of the network.
func (c *Claim) where() (p place, ok bool) {
	u, err := url.Parse(c.URL)
	if err != nil || u.User != nil || u.Opaque != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" {
		return place{}, false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	p = place{scheme: u.Scheme, path: u.Path}
	p.host, p.port, ok = parseEndpoint(u.Hostname() + ":" + port)
	e := Exporter{Name: c.Exporter, Port: p.port, Path: p.path, Scheme: p.scheme}
	return p, ok && len(e.validate("")) == 0
}

// consequence says to people what became of a claim that isn't used.
func (c *Claim) consequence(exporters []Exporter) string {
	what := fmt.Sprintf("exporter %s of %s is scraped as without contact %s", c.Exporter, c.Owner, c.File)
	switch c.State {
	case ClaimUnknown:
		return fmt.Sprintf("contact %s: %s", c.File, unknownExporter(c.Exporter, exporters))
	case ClaimContested:
		return what + ", because another contact claims it too"
	case ClaimUnserved:
		return what + ", because the live release of Prometheus has no scrape job for its URL yet"
	default:
		return what + ", because its address is " + c.State
	}
}

// CheckOverrides judges offline what contacts say, for these networks. Claims that
// contradict each other are problems, names that a network has no exporter of are
// warnings. Without networks, only contradictions can be found.
func CheckOverrides(networks []Network, said []Override) (problems, warnings scanner.ErrorList) {
	known := len(networks) > 0
	if !known {
		networks = imagined(said)
	}
	places := map[slot]*OwnExporter{} // by contact and name
	for i := range said {
		for j := range said[i].Exporters {
			e := &said[i].Exporters[j]
			places[slot{said[i].Contact, e.Name}] = e
		}
	}
	for _, o := range said {
		for _, name := range o.Networks {
			if known && len(o.Exporters) > 0 && !slices.ContainsFunc(networks, func(n Network) bool { return n.Name == name }) {
				warnings.Add(o.Exporters[0].Position, fmt.Sprintf("the contact's network %q not known%s", name, strictyaml.DidYouMean(name, namesOf(networks))))
			}
		}
	}
	for _, n := range networks {
		all := claims(n.Name, n.Exporters, said, true, nil)
		for i := range all {
			c := &all[i]
			at := places[slot{c.Contact, c.Exporter}]
			switch {
			case c.State == ClaimUnknown && known:
				warnings.Add(at.Position, fmt.Sprintf("%s on network %s", unknownExporter(c.Exporter, n.Exporters), n.Name))
			case c.State == ClaimContested:
				for j := range all {
					if other := &all[j]; other.slot() == c.slot() && other.Contact != c.Contact {
						problems.Add(at.Position, fmt.Sprintf("exporter %q of %s is claimed by %s in line %d too, so neither counts",
							c.Exporter, c.Owner, other.File, places[slot{other.Contact, c.Exporter}].Position.Line))
					}
				}
			}
		}
	}
	for _, list := range []*scanner.ErrorList{&problems, &warnings} {
		list.Sort()
		*list = slices.CompactFunc(*list, func(a, b *scanner.Error) bool { return *a == *b })
	}
	return problems, warnings
}

func namesOf(networks []Network) (names []string) {
	for _, n := range networks {
		names = append(names, n.Name)
	}
	return names
}

// imagined are networks that have whatever contacts speak of.
func imagined(said []Override) (all []Network) {
	any := Network{Name: "any"} // for contacts that name none
	names := []string{}
	for _, o := range said {
		names = append(names, o.Networks...)
		for _, e := range o.Exporters {
			any.Exporters = append(any.Exporters, Exporter{Name: e.Name})
		}
	}
	all = []Network{any}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		any.Name = name
		all = append(all, any)
	}
	return all
}
