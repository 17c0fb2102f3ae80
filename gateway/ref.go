package gateway

import (
	"context"
	"errors"
	"fmt"
)

// Ref names a channel in an item, so that one side can hand a channel to the other: what
// Channel.Ref returns is sent as, or inside, an item over any channel of the same gateway, and
// Resolve turns it into the other end there. A Ref has no meaning in another gateway. The zero Ref
// names nothing.
type Ref struct {
	_     struct{} `cbor:",toarray"`
	Nonce uint64   // of the connection
	ID    uint32   // of the stream
}

// Ref returns the reference to c.
func (c *Channel) Ref() Ref { return Ref{Nonce: c.session.nonce, ID: c.id} }

// NewChannel opens another channel in c's gateway. The caller ends it.
func (c *Channel) NewChannel(ctx context.Context) (*Channel, error) {
	d, err := c.session.newChannel(ctx, "", nil)
	if err != nil {
		return nil, fmt.Errorf("open channel beside %s: %w", c, err)
	}
	return d, nil
}

// Resolve returns this side's end of a channel that the other side sent a reference to; a reference
// that comes back gives the very channel that it was taken from. It waits until the channel is
// there, which is at once unless the peer made the reference up. The end of the channel is shared
// by all who resolve it: with the context of a handler or call, the channel ends with that, and
// with the last of them where several have resolved it. One that has ended before anybody resolved
// it can be resolved still, unless many others came after it. Errors: ctx's; that the reference is
// of another gateway or of a channel that has ended; ErrExited, *LostError.
func (c *Channel) Resolve(ctx context.Context, ref Ref) (*Channel, error) {
	return c.session.resolveFor(ctx, ref)
}

// resolveFor is resolve for the handler that ctx may be of.
func (n *session) resolveFor(ctx context.Context, ref Ref) (*Channel, error) {
	c, err := n.resolve(ctx, ref)
	if err == nil {
		n.adopt(ctx, c)
	}
	return c, err
}

func (n *session) resolve(ctx context.Context, ref Ref) (*Channel, error) {
	if ref.Nonce != n.nonce {
		return nil, fmt.Errorf("resolve channel %d: it is of another gateway than %s", ref.ID, n.name)
	}
	for {
		n.mu.Lock()
		c := n.claim(ref.ID)
		changed := n.acceptedc
		past := !n.side.foreign(ref.ID) || ref.ID <= n.accepted
		n.mu.Unlock()
		if c != nil {
			return c, nil
		}
		if past {
			return nil, fmt.Errorf("resolve channel %s/%d: %w", n.name, ref.ID, errNoChannel)
		}
		select {
		case <-changed:
		case <-n.explainedc:
			return nil, n.err
		case <-ctx.Done():
			return nil, fmt.Errorf("resolve channel %s/%d: %w", n.name, ref.ID, ctx.Err())
		}
	}
}

var errNoChannel = errors.New("channel has ended, or never was")
