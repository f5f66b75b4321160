package routing

import (
	"go/scanner"
	"io/fs"
	"maps"
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
	// Location is its time zone; empty if it named none.
	Location string
	// Methods are the contact methods, in the order of the file.
	Methods []MethodStatus
	// Routed says whether some version of the contact is in the configuration.
	Routed bool
	// Problems keep the file's current version out of it.
	Problems scanner.ErrorList
}

// A MethodStatus is a contact method without its address.
type MethodStatus struct {
	Name string `json:"name"`
	// Kind is what it is, such as email.
	Kind string `json:"kind"`
}

// Status returns what the last Sync and Generate found.
func (a *Agent) Status() Status { return *a.status.Load() }

// maxLogged is how many problems of a file are logged: one of 64 KiB can have thousands.
const maxLogged = 20

// report keeps what became of every contact, and logs what is new. A trial is no news before it has succeeded.
func (a *Agent) report(m *merge, rejected map[string]scanner.ErrorList, live fs.FS) {
	routed := map[string]candidate{}
	for _, c := range m.accepted {
		routed[c.stem] = c
	}
	last := a.Status().Contacts
	status := Status{Unavailable: a.Status().Unavailable}
	reasons := map[string]string{}
	add := func(file, stem string, problems scanner.ErrorList) {
		c, ok := routed[stem]
		s := ContactStatus{File: file, Stem: stem, Routed: ok, Problems: problems}
		if c.contact != nil {
			s.Kind, s.Name, s.Owners, s.Networks = c.contact.Kind, c.contact.Name, c.contact.Owners, c.contact.Networks
			s.Location = c.contact.location
			for _, method := range c.contact.methods {
				s.Methods = append(s.Methods, MethodStatus{method.name, method.kind})
			}
		}
		status.Contacts = append(status.Contacts, s)
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
		for i, p := range problems {
			if i == maxLogged {
				a.logger.Warn("and more problems, stoker check lists them", "file", file, "problems", len(problems))
				break
			}
			a.logger.Warn(consequence, "file", file, "err", p)
		}
	}
	for _, f := range a.files {
		if rejected[f.stem] == nil && a.tries(f, live) {
			if i := slices.IndexFunc(last, func(s ContactStatus) bool { return s.File == f.name }); i >= 0 {
				status.Contacts, reasons[f.name] = append(status.Contacts, last[i]), a.reasons[f.name]
				continue
			}
		}
		if rejected[f.stem] == nil {
			delete(a.zoned, f.stem)
		}
		add(f.name, f.stem, slices.Concat(f.problems, rejected[f.stem]))
	}
	if a.err != nil {
		for _, c := range m.accepted {
			add(c.stem+".yml", c.stem, nil)
		}
		for _, stem := range slices.Sorted(maps.Keys(rejected)) {
			add(stem+".yml", stem, rejected[stem])
		}
	}
	for file := range a.reasons {
		if reasons[file] == "" {
			a.logger.Info("contact no longer rejected", "file", file)
		}
	}
	a.reasons = reasons
	a.status.Store(&status)
}

// A collector turns the status into metrics when they are asked for.
type collector struct {
	agent                           *Agent
	contacts, rejected, unavailable *prometheus.Desc
}

func newCollector(a *Agent) *collector {
	return &collector{
		agent: a,
		contacts: prometheus.NewDesc("stoker_contacts",
			"Contacts by state: routed from their current file, or quarantined because of a problem in it.",
			[]string{"state"}, nil),
		rejected: prometheus.NewDesc("stoker_contact_rejected",
			"1 for each contact file that is rejected; routed says whether its last good version still is.",
			[]string{"file", "routed"}, nil),
		unavailable: prometheus.NewDesc("stoker_contacts_unavailable",
			"1 if the contacts folder is missing, unreadable or holds no contact, so that those of the live release stay.",
			nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.contacts
	ch <- c.rejected
	ch <- c.unavailable
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	status := c.agent.Status()
	quarantined, unavailable := 0, 0.0
	for _, contact := range status.Contacts {
		if contact.Problems.Len() > 0 {
			quarantined++
			gauge(c.rejected, 1, contact.File, strconv.FormatBool(contact.Routed))
		}
	}
	if status.Unavailable != "" {
		unavailable = 1
	}
	gauge(c.contacts, float64(len(status.Contacts)-quarantined), "routed")
	gauge(c.contacts, float64(quarantined), "quarantined")
	gauge(c.unavailable, unavailable)
}
