package sshclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config is what a Dialer needs of its owner. The zero value has nobody to ask and to warn.
type Config struct {
	// Logger is warned of lines of the configuration that are passed over, and of host keys that
	// are trusted without a proof, each once. Nil is for nobody.
	Logger *slog.Logger
	// Prompt asks the user, for passwords and passphrases; echo says whether the answer may be seen
	// while it is typed. It may block. It is not called concurrently. Nil means that there is
	// nobody to ask: then only keys are offered, and of those with a passphrase what an agent has.
	Prompt func(question string, echo bool) (string, error)
	// Passed is told of each phase that has ended well, on the way to each host. ctx is that of
	// Dial. It must not block, and is called concurrently by concurrent calls of Dial. Nil is for
	// nobody.
	Passed func(ctx context.Context, p Phase)
}

// Dialer finds out how hosts are reached and connects to them. It remembers what the
// configuration says of them, and the passwords and passphrases that were right, for as long as it
// lives. Its methods may be called concurrently.
type Dialer struct {
	passed  func(context.Context, Phase)
	lookup  lookup
	secrets secrets
}

// NewDialer returns a Dialer that knows nothing yet. It needs no end.
func NewDialer(cfg Config) *Dialer {
	return &Dialer{
		passed:  cfg.Passed,
		lookup:  lookup{logger: cfg.Logger},
		secrets: secrets{ask: cfg.Prompt, keys: make(map[string]ssh.Signer), passwords: make(map[string]string)},
	}
}

// Host says how to reach the target. It reads the files of the configuration, or asks ssh, which
// has 30 s for each host on the way. A target is looked up once, and then remembered; meanwhile
// others who ask for it wait. Errors: ctx's, and those of a configuration that cannot be read or
// makes no sense, which are not remembered.
func (d *Dialer) Host(ctx context.Context, t Target) (*Host, error) {
	h, err := d.lookup.host(ctx, t)
	if err != nil {
		return nil, err
	}
	return &h, nil
}

// lap says that a phase has ended well.
func (d *Dialer) lap(ctx context.Context, p Phase) {
	if d.passed != nil {
		d.passed(ctx, p)
	}
}

// Dial connects to the host through its jump hosts, or by its ProxyCommand, beginning at from. It
// blocks until the host has let this side in, and may ask the user meanwhile. ctx bounds the call
// and not the connection, which the caller closes. Each call makes connections of its own, to jump
// hosts too. Every error is an *Error, with ctx's in it where that has ended a handshake.
func (d *Dialer) Dial(ctx context.Context, from Origin, h *Host) (*Client, error) {
	dial := from.DialTCP
	var jumps []*Client
	hops := append(h.jumps[:len(h.jumps):len(h.jumps)], *h)
	for i := range hops {
		hop := &hops[i]
		if hop.command != "" { // the first, since a host behind others has none
			dial = func(ctx context.Context, _ string) (net.Conn, error) { return runProxy(ctx, from, hop) }
		}
		c, err := d.hop(ctx, dial, hop)
		if err != nil {
			closeAll(jumps)
			return nil, err
		}
		if i == len(hops)-1 {
			c.jumps = jumps
			return c, nil
		}
		jumps = append(jumps, c)
		dial = c.dialTCP
	}
	panic("BUG: no host to dial")
}

// hop connects to one host on the way, with dial for its address.
func (d *Dialer) hop(ctx context.Context, dial func(context.Context, string) (net.Conn, error), h *Host) (*Client, error) {
	conn, err := dialHop(ctx, dial, h)
	if err != nil {
		return nil, err
	}
	d.lap(ctx, PhaseConnect)
	c, failed := d.shake(ctx, conn, h)
	if failed != nil {
		if program, ok := conn.(Explainer); ok {
			failed.Status, failed.Stderr = program.Explain()
		}
		return nil, failed
	}
	return c, nil
}

// runProxy starts the ProxyCommand of a host.
func runProxy(ctx context.Context, from Origin, h *Host) (net.Conn, error) {
	conn, err := from.RunProxy(ctx, h.command)
	if err != nil {
		return nil, &Error{Phase: PhaseConnect, Host: h.alias, Err: fmt.Errorf("run ProxyCommand %q: %w", h.command, err)}
	}
	return conn, nil
}

// dialHop connects to the address of a host. Its error names the host as the user does.
func dialHop(ctx context.Context, dial func(context.Context, string) (net.Conn, error), h *Host) (net.Conn, error) {
	if h.connectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.connectTimeout)
		defer cancel()
	}
	conn, err := dial(ctx, h.addr())
	var phase *Error
	if err != nil && !errors.As(err, &phase) {
		err = &Error{Phase: PhaseConnect, Host: h.alias, Err: err}
	}
	return conn, err
}

// shake takes conn through the handshake and authentication. It closes conn when that fails.
func (d *Dialer) shake(ctx context.Context, conn net.Conn, h *Host) (*Client, *Error) {
	keys := loadHostKeys(h, &d.lookup)
	auth := &authenticator{ctx: ctx, host: h, secrets: &d.secrets}
	defer auth.close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // wakes the handshake
	defer stop()
	var late atomic.Bool
	if h.connectTimeout > 0 { // authentication may take as long as somebody types
		keys.patience = time.AfterFunc(h.connectTimeout, func() {
			late.Store(true)
			conn.Close()
		})
		defer keys.patience.Stop()
	}
	inner, chans, reqs, err := ssh.NewClientConn(conn, h.addr(), &ssh.ClientConfig{
		User: h.user, Auth: auth.methods(), HostKeyAlgorithms: keys.algorithms(),
		ClientVersion: "SSH-2.0-xdist",
		HostKeyCallback: func(name string, addr net.Addr, key ssh.PublicKey) error {
			err := keys.check(name, addr, key)
			if err == nil {
				d.lap(ctx, PhaseHostKey)
			}
			return err
		},
	})
	if !stop() && err == nil {
		inner.Close()
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if late.Load() {
			err = fmt.Errorf("no answer within ConnectTimeout: %w: %w", context.DeadlineExceeded, err)
		}
		return nil, handshakeError(ctx, err, h, keys, auth)
	}
	d.lap(ctx, PhaseAuth)
	auth.succeeded()
	c := &Client{Client: ssh.NewClient(inner, chans, reqs), donec: make(chan struct{})}
	c.tasks.Go(func() {
		c.Wait() // how it ended is seen by those who use it
		close(c.donec)
	})
	if h.aliveInterval > 0 {
		c.tasks.Go(func() { c.keepAlive(h.aliveInterval, h.aliveCount) })
	}
	return c, nil
}

// handshakeError finds the phase in which the handshake has failed.
func handshakeError(ctx context.Context, err error, h *Host, keys *hostKeys, auth *authenticator) *Error {
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	e := &Error{Phase: PhaseConnect, Host: h.alias, Err: err}
	var none *ssh.AlgorithmNegotiationError
	switch {
	case keys.err != nil:
		e.Phase, e.Err = PhaseHostKey, keys.err
	case keys.checked && ctx.Err() != nil: // nobody was denied anything
		e.Phase = PhaseAuth
	case keys.checked:
		e.Phase, e.Err = PhaseAuth, auth.denied(err)
	case errors.As(err, &none) && none.What == "host key" && len(keys.algorithms()) > 0:
		e.Phase, e.Err = PhaseHostKey, keys.noneKnown(none)
	}
	return e
}
