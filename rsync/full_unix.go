//go:build unix

package rsync

import (
	"errors"
	"syscall"
)

// isFull reports whether err is a lack of space.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
