//go:build unix

package netsock

import (
	"cmp"
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
)

const (
	socketSuffix = ".sock"
	// maxPath is the number of bytes of the longest path of a socket, on the system with the
	// shortest.
	maxPath = 103
)

// dirs are the directories that a socket may be in, the best first. A process and those who look
// for it may have been started with different environments: by a service manager, or in a terminal.
func dirs() ([]string, error) {
	uid := os.Geteuid()
	var all []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		all = append(all, filepath.Join(dir, "xdist"))
	}
	all = append(all, fmt.Sprintf("/run/user/%d/xdist", uid))
	for _, tmp := range []string{"/tmp", "/var/tmp"} {
		all = append(all, fmt.Sprintf("%s/xdist-%d/net", tmp, uid))
	}
	return slices.Compact(all), nil
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

// claim makes dir, which is one of dirs and is to have the socket, unless it is there.
func claim(dir, name string) error {
	if path := filepath.Join(dir, name+socketSuffix); len(path) > maxPath {
		return fmt.Errorf("%s has more than %d bytes", path, maxPath)
	}
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

// owner tells whether a socket is a listener's own.
type owner struct{ made fs.FileInfo }

// listenAt is for who has the lock.
func listenAt(dir, name string) (*Listener, error) {
	path := filepath.Join(dir, name+socketSuffix)
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
	return &Listener{Listener: ln, path: path, owner: owner{made}}, nil
}

func (l *Listener) ownClient(conn net.Conn) error { return ownPeer(conn) }

// Gone reports whether the socket is not under its name any more: nobody finds it then.
func (l *Listener) Gone() bool {
	info, err := os.Lstat(l.path)
	return err != nil || !os.SameFile(info, l.made)
}

func (l *Listener) unlink() {
	if !l.Gone() {
		os.Remove(l.path) // the next Listen does it otherwise
	}
}

func dial(ctx context.Context, name string) (net.Conn, error) {
	dirs, err := dirs()
	if err != nil {
		return nil, err
	}
	var refused error
	for _, dir := range dirs {
		conn, err := dialIn(ctx, filepath.Join(dir, name+socketSuffix))
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, err
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOTDIR):
			refused = errors.Join(refused, err)
		}
	}
	return nil, cmp.Or(refused, ErrNone)
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
	if err := ownPeer(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return conn, nil
}

// ownPeer refuses a connection to another user's process.
func ownPeer(conn net.Conn) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
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

// named is the network that has a socket of this name.
func named(e fs.DirEntry) (name string, ok bool) {
	name, ok = strings.CutSuffix(e.Name(), socketSuffix)
	return name, ok && e.Type() == fs.ModeSocket
}
