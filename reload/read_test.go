package reload_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stoker-project/stoker/reload"
)

// Only regular files of a reasonable size are read: a pipe doesn't hold up the pass, and a wrong link doesn't take the
// memory.
func TestOnlyFilesAreRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		main  string
		place func(t *testing.T, dir string)
		want  string // "" if it is fine
	}{
		"pipe that a pattern matches": {goodMain, func(t *testing.T, dir string) {
			must(t, syscall.Mkfifo(filepath.Join(dir, "rules", "pipe.yml"), 0o600))
		}, "prometheus.yml:2:14: DIR/rules/pipe.yml is a pipe, a socket or a device, and only files can be part of a release"},
		"main file that is a pipe": {"", func(t *testing.T, dir string) {
			must(t, syscall.Mkfifo(filepath.Join(dir, "prometheus.yml"), 0o600))
		}, "DIR/prometheus.yml is a pipe, a socket or a device"},
		"link to a device": {goodMain, func(t *testing.T, dir string) {
			must(t, os.Symlink("/dev/zero", filepath.Join(dir, "rules", "zero.yml")))
		}, "prometheus.yml:2:14: DIR/rules/zero.yml is a pipe, a socket or a device"},
		"folder that a pattern matches": {goodMain, func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "rules", "old.yml"), 0o700))
		}, ""},
		"file that is too large": {goodMain, func(t *testing.T, dir string) {
			f, err := os.Create(filepath.Join(dir, "rules", "large.yml"))
			must(t, err)
			must(t, f.Truncate(64<<20+1))
			must(t, f.Close())
		}, "prometheus.yml:2:14: DIR/rules/large.yml is larger than 64 MiB: is that a configuration?"},
		"files that are too large together": {goodMain, func(t *testing.T, dir string) {
			for _, name := range []string{"1.yml", "2.yml", "3.yml", "4.yml", "5.yml"} {
				f, err := os.Create(filepath.Join(dir, "rules", name))
				must(t, err)
				must(t, f.Truncate(60<<20))
				must(t, f.Close())
			}
		}, "with this file the release is larger than 256 MiB"},
		"link that leads nowhere": {goodMain, func(t *testing.T, dir string) {
			must(t, os.Symlink("gone", filepath.Join(dir, "rules", "gone.yml")))
		}, "no such file"},
	} {
		for _, mode := range []string{"published", "in place"} {
			t.Run(name+", "+mode, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, map[string]string{"rules/up.yml": goodRules})
				if tt.main != "" {
					b.write("prometheus.yml", tt.main)
				}
				tt.place(t, b.source)
				cfg := b.config("http://127.0.0.1:1")
				want := strings.ReplaceAll(tt.want, "DIR", b.source)
				if mode == "in place" {
					cfg.ConfigFile, cfg.SourceDir, cfg.OutputDir = filepath.Join(b.source, "prometheus.yml"), "", ""
					if strings.HasPrefix(name, "folder") {
						want = "is a folder, and only files can be read: the server would fail too"
					}
				}
				a, err := reload.NewPrometheus(cfg, reload.Options{})
				must(t, err)
				_, _, err = a.Preview(t.Context())
				if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("error is %v, want %q", err, want)
				}
			})
		}
	}
}
