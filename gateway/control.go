package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// controlKind is the kind of a message on the control channel. PROTOCOL.md has the table.
type controlKind uint8

const (
	controlBeat    controlKind = 1 // controller: I live; to be answered
	controlEcho    controlKind = 2 // agent: answer to controlBeat
	controlAsk     controlKind = 3 // controller: what is your status?
	controlStatus  controlKind = 4 // agent: answer to controlAsk
	controlGoodbye controlKind = 5 // controller: stop the handlers and end
)

// controlMessage is an item of the control channel.
type controlMessage struct {
	Kind      controlKind `cbor:"1,keyasint"`
	Question  uint64      `cbor:"2,keyasint,omitempty"` // controlAsk, controlStatus: which belong together
	Executing int         `cbor:"3,keyasint,omitempty"` // controlStatus
	Channels  int         `cbor:"4,keyasint,omitempty"` // controlStatus
}

// Status is what an agent is busy with.
type Status struct {
	Executing int // handlers that run
	Channels  int // channels that are open, those of the handlers included
}

// controlLoop handles what the peer says on the control channel until it ends.
func (n *session) controlLoop() {
	for {
		var msg controlMessage
		if err := n.control.Receive(n.ending, &msg); err != nil {
			n.end(fmt.Errorf("control channel ended: %w", err))
			return
		}
		wake(n.renewc)
		if err := n.handleControl(msg); err != nil {
			n.end(err)
			return
		}
	}
}

func (n *session) handleControl(msg controlMessage) error {
	switch {
	case n.side == agentSide && msg.Kind == controlBeat:
		n.tell(controlMessage{Kind: controlEcho})
	case n.side == agentSide && msg.Kind == controlAsk:
		st := n.status()
		answer := controlMessage{Kind: controlStatus, Question: msg.Question, Executing: st.Executing, Channels: st.Channels}
		return n.control.Send(n.ending, answer)
	case n.side == agentSide && msg.Kind == controlGoodbye:
		n.byeOnce.Do(func() { close(n.byec) })
	case n.side == controllerSide && msg.Kind == controlEcho:
	case n.side == controllerSide && msg.Kind == controlStatus:
		n.answered(msg)
	default:
		return fmt.Errorf("%w: control message of kind %d", ErrProtocol, msg.Kind)
	}
	return nil
}

// tell sends a control message unless so many wait already that the peer cannot be reading; it
// never blocks.
func (n *session) tell(msg controlMessage) {
	c := n.control
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sendErr == nil && c.outSize < smallFrame {
		c.enqueueControl(frameItem, msg)
	}
}

// status counts this side's handlers and channels.
func (n *session) status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Status{Executing: n.executing, Channels: len(n.channels)}
}

// ask asks the peer for its status.
func (n *session) ask(ctx context.Context) (Status, error) {
	if err := n.gone(); err != nil {
		return Status{}, err
	}
	answerc := make(chan Status, 1)
	n.mu.Lock()
	n.question++
	question := n.question
	n.asked[question] = answerc
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.asked, question)
	}()
	if err := n.control.Send(ctx, controlMessage{Kind: controlAsk, Question: question}); err != nil {
		return Status{}, err
	}
	select {
	case st := <-answerc:
		return st, nil
	case <-n.explainedc:
		return Status{}, n.err
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

// answered hands an answer to who asked, if it still waits.
func (n *session) answered(msg controlMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if answerc := n.asked[msg.Question]; answerc != nil {
		answerc <- Status{Executing: msg.Executing, Channels: msg.Channels}
		delete(n.asked, msg.Question)
	}
}

// leaseChecks is how often within a lease it is looked whether the peer has said anything. A peer
// is given up at the latest when 1 + 1/leaseChecks leases have gone by since it was heard of last.
const leaseChecks = 4

// beatLoop sends the controller's beats, and ends the session when the peer has been silent for the
// lease. Any byte from the peer is a sign of life, because a beat may be stuck behind much data.
func (n *session) beatLoop() {
	beat := newTimer(n.beat)
	defer beat.Stop()
	lease := newTimer(n.lease)
	defer lease.Stop()
	check := newTimer(n.lease / leaseChecks)
	defer check.Stop()
	received := n.mux.received()
	for {
		select {
		case <-n.ending.Done():
			return
		case <-beat.C:
			if n.side == controllerSide {
				n.tell(controlMessage{Kind: controlBeat})
			}
			beat.Reset(n.beat)
		case <-n.renewc:
			received = n.mux.received()
			if n.lease > 0 {
				lease.Reset(n.lease)
			}
		case <-check.C:
			if now := n.mux.received(); now != received {
				received = now
				lease.Reset(n.lease)
			}
			check.Reset(n.lease / leaseChecks)
		case <-lease.C:
			if now := n.mux.received(); now != received { // since the last check
				received = now
				lease.Reset(n.lease)
				continue
			}
			n.end(fmt.Errorf("%w for %v", ErrLease, n.lease))
			return
		}
	}
}

// within waits until c is closed, no longer than d, and reports whether it is.
func within(d time.Duration, c <-chan struct{}) bool {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-c:
		return true
	case <-late.C:
		return false
	}
}

// newTimer is time.NewTimer, and never fires for a duration that is not positive.
func newTimer(d time.Duration) *time.Timer {
	if d <= 0 {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTimer(d)
}

var errGoodbye = errors.New("controller said goodbye")
