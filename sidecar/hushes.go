package sidecar

import (
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
	s.hushes = s.add(agentHushes, keeper, keeper.Next)
	return nil
}

// hushed tells the agent that there is a new hush, which it would find by itself only half a minute later.
func (s *Sidecar) hushed() {
	if s.hushes != nil {
		s.hushes.poke()
	}
}
