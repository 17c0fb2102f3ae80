package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// node is the controller's record of one worker. The loop owns it but for assignments, which goes
// to the node's goroutine.
type node struct {
	id       string // of the gateway
	replaces string // id of the node in whose place it is, or ""
	spec     xspec.Spec
	gw       *gateway.Gateway   // of an agent that has come by itself; nil is for one to be opened
	count    int                // gateways of the run so far
	placed   bool               // its platform is known, and target is set or about to be
	target   *target            // nil while it is not placed
	ready    bool               // the worker answered
	info     gateway.Info       // when it is ready
	builder  hostbuild.Remote   // when it is ready: nil for one that cannot build
	job      *job               // the unit it runs, or nil
	refused  uint64             // its policy's stamp when there was nothing for it, or 0
	finish   context.CancelFunc // ends the node's goroutine and so its gateway

	assignments chan wire.Assignment // holds an order and a stop at most; closed by the loop: the worker is to end
}

// job is a unit that a node runs.
type job struct {
	pkg     *pkg
	unit    policy.Unit
	errand  errand
	started time.Time
	around  attempt.Around // what was to run beside it
	made    attempt.Before // what its process runs
	first   bool           // of its package, as the plan has it: what it prints is shown as it comes

	company
	items   map[string]*itemRun // by top-level test, items that have begun
	others  map[int]*itemRun    // items of the package that are not the unit's, in a process of the whole
	latest  string              // the item that began last and is not parked
	output  []test2json.Event   // package-level output that is not shown
	profile []byte              // cover profile, in so far as it has come

	limits    map[string]bool // tests that have one of losePatience
	overdue   time.Duration   // the limit that its culprit had, or 0
	stopped   bool            // it was told to end
	signalled bool            // its process has died of a signal, and its agent may follow
	untouched bool            // its process runs the binary as go test does
	doomed    bool            // an item has begun to print a panic, or what looks like one
	excused   bool            // a test failed that is none of the unit's, and ran for the others' sake
}

// company is what ran beside a job.
type company struct {
	met  attempt.Around // the most at any time
	over bool           // more than its host has processors
}

// has reports whether item i of the package is in the unit.
func (j *job) has(i int) bool {
	_, ok := slices.BinarySearch(j.unit.Items, i)
	return ok
}

// confirms reports whether the job is there to show tests that are on trial.
func (j *job) confirms() bool { return j.made != attempt.Unit && !j.first }

// division is what the job's unit are parts of, nil for tests.
func (j *job) division() *division {
	if d, ok := j.errand.(parts); ok {
		return d.division
	}
	return nil
}

// begun are the items of the unit that have begun.
func (j *job) begun() []int {
	var items []int
	for _, i := range j.unit.Items {
		if j.items[j.pkg.names[i]] != nil {
			items = append(items, i)
		}
	}
	return items
}

// fate is what becomes of what an item says in a job.
type fate int

const (
	fateShown fate = iota // it is shown: at once, or when the item has ended
	fateHeld              // nothing more is shown before the process has ended, which decides
	fateAside             // the item is on trial, and its attempt is over
	fateAgain             // it has failed, and will run again by Config.Reruns
)

// phase is where an item is in a process.
type phase int

const (
	phaseIdle    phase = iota // between rounds, or all have ended
	phaseRunning              // in a round
	phaseParked               // in one, waiting for other parallel tests
)

// signs are lines that an item has printed.
type signs struct {
	raced   bool // its process has a data race
	matched bool // one that Reruns.Errors matches
}

// itemRun is what has come of one item in a job.
type itemRun struct {
	events   []test2json.Event // held until the item has ended, so that a run that dies with its process leaves no trace
	bytes    int
	streamed bool // events are not held: they were too many, or are wanted live
	fate     fate
	told     []byte            // the beginning of the output that was shown, of an item whose events are streamed
	before   remnant           // what an earlier attempt has shown
	shown    []test2json.Event // by this one, without output
	want     int               // rounds: -count times -cpu
	rounds   int               // terminal events so far
	verdict  event.Verdict     // of these rounds
	phase    phase
	signs
	dying   int           // 1 + the index in events of the line that may begin a panic; 0 is none
	begun   []int         // when it failed: the items of its unit that had
	process time.Duration // when it failed: for how long its process had run
	elapsed time.Duration
	watch   stopwatch
}

func (it *itemRun) open() bool   { return it.phase != phaseIdle }
func (it *itemRun) failed() bool { return it.verdict == event.Fail }
func (it *itemRun) ended() bool  { return it.rounds >= it.want && !it.open() }

// follow takes a run, pause, cont or terminal event of the item itself. When a TestMain runs its
// tests once more, or a test passes on what another process says of it, the last time counts, as
// for readers of go test -json.
func (it *itemRun) follow(e test2json.Event) {
	it.watch.observe(e.Action)
	switch e.Action {
	case test2json.ActionRun:
		it.phase = phaseRunning
		if it.rounds >= it.want {
			it.rounds, it.verdict = 0, ""
		}
	case test2json.ActionPause:
		it.phase = phaseParked
	case test2json.ActionCont:
		it.phase = phaseRunning
	case test2json.ActionPass, test2json.ActionFail, test2json.ActionSkip:
		it.phase = phaseIdle
		if it.rounds >= it.want {
			it.rounds, it.verdict = 0, ""
		}
		it.rounds++
		it.verdict = worse(it.verdict, event.Verdict(e.Action))
		if e.Elapsed != nil {
			it.elapsed += time.Duration(*e.Elapsed * float64(time.Second))
		}
	}
}

// worse is what two rounds come to: a skip only when both are.
func worse(a, b event.Verdict) event.Verdict {
	switch {
	case a == "" || b == event.Fail || a == b:
		return b
	case a == event.Fail:
		return a
	}
	return event.Pass
}

// end is how an item that has ended did so.
func (it *itemRun) end() attempt.End {
	switch {
	case it.failed():
		return it.failing()
	case it.verdict == event.Skip:
		return attempt.Skipped
	}
	return attempt.Passed
}

// failing is how an item will end of which a part has failed.
func (it *itemRun) failing() attempt.End {
	if it.raced {
		return attempt.Raced
	}
	return attempt.Failed
}

// lasted is for how long the item's process ran until it failed, or has run.
func (it *itemRun) lasted(j *job) time.Duration {
	if it == nil || it.process == 0 {
		return time.Since(j.started)
	}
	return it.process
}

// among are the items that had begun in its process when it failed, or have by now.
func (it *itemRun) among(j *job) []int {
	if it == nil || it.begun == nil {
		return j.begun()
	}
	return it.begun
}

// textBytes bounds how much of a failure's text is compared.
const textBytes = 64 << 10

// text is what the item has printed, shown or held, the beginning of it.
func (it *itemRun) text() string {
	if it == nil {
		return ""
	}
	return string(appendOutput(slices.Clip(it.told), it.events))
}

// appendOutput adds what events print to a text, as far as textBytes allow.
func appendOutput(text []byte, events []test2json.Event) []byte {
	for _, e := range events {
		if e.Action == test2json.ActionOutput && len(text) < textBytes {
			text = append(text, e.Output...)
		}
	}
	return text
}

// remnant is what an attempt at an item that came to no verdict has shown of it. In the next
// attempt the same tests do not begin again, and those that have ended are not heard of again. The
// zero value is nothing.
type remnant struct {
	begun, ended map[string]bool // by test
}

func (r remnant) has(e test2json.Event) bool {
	return r.ended[e.Test] || e.Action == test2json.ActionRun && r.begun[e.Test]
}

func remnantOf(before remnant, shown []test2json.Event) remnant {
	r := remnant{begun: make(map[string]bool), ended: make(map[string]bool)}
	maps.Copy(r.begun, before.begun)
	maps.Copy(r.ended, before.ended)
	for _, e := range shown {
		r.begun[e.Test] = true
		if e.Terminal() {
			r.ended[e.Test] = true
		}
	}
	return r
}

// What a node's goroutine posts to the loop.
type (
	nodeUp struct {
		node *node
		info gateway.Info
		link link
	}
	nodeReport struct {
		*node
		report wire.Report
	}
	// nodeDown is the last message of a node. err is nil after an orderly end.
	nodeDown struct {
		*node
		err error
	}
)

// serve is the node's goroutine: it opens the gateway, starts the worker, sends what the loop
// assigns, and posts what comes back. It ends when the worker has, and posts nodeDown then.
func (c *controller) serve(ctx context.Context, n *node) {
	c.post(nodeDown{n, c.converse(ctx, n)})
}

func (c *controller) converse(ctx context.Context, n *node) error {
	link, info, err := c.connect(ctx, n)
	if err != nil {
		return err
	}
	defer link.exit()
	c.post(nodeUp{n, info, link})

	senderc := make(chan error, 1)
	go func() {
		err := sendAll(ctx, link, n.assignments)
		if err != nil {
			n.finish() // nobody would answer
		}
		senderc <- err
	}()
	err = c.receiveAll(ctx, n, link)
	n.finish() // a sender that still waits for the loop
	if sendErr := <-senderc; sendErr != nil && !errors.Is(sendErr, context.Canceled) && (err == nil || errors.Is(err, context.Canceled)) {
		err = sendErr
	}
	return err
}

// link is the connection to one worker. send and receive are each used by one goroutine.
type link interface {
	send(context.Context, wire.Assignment) error
	receive(context.Context) (wire.Report, error) // io.EOF when the worker has ended in order
	closeSend() error                             // no more assignments: the worker is to end
	exit()                                        // ends the connection, whatever its state; does not block
}

// gatewayLink is a worker in an agent.
type gatewayLink struct {
	gw    *gateway.Gateway
	ch    *gateway.Channel
	hosts *hosts.Set // nil where all share the controller's files
	host  *hosts.Host
}

func (c *controller) connectGateway(ctx context.Context, n *node) (link, gateway.Info, error) {
	gw, err := n.gw, error(nil)
	if gw == nil {
		gw, err = c.cfg.Group.Open(ctx, n.spec)
	}
	if err != nil {
		return nil, gateway.Info{}, err
	}
	place := "" // all share the controller's files
	l := gatewayLink{gw: gw, hosts: c.hosts}
	if c.hosts != nil {
		if l.host, err = c.hosts.Join(ctx, gw); err != nil {
			gw.Exit()
			return nil, gateway.Info{}, &hosts.Error{Err: err}
		}
		place = l.host.Token
	}
	l.ch, err = gw.RemoteExec(ctx, wire.WorkerHandler, wire.Args{Env: c.workerEnv(n), Guest: c.hosts != nil && !hosts.SharesFiles(n.spec), Slot: c.slots.take(place, n.id)})
	if err != nil {
		gw.Exit()
		return nil, gateway.Info{}, err
	}
	return l, gw.Info(), nil
}

func (l gatewayLink) send(ctx context.Context, a wire.Assignment) error {
	if a.Run != nil && l.host != nil {
		placed, err := l.hosts.Place(ctx, l.gw, l.host, a)
		if err != nil {
			return &hosts.Error{Err: err}
		}
		a.Run = placed
	}
	return l.ch.Send(ctx, a)
}

func (l gatewayLink) closeSend() error { return l.ch.CloseSend() }
func (l gatewayLink) exit()            { l.gw.Exit() }

func (l gatewayLink) receive(ctx context.Context) (r wire.Report, err error) {
	err = l.ch.Receive(ctx, &r)
	return r, err
}

func sendAll(ctx context.Context, l link, assignments <-chan wire.Assignment) error {
	for {
		select {
		case a, ok := <-assignments:
			if !ok {
				return l.closeSend()
			}
			if err := l.send(ctx, a); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// receiveAll posts every report until the worker ends its side.
func (c *controller) receiveAll(ctx context.Context, n *node, l link) error {
	for {
		r, err := l.receive(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c.post(nodeReport{n, r})
	}
}

// workerEnv is what tests see of the run.
func (c *controller) workerEnv(n *node) []string {
	return []string{
		"XDIST_WORKER=" + n.id,
		fmt.Sprintf("XDIST_WORKER_COUNT=%d", n.count),
		"XDIST_TESTRUNUID=" + c.cfg.RunID,
	}
}
