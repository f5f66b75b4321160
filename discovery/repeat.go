package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A change is written twice, because Prometheus' file_sd can miss it once: when it
// starts, and when a reload brings it the job, it reads the files first and watches
// their folder then. What is renamed in between it finds with its refresh_interval.
// Where stoker and Prometheus start together, that is what can happen to the first
// targets, but a start of Prometheus can fall on any change. So each is followed by
// a second rename of the same bytes, which comes to a folder that is watched. To a
// Prometheus that knows them already they are no change.
//
//	a targets file changed                        due repeatAfter later
//	another change before that                    due repeatAfter after that one
//	found at a start, changed within rereadAfter  due repeatAfter after the start
//	found at a start, older                       not due
//
// The third line is for a process that ended before its second write: how far it
// had got isn't noted anywhere, and one write too many harms nobody.

// repeatAfter is how long after a change a targets file is written again. Between
// Prometheus' look and its watch are milliseconds, or what a busy machine makes of
// them: nothing there waits for a network. To people it is still at once.
const repeatAfter = 10 * time.Second

// rereadAfter is file_sd's refresh_interval, unless its user says otherwise: what a
// Prometheus has missed for longer than that, it has found.
const rereadAfter = 5 * time.Minute

// publish replaces a targets file, which is due again from then on.
func (s *store) publish(path string, data []byte) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	if err := s.write(path, data); err != nil {
		return err
	}
	if s.memory == nil {
		s.again[path] = time.Now().Add(repeatAfter)
	}
	return nil
}

// withdraw removes a targets file.
func (s *store) withdraw(path string) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	delete(s.again, path)
	return os.Remove(path)
}

// resume makes those targets files due that a process before this one may have
// written only once.
func (s *store) resume(now time.Time) {
	for _, path := range []string{s.path, s.ownedPath()} {
		// Of the future is a file, too, that was written before the clock was set.
		if info, err := os.Stat(path); err == nil && now.Sub(info.ModTime()) < rereadAfter {
			s.again[path] = now.Add(repeatAfter)
		}
	}
}

// repeat writes the targets files again that are due at now, with what is in them
// by then. One that is gone stays so.
func (s *store) repeat(now time.Time) (written bool, err error) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	for path, due := range s.again {
		if due.After(now) {
			continue
		}
		data, oneErr := os.ReadFile(path)
		if oneErr == nil {
			oneErr = s.write(path, data)
		}
		switch {
		case oneErr == nil:
			delete(s.again, path)
			written = true
		case errors.Is(oneErr, fs.ErrNotExist):
			delete(s.again, path)
		default:
			err = errors.Join(err, oneErr)
		}
	}
	return written, err
}

// Repeat writes targets files a second time that have changed lately, as far as
// they are due at now: file_sd can miss the first time. It asks no network, waits
// for no Sync, and reports whether it wrote one.
func (a *Agent) Repeat(now time.Time) (written bool, err error) {
	for _, n := range a.networks {
		one, oneErr := n.store.repeat(now)
		if oneErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", n.name, oneErr))
		}
		written = written || one
	}
	return written, err
}

// NextRepeat is when the next targets file is due to be written a second time.
// Zero: none is.
func (a *Agent) NextRepeat() (next time.Time) {
	for _, n := range a.networks {
		n.store.publishing.Lock()
		for _, due := range n.store.again {
			if next.IsZero() || due.Before(next) {
				next = due
			}
		}
		n.store.publishing.Unlock()
	}
	return next
}
