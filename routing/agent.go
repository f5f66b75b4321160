package routing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"go/scanner"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/alertmanager/config"
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
	// zoned are the versions of contacts, by stem, that are rejected for their time zone.
	zoned map[string][sha256.Size]byte

	exporters []ContactExporters // what the files say about exporters

	read    memory[reading] // what the files of the folder were read as
	reread  memory[reading] // what those of the live release were read as
	made    *memory[*made]  // what came of contacts for the base that baseSum is of
	baseSum [sha256.Size]byte
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
	a := &Agent{opts: opts, site: site, logger: opts.Logger, reasons: map[string]string{}, zoned: map[string][sha256.Size]byte{}}
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
	a.read.begin()
	open := a.withSecrets()
	site := open
	if a.opts.ExportersOnly {
		site = a.site
		site.read = &a.read
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
	a.read.end()
	var problems scanner.ErrorList
	h := sha256.New()
	for _, f := range files {
		problems = append(problems, f.problems...)
		if f.contact != nil {
			fmt.Fprintln(h, f.stem, a.site.hushURL(f.stem))
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
	// Version is that of the Alertmanager that will run the release, such as 0.34.2; "" if it isn't known, and then
	// it is the one that the live release was made for.
	Version string
	// Refusals are that Alertmanager's words for releases that it refused, while those aren't tried again. A contact whose
	// time zone it doesn't know is then quarantined.
	Refusals []string
	// Load reads a merged file as Alertmanager would. Whoever loads the result anyway can give it, so that it is loaded
	// once. Nil: as Merge does it.
	Load func(data []byte) (*config.Config, error)
}

// Generate returns the files that the contacts add to a release or replace in it: the merged MainFile and
// the sources of all contacts in it.
//
// A contact with a problem keeps its version of the live release. A problem of the base is returned as a
// scanner.ErrorList and nothing is generated; it is one, too, if a contact of the live release can't be
// kept beside it.
func (a *Agent) Generate(ctx context.Context, from Source) (map[string][]byte, error) {
	if from.Version == "" {
		from.Version = versionOf(from.Live)
	}
	b, problems := a.opts.readMainFile(from.Base, from.Version)
	if problems.Len() > 0 {
		return nil, problems
	}

	if from.Load != nil {
		b.load = from.Load
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.synced {
		_, _ = a.sync(ctx) // what it finds is held in a.files and a.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.remember(b, from)
	a.reread.begin()
	b.unknown = b.unknownZones(from.Refusals)
	m, rejected, err := a.merge(b, from.Live)
	if err != nil {
		return nil, err
	}
	a.made.end()
	a.reread.end()
	if err := a.keepPhones(m.accepted, from.Live); err != nil {
		return nil, err
	}
	a.report(m, rejected, from.Live)

	files := map[string][]byte{MainFile: m.data}
	if v := minor(from.Version); v != "" && m.versioned() {
		files[versionFile] = []byte(v + "\n")
	}
	if len(m.accepted) > 0 {
		files[templatesFile] = templates(a.site)
	}
	for _, c := range m.accepted {
		files[contactsFolder+"/"+c.stem+".yml"] = c.source
	}
	return files, nil
}

// remember lets the base know what came of contacts in the last pass, if that was for the same one.
func (a *Agent) remember(b *base, from Source) {
	sum := sha256.Sum256(slices.Concat([]byte(from.Version), []byte{0}, from.Base[MainFile]))
	if a.made == nil || sum != a.baseSum {
		a.made, a.baseSum = b.made, sum
	}
	a.made.begin()
	b.made = a.made
}

// merge merges the contacts of the folder, and for each that is rejected its last good version. What keeps one of those
// out can only be the base, or its time zone.
func (a *Agent) merge(b *base, live fs.FS) (*merge, map[string]scanner.ErrorList, error) {
	rejected := map[string]scanner.ErrorList{} // by stem; what problems there are besides those in a.files
	lost := map[string]bool{}                  // whose last good version has a time zone that isn't known any more
	for last := (*lastGood)(nil); ; {
		var candidates []candidate
		current := map[string]bool{}
		for _, f := range a.files {
			if f.contact != nil && rejected[f.stem] == nil {
				current[f.stem] = true
				candidates = append(candidates, candidate{stem: f.stem, source: f.source, contact: f.contact})
			}
		}
		if a.err != nil || len(candidates) < len(a.files) {
			if last == nil {
				var err error
				if last, err = readLastGood(live); err != nil {
					return nil, nil, err
				}
			}
			held, err := a.held(last, current, lost)
			if err != nil {
				return nil, nil, err
			}
			candidates = append(candidates, held...)
		}
		m, err := b.compile(candidates, a.site)
		if err == nil && len(m.rejected) == 0 {
			err = m.write(b, a.site)
		}
		if err != nil {
			return nil, nil, err
		}
		for _, c := range m.zoned {
			if current[c.stem] {
				a.zoned[c.stem] = c.contact.sum
			} else {
				lost[c.stem] = true
			}
			if rejected[c.stem] == nil {
				rejected[c.stem] = c.zoneProblem()
			}
		}
		var problems scanner.ErrorList
		for stem, why := range m.rejected {
			if current[stem] {
				rejected[stem] = why
			} else if !lost[stem] {
				problems = append(problems, noPosition(b.file, fmt.Sprintf("does without what contact %q of the live release needs: %v", stem, why)))
			}
		}
		if problems.Len() > 0 {
			problems.Sort()
			return nil, nil, problems
		}
		if len(m.rejected) == 0 {
			return m, rejected, nil
		}
	}
}

// held returns the last good versions of the contacts that the folder has and that are neither current nor lost. Those
// are all of the live release if the folder isn't available.
func (a *Agent) held(last *lastGood, current, lost map[string]bool) (candidates []candidate, err error) {
	stems := last.stems
	if a.err == nil {
		stems = nil
		for _, f := range a.files {
			stems = append(stems, f.stem)
		}
	}
	site := a.withSecrets()
	site.read = &a.reread
	seen := map[string]bool{}
	for _, stem := range stems {
		if current[stem] || lost[stem] || seen[stem] {
			continue
		}
		seen[stem] = true
		c, ok, err := last.candidate(stem, site)
		if err != nil {
			return nil, err
		}
		if ok {
			candidates = append(candidates, c)
		}
	}
	return candidates, nil
}

// withSecrets is the site as contacts are read with it.
func (a *Agent) withSecrets() Site {
	site := a.opts.withSecrets(a.site)
	site.read = &a.read
	return site
}
