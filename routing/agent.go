package routing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"go/scanner"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/promslog"
)

// An Agent keeps the contacts folder merged into Alertmanager's configuration. Its methods can be called
// at any time and concurrently.
type Agent struct {
	opts   Options
	site   Site
	logger *slog.Logger
	status atomic.Pointer[Status]    // replaced, never changed
	phones atomic.Pointer[phonebook] // replaced, never changed

	mu      sync.Mutex
	synced  bool
	files   []contactFile     // as of the last Sync; nil if the folder was not available
	err     error             // why it was not
	sum     [sha256.Size]byte // of the contacts in files
	reasons map[string]string // by file, what was logged last

	exporters []ContactExporters // what the files say about exporters
}

// New returns an Agent. It reads no file yet.
func New(opts Options) (*Agent, error) {
	if err := opts.Contacts.Validate(); err != nil {
		return nil, fmt.Errorf("contacts.%w", err)
	}
	site, err := opts.site()
	if err != nil {
		return nil, err
	}
	a := &Agent{opts: opts, site: site, logger: opts.Logger, reasons: map[string]string{}}
	if a.logger == nil {
		a.logger = promslog.NewNopLogger()
	}
	a.status.Store(&Status{})
	if opts.Registerer != nil {
		if err := opts.Registerer.Register(newCollector(a)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Sync reads the contacts folder and reports whether the set of valid contacts changed. Problems of single
// files are returned together as a scanner.ErrorList; the others count all the same. If the folder is
// missing, can't be read or holds no contact, that is the error and the contacts of the live release stay.
func (a *Agent) Sync(ctx context.Context) (changed bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sync(ctx)
}

func (a *Agent) sync(ctx context.Context) (changed bool, err error) {
	open := a.opts.withSecrets(a.site)
	site := open
	if a.opts.ExportersOnly {
		site = a.site
	}
	files, err := readFolder(ctx, a.opts.Contacts.Dir, site)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	a.synced, a.files, a.exporters, a.err = true, files, nil, err
	status := a.Status()
	status.Unavailable = ""
	if err != nil {
		status.Unavailable = err.Error()
	}
	a.status.Store(&status)
	if err != nil {
		return false, err
	}
	var problems scanner.ErrorList
	h := sha256.New()
	for _, f := range files {
		problems = append(problems, f.problems...)
		if f.contact != nil {
			fmt.Fprintln(h, f.stem)
			h.Write(f.contact.sum[:])
		}
	}
	var missing scanner.ErrorList
	a.exporters, missing = readExporters(files, open)
	problems = append(problems, missing...)
	hashExporters(h, a.exporters)
	before := a.sum
	h.Sum(a.sum[:0])
	return a.sum != before, problems.Err()
}

// A Source is what a release of Alertmanager is generated from.
type Source struct {
	// Base holds the hand-written MainFile, by its path.
	Base map[string][]byte
	// Live is the release that is live now; nil if there is none.
	Live fs.FS
	// Version is that of the Alertmanager that will run the release, such as 0.34.2; "" if it isn't known.
	Version string
}

// Generate returns the files that the contacts add to a release or replace in it: the merged MainFile and
// the sources of all contacts in it.
//
// A contact with a problem keeps its version of the live release. A problem of the base is returned as a
// scanner.ErrorList and nothing is generated; it is one, too, if a contact of the live release can't be
// kept beside it.
func (a *Agent) Generate(ctx context.Context, from Source) (map[string][]byte, error) {
	b, problems := a.opts.readMainFile(from.Base, from.Version)
	if problems.Len() > 0 {
		return nil, problems
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.synced {
		_, _ = a.sync(ctx) // what it finds is held in a.files and a.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var candidates []candidate
	for _, f := range a.files {
		if f.contact != nil {
			candidates = append(candidates, candidate{stem: f.stem, source: f.source, contact: f.contact})
		}
	}
	m, err := b.merge(candidates, a.site)
	if err != nil {
		return nil, err
	}
	rejected := map[string]scanner.ErrorList{} // by stem; what problems there are besides those in a.files
	if a.err != nil || len(m.accepted) < len(a.files) {
		rejected = m.rejected
		if m, err = a.hold(b, m, from.Live); err != nil {
			return nil, err
		}
		for stem, why := range m.rejected {
			problems = append(problems, noPosition(b.file, fmt.Sprintf("does without what contact %q of the live release needs: %v", stem, why)))
		}
		if problems.Len() > 0 {
			problems.Sort()
			return nil, problems
		}
	}
	if err := a.keepPhones(m.accepted, from.Live); err != nil {
		return nil, err
	}
	a.report(m, rejected)

	files := map[string][]byte{MainFile: m.data}
	for _, c := range m.accepted {
		files[contactsFolder+"/"+c.stem+".yml"] = c.source
	}
	return files, nil
}

// hold merges again what was accepted together with the last good versions of what was not. What it
// rejects can only be of the live release.
func (a *Agent) hold(b *base, m *merge, live fs.FS) (*merge, error) {
	last, err := readLastGood(live)
	if err != nil {
		return nil, err
	}
	candidates := m.accepted
	held := map[string]bool{}
	for _, c := range candidates {
		held[c.stem] = true
	}
	stems := last.stems()
	if a.err == nil {
		stems = nil
		for _, f := range a.files {
			stems = append(stems, f.stem)
		}
	}
	site := a.opts.withSecrets(a.site)
	for _, stem := range stems {
		if held[stem] {
			continue
		}
		held[stem] = true
		c, ok, err := last.candidate(stem, site)
		if err != nil {
			return nil, err
		}
		if ok {
			candidates = append(candidates, c)
		}
	}
	return b.merge(candidates, a.site)
}
