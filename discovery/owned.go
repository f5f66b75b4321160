package discovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// OwnedDir is the folder below targets_dir with the targets that contacts gave
// URLs for, one <network>.json each. No pattern for the networks' own files
// matches it, so that only the generated scrape jobs read them.
const OwnedDir = "owners"

// Labels of a target in OwnedDir. They are there while Prometheus relabels: the
// first one picks the scrape job, the others put right what that job's rules may
// have made of the address, so that a password goes where it belongs or nowhere.
const (
	labelContact = "__meta_stoker_contact"
	labelAddress = "__meta_stoker_address"
	labelOwnPath = "__meta_stoker_path"
	labelOwnTLS  = "__meta_stoker_scheme"
)

// ownedPath is the file of a network in OwnedDir.
func (s *store) ownedPath() string {
	return filepath.Join(filepath.Dir(s.path), OwnedDir, filepath.Base(s.path))
}

// loadOwned adds what a network's file in OwnedDir holds to what was found in its
// targets file: a P-Rep all of whose exporters have URLs is only there.
func (s *store) loadOwned(found *saved) error {
	data, err := s.read(s.ownedPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	parsed, err := parseTargets(data, s.private)
	var groups []struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	if err == nil {
		err = json.Unmarshal(data, &groups)
	}
	if err != nil {
		found.warning = errors.Join(found.warning, fmt.Errorf("%s: %w", s.ownedPath(), err))
		return nil
	}
	found.owned = make(map[slot]string, len(groups))
	for _, g := range groups {
		if len(g.Targets) == 1 {
			found.owned[slot{g.Labels[labelPrep], g.Labels[labelExporter]}] = g.Targets[0]
		}
	}
	preps := slices.Clone(found.base.Preps)
	for _, p := range parsed.preps {
		if _, known := slices.BinarySearchFunc(found.base.Preps, p, byOwnerAddress); !known {
			preps = append(preps, p)
		}
	}
	slices.SortFunc(preps, byOwnerAddress)
	found.base.Preps = preps
	all := map[string]int{}
	for _, targets := range []map[string]int{found.targets, parsed.targets} {
		for exporter, n := range targets {
			all[exporter] += n
		}
	}
	found.targets = all
	return nil
}

// saveOwned writes a network's file in OwnedDir, or removes it if nothing is to be
// in it.
func (s *store) saveOwned(data []byte) (changed bool, err error) {
	old, err := s.read(s.ownedPath())
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case data == nil && err != nil, data != nil && err == nil && bytes.Equal(old, data):
		return false, nil
	case data == nil:
		return true, s.withdraw(s.ownedPath())
	}
	if err := os.MkdirAll(filepath.Dir(s.ownedPath()), 0o755); err != nil {
		return false, err
	}
	return true, s.publish(s.ownedPath(), data)
}

// ask returns what contacts say now. Nobody to ask: they say nothing.
func (a *Agent) ask(ctx context.Context) (said []Override, err error) {
	if a.overrides == nil {
		return nil, nil
	}
	return a.overrides(ctx)
}

// claim decides what contacts say about a network, for an outcome. askErr is why
// nobody knows what they say.
func (n *network) claim(ctx context.Context, o *outcome, said []Override, askErr error) error {
	o.next.Claims = claims(n.name, n.exporters, said, askErr == nil, o.base.Claims)
	if len(o.next.Claims) == 0 {
		return nil
	}
	return n.settle(ctx, o.next.Claims, o.owned)
}

// follow has an accepted outcome follow what contacts say.
func (n *network) follow(ctx context.Context, o *outcome, said []Override, askErr error) {
	if !o.accepted {
		return
	}
	if err := n.claim(ctx, o, said, askErr); err != nil {
		o.accepted, o.err = false, err
		return
	}
	if len(o.next.Claims) > 0 {
		n.render(o)
	}
}

// render makes an outcome's files of its P-Reps and claims.
func (n *network) render(o *outcome) {
	used := map[slot]*Claim{}
	for i := range o.next.Claims {
		if c := &o.next.Claims[i]; c.State == ClaimUsed {
			used[c.slot()] = c
		}
	}
	o.rendered, o.renderedOwned, o.ownedTargets = appendClaimed(make([]byte, 0, len(o.file)+len(o.file)/8), n.name, o.next.Preps, n.exporters, used)
}

// appendClaimed is appendTargets where contacts have a say. What they gave URLs
// for is in owned, nil for nothing, and counted by exporter.
func appendClaimed(b []byte, network string, preps []prep, exporters []Exporter, used map[slot]*Claim) (file, owned []byte, count map[string]int) {
	b = append(b, '[')
	own := []byte{'['}
	begin := len(b)
	count = map[string]int{}
	var common []byte
	for _, p := range preps {
		common = p.appendLabels(common[:0], network)
		for _, e := range exporters {
			c := used[slot{p.Owner, e.Name}]
			if c == nil || c.URL == "" {
				if c != nil {
					e = c.direct(e)
				}
				if len(b) > begin {
					b = append(b, ',')
				}
				b = appendGroup(b, joinPort(p.Host, e.Port), e, common)
				continue
			}
			at, ok := c.where()
			if !ok {
				continue // settle has seen to that
			}
			if len(own) > 1 {
				own = append(own, ',')
			}
			e.Scheme, e.Path = at.scheme, at.path
			labels := slices.Clone(common)
			for _, l := range [...]struct{ name, value string }{
				{labelContact, c.Contact}, {labelAddress, at.address()}, {labelOwnPath, at.path}, {labelOwnTLS, at.scheme},
			} {
				labels = append(labels, ',')
				labels = appendLabel(labels, l.name, l.value)
			}
			own = appendGroup(own, at.address(), e, labels)
			count[e.Name]++
		}
	}
	if len(own) > 1 {
		owned = append(own, "\n]\n"...)
	}
	return append(b, "\n]\n"...), owned, count
}

// direct is the network's exporter with what a contact says of its own host.
func (c *Claim) direct(e Exporter) Exporter {
	if c.Port != 0 {
		e.Port = c.Port
	}
	if c.Path != "" {
		e.Path = c.Path
	}
	if c.Scheme != "" {
		e.Scheme = c.Scheme
	}
	return e
}

// saveFiles writes what an outcome changes of the targets.
func (n *network) saveFiles(o outcome) (changed bool, err error) {
	changed, err = n.store.saveOwned(o.renderedOwned)
	if err != nil || bytes.Equal(o.file, o.rendered) {
		return changed, err
	}
	targets := n.countTargets(len(o.next.Preps))
	for exporter, owned := range o.ownedTargets {
		targets[exporter] -= owned
	}
	if err := n.store.saveTargets(o.rendered, &targetsFile{o.next.Preps, targets}); err != nil {
		return changed, err
	}
	return true, nil
}

// Apply makes the targets follow what contacts say now, for the P-Reps that have
// targets: no network is asked. It reports whether a file changed. A network
// whose claims are as they were when its files were written isn't touched.
func (a *Agent) Apply(ctx context.Context) (changed bool, err error) {
	a.pass.Lock()
	defer a.pass.Unlock()
	said, askErr := a.ask(ctx)
	all := make([]int, len(a.networks))
	for i := range all {
		all[i] = i
	}
	changed, err = a.each(all, func(i int) (bool, error) {
		n := a.networks[i]
		found, err := n.store.load()
		if err != nil || len(found.base.Preps) == 0 {
			return false, err
		}
		o, differs, err := n.reapply(ctx, found, said, askErr)
		if err != nil {
			return false, err
		}
		n.logClaims(o.next.Claims)
		if !differs {
			a.recordClaims(i, o.next.Claims, nil)
			return false, nil
		}
		changed, err := n.saveFiles(o)
		if err == nil {
			err = n.store.saveState(o.next)
		}
		if err == nil {
			a.recordClaims(i, o.next.Claims, o.rendered)
		}
		return changed, err
	})
	return changed, errors.Join(askErr, err)
}

// reapply has what is on disk follow what contacts say. It reports whether that is
// something else than what the files followed before.
func (n *network) reapply(ctx context.Context, found saved, said []Override, askErr error) (o outcome, differs bool, err error) {
	found.base.Preps = n.deny.strike(found.base.Preps)
	o = outcome{saved: found, next: found.base}
	if err := n.claim(ctx, &o, said, askErr); err != nil || slices.Equal(o.next.Claims, o.base.Claims) {
		return o, false, err
	}
	n.render(&o)
	return o, true, nil
}

// logClaims says what became of claims that aren't used, where that isn't what was
// said last time.
func (n *network) logClaims(all []Claim) {
	said := map[string]bool{}
	for i := range all {
		if all[i].State == ClaimUsed {
			continue
		}
		line := all[i].consequence(n.exporters)
		level := slog.LevelWarn
		if all[i].State == ClaimUnserved {
			level = slog.LevelInfo // as a rule it is so for a moment
		}
		if !n.saidClaims[line] && len(said) < maxSaid {
			n.logger.Log(context.Background(), level, line)
		}
		said[line] = true
	}
	n.saidClaims = said
}

func unknownExporter(name string, exporters []Exporter) string {
	var names []string
	for _, e := range exporters {
		names = append(names, e.Name)
	}
	return fmt.Sprintf("exporter %q not known%s", name, strictyaml.DidYouMean(name, names))
}
