package silencing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// Hold remembers that a person ended the silence of an occurrence early.
// Alertmanager does that too, but only for its --data.retention, and not through
// a crash.
type Hold struct {
	// Hash is the one in the silence's mark: with other matchers or times the
	// rule is another one, and nothing is held.
	Hash string `json:"hash"`

	// IDs are of the silences that were ended, the latest at the end. One of
	// them that runs again was brought back by a crash, because Alertmanager
	// gives a silence that somebody makes again another ID.
	IDs []string `json:"ids"`
}

// maxHeldIDs bounds the memory of somebody who makes a silence again and again
// and ends it again and again.
const maxHeldIDs = 32

func (h Hold) equal(o Hold) bool { return h.Hash == o.Hash && slices.Equal(h.IDs, o.IDs) }

// with returns the hold with the silences of its occurrence that have been ended
// by a person.
func (h Hold) with(hash string, all []owned) Hold {
	ids := slices.Clone(h.IDs)
	for _, o := range all {
		if !o.live() && o.mark.ended == "" && o.mark.hash == hash && !slices.Contains(ids, o.ID) {
			ids = append(ids, o.ID)
		}
	}
	return Hold{Hash: hash, IDs: ids[max(0, len(ids)-maxHeldIDs):]}
}

// state remembers holds in a file; without one it remembers nothing, so that what
// a pass does never depends on how long this process has been running. It is
// bounded by what silences.yaml asks for, because every pass replaces it by what
// is held then.
type state struct {
	file  string
	holds map[string]Hold // by rule@occurrence

	known bool // whether the file has been read
	dirty bool // whether it holds something else
}

// newState returns the state of an owner in a folder, "" for none.
func newState(dir, owner string) *state {
	if dir == "" {
		return &state{}
	}
	return &state{file: filepath.Join(dir, "silences-"+owner+".json"), holds: make(map[string]Hold)}
}

// stateFile is what is written, by rule@occurrence.
type stateFile struct {
	Holds map[string]Hold `json:"holds"`
}

// load reads once what was remembered before the start: nothing if there is no
// file yet, or, which is the error, if it can't be used.
func (s *state) load() error {
	if s.file == "" || s.known {
		return nil
	}
	s.known = true
	data, err := read(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s.dirty = true // until it has turned out to be sound
	if err != nil {
		return err
	}
	var f stateFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	for key, h := range f.Holds {
		if h.Hash == "" || len(h.IDs) > maxHeldIDs {
			return fmt.Errorf("%s: the entry of %q is not one of stoker's", s.file, key)
		}
	}
	s.dirty = false
	if f.Holds != nil {
		s.holds = f.Holds
	}
	return nil
}

// remember takes the holds in the place of all before.
func (s *state) remember(holds map[string]Hold) {
	if s.file == "" || maps.EqualFunc(holds, s.holds, Hold.equal) {
		return
	}
	s.holds, s.dirty = holds, true
}

// save writes what isn't in the file yet.
func (s *state) save() error {
	if !s.dirty {
		return nil
	}
	data, err := json.MarshalIndent(stateFile{s.holds}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(s.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// IDs and names are nobody's secret, but nobody else's business either.
	f, err := renameio.NewPendingFile(s.file, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(append(data, '\n')); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil { // or a power cut undoes the rename
		return err
	}
	s.dirty = false
	return nil
}
