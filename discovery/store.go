package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"
)

// A store keeps a network's baseline in two files:
//
//	<targets_dir>/<network>.json             the targets, for Prometheus
//	<targets_dir>/.stoker/<network>.state    height, time, source, who is missing since when
//
// The second one changes with every block, the first one only when a target
// does; that is why they are two. Every pattern of file_sd ends in .json, .yml or
// .yaml, so none matches the second, and Prometheus doesn't watch its folder. That is
// where unfinished files are, too.
//
// The state is written first. If the process dies in between, the targets are an
// older truth with a newer height, which the next accepted answer mends; the
// other way round an older answer could pass.
//
// Without a targets_dir the files are in memory.
type store struct {
	path    string            // of the targets file
	state   string            // path of the other one
	private bool              // whether the rules allow private hosts
	memory  map[string][]byte // the files by their paths; nil: they are on disk

	seed   maphash.Seed
	sum    uint64       // of the targets file that was read or written last
	parsed *targetsFile // what is in it

	publishing sync.Mutex           // held while a targets file is replaced, guards again
	again      map[string]time.Time // when targets files are to be written once more, by their paths
}

func newStore(dir, network string, allowPrivate bool) *store {
	s := &store{
		path:    filepath.Join(dir, network+".json"),
		state:   filepath.Join(dir, ".stoker", network+".state"),
		private: allowPrivate,
		seed:    maphash.MakeSeed(),
		again:   map[string]time.Time{},
	}
	if dir == "" {
		s.memory = map[string][]byte{}
	}
	return s
}

func (s *store) read(path string) ([]byte, error) {
	if s.memory == nil {
		return os.ReadFile(path)
	}
	data, ok := s.memory[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// savedState is the content of the state file.
type savedState struct {
	Height    int64                `json:"height"`
	Time      time.Time            `json:"time,omitzero"`
	Source    string               `json:"source"`
	Floor     int64                `json:"floor,omitempty"`
	Missing   map[string]absence   `json:"missing,omitempty"`
	Removed   map[string]time.Time `json:"removed,omitempty"`
	HeldSince time.Time            `json:"held_since,omitzero"`
	Claims    []Claim              `json:"claims,omitempty"`
}

// saved is what a store finds on disk.
type saved struct {
	base    baseline
	file    []byte         // the targets file, nil without one
	targets map[string]int // in it, by exporter
	warning error          // about a file that counts as absent

	owned map[slot]string // the addresses in the file of what contacts gave URLs for
}

// load reads the baseline. Without a targets file there is none, whatever the
// state says: removing the file starts anew. Files that can't be understood
// count as absent and are warned about.
func (s *store) load() (saved, error) {
	data, err := s.read(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return saved{}, nil
	}
	if err != nil {
		return saved{}, err
	}
	found := saved{file: data}
	if sum := maphash.Bytes(s.seed, data); s.parsed == nil || sum != s.sum {
		parsed, err := parseTargets(data, s.private)
		if errors.Is(err, errForeign) {
			return saved{}, fmt.Errorf("%s: %w", s.path, err)
		}
		if err != nil {
			found.warning = fmt.Errorf("%s: %w", s.path, err)
			return found, nil
		}
		s.parsed, s.sum = parsed, sum
	}
	found.base.Preps, found.targets = s.parsed.preps, s.parsed.targets
	if err := s.loadOwned(&found); err != nil {
		return saved{}, err
	}

	data, err = s.read(s.state)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return saved{}, err
	}
	var state savedState
	if err := json.Unmarshal(data, &state); err != nil {
		found.warning = fmt.Errorf("%s: %w", s.state, err)
		return found, nil
	}
	found.base.Height, found.base.Time, found.base.Source = state.Height, state.Time, state.Source
	found.base.Floor, found.base.Missing, found.base.Removed, found.base.HeldSince, found.base.Claims = state.Floor, state.Missing, state.Removed, state.HeldSince, state.Claims
	return found, nil
}

// saveState writes all of a baseline but its P-Reps.
func (s *store) saveState(b baseline) error {
	data, err := json.MarshalIndent(savedState{b.Height, b.Time, b.Source, b.Floor, b.Missing, b.Removed, b.HeldSince, b.Claims}, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if old, err := s.read(s.state); err == nil && string(old) == string(data) {
		return nil
	}
	return s.write(s.state, data)
}

// saveTargets writes a targets file, and remembers what is in it.
func (s *store) saveTargets(data []byte, content *targetsFile) error {
	if err := s.publish(s.path, data); err != nil {
		return err
	}
	s.parsed, s.sum = content, maphash.Bytes(s.seed, data)
	return nil
}

// write replaces a file so that at any moment, also after a power cut, there is
// either the old or the new one at its path, whole and readable by Prometheus:
//
//	open(".stoker/.<name><random>", O_CREAT|O_EXCL), fchmod(0644), write, fsync, close
//	rename(…, path)
//	open(folder), fsync, close
func (s *store) write(path string, data []byte) error {
	if s.memory != nil {
		s.memory[path] = data
		return nil
	}
	unfinished := filepath.Dir(s.state)
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return err
	}
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(unfinished), renameio.WithStaticPermissions(0o644))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
