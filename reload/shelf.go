package reload

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// shelf is where an agent keeps the releases that it accepted: an output_dir that the server reads, or, where the
// files stay where they are, only the memory of what they held.
type shelf interface {
	// current returns the release that a link names, "" if there is none.
	current(link string) string
	// read returns the files of a release.
	read(release string) (Tree, error)
	// accept makes a candidate the live release if judge, which is given the folder of its files, has no
	// objection. An objection is returned as it is.
	accept(c *candidate, release string, judge func(dir string) error) error
	// point makes a link name a release. It is an error if that release can't be brought back.
	point(link, release string) error
	// stands reports whether the live release was proved after the live link was last made to name it.
	stands() bool
	// moved is when the live link was last made to name a release; zero if nobody knows.
	moved() time.Time
	// remember keeps what the next process has to know of a reload, nil when it is over; recall returns it.
	remember(p *posted) error
	recall() *posted
	// tidy removes what is no longer needed.
	tidy() error
}

// accept writes the candidate to disk, has it judged there, and makes it live.
func (s *store) accept(c *candidate, release string, judge func(dir string) error) error {
	stage, err := s.stage(c.tree)
	if err != nil {
		return err
	}
	if err := judge(stage); err != nil {
		return errors.Join(err, s.remove(stage))
	}
	if err := s.commit(stage, release); err != nil {
		return err
	}
	return s.point(liveLink, release)
}

func (s *store) read(release string) (Tree, error) { return readTree(s.path(release)) }

func (s *store) tidy() error { return s.prune() }

// live returns the files of the live release, or nil if there is none.
func (s *store) live() fs.FS {
	release := s.current(liveLink)
	if release == "" {
		return nil
	}
	return os.DirFS(s.path(release))
}
