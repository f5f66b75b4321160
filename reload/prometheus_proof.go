package reload

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// prometheusNames is what of a configuration Prometheus can be asked about: the names of the scrape jobs in
// the main file and of the rule groups, with the base name of their file. Its printed YAML is no measure,
// because each version prints its own.
type prometheusNames struct {
	jobs, groups map[string]bool
}

type mainFile struct {
	ScrapeConfigs []struct {
		JobName string `yaml:"job_name"`
	} `yaml:"scrape_configs"`
	RuleFiles []string `yaml:"rule_files"`
}

type ruleFile struct {
	Groups []struct {
		Name string `yaml:"name"`
	} `yaml:"groups"`
}

func (m mainFile) jobs() map[string]bool {
	jobs := map[string]bool{}
	for _, c := range m.ScrapeConfigs {
		jobs[c.JobName] = true
	}
	return jobs
}

// wanted reads the names from a checked release.
func wanted(tree Tree) (prometheusNames, error) {
	var main mainFile
	if err := yaml.Unmarshal(tree[(prometheusFiles{}).main()], &main); err != nil {
		return prometheusNames{}, err
	}
	names := prometheusNames{jobs: main.jobs(), groups: map[string]bool{}}
	for _, pattern := range main.RuleFiles {
		for _, p := range tree.glob(path.Clean(pattern)) {
			var rules ruleFile
			if err := yaml.Unmarshal(tree[p], &rules); err != nil {
				return prometheusNames{}, err
			}
			for _, g := range rules.Groups {
				names.groups[path.Base(p)+": "+g.Name] = true
			}
		}
	}
	return names, nil
}

// running asks Prometheus for the names (/api/v1/status/config and /api/v1/rules).
func running(ctx context.Context, s *server) (prometheusNames, error) {
	var config struct {
		Data struct {
			YAML string `json:"yaml"`
		} `json:"data"`
	}
	if err := s.getJSON(ctx, &config, "api", "v1", "status", "config"); err != nil {
		return prometheusNames{}, err
	}
	var main mainFile
	if err := yaml.Unmarshal([]byte(config.Data.YAML), &main); err != nil {
		return prometheusNames{}, fmt.Errorf("GET /api/v1/status/config: %w", err)
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Name string `json:"name"`
				File string `json:"file"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := s.getJSON(ctx, &rules, "api", "v1", "rules"); err != nil {
		return prometheusNames{}, err
	}
	names := prometheusNames{jobs: main.jobs(), groups: map[string]bool{}}
	for _, g := range rules.Data.Groups {
		names.groups[path.Base(g.File)+": "+g.Name] = true
	}
	return names, nil
}

func (s *server) getJSON(ctx context.Context, into any, path ...string) error {
	body, _, err := s.do(ctx, http.MethodGet, path...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET /%s: %w", strings.Join(path, "/"), err)
	}
	return nil
}

func (prometheusFiles) difference(ctx context.Context, s *server, _ loaded, tree Tree) (string, error) {
	want, err := wanted(tree)
	if err != nil {
		return "", err
	}
	have, err := running(ctx, s)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, d := range []string{
		setDifference("scrape jobs", want.jobs, have.jobs),
		setDifference("rule groups", want.groups, have.groups),
	} {
		if d != "" {
			parts = append(parts, d)
		}
	}
	return strings.Join(parts, "; "), nil
}
