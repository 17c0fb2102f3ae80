package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// dropAtMost is how many bytes for a peer that has closed its channel are dropped: far more
	// than are on the way when it closes.
	dropAtMost = 16 << 20
	// lastSaid is how long Join may then take to carry what that peer had said before.
	lastSaid = 2 * time.Second
)

// Join carries items between two channels, of different gateways or of one, in both directions, as
// they are, until both directions have ended: so the agents of two gateways talk to each other. The
// end of one direction is passed on by CloseSend, and what a peer does not want any more is
// dropped, up to 16 MiB: who sends more to one that has closed its channel gets an error that names
// it and wraps ErrClosed. An error, by which a peer or a gateway ended its channel, closes the
// other channel with it and is returned, as that one is. When ctx ends both are closed. Join owns
// the receiving side of both, and closes them in the end.
func Join(ctx context.Context, a, b *Channel) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errc := make(chan error, 2)
	for _, way := range [][2]*Channel{{a, b}, {b, a}} {
		go func() { // ends with the direction, and both are received below
			errc <- carry(ctx, way[0], way[1])
		}()
	}
	err := <-errc
	switch {
	case errors.Is(err, ErrClosed):
		stop := time.AfterFunc(lastSaid, cancel)
		defer stop.Stop()
	case err != nil:
		cancel() // the other direction is of no use
	}
	second := <-errc
	if err == nil {
		err = second
	}
	if cause := context.Cause(ctx); err == nil && cause != nil {
		err = cause
	}
	a.CloseWith(err) // fails for a handler's own channel alone, which its return closes
	b.CloseWith(err)
	return err
}

// carry is one direction of Join.
func carry(ctx context.Context, from, to *Channel) error {
	dropped := 0
	for {
		it, err := from.ReceiveItem(ctx)
		if errors.Is(err, io.EOF) {
			return to.CloseSend()
		}
		if err == nil {
			if err = to.Send(ctx, it); errors.Is(err, ErrClosed) {
				if dropped += len(it); dropped <= dropAtMost {
					err = nil
				} else {
					err = fmt.Errorf("more than %d bytes from channel %s were for one that has ended: %w", dropAtMost, from, err)
				}
			}
			from.Recycle(it)
		}
		if err != nil {
			return err
		}
	}
}
