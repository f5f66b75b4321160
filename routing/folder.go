package routing

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/scanner"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// A contactFile is one file of the contacts folder: a contact, or the problems that keep it from being one.
type contactFile struct {
	name     string // below the folder
	path     string // as problems show it
	stem     string
	source   []byte
	contact  *Contact
	problems scanner.ErrorList
	double   bool // another file has the same stem
}

// readFolder reads all contact files below dir. It fails as a whole if the folder can't be read or holds
// none: then nothing is known about who is to be told.
//
// Hidden files and folders are left out. Links are followed as long as they stay inside, so a link in a
// pull request can't show stoker a file of another place. A folder that a ConfigMap is mounted to is read
// through its ..data link, once, so that all files are of one version. A version that was replaced while it
// was read is read again: its writer may have removed half of it already, and what is missing then would be
// taken for contacts that are gone.
func readFolder(ctx context.Context, dir string, site Site) ([]contactFile, error) {
	whole := func(format string, args ...any) error {
		return scanner.ErrorList{noPosition(dir, fmt.Sprintf(format, args...))}
	}
	last := errors.New("is replaced faster than it can be read")
	for range 5 {
		files, replaced, err := readVersion(ctx, dir, site)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case replaced && errors.Is(err, fs.ErrNotExist):
			last = err
			continue
		case replaced:
			continue
		case err != nil:
			return nil, whole("%v", err)
		case len(files) == 0:
			return nil, whole("holds no contact file, <stem>.yml")
		}
		rejectDoubles(files)
		slices.SortFunc(files, func(a, b contactFile) int { return cmp.Compare(a.name, b.name) })
		return files, nil
	}
	return nil, whole("%v", last)
}

// readVersion reads what is in the folder now, and tells whether it was another one in the end.
func readVersion(ctx context.Context, dir string, site Site) (files []contactFile, replaced bool, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Is(err, fs.ErrNotExist), cause(err)
	}
	defer root.Close()
	now := dir
	if mounted(root) {
		data, err := root.OpenRoot("..data")
		if err != nil { // it led to a version that was just removed
			return nil, errors.Is(err, fs.ErrNotExist), fmt.Errorf("..data: %w", cause(err))
		}
		defer data.Close()
		root, now = data, filepath.Join(dir, "..data")
	}
	read, err := root.Stat(".")
	if err != nil {
		return nil, false, cause(err)
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() && !utf8.ValidString(name): // io/fs goes into none
			f := contactFile{name: legible(name), path: filepath.Join(dir, name), stem: stem(name)}
			f.problems = scanner.ErrorList{noPosition(f.path, "is a folder whose name isn't UTF-8, so nothing in it is read, rename it")}
			files = append(files, f)
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		if f, ok := readContactFile(root, dir, name, site); ok {
			files = append(files, f)
		}
		return nil
	})
	// One that isn't there in this moment has been replaced, too: a writer may be that fast.
	after, statErr := os.Stat(now)
	return files, statErr != nil || !os.SameFile(read, after), err
}

// mounted reports whether a ConfigMap is mounted to a folder: ..data is a link there, and all that can be seen are links
// into it. A ..data that a pull request puts beside the contacts of others is a hidden folder like any other, else they
// would be gone.
func mounted(root *os.Root) bool {
	data, err := root.Lstat("..data")
	if err != nil || data.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !strings.HasPrefix(e.Name(), "..") && e.Type()&fs.ModeSymlink == 0
	})
}

// readContactFile reads one file of the folder; false if it isn't meant to be a contact.
func readContactFile(root *os.Root, dir, name string, site Site) (contactFile, bool) {
	f := contactFile{name: legible(name), path: filepath.Join(dir, filepath.FromSlash(name)), stem: stem(name)}
	reject := func(format string, args ...any) (contactFile, bool) {
		f.problems = scanner.ErrorList{noPosition(f.path, fmt.Sprintf(format, args...))}
		return f, true
	}
	info, err := root.Stat(name)
	switch ext := path.Ext(name); {
	case err == nil && info.IsDir():
		return reject("is a link to a folder, which is not followed")
	case ext != ".yml" && (strings.EqualFold(ext, ".yml") || strings.EqualFold(ext, ".yaml")):
		return reject("contact files end in .yml, rename it to %s.yml", f.stem)
	case ext != ".yml":
		return f, false
	case err != nil:
		if link, lerr := root.Lstat(name); lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
			return reject("is a link that isn't followed, %v: put the file itself here", cause(err))
		}
		return reject("%v", cause(err))
	case !info.Mode().IsRegular():
		return reject("is not a regular file")
	}
	if f.source, err = readAtMost(root.Open, name, maxContactFile); err != nil {
		return reject("%v", cause(err))
	}
	f.contact, err = site.contact(f.path, f.source)
	errors.As(err, &f.problems)
	return f, true
}

// legible returns the name of a file as it can be a label of a metric, whatever bytes git has it with. No two names become one.
func legible(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, `\`) {
		return name
	}
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

// cause returns what went wrong with a file, without its name.
func cause(err error) error {
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// readAtMost reads a file, and one byte more than limit if it is larger.
func readAtMost(open func(string) (*os.File, error), name string, limit int64) ([]byte, error) {
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit+1))
}

// rejectDoubles rejects all files that share their stem, which has to be one contact's alone.
func rejectDoubles(files []contactFile) {
	first := map[string]int{}
	for i := range files {
		j, double := first[files[i].stem]
		if !double {
			first[files[i].stem] = i
			continue
		}
		for _, f := range []struct{ one, other *contactFile }{{&files[i], &files[j]}, {&files[j], &files[i]}} {
			f.one.contact, f.one.double = nil, true
			f.one.problems = append(f.one.problems, noPosition(f.one.path, "has the same name as "+f.other.path+", rename one of them"))
		}
	}
}

// withSecrets returns s with access to the secrets and the age key that o names. The key is read when it
// is first needed.
func (o *Options) withSecrets(s Site) Site {
	s.ReadSecret = func(file string) (string, error) {
		if s.SecretsDir == "" {
			return "", errors.New("contacts.secrets_dir is not set")
		}
		b, err := readAtMost(os.Open, filepath.Join(s.SecretsDir, file), maxSecret)
		return string(b), err
	}
	s.readCredential = ReadCredential
	identities := sync.OnceValues(func() ([]byte, error) {
		if o.Contacts.AgeIdentityFile == "" {
			return nil, errors.New("contacts.age_identity_file is not set")
		}
		return readAtMost(os.Open, o.Contacts.AgeIdentityFile, maxIdentities)
	})
	open := sync.OnceValues(func() (func(string) (string, error), error) {
		text, err := identities()
		if err != nil {
			return nil, err
		}
		return decrypter(bytes.NewReader(text))
	})
	s.Decrypt = func(armored string) (string, error) {
		decrypt, err := open()
		if err != nil {
			return "", err
		}
		return decrypt(armored)
	}
	s.key = func() string {
		text, err := identities()
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%x", sha256.Sum256(text))
	}
	return s
}

// ReadCredential reads a file that holds one password.
func ReadCredential(file string) (string, error) {
	b, err := readAtMost(os.Open, file, maxSecret)
	if err != nil {
		return "", err
	}
	plain := strings.TrimSpace(string(b))
	if plain == "" || textProblem(plain) != "" {
		return "", fmt.Errorf("%s: must hold one line and nothing else", file)
	}
	return plain, nil
}
