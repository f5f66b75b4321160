package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stoker-project/stoker/internal/secret"
)

// Whatever prints a secret, or what holds one, doesn't give it away.
func TestDoesNotPrint(t *testing.T) {
	type holder struct {
		Password secret.Text
		hidden   secret.Text
		Pointer  *secret.Text
	}
	s := secret.New("hunter2")
	h := holder{s, s, &s}
	var printed strings.Builder
	for _, v := range []any{s, &s, h, &h, []secret.Text{s}, map[string]any{"a": s, "b": h}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
		j, err := json.Marshal(v)
		y, err2 := yaml.Marshal(v)
		if err := errors.Join(err, err2); err != nil {
			t.Error(err)
		}
		printed.Write(append(j, y...))
		for _, logger := range []*slog.Logger{
			slog.New(slog.NewTextHandler(&printed, nil)), slog.New(slog.NewJSONHandler(&printed, nil)),
		} {
			logger.Info("message", "value", v)
		}
		fmt.Fprintln(&printed, fmt.Errorf("with %v: %w", v, errors.New("cause")))
	}
	for _, text := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if strings.Contains(printed.String(), text) {
			t.Errorf("prints %s:\n%s", text, printed.String())
		}
	}
	if !bytes.Contains([]byte(printed.String()), []byte("<secret>")) {
		t.Error("doesn't say that there is a secret")
	}
	if s.Reveal() != "hunter2" || !s.Known() {
		t.Error("the secret is lost")
	}
	if none := (secret.Text{}); none.Known() || none.Reveal() != "" {
		t.Error("nothing is something")
	}
}
