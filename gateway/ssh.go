package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/xdist-go/xdist/internal/sshclient"
	"github.com/xdist-go/xdist/xspec"
)

// sshConfigKey is the key of a spec that names a file of ssh's configuration.
const sshConfigKey = "ssh_config"

// startSSH starts an agent on a host that ssh leads to, and puts it there when it is missing.
// Gateways to one destination share connections. Errors: *PhaseError of any phase but handshake;
// another for a spec or a configuration that makes no sense.
func startSSH(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
	target, err := sshclient.ParseTarget(spec.SSH)
	if err != nil {
		return nil, err
	}
	if file, ok := spec.Lookup(sshConfigKey); ok && target.ConfigFile == "" {
		target.ConfigFile = file
	}
	host, err := cfg.hosts.ssh.Host(ctx, target)
	if err != nil {
		return nil, err
	}
	s := &sshStart{
		from: sshWay{from}, host: host, hosts: cfg.hosts, stderr: cfg.Stderr,
		key: fmt.Sprintf("via %q %s", spec.Via, host.Key()),
	}
	b := newBootstrap(cfg.hosts, s.key, host.Alias(), spec)
	return b.open(ctx, func(ctx context.Context) (*endpoint, bool, error) {
		l, err := s.run(ctx, func(c *sshclient.Client) string {
			if strings.Contains(string(c.ServerVersion()), windowsServer) {
				b.shell = powerShell()
				return powerShellCommand()
			}
			return shellCommand
		})
		return l, false, err
	})
}

// sshStart starts commands on a host.
type sshStart struct {
	from   sshWay
	host   *sshclient.Host
	hosts  *hosts
	stderr io.Writer
	key    string // tells connections that can be shared from others
}

// joinPatience is how long a session may take that joins a connection of others. A host that has
// fallen silent is asked again over a connection of its own.
const joinPatience = 5 * time.Second

// errNoAnswer is the error of a session that was given up after joinPatience.
var errNoAnswer = errors.New("the connection that it shares does not answer")

// run starts the command for a connection in a session of a shared one. It uses a new connection
// when the host allows no more on that, and when the session fails there: the connection may be
// dying. What fails on a connection of its own has failed.
func (s *sshStart) run(ctx context.Context, command func(*sshclient.Client) string) (*endpoint, error) {
	for {
		c, mine, err := s.hosts.connect(ctx, s.key, func(ctx context.Context) (*sshclient.Client, error) {
			c, err := s.hosts.ssh.Dial(ctx, s.from, s.host)
			return c, publicError(err)
		})
		if err != nil {
			return nil, s.phase(PhaseConnect, err)
		}
		l, err := s.session(ctx, c, mine, command(c.client))
		if err == nil {
			return l, nil
		}
		var refused *ssh.OpenChannelError
		again := !mine
		switch {
		case errors.As(err, &refused):
			again = c.refused()
		case again:
			c.suspect()
		}
		if !again || ctx.Err() != nil {
			return nil, s.phase(PhaseProbe, fmt.Errorf("open a session: %w", c.endOf(err)))
		}
	}
}

// session is startSession with a context, and with joinPatience where the connection is not mine.
// The share in the connection is the endpoint's, or is released: at the latest when the host has
// answered, or its silence has ended the connection.
func (s *sshStart) session(ctx context.Context, c *sshConn, mine bool, command string) (*endpoint, error) {
	patience := newTimer(0) // never fires
	if !mine {
		patience.Reset(joinPatience)
	}
	defer patience.Stop()
	startedc := make(chan started, 1)
	go func() { // ends with the host's answer, or with the connection
		l, err := c.startSession(command, s.stderr)
		startedc <- started{l, err}
	}()
	var r started
	var late error
	select {
	case r = <-startedc:
	case <-c.client.Done():
		r = c.answer(startedc)
	case <-patience.C:
		c.suspect()
		late = errNoAnswer
	case <-ctx.Done():
		late = ctx.Err()
	}
	if late == nil {
		if r.err != nil {
			c.release()
		}
		return r.l, r.err
	}
	go func() { // ends after the one above
		r := c.answer(startedc)
		if r.err != nil {
			c.release()
			return
		}
		r.l.proc.kill()
		r.l.conn.Close() // not every host has signals; a shell ends with its input
		r.l.proc.wait()
	}()
	return nil, late
}

// started is what startSession has returned.
type started struct {
	l   *endpoint
	err error
}

// answer waits for startSession, which may hang when the connection ended while it was called, see
// endsWithin.
func (c *sshConn) answer(startedc <-chan started) started {
	select {
	case r := <-startedc:
		return r
	case <-c.client.Done():
	}
	late := time.NewTimer(stderrWait)
	defer late.Stop()
	select {
	case r := <-startedc:
		return r
	case <-late.C:
		return started{nil, errors.New("the connection has ended")}
	}
}

// phase makes an error one of a phase, if it is none yet.
func (s *sshStart) phase(p Phase, err error) error {
	var phase *PhaseError
	if errors.As(err, &phase) {
		return err
	}
	return &PhaseError{Phase: p, Host: s.host.Alias(), Err: err}
}
