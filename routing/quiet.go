package routing

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/strictyaml"
)

// Quiet hours are the times of the week in which a contact is not told, except about severities that
// bypass them. In the file a range may cross midnight; it then belongs to the day it begins on.
type quietHours struct {
	name   string
	key    *yaml.Node
	times  []timeRange
	days   [7]bool // sunday first, as Alertmanager counts them
	bypass []string
}

// A timeRange is in minutes of the day, without its end. An end at or before the start is on the next day.
type timeRange struct{ start, end int }

const day = 24 * 60 // minutes

var timesPattern = regexp.MustCompile(`^([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})$`)

func (c *contactReader) readQuietHours(n *yaml.Node) {
	for key, value := range c.named(n, `night: { times: "22:00-07:00" }`) {
		if !c.isName(key) {
			continue
		}
		q := quietHours{name: key.Value, key: key, days: [7]bool{true, true, true, true, true, true, true}}
		var at map[string]*yaml.Node
		c.within(key.Value, func() {
			at = c.object(value,
				field{"times", func(n *yaml.Node) {
					for _, item := range c.listOrOne(n) {
						q.times = append(q.times, c.timeRange(item))
					}
				}},
				field{"weekdays", func(n *yaml.Node) {
					q.days = [7]bool{}
					for _, item := range c.listOrOne(n) {
						c.weekdays(item, &q.days)
					}
				}},
				field{"bypass", func(n *yaml.Node) {
					for _, item := range c.list(n) {
						q.bypass = append(q.bypass, c.oneOf(item, "severity", c.site.Severities))
					}
				}})
		})
		c.need(value, at, "times", `such as "22:00-07:00"`)
		c.contact.quietHours = append(c.contact.quietHours, q)
	}
}

func (c *contactReader) timeRange(n *yaml.Node) timeRange {
	c.says(n, "pattern", timesPattern.String())
	s := c.text(n)
	if s == "" {
		return timeRange{}
	}
	m := timesPattern.FindStringSubmatch(s)
	if m == nil {
		c.fail(n, `%q must be two times of day such as "22:00-07:00"`, s)
		return timeRange{}
	}
	minutes := func(hour, minute string) int {
		h, _ := strconv.Atoi(hour)
		m, _ := strconv.Atoi(minute)
		if h > 24 || m > 59 || h == 24 && m > 0 {
			c.fail(n, "%s:%s is not a time of day", hour, minute)
		}
		return h*60 + m
	}
	t := timeRange{minutes(m[1], m[2]), minutes(m[3], m[4])}
	switch {
	case t.start == t.end:
		c.fail(n, `%q begins where it ends, a whole day is "00:00-24:00"`, s)
	case t.start == day:
		c.fail(n, "%q begins at the end of the day, write 00:00", s)
	case t.end == 0:
		t.end = day
	}
	return t
}

var dayNames = [7]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

var weekdaysPattern = func() string {
	name := "(" + strings.Join(dayNames[:], "|") + ")"
	return "^" + name + "(:" + name + ")?$"
}()

// weekdays adds a day or a range of days, which may run over the end of the week.
func (c *contactReader) weekdays(n *yaml.Node, days *[7]bool) {
	c.says(n, "pattern", weekdaysPattern)
	s := c.text(n)
	if s == "" {
		return
	}
	first, last, ranged := strings.Cut(s, ":")
	from := c.weekday(n, first)
	to := from
	if ranged {
		to = c.weekday(n, last)
	}
	if from < 0 || to < 0 {
		return
	}
	for d := from; ; d = (d + 1) % 7 {
		days[d] = true
		if d == to {
			return
		}
	}
}

func (c *contactReader) weekday(n *yaml.Node, name string) int {
	i := slices.Index(dayNames[:], name)
	if i < 0 {
		hint := strictyaml.DidYouMean(name, dayNames[:])
		if strictyaml.Nearest(name, dayNames[:]) == "" {
			hint += "; several are monday:friday"
		}
		c.fail(n, "weekday %q not known%s", name, hint)
	}
	return i
}

// interval returns q as one of Alertmanager's time intervals. Alertmanager knows no range over midnight:
// its second half is written as the next day's morning.
func (q *quietHours) interval(name, location string) *yaml.Node {
	var sameDay, nextDay []*yaml.Node
	add := func(to *[]*yaml.Node, start, end int) {
		*to = append(*to, object("start_time", timeOfDay(start), "end_time", timeOfDay(end)))
	}
	for _, t := range q.times {
		if t.start < t.end {
			add(&sameDay, t.start, t.end)
			continue
		}
		add(&sameDay, t.start, day)
		add(&nextDay, 0, t.end)
	}
	var tomorrow [7]bool
	for d := range q.days {
		tomorrow[(d+1)%7] = q.days[d]
	}
	intervals := []*yaml.Node{weekly(sameDay, q.days, location)}
	if len(nextDay) > 0 {
		intervals = append(intervals, weekly(nextDay, tomorrow, location))
	}
	return object("name", word(name), "time_intervals", list(intervals...))
}

func weekly(times []*yaml.Node, days [7]bool, location string) *yaml.Node {
	var ranges []*yaml.Node
	for d := 0; d < len(days); d++ {
		if !days[d] {
			continue
		}
		first := d
		for d+1 < len(days) && days[d+1] {
			d++
		}
		name := dayNames[first]
		if d > first {
			name += ":" + dayNames[d]
		}
		ranges = append(ranges, text(name))
	}
	return object("times", list(times...), "weekdays", list(ranges...), "location", text(location))
}

func timeOfDay(minutes int) *yaml.Node {
	h, m := byte(minutes/60), byte(minutes%60)
	return text(string([]byte{'0' + h/10, '0' + h%10, ':', '0' + m/10, '0' + m%10}))
}
