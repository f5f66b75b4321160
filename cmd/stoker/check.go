package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/internal/printable"
	"github.com/stoker-project/stoker/sidecar"
)

func (a *app) addCheck(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("check", "Judge offline everything that people write: configuration, base files, rules, contacts, silences, and what they make together.")
	dirs := c.Arg("path", "Folders of contacts to check by themselves, as in a repository that holds nothing else.").ExistingDirs()
	format := c.Flag("format", "How problems are printed: text (file:line:column: message), json, or github (annotations).").Default("text").Enum("text", "json", "github")
	strict := c.Flag("strict", "Fail on warnings too.").Bool()
	var options sidecar.CheckOptions
	c.Flag("network-file", "Who the P-Reps of a network are, to hold the owners of contacts against: a targets file or a recorded answer of getPReps, repeatable. Default: the files in discovery.targets_dir.").
		PlaceHolder("FILE").ExistingFilesVar(&options.NetworkFiles)
	register(c, func(ctx context.Context) error {
		load := sidecar.LoadConfig
		if len(*dirs) > 0 {
			load = sidecar.LoadContactsConfig
		}
		cfg, err := a.loadBy(load)
		if len(*dirs) > 0 && errors.Is(err, fs.ErrNotExist) {
			cfg, err = &sidecar.Config{}, nil
		}
		var problems, warnings scanner.ErrorList
		var notes []string
		switch {
		case errors.As(err, &problems): // of the configuration itself
		case err != nil:
			return err
		case len(*dirs) > 0:
			problems, warnings, notes = sidecar.CheckContacts(ctx, cfg, *dirs, options)
		default:
			problems, warnings, notes = sidecar.Check(ctx, cfg, options)
		}
		if err := printFindings(a.stdout, *format, problems, warnings, notes); err != nil {
			return err
		}
		if len(problems) > 0 || (*strict && len(warnings) > 0) {
			return errProblems
		}
		return nil
	})
}

// finding is a problem, a warning or a note in JSON.
type finding struct {
	Severity string `json:"severity"` // error, warning or note
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Message  string `json:"message"`
}

// note is the severity of what couldn't be checked. It never makes a check fail.
const note = "note"

func printFindings(w io.Writer, format string, problems, warnings scanner.ErrorList, notes []string) error {
	findings := []finding{}
	for _, group := range []struct {
		severity string
		list     scanner.ErrorList
	}{{"error", problems}, {"warning", warnings}} {
		for _, e := range group.list {
			findings = append(findings, finding{group.severity, shown(e.Pos.Filename), e.Pos.Line, e.Pos.Column, e.Msg})
		}
	}
	for _, n := range notes {
		findings = append(findings, finding{Severity: note, Message: n})
	}
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(findings)
	}
	for _, f := range findings {
		if format == "github" {
			fmt.Fprintln(w, f.github())
		} else {
			fmt.Fprintln(w, f.text())
		}
	}
	if format == "text" {
		fmt.Fprintf(w, "%s, %s\n", count(len(problems), "problem"), count(len(warnings), "warning"))
	}
	return nil
}

// shown returns a path relative to the working folder if it lies below it.
func shown(file string) string {
	wd, err := os.Getwd()
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(wd, file); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return file
}

// legible returns a file's name as it can begin a line. A pull request could else write a line, or a command, of its own into
// the log of its check.
func legible(file string) string {
	if file = printable.Quote(file); strings.HasPrefix(file, "::") {
		return strconv.Quote(file)
	}
	return file
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (f finding) text() string {
	place := legible(f.File)
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", place, f.Line, f.Column)
	}
	if place != "" {
		place += ": "
	}
	if f.Severity != "error" {
		place += f.Severity + ": "
	}
	return place + f.Message
}

// github formats a finding as a workflow command of GitHub Actions, which shows it beside the line.
func (f finding) github() string {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	place := ""
	if f.File != "" {
		place = " file=" + property.Replace(f.File)
		if f.Line > 0 {
			place += fmt.Sprintf(",line=%d,col=%d", f.Line, f.Column)
		}
	}
	severity := f.Severity
	if severity == note {
		severity = "notice"
	}
	return "::" + severity + place + "::" + data.Replace(f.Message)
}
