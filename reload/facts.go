package reload

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// facts is what is known of the server that a release is for. The zero value knows nothing; a release is then
// judged as a server of the same version as our libraries would, with every feature switched on.
type facts struct {
	// version is the server's, such as "2.53.4"; "" if it isn't known.
	version string
	// features are those of --enable-feature; nil if they aren't known, empty if there are none.
	features []string
}

// String identifies the facts: a verdict that was reached under others may be another one now.
func (f facts) String() string {
	if f.features == nil {
		return f.version
	}
	return fmt.Sprintf("%s %s", f.version, strings.Join(f.features, ","))
}

// has reports whether the server has a feature switched on, or may have.
func (f facts) has(feature string) bool {
	return f.features == nil || slices.Contains(f.features, feature)
}

// factsOf returns what stoker.yml says of the server, and in place of that what the server says itself.
func (a *Agent) factsOf(said loaded) facts {
	f := facts{version: a.cfg.Version, features: a.cfg.EnableFeatures}
	if said.version != "" {
		f.version = said.version
	}
	if said.features != nil {
		f.features = said.features
	}
	return f
}

// features asks Prometheus for its --enable-feature flags (/api/v1/status/flags). Alertmanager has no such
// endpoint; where its features narrow what a file may say (classic-mode), it is left to the server to refuse it.
func (s *server) features(ctx context.Context) ([]string, error) {
	if s.name != (prometheusFiles{}).server() {
		return nil, nil
	}
	var flags struct {
		Data map[string]string `json:"data"`
	}
	if err := s.getJSON(ctx, &flags, "api", "v1", "status", "flags"); err != nil {
		return nil, err
	}
	features := []string{}
	for _, f := range strings.Split(flags.Data["enable-feature"], ",") {
		if f = strings.TrimSpace(f); f != "" {
			features = append(features, f)
		}
	}
	return features, nil
}
