package store

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/xdist-go/xdist/internal/diskspace"
)

// Errors that a caller can answer by using a store in a temporary directory instead.
var (
	// ErrReadOnly says that the directory, or something in it, may not be written.
	ErrReadOnly = errors.New("the store is not writable")
	// ErrFull says that the disk, the quota or the limit on the size of a file is used up.
	ErrFull = errors.New("no space is left for the store")
)

// Errors about what is asked for.
var (
	// ErrMissing says that the store does not have the binary, or has only a part of it.
	ErrMissing = errors.New("not in the store")
	// ErrClosed says that the run has been closed.
	ErrClosed = errors.New("the run is closed")
)

// classify adds ErrFull or ErrReadOnly to an error of the file system, where it is one.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrFull), errors.Is(err, ErrReadOnly):
		return err
	case diskspace.IsFull(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case isReadOnly(err), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}
