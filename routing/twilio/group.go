package twilio

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A group is the body of Alertmanager's webhook, as far as it is used.
type group struct {
	Version         string            `json:"version"`
	GroupKey        string            `json:"groupKey"`
	TruncatedAlerts int               `json:"truncatedAlerts"`
	CommonLabels    map[string]string `json:"commonLabels"`
	GroupLabels     map[string]string `json:"groupLabels"`
	Alerts          []alert           `json:"alerts"`
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	Fingerprint string            `json:"fingerprint"`
}

func (g *group) valid() error {
	switch {
	case g.Version != "4":
		return errors.New("webhook isn't of version 4")
	case g.GroupKey == "" || len(g.Alerts) == 0 || g.TruncatedAlerts < 0:
		return errors.New("webhook isn't about a group of alerts")
	}
	return nil
}

// count is how many alerts the group has, also those that Alertmanager has left out.
func (g *group) count() int { return len(g.Alerts) + g.TruncatedAlerts }

// firing returns the alerts that go on.
func (g *group) firing() []alert {
	return slices.DeleteFunc(slices.Clone(g.Alerts), func(a alert) bool { return a.Status == "resolved" })
}

// sum is the same for the same alerts in the same state. An alert that has ended and begun again is another.
func (g *group) sum() sum {
	lines := make([]string, len(g.Alerts))
	for i, a := range g.Alerts {
		lines[i] = fmt.Sprintf("%q %q %d", a.Fingerprint, a.Status, a.StartsAt.UnixNano())
	}
	slices.Sort(lines)
	return sha256.Sum256(fmt.Appendf(nil, "%q %d %q", g.GroupKey, g.TruncatedAlerts, lines))
}
