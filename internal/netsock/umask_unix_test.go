//go:build unix

package netsock

import "syscall"

// Tests of other users make programs and directories that these users are to reach, whatever
// umask the tests were started with.
func init() { syscall.Umask(0o022) }
