package reload

import (
	"net/url"
	"reflect"
	"slices"
	"strings"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
)

// redact takes what is secret out of a server's words about a release: the values that the sources took from the
// environment, and what the main file holds in places for passwords and tokens.
func (a *Agent) redact(release, words string) string {
	words = a.values.redactText(words)
	tree, err := a.shelf.read(release)
	if err != nil {
		return words
	}
	var secrets []string
	if guard(func() error { secrets = a.dialect.secrets(tree[a.dialect.main()]); return nil }) != nil {
		return words
	}
	// The longest first: one may be part of another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		if len(s) >= 4 { // Shorter ones would garble every message.
			words = strings.ReplaceAll(words, s, "<secret>")
		}
	}
	return words
}

func (prometheusFiles) secrets(data []byte) []string {
	cfg, err := promconfig.Load(string(data), promslog.NewNopLogger())
	if err != nil {
		return nil
	}
	return secretsOf(cfg)
}

func (alertmanagerFiles) secrets(data []byte) []string {
	cfg, err := amconfig.Load(string(data))
	if err != nil {
		return nil
	}
	return secretsOf(cfg)
}

// secretsOf returns the values of upstream's own secret types in a configuration: Secret, SecretURL, SecretTemplateURL.
// A URL is there as a whole and by the part behind the host, which is what is secret in it.
func secretsOf(cfg any) (found []string) {
	walkValues(reflect.ValueOf(cfg), func(v reflect.Value) {
		switch {
		case v.Kind() == reflect.String && strings.HasPrefix(v.Type().Name(), "Secret"):
			found = append(found, v.String())
			if u, err := url.Parse(v.String()); err == nil && u.Host != "" {
				found = append(found, u.RequestURI())
			}
		case v.Kind() == reflect.Pointer && v.Type().Elem().Name() == "SecretURL":
			if u, ok := v.Elem().FieldByName("URL").Interface().(*url.URL); ok && u != nil {
				found = append(found, u.String(), u.RequestURI())
			}
		}
	})
	return found
}
