package gateway

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// ServeStdio is Serve over the standard input and output that the process was started with; it is
// all that the agent's program has to call, and as early as it can, unless it calls Main. Before
// anything else it moves the protocol away from there: from then on standard input is empty, and
// standard output goes where standard error goes, so that nothing a handler prints or reads can
// disturb the protocol. A broken standard error does not end the process. The caller should end the
// process when ServeStdio returns, whatever handlers may be left.
func ServeStdio(ctx context.Context, handlers Handlers) error {
	served.Store(true)
	os.Unsetenv(agentMark.Name) // fails for no name that is valid
	conn, err := takeStdio()
	if err != nil {
		return fmt.Errorf("serve on standard input and output: %w", err)
	}
	// The signal is caught and not ignored, because ignoring it would be inherited by what handlers
	// start.
	brokenPipes := make(chan os.Signal, 1)
	catchBrokenPipes(brokenPipes)
	defer signal.Stop(brokenPipes)
	if _, err := io.WriteString(conn, announcement); err != nil {
		conn.Close()
		return fmt.Errorf("serve on standard input and output: %w", err)
	}
	return Serve(ctx, conn, handlers)
}

// stdioConn is the connection over two files.
type stdioConn struct{ in, out *os.File }

var _ io.ReadWriteCloser = (*stdioConn)(nil)

func (c *stdioConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *stdioConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// Close closes both files.
func (c *stdioConn) Close() error {
	err := c.out.Close()
	if inErr := c.in.Close(); err == nil {
		err = inErr
	}
	return err
}
