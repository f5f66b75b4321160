package routing

import (
	"bytes"
	"fmt"
	"go/scanner"
	"io/fs"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// refusedZone is all that an Alertmanager says of a configuration with a time zone that isn't in its host's database: the
// words of [time.LoadLocation] behind its own, from 0.27 to 0.34, with ZONEINFO and without. It names the first one only.
var refusedZone = regexp.MustCompile(`^failed to reload config: unknown time zone (\S+)$`)

// unknownZones returns the time zones for which Alertmanager refused releases. One that the base uses, too, is left out:
// without the contacts it would be refused all the same.
func (b *base) unknownZones(refusals []string) map[string]bool {
	unknown := map[string]bool{}
	for _, words := range refusals {
		if m := refusedZone.FindStringSubmatch(words); m != nil {
			unknown[m[1]] = true
		}
	}
	for _, intervals := range hoursOf(b.config) {
		for _, i := range intervals {
			if i.Location != nil {
				delete(unknown, i.Location.String())
			}
		}
	}
	return unknown
}

// zoneOf returns the time zone of a contact's intervals, "" if it has none.
func zoneOf(intervals []*yaml.Node) string {
	for _, i := range intervals {
		for _, t := range get(i, "time_intervals").Content {
			return get(t, "location").Value
		}
	}
	return ""
}

// zoneProblem says that Alertmanager doesn't know a candidate's time zone.
func (c candidate) zoneProblem() scanner.ErrorList {
	msg := fmt.Sprintf("Alertmanager doesn't know the time zone %s: update the time zone data (tzdata) where it runs, or use a location with the same clock that it knows", c.fragment.zone)
	if c.contact == nil {
		return scanner.ErrorList{noPosition(c.fragment.file, msg)}
	}
	return scanner.ErrorList{{Pos: c.contact.locationAt, Msg: msg}}
}

// tries reports whether a release that is being made has a contact that was rejected for its time zone until now, as it is.
// That is known to be right when the release is live.
func (a *Agent) tries(f contactFile, live fs.FS) bool {
	if sum, ok := a.zoned[f.stem]; !ok || f.contact == nil || f.contact.sum != sum {
		return false
	}
	if live == nil {
		return true
	}
	source, err := fs.ReadFile(live, contactsFolder+"/"+f.stem+".yml")
	return err != nil || !bytes.Equal(source, f.source)
}
