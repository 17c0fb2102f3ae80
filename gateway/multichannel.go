package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// MultiChannel treats channels, most often the same handler's on many gateways, as one. It has no
// goroutine and no buffer of its own: what is not received fills the channel that it came on. A
// channel can be a member of one MultiChannel only. The members are never changed.
type MultiChannel struct {
	members []*Channel
	wakec   chan struct{} // capacity 1, never closed: some member has something
	turnc   chan turn     // capacity 1: holds the state of Receive while nobody polls
}

// turn is the state of Receive.
type turn struct {
	next  int          // member to look at first, so that none starves
	ended map[int]bool // members whose end was received
}

// NewMultiChannel returns a MultiChannel of the channels in the given order, which it does not own.
func NewMultiChannel(channels ...*Channel) *MultiChannel {
	m := &MultiChannel{
		members: slices.Clone(channels),
		wakec:   make(chan struct{}, 1),
		turnc:   make(chan turn, 1),
	}
	m.turnc <- turn{ended: make(map[int]bool)}
	for _, c := range m.members {
		c.mu.Lock()
		c.watcherc = m.wakec
		c.mu.Unlock()
	}
	wake(m.wakec) // something may have arrived already
	return m
}

// Members returns the channels in order.
func (m *MultiChannel) Members() iter.Seq[*Channel] { return slices.Values(m.members) }

// Len returns the number of members.
func (m *MultiChannel) Len() int { return len(m.members) }

// SendEach sends v to each member in order. It goes on after a failure, and returns all of them
// joined.
func (m *MultiChannel) SendEach(ctx context.Context, v any) error {
	it, err := NewItem(v)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range m.members {
		errs = append(errs, c.Send(ctx, it))
	}
	return errors.Join(errs...)
}

// ReceiveEach receives one item from each member, in order.
func (m *MultiChannel) ReceiveEach(ctx context.Context) ([]Item, error) {
	items := make([]Item, 0, len(m.members))
	for _, c := range m.members {
		it, err := c.ReceiveItem(ctx)
		if err != nil {
			return items, fmt.Errorf("receive from member %s: %w", c, err)
		}
		items = append(items, it)
	}
	return items, nil
}

// Receive returns the next item from any member. The end of a member is returned exactly once,
// after its last item, as its channel with a nil item and the error: io.EOF, *RemoteError or
// *LostError. After the last end, and with ctx's end, the channel is nil: the error is io.EOF or
// ctx's.
func (m *MultiChannel) Receive(ctx context.Context) (*Channel, Item, error) {
	for {
		c, it, err := m.poll()
		if c != nil || err != nil {
			return c, it, err
		}
		select {
		case <-m.wakec:
		case <-ctx.Done():
			if c, it, err := m.poll(); c != nil || err != nil {
				return c, it, err
			}
			return nil, nil, fmt.Errorf("receive from %d channels: %w", len(m.members), ctx.Err())
		}
	}
}

func (m *MultiChannel) poll() (*Channel, Item, error) {
	t := <-m.turnc
	defer func() { m.turnc <- t }()
	for range m.members {
		i := t.next
		t.next = (t.next + 1) % len(m.members)
		if t.ended[i] {
			continue
		}
		c := m.members[i]
		it, ok, err := c.poll()
		if err != nil {
			t.ended[i] = true
		}
		if ok || err != nil {
			wake(m.wakec) // there may be more, for this or another caller
			return c, it, err
		}
	}
	if len(t.ended) == len(m.members) {
		wake(m.wakec)
		return nil, nil, io.EOF
	}
	return nil, nil, nil
}

// WaitClose waits for the ends of all members, and returns their errors joined; see
// Channel.WaitClose.
func (m *MultiChannel) WaitClose(ctx context.Context) error {
	var errs []error
	for _, c := range m.members {
		if err := c.WaitClose(ctx); err != nil {
			errs = append(errs, fmt.Errorf("member %s: %w", c, err))
		}
	}
	return errors.Join(errs...)
}

// Close closes all members.
func (m *MultiChannel) Close() error {
	var errs []error
	for _, c := range m.members {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
