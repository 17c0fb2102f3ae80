package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	controlSuspend controlKind = 6 // controller: I am about to be stopped, and silent; to be answered by controlStatus
	controlResume  controlKind = 7 // controller: I go on
)

// controlMessage is an item of the control channel.
type controlMessage struct {
	Kind      controlKind `cbor:"1,keyasint"`
	Question  uint64      `cbor:"2,keyasint,omitempty"` // controlAsk, controlStatus: which belong together
	Executing int         `cbor:"3,keyasint,omitempty"` // controlStatus
	Channels  int         `cbor:"4,keyasint,omitempty"` // controlStatus
	Running   []Running   `cbor:"5,keyasint,omitempty"` // controlStatus
	Limit     int64       `cbor:"6,keyasint,omitempty"` // controlSuspend: milliseconds of silence
}

// Status is what an agent is busy with.
type Status struct {
	Executing int       // handlers and calls that run
	Channels  int       // channels that are open, those of the handlers included
	Running   []Running // the handlers and calls that have run for the longest time, at most 100
}

// Running is a handler or call that an agent runs.
type Running struct {
	Name string        `cbor:"1,keyasint"`
	Age  time.Duration `cbor:"2,keyasint"` // since it began
}

// mostRunning is how many are told of in a Status.
const mostRunning = 100

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
	case n.side == agentSide && msg.Kind == controlSuspend:
		n.suspended.set(time.Duration(max(0, min(msg.Limit, SuspendLimit.Milliseconds()))) * time.Millisecond)
		return n.control.Send(n.ending, controlMessage{Kind: controlStatus, Question: msg.Question})
	case n.side == agentSide && msg.Kind == controlResume:
		n.suspended.set(0)
	case n.side == agentSide && msg.Kind == controlAsk:
		st := n.status()
		answer := controlMessage{Kind: controlStatus, Question: msg.Question, Executing: st.Executing, Channels: st.Channels, Running: st.Running}
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
	running := slices.SortedFunc(maps.Keys(n.executing), func(a, b *runningCall) int { return a.since.Compare(b.since) })
	st := Status{Executing: len(running), Channels: len(n.channels)}
	for _, r := range running[:min(len(running), mostRunning)] {
		st.Running = append(st.Running, Running{r.name, time.Since(r.since)})
	}
	return st
}

// ask asks the peer for its status.
func (n *session) ask(ctx context.Context) (Status, error) {
	return n.question(ctx, controlMessage{Kind: controlAsk})
}

// question sends what is answered by a status.
func (n *session) question(ctx context.Context, msg controlMessage) (Status, error) {
	if err := n.gone(); err != nil {
		return Status{}, err
	}
	number, answerc := n.expect()
	msg.Question = number
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.asked, number)
	}()
	if err := n.control.Send(ctx, msg); err != nil {
		return Status{}, err
	}
	return n.answer(ctx, answerc)
}

// expect returns the number of a question, and what its answer comes on.
func (n *session) expect() (number uint64, answerc chan Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.questions++
	answerc = make(chan Status, 1)
	n.asked[n.questions] = answerc
	return n.questions, answerc
}

// answer waits for what comes on answerc.
func (n *session) answer(ctx context.Context, answerc <-chan Status) (Status, error) {
	select {
	case st := <-answerc:
		return st, nil
	default:
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
		answerc <- Status{Executing: msg.Executing, Channels: msg.Channels, Running: msg.Running}
		close(answerc) // two may wait for the answer to Suspend
		delete(n.asked, msg.Question)
	}
}

// leaseChecks is how often within a lease it is looked whether the peer has said anything. A peer
// is given up at the latest when 1 + 1/leaseChecks leases have gone by since it was heard of last.
const leaseChecks = 4

// beatLoop sends the controller's beats, and ends the session when the peer has been silent for the
// lease. Any byte from the peer is a sign of life, because a beat may be stuck behind much data.
// While the controller is suspended it expects nothing itself, and its agent nothing but its word
// that it goes on, for as long as it may be.
func (n *session) beatLoop() {
	beat := newTimer(n.beat)
	defer beat.Stop()
	lease := newTimer(n.lease)
	defer lease.Stop()
	check := newTimer(n.lease / leaseChecks)
	defer check.Stop()
	received := n.mux.received()
	limit := time.Duration(0) // of the suspension; 0 is none
	for {
		select {
		case <-n.ending.Done():
			return
		case <-n.suspended.changedc:
			limit = n.suspended.limit()
			received = n.mux.received()
			beat.Stop()
			check.Stop()
			lease.Stop()
			switch {
			case limit == 0:
				if n.side == controllerSide {
					n.tell(controlMessage{Kind: controlBeat})
				}
				restart(beat, n.beat)
				restart(check, n.lease/leaseChecks)
				restart(lease, n.lease)
			case n.side == agentSide && n.lease > 0:
				lease.Reset(limit)
			}
		case <-beat.C:
			if n.side == controllerSide {
				n.tell(controlMessage{Kind: controlBeat})
			}
			beat.Reset(n.beat)
		case <-n.renewc:
			received = n.mux.received()
			if n.lease > 0 && limit == 0 {
				lease.Reset(n.lease)
			}
		case <-check.C:
			if now := n.mux.received(); now != received {
				received = now
				lease.Reset(n.lease)
			}
			check.Reset(n.lease / leaseChecks)
		case <-lease.C:
			if limit > 0 {
				n.end(fmt.Errorf("%w: its controller was suspended for longer than %v", ErrLease, limit))
				return
			}
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

// restart is Reset for a timer that never fires for a duration that is not positive.
func restart(t *time.Timer, d time.Duration) {
	if d > 0 {
		t.Reset(d)
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
