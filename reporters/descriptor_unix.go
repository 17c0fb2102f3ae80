//go:build unix

package reporters

import "golang.org/x/sys/unix"

// inherited reports whether a descriptor is one that the process was given: those that Go opens are
// closed by exec.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}
