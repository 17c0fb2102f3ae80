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
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// heldBytes is how much output of one item the controller holds until the item has ended; beyond
// that its events are passed on as they come. Large enough for every ordinary test, small enough
// for a hundred gateways.
const heldBytes = 1 << 20

// leastEvents is how many events a test has that says nothing: it begins, its two lines, and it
// ends.
const leastEvents = 4

// assign gives n a unit for an errand.
func (c *controller) assign(n *node, u policy.Unit, e errand) {
	p := c.pkgs[u.Package]
	j := &job{
		pkg: p, unit: u, errand: e, started: time.Now(), items: make(map[string]*itemRun),
		first: u.Whole && len(u.Items) == len(p.names) && len(p.setbacks)+len(p.trials) == 0 && p.units == 0,
	}
	if j.first {
		p.stage = stageWhole
	}
	n.job = j
	c.enterHost(n)
	p.jobs = append(p.jobs, j)
	p.units++
	for _, i := range u.Items {
		p.attempts[i]++
	}
	c.startPackage(p)
	if p.stage == stageProbing && p.units == 1 {
		time.AfterFunc(c.proof, func() { c.post(probed{p}) })
	}
	names, part := e.ask(j)
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

// tests name what the process of j runs that was asked for names and part. In what they name "/..."
// is all but skip.
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

// envFor is what a test process gets in addition to its worker's environment. A PATH of the spec's
// own keeps the toolchain's directory before it, which go test puts there.
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
	if r.Warning != "" {
		c.warnOfHost(n.info.Hostname, r.Warning)
	}
	for _, e := range r.Events {
		c.handleEvent(n, e)
	}
	n.job.profile = append(n.job.profile, r.Profile...)
	if r.Result != nil {
		c.result(n, *r.Result)
	} else {
		c.checkMaxFail()
	}
}

// warnOfHost shows what a worker says of its host, unless another one there has said it.
func (c *controller) warnOfHost(host, warning string) {
	text := fmt.Sprintf("host %s: %s", host, warning)
	if !c.warned[text] {
		c.warned[text] = true
		c.emit(event.Warning{Text: text})
	}
}

func (c *controller) handleEvent(n *node, e test2json.Event) {
	j := n.job
	e.Package = j.pkg.shown
	switch {
	case e.Test != "":
		j.errand.event(c, n, e)
	case j.first && !j.withholds():
		c.emitFrom(n, e)
	default:
		j.output = append(j.output, e)
	}
}

// withholds reports whether what an item of the job has said may not count.
func (j *job) withholds() bool {
	for _, it := range j.items {
		if it.fate != fateShown {
			return true
		}
	}
	return false
}

// handleTestEvent takes an event of a test in a process that runs items as they are.
func (c *controller) handleTestEvent(n *node, e test2json.Event) {
	j := n.job
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
		it = c.newItemRun(j, name, i, known)
		j.items[name] = it
	}
	it.take(e)
	c.cfg.Reruns.note(it, e)
	j.pkg.followWhole(e)
	if it.bytes > heldBytes {
		it.streamed = true
		if j.pkg.stage == stageProbing {
			c.split(j.pkg) // too much to hold
		}
	}
	if it.dying > 0 && known && it.fate == fateShown && c.triable(j) {
		it.fate = fateHeld
	}
	j.doomed = j.doomed || it.dying > 0
	if e.Action == test2json.ActionFail && known && it.fate == fateShown && !c.certain(n, i, it, it.failing()) {
		it.fate = fateHeld
		it.begun, it.process = j.begun(), time.Since(j.started)
	}
	if e.Test == name {
		it.follow(e)
		if e.Action == test2json.ActionRun || e.Action == test2json.ActionCont {
			j.latest = name
		}
		if known && it.ended() && it.fate == fateShown {
			c.itemEnded(n, i, it)
		}
	}
	if (it.fate == fateShown || it.fate == fateAgain) && (it.streamed || !it.open() && (!known || it.ended())) {
		c.flush(n, it)
	}
}

// newItemRun makes the record of an item that has begun.
func (c *controller) newItemRun(j *job, name string, i int, known bool) *itemRun {
	p := j.pkg
	// Benchmarks have no end, and a fuzz target's news are wanted as they come.
	it := &itemRun{streamed: c.cfg.Live || c.cfg.Command.Grain() == gotest.Alone, before: p.remnants[name], want: 1, events: make([]test2json.Event, 0, leastEvents)}
	if !known {
		return it
	}
	it.want = c.rounds(p, i)
	if c.triable(j) && p.setbacks[i] == nil && (p.trials[i] != nil || p.stage == stageProbing) {
		it.fate = fateHeld
	}
	return it
}

// take keeps an event.
func (it *itemRun) take(e test2json.Event) {
	it.events = append(it.events, e)
	it.bytes += len(e.Output)
	if it.dying == 0 && dies(e) {
		it.dying = len(it.events)
	}
	it.raced = it.raced || showsRace(e)
}

// handleOther takes an event of an item that is not in n's unit.
func (c *controller) handleOther(n *node, i int, e test2json.Event) {
	j := n.job
	switch j.made {
	case attempt.Unit, attempt.Bare:
		c.overreach(j.pkg)
	case attempt.Begun:
		j.excused = j.excused || e.Action == test2json.ActionFail
	case attempt.Whole:
		it := j.others[i]
		if it == nil {
			it = &itemRun{want: c.rounds(j.pkg, i)}
			if j.others == nil {
				j.others = make(map[int]*itemRun)
			}
			j.others[i] = it
		}
		it.take(e)
		if e.Test == j.pkg.names[i] {
			it.follow(e)
		}
	}
}

// overreach is called when a process runs tests that it was not asked for: a TestMain that sets
// -test.run does that. Only the process that was given a test speaks for it.
func (c *controller) overreach(p *pkg) {
	if p.unruly {
		return
	}
	p.unruly = true
	c.emit(event.Warning{Text: fmt.Sprintf("%s: its processes run tests that they were not asked for, as when TestMain sets -test.run; --dist loadscope runs it in one", p.shown)})
}

// itemEnded books an item by its own events, whose process goes on, or leaves it to the end of
// that.
func (c *controller) itemEnded(n *node, i int, it *itemRun) {
	p := n.job.pkg
	switch had := p.verdicts[i]; {
	case had != "":
		c.revise(n, i, it, had)
	case !(n.job.doomed && c.triable(n.job)) && c.certain(n, i, it, it.end()):
		c.book(n, i, it)
	default:
		it.fate = fateHeld
	}
}

// book settles an item by its own events, or has it run again by Config.Reruns. The verdict counts
// before the event that shows it.
func (c *controller) book(n *node, i int, it *itemRun) {
	p := n.job.pkg
	v := it.verdict
	switch {
	case v == event.Fail && c.mayRerun(n, i, it):
		c.setBack(n, i, it, event.Fail)
		return
	case v != event.Fail && p.setbacks[i] != nil:
		v = event.Flaky
	}
	c.settleItem(n, i, it, v)
}

// settleItem gives an item the verdict that its attempt in n's job came to.
func (c *controller) settleItem(n *node, i int, it *itemRun, v event.Verdict) {
	p := n.job.pkg
	c.ledger.settle(p, i, v, it.elapsed, n.id, "")
	p.note(i, it)
	c.mended(p, i, n.job.made, v)
	c.learnDivision(p, i, v)
	if v == event.Fail {
		p.noteFailure(i, it.text(), n.job)
		c.fail(p)
	}
}

// revise takes another end of an item that has its verdict: of a later unit of a replay, or of a
// process that says twice how the item ended. The last one of a process counts.
func (c *controller) revise(n *node, i int, it *itemRun, had event.Verdict) {
	p, v := n.job.pkg, it.verdict
	switch {
	case c.replay != nil && v == event.Fail && had != event.Fail && had != event.Crash:
		c.worsenReplayed(n, i, it, event.Fail)
	case c.replay != nil || v == had || had == event.Crash || had == event.Flaky || had == event.NotRun:
	case v == event.Fail:
		c.ledger.replace(p, i, v)
		c.fail(p)
	default:
		if had == event.Fail {
			c.failures--
		}
		c.ledger.replace(p, i, v)
	}
}

// rounds is how often one process runs an item. Examples run once whatever -count and -cpu say.
func (c *controller) rounds(p *pkg, i int) int {
	if strings.HasPrefix(p.names[i], "Example") {
		return p.copies[i]
	}
	return c.cfg.Command.Count * c.cfg.Command.CPUs * p.copies[i]
}

// fail counts a failure of a test, which may be the one too many. That its package fails is for the
// process to say, whose TestMain can have its own view.
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
	if it.streamed {
		it.told = appendOutput(it.told, it.events)
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
		t.Again = it != nil && it.fate == fateAgain && e.Action == test2json.ActionFail
	}
	return t
}

// signalHold is how long the death of a process by a signal that ends whole hosts waits for its
// agent to follow.
const signalHold = time.Second

// heldResult is a result whose process died of such a signal, when its agent did not.
type heldResult struct {
	*node
	job    *job
	result unit.Result
}

// result takes the end of a process. A batch system that cancels a job signals test and agent: if
// the agent is gone a moment later it was lost with all that it ran, and no test is to blame.
func (c *controller) result(n *node, r unit.Result) {
	ours := n.job.stopped || r.TestTimeout > 0 || r.TimedOut || r.Interrupted
	if ours || r.Signal != "killed" && r.Signal != "terminated" {
		c.handleResult(n, r)
		return
	}
	n.job.signalled = true
	held := heldResult{n, n.job, r}
	time.AfterFunc(signalHold, func() { c.post(held) })
}

// handleResult ends a unit: every item of it has a verdict now or goes back to pending.
func (c *controller) handleResult(n *node, r unit.Result) {
	j, p := n.job, n.job.pkg
	impatient := r.TestTimeout > 0 && j.limits[r.Culprit] && !j.stopped
	if j.overdue = r.TestTimeout; impatient {
		j.overdue = 0
		r.Signal, r.TimedOut, r.Incomplete, r.Err = "", false, false, "" // our doing, and no news
	}
	end := jobEnd{failed: r.Failed, how: howItEnded(r), culprit: r.Culprit, cutOff: r.Unfinished, changed: len(r.Changed) > 0, hung: r.TimedOut}
	if r.Failed && r.Verdict == "" {
		end.kind = endDied
	}
	wall := r.Wall
	outcome := j.errand.end(c, n, end, &r)
	outcome.Overhead = wall
	for _, d := range slices.Concat(outcome.Done, outcome.Ran) {
		outcome.Overhead -= d.Elapsed
	}
	outcome.Overhead = max(outcome.Overhead, 0)
	c.release(n, func() { p.target.policy.Finish(policy.NodeID(n.id), outcome) })
}

// showOutput passes the held package-level output of n's unit on, unless another unit has shown the
// same.
func (c *controller) showOutput(n *node) {
	if j := n.job; len(j.output) > 0 && (j.first || j.pkg.firstSeen(j.output)) {
		for _, e := range j.output {
			c.emitFrom(n, e)
		}
		j.output = nil
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

// release ends n's job and closes the package when it was the last. inBooks makes the policy's
// entry.
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
	c.observe(p)
	if p.failed && c.cfg.Command.FailFast {
		c.revoke("-failfast") // what runs goes on, as under go test
	}
	if c.stopped != "" || j.stopped {
		p.target.policy.Drop(p.num)
		if len(p.jobs) == 0 {
			c.settleRest(p, c.stopped)
		}
	}
	if p.settled() && !c.owes(p) {
		c.close(p)
	}
	c.checkMaxFail()
}

// owes reports whether the whole of a package that is at its end has to run once more: a process
// that fails for no test has to do so as go test runs it, and one whose test failed must not be
// green.
func (c *controller) owes(p *pkg) bool {
	if c.stopped != "" || !p.owed || p.wholes >= mostWholes {
		return false
	}
	p.owed = false
	p.wholes++
	p.target.policy.Owe(p.num)
	return true
}
