package gateway

import (
	"context"
	"net"
	"sync"
	"time"
)

// socketClient is the server's end of a connection that has proved the key, and the agent that was
// started for it.
//
// It owns these goroutines while relay runs, and joins them: waitLoop, inLoop, outLoop and
// aliveLoop.
type socketClient struct {
	raw  net.Conn
	in   socketReader
	out  *socketWriter
	slow time.Duration // how long a handshake may take

	leaves bool // when ctx ends the client is told so, and nothing of how the agent ended
	cut    bool // the client hung up before the agent had ended; set when relay returns
	told   bool // the client asked for the agent's end; set when relay returns

	agent    *endpoint
	lost     func() string // why the agent's host is out of reach, or ""; nil when that cannot be
	goneOnce sync.Once
	gonec    chan struct{} // closed when the client has hung up, or breaks the protocol
	exitedc  chan struct{} // closed when the agent has ended and status is set
	outDonec chan struct{} // closed when all that the agent has sent is on its way
	status   string
}

func newSocketClient(raw, conn net.Conn, slow time.Duration) *socketClient {
	return &socketClient{
		raw: raw, slow: slow, in: newSocketReader(conn), out: &socketWriter{w: conn, limited: raw},
		gonec: make(chan struct{}), exitedc: make(chan struct{}), outDonec: make(chan struct{}),
	}
}

// refuse tells the client why it gets no agent, if it can.
func (c *socketClient) refuse(err error) { c.answer(socketAnswer{Error: err.Error()}) }

func (c *socketClient) answer(a socketAnswer) {
	if b, err := socketGreeting(socketMagic, a); err == nil {
		c.out.w.Write(b) // a client that is gone shows in the relay
	}
}

// start starts the agent and answers the request. What the agent writes to its standard error waits
// until that is done.
func (c *socketClient) start(args []string, request socketRequest) (err error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.agent, err = startProcess(args, markAgent(request.env()), socketStream{c.out, socketStderr})
	if err != nil {
		return explainStart(args[0], err)
	}
	c.answer(socketAnswer{})
	return nil
}

const (
	// aliveEvery is how often a client is written to, so that one that is gone is noticed while its
	// agent takes no input.
	aliveEvery = 2 * time.Second
	// lastWords is how long the end of an agent's data may be on the way to its client.
	lastWords = 15 * time.Second
	// lastWordsInHaste is the same for a server that is to end.
	lastWordsInHaste = time.Second
	// stallLimit is how long a client may take nothing, with its buffers full, before it is taken
	// for gone. A controller that lives reads always.
	stallLimit = time.Minute
	// interruptWait is how long an agent has from its interrupt to its end, when its client is
	// gone.
	interruptWait = time.Second
)

// relay passes bytes on until the agent has ended, and returns how it did. When the client goes
// away, or ctx ends, the agent does.
func (c *socketClient) relay(ctx context.Context, grace time.Duration) (status string) {
	var loops sync.WaitGroup
	stopc := make(chan struct{})
	loops.Go(c.waitLoop)
	loops.Go(c.inLoop)
	loops.Go(c.outLoop)
	loops.Go(func() { c.aliveLoop(stopc) })
	c.awaitEnd(ctx, min(max(grace, 0), graceAtMost))
	close(stopc)

	patience := lastWords
	if ctx.Err() != nil {
		patience = lastWordsInHaste
	}
	late := time.AfterFunc(patience, func() { c.raw.Close() }) // which inLoop notices
	defer late.Stop()
	select {
	case <-c.outDonec:
		if c.lost != nil {
			if why := c.lost(); why != "" {
				c.out.write(socketStderr, []byte(why+"\n")) // who is gone needs no telling
			}
		}
		if !c.leaves || ctx.Err() == nil {
			c.out.write(socketStatus, []byte(c.status)[:min(len(c.status), maxSocketStatus)]) // nobody else is to be told
		}
		c.awaitHangUp()
	case <-c.gonec: // or something that is not the agent holds its output
	}
	c.raw.Close()
	c.agent.conn.Close()
	loops.Wait()
	return c.status
}

// awaitHangUp lets the client read its last bytes: a connection that is closed while something
// comes in loses them.
func (c *socketClient) awaitHangUp() {
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	within(time.Second, c.gonec)
}

// awaitEnd waits for the agent's end, and brings it about when nobody needs the agent any more.
func (c *socketClient) awaitEnd(ctx context.Context, grace time.Duration) {
	select {
	case <-c.exitedc:
		return
	case <-c.gonec:
		c.cut = true
		c.raw.Close() // wakes whatever writes to it
		c.agent.conn.Close()
		if within(grace, c.exitedc) {
			return
		}
		c.agent.proc.interrupt()
		if within(interruptWait, c.exitedc) {
			return
		}
	case <-ctx.Done():
		if c.leaves {
			c.out.write(socketLeave, nil) // who is gone needs no telling
		}
		c.agent.conn.Close()
		c.agent.proc.interrupt()
		if within(grace/2, c.exitedc) {
			return
		}
	}
	c.agent.proc.kill()
	if !within(lastWordsInHaste, c.exitedc) {
		c.raw.Close() // a client that takes nothing holds the end of standard error up
	}
	<-c.exitedc
}

func (c *socketClient) gone() { c.goneOnce.Do(func() { close(c.gonec) }) }

func (c *socketClient) waitLoop() {
	c.status = c.agent.proc.wait()
	close(c.exitedc)
}

// outLoop sends what comes from the agent, and its end.
func (c *socketClient) outLoop() {
	defer close(c.outDonec)
	buf := make([]byte, socketChunk)
	for {
		n, err := c.agent.conn.Read(buf)
		if n > 0 {
			if _, err := c.out.write(socketData, buf[:n]); err != nil {
				c.gone()
				return
			}
		}
		if err != nil {
			break
		}
	}
	if _, err := c.out.write(socketEnd, nil); err != nil {
		c.gone()
	}
}

// aliveLoop writes to the client now and then.
func (c *socketClient) aliveLoop(stopc <-chan struct{}) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-stopc:
			return
		case <-tick.C:
			if _, err := c.out.write(socketAlive, nil); err != nil {
				c.gone()
				return
			}
		}
	}
}

// inLoop obeys the client until it hangs up.
func (c *socketClient) inLoop() {
	defer c.gone()
	for {
		kind, n, err := c.in.next()
		if err != nil {
			return
		}
		if kind == socketData {
			if err := c.in.copyTo(c.agent.conn, n); err != nil {
				return
			}
			continue
		}
		if n != 0 || !c.obey(kind) {
			return
		}
	}
}

// obey does what a frame without content asks for, and reports whether there is such a frame.
func (c *socketClient) obey(kind byte) bool {
	switch kind {
	case socketEnd:
		c.agent.conn.Close()
	case socketInterrupt:
		c.told = true
		c.agent.proc.interrupt()
	case socketKill:
		c.told = true
		c.agent.proc.kill()
		c.agent.conn.Close()
	default:
		return false
	}
	return true
}
