package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
)

// controller is the loop of one run. The goroutine that calls Run owns every field but those of
// mailbox.
//
// Other goroutines, all joined before Run returns: one for each platform's Source, one per node,
// one per door. They know the loop by post alone.
type controller struct {
	cfg    Config
	start  time.Time
	ledger *ledger
	pkgs   []*pkg
	replay *replay       // nil when there is none
	proof  time.Duration // what all of a package may take for its whole to be run however it was split

	hosts  *hosts.Set               // nil when all gateways share the controller's files
	stores stores                   // of the hosts that do not
	sizeOf func(gotest.Ready) int64 // of a binary; nil is 0

	account
	fleet
	arrivals
	builds
	closure
	output
	mailbox
}

// mailbox is how other goroutines reach the loop.
type mailbox struct {
	inbox    chan any      // never closed
	loopDone chan struct{} // closed by Run when nobody reads inbox any more
	wait     sync.WaitGroup
}

// post gives the loop a message, or drops it when the run is over.
func (b *mailbox) post(m any) {
	select {
	case b.inbox <- m:
	case <-b.loopDone:
	}
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
		cfg:     cfg.withDefaults(),
		ledger:  newLedger(),
		account: account{base: allHeld, mostProfiles: allProfiles},
		proof:   proofTime,
		fleet:   fleet{nodes: make(map[string]*node), busy: make(map[string]*crowd), warned: make(map[string]bool), backOff: backOff},
		stores:  newStores(),
		mailbox: mailbox{inbox: make(chan any), loopDone: make(chan struct{})},
		start:   time.Now(),
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
	return c.finish(ctx)
}

// loop handles messages until every item has its verdict and every package is closed.
func (c *controller) loop(ctx context.Context) {
	s := signals{done: ctx.Done()}
	if watch := c.watchSlow(); watch != nil {
		defer watch.Stop()
		s.slow = watch.C
	}
	c.await()
	for over := c.over(); !over; {
		stopped := c.stopped
		m := c.next(s)
		c.handle(m)
		if eventsOnly(m) && c.stopped == stopped {
			continue
		}
		if c.interrupted {
			s.done = nil
		}
		if _, stood := m.(Suspend); c.ending && (s.patience == nil || stood) {
			s.patience = time.After(c.cfg.TerminateTimeout)
		}
		c.await()
		c.dispatch()
		c.foresee()
		over = c.over()
	}
}

// signals are what the loop hears of besides its inbox.
type signals struct {
	done     <-chan struct{}  // the run is interrupted; nil when that was heard
	patience <-chan time.Time // units that were told to end have not; nil before they were told
	slow     <-chan time.Time // it is time for tellSlow; nil for never
}

// What signals come to.
type (
	interruption struct{}
	impatience   struct{}
	lateness     struct{}
	slowness     struct{}
)

// next waits for a message. What ends the run comes before what its nodes have to say, which may be
// without end.
func (c *controller) next(s signals) any {
	select {
	case <-s.done:
		return interruption{}
	case <-s.patience:
		return impatience{}
	case <-c.late:
		return lateness{}
	case r := <-c.cfg.Requests:
		return r
	default:
	}
	select {
	case m := <-c.inbox:
		return m
	case r := <-c.cfg.Requests:
		return r
	case <-s.done:
		return interruption{}
	case <-s.patience:
		return impatience{}
	case <-c.late:
		return lateness{}
	case <-s.slow:
		return slowness{}
	}
}

// eventsOnly reports whether a message is what tests say while they run. That comes far more often
// than all else, and neither gives other nodes something to do nor ends the run.
func eventsOnly(m any) bool {
	switch m := m.(type) {
	case hosts.Sending, orderSent:
		return true
	case nodeReport:
		return m.report.Result == nil
	}
	return false
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
	case hosts.Elsewhere:
		c.warnOfHost(m.Hostname, fmt.Sprintf("%s belongs to another user, or is no directory; the tree goes to %s, and test binaries are built for that apart", m.Taken, m.Dir))
	case hosts.Sending:
		c.emit(event.Sending{Time: time.Now(), Hostname: m.Hostname, Bytes: m.Bytes})
	case hosts.BinariesListed:
		c.handleListed(m)
	case proxyFailed:
		c.handleProxyFailed(m.err)
	case arrival:
		c.admit(m)
	case doorFailed:
		c.handleDoorFailed(m.err)
	case orderSent:
		c.awaitEnd(m)
	case jobOverdue:
		c.handleOverdue(m)
	case probed:
		c.endProbing(m.pkg)
	case heldResult:
		if m.node.job == m.job {
			c.handleResult(m.node, m.result)
		}
	case healed:
		c.handleHealed(m)
	case nodeDown:
		c.handleDown(m.node, m.err)
	case Request:
		c.handleRequest(m)
	case interruption:
		c.interrupted = true
		c.stop("interrupted")
	case impatience:
		c.endNodes(errors.New("its unit did not end in time"))
	case lateness:
		c.giveUp()
	case slowness:
		c.tellSlow()
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
		if p.state != pkgClosed || p.counts != nil {
			return false
		}
	}
	return true
}

// finish ends the nodes, makes the account and the last event. An interrupt that comes only now
// ends what it waits for.
func (c *controller) finish(ctx context.Context) (event.Summary, error) {
	ctx, cancel := c.untilInterrupted(ctx)
	defer cancel()
	for _, n := range c.nodes {
		if !n.ready {
			n.finish()
		}
	}
	close(c.loopDone)
	c.endSource(errors.New("the run is over"))
	c.closeDoors()
	c.leaveHosts(ctx)
	for _, n := range c.nodes {
		if n.ready {
			n.orders.close() // a worker that has nothing more to do takes its gateway with it
		}
	}
	termErr := c.cfg.Group.Terminate(ctx, c.cfg.TerminateTimeout)
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
		LeftOut:     c.leftOut(),
		Flags:       c.cfg.Command.RunFlags(),
		Unbalanced:  c.ledger.check(c.pkgs),
		NothingRan:  c.ledger.nothingRan(c.pkgs),
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
