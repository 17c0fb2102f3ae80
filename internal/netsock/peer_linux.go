package netsock

import "golang.org/x/sys/unix"

// tellsUsers says that this system knows who is at the other end of a Unix socket.
const tellsUsers = true

// peerUID is the user who has connected, or who listens.
func peerUID(fd int) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
