package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gateway/keyed"
	"github.com/xdist-go/xdist/xspec"
)

// dialSocket connects to a SocketServer, which starts the agent.
func dialSocket(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
	if in, ok := from.(installOrigin); ok {
		return in.dialInstalled(ctx, spec, cfg)
	}
	host, _, err := net.SplitHostPort(spec.Socket)
	if err != nil {
		return nil, &PhaseError{Phase: PhaseResolve, Host: spec.Socket, Err: errors.New("an address is HOST:PORT, and [HOST]:PORT for IPv6")}
	}
	d := socketDial{host: host, keyName: spec.Key, env: spec.Env}
	d.program = newAgentProgram(cfg.hosts, fmt.Sprintf("via %q socket %q for %s/%s", spec.Via, spec.Socket, spec.GOOS, spec.GOARCH), spec)
	switch {
	case spec.Key != "":
		if d.keyName, err = keyFile(spec.Key); err == nil {
			d.key, err = keyed.Read(d.keyName)
		}
		if err != nil {
			return nil, &PhaseError{Phase: PhaseAuth, Host: host, Err: err}
		}
	case !isLoopback(host):
		return nil, &PhaseError{Phase: PhaseAuth, Host: host, Err: errors.New(
			`a socket on another host needs key=FILE: make the file with "xdist keygen FILE", copy it to the host, and start "xdist serve --listen ADDRESS --key FILE" there`)}
	}
	return d.connect(ctx, from, spec.Socket, cfg)
}

// keyFile is the name of the key file that a spec means: ~/ is the user's home directory, as no
// shell expands it there.
func keyFile(name string) (string, error) {
	rest, ok := strings.CutPrefix(name, "~/")
	if !ok {
		return name, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find key %s: %w", name, err)
	}
	return filepath.Join(home, rest), nil
}

// isLoopback reports whether a host can only be the machine itself. No name is looked up.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// socketDial is how to make use of a server that is connected to.
type socketDial struct {
	host    string    // for messages
	key     keyed.Key // the zero value is none
	keyName string    // the file it is from, for messages; empty when it is from none
	env     []xspec.Var
	program *agentProgram // nil is the server's own
}

// connect dials, has both sides prove the key, and has the server start an agent.
func (d socketDial) connect(ctx context.Context, from origin, addr string, cfg Config) (*endpoint, error) {
	raw, err := from.dialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	lap(ctx, PhaseConnect)
	stop := context.AfterFunc(ctx, func() { raw.Close() }) // wakes the reads and writes below
	c, phase, err := d.introduce(ctx, raw, cfg)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		return nil, &PhaseError{Phase: phase, Host: d.host, Err: err}
	}
	go c.readLoop()
	return &endpoint{conn: c, proc: c}, nil
}

// introduce proves the key and sends the request. On an error phase says how far it came.
func (d socketDial) introduce(ctx context.Context, raw net.Conn, cfg Config) (c *socketConn, phase Phase, err error) {
	conn := raw
	if !d.key.IsZero() {
		proven, err := d.key.Client(ctx, raw)
		if err != nil {
			phase, err := d.refused(err)
			return nil, phase, err
		}
		lap(ctx, PhaseHostKey)
		conn = proven
	}
	o := &agentOrder{raw: raw, conn: conn, in: newSocketReader(conn), request: newSocketRequest(d.env, cfg), program: d.program}
	if err := o.place(ctx, o.repeat); err != nil {
		phase := o.phase
		if o.silent {
			phase, err = d.unanswered(err)
		}
		return nil, phase, err
	}
	return newSocketConn(raw, conn, o.in, cfg.Stderr), "", nil
}

// refused explains why the proof of the key failed on this side.
func (d socketDial) refused(err error) (Phase, error) {
	var noTLS tls.RecordHeaderError
	switch {
	case errors.Is(err, keyed.ErrPeer):
		return PhaseHostKey, fmt.Errorf("the server does not have the key of %s (fingerprint %s): compare that file with the one that the server was started with: %w", d.keyOf(), d.key.Fingerprint(), err)
	case errors.As(err, &noTLS):
		return PhaseHostKey, fmt.Errorf("what listens there is not a server with a key (xdist serve --key FILE): %w", err)
	case strings.Contains(err.Error(), "remote error: tls:"): // crypto/tls does not export its alerts
		return PhaseAuth, fmt.Errorf("the server refuses: %w", err)
	}
	return PhaseHostKey, err
}

// unanswered explains why no answer came to the request.
func (d socketDial) unanswered(err error) (Phase, error) {
	var version *VersionError
	switch {
	case errors.As(err, &version):
		return PhaseHandshake, err
	case errors.Is(err, ErrProtocol):
		return PhaseHandshake, fmt.Errorf("what listens there is not an xdist server: %w", err)
	case d.key.IsZero():
		return PhaseAuth, fmt.Errorf("the server ended the connection; it may want a key (key=FILE): %w", err)
	case strings.Contains(err.Error(), "remote error: tls:"):
		return PhaseAuth, fmt.Errorf("the server does not accept the key of %s (fingerprint %s): %w", d.keyOf(), d.key.Fingerprint(), err)
	}
	return PhaseHandshake, err
}

func (d socketDial) keyOf() string {
	if d.keyName == "" {
		return "this run"
	}
	return d.keyName
}

const (
	// socketCloseWait is how long a connection that is closed may take to say so, before it is cut.
	socketCloseWait = 300 * time.Millisecond
	// socketKillWait is how long a server may take to kill an agent, the way there and back
	// included.
	socketKillWait = time.Second
)

var errNoStatus = fmt.Errorf("%w: status is too long", ErrProtocol)

// readStatus reads the content of a status frame.
func readStatus(r io.Reader, n int64) (string, error) {
	if n > maxSocketStatus {
		return "", errNoStatus
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return string(b), err
}
