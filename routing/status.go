package routing

import (
	"go/scanner"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// A Status is what an Agent knows about the contacts, without their addresses.
type Status struct {
	// Unavailable says why the contacts folder can't be used; empty if it can.
	Unavailable string
	// Contacts are those of the folder by file, or those of the live release if it is unavailable.
	Contacts []ContactStatus
}

// A ContactStatus is what became of one contact file.
type ContactStatus struct {
	// File is the path below the contacts folder.
	File string
	Stem string
	// Kind, Name, Owners and Networks are those of the version that is routed, as far as known.
	Kind, Name       string
	Owners, Networks []string
	// Methods are the names of the contact methods.
	Methods []string
	// Routed says whether some version of the contact is in the configuration.
	Routed bool
	// Problems keep the file's current version out of it.
	Problems scanner.ErrorList
}

// Status returns what the last Sync and Generate found.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.status
	s.Contacts = slices.Clone(s.Contacts)
	return s
}

// report keeps what became of every contact, and logs what is new.
func (a *Agent) report(m *merge, rejected map[string]scanner.ErrorList) {
	routed := map[string]candidate{}
	for _, c := range m.accepted {
		routed[c.stem] = c
	}
	a.status.Contacts = nil
	reasons := map[string]string{}
	add := func(file, stem string, problems scanner.ErrorList) {
		c, ok := routed[stem]
		s := ContactStatus{File: file, Stem: stem, Routed: ok, Problems: problems}
		if c.contact != nil {
			s.Kind, s.Name, s.Owners, s.Networks = c.contact.Kind, c.contact.Name, c.contact.Owners, c.contact.Networks
			for _, method := range c.contact.methods {
				s.Methods = append(s.Methods, method.name)
			}
		}
		a.status.Contacts = append(a.status.Contacts, s)
		if problems.Len() == 0 {
			return
		}
		reasons[file] = problems.Error()
		if a.reasons[file] == reasons[file] {
			return
		}
		consequence := "contact rejected, keeping its last good version"
		if !ok {
			consequence = "contact rejected, its alerts reach nobody but the receivers of the base"
		}
		for _, p := range problems {
			a.logger.Warn(consequence, "file", file, "err", p)
		}
	}
	for _, f := range a.files {
		add(f.name, f.stem, slices.Concat(f.problems, rejected[f.stem]))
	}
	if a.err != nil {
		for _, c := range m.accepted {
			add(c.stem+".yml", c.stem, nil)
		}
	}
	for file := range a.reasons {
		if reasons[file] == "" {
			a.logger.Info("contact no longer rejected", "file", file)
		}
	}
	a.reasons = reasons
}

// A collector turns the status into metrics when they are asked for.
type collector struct{ agent *Agent }

func contactsDesc() *prometheus.Desc {
	return prometheus.NewDesc("stoker_contacts",
		"Contacts by state: routed from their current file, or quarantined because of a problem in it.",
		[]string{"state"}, nil)
}

func rejectedDesc() *prometheus.Desc {
	return prometheus.NewDesc("stoker_contact_rejected",
		"1 for each contact file that is rejected; routed says whether its last good version still is.",
		[]string{"file", "routed"}, nil)
}

func unavailableDesc() *prometheus.Desc {
	return prometheus.NewDesc("stoker_contacts_unavailable",
		"1 if the contacts folder is missing, unreadable or holds no contact, so that those of the live release stay.",
		nil, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- contactsDesc()
	ch <- rejectedDesc()
	ch <- unavailableDesc()
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.agent.Status()
	routed, quarantined, unavailable := 0, 0, 0
	for _, contact := range s.Contacts {
		if contact.Problems.Len() == 0 {
			routed++
			continue
		}
		quarantined++
		ch <- prometheus.MustNewConstMetric(rejectedDesc(), prometheus.GaugeValue, 1, contact.File, strconv.FormatBool(contact.Routed))
	}
	if s.Unavailable != "" {
		unavailable = 1
	}
	ch <- prometheus.MustNewConstMetric(contactsDesc(), prometheus.GaugeValue, float64(routed), "routed")
	ch <- prometheus.MustNewConstMetric(contactsDesc(), prometheus.GaugeValue, float64(quarantined), "quarantined")
	ch <- prometheus.MustNewConstMetric(unavailableDesc(), prometheus.GaugeValue, float64(unavailable))
}
