package scheduler

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// heldBytes is how much output of one item the controller holds until the item has ended; beyond that its events
// are passed on as they come. Large enough for every ordinary test, small enough for a hundred gateways.
const heldBytes = 1 << 20

// leastEvents is how many events a test has that says nothing: it begins, its two lines, and it ends.
const leastEvents = 4

// assign gives n a unit, which may be a recorded one.
func (c *controller) assign(n *node, u policy.Unit, recorded *history.UnitRun) {
	p := c.pkgs[u.Package]
	u.Whole = u.Whole && len(p.setbacks)+len(p.doubts) == 0 // its first process was to be the whole of it
	j := &job{pkg: p, unit: u, recorded: recorded, started: time.Now(), alone: len(p.jobs) == 0, items: make(map[string]*itemRun)}
	n.job = j
	c.enterHost(n)
	for _, other := range p.jobs {
		other.alone = false
	}
	p.jobs = append(p.jobs, j)
	p.units++
	for _, i := range u.Items {
		p.attempts[i]++
	}
	c.startPackage(p)
	names, part := c.ask(j)
	o := c.order(n, p, names, part)
	o.Delay = c.rerunDelay(p, u)
	c.losePatience(j, o)
	n.assignments <- wire.Assignment{Run: o, Digest: p.key, Host: p.ready.Host} // has room: an order and a stop
	started := event.UnitStarted{Time: j.started, Gateway: n.id, Package: p.shown, Items: len(u.Items), Key: p.key}
	started.Tests, started.Skip = j.tests(names, part)
	c.emit(started)
}

// order is what n is asked to run of p: the named tests, nil for all, or a part of one.
func (c *controller) order(n *node, p *pkg, names []string, part *unit.Part) *wire.Order {
	cmd, r := c.cfg.Command, p.ready
	o := &wire.Order{
		Package: p.path, Binary: r.Binary, Args: r.Args, Exec: cmd.Exec, Dir: r.Dir, Env: envFor(n.spec, r.Env), Names: names, Part: part,
		Timeout: cmd.Timeout, CoverProfile: cmd.Cover, CoverMeta: r.CoverMeta, Streamed: len(cmd.Packages) == 0,
	}
	o.TestTimeout = c.cfg.TestTimeout
	n.localize(o, c.hosts != nil)
	o.TestTimeouts = p.timeouts(o.Names)
	return o
}

// ask is what the process of a new job is asked for.
func (c *controller) ask(j *job) (names []string, part *unit.Part) {
	p, u := j.pkg, j.unit
	if j.recorded != nil {
		return p.replayed(u, *j.recorded)
	}
	if len(u.Items) > 0 {
		if j.division = p.division(u.Items[0]); j.division != nil {
			return []string{p.names[j.division.test]}, j.division.partOf(u.Items)
		}
	}
	names, j.bare = p.context(u)
	j.wide = len(names) > len(u.Items)
	j.entire = names == nil || len(names) == len(p.names)
	j.provisional = j.wide && j.entire && !p.isolated
	return names, nil
}

// tests name what the process of j runs that was asked for names and part. In what they name "/..." is all but skip.
func (j *job) tests(names []string, part *unit.Part) (tests, skip []string) {
	switch {
	case part != nil && part.Only == nil:
		return []string{strings.Join(part.Path, "/") + "/..."}, part.Skip
	case part != nil:
		for _, name := range part.Only {
			tests = append(tests, strings.Join(part.Path, "/")+"/"+name)
		}
		return tests, nil
	case names == nil:
		return j.pkg.names, nil
	}
	return names, nil
}

// envFor is what a test process gets in addition to its worker's environment. A PATH of the spec's own keeps the toolchain's directory
// before it, which go test puts there.
func envFor(spec xspec.Spec, env []string) []string {
	for _, v := range spec.Env {
		if v.Name != "PATH" {
			continue
		}
		env = slices.Clone(env)
		for i, e := range env {
			if path, ok := strings.CutPrefix(e, "PATH="); ok {
				first, _, _ := strings.Cut(path, string(os.PathListSeparator))
				env[i] = "PATH=" + first + string(os.PathListSeparator) + v.Value
			}
		}
	}
	return env
}

// handleReport takes the events of a unit as they come, and its end.
func (c *controller) handleReport(n *node, r wire.Report) {
	if n.job == nil {
		c.emit(event.Warning{Text: fmt.Sprintf("gateway %s reports on a unit that it does not have; ending it", n.id)})
		n.finish()
		return
	}
	for _, e := range r.Events {
		c.handleEvent(n, e)
	}
	n.job.profile = append(n.job.profile, r.Profile...)
	if r.Result != nil {
		c.handleResult(n, *r.Result)
	} else {
		c.checkMaxFail()
	}
}

func (c *controller) handleEvent(n *node, e test2json.Event) {
	j := n.job
	e.Package = j.pkg.shown
	if e.Test == "" {
		if j.unit.Whole && !j.reopened {
			c.emitFrom(n, e)
		} else {
			j.output = append(j.output, e)
		}
		return
	}
	if j.division != nil {
		c.handlePartEvent(n, e)
		return
	}
	name := topLevel(e.Test)
	i, known := j.pkg.index[name]
	if known && !j.has(i) {
		c.handleOther(n, i, e)
		return
	}
	if e.Action != test2json.ActionOutput {
		c.emit(event.Progress{Gateway: n.id, Time: e.Time, Action: e.Action, Package: e.Package, Test: e.Test})
	}
	it := j.items[name]
	if it == nil {
		// Benchmarks have no end, and a fuzz target's news are wanted as they come.
		live := c.cfg.Live && (!known || j.pkg.doubts[i] == nil) // what a test in doubt prints is told twice at most
		it = &itemRun{streamed: live || c.cfg.Command.Grain() == gotest.Alone, before: j.pkg.remnants[name], events: make([]test2json.Event, 0, leastEvents)}
		j.items[name] = it
	}
	it.events = append(it.events, e)
	it.bytes += len(e.Output)
	c.cfg.Reruns.note(it, e)
	j.pkg.followWhole(e)
	it.raced = it.raced || showsRace(e)
	if it.bytes > heldBytes {
		it.streamed, it.held = true, false
	}
	if e.Action == test2json.ActionFail && known && c.doubtful(n, i, it) {
		it.held = true
	}
	if e.Test == name {
		c.itemEvent(n, name, it, e)
	}
	ended := !it.open && (!known || it.rounds >= c.rounds(j.pkg, i))
	if !it.doubted && !it.deferred && (ended || it.streamed && !it.held) {
		c.flush(n, it)
	}
}

// handleOther takes an event of an item that is not in n's unit.
func (c *controller) handleOther(n *node, i int, e test2json.Event) {
	switch {
	case !n.job.wide:
		c.overreach(n.job.pkg)
	case !n.job.entire:
		n.job.excused = n.job.excused || e.Action == test2json.ActionFail
	case e.Action == test2json.ActionFail && e.Test == n.job.pkg.names[i]:
		c.contradict(n, i, event.Fail, "failed")
	}
}

// overreach is called when a process runs tests that it was not asked for: a TestMain that sets -test.run does that. Only the
// process that was given a test speaks for it.
func (c *controller) overreach(p *pkg) {
	if p.unruly {
		return
	}
	p.unruly = true
	c.emit(event.Warning{Text: fmt.Sprintf("%s: its processes run tests that they were not asked for, as when TestMain sets -test.run; --dist loadscope runs it in one", p.shown)})
}

// itemEvent follows an item through its rounds.
func (c *controller) itemEvent(n *node, name string, it *itemRun, e test2json.Event) {
	it.follow(e)
	if e.Action == test2json.ActionRun || e.Action == test2json.ActionCont {
		n.job.latest = name
	}
	if i, ok := n.job.pkg.index[name]; ok && e.Terminal() && it.rounds >= c.rounds(n.job.pkg, i) {
		c.book(n, i, it)
	}
}

// book settles an item by its own events. The verdict counts before the event that shows it. A round more than was
// asked for, of a TestMain that runs its tests twice, can make the verdict worse and not better.
func (c *controller) book(n *node, i int, it *itemRun) {
	p := n.job.pkg
	v := event.Pass
	switch {
	case it.again:
		return
	case it.failed:
		v = event.Fail
	case p.setbacks[i] != nil:
		v = event.Flaky
	case it.skipped:
		v = event.Skip
	}
	switch had := p.verdicts[i]; {
	case had == "" && v == event.Fail && c.doubtful(n, i, it):
		c.doubt(n, i, it, event.Fail, it.events)
		return
	case had == "" && v == event.Fail && c.mayRerun(n, i, it):
		c.setBack(n, i, it, event.Fail)
		return
	case had == "" && v != event.Fail && p.unproven(n.job, i, it):
		return
	case had == "" && v != event.Fail && n.job.provisional:
		it.deferred = true
		return
	case had == "":
		c.ledger.settle(p, i, v, it.elapsed, n.id, "")
		c.learnDivision(p, i, v)
	case v == event.Fail && had != event.Fail && had != event.Crash && c.replay != nil:
		c.worsenReplayed(n, i, it, event.Fail)
		return
	case v == event.Fail && had != event.Fail && had != event.Crash:
		c.ledger.worsen(p, i, event.Fail)
	default:
		return
	}
	if v == event.Fail {
		p.noteContext(n.job, i)
		c.fail(p)
	}
}

// rounds is how often one process runs an item. Examples run once whatever -count and -cpu say.
func (c *controller) rounds(p *pkg, i int) int {
	if strings.HasPrefix(p.names[i], "Example") {
		return p.copies[i]
	}
	return c.cfg.Command.Count * c.cfg.Command.CPUs * p.copies[i]
}

// fail counts a failure of a test, which may be the one too many. That its package fails is for the process to say, whose
// TestMain can have its own view.
func (c *controller) fail(p *pkg) {
	p.counted = true
	c.failures++
}

func (c *controller) checkMaxFail() {
	if max := c.cfg.MaxFail; max > 0 && c.failures >= max {
		reason := fmt.Sprintf("stopped after %d failures", c.failures)
		if c.cfg.MaxFailWait {
			c.revoke(reason)
			return
		}
		c.stop(reason)
	}
}

// flush passes an item's held events on, without those that an earlier attempt has shown already.
func (c *controller) flush(n *node, it *itemRun) {
	for _, e := range it.events {
		if it.before.has(e) {
			continue
		}
		c.emitFrom(n, e)
		if (it.streamed || c.replay != nil) && e.Action != test2json.ActionOutput {
			it.shown = append(it.shown, e)
		}
	}
	it.events = nil
}

// emitFrom hands an event that came from n to the reporters.
func (c *controller) emitFrom(n *node, e test2json.Event) { c.emit(c.eventFrom(n, e)) }

func (c *controller) eventFrom(n *node, e test2json.Event) event.Test {
	t := c.packageEvent(n.job.pkg, e)
	t.Gateway = n.id
	if i, ok := n.job.pkg.index[topLevel(e.Test)]; ok {
		t.Attempt = n.job.pkg.attempts[i]
		it := n.job.items[topLevel(e.Test)]
		t.Again = it != nil && it.again && e.Action == test2json.ActionFail
	}
	return t
}

// handleResult ends a unit: every item of it has a verdict now or goes back to pending.
func (c *controller) handleResult(n *node, r unit.Result) {
	j, p := n.job, n.job.pkg
	if j.overdue = r.TestTimeout; j.overdue > 0 && j.limits[r.Culprit] && !j.stopped {
		j.overdue, j.impatient = 0, true
		r.Signal, r.TimedOut, r.Incomplete, r.Err = "", false, false, "" // our doing, and no news
	}
	c.doubtCulprit(n, r)
	c.setBackCulprit(n, r.Culprit, howItEnded(r))
	end := jobEnd{died: r.Failed && r.Verdict == "", failed: r.Failed, how: howItEnded(r), culprit: r.Culprit, cutOff: r.Unfinished}
	c.contradictCulprit(n, r)
	c.bookDeferred(n)
	if c.replay == nil && r.Failed && !j.stopped && len(j.items) == 0 && len(j.unit.Items) > 0 && !j.alone {
		// It got nowhere while another process of its package ran: the price of splitting, not a verdict.
		c.serialize(p, end.how)
		end.retry = true
	} else if _, ours := j.items[r.Culprit]; j.rejected || j.wide && end.died && !ours {
		end.retry = true // the test that it died of is not one of those that it was to show
	} else {
		if j.division != nil {
			r = c.judgeParts(n, r)
		} else {
			r = j.forgive(r)
		}
		j.dropClosing(r)
		c.showOutput(n)
		if r.Profile = j.profile; j.asideOnly() {
			r.Profile = nil
		}
		p.results = append(p.results, r)
		p.failed = p.failed || r.Failed
		p.whole = j.unit.Whole && !p.partial // asked for by their names, a process leaves the closing lines to others
	}
	outcome := c.conclude(n, end)
	outcome.Overhead = r.Wall
	for _, d := range outcome.Done {
		outcome.Overhead -= d.Elapsed
	}
	outcome.Overhead = max(outcome.Overhead, 0)
	c.release(n, func() { p.target.policy.Finish(policy.NodeID(n.id), outcome) })
}

// showOutput passes the held package-level output of n's unit on, unless another unit has shown the same.
func (c *controller) showOutput(n *node) {
	if j := n.job; (!j.unit.Whole || j.reopened) && len(j.output) > 0 && j.pkg.firstSeen(j.output) {
		for _, e := range j.output {
			c.emitFrom(n, e)
		}
	}
}

// serialize makes p run one process at a time, because two of them get into each other's way.
func (c *controller) serialize(p *pkg, how string) {
	if p.disturbed {
		return
	}
	p.disturbed = true
	p.target.policy.Serialize(p.num)
	c.emit(event.Warning{Text: fmt.Sprintf("%s: two of its processes cannot run at once (%s); running them one at a time", p.shown, how)})
}

// howItEnded puts the end of a process in words, as os/exec does.
func howItEnded(r unit.Result) string {
	switch {
	case r.Err != "":
		return r.Err
	case r.TestTimeout > 0:
		return fmt.Sprintf("a test of it had been running for %v", r.TestTimeout)
	case r.TimedOut:
		return "timed out"
	case r.Signal != "":
		return "signal: " + r.Signal
	}
	return fmt.Sprintf("exit status %d", r.ExitCode)
}

// release ends n's job and closes the package when it was the last. inBooks makes the policy's entry.
func (c *controller) release(n *node, inBooks func()) {
	j, p := n.job, n.job.pkg
	n.job = nil
	c.leaveHost(n)
	if c.nodes[n.id] == n {
		c.idle = append(c.idle, n)
	}
	p.jobs = slices.DeleteFunc(p.jobs, func(other *job) bool { return other == j })
	c.emit(event.UnitEnded{Time: time.Now(), Gateway: n.id, Package: p.shown})
	inBooks()
	if p.failed && c.cfg.Command.FailFast {
		c.stop("-failfast")
	}
	if c.stopped != "" || j.stopped {
		p.target.policy.Drop(p.num)
		if len(p.jobs) == 0 {
			c.settleRest(p, c.stopped)
		}
	}
	if p.settled() {
		c.close(p)
	}
	c.checkMaxFail()
}
