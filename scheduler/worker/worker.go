package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Work is the agent's side of a node: it runs one unit after the other as the controller sends
// them, until the channel ends. It returns when the last unit's process is gone; cancelling ctx
// ends that process first.
//
// A second goroutine receives the assignments, so that a stop reaches a unit that runs. In the
// worker of slot 0 a third one removes what workers that were killed have left on the host. Both
// are joined before Work returns.
func Work(ctx context.Context, ch *gateway.Channel, item gateway.Item) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var args wire.Args
	if err := item.Decode(&args); err != nil {
		return fmt.Errorf("read the worker's arguments: %w", err)
	}
	if args.Guest {
		release, err := hosts.Hold(ctx, args.CacheSize)
		if err != nil {
			return err
		}
		defer release()
	}
	if args.Slot == 0 {
		var sweep sync.WaitGroup
		sweep.Go(func() { hosts.SweepWorkDirs(ctx) })
		defer sweep.Wait()
	}
	portBase, release := holdPorts(args.Slot)
	defer release()
	w := &worker{
		ch:     ch,
		env:    slices.Concat(os.Environ(), args.Env, slotEnv(args.Slot, portBase)),
		orders: make(chan *wire.Order),
		stopc:  make(chan struct{}),
	}
	defer w.dir.Close() // a later sweep removes what stays
	defer ch.OnSuspend(func(suspended bool) {
		if suspended {
			w.control.Hold()
		} else {
			w.control.GoOn()
		}
	})()
	receiverc := make(chan error, 1)
	go func() {
		err := w.receive(ctx)
		close(w.orders)
		if err != nil {
			cancel(err)
		}
		receiverc <- err
	}()
	err := w.run(ctx)
	cancel(err)
	if receiveErr := <-receiverc; err == nil {
		err = receiveErr
	}
	return err
}

type worker struct {
	ch     *gateway.Channel
	env    []string
	dir    hosts.WorkDir    // used by run
	orders chan *wire.Order // closed by the receiver
	stopc  chan struct{}    // closed by the receiver: end the unit that runs, start no other

	control unit.Control // of the unit that runs, and of later ones
}

// receive hands assignments to run until the controller closes the channel.
func (w *worker) receive(ctx context.Context) error {
	stopped := false
	for {
		var a wire.Assignment
		err := w.ch.Receive(ctx, &a)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case a.Run != nil:
			select {
			case w.orders <- a.Run:
			case <-ctx.Done():
				return ctx.Err()
			}
		case a.Quit:
			w.control.Quit()
		case a.Stop && !stopped:
			stopped = true
			close(w.stopc)
		}
	}
}

func (w *worker) run(ctx context.Context) error {
	for o := range w.orders {
		result, err := w.unit(ctx, o)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(result.Profile, wire.ProfilePart) {
			if err := w.ch.Send(ctx, wire.Report{Profile: part}); err != nil {
				return err
			}
		}
		result.Profile = nil
		if err := w.ch.Send(ctx, wire.Report{Result: &result}); err != nil {
			return err
		}
	}
	return nil
}

// unit runs one order and streams its events. An error is one of the channel: the process has been
// ended then.
func (w *worker) unit(workCtx context.Context, o *wire.Order) (unit.Result, error) {
	ctx, cancel := context.WithCancel(workCtx) // of the process
	watcher := make(chan struct{})
	go func() {
		defer close(watcher)
		select {
		case <-w.stopc:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(); <-watcher }()

	var sendErr error
	binary, err := w.dir.Binary(o.Binary)
	if err != nil {
		sendErr = w.ch.Send(workCtx, wire.Report{Warning: err.Error()})
	}
	w.control.Pause(ctx, o.Delay)
	if o.Limit > 0 {
		defer w.control.AfterFunc(o.Limit, cancel)()
	}
	result := unit.Run(ctx, unit.Unit{
		Package: o.Package, Binary: binary, Args: o.Args, Exec: o.Exec, Dir: o.Dir,
		Env: append(w.env[:len(w.env):len(w.env)], o.Env...), Names: o.Names, Part: o.Part,
		Timeout: o.Timeout, CoverProfile: o.CoverProfile, CoverMeta: o.CoverMeta, Streamed: o.Streamed,
		TestTimeout: o.TestTimeout, TestTimeouts: o.TestTimeouts,
		Control: &w.control,
		Damaged: func() bool { return w.dir.Damaged(ctx, o.Binary) },
	}, func(events []test2json.Event) {
		if sendErr != nil {
			return
		}
		// Not the unit's ctx: what a stopped unit has printed still counts.
		if sendErr = w.ch.Send(workCtx, wire.Report{Events: events}); sendErr != nil {
			cancel()
		}
	})
	return result, sendErr
}
