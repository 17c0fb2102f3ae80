package netns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/integration/sshd"
)

// World is the controller's network and the hosts in it. Its methods are not for concurrent use,
// but those of its hosts and their cables are.
type World struct {
	dir        string   // for ssh's files
	network    *os.File // the controller's namespace
	authorized string   // the public key that hosts let in
	key        string   // file
	hide       []string
	hosts      []*Host
}

// Supported returns nil where worlds can be made, and else why they cannot.
func Supported() error {
	if os.Geteuid() != 0 {
		return errors.New("namespaces with devices and mounts need root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("a cable needs a TUN device: %w", err)
	}
	if _, err := sshServer(); err != nil {
		return err
	}
	network, err := newNetwork()
	if err != nil {
		return err
	}
	return network.Close()
}

// sshServer is the path of sshd, which must be absolute for it to start itself.
func sshServer() (string, error) {
	for _, name := range []string{"/usr/sbin/sshd", "/usr/bin/sshd"} {
		if _, err := os.Stat(name); err == nil {
			return name, nil
		}
	}
	return "", errors.New("there is no sshd here (Debian has it in openssh-server)")
}

// Open makes a world without a host. Keys and ssh's configuration are written to dir, which exists.
// The toolchain and the caches of the go command are hidden from all hosts; ctx bounds asking it
// for them.
func Open(ctx context.Context, dir string) (*World, error) {
	if err := Supported(); err != nil {
		return nil, fmt.Errorf("open world: %w", err)
	}
	hide, err := goDirs(ctx)
	if err != nil {
		return nil, fmt.Errorf("open world: %w", err)
	}
	w := &World{dir: dir, hide: hide, key: filepath.Join(dir, "user_key")}
	public, err := sshd.NewKey(w.key, "")
	if err != nil {
		return nil, fmt.Errorf("open world: %w", err)
	}
	w.authorized = string(ssh.MarshalAuthorizedKey(public))
	if w.network, err = newNetwork(); err != nil {
		return nil, fmt.Errorf("open world: %w", err)
	}
	return w, nil
}

// Close ends the hosts and all that runs on them, and takes everything away but the files in the
// directory that Open was given. Commands that Start has started go on, without a network.
func (w *World) Close() error {
	var errs []error
	for _, h := range w.hosts {
		errs = append(errs, h.close())
	}
	return errors.Join(append(errs, w.network.Close())...)
}

// Start is cmd.Start in the controller's network. A program that the machine's network is needed
// for is run without it.
func (w *World) Start(cmd *exec.Cmd) error { return inside(w.network, cmd.Start) }

// address is where a host is (2), or the controller on the cable to it (1).
func address(host, end int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 99, byte(host), byte(end)})
}

// newNetwork makes a network namespace that has nothing but a loopback device. It is gone when the
// file is closed and nobody is in it.
func newNetwork() (*os.File, error) {
	var network *os.File
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		if err := configure("lo", netip.Addr{}); err != nil {
			return err
		}
		var err error
		network, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return network, err
}

// inside calls f in a network namespace.
func inside(network *os.File, f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// onThread calls f on a thread that nothing else will run on.
func onThread(f func() error) error {
	errc := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		errc <- f()
	}()
	return <-errc
}
