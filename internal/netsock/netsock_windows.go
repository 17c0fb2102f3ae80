package netsock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Microsoft/go-winio"
	"github.com/gofrs/flock"
	"golang.org/x/sys/windows"

	"github.com/xdist-go/xdist/internal/lockfile"
)

const (
	lockSuffix = ".lock"
	// dialWait bounds a connect: a process that is stopped makes no more instances of its pipe.
	dialWait = 5 * time.Second
	// pipeBuffer is what a pipe takes in each direction before its reader reads, in bytes: without
	// one a write waits for a read.
	pipeBuffer = 64 << 10
)

// pipePath is where the network of a user listens. All users share one namespace.
func pipePath(user *windows.SID, name string) string {
	return `\\.\pipe\xdist-` + user.String() + "-" + name
}

// lockDir is the directory of the locks, which is in this user's profile.
func lockDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "xdist", "net"), nil
}

// self is the user of this process.
func self() (*windows.SID, error) { return userOf(windows.GetCurrentProcessToken()) }

func userOf(token windows.Token) (*windows.SID, error) {
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("ask whose token it is: %w", err)
	}
	return user.User.Sid, nil
}

// Listener takes the connections of a network's user. Accept returns none of another user's; all
// methods are net.Listener's, and may be called concurrently.
type Listener struct {
	net.Listener
	user *windows.SID
	path string
	lock *flock.Flock
}

// Listen makes the pipe of a network. It is this user's own, and no other may open it, nor anybody
// from another machine. Errors: ErrRunning; ErrStranger when somebody else has made one of its
// name.
func Listen(name string) (*Listener, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	user, err := self()
	if err != nil {
		return nil, err
	}
	dir, err := lockDir()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("there is no directory for the lock: %w", err)
	}
	lock := lockfile.Private(filepath.Join(dir, name+lockSuffix))
	if err := lockfile.Try(lock); errors.Is(err, lockfile.ErrLocked) {
		return nil, ErrRunning
	} else if err != nil {
		return nil, err
	}
	path := pipePath(user, name)
	ln, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: forUser(user), InputBufferSize: pipeBuffer, OutputBufferSize: pipeBuffer})
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		err = fmt.Errorf("%s is there: %w", path, ErrStranger)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &Listener{Listener: ln, user: user, path: path, lock: lock}, nil
}

// forUser is the security of a pipe: it belongs to the user, who may do all, and nobody else
// anything.
func forUser(user *windows.SID) string {
	return fmt.Sprintf("O:%[1]sD:P(A;;GA;;;%[1]s)", user)
}

// Path is that of the pipe.
func (l *Listener) Path() string { return l.path }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := checkPeer(conn, windows.GetNamedPipeClientProcessId, l.user); err == nil {
			return conn, nil
		}
		conn.Close() // says nothing to a stranger
	}
}

// Gone reports whether the pipe is not under its name any more, which does not happen here.
func (l *Listener) Gone() bool { return false }

// Release ends the listener and lets another process have the name. Close alone keeps it. It is
// called once at a time; a second call does nothing.
func (l *Listener) Release() error {
	if l.lock == nil {
		return nil
	}
	err := l.Close()
	lockfile.Remove(l.lock) // who has it open now finds that nobody holds it
	l.lock = nil
	return err
}

// Held reports whether a process has the name of a network, also when it takes no connections.
func Held(name string) bool {
	dir, err := lockDir()
	if err != nil {
		return false
	}
	lock := lockfile.Existing(filepath.Join(dir, name+lockSuffix))
	err = lockfile.Try(lock)
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, lockfile.ErrLocked)
}

// Dial connects to the process of a network. Errors: ErrNone when there is none; ErrStranger;
// ctx's.
func Dial(ctx context.Context, name string) (net.Conn, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	conn, err := dial(ctx, name)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrNotExist):
		err = ErrNone
	case ctx.Err() != nil:
		err = fmt.Errorf("its process takes no connections: %w", ctx.Err())
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		err = fmt.Errorf("%w: %w", err, ErrStranger)
	}
	return nil, fmt.Errorf("connect to network %s: %w", name, err)
}

func dial(ctx context.Context, name string) (net.Conn, error) {
	user, err := self()
	if err != nil {
		return nil, err
	}
	conn, err := winio.DialPipeContext(ctx, pipePath(user, name))
	if err != nil {
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

// Names are the networks that may have a process, sorted; whether they do Dial tells.
func Names() ([]string, error) {
	dir, err := lockDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), lockSuffix); ok && CheckName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
