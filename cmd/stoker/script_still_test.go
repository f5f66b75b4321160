package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stoker-project/stoker/reload/servertest"
)

// stillness is what a script knows of things that must not change.
type stillness struct {
	proxies map[string]*servertest.Proxy
	counted map[string]int // how many requests each proxy had got when it was looked at last
	looks   string         // what files looked like then
	paths   []string
	key     *age.X25519Identity
}

type stillnessKey struct{}

func stillnessOf(ts *testscript.TestScript) *stillness {
	s, ok := ts.Value(stillnessKey{}).(*stillness)
	if !ok {
		ts.Fatalf("the script wasn't set up")
	}
	return s
}

// proxy VARIABLE… puts a proxy before the server of $PROMETHEUS or $ALERTMANAGER.
func cmdProxy(ts *testscript.TestScript, neg bool, args []string) {
	s := stillnessOf(ts)
	for _, name := range args {
		s.proxies[name] = servertest.NewProxy(scriptTB{ts, worldOf(ts)}, ts.Getenv(name))
		ts.Setenv(name, s.proxies[name].URL())
	}
}

// look PATH… takes note of every file below and of the requests so far.
func cmdLook(ts *testscript.TestScript, neg bool, args []string) {
	s := stillnessOf(ts)
	s.paths = nil
	for _, path := range args {
		s.paths = append(s.paths, ts.MkAbs(path))
	}
	s.looks = looks(ts, s.paths)
	for name, p := range s.proxies {
		s.counted[name] = len(p.Requests())
	}
}

// still requires that since then nothing was written, to a file or to a server.
func cmdStill(ts *testscript.TestScript, neg bool, args []string) {
	s := stillnessOf(ts)
	if now := looks(ts, s.paths); now != s.looks {
		ts.Fatalf("files were\n%sand are\n%s", s.looks, now)
	}
	for name, p := range s.proxies {
		for _, r := range p.Requests()[s.counted[name]:] {
			if !strings.HasPrefix(r, "GET ") {
				ts.Fatalf("%s was sent %s", name, r)
			}
		}
	}
}

// looks describes every file, folder and link below some paths, so that any operation that writes shows.
func looks(ts *testscript.TestScript, paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) && p == path {
				fmt.Fprintln(&b, p, "isn't there")
				return nil
			} else if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			fmt.Fprintln(&b, p, info.Mode(), info.Size(), info.ModTime().UnixNano(), info.Sys().(*syscall.Stat_t).Ino)
			return nil
		})
		ts.Check(err)
	}
	return b.String()
}

// seal FILE VARIABLE… encrypts each variable's text for an age key, which it writes to FILE; RECIPIENT is its public one.
func cmdSeal(ts *testscript.TestScript, neg bool, args []string) {
	s := stillnessOf(ts)
	var err error
	if s.key == nil {
		s.key, err = age.GenerateX25519Identity()
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s.key.String()+"\n"), 0o600))
	ts.Setenv("RECIPIENT", s.key.Recipient().String())
	for _, name := range args[1:] {
		var b strings.Builder
		armored := armor.NewWriter(&b)
		w, err := age.Encrypt(armored, s.key.Recipient())
		ts.Check(err)
		_, err = w.Write([]byte(ts.Getenv(name)))
		ts.Check(err)
		ts.Check(w.Close())
		ts.Check(armored.Close())
		ts.Setenv(name, strconv.Quote(b.String())) // as YAML reads it too
	}
}
