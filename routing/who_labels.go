package routing

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// The bounds of a question, far beyond what alerts have.
const (
	maxLabels    = 100
	maxLabelSize = 4 << 10
)

// ParseLabels reads the labels of an alert, each as LABEL=VALUE; the value may be in double quotes. An empty value is no
// label, as for Alertmanager.
func ParseLabels(pairs []string) (model.LabelSet, error) {
	if len(pairs) > maxLabels {
		return nil, fmt.Errorf("more than %d labels", maxLabels)
	}
	labels := model.LabelSet{}
	for _, p := range pairs {
		if len(p) > maxLabelSize {
			return nil, fmt.Errorf("label %q… is longer than %d bytes", p[:20], maxLabelSize)
		}
		name, value, ok := strings.Cut(p, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok && model.LegacyValidation.IsValidLabelName(p):
			return nil, fmt.Errorf("%q must be LABEL=VALUE, did you mean alertname=%s?", p, p)
		case !ok:
			return nil, fmt.Errorf("%q must be LABEL=VALUE", p)
		case strings.HasSuffix(name, "!") || strings.HasPrefix(value, "~"):
			return nil, fmt.Errorf("%q is a matcher: say what the alert's label is, as in severity=critical", p)
		case !model.UTF8Validation.IsValidLabelName(name):
			return nil, fmt.Errorf("%q is not the name of a label", name)
		}
		if unquoted, err := strconv.Unquote(value); err == nil && strings.HasPrefix(value, `"`) {
			value = unquoted
		}
		if !model.LabelValue(value).IsValid() {
			return nil, fmt.Errorf("the value of label %q is not UTF-8", name)
		}
		if other, twice := labels[model.LabelName(name)]; twice {
			return nil, fmt.Errorf("label %q is given twice, as %q and %q", name, other, value)
		}
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	for name, value := range labels {
		if value == "" {
			delete(labels, name)
		}
	}
	return labels, nil
}
