package sidecar

import (
	"context"
	"errors"

	"github.com/stoker-project/stoker/silencing"
)

// addHushes adds the agent that keeps hushes until resolved. It goes with Alertmanager, whether the page that hushes is
// served here or not: stoker ack needs it too.
func (s *Sidecar) addHushes(selected map[string]bool) error {
	if s.options.PublishOnly || !selected[agentAlertmanager] && !selected[agentSilencing] {
		return nil
	}
	o, err := silencingOptions(s.cfg)
	if err != nil {
		return err
	}
	o.Logger, o.Registerer = s.logger.With("agent", agentHushes), s.registry
	keeper, err := silencing.NewKeeper(o)
	if err != nil {
		return err
	}
	links := s.links
	if !selected[agentAlertmanager] {
		links = nil // somebody else writes them, and serves the page
	}
	s.hushes = s.add(agentHushes, keptHushes{keeper, links}, keeper.Next)
	return nil
}

// keptHushes is the agent that keeps hushes. It fails, too, while the page can't be used because of its key: contacts are
// told all the same, so that nobody else would say so.
type keptHushes struct {
	*silencing.Keeper
	links *hushLinks
}

func (k keptHushes) Sync(ctx context.Context) (changed bool, err error) {
	changed, err = k.Keeper.Sync(ctx)
	return changed, errors.Join(err, k.links.ready())
}

// hushed tells the agent that there is a new hush, which it would find by itself only half a minute later.
func (s *Sidecar) hushed() {
	if s.hushes != nil {
		s.hushes.poke()
	}
}
