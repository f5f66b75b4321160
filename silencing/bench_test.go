package silencing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkSteadyPass compares a pass that finds all as it should be, with 1,000
// rules among 4,000 silences of others, to decoding the same answer.
func BenchmarkSteadyPass(b *testing.B) {
	now := time.Now().UTC().Truncate(time.Second)
	var text strings.Builder
	text.WriteString("silences:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "- name: rule-%d\n  matchers: ['instance=\"node-%d:9100\"', 'alertname=~\"Disk.+\"', 'severity=\"warning\"']\n  comment: planned work on a machine\n", i, i)
		if i%2 == 0 {
			fmt.Fprintf(&text, "  starts_at: %s\n  duration: 3d\n", now.Add(-time.Hour).Format(time.RFC3339))
		} else {
			fmt.Fprintf(&text, "  schedule: \"0 %d * * *\"\n  location: Europe/Berlin\n  duration: 23h\n  ends_at: %s\n", i%24, now.AddDate(0, 6, 0).Format(time.RFC3339))
		}
	}
	file := filepath.Join(b.TempDir(), "silences.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	rules, err := Load(file, now)
	if err != nil {
		b.Fatal(err)
	}
	var list []Silence
	for _, s := range withState(Desired(rules, now), now) {
		list = append(list, s)
		for range 4 {
			s.CreatedBy, s.Comment = "alice", "rebooting the machine, back in a moment, see OPS-1234"
			list = append(list, s)
		}
	}
	answer, err := json.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}

	b.Run("pass", func(b *testing.B) {
		agent, err := New(Config{File: file, Owner: owner}, Options{
			AlertmanagerURL: &url.URL{Scheme: "http", Host: "a"},
			Client: &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
				body := answer
				switch {
				case strings.HasSuffix(req.URL.Path, "/status"):
					body = []byte(`{"cluster": {"status": "disabled"}}`)
				case req.Method != http.MethodGet:
					return nil, fmt.Errorf("%s in a steady pass", req.Method)
				}
				return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body))}, nil
			})},
		})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := agent.Sync(b.Context()); err != nil { // reads the file, once
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := agent.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			var list []Silence
			if err := json.Unmarshal(answer, &list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, err := Load(file, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
