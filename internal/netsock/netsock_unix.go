//go:build unix

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
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/lockfile"
)

const (
	socketSuffix = ".sock"
	lockSuffix   = ".lock"
	// maxPath is the number of bytes of the longest path of a socket, on the system with the
	// shortest.
	maxPath = 103
	// dialWait bounds a connect: a process that is stopped takes no connections once its queue is
	// full.
	dialWait = 5 * time.Second
)

// dirs are the directories that a socket may be in, the best first. A process and those who look
// for it may have been started with different environments: by a service manager, or in a terminal.
func dirs() []string {
	uid := os.Geteuid()
	var all []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		all = append(all, filepath.Join(dir, "xdist"))
	}
	all = append(all, fmt.Sprintf("/run/user/%d/xdist", uid))
	for _, tmp := range []string{"/tmp", "/var/tmp"} {
		all = append(all, fmt.Sprintf("%s/xdist-%d/net", tmp, uid))
	}
	return slices.Compact(all)
}

// private refuses a directory that is not this user's alone, and any link.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: %w", dir, ErrStranger)
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to uid %d: %w", dir, stat.Uid, ErrStranger)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %04o and not 0700: %w", dir, info.Mode().Perm(), ErrStranger)
	}
	return nil
}

// claim makes dir, which is one of dirs, unless it is there.
func claim(dir string) error {
	parent := filepath.Dir(dir)
	if strings.HasPrefix(filepath.Base(parent), "xdist-") { // in a directory that is everybody's
		if err := mkdir(parent); err != nil {
			return err
		}
	}
	if err := private(parent); err != nil {
		return err
	}
	return mkdir(dir)
}

// mkdir makes a directory in one that is there, or takes one that is this user's alone.
func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return private(dir)
}

// trusted says why what is in a directory is not trusted.
func trusted(dir string) error {
	if err := private(filepath.Dir(dir)); err != nil {
		return err
	}
	return private(dir)
}

// Listener takes the connections of a network's user. Accept returns none of another user's; all
// methods are net.Listener's, and may be called concurrently.
type Listener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
	lock *flock.Flock
}

// Listen makes the socket of a network, in the first directory that can be used. What a process has
// left that was killed is removed. Errors: ErrRunning; what is wrong with each directory.
func Listen(name string) (*Listener, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if !tellsUsers {
		return nil, ErrUnsupported
	}
	var errs []error
	for _, dir := range dirs() {
		l, err := listenIn(dir, name)
		if err == nil || errors.Is(err, ErrRunning) {
			return l, err
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("there is no directory for the socket: %w", errors.Join(errs...))
}

func listenIn(dir, name string) (*Listener, error) {
	path := filepath.Join(dir, name+socketSuffix)
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxPath)
	}
	if err := claim(dir); err != nil {
		return nil, err
	}
	lock := lockfile.Private(filepath.Join(dir, name+lockSuffix))
	if err := lockfile.Try(lock); errors.Is(err, lockfile.ErrLocked) {
		return nil, ErrRunning
	} else if err != nil {
		return nil, err
	}
	l, err := listenAt(path)
	if err != nil {
		lock.Close()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

// listenAt is for who has the lock.
func listenAt(path string) (*Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // it may be another's by then
	err = os.Chmod(path, 0o600)
	var made fs.FileInfo
	if err == nil {
		made, err = os.Lstat(path)
	}
	if err != nil {
		ln.Close()
		return nil, err
	}
	return &Listener{UnixListener: ln, path: path, made: made}, nil
}

// Path is that of the socket.
func (l *Listener) Path() string { return l.path }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if err := ownPeer(conn); err == nil {
			return conn, nil
		}
		conn.Close() // says nothing to a stranger
	}
}

// Gone reports whether the socket is not under its name any more: nobody finds it then.
func (l *Listener) Gone() bool {
	info, err := os.Lstat(l.path)
	return err != nil || !os.SameFile(info, l.made)
}

// Release ends the listener, removes its socket, and lets another process have the name. Close
// alone keeps it. It is called once at a time; a second call does nothing.
func (l *Listener) Release() error {
	if l.lock == nil {
		return nil
	}
	err := l.Close()
	if !l.Gone() {
		os.Remove(l.path) // the next Listen does it otherwise
	}
	lockfile.Remove(l.lock) // likewise
	l.lock = nil
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// Held reports whether a process has the name of a network, also when it takes no connections.
func Held(name string) bool {
	for _, dir := range dirs() {
		if trusted(dir) != nil {
			continue
		}
		lock := lockfile.Existing(filepath.Join(dir, name+lockSuffix))
		err := lockfile.Try(lock)
		if errors.Is(err, lockfile.ErrLocked) {
			return true
		}
		if err == nil {
			lock.Close()
		}
	}
	return false
}

// Dial connects to the process of a network. Errors: ErrNone when there is none, also when a socket
// is left of one; ErrStranger; ctx's.
func Dial(ctx context.Context, name string) (net.Conn, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if !tellsUsers {
		return nil, ErrUnsupported
	}
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	var refused error
	for _, dir := range dirs() {
		conn, err := dialIn(ctx, filepath.Join(dir, name+socketSuffix))
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("connect to network %s: its process takes no connections: %w", name, ctx.Err())
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOTDIR):
			refused = errors.Join(refused, err)
		}
	}
	if refused != nil {
		return nil, fmt.Errorf("connect to network %s: %w", name, refused)
	}
	return nil, fmt.Errorf("connect to network %s: %w", name, ErrNone)
}

func dialIn(ctx context.Context, path string) (net.Conn, error) {
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	if err := trusted(filepath.Dir(path)); err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := ownPeer(conn.(*net.UnixConn)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return conn, nil
}

// ownPeer refuses a connection to another user's process.
func ownPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	uid, errUID := 0, error(nil)
	if err := raw.Control(func(fd uintptr) { uid, errUID = peerUID(int(fd)) }); err != nil {
		return err
	}
	if errUID != nil {
		return fmt.Errorf("ask who is at the other end: %w", errUID)
	}
	if uid != os.Geteuid() {
		return fmt.Errorf("uid %d is at the other end: %w", uid, ErrStranger)
	}
	return nil
}

// Names are the networks that have a socket, sorted; whether somebody listens there Dial tells.
func Names() ([]string, error) {
	if !tellsUsers {
		return nil, ErrUnsupported
	}
	var names []string
	for _, dir := range dirs() {
		if trusted(dir) != nil {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if name, ok := strings.CutSuffix(e.Name(), socketSuffix); ok && CheckName(name) == nil && e.Type() == fs.ModeSocket {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
