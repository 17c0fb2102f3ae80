package rsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// patienceDefault is for how long an agent may neither say nor take anything before it is given up.
// It looks through its tree meanwhile, and reads the files of which it does not know the content.
const patienceDefault = 5 * time.Minute

// patienceOf is what an option stands for: 0 is the default, negative for ever.
func patienceOf(option time.Duration) time.Duration { return max(0, cmp.Or(option, patienceDefault)) }

// ErrSilent says that an agent is there, as its gateway has not ended, and does not go on with what
// it was asked for: the disk that it waits for may hang.
var ErrSilent = errors.New("the agent has neither said nor taken anything")

// line is a channel whose peer is given up when it is silent.
type line struct {
	*gateway.Channel
	patience time.Duration // of one call; 0 is for ever
}

// openLine runs a handler. patience is an option.
func openLine(ctx context.Context, gw *gateway.Gateway, handler string, args any, patience time.Duration) (line, error) {
	l := line{patience: patienceOf(patience)}
	err := l.within(ctx, func(ctx context.Context) (err error) {
		l.Channel, err = gw.RemoteExec(ctx, handler, args)
		return err
	})
	return l, err
}

// Send is Channel.Send.
func (l line) Send(ctx context.Context, v any) error {
	return l.within(ctx, func(ctx context.Context) error { return l.Channel.Send(ctx, v) })
}

// Receive is Channel.Receive.
func (l line) Receive(ctx context.Context, v any) error {
	return l.within(ctx, func(ctx context.Context) error { return l.Channel.Receive(ctx, v) })
}

// ReceiveItem is Channel.ReceiveItem.
func (l line) ReceiveItem(ctx context.Context) (it gateway.Item, err error) {
	err = l.within(ctx, func(ctx context.Context) error {
		it, err = l.Channel.ReceiveItem(ctx)
		return err
	})
	return it, err
}

// WaitClose is Channel.WaitClose.
func (l line) WaitClose(ctx context.Context) error {
	return l.within(ctx, l.Channel.WaitClose)
}

// within calls what waits for the peer.
func (l line) within(ctx context.Context, wait func(context.Context) error) error {
	if l.patience == 0 {
		return wait(ctx)
	}
	waiting, cancel := context.WithTimeoutCause(ctx, l.patience, ErrSilent)
	defer cancel()
	err := wait(waiting)
	if err != nil && errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(waiting), ErrSilent) {
		return fmt.Errorf("%w for %v", ErrSilent, l.patience)
	}
	return err
}
