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
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/lockfile"
)

const (
	lockSuffix = ".lock"
	// dialWait bounds a connect: a process that is stopped takes no connections once its queue is
	// full, and makes no more instances of its pipe.
	dialWait = 5 * time.Second
)

// Listener takes the connections of a network's user. Accept returns none of another user's; all
// methods are net.Listener's, and may be called concurrently.
type Listener struct {
	net.Listener
	path string
	owner
	lock *flock.Flock
}

// usable refuses what is no name of a network, and systems that have none.
func usable(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if !tellsUsers {
		return ErrUnsupported
	}
	return nil
}

// Listen makes the socket of a network, in the first directory that can be used, or its pipe. It is
// this user's own. What a process has left that was killed is removed. Errors: ErrRunning;
// ErrStranger when somebody else has made the pipe; what is wrong with each directory.
func Listen(name string) (*Listener, error) {
	if err := usable(name); err != nil {
		return nil, err
	}
	dirs, err := dirs()
	errs := []error{err}
	for _, dir := range dirs {
		l, err := listenIn(dir, name)
		if err == nil || errors.Is(err, ErrRunning) {
			return l, err
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("there is no place for the socket: %w", errors.Join(errs...))
}

func listenIn(dir, name string) (*Listener, error) {
	if err := claim(dir, name); err != nil {
		return nil, err
	}
	lock := lockfile.Private(filepath.Join(dir, name+lockSuffix))
	if err := lockfile.Try(lock); errors.Is(err, lockfile.ErrLocked) {
		return nil, ErrRunning
	} else if err != nil {
		return nil, err
	}
	l, err := listenAt(dir, name)
	if err != nil {
		lock.Close()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

// Path is that of the socket, or of the pipe.
func (l *Listener) Path() string { return l.path }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := l.ownClient(conn); err == nil {
			return conn, nil
		}
		conn.Close() // says nothing to a stranger
	}
}

// Release ends the listener, removes its socket, and lets another process have the name. Close
// alone keeps it. It is called once at a time; a second call does nothing.
func (l *Listener) Release() error {
	if l.lock == nil {
		return nil
	}
	err := l.Close()
	l.unlink()
	lockfile.Remove(l.lock) // who has it open now finds that nobody holds it
	l.lock = nil
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// Held reports whether a process has the name of a network, also when it takes no connections.
func Held(name string) bool {
	dirs, _ := dirs() // without one nobody can have it
	for _, dir := range dirs {
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
	if err := usable(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	conn, err := dial(ctx, name)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil && !errors.Is(err, ErrNone) {
		err = fmt.Errorf("its process takes no connections: %w", ctx.Err())
	}
	return nil, fmt.Errorf("connect to network %s: %w", name, err)
}

// Names are the networks that may have a process, sorted; whether they do Dial tells.
func Names() ([]string, error) {
	if !tellsUsers {
		return nil, ErrUnsupported
	}
	dirs, err := dirs()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, dir := range dirs {
		if trusted(dir) != nil {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if name, ok := named(e); ok && CheckName(name) == nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
