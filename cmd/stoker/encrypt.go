package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/routing"
)

func (a *app) addEncrypt(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("encrypt", "Encrypt an address or a token from standard input for a contact file.")
	recipients := c.Flag("recipient", "The public key of a site that may read it, age1…; repeatable.").PlaceHolder("KEY").Strings()
	file := c.Flag("recipients-file", "A file of such keys, one a line.").PlaceHolder("FILE").String()
	oneLine := c.Flag("one-line", "Print { age: \"…\" }, which fits where the rest of the file is written in braces.").Bool()
	register(c, func(context.Context) error {
		keys, err := routing.ParseRecipients(strings.NewReader(strings.Join(*recipients, "\n")))
		if err != nil && len(*recipients) > 0 {
			return usageError{fmt.Errorf("--recipient: %w", err)}
		}
		if *file != "" {
			f, err := os.Open(*file)
			if err != nil {
				return usageError{err}
			}
			defer f.Close()
			more, err := routing.ParseRecipients(f)
			if err != nil {
				return usageError{fmt.Errorf("%s: %w", *file, err)}
			}
			keys = append(keys, more...)
		}
		if len(keys) == 0 {
			return usageError{errors.New("name who may read it with --recipient or --recipients-file: the site's public key, age1…")}
		}
		if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(a.stderr, "stoker: waiting for the value on standard input; it is shown as you type, end with Enter and Ctrl-D")
		}
		block, err := routing.Encrypt(os.Stdin, keys)
		if err != nil {
			return err
		}
		if *oneLine {
			_, armored, _ := strings.Cut(block, "\n")
			_, err = fmt.Fprintf(a.stdout, "{ age: %q }\n", strings.ReplaceAll(armored, "  ", ""))
			return err
		}
		// As far to the right as a value of a method is, below its key.
		for line := range strings.Lines(block) {
			fmt.Fprint(a.stdout, strings.Repeat(" ", 8), line)
		}
		return nil
	})
}
