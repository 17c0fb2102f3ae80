//go:build unix

package gateway

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeStdio moves the protocol to new descriptors that children do not inherit.
func takeStdio() (*stdioConn, error) {
	in, err := moved(0, "protocol input")
	if err != nil {
		return nil, err
	}
	out, err := moved(1, "protocol output")
	if err != nil {
		in.Close()
		return nil, err
	}
	if err := emptyStdio(); err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	return &stdioConn{in: in, out: out}, nil
}

// moved returns a copy of a descriptor as a file whose Close wakes a blocked Read: the descriptor
// does not block.
func moved(fd int, name string) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	if err := unix.SetNonblock(n, true); err != nil {
		unix.Close(n)
		return nil, os.NewSyscallError("set nonblocking", err)
	}
	return os.NewFile(uintptr(n), name), nil
}

// emptyStdio makes descriptor 0 empty and descriptor 1 a second 2.
func emptyStdio() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	if err := replace(int(null.Fd()), 0); err != nil {
		return os.NewSyscallError("replace standard input", err)
	}
	if err := replace(2, 1); err != nil {
		return os.NewSyscallError("replace standard output", err)
	}
	return nil
}

func catchBrokenPipes(c chan<- os.Signal) { signal.Notify(c, syscall.SIGPIPE) }
