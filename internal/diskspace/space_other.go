//go:build !(linux || darwin || freebsd || dragonfly || windows)

package diskspace

import "errors"

// Free is not known here.
func Free(string) (int64, error) { return 0, errors.ErrUnsupported }

// FreeFiles is not known here.
func FreeFiles(string) (int64, error) { return 0, errors.ErrUnsupported }
