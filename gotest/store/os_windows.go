package store

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isReadOnly reports whether err is a medium that cannot be written.
func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }
