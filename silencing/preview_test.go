package silencing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// describePreview puts a preview's steps into words, in no particular order.
func describePreview(p Preview) (steps []string) {
	for _, s := range p.Steps {
		verb := "edit"
		switch {
		case s.Before == nil:
			verb = "create"
		case s.After == nil:
			verb = "end"
		case s.Reason != "":
			verb = "replace"
		}
		steps = append(steps, strings.TrimSpace(verb+" "+s.Key+" "+s.Reason))
	}
	for _, o := range p.Held {
		steps = append(steps, "held "+o.Key())
	}
	for _, s := range p.Disowned {
		steps = append(steps, "disowned by "+s.CreatedBy)
	}
	slices.Sort(steps)
	return steps
}

// A preview writes nothing and says what the next pass does, step for step; after that pass it says nothing.
func TestPreview(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		for _, c := range []struct {
			what string
			do   func()
			want string
			// stay are steps that are nothing to be done, and so are there again after the pass
			stay string
		}{
			{"new rules", func() { h.write(threeRules) }, "create disk@once, create flapping@once, create upgrade@once", ""},
			{"later end", func() { h.write(strings.Replace(threeRules, "ends_at: {2}", "ends_at: {4}", 1)) }, "edit disk@once", ""},
			{"other matchers", func() { h.write(strings.Replace(threeRules, "node-0[12]", "node-0[123]", 1)) }, "replace disk@once replaced", ""},
			{"a copy by hand", func() {
				again := h.one("flapping", "active")
				again.ID = ""
				h.personPosts(again)
				again.CreatedBy = "bo"
				h.personPosts(again)
			}, "disowned by bo, end flapping@once duplicate", "disowned by bo"},
			{"an early end by hand", func() { h.person("DELETE", "silence/"+h.one("disk", "active").ID, nil) }, "disowned by bo, held disk@once", "disowned by bo, held disk@once"},
			{"no rules", func() { h.write("silences: []\n") }, "disowned by bo, end flapping@once removed, end upgrade@once removed", "disowned by bo"},
		} {
			c.do()
			h.restart()
			all := func() string { // 0.27 lists them in any order
				list := h.list()
				slices.SortFunc(list, func(a, b Silence) int { return strings.Compare(a.ID, b.ID) })
				return fmt.Sprint(list)
			}
			before := all()
			h.wire.writes = nil
			p, err := h.agent.Preview(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			if got := strings.Join(describePreview(p), ", "); got != c.want {
				t.Errorf("%s: %s, want %s", c.what, got, c.want)
			}
			if len(h.wire.writes) > 0 || all() != before {
				t.Errorf("%s: a preview wrote %q", c.what, h.wire.writes)
			}
			for _, s := range p.Steps {
				for _, silence := range []*Silence{s.Before, s.After} {
					if silence != nil && strings.Contains(silence.Comment, markOpen) {
						t.Errorf("%s: the comment has the mark: %q", c.what, silence.Comment)
					}
				}
			}
			h.restart()
			writes := h.sync()
			// An end is two requests, the reason and the expiry.
			ends := 0
			for _, s := range p.Steps {
				if s.After == nil || s.Reason != "" {
					ends++
				}
			}
			posts := len(p.Steps)
			for _, s := range p.Steps {
				if s.After != nil && s.Reason != "" {
					posts++
				}
			}
			if len(writes) != posts+ends {
				t.Errorf("%s: %d steps became %q", c.what, len(p.Steps), writes)
			}
			h.restart()
			if p, err = h.agent.Preview(t.Context()); err != nil || strings.Join(describePreview(p), ", ") != c.stay {
				t.Errorf("%s: after a pass there is still %q, %v", c.what, describePreview(p), err)
			}
		}
	})
}

// Without a list of silences, or with a broken file, nothing is known.
func TestPreviewUnknown(t *testing.T) {
	h := newHouse(t, "alertmanager")
	h.write("silences:\n- name: x\n")
	if _, err := h.agent.Preview(t.Context()); err == nil || !strings.Contains(err.Error(), "silences.yaml:2:3: ") {
		t.Errorf("with a broken file: %v", err)
	}
	h.write(threeRules)
	h.server.Stop()
	h.restart()
	if p, err := h.agent.Preview(t.Context()); err == nil || len(p.Steps) > 0 {
		t.Errorf("without a server: %v, %v", describePreview(p), err)
	}
}
