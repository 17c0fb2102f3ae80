//go:build unix

package hosts

import (
	"errors"
	"os"
)

// checkPrivate refuses a directory of this user that others can reach into: its name is in a
// directory that is everybody's.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return errors.New("others may enter it; chmod 700 it, or choose another place with --mirror-dir")
	}
	return nil
}
