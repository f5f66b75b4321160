package reload

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"sync/atomic"
)

// A trial is what a check found nothing to say about: templates, and texts that could be executed with them. Contacts
// come and go while templates stay, so the next check tries what is new. It doesn't change once it is remembered.
type trial struct {
	// sum is that of the templates and of what is known of the server that runs them.
	sum       [sha256.Size]byte
	templates *templates
	passed    map[sampleText]bool
}

// trials remembers the last trial of a server's releases. Nil remembers nothing: the files of a release that stays in
// place can be others by the time that they are loaded.
type trials struct{ last atomic.Pointer[trial] }

// of returns the last trial if it was one of the same templates, else nil.
func (t *trials) of(sum [sha256.Size]byte) *trial {
	if t == nil {
		return nil
	}
	if last := t.last.Load(); last != nil && last.sum == sum {
		return last
	}
	return nil
}

func (t *trials) remember(done *trial) {
	if t != nil {
		t.last.Store(done)
	}
}

// texts loads the templates of a release, unless the last check was of the same ones. It returns nil if there is a fault
// in them.
func (c *alertmanagerCheck) texts(patterns []string) *texts {
	sum := c.templatesSum(patterns)
	t := c.trials.of(sum)
	if t == nil {
		said := len(c.warnings)
		loaded := c.loadTemplates(patterns)
		if loaded == nil {
			return nil
		}
		loaded.ExternalURL = &url.URL{Scheme: "http", Host: "localhost"}
		t = &trial{sum: sum, templates: loaded}
		if len(c.warnings) > said {
			t.sum = [sha256.Size]byte{} // so that it is said again
		}
	}
	return &texts{alertmanagerCheck: c, trial: t, done: map[sampleText]bool{}, fields: yamlFields{}, paths: map[string]bool{}}
}

// templatesSum identifies the templates that absolute patterns match, in their order.
func (c *alertmanagerCheck) templatesSum(patterns []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", c.staged.facts.String())
	for _, pattern := range patterns {
		p := c.path(pattern)
		fmt.Fprintf(h, "%q\n", p)
		for _, file := range c.files.glob(p) {
			fmt.Fprintf(h, "%q %d\n", file, len(c.files[file]))
			h.Write(c.files[file])
		}
	}
	h.Sum(sum[:0])
	return sum
}
