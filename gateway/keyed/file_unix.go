//go:build unix

package keyed

import (
	"fmt"
	"os"
)

// checkMode refuses a file that others can read or write.
func checkMode(name string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("others can read or write it (mode %04o); whoever has a key can run programs with it: chmod 600 %s", mode, name)
	}
	return nil
}
