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
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// node is the controller's record of one worker. The loop owns it but for assignments, which goes to the node's goroutine.
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
	probe    *probe             // what it runs to verify failures, or nil
	finish   context.CancelFunc // ends the node's goroutine and so its gateway

	assignments chan wire.Assignment // holds an order and a stop at most; closed by the loop: the worker is to end
}

// job is a unit that a node runs.
type job struct {
	pkg      *pkg
	unit     policy.Unit
	started  time.Time
	alone    bool             // no other unit of its package ran at any time while it did
	crowded  bool             // something ran beside it on a host with more gateways than processors
	stopped  bool             // it was told to end
	recorded *history.UnitRun // what is replayed, or nil
	division *division        // whose parts the unit is, or nil
	wide     bool             // its process runs more of the package than the unit, to see the unit's items among the others
	entire   bool             // its process runs all of the package
	bare     bool             // its process lacks the tests that items of it have failed among

	provisional bool // what it shows is not booked before its end
	rejected    bool // nothing that it shows counts
	excused     bool // a test failed that is none of the unit's, and ran for the others' sake

	reopened  bool            // an item of it runs again
	overdue   time.Duration   // the limit that its culprit had, or 0
	limits    map[string]bool // tests that have one of losePatience
	impatient bool            // that was what ended it

	items   map[string]*itemRun // by top-level test, items that have begun
	latest  string              // the item that began last and is not parked
	output  []test2json.Event   // package-level output of a unit that is not the whole package
	profile []byte              // cover profile, in so far as it has come
}

// has reports whether item i of the package is in the unit.
func (j *job) has(i int) bool {
	_, ok := slices.BinarySearch(j.unit.Items, i)
	return ok
}

// itemRun is what has come of one item in a job.
type itemRun struct {
	events   []test2json.Event // held until the item has ended, so that a run that dies with its process leaves no trace
	bytes    int
	streamed bool              // events are not held: they were too many, or are wanted live
	before   remnant           // what an earlier attempt has shown
	shown    []test2json.Event // by this one, without output
	rounds   int               // terminal events so far: -count times -cpu makes several
	failed   bool
	skipped  bool
	held     bool // nothing more is shown until it has ended: it will fail, and that may not count
	doubted  bool // it has failed, and that does not count
	deferred bool // it has ended well, and that is not booked yet
	again    bool // it has failed, and will run again by Config.Reruns
	matched  bool // it has printed a line that Reruns.Errors matches
	raced    bool // it has printed that its process has a data race
	open     bool // it has begun a round and not ended it
	parked   bool // it waits for other parallel tests
	elapsed  time.Duration
	watch    stopwatch
}

// follow takes a run, pause, cont or terminal event of the item itself.
func (it *itemRun) follow(e test2json.Event) {
	it.watch.observe(e.Action)
	switch e.Action {
	case test2json.ActionRun:
		it.open, it.parked = true, false
	case test2json.ActionPause:
		it.parked = true
	case test2json.ActionCont:
		it.parked = false
	case test2json.ActionPass, test2json.ActionFail, test2json.ActionSkip:
		it.open = false
		it.rounds++
		it.failed = it.failed || e.Action == test2json.ActionFail
		it.skipped = e.Action == test2json.ActionSkip && (it.rounds == 1 || it.skipped)
		if e.Elapsed != nil {
			it.elapsed += time.Duration(*e.Elapsed * float64(time.Second))
		}
	}
}

// remnant is what an attempt at an item that came to no verdict has shown of it. In the next attempt the same tests do not begin
// again, and those that have ended are not heard of again. The zero value is nothing.
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

// serve is the node's goroutine: it opens the gateway, starts the worker, sends what the loop assigns, and posts what
// comes back. It ends when the worker has, and posts nodeDown then.
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
