package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// jobEnd is how a job came to its end, from the process' result or from the loss of its agent.
type jobEnd struct {
	kind    endKind
	failed  bool
	how     string // "exit status 2", "signal: killed"
	culprit string // the item that the process died of, or ""
	cutOff  string // the item in whose middle the process exited 0, or ""
	changed bool   // it has failed, and changed files of its package that are still there
}

type endKind int

const (
	endInOrder endKind = iota // with a word on all that it ran
	endDied                   // in the middle: some item may have been running
	endHung                   // in the middle, after all the time that -timeout gives
	endLost                   // with its agent: nothing is said about what had not begun
	endSilent                 // with its agent, which was lost in a way that says nothing about the process
	endUnsaid                 // nothing of it counts: all items go back to pending
)

// died reports whether the process died in the middle, and its agent did not.
func (e jobEnd) died() bool { return e.kind == endDied || e.kind == endHung }

// lost reports whether the agent was lost.
func (e jobEnd) lost() bool { return e.kind == endLost || e.kind == endSilent }

// notRun is why an item that the process has not run has not.
func (e jobEnd) notRun() string {
	if e.failed {
		return "the process ended before it: " + e.how
	}
	return "its process exited 0 without running it"
}

// conclude gives each item of n's job that has no verdict one, puts it on trial, or sends it back
// to pending:
//
//   - what has ended, and the culprit of a process that died, is for its case to decide;
//   - what had not ended or not begun when a process died in the middle runs again elsewhere. One
//     item gets a verdict or goes on trial each time that happens, so it comes to an end;
//   - what had not begun when the process ended in order is tried in the whole, and not run if it
//     does not come there: `go test` says nothing about it either.
func (c *controller) conclude(n *node, end jobEnd, r *unit.Result) policy.Outcome {
	j, p := n.job, n.job.pkg
	var out policy.Outcome
	switch {
	case r == nil && len(j.items) == 0 && len(j.unit.Items) > 1:
		end.kind = endUnsaid
	case r != nil && c.collided(n, end):
		c.serialize(p, end.how)
		end.kind = endUnsaid
	}
	if r != nil {
		c.givePanic(n, r)
	}
	tainted := r != nil && c.taints(j, *r)
	begun := len(j.items)+len(j.others) > 0 // of the whole, tests of other units too
	for _, i := range j.unit.Items {
		c.concludeItem(n, i, end, tainted, begun, &out)
	}
	c.flushStrangers(n)
	if r != nil && end.kind != endUnsaid {
		c.judge(n, end, *r, tainted)
	}
	return out
}

// concludeItem says what becomes of an item of n's job.
func (c *controller) concludeItem(n *node, i int, end jobEnd, tainted, begun bool, out *policy.Outcome) {
	j, p := n.job, n.job.pkg
	name := p.names[i]
	it := j.items[name]
	how := c.howEnded(j, i, it, end, tainted, begun)
	switch {
	case p.verdicts[i] != "":
	case it != nil && it.fate == fateAgain:
		c.sendBack(p, out, i, it)
		return
	case j.stopped(), j.told == toldQuit && how == attempt.CutOff:
		c.concludeStopped(n, i, it)
	case p.trials[i] == nil && (end.kind == endUnsaid || how == attempt.CutOff):
		if it != nil && end.kind != endUnsaid && (it.late(it.end()) || it.suspended && name == end.culprit) {
			it.fate = fateAside // and no failure of its process
		}
		c.keepRemnant(p, name, it)
		out.Requeue = append(out.Requeue, i)
		return
	case how != attempt.Lost && (!c.triable(j) || p.setbacks[i] != nil):
		if c.concludePlainly(n, i, it, end, how); it != nil && it.fate == fateAgain {
			c.sendBack(p, out, i, it)
			return
		}
	case name == end.cutOff && j.made == attempt.Whole:
		c.passCutOff(n, i, it)
	default:
		if c.try(n, i, it, end, how) || it != nil && it.fate == fateAgain {
			c.sendBack(p, out, i, it)
			return
		}
	}
	done := policy.ItemTime{Item: i}
	if it != nil {
		done.Elapsed = it.elapsed
	}
	out.Done = append(out.Done, done)
}

// howEnded is how an attempt at an item ended, as the rules have it.
func (c *controller) howEnded(j *job, i int, it *itemRun, end jobEnd, tainted, begun bool) attempt.End {
	died := end.died() || end.lost()
	switch {
	case end.kind == endUnsaid:
		return attempt.CutOff
	case end.lost() && (j.pkg.names[i] == end.culprit || len(j.unit.Items) == 1 && !j.signalled && !(it != nil && it.ended())):
		return attempt.Lost
	case end.died() && j.pkg.names[i] == end.culprit:
		if it != nil && it.late(attempt.Failed) {
			return attempt.CutOff
		}
		if it != nil && it.raced || end.kind == endHung && j.met != attempt.Package && j.limits == nil {
			return attempt.Raced // it has had all of go test's time, and nothing of its package beside it
		}
		return attempt.Failed
	case j.pkg.names[i] == end.cutOff:
		return attempt.Passed
	case it != nil && it.rounds > 0 && !it.open() && (!died || it.failed() || it.fate == fateHeld && it.ended()):
		how := it.end()
		if it.late(how) {
			return attempt.CutOff
		}
		if tainted && (how == attempt.Passed || how == attempt.Lacking) {
			return attempt.Tainted
		}
		return how
	case died && (begun || end.lost()):
		return attempt.CutOff
	}
	return attempt.Absent
}

// concludeStopped settles an item of a job that was told to end.
func (c *controller) concludeStopped(n *node, i int, it *itemRun) {
	p := n.job.pkg
	switch {
	case it != nil && it.ended():
		it.fate = fateShown
		c.settleItem(n, i, it, it.verdict)
		c.flush(n, it)
	case p.trials[i] != nil && p.trials[i].said.verdict != "":
		p.failed = p.failed || p.trials[i].said.verdict != event.Pass && p.trials[i].said.verdict != event.Skip
		c.settleSaid(p, i, p.trials[i])
	default:
		c.cutShort(n, i, it, c.stopped)
	}
}

// concludePlainly settles an item whose attempt nobody doubts.
func (c *controller) concludePlainly(n *node, i int, it *itemRun, end jobEnd, how attempt.End) {
	p := n.job.pkg
	if it != nil {
		it.fate = fateShown
	}
	switch {
	case p.names[i] == end.cutOff:
		c.passCutOff(n, i, it)
	case it != nil && it.rounds > 0 && !it.open():
		c.book(n, i, it)
		c.flush(n, it)
	case how == attempt.Absent:
		c.cutShort(n, i, it, end.notRun())
	case it != nil && c.followed(n, i, it, end, event.Crash):
		c.setBack(n, i, it, event.Crash)
		c.showCrash(n, i, it, end)
	default:
		c.crash(n, i, it, end)
	}
}

// collided reports whether a process got nowhere while another one of its package ran: the price of
// splitting, and not a verdict.
func (c *controller) collided(n *node, end jobEnd) bool {
	j := n.job
	return c.replay == nil && j.told == toldNothing && len(j.items) == 0 && len(j.unit.Items) > 0 && j.met == attempt.Package && !j.first && end.culprit == ""
}

// taints reports whether a process of a part of its package failed, and none of its tests did.
func (c *controller) taints(j *job, r unit.Result) bool {
	if !r.Failed || !c.triable(j) || j.made == attempt.Whole || r.Culprit != "" || r.Err != "" || slices.ContainsFunc(j.output, saysRace) {
		return false
	}
	for _, it := range j.items {
		if it.failed() || it.open() {
			return false
		}
	}
	return !j.excused && len(j.items) > 0
}

// judge takes what the process of a unit says of its package.
func (c *controller) judge(n *node, end jobEnd, r unit.Result, tainted bool) {
	j, p := n.job, n.job.pkg
	whole := j.made == attempt.Whole
	again := whole && c.judgeOthers(n, end)
	aside := j.asideOnly()
	switch {
	case again:
		c.isolate(p)
		p.owed = true
		return
	case tainted:
		p.owed, p.unity = true, max(p.unity, unityDoubted)
		return
	case len(j.items) == 0 && len(j.unit.Items) > 0 && !whole && c.triable(j):
		return // its items are tried in the whole
	}
	r = j.forgive(r)
	if j.stopped() && r.Failed && !j.failedTests() {
		return // the end of the run is no failure of its own
	}
	if whole && !r.Failed && j.failedTests() {
		p.lenient = true
	}
	withheld := j.withheld()
	switch {
	case whole && !withheld:
		p.owed = false
		p.vouch(r, whole, len(j.items)+len(j.others) > 0)
		if c.triable(j) { // it is the package
			if p.unity == unityDoubted && !r.Failed {
				p.unity = unityNeeded
			}
			p.dropResults()
		}
	case whole:
		j.dropClosing(r) // there is more to come
	}
	if quiet := j.confirms() && !whole && !r.Failed; !quiet {
		c.showOutput(n)
	} else if p.ranWhole() {
		return // that process has said it all
	}
	var covered *profile
	if !aside || whole && !withheld {
		covered = j.takeCovered()
	}
	p.takeResult(r, covered, whole && !withheld && j.untouched) // asked for by their names, a process leaves the closing lines to others
	if !r.Failed && !whole && j.failedTests() {
		p.owed = true // a TestMain that thinks nothing of failures has to do so as go test runs it
	}
}

// withheld reports whether an item of the job goes on.
func (j *job) withheld() bool {
	for _, it := range j.items {
		if how := it.end(); it.aside() && how != attempt.Skipped && how != attempt.Lacking { // skips change nothing that the process says of itself
			return true
		}
	}
	return false
}

// failedTests reports whether a failure of the job's items counts.
func (j *job) failedTests() bool {
	for name, it := range j.items {
		if i, ok := j.pkg.index[name]; ok && it.failed() && j.pkg.verdicts[i] == event.Fail {
			return true
		}
	}
	for i, it := range j.others {
		if it.failed() && j.pkg.verdicts[i] == event.Fail {
			return true
		}
	}
	return false
}

// judgeOthers takes what a process of the whole shows of items that have their verdicts. The whole
// has the word, as go test does. It reports whether it has to run once more.
func (c *controller) judgeOthers(n *node, end jobEnd) (again bool) {
	j, p := n.job, n.job.pkg
	if !c.triable(j) {
		return false
	}
	for i, it := range j.others {
		had := p.verdicts[i]
		died := p.names[i] == end.culprit && end.died()
		if had != event.Pass && had != event.Skip || !died && !it.ended() {
			continue
		}
		how := it.end()
		if died {
			how = attempt.Failed
		}
		var fresh attempt.Case
		d := fresh.Add(p.seen(j, i, it, how, false), c.facts(j, i, it, how))
		switch {
		case d.Verdict == attempt.Open && how == attempt.Failed:
			again = true
		case d.Verdict == attempt.Fail:
			c.contradict(n, i, it, end, died)
		case d.Verdict == attempt.Skip && had == event.Pass, d.Verdict == attempt.Pass && had == event.Skip:
			c.ledger.replace(p, i, it.verdict)
			c.showOther(n, i, it.events)
		}
	}
	return again
}

// contradict has an item fail that fails in the whole, and passed in a part of it.
func (c *controller) contradict(n *node, i int, it *itemRun, end jobEnd, died bool) {
	p, v, how := n.job.pkg, event.Fail, "failed"
	events := it.events
	if died {
		v, how = event.Crash, fmt.Sprintf("crashed (%s)", end.how)
		events = append(events, crashEvents(n, it, p.names[i], end)...)
	}
	c.ledger.replace(p, i, v)
	c.fail()
	p.failed = true
	p.red(i, true)
	c.packageOutput(p, fmt.Sprintf("xdist: %s %s when it ran with all tests of its package, as go test runs it, and did not with some of them\n", p.names[i], how))
	c.showOther(n, i, events)
}

// showOther shows what the whole says of an item that was shown before, as an attempt of its own.
func (c *controller) showOther(n *node, i int, events []test2json.Event) {
	n.job.pkg.attempts[i]++
	for _, e := range events {
		c.emitFrom(n, e)
	}
}

// keepRemnant remembers what an attempt has shown that will be made again. After several rounds it
// is shown from its beginning: there is no telling what of the next attempt is said again and what
// is new. So is one that has shown more than is worth remembering, or than there is room for.
func (c *controller) keepRemnant(p *pkg, name string, it *itemRun) {
	if it == nil || it.forgotten > 0 || len(it.shown) == 0 || it.rounds > 1 || it.rounds == 1 && it.open() {
		return
	}
	if c.remembered()+weighShown(it.shown) > mostRemnants {
		return
	}
	if p.remnants == nil {
		p.remnants = make(map[string]remnant)
	}
	if r := remnantOf(it.before, it.shown); !r.ended[name] {
		p.remnants[name] = r
	}
}

// mostRemnants is how many bytes may be remembered of all items together, some 80,000 events.
const mostRemnants = 8 << 20

// remembered is how many there are.
func (c *controller) remembered() int {
	sum := 0
	for _, p := range c.pkgs {
		for _, r := range p.remnants {
			sum += r.weight
		}
	}
	return sum
}

// passCutOff settles an item in whose middle its process exited 0. `go test` calls it a pass, so it
// is one, but not a silent one.
func (c *controller) passCutOff(n *node, i int, it *itemRun) {
	p := n.job.pkg
	c.ledger.settle(p, i, event.Pass, it.elapsed, n.id, "")
	c.flush(n, it)
	c.emitFrom(n, p.passOf(i, it))
	c.warnOfCutOff(p, i)
}

// passOf is the end of an item that its process did not come to.
func (p *pkg) passOf(i int, it *itemRun) test2json.Event {
	elapsed := it.elapsed.Seconds()
	return test2json.Event{Time: time.Now(), Action: test2json.ActionPass, Package: p.shown, Test: p.names[i], Elapsed: &elapsed}
}

func (c *controller) warnOfCutOff(p *pkg, i int) {
	c.emit(event.Warning{Text: fmt.Sprintf("%s: its process exited 0 before it said how the test ended, as when a test closes its standard output; go test calls that a pass", p.id(i))})
}

// flushOpen passes on what an item printed that will not end.
func (c *controller) flushOpen(n *node, it *itemRun) {
	if it != nil {
		c.flush(n, it)
	}
}

// crash settles an item that was running when its process or agent died, and shows it.
func (c *controller) crash(n *node, i int, it *itemRun, end jobEnd) {
	c.ledger.settle(n.job.pkg, i, event.Crash, time.Since(n.job.started), n.id, "")
	c.fail()
	n.job.pkg.failed = true
	c.showCrash(n, i, it, end)
}

// showCrash passes on what an item printed, a line that says what happened to its process or agent,
// and a fail event.
func (c *controller) showCrash(n *node, i int, it *itemRun, end jobEnd) {
	p := n.job.pkg
	name := p.names[i]
	now := time.Now()
	if it == nil || !it.open() && it.rounds == 0 {
		c.emitFrom(n, test2json.Event{Time: now, Action: test2json.ActionRun, Package: p.shown, Test: name})
	}
	c.flushOpen(n, it)
	for _, e := range crashEvents(n, it, name, end) {
		c.emitFrom(n, e)
	}
}

// crashEvents say how an item ended that could not say it itself.
func crashEvents(n *node, it *itemRun, name string, end jobEnd) []test2json.Event {
	elapsed := 0.0
	if it != nil {
		elapsed = (it.elapsed + it.watch.soFar(time.Now())).Round(10 * time.Millisecond).Seconds() // as package testing rounds it
	}
	text := fmt.Sprintf("xdist: %s crashed while running on %s: %s\n", name, n.id, end.how)
	if d := n.job.overdue; d > 0 {
		text = fmt.Sprintf("xdist: %s timed out after %v (--test-timeout)\n", name, d)
	}
	events := []test2json.Event{
		{Action: test2json.ActionOutput, Output: text},
		{Action: test2json.ActionFail, Elapsed: &elapsed},
	}
	for i := range events {
		events[i].Time, events[i].Package, events[i].Test = time.Now(), n.job.pkg.shown, name
	}
	return events
}
