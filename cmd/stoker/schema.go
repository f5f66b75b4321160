package main

import (
	"context"
	"maps"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/sidecar"
	"github.com/stoker-project/stoker/silencing"
)

// schemas returns the JSON Schema of each file that people write.
func schemas() map[string]func() []byte {
	return map[string]func() []byte{
		"config":   sidecar.ConfigSchema,
		"contact":  routing.ContactSchema,
		"silences": silencing.Schema,
	}
}

func (a *app) addSchema(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("schema", "Print the JSON Schema of a file, for editors.")
	all := schemas()
	what := c.Arg("file", "config: stoker.yml, contact: a file of the contacts folder, silences: silences.yaml.").Required().Enum(slices.Sorted(maps.Keys(all))...)
	register(c, func(context.Context) error {
		_, err := a.stdout.Write(all[*what]())
		return err
	})
}
