//go:build unix

package lockfile

import "syscall"

// careful are flags of open: it fails at a link, and does not wait for the other end of a FIFO.
const careful = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
