// Package netsock is where the processes of deployment networks listen: one Unix socket for each
// network, or named pipe on Windows, which only its user can reach.
//
// [Listen] makes the socket of a network, with its lock, and [Dial] connects to it. [Names] lists
// those that are there. A name is a word of at most 40 letters, digits, dots, dashes and
// underscores.
//
// A socket is in a directory of the user's own, mode 0700: below $XDG_RUNTIME_DIR or /run/user/UID,
// else below /tmp/xdist-UID or /var/tmp/xdist-UID. A directory that belongs to somebody else, or
// that others may look into, is neither used nor trusted; the next one is taken. Both ends ask the
// kernel who the other one is, and hang up on other users. A process that finds its socket gone, as
// after the last logout of its user, makes it anew.
//
// On Windows the pipe of a network has its user's SID in its name. It belongs to that user, and
// nobody else may open it, nor anybody from another machine. Both ends look at the token of the
// process at the other one. The lock is below %LocalAppData%.
//
// Only go-winio starts goroutines here, for pipes: those of a listener end with it, and one takes
// the ends of all that waits for as long as the process lives. All functions may be called
// concurrently.
//
// Limits: there are no networks on systems that do not tell who is at the other end of a socket:
// [ErrUnsupported].
package netsock

import (
	"errors"
	"fmt"
)

// Errors that a caller may look for with errors.Is.
var (
	// ErrNone says that no process of a network of this name is running.
	ErrNone = errors.New("no such network is running")
	// ErrRunning says that a network of this name has its process already.
	ErrRunning = errors.New("it is running already")
	// ErrUnsupported says that this system has no networks.
	ErrUnsupported = errors.New("networks need sockets that tell who connects: those of Linux, macOS, FreeBSD or Windows")
	// ErrStranger says that somebody else has made what is there, or may look into it.
	ErrStranger = errors.New("it is not this user's alone")
)

// maxName bounds a network's name: the path of a Unix socket is short.
const maxName = 40

// CheckName refuses what is no name of a network.
func CheckName(name string) error {
	ok := name != "" && len(name) <= maxName && name[0] != '.' && name[0] != '-'
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_')
	}
	if !ok {
		return fmt.Errorf("network %q: a name is a word of at most %d letters, digits, dots, dashes and underscores", name, maxName)
	}
	return nil
}
