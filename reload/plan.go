package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/redact"
)

// Planned is what a pass of an [Agent] that remembers nothing would do now.
type Planned struct {
	// Server is "prometheus" or "alertmanager".
	Server string
	// ConfigFile is the main file where it stays in its place; "" for releases.
	ConfigFile string
	// Live is the release that is live, and Next the one that the sources ask for; "" if there is none, or if none
	// could be made. Of a ConfigFile there never is a live one.
	Live, Next string
	// Refused says why Next wouldn't go live, or why there is none; nil if it would, or is. Warnings are what only
	// the server can tell.
	Refused  error
	Warnings scanner.ErrorList
	// Files are those of Next that differ from those of Live, by path; nil if it is refused.
	Files []FileChange
	// Runs is what is known of the server now, in relation to Live, or to Next where nothing is live. Why says how
	// what it runs differs, or why it isn't known.
	Runs Runs
	Why  string
	// Reload is whether the server would be told to load the release.
	Reload Reload
}

// Runs is what a server runs, in a word.
type Runs string

const (
	RunsRelease Runs = "release" // this very release, as far as the server can tell
	RunsOther   Runs = "other"   // something else
	RunsUnknown Runs = "unknown" // it can't be asked
)

// Reload is whether a reload would be sent.
type Reload string

const (
	ReloadSent    Reload = "sent"
	ReloadNone    Reload = "none"    // the server runs the release, or there is none
	ReloadUnknown Reload = "unknown" // not now, because the server can't be asked; it starts from the release
)

// FileChange is a file that two releases don't have alike.
type FileChange struct {
	// Path is that in the release.
	Path string
	// Change is '+' for one that only the later release has, '-' for one that it lacks, '~' for other content.
	Change byte
	// Diff is how they differ, without secrets, in the unified format; "" where that can't be shown. Note then says
	// what can be said. Files that only stoker reads have neither.
	Diff, Note string
}

// Plan finds out what a pass would do, and does none of it: output_dir and the server are only read. It works
// beside another process that holds the [Lock]; what that one remembers of refused releases isn't known here.
func (a *Agent) Plan(ctx context.Context) Planned {
	a.pass.Lock()
	defer a.pass.Unlock()
	p := Planned{Server: a.dialect.server(), ConfigFile: a.cfg.ConfigFile, Runs: RunsUnknown, Reload: ReloadNone}
	said, askErr := a.ask(ctx)
	live, liveTree, err := a.readLive()
	if p.Live = live; err != nil {
		p.Refused = err
		return p
	}
	c := a.candidate(a.factsOf(said))
	p.Next, p.Warnings, p.Refused = a.nextRelease(ctx, c, live)
	if p.Refused == nil && p.ConfigFile == "" {
		p.Files = a.changes(liveTree, c)
	}

	now, target, targetTree := liveTree, live, liveTree
	if p.Refused == nil {
		target, targetTree = p.Next, c.tree
		if live == "" {
			now = c.tree
		}
	}
	p.Runs, p.Why = a.runs(ctx, now, said, askErr)
	switch {
	case target == "":
	case askErr != nil:
		p.Reload = ReloadUnknown
	case target == live && (a.shelf.stands() || a.startedFrom(said)):
		if runs, _ := a.runs(ctx, targetTree, said, nil); runs != RunsRelease {
			p.Reload = ReloadSent
		}
	default:
		p.Reload = ReloadSent
	}
	return p
}

// nextRelease makes the release that the sources ask for, and checks it unless it is live already.
func (a *Agent) nextRelease(ctx context.Context, c *candidate, live string) (hash string, warnings scanner.ErrorList, err error) {
	defer func() { err = c.expander.redact(err) }()
	if err := parentOf(a.cfg.OutputDir); err != nil {
		return "", nil, err
	}
	if err := a.origin.gather(ctx, c, time.Duration(a.cfg.Settle)); err != nil {
		return "", nil, err
	}
	if hash = c.tree.Hash(); hash == live {
		return hash, nil, nil
	}
	warnings, err = c.tryOut()
	for _, w := range warnings {
		w.Msg = c.expander.redactText(w.Msg)
	}
	return hash, warnings, err
}

// parentOf says of an output_dir that can't be made what [Lock] would say of it.
func parentOf(dir string) error {
	if dir == "" {
		return nil
	}
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Dir(dir))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("output_dir: %w: make the folder, or mount the volume, that should hold it", err)
	}
	return nil
}

// readLive reads the live release. Another process may put the next one in its place meanwhile.
func (a *Agent) readLive() (hash string, tree Tree, err error) {
	for range 3 {
		if hash = a.shelf.current(liveLink); hash == "" {
			return "", nil, nil
		}
		if tree, err = a.shelf.read(hash); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return hash, tree, err
}

// runs says whether the server runs the files of a tree.
func (a *Agent) runs(ctx context.Context, tree Tree, said loaded, askErr error) (runs Runs, why string) {
	switch {
	case askErr != nil:
		return RunsUnknown, askErr.Error()
	case tree == nil:
		return RunsUnknown, "there is no release to compare to"
	case !said.successful:
		return RunsOther, "its last load of a configuration failed"
	}
	why, err := a.dialect.difference(ctx, a.server, said, a.inPlace(), tree)
	if err != nil {
		return RunsUnknown, err.Error()
	}
	if why != "" {
		return RunsOther, why
	}
	return RunsRelease, ""
}

// changes lists how a candidate differs from a release.
func (a *Agent) changes(live Tree, c *candidate) (changes []FileChange) {
	differ := redact.New()
	before, after := kinds(a.dialect, live), kinds(a.dialect, c.tree)
	paths := maps.Clone(live)
	if paths == nil {
		paths = Tree{}
	}
	maps.Copy(paths, c.tree)
	for _, p := range paths.Paths() {
		old, was := live[p]
		data, is := c.tree[p]
		change := FileChange{Path: p, Change: '~'}
		switch {
		case !was:
			change.Change = '+'
		case !is:
			change.Change = '-'
		case bytes.Equal(old, data):
			continue
		}
		if !private(p) {
			f := redact.File{Name: p, Kind: after[p], Before: old, After: data}
			if !is {
				f.Kind = before[p]
			} else if was && before[p] != after[p] {
				f.Kind = redact.Opaque
			}
			if c.expander.applies(p) {
				// Without its source nothing of it is shown.
				f.Source, _ = os.ReadFile(filepath.Join(c.sourceDir, filepath.FromSlash(p)))
				if f.Source == nil {
					f.Source = []byte{}
				}
			}
			change.Diff, change.Note = differ.Diff(f)
		}
		changes = append(changes, change)
	}
	return changes
}

// kinds tells what the files of a release are by what the main file says of them: a password file can look like
// anything.
func kinds(d dialect, tree Tree) map[string]redact.Kind {
	if d.server() == (alertmanagerFiles{}).server() {
		return map[string]redact.Kind{d.main(): redact.Alertmanager}
	}
	known := map[string]redact.Kind{d.main(): redact.Prometheus}
	var main struct {
		RuleFiles         []string `yaml:"rule_files"`
		ScrapeConfigFiles []string `yaml:"scrape_config_files"`
	}
	if yaml.Unmarshal(tree[d.main()], &main) != nil {
		return known
	}
	for kind, patterns := range map[redact.Kind][]string{redact.Rules: main.RuleFiles, redact.ScrapeConfigs: main.ScrapeConfigFiles} {
		for _, pattern := range patterns {
			for _, p := range tree.glob(path.Clean(pattern)) {
				if other, named := known[p]; named && other != kind {
					known[p] = redact.Opaque // for lack of a better word
				} else {
					known[p] = kind
				}
			}
		}
	}
	return known
}
