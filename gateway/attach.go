package gateway

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/xdist-go/xdist/xspec"
)

// Attach makes a gateway of a connection that the caller has, at the other end of which somebody
// calls Serve: a socket of another protocol, a pipe, a serial line. The gateway owns conn and
// closes it in the end, which is all that Exit and Terminate can do to the other side; conn's Close
// wakes its Read. Of spec, which may be empty, only id=, chdir=, nice= and compress= have a
// meaning. ctx bounds the handshake, as does Config.OpenTimeout. Errors: as OpenSpec; conn is
// closed then.
func (g *Group) Attach(ctx context.Context, conn io.ReadWriteCloser, spec string) (*Gateway, error) {
	gw, err := g.attach(ctx, conn, spec)
	if err != nil {
		conn.Close() // the first error says more
		return nil, fmt.Errorf("attach gateway %q: %w", spec, err)
	}
	return gw, nil
}

func (g *Group) attach(ctx context.Context, conn io.ReadWriteCloser, text string) (*Gateway, error) {
	if text == "" {
		text = "attached"
	} else {
		text = "attached//" + text
	}
	spec, err := xspec.Parse(text)
	if err != nil {
		return nil, err
	}
	spec, undo, err := g.takeID(spec)
	if err != nil {
		return nil, err
	}
	ctx, cancel := g.openTimeout(g.cfg.timed(ctx, spec.ID))
	defer cancel()
	a := &attached{ReadWriteCloser: conn, donec: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { a.Close() }) // wakes the handshake
	gw, err := g.begin(ctx, spec, &endpoint{conn: a, proc: a})
	if !stop() && err == nil {
		gw.Exit()
		<-gw.Done()
		err = ctx.Err()
	}
	if err == nil {
		err = g.enlist(gw)
	}
	if err != nil {
		undo(err)
		return nil, err
	}
	return gw, nil
}

// attached is a connection of the caller's, which stands for its process, too: that has ended when
// the connection has.
type attached struct {
	io.ReadWriteCloser
	once  sync.Once
	donec chan struct{} // closed with the connection
}

func (a *attached) over() { a.once.Do(func() { close(a.donec) }) }

// Read implements io.Reader.
func (a *attached) Read(p []byte) (int, error) {
	n, err := a.ReadWriteCloser.Read(p)
	if err != nil {
		a.over()
	}
	return n, err
}

// Close implements io.Closer.
func (a *attached) Close() error {
	a.over()
	return a.ReadWriteCloser.Close()
}

// wait implements process. Nobody knows how the other side has ended.
func (a *attached) wait() string {
	<-a.donec
	return ""
}

func (a *attached) stderr() string { return "" }
func (a *attached) interrupt()     {}
func (a *attached) kill()          { a.Close() }
