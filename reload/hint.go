package reload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// outputHint adds to an error of an output_dir what would mend it.
func outputHint(err error) error {
	switch {
	case errors.Is(err, errBusy):
		return fmt.Errorf("%w: that name is itself a mount point, so it can never be replaced: mount output_dir or a folder above it instead", err)
	case errors.Is(err, errReadOnly):
		return fmt.Errorf("%w: mount the volume of output_dir writable for stoker; the server can have it read-only", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: output_dir must be writable for user %d, group %d, as which stoker runs (chown it once, or set fsGroup in Kubernetes)", err, os.Getuid(), os.Getgid())
	case errors.Is(err, errNoSpace):
		return fmt.Errorf("%w: the disk of output_dir is full", err)
	default:
		return err
	}
}

// notFrozen refuses to replace what is no link where one should be. A mount of the link itself shows as the folder
// that the link named when it was mounted, and never as another one.
func notFrozen(link string) error {
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return fmt.Errorf("%s is no link: if it is a mount, mount output_dir or a folder above it instead; if somebody made it, remove it", link)
}
