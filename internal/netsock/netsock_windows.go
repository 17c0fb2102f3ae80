package netsock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// tellsUsers says that this system knows who is at the other end of a pipe.
const tellsUsers = true

// pipeBuffer is what a pipe takes in each direction before its reader reads, in bytes: without one
// a write waits for a read.
const pipeBuffer = 64 << 10

// pipePath is where the network of a user listens. All users share one namespace.
func pipePath(user *windows.SID, name string) string {
	return `\\.\pipe\xdist-` + user.String() + "-" + name
}

// dirs is the directory of the locks, which is in this user's profile.
func dirs() ([]string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	return []string{filepath.Join(cache, "xdist", "net")}, nil
}

func claim(dir, _ string) error { return os.MkdirAll(dir, 0o700) }

func trusted(string) error { return nil }

// self is the user of this process.
func self() (*windows.SID, error) { return userOf(windows.GetCurrentProcessToken()) }

func userOf(token windows.Token) (*windows.SID, error) {
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("ask whose token it is: %w", err)
	}
	return user.User.Sid, nil
}

// owner is the user of a listener.
type owner struct{ user *windows.SID }

// listenAt is for who has the lock. The pipe is this user's own, and no other may open it, nor
// anybody from another machine.
func listenAt(_, name string) (*Listener, error) {
	user, err := self()
	if err != nil {
		return nil, err
	}
	path := pipePath(user, name)
	ln, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: forUser(user), InputBufferSize: pipeBuffer, OutputBufferSize: pipeBuffer})
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		err = fmt.Errorf("%s is there: %w", path, ErrStranger)
	}
	if err != nil {
		return nil, err
	}
	return &Listener{Listener: ln, path: path, owner: owner{user}}, nil
}

// forUser is the security of a pipe: it belongs to the user, who may do all, and nobody else
// anything.
func forUser(user *windows.SID) string {
	return fmt.Sprintf("O:%[1]sD:P(A;;GA;;;%[1]s)", user)
}

func (l *Listener) ownClient(conn net.Conn) error {
	return checkPeer(conn, windows.GetNamedPipeClientProcessId, l.user)
}

// Gone reports whether the pipe is not under its name any more, which does not happen here.
func (l *Listener) Gone() bool { return false }

// unlink has nothing to do: a pipe goes with its listener.
func (l *Listener) unlink() {}

func dial(ctx context.Context, name string) (net.Conn, error) {
	user, err := self()
	if err != nil {
		return nil, err
	}
	conn, err := winio.DialPipeContext(ctx, pipePath(user, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNone
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return nil, fmt.Errorf("%w: %w", err, ErrStranger)
	case err != nil:
		return nil, err
	}
	if err := checkPeer(conn, windows.GetNamedPipeServerProcessId, user); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkPeer refuses a connection to a process of another user, which ask finds.
func checkPeer(conn net.Conn, ask func(pipe windows.Handle, process *uint32) error, user *windows.SID) error {
	pipe, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		panic("BUG: the pipe has no handle")
	}
	var id uint32
	if err := ask(windows.Handle(pipe.Fd()), &id); err != nil {
		return fmt.Errorf("ask who is at the other end: %w", err)
	}
	peer, err := userOfProcess(id)
	if err != nil {
		return fmt.Errorf("ask who process %d at the other end is: %w: %w", id, err, ErrStranger)
	}
	if !peer.Equals(user) {
		return fmt.Errorf("user %s is at the other end: %w", peer, ErrStranger)
	}
	return nil
}

func userOfProcess(id uint32) (*windows.SID, error) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, id)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(process)
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return nil, err
	}
	defer token.Close()
	return userOf(token)
}

// named is the network whose lock has this name.
func named(e fs.DirEntry) (string, bool) { return strings.CutSuffix(e.Name(), lockSuffix) }
