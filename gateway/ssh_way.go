package gateway

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"

	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/internal/sshclient"
)

// sshWay lets ssh begin its connections at an origin.
type sshWay struct{ from origin }

var _ sshclient.Origin = sshWay{}

// DialTCP implements sshclient.Origin.
func (w sshWay) DialTCP(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := w.from.dialTCP(ctx, addr)
	if e, ok := errors.AsType[*PhaseError](err); ok {
		return nil, &sshclient.Error{Phase: sshclient.Phase(e.Phase), Host: e.Host, Status: e.Status, Stderr: e.Stderr, Err: e.Err}
	}
	return conn, err
}

// RunProxy implements sshclient.Origin.
func (w sshWay) RunProxy(ctx context.Context, line string) (net.Conn, error) {
	args, err := proxyShell(w.from, line)
	if err != nil {
		return nil, err
	}
	l, err := w.from.start(ctx, command{args: args})
	if err != nil {
		return nil, err
	}
	return &commandConn{endpoint: l}, nil
}

// proxyShell is what runs a ProxyCommand: the user's shell, as for ssh, and on other hosts any.
func proxyShell(from origin, line string) ([]string, error) {
	shell := "sh"
	if _, local := from.(localOrigin); local {
		if runtime.GOOS == "windows" { // where ssh asks no shell either
			return cmdline.Split(line, false)
		}
		if own := os.Getenv("SHELL"); own != "" {
			shell = own
		}
	}
	return []string{shell, "-c", "exec " + line}, nil
}

// publicError makes a *PhaseError of an error of ssh's.
func publicError(err error) error {
	if e, ok := errors.AsType[*sshclient.Error](err); ok {
		return &PhaseError{Phase: Phase(e.Phase), Host: e.Host, Status: e.Status, Stderr: e.Stderr, Err: e.Err}
	}
	return err
}

// passedSSH tells Config.Trace of a phase.
func passedSSH(ctx context.Context, p sshclient.Phase) { lap(ctx, Phase(p)) }
