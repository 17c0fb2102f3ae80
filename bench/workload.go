package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/xspec"
)

// workload says how much each side of the gateway comparison does.
type workload struct {
	Starts    int `json:"starts"`    // of a gateway
	Trips     int `json:"trips"`     // there and back of a small item
	Items     int `json:"items"`     // small ones in a stream
	Blocks    int `json:"blocks"`    // large ones in a stream
	BlockSize int `json:"blockSize"` // bytes
	Scripts   int `json:"scripts"`   // sources that are run
	InFlight  int `json:"inFlight"`  // calls that wait at the same time; only our side has them
}

// fullWorkload takes about a second on each side.
var fullWorkload = workload{Starts: 10, Trips: 10_000, Items: 100_000, Blocks: 300, BlockSize: 1_000_000, Scripts: 2_000, InFlight: 10_000}

// bulkWorkload moves blocks and next to nothing else, so that processor time is theirs.
var bulkWorkload = workload{Starts: 1, Trips: 1, Items: 1, Blocks: 400, BlockSize: 1_000_000, Scripts: 1}

// measured is what a side found out. Out is from the controller to the agent, in the other way
// round; each stream ends when its last item was received and, on the way out, that was
// acknowledged.
type measured struct {
	Start    float64 `json:"start"`    // seconds from nothing to the first answer of a function, the median
	Trip     float64 `json:"trip"`     // seconds
	ItemsOut float64 `json:"itemsOut"` // per second
	ItemsIn  float64 `json:"itemsIn"`
	BytesOut float64 `json:"bytesOut"` // per second
	BytesIn  float64 `json:"bytesIn"`
	// Script is the mean time from a source text to the first item that it sends, in seconds.
	Script float64 `json:"script"`
	// Call is the mean time of a call, and Source the median from a Go source that was compiled
	// before to the first item that it sends, in seconds. Only our side has them.
	Call   float64 `json:"call"`
	Source float64 `json:"source"`
	// InFlight and InFlightThere are what the calls that wait take of memory in all, here and in
	// the agent, in bytes. Only our side has them.
	InFlight      float64 `json:"inFlight"`
	InFlightThere float64 `json:"inFlightThere"`
	// Tool is Start with the xdist executable as the agent, up to its first status. Only our side
	// has it.
	Tool float64 `json:"tool"`
	// CPU is the processor time of the side and its agents in seconds, as their parent saw it.
	CPU float64 `json:"-"`
}

// handlers are what the agents of the comparison offer; execnet_peer.py has the same.
func handlers() gateway.Handlers {
	return gateway.Handlers{"answer": answer, "echo": echo, "sink": sink, "numbers": numbers, "blocks": blocks, rsync.Handler: rsync.Receive}
}

// oneMore is the function of calls, as echo is that of a channel.
var oneMore = gateway.Func("one more", func(_ context.Context, n int) (int, error) { return n + 1, nil })

// waiting is the function of calls in flight, memory tells what the process takes.
var (
	released = make(chan struct{})
	waiting  = gateway.Func("wait", func(ctx context.Context, _ int) (int, error) {
		select {
		case <-released:
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	releasing = gateway.Func("release", func(context.Context, int) (int, error) { close(released); return 0, nil })
	taken     = gateway.Func("memory", func(context.Context, int) (float64, error) { return memoryInUse(), nil })
)

// memoryInUse is what this process has from the system and has not given back, in bytes, after a
// collection of garbage.
func memoryInUse() float64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys - m.HeapReleased)
}

// measureInFlight has so many calls wait at the same time, in a gateway of their own.
func measureInFlight(ctx context.Context, cfg gateway.Config, calls int, m *measured) (err error) {
	cfg.MaxCalls = calls + 2 // and those that ask
	g := gateway.NewGroup(cfg)
	defer func() { err = errors.Join(err, g.Terminate(context.WithoutCancel(ctx), time.Second)) }()
	gw, err := g.Open(ctx, "popen")
	if err != nil {
		return err
	}
	there := func() float64 {
		n, callErr := taken.Call(ctx, gw, 0)
		err = errors.Join(err, callErr)
		return n
	}
	before, beforeThere := memoryInUse(), there()
	futures := make([]*gateway.Future[int], calls)
	for i := range futures {
		futures[i] = waiting.Go(ctx, gw, 0)
	}
	// What is asked last is answered when all before it have come.
	m.InFlightThere = there() - beforeThere
	m.InFlight = memoryInUse() - before
	_, callErr := releasing.Call(ctx, gw, 0)
	err = errors.Join(err, callErr)
	for _, f := range futures {
		if n, callErr := f.Wait(ctx); callErr != nil || n != 1 {
			return errors.Join(err, fmt.Errorf("a call in flight gave %d: %w", n, callErr))
		}
	}
	return err
}

func answer(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error { return ch.Send(ctx, 1) }

func echo(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
	for n, err := range gateway.All[int](ctx, ch) {
		if err != nil {
			return err
		}
		if err := ch.Send(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func sink(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var count int
	if err := args.Decode(&count); err != nil {
		return err
	}
	if err := ch.Send(ctx, 0); err != nil {
		return err
	}
	for range count {
		if err := take(ctx, ch); err != nil {
			return err
		}
	}
	return ch.Send(ctx, 0)
}

// take receives a number or a block, in the way that is meant for each.
func take(ctx context.Context, ch *gateway.Channel) error {
	it, err := ch.ReceiveItem(ctx)
	if err != nil {
		return err
	}
	if _, err := it.Bytes(); err == nil {
		ch.Recycle(it) // as Python does by itself with what nobody keeps
		return nil
	}
	var n int
	return it.Decode(&n)
}

func numbers(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var count int
	if err := args.Decode(&count); err != nil {
		return err
	}
	var start int
	if err := ch.Receive(ctx, &start); err != nil {
		return err
	}
	for i := range count {
		if err := ch.Send(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func blocks(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var w workload
	if err := args.Decode(&w); err != nil {
		return err
	}
	block := make([]byte, w.BlockSize)
	var start int
	if err := ch.Receive(ctx, &start); err != nil {
		return err
	}
	for range w.Blocks {
		if err := ch.Send(ctx, block); err != nil {
			return err
		}
	}
	return nil
}

// measure is our side. Config.Command of own starts agents with handlers, that of tool the agent of
// xdist. Without a python there are no scripts.
func measure(ctx context.Context, w workload, own, tool gateway.Config, python string) (m measured, err error) {
	if m.Start, err = measureStart(ctx, own, w.Starts, firstAnswer); err != nil {
		return m, err
	}
	if m.Tool, err = measureStart(ctx, tool, w.Starts, firstStatus); err != nil {
		return m, err
	}
	group := gateway.NewGroup(own)
	defer func() {
		if e := group.Terminate(ctx, 0); err == nil {
			err = e
		}
	}()
	gw, err := group.OpenSpec(ctx, xspec.Spec{})
	if err != nil {
		return m, err
	}
	if m.Trip, err = measureTrip(ctx, gw, w.Trips); err != nil {
		return m, err
	}
	if m.Call, err = measureCall(ctx, gw, w.Trips); err != nil { // next to what it is compared with
		return m, err
	}
	if err := measureStreams(ctx, gw, w, &m); err != nil {
		return m, err
	}
	if err := measureCode(ctx, gw, w, python, &m); err != nil {
		return m, err
	}
	return m, measureInFlight(ctx, own, w.InFlight, &m)
}

// measureCall returns the mean time of a call, in seconds.
func measureCall(ctx context.Context, gw *gateway.Gateway, calls int) (float64, error) {
	return mean(calls, func(i int) error {
		n, err := oneMore.Call(ctx, gw, i)
		if err == nil && n != i+1 {
			err = fmt.Errorf("one more than %d is %d", i, n)
		}
		return err
	})
}

// measureCode measures sources.
func measureCode(ctx context.Context, gw *gateway.Gateway, w workload, python string, m *measured) (err error) {
	if m.Script, err = measureScript(ctx, gw, w, python); err != nil {
		return err
	}
	if w.Starts < 2 {
		return nil // and nothing was compiled before
	}
	var taken sample
	for i := range w.Starts {
		start := time.Now()
		if err := firstItem(gw.RunSource(ctx, answeringSource, nil))(ctx); err != nil {
			return err
		}
		if i > 0 {
			taken = append(taken, time.Since(start).Seconds())
		}
	}
	m.Source = taken.median()
	return nil
}

// measureScript is what execnet does with the same source.
func measureScript(ctx context.Context, gw *gateway.Gateway, w workload, python string) (float64, error) {
	if python == "" {
		return 0, nil
	}
	return mean(w.Scripts, func(int) error {
		return firstItem(gw.RunScript(ctx, python, "channel.send(1)", nil))(ctx)
	})
}

// answeringSource is answer as a source.
const answeringSource = `package answer

import (
	"context"

	"github.com/xdist-go/xdist/gateway"
)

func Remote(ctx context.Context, ch *gateway.Channel) error { return ch.Send(ctx, 1) }
`

// firstItem receives what a source sends first.
func firstItem(ch *gateway.Channel, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		var n int
		return ch.Receive(ctx, &n)
	}
}

// mean returns the mean time of an action, in seconds, after some that are not counted.
func mean(times int, action func(i int) error) (float64, error) {
	for i := range max(1, times/10) {
		if err := action(i); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for i := range times {
		if err := action(i); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds() / float64(times), nil
}

// firstAnswer is the end of a start: the result of a function that ran in the agent.
func firstAnswer(ctx context.Context, gw *gateway.Gateway) error {
	ch, err := gw.RemoteExec(ctx, "answer", nil)
	if err != nil {
		return err
	}
	var n int
	return ch.Receive(ctx, &n)
}

func firstStatus(ctx context.Context, gw *gateway.Gateway) error {
	_, err := gw.Status(ctx)
	return err
}

// measureStart opens gateways one after the other and returns the median time to the first sign of
// life, in seconds.
func measureStart(ctx context.Context, cfg gateway.Config, starts int, alive func(context.Context, *gateway.Gateway) error) (float64, error) {
	var taken sample
	for range starts {
		group := gateway.NewGroup(cfg)
		start := time.Now()
		gw, err := group.OpenSpec(ctx, xspec.Spec{})
		if err == nil {
			err = alive(ctx, gw)
		}
		taken = append(taken, time.Since(start).Seconds())
		if e := group.Terminate(ctx, 0); err == nil {
			err = e
		}
		if err != nil {
			return 0, fmt.Errorf("measure the start of a gateway: %w", err)
		}
	}
	return taken.median(), nil
}

// measureTrip returns the mean time there and back of a small item, in seconds, after some that are
// not counted.
func measureTrip(ctx context.Context, gw *gateway.Gateway, trips int) (float64, error) {
	ch, err := gw.RemoteExec(ctx, "echo", nil)
	if err != nil {
		return 0, err
	}
	defer ch.Close() // never fails for a channel of our own
	trip := func(times int) error {
		for i := range times {
			var n int
			if err := ch.Send(ctx, i); err != nil {
				return err
			}
			if err := ch.Receive(ctx, &n); err != nil {
				return err
			}
		}
		return nil
	}
	if err := trip(trips / 10); err != nil {
		return 0, err
	}
	start := time.Now()
	err = trip(trips)
	return time.Since(start).Seconds() / float64(trips), err
}

func measureStreams(ctx context.Context, gw *gateway.Gateway, w workload, m *measured) error {
	ints := make([]any, w.Items)
	for i := range ints {
		ints[i] = i
	}
	var err error
	if m.ItemsOut, err = measureOut(ctx, gw, ints); err != nil {
		return err
	}
	if m.ItemsIn, err = measureIn(ctx, gw, "numbers", w.Items, w.Items); err != nil {
		return err
	}
	if m.BytesOut, err = measureOut(ctx, gw, slices.Repeat([]any{make([]byte, w.BlockSize)}, w.Blocks)); err != nil {
		return err
	}
	m.BytesOut *= float64(w.BlockSize)
	m.BytesIn, err = measureIn(ctx, gw, "blocks", w, w.Blocks)
	m.BytesIn *= float64(w.BlockSize)
	return err
}

// measureOut sends items to an agent that takes and counts them, and returns how many went in a
// second.
func measureOut(ctx context.Context, gw *gateway.Gateway, items []any) (float64, error) {
	ch, err := gw.RemoteExec(ctx, "sink", len(items))
	if err != nil {
		return 0, err
	}
	var ack int
	if err := ch.Receive(ctx, &ack); err != nil {
		return 0, err
	}
	start := time.Now()
	for _, v := range items {
		if err := ch.Send(ctx, v); err != nil {
			return 0, err
		}
	}
	err = ch.Receive(ctx, &ack)
	return float64(len(items)) / time.Since(start).Seconds(), err
}

// measureIn receives what a handler sends, and returns how many items came in a second.
func measureIn(ctx context.Context, gw *gateway.Gateway, handler string, args any, count int) (float64, error) {
	ch, err := gw.RemoteExec(ctx, handler, args)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := ch.Send(ctx, 0); err != nil {
		return 0, err
	}
	for range count {
		if err := take(ctx, ch); err != nil {
			return 0, err
		}
	}
	return float64(count) / time.Since(start).Seconds(), nil
}
