package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/xspec"
)

// startCmd starts an agent through a program that leads to a shell on some host, or to an agent.
// The program's command line is split as a shell does. Errors: *PhaseError of the phases probe,
// upload and start.
func startCmd(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
	args, err := cmdline.Split(spec.Cmd, true)
	if err == nil && len(args) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("parse command %q: %w", spec.Cmd, err)
	}
	b := newBootstrap(cfg.hosts, fmt.Sprintf("via %q cmd %q", spec.Via, spec.Cmd), spec.Cmd, spec)
	return b.open(ctx, shellOn(from, args, spec.Cmd))
}

// shellOn starts a program that leads to a shell, or to an agent.
func shellOn(from origin, args []string, host string) shellOpener {
	return func(ctx context.Context) (*endpoint, bool, error) {
		l, err := from.start(ctx, command{args: args})
		if err != nil {
			return nil, false, &PhaseError{Phase: PhaseStart, Host: host, Err: err}
		}
		return greetShell(ctx, l, host)
	}
}

// greetShell finds out whether a program is a shell, which it makes ready for its program, or an
// agent.
func greetShell(ctx context.Context, l *endpoint, host string) (_ *endpoint, isAgent bool, err error) {
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	conn := newBufferedConn(l.conn)
	word := ""
	// An agent takes the line for noise.
	_, err = io.WriteString(conn, shellLine+"\n")
	if word, err = preferRead(conn.r, err); err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		return nil, false, abandon(l, &PhaseError{Phase: PhaseProbe, Host: host, Err: err})
	}
	return &endpoint{conn: conn, proc: l.proc}, word == announcement, nil
}

// preferRead waits for an agent or a shell, and prefers what was read to the error of a write.
func preferRead(r *bufio.Reader, writeErr error) (string, error) {
	word, err := awaitOne(r, announcement, readyWord+"\n", readyWord+"\r\n")
	if err == nil {
		err = writeErr
	}
	return word, err
}
