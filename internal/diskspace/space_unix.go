//go:build unix

package diskspace

import (
	"errors"
	"syscall"
)

// IsFull reports whether err is a lack of space.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
