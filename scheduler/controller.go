package scheduler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// controller is the loop of one run. The goroutine that calls Run owns every field but inbox and
// loopDone.
//
// Other goroutines, all joined before Run returns: one for each platform's Source, one per node,
// one per door. They know the loop by post alone.
type controller struct {
	cfg      Config
	ledger   *ledger
	pkgs     []*pkg
	targets  []*target
	supplies []*supply
	several  bool             // the specs name more than one platform
	nodes    map[string]*node // those whose goroutine runs
	idle     []*node          // those that are ready and have no unit, the one that became so first at the front
	restart  int              // nodes that were replaced

	last string // the node that ended last, and why

	replay *replay // nil when there is none

	listen    func(context.Context, xspec.Spec) (door, error)
	doors     []door
	listening int              // doors through which somebody may come
	count     int              // gateways that were named or have come
	enough    bool             // as many as Config.MinNodes were there at once
	lack      error            // what the run waits for, or nil
	late      <-chan time.Time // set while it waits
	slots     slots
	proof     time.Duration     // what all of a package may take for its whole to be run however it was split
	busy      map[string]*crowd // by host
	warned    map[string]bool   // what workers have said of their hosts, by text

	hosts    *hosts.Set               // nil when all gateways share the controller's files
	stores   stores                   // of the hosts that do not
	sizeOf   func(gotest.Ready) int64 // of a binary; nil is 0
	connect  func(context.Context, *node) (link, gateway.Info, error)
	inbox    chan any      // never closed
	loopDone chan struct{} // closed by Run when nobody reads inbox any more
	wait     sync.WaitGroup

	ctx       context.Context // of the nodes
	endNodes  context.CancelCauseFunc
	sourceCtx context.Context
	endSource context.CancelCauseFunc

	start       time.Time
	stopped     string // why the run ends early, or ""
	ending      bool   // what ran when it stopped was told to end
	interrupted bool
	failures    int
	failed      int // packages
	buildFailed int
	fatal       error // ends the run: it is xdist's failure and not the suite's
	reportErr   error // the first one of the reporter, or of -coverprofile

	profile     *cover.Writer // -coverprofile, or nil
	profileFile *os.File
}

// sourceEvent and sourceDone come from the goroutine of a Source.
type (
	sourceEvent struct {
		*supply
		gotest.BuildEvent
	}
	sourceDone struct {
		*supply
		err error
	}
)

// Run runs the suite that cfg.Source lists and returns its account. Cancelling ctx interrupts the
// run: what runs is ended, everything that has no verdict is counted as not run, and the reports
// are completed. A second signal is the caller's business, who may end the process at any time:
// agents follow their controller.
//
// The error says that xdist itself failed (no gateway could be opened, the go command is missing, a
// report could not be written); failing tests are in the Summary only.
func Run(ctx context.Context, cfg Config) (event.Summary, error) {
	c := newController(cfg)
	c.connect, c.listen = c.connectGateway, c.listenGateway
	return c.run(ctx)
}

func newController(cfg Config) *controller {
	c := &controller{
		cfg:      cfg.withDefaults(),
		ledger:   newLedger(),
		proof:    proofTime,
		nodes:    make(map[string]*node),
		busy:     make(map[string]*crowd),
		warned:   make(map[string]bool),
		stores:   newStores(),
		inbox:    make(chan any),
		loopDone: make(chan struct{}),
		start:    time.Now(),
	}
	if cfg.Replay != nil {
		c.replay = newReplay()
	}
	return c
}

func (c *controller) run(ctx context.Context) (event.Summary, error) {
	cfg := c.cfg
	// Not ctx itself: an interrupted run still hears what its nodes have to say.
	base := context.WithoutCancel(ctx)
	c.ctx, c.endNodes = context.WithCancelCause(base)
	c.sourceCtx, c.endSource = context.WithCancelCause(base)

	proxies, err := c.allocate(cfg.Proxies)
	if err != nil {
		return event.Summary{}, err
	}
	named, doors := splitDoors(cfg.Specs)
	specs, err := c.allocate(named)
	if err != nil {
		return event.Summary{}, err
	}
	if err := c.openProfile(); err != nil {
		return event.Summary{}, err
	}
	started := cfg.Started
	started.Time, started.RunID, started.Dist = c.start, cfg.RunID, string(cfg.Dist)
	for _, s := range cfg.Specs {
		started.Specs = append(started.Specs, s.String())
	}
	c.emit(started)

	for _, w := range cfg.Warnings {
		c.emit(event.Warning{Text: w})
	}
	if cfg.Mirror != nil {
		c.hosts = hosts.New(cfg.Mirror, specs, cfg.RunDir, c.post)
		c.sizeOf = binarySize
	}
	c.count = len(specs)
	c.openDoors(doors)
	if c.stopped == "" {
		c.openProxies(proxies)
		c.openAll(specs)
	}
	c.loop(ctx)
	return c.finish()
}

// allocate gives every spec its id, so that two that want the same one are an error before anything
// has started.
func (c *controller) allocate(specs []xspec.Spec) ([]xspec.Spec, error) {
	allocated := make([]xspec.Spec, len(specs))
	for i, s := range specs {
		var err error
		if allocated[i], err = c.cfg.Group.Allocate(s); err != nil {
			return nil, fmt.Errorf("open gateway %s: %w", s, err)
		}
	}
	return allocated, nil
}

// open starts a node for spec, which has its id. Without a target it has to be placed.
func (c *controller) open(spec xspec.Spec, t *target) *node {
	return c.begin(&node{id: spec.ID, spec: spec, target: t})
}

// begin starts the goroutine of a node.
func (c *controller) begin(n *node) *node {
	ctx, finish := context.WithCancel(c.ctx)
	n.finish, n.assignments, n.count = finish, make(chan wire.Assignment, 2), c.count
	c.nodes[n.id] = n
	if n.target != nil {
		n.placed = true
		n.target.nodes++
	}
	c.wait.Go(func() { c.serve(ctx, n) })
	return n
}

// post gives the loop a message, or drops it when the run is over.
func (c *controller) post(m any) {
	select {
	case c.inbox <- m:
	case <-c.loopDone:
	}
}

// loop handles messages until every item has its verdict and every package is closed.
func (c *controller) loop(ctx context.Context) {
	done := ctx.Done()
	var patience, slow <-chan time.Time // patience is set when units were told to end
	if watch := c.watchSlow(); watch != nil {
		defer watch.Stop()
		slow = watch.C
	}
	c.await()
	for over := c.over(); !over; {
		stopped := c.stopped
		select {
		case m := <-c.inbox:
			c.handle(m)
			if eventsOnly(m) && c.stopped == stopped {
				continue
			}
		case <-done:
			done = nil
			c.interrupted = true
			c.stop("interrupted")
		case <-slow:
			c.tellSlow()
		case <-patience:
			c.endNodes(errors.New("its unit did not end in time"))
		case <-c.late:
			c.giveUp()
		}
		if c.ending && patience == nil {
			patience = time.After(c.cfg.TerminateTimeout)
		}
		c.await()
		c.dispatch()
		over = c.over()
	}
}

// eventsOnly reports whether a message is what tests say while they run. That comes far more often
// than all else, and neither gives other nodes something to do nor ends the run.
func eventsOnly(m any) bool {
	r, ok := m.(nodeReport)
	return ok && r.report.Result == nil
}

func (c *controller) handle(m any) {
	switch m := m.(type) {
	case sourceEvent:
		c.handleSource(m.supply, m.BuildEvent)
	case sourceDone:
		c.handleSourceDone(m.supply, m.err)
	case nodeUp:
		c.up(m.node, m.info, m.link)
	case nodeReport:
		c.handleReport(m.node, m.report)
	case builderLost:
		c.handleBuilderLost(m)
	case hosts.BinaryFound:
		c.handleFound(m)
	case hosts.BinariesListed:
		c.handleListed(m)
	case proxyFailed:
		c.handleProxyFailed(m.err)
	case arrival:
		c.admit(m)
	case doorFailed:
		c.handleDoorFailed(m.err)
	case probed:
		c.endProbing(m.pkg)
	case heldResult:
		if m.node.job == m.job {
			c.handleResult(m.node, m.result)
		}
	case nodeDown:
		c.handleDown(m.node, m.err)
	default:
		panic(fmt.Sprintf("BUG: controller got a %T", m))
	}
}

// over reports whether the loop has nothing to wait for.
func (c *controller) over() bool {
	for _, s := range c.supplies {
		if !s.done {
			return false
		}
	}
	if c.stopped == "" && c.undecided() {
		return false // what they have to run is not known
	}
	for _, n := range c.nodes {
		if n.job != nil {
			return false
		}
	}
	for _, p := range c.pkgs {
		if p.state != pkgClosed {
			return false
		}
	}
	return true
}

// dispatch gives every node without a unit something to do.
func (c *controller) dispatch() {
	if c.stopped != "" || !c.enough {
		return
	}
	if c.replay != nil {
		c.dispatchReplay()
		return
	}
	if !slices.ContainsFunc(c.targets, func(t *target) bool { return t.policy.Waiting() }) {
		return
	}
	idle := c.idle[:0]
	for _, n := range c.idle {
		if p := n.target.policy; p.Waiting() && (n.refused == 0 || n.refused != p.Stamp()) {
			if u, ok := p.Next(policy.NodeID(n.id)); ok {
				n.refused = 0
				c.assign(n, u, c.errandOf(u))
				continue
			}
			n.refused = p.Stamp()
		}
		idle = append(idle, n)
	}
	clear(c.idle[len(idle):])
	c.idle = idle
	for _, t := range c.targets {
		c.refuse(t)
	}
}

// stop ends the run early: nothing more is given out, what runs is ended, what is left is not run.
func (c *controller) stop(reason string) {
	c.revoke(reason)
	if c.ending {
		return
	}
	c.ending = true
	for _, n := range c.nodes {
		if n.job != nil && n.ready {
			n.job.stopped = true
			n.assignments <- wire.Assignment{Stop: true} // has room: an order and a stop
		}
	}
}

// revoke ends the run when what runs has ended: nothing more is given out, and what is left is not
// run.
func (c *controller) revoke(reason string) {
	if c.stopped != "" {
		return
	}
	c.stopped = reason
	c.endSource(errors.New(reason))
	c.replay.revoke()
	for _, t := range c.targets {
		t.policy.Revoke()
	}
	c.abandon(reason)
}

// abandon gives up what no node will run: every item of a package that has no unit in flight.
func (c *controller) abandon(reason string) {
	for _, p := range c.pkgs {
		if p.state == pkgClosed || len(p.jobs) > 0 {
			continue
		}
		c.settleRest(p, reason)
		c.close(p)
	}
}

// settleRest books every item of p that has no verdict as not run, which is no pass for the package
// unless the run was stopped. What a test on trial has said counts now.
func (c *controller) settleRest(p *pkg, reason string) {
	for i, v := range p.verdicts {
		if v != "" || c.settleSetback(p, i) {
			continue
		} else if t := p.trials[i]; t != nil && t.said.verdict != "" {
			p.failed = p.failed || t.said.verdict != event.Pass && t.said.verdict != event.Skip
			c.settleSaid(p, i, t.said)
		} else {
			p.failed = p.failed || c.stopped == ""
			c.ledger.settle(p, i, event.NotRun, 0, "", reason)
		}
	}
}

// finish ends the nodes, makes the account and the last event.
func (c *controller) finish() (event.Summary, error) {
	for _, n := range c.nodes {
		if !n.ready {
			n.finish()
		}
	}
	close(c.loopDone)
	c.endSource(errors.New("the run is over"))
	c.closeDoors()
	c.leaveHosts()
	for _, n := range c.nodes {
		if n.ready {
			close(n.assignments) // a worker that has nothing more to do takes its gateway with it
		}
	}
	termErr := c.cfg.Group.Terminate(context.WithoutCancel(c.ctx), c.cfg.TerminateTimeout)
	c.endNodes(errors.New("the run is over"))
	c.wait.Wait()
	if c.hosts != nil {
		c.hosts.Wait() // their gateways have ended
	}

	s := event.Summary{
		Collected:   c.ledger.collected,
		Counts:      c.ledger.counts,
		NotRun:      c.ledger.notRun,
		Durations:   c.ledger.durations,
		Failed:      c.failed,
		BuildFailed: c.buildFailed,
		Interrupted: c.interrupted,
		Stopped:     c.stopped,
		Shards:      c.shards(),
		Flags:       c.cfg.Command.RunFlags(),
		Unbalanced:  c.ledger.check(c.pkgs),
		Links:       c.stores.measured(),
	}
	if termErr != nil {
		c.emit(event.Warning{Text: "end the gateways: " + termErr.Error()})
	}
	now := time.Now()
	c.emit(event.RunEnded{Time: now, Elapsed: now.Sub(c.start), Summary: s, Fatal: c.fatal})
	c.reportFault(c.closeProfile())
	c.reportFault(c.cfg.Reporter.Close())
	return s, errors.Join(c.fatal, c.reportErr)
}

// emit hands an event to the reporter.
func (c *controller) emit(e event.Event) {
	c.reportFault(c.cfg.Reporter.Handle(e))
}

// reportFault keeps the first error of a report: one that is not whole must not pass for a green
// one.
func (c *controller) reportFault(err error) {
	if c.reportErr == nil {
		c.reportErr = err
	}
}
