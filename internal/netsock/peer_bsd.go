//go:build darwin || freebsd

package netsock

import "golang.org/x/sys/unix"

// tellsUsers says that this system knows who is at the other end of a Unix socket.
const tellsUsers = true

// peerUID is the user who has connected, or who listens.
func peerUID(fd int) (int, error) {
	const local = 0 // SOL_LOCAL
	cred, err := unix.GetsockoptXucred(fd, local, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
