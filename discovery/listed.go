package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Listed are the P-Reps that a file knows.
type Listed struct {
	// Network is what the file says whose they are; "" if it doesn't.
	Network string
	// PReps are their names by their addresses.
	PReps map[string]string
}

// ReadListed reads who is in a file: a targets file, or any file_sd in JSON whose groups have this label, or a recorded
// answer of getPReps, which is about addresses whatever the label.
func ReadListed(data []byte, label string) (Listed, error) {
	l := Listed{PReps: map[string]string{}}
	var groups []struct {
		Labels map[string]string `json:"labels"`
	}
	if json.Unmarshal(data, &groups) == nil {
		for _, g := range groups {
			if who := g.Labels[label]; who != "" {
				l.PReps[who] = sanitize(g.Labels[labelPrepName], maxText)
				l.Network = g.Labels[labelNetwork]
			}
		}
		if len(l.PReps) == 0 && len(groups) > 0 {
			return l, fmt.Errorf("no target group has the label %q", label)
		}
		return l, nil
	}
	var answer struct {
		page
		Result page `json:"result"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return l, fmt.Errorf("neither a targets file nor an answer of getPReps: %w", err)
	}
	for _, r := range append(answer.Preps, answer.Result.Preps...) {
		if isAddress(r.Address) {
			l.PReps[r.Address] = sanitize(r.Name, maxText)
		}
	}
	if len(l.PReps) == 0 {
		return l, errors.New("neither a targets file nor an answer of getPReps: no P-Rep is in it")
	}
	return l, nil
}
