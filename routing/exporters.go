package routing

import (
	"context"
	"fmt"
	"go/scanner"
	"go/token"
	"hash"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/secret"
)

// An Exporter is what an operator says about one exporter of their nodes, in place of what the site has for
// everybody: another port, path or scheme of the node's own host, or a URL of its own.
type Exporter struct {
	// Name is that of the site's exporter.
	Name string
	// Port, Path and Scheme are of the node's own host; the zero value leaves them as the site has them.
	Port         int
	Path, Scheme string
	// URL is where it is instead, without user, query and fragment. It is https where there is a Username,
	// unless the site allows private addresses.
	URL string
	// Username and Password are for that URL alone. Empty: it asks for none.
	Username string
	Password secret.Text
	// Position is where it stands in the file.
	Position token.Position

	secret reference // the name of the password's secret
}

// ContactExporters is what one contact says about the exporters of its owners.
type ContactExporters struct {
	// Stem names the contact, File is the file it was read from.
	Stem, File string
	// Owners are addresses of P-Reps. Networks limit it to these; empty means all.
	Owners, Networks []string
	Exporters        []Exporter
	// Quarantined says that nothing is known but the contact's name, because its file or one of its
	// passwords can't be used now: what it said last is still meant.
	Quarantined bool
}

// Exporters returns what contacts say about their exporters as of the last Sync, by stem; Sync is called if it
// wasn't yet. Contacts that say nothing are left out, quarantined ones are not, since nobody knows what they
// say. It is an error if the folder isn't available: then nothing is known about anybody.
//
// What a contact says here doesn't depend on its other secrets: it counts while one for Alertmanager is missing.
func (a *Agent) Exporters(ctx context.Context) ([]ContactExporters, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.synced {
		_, _ = a.sync(ctx) // what it finds is held in a.exporters and a.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return slices.Clone(a.exporters), a.err
}

// ReadExporters is what Exporters of a new Agent would return, offline: passwords aren't read.
func ReadExporters(ctx context.Context, opts Options) ([]ContactExporters, error) {
	site, err := opts.site()
	if err != nil {
		return nil, err
	}
	files, err := readFolder(ctx, opts.Contacts.Dir, site)
	if err != nil {
		return nil, err
	}
	found, _ := readExporters(files, site)
	return found, nil
}

// readExporters returns what the files say, and the problems of their passwords. Passwords are read if
// site.ReadSecret is there.
func readExporters(files []contactFile, site Site) (found []ContactExporters, problems scanner.ErrorList) {
	structure := site
	structure.ReadSecret, structure.Decrypt = nil, nil
	for _, f := range files {
		c := f.contact
		if c == nil && !f.double && f.source != nil {
			// Perhaps only a value is not at hand that has nothing to do with exporters.
			c, _ = ParseContact(f.path, f.source, structure)
		}
		if c == nil {
			found = append(found, ContactExporters{Stem: f.stem, File: f.name, Quarantined: true})
			continue
		}
		if len(c.Exporters) == 0 {
			continue
		}
		e := ContactExporters{Stem: c.Stem, File: f.name, Owners: c.Owners, Networks: c.Networks, Exporters: slices.Clone(c.Exporters)}
		if site.ReadSecret != nil {
			missing := c.readPasswords(e.Exporters, site)
			if missing.Len() > 0 {
				e = ContactExporters{Stem: c.Stem, File: f.name, Quarantined: true}
			}
			problems = append(problems, missing...)
		}
		found = append(found, e)
	}
	slices.SortFunc(found, func(a, b ContactExporters) int { return strings.Compare(a.Stem, b.Stem) })
	return found, problems
}

// readPasswords fills in the passwords of a contact's exporters.
func (c *Contact) readPasswords(exporters []Exporter, site Site) scanner.ErrorList {
	r := reader{file: c.File}
	for i := range exporters {
		e := &exporters[i]
		if e.secret.name == "" {
			continue
		}
		plain, err := site.ReadSecret(secretFile(c.Stem, e.secret.name))
		plain = strings.TrimSpace(plain)
		switch {
		case err != nil:
			r.fail(e.secret.at, "secret %q can't be read: %v", e.secret.name, err)
		case plain == "":
			r.fail(e.secret.at, "secret %q is empty", e.secret.name)
		case len(plain) > maxValue:
			r.fail(e.secret.at, "secret %q is too long", e.secret.name)
		case strings.ContainsAny(plain, "\x00\r\n"):
			r.fail(e.secret.at, "secret %q is more than one line", e.secret.name)
		default:
			e.Password = secret.New(plain)
		}
	}
	return r.problems
}

// hashExporters makes what is known about exporters part of what the contacts are compared by.
func hashExporters(h hash.Hash, found []ContactExporters) {
	for _, c := range found {
		for _, e := range c.Exporters {
			e.Position, e.secret = token.Position{}, reference{} // moving it changes nothing
			fmt.Fprintf(h, "%q %q %q %+v %q\n", c.Stem, c.Owners, c.Networks, e, e.Password.Reveal())
		}
	}
}

var (
	exporterName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
	prepAddress  = regexp.MustCompile(`^hx[0-9a-f]{40}$`)
	metricsPath  = regexp.MustCompile(`^/[a-zA-Z0-9/._~@:!$&'()*+,;=-]{0,255}$`)
	userName     = regexp.MustCompile(`^[!-9;-~]{1,128}$`)
	hostName     = regexp.MustCompile(`^([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.)*[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$`)
)

const (
	exporterRule = "[a-zA-Z0-9_.-]{1,64}"
	pathRule     = "be a path such as /node/metrics, without a query and without anything that would have to be escaped"
)

func (c *contactReader) readExporters(n *yaml.Node) {
	seen := map[string]bool{}
	for _, item := range c.list(n) {
		e := c.exporter(item)
		if seen[e.Name] && e.Name != "" {
			c.fail(item, "exporter %q is listed twice", e.Name)
		}
		seen[e.Name] = true
		c.contact.Exporters = append(c.contact.Exporters, e)
	}
}

// exporter reads one entry: either url, perhaps with basic_auth, or what differs on the node's own host.
func (c *contactReader) exporter(item *yaml.Node) Exporter {
	e := Exporter{Position: position(c.file, item)}
	before := len(c.problems)
	c.outlineExporter(item)
	at := c.object(item,
		field{"name", func(n *yaml.Node) { e.Name = c.word(n, exporterName, exporterRule) }},
		field{"port", func(n *yaml.Node) { e.Port = c.port(n) }},
		field{"path", func(n *yaml.Node) {
			c.says(n, "pattern", metricsPath.String())
			if e.Path = c.text(n); e.Path != "" && !metricsPath.MatchString(e.Path) {
				c.wrong(n, "must %s", pathRule)
			}
		}},
		field{"scheme", func(n *yaml.Node) { e.Scheme = c.oneOf(n, "scheme", []string{"http", "https"}) }},
		field{"url", func(n *yaml.Node) { e.URL = c.exporterURL(n) }},
		field{"basic_auth", func(n *yaml.Node) { c.basicAuth(n, &e) }},
	)
	c.need(item, at, "name", "name the exporter of the site that is meant")
	if at["name"] == nil {
		return e
	}
	direct := slices.ContainsFunc([]string{"port", "path", "scheme"}, func(name string) bool { return at[name] != nil })
	switch {
	case at["url"] != nil && direct:
		c.fail(at["url"], "url says all of it, leave out port, path and scheme")
	case at["url"] == nil && at["basic_auth"] != nil:
		c.fail(at["basic_auth"], "basic_auth needs url: a node that moves would hand the password to whoever is at its new address")
	case at["url"] == nil && !direct && len(c.problems) == before:
		c.fail(item, "says nothing, give url, or what differs of port, path and scheme")
	case e.Username != "" && strings.HasPrefix(e.URL, "http:") && !c.site.AllowPrivate:
		c.fail(at["url"], "url must begin with https://, anybody on the way could read the password")
	}
	return e
}

func (c *contactReader) port(n *yaml.Node) int {
	c.says(n, "type", "integer")
	c.says(n, "minimum", 1)
	c.says(n, "maximum", 65535)
	n = resolve(n)
	port, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || port < 1 || port > 65535 {
		c.wrong(n, "must be a number from 1 to 65535")
		return 0
	}
	return port
}

// exporterURL reads the URL of an exporter and returns it in one spelling. The host's addresses are for
// discovery to look at, time and again.
func (c *contactReader) exporterURL(n *yaml.Node) string {
	c.says(n, "pattern", "^[hH][tT][tT][pP][sS]?://[^@?#]+/[^?#]*$")
	s := c.text(n)
	if s == "" {
		return ""
	}
	u, problem := c.site.parseExporterURL(s)
	if problem != "" {
		c.wrong(n, "%s", problem)
		return ""
	}
	return u.String()
}

// parseExporterURL says what is wrong with a URL, in words that never quote it: somebody may have put a
// password in.
func (s *Site) parseExporterURL(text string) (u *url.URL, problem string) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, "must be a URL such as https://metrics.acme.example/node/metrics"
	}
	if u.User != nil {
		return nil, "must not hold a user or password, write basic_auth"
	}
	if strings.ContainsAny(text, "?#") {
		return nil, "must have no query and no fragment"
	}
	if u.RawPath != "" || !metricsPath.MatchString(u.Path) {
		return nil, "must end in the path of the metrics, such as /node/metrics, without anything that would have to be escaped"
	}
	host, port := u.Hostname(), u.Port()
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return nil, "must name its host by a name or an IPv4 address"
	}
	if len(host) > 253 || !hostName.MatchString(host) {
		return nil, "must name its host in plain ASCII letters, digits, dots and dashes"
	}
	host = strings.ToLower(host) // of other letters, some have a lower case in ASCII
	if !s.AllowPrivate {
		switch problem := hostProblem(host); problem {
		case "":
		case privateHost:
			return nil, "must not lead to a private or local address"
		default:
			return nil, problem
		}
	}
	if strings.HasSuffix(u.Host, ":") {
		return nil, "must have a port after the colon, or no colon"
	}
	u.Host = host
	if port != "" {
		number, err := strconv.Atoi(port)
		if err != nil || number < 1 || number > 65535 {
			return nil, "must have a port from 1 to 65535"
		}
		u.Host += ":" + strconv.Itoa(number)
	}
	return u, ""
}

// basicAuth reads who is let in. The password can only be a secret of the machine that runs stoker: in plain it
// would be public, and an encrypted one that somebody else copies into their file would be decrypted and sent
// to the host of their choice.
func (c *contactReader) basicAuth(n *yaml.Node, e *Exporter) {
	at := c.object(n,
		field{"username", func(n *yaml.Node) {
			c.says(n, "pattern", userName.String())
			if e.Username = c.text(n); e.Username != "" && !userName.MatchString(e.Username) {
				c.wrong(n, "must be 1 to 128 ASCII characters without spaces and colons")
			}
		}},
		field{"password", func(n *yaml.Node) {
			const form = "must be {secret: name}, a file that the people who run stoker keep for you"
			switch m := resolve(n); {
			case m.Kind == yaml.ScalarNode && !isNull(m):
				c.wrong(n, form+": here everybody could read it")
			case m.Kind == yaml.MappingNode && len(m.Content) == 2 && m.Content[0].Value == "age":
				c.wrong(n, form+": whoever copies an encrypted password would have it sent to a host of their choice")
			default:
				before := len(c.problems)
				set := c.object(n, field{"secret", func(n *yaml.Node) {
					e.secret = reference{c.secretName(n), n}
				}})
				c.requires(n, "secret")
				if len(set) == 0 && len(c.problems) == before {
					c.wrong(n, form)
				}
			}
		}},
	)
	c.need(n, at, "username")
	c.need(n, at, "password")
}

// checkOwners makes sure that what a contact says about exporters is about certain P-Reps: a name can be
// anybody's.
func (c *contactReader) checkOwners(at *yaml.Node) {
	for _, owner := range c.contact.Owners {
		if !prepAddress.MatchString(owner) {
			c.fail(at, "exporters are those of a P-Rep, and owner %q is not the address of one, hx and 40 of 0-9a-f", owner)
		}
	}
}
