package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
)

// Options are what an Agent needs from its surroundings.
type Options struct {
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are kept and not shown
	Resolver   Resolver              // nil: the system's
	// Overrides is what contacts say about exporters. Nil: nothing.
	Overrides Overrides
	// Served reports whether Prometheus' live release has the scrape jobs for an
	// exporter of a contact: a URL is followed from then on. Nil: never.
	Served func(contact, exporter string) bool
	// Own are the hosts of our own servers, which are denied as targets, but on
	// networks with AllowPrivate: there one machine may be everything.
	Own []string
}

// An Agent keeps the targets files of all configured networks. Its methods may
// be called from several goroutines.
type Agent struct {
	pass      sync.Mutex // held while networks are asked
	networks  []*network
	overrides Overrides

	mu     sync.Mutex // guards what follows, one entry a network
	status []NetworkStatus
	insist []bool
	chains []Chain
	files  [][]byte // the targets files, as far as known and not empty
}

// New makes an agent of a section, which it validates. It contacts nobody and
// writes nothing; targets files that are there already are read.
func New(cfg Config, opts Options) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = promslog.NewNopLogger()
	}
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	a := &Agent{
		overrides: opts.Overrides,
		status:    make([]NetworkStatus, len(cfg.Networks)),
		insist:    make([]bool, len(cfg.Networks)),
		chains:    make([]Chain, len(cfg.Networks)),
		files:     make([][]byte, len(cfg.Networks)),
	}
	answers := newAnswers()
	for i, c := range cfg.Networks {
		n, err := newNetwork(cfg.TargetsDir, c, opts)
		if err != nil {
			return nil, fmt.Errorf("networks[%d].%w", i, err)
		}
		for _, entry := range cfg.Deny {
			if err := n.deny.add(entry); err != nil {
				return nil, fmt.Errorf("deny: %w", err)
			}
		}
		if !c.AllowPrivate {
			for _, host := range opts.Own {
				n.deny.add(host) // what isn't a host can't be a P-Rep's either
			}
		}
		n.answers = answers
		a.networks = append(a.networks, n)
		a.status[i].Name, a.status[i].RemoveAfter = c.Name, n.removeAfter
		a.chains[i].Network = c.Name
		if found, err := n.store.load(); err == nil && len(found.base.Preps) > 0 {
			a.files[i] = notEmpty(found.file) // what is wrong with it, the first Sync says
			n.store.resume(time.Now())
		}
	}
	if opts.Registerer != nil {
		for _, c := range []prometheus.Collector{collector{a}, answers, claimCollector{a}} {
			if err := opts.Registerer.Register(c); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}

func newNetwork(dir string, c Network, opts Options) (*network, error) {
	n := &network{
		rules: rules{
			name:         c.Name,
			networkID:    c.NetworkID,
			removeAfter:  time.Duration(c.RemoveAfter),
			allowPrivate: c.AllowPrivate,
			exporters:    c.Exporters,
			interval:     cmp.Or(time.Duration(c.RefreshInterval), defaultInterval),
		},
		store:    newStore(dir, c.Name, c.AllowPrivate),
		resolver: opts.Resolver,
		served:   opts.Served,
		logger:   opts.Logger.With("network", c.Name),
	}
	var err error
	if n.ranks, err = parseRanks(c.Ranks); err != nil {
		return nil, fmt.Errorf("ranks: %w", err)
	}
	if n.schedule, err = parseSchedule(c.Schedule); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	for i, api := range c.API {
		endpoint, err := newClient(api, c.HTTPConfig)
		if err != nil {
			return nil, fmt.Errorf("api[%d]: %w", i, err)
		}
		endpoint.logger = n.logger
		if !slices.ContainsFunc(n.clients, func(other *client) bool { return other.host == endpoint.host }) {
			n.endpoints++
		}
		n.clients = append(n.clients, endpoint)
	}
	return n, nil
}

// Sync refreshes the networks that are due, or all of them if none is: that is
// someone asking. It reports whether a targets file changed. A network that
// fails keeps its targets and doesn't stop the others; the errors are joined.
func (a *Agent) Sync(ctx context.Context) (changed bool, err error) {
	a.pass.Lock()
	defer a.pass.Unlock()
	now := time.Now()
	said, askErr := a.ask(ctx)
	return a.each(a.due(now), func(i int) (bool, error) {
		n := a.networks[i]
		insist := a.insists(i)
		o := n.refresh(ctx, insist, now)
		n.follow(ctx, &o, said, askErr)
		if ctx.Err() != nil && !o.accepted {
			return false, o.err // as if it hadn't begun
		}
		changed, err := n.save(o)
		if err != nil {
			o.accepted, o.err = false, err
		}
		n.log(o, changed)
		n.logClaims(o.next.Claims)
		a.record(i, o, insist, now)
		return changed, o.err
	})
}

// Render returns the targets files, by network, that a Sync of all networks
// would leave behind now; what contacts gave URLs for is at owners/<network>. It
// asks the networks and writes nothing. A network whose answer isn't accepted is
// not in the result; the error says why.
func (a *Agent) Render(ctx context.Context) (map[string][]byte, error) {
	a.pass.Lock()
	defer a.pass.Unlock()
	now := time.Now()
	said, askErr := a.ask(ctx)
	all := make([]int, len(a.networks))
	files := make([]outcome, len(a.networks))
	for i := range all {
		all[i] = i
	}
	_, err := a.each(all, func(i int) (bool, error) {
		o := a.networks[i].refresh(ctx, a.insists(i), now)
		a.networks[i].follow(ctx, &o, said, askErr)
		files[i] = o
		return false, o.err
	})
	rendered := make(map[string][]byte, len(files))
	for i, o := range files {
		if o.accepted {
			rendered[a.networks[i].name] = o.rendered
		}
		if o.accepted && o.renderedOwned != nil {
			rendered[OwnedDir+"/"+a.networks[i].name] = o.renderedOwned
		}
	}
	return rendered, err
}

// TargetsFile returns a network's targets in the format of file_sd and http_sd:
// the bytes of its targets file. They are nil until there are targets, never an
// empty list. known is false for a network that isn't configured.
func (a *Agent) TargetsFile(network string) (data []byte, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.status {
		if a.status[i].Name == network {
			return a.files[i], true
		}
	}
	return nil, false
}

// each calls do for networks, all at once, and joins what comes of it.
func (a *Agent) each(networks []int, do func(i int) (changed bool, err error)) (changed bool, err error) {
	changes, errs := make([]bool, len(networks)), make([]error, len(networks))
	var running sync.WaitGroup
	for at, i := range networks {
		running.Go(func() {
			changes[at], errs[at] = do(i)
			if errs[at] != nil {
				errs[at] = fmt.Errorf("%s: %w", a.networks[i].name, errs[at])
			}
		})
	}
	running.Wait()
	return slices.Contains(changes, true), errors.Join(errs...)
}

// Next is when the earliest network is due, not before now.
func (a *Agent) Next(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.status[0].Next
	for _, s := range a.status[1:] {
		if s.Next.Before(next) {
			next = s.Next
		}
	}
	if next.Before(now) {
		return now
	}
	return next
}

// due are the networks whose time has come at now, or else all.
func (a *Agent) due(now time.Time) []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	var due, all []int
	for i, s := range a.status {
		all = append(all, i)
		if !s.Next.After(now) {
			due = append(due, i)
		}
	}
	if len(due) == 0 {
		return all
	}
	return due
}

// Retry makes all networks due, because someone asks: also those whose time
// hasn't come when that of another one just has.
func (a *Agent) Retry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.status {
		a.status[i].Next = time.Time{}
	}
}

// AcceptDrop makes the next answer for a network count as it is: an operator
// says that what it lacks is really gone, or that its lower height is right. It
// stays in force until an answer was accepted.
func (a *Agent) AcceptDrop(network string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.status {
		if a.status[i].Name == network {
			a.insist[i] = true
			return nil
		}
	}
	return fmt.Errorf("network %q is not configured", network)
}

func (a *Agent) insists(i int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.insist[i]
}
