package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stoker-project/stoker/discovery"
	"github.com/stoker-project/stoker/routing"
)

// CheckOptions are what the command line adds to a check.
type CheckOptions struct {
	// NetworkFiles say who the P-Reps of networks are, in the place of discovery's targets files: such files, or
	// recorded answers of getPReps.
	NetworkFiles []string
}

// networksToCheck adds to routing's options what is known of the networks. Notes say what isn't.
func networksToCheck(cfg *Config, o *routing.Options, files []string) (notes []string, problems scanner.ErrorList) {
	label := cmp.Or(cfg.IdentityLabel, routing.DefaultIdentityLabel)
	networks := map[string]routing.Network{}
	if cfg.Discovery != nil {
		o.AllNetworks = true
		for _, n := range cfg.Discovery.Networks {
			networks[n.Name] = routing.Network{Name: n.Name}
		}
	}
	for _, file := range files {
		listed, err := readListed(file, label)
		if err != nil {
			problems.Add(token.Position{Filename: file}, err.Error())
			continue
		}
		name := listed.Network
		if only := slices.Collect(maps.Keys(networks)); name == "" && len(only) == 1 {
			name = only[0]
		}
		name = cmp.Or(name, strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
		networks[name] = routing.Network{Name: name, PReps: listed.PReps, File: file}
	}
	const hint = "name a targets file or a recorded answer of getPReps with --network-file"
	switch {
	case len(files) > 0:
	case cfg.Discovery == nil:
		notes = append(notes, "owners not checked: no network is known here, "+hint)
	case cfg.Discovery.TargetsDir == "":
		notes = append(notes, "owners not checked: discovery.targets_dir is not set, "+hint)
	default:
		for _, name := range slices.Sorted(maps.Keys(networks)) {
			file := filepath.Join(cfg.Discovery.TargetsDir, name+".json")
			listed, err := readListed(file, label)
			if err == nil && len(listed.PReps) == 0 {
				err = errors.New("no P-Rep is in it yet")
			}
			if err != nil {
				notes = append(notes, fmt.Sprintf("owners of %s not checked: %s: %v; %s", name, file, err, hint))
				continue
			}
			// Of a P-Rep all of whose exporters a contact gave URLs for, the targets are only there.
			if owned, err := readListed(filepath.Join(cfg.Discovery.TargetsDir, discovery.OwnedDir, name+".json"), label); err == nil {
				maps.Copy(listed.PReps, owned.PReps)
			}
			networks[name] = routing.Network{Name: name, PReps: listed.PReps, File: file}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		o.Networks = append(o.Networks, networks[name])
	}
	return notes, problems
}

func readListed(file, label string) (discovery.Listed, error) {
	data, err := os.ReadFile(file)
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		return discovery.Listed{}, pathErr.Err
	} else if err != nil {
		return discovery.Listed{}, err
	}
	return discovery.ReadListed(data, label)
}
