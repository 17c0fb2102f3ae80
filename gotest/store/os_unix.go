//go:build unix

package store

import (
	"errors"
	"syscall"
)

// isReadOnly reports whether err is a file system that is mounted read-only.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
