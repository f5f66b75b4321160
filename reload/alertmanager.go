package reload

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/promslog"
)

// alertmanagerFiles is the dialect of alertmanager.yml.
type alertmanagerFiles struct{}

func (alertmanagerFiles) server() string { return "alertmanager" }
func (alertmanagerFiles) main() string   { return "alertmanager.yml" }

func (alertmanagerFiles) parse(filename string, data []byte, _ facts) error {
	_, err := loadAlertmanager(filename, data)
	return err
}

// loadAlertmanager loads a main file from memory. Upstream's Load passes null entries that LoadFile, and so
// a running Alertmanager, crashes on; setDirectories walks over them and check calls LoadFile.
func loadAlertmanager(filename string, data []byte) (cfg *config.Config, err error) {
	err = guard(func() (err error) {
		cfg, err = config.Load(string(data))
		return err
	})
	return cfg, problems(filename, data, err).Err()
}

func (alertmanagerFiles) references(p, filename string, data []byte, _ facts) ([]reference, error) {
	if p != (alertmanagerFiles{}).main() {
		return nil, nil // Templates can't include files.
	}
	cfg, err := loadAlertmanager(filename, data)
	if err != nil {
		return nil, err
	}
	var refs []reference
	for _, t := range cfg.Templates {
		clean := filepath.ToSlash(filepath.Clean(t))
		refs = append(refs, reference{pattern: clean, use: useMember, written: clean})
	}
	setDirectories(cfg)
	for _, rel := range relativePaths(cfg) {
		refs = append(refs, reference{pattern: rel, written: rel})
	}
	return refs, nil
}

func (alertmanagerFiles) check(s staged) (warnings scanner.ErrorList, err error) {
	tree, name := s.files, s.name
	main := (alertmanagerFiles{}).main()
	var list scanner.ErrorList
	err = guard(func() error {
		cfg, err := config.LoadFile(s.main)
		if err != nil {
			list = append(list, problems(name(main), tree[main], unstage(err))...)
			return nil
		}
		tmpl, err := template.FromGlobs(cfg.Templates)
		if err != nil {
			p := mentionedTemplate(tree, err)
			list = append(list, problems(name(p), tree[p], err)...)
			return nil
		}
		tmpl.ExternalURL = &url.URL{Scheme: "http", Host: "localhost"}
		for _, r := range cfg.Receivers {
			// Secret files and certificates with absolute paths are the server's: if they aren't here,
			// only the server can tell. Anything else that a receiver can't be built from is an error.
			_, err := receiver.BuildReceiverIntegrations(r, tmpl, promslog.NewNopLogger())
			switch {
			case err == nil:
			case errors.Is(err, fs.ErrNotExist):
				warnings = append(warnings, receiverProblems(name(main), tree[main], r.Name, err)...)
			default:
				list = append(list, receiverProblems(name(main), tree[main], r.Name, err)...)
			}
		}
		return nil
	})
	if err != nil {
		list.Add(token.Position{Filename: name(main), Line: 1, Column: 1}, err.Error())
	}
	return warnings, list.Err()
}

// receiverProblems places an error at the definition of the receiver that it is about.
func receiverProblems(filename string, data []byte, receiver string, err error) scanner.ErrorList {
	var list scanner.ErrorList
	list.Add(place(filename, data, func(s scalar) bool { return s.key == "name" && s.Value == receiver }), "receiver "+receiver+": "+err.Error())
	return list
}

// mentionedTemplate returns the template file that an error of text/template names by its base name.
func mentionedTemplate(tree Tree, err error) string {
	for _, p := range tree.Paths() {
		if strings.Contains(err.Error(), "template: "+filepath.Base(p)+":") {
			return p
		}
	}
	return (alertmanagerFiles{}).main()
}

// difference compares the fingerprint of the main file. Templates are not part of it.
func (alertmanagerFiles) difference(_ context.Context, _ *server, l loaded, _ string, tree Tree) (string, error) {
	if want := configHash(tree[(alertmanagerFiles{}).main()]); l.hash != want {
		return fmt.Sprintf("alertmanager_config_hash is %.0f, not %.0f", l.hash, want), nil
	}
	return "", nil
}

// serving: Alertmanager is at work as soon as it has loaded a file.
func (alertmanagerFiles) serving(context.Context, *server, string, Tree) (string, error) {
	return "", nil
}
