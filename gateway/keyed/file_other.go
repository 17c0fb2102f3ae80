//go:build !unix

package keyed

import (
	"errors"
	"os"
)

// checkMode cannot see who may read a file; its directory must keep others away.
func checkMode(_ string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	return nil
}
