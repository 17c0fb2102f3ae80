package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// An attempt at a test is a verdict or not; package attempt decides. While it is not, the test is
// on trial: what its attempts have said is held, and the policy is told when the next one may run.

const (
	// proofTime is what all of a package may take for its tests to be shown by a process of the
	// whole, whatever its parts have shown: that is what go test says, at a small price.
	proofTime = time.Second
	// A whole is worth trying after a failure when the package has not run for longer than
	// spareTime and a part of what the whole will take, and the whole takes no longer than
	// spareWhole.
	spareTime  = 1500 * time.Millisecond
	sparePart  = 0.15
	spareWhole = 10 * time.Second
	// skipTime is what a test may take that runs again for subtests which were skipped and which
	// nobody knows.
	skipTime = 2 * time.Second
	// lostDelay is how long the processes of an agent that was lost may go on.
	lostDelay = time.Second / 2
	// mostWholes is how often a package runs whole for want of a verdict.
	mostWholes = 3
	// maxContext bounds the names of a process that runs more than its unit, as
	// policy.Config.MaxBytes bounds those of a unit.
	maxContext = 24 << 10
)

// trial is a test whose verdict is open after an attempt that ended.
type trial struct {
	attempt.Case
	next   attempt.Attempt // how the next attempt is to be made
	number int             // of that one, as pkg.attempts counts
	after  time.Time       // before which the next attempt is not made: what a lost agent ran may live for a moment
	spare  bool            // less than a Whole will do for it
	said   said            // by the last attempt, should it come to count
	first  *job            // in which it failed first
	lasted time.Duration   // that, until then
	hung   time.Duration   // how long an attempt took that had all of -timeout, or 0
	among  []int           // the items that had begun in it
	apart  bool            // it failed with nothing of its package beside it, or did not run
}

// said is what an attempt has said that is not shown.
type said struct {
	node    *node
	attempt int // its number, from 1
	events  []test2json.Event
	verdict event.Verdict
	lacks   bool // it passed, and subtests of it were skipped
	elapsed time.Duration
	reason  string // of NotRun
	weight  int    // of events; it is part of the account
}

// triable reports whether what n's job says may be doubted at all.
func (c *controller) triable(j *job) bool {
	switch {
	case c.replay != nil, j.told != toldNothing, j.division() != nil, c.cfg.Dist == DistEach, c.cfg.Dist == DistNo:
		return false
	}
	return c.cfg.Command.Grain() == gotest.Split
}

// facts are what the rules are to know of item i at the end of an attempt in j.
func (c *controller) facts(j *job, i int, it *itemRun, how attempt.End) attempt.Facts {
	p := j.pkg
	known, _ := c.cfg.History.Test(p.pool.supply.name, p.path, p.names[i])
	var f attempt.Facts
	if known.Failed && known.Binary == history.Binary(p.key) {
		f.Print = c.inCircumstances(known.Print)
	}
	f.Note(attempt.Quick, (p.stage == stageProbing || p.stage == stageProof) && p.mayRunWhole())
	// What has taken no time so far will soon be by itself: an attempt beside it gains nothing.
	f.Note(attempt.Hurry, c.cfg.MaxFail > 0 || p.disturbed || p.spent <= proofTime)
	f.Note(attempt.Red, known.Red)
	f.Note(attempt.Proven, p.proven)
	switch how { // nobody else asks for what takes long to find out
	case attempt.Failed:
		f.Note(attempt.Spare, p.spare())
		f.Note(attempt.Brief, it != nil && p.endsWithin(it.lasted(j), j))
	case attempt.Skipped, attempt.Lacking:
		f.Note(attempt.Skips, how == attempt.Skipped && known.Skipped && known.Print != 0 && known.Print == attempt.SkipPrint(it.text()) || how == attempt.Lacking && p.believesSkips(i, it))
		f.Note(attempt.Spare, p.mayRunWhole() && p.ran > 0 && p.estimate(0) <= spareWhole)
	}
	return f
}

// skipOf is what is known of a subtest that was skipped and has given this reason. Where there is
// none it may be another one than last time.
func (c *controller) skipOf(p *pkg, test, reason string) skips {
	known, ok := c.cfg.History.Test(p.pool.supply.name, p.path, test)
	switch print := attempt.SkipPrint(reason); {
	case !ok || known.Skipped && (print == 0 || known.Print == 0):
		return skipNew
	case known.Skipped && known.Print == print:
		return skipKnown
	}
	return skipOdd
}

// believesSkips reports whether the subtests of item i that were skipped need no other attempt:
// earlier runs saw them skip, or know nothing of them and the test takes long.
func (p *pkg) believesSkips(i int, it *itemRun) bool {
	long := max(p.expected[i], it.elapsed, it.watch.spent, it.watch.soFar(time.Now())) > skipTime
	return it.skips <= skipKnown || it.skips == skipNew && long
}

// delayContenders has tests run when the others of their package have ended that failed in the last
// run and left no fingerprint, as when the text speaks of what other processes may have. Their next
// failure counts then, and would be tried that way if it came before.
func (c *controller) delayContenders(p *pkg) {
	if p.stage != stageSplit || c.cfg.MaxFail > 0 || c.cfg.Command.FailFast {
		return
	}
	late := make(map[int]*trial)
	for i, name := range p.names {
		if p.expected[i] == 0 || p.division(i) != nil {
			continue
		}
		if known, _ := c.cfg.History.Test(p.pool.supply.name, p.path, name); known.Failed && known.Print == 0 {
			late[i] = &trial{next: attempt.Attempt{Around: attempt.Host, Before: attempt.Bare}, number: 1}
		}
	}
	if len(late) > 0 && len(late) < len(p.names) {
		p.trials = late
		p.pool.policy.Park(p.num, slices.Collect(maps.Keys(late))...)
	}
}

// endsWithin reports whether the rest of the package is expected to end in less than a time that is
// worth waiting for: nothing of it is pending, and what runs in other jobs is known to be short.
func (p *pkg) endsWithin(d time.Duration, j *job) bool {
	if d < time.Second || p.ran == 0 || p.pool.policy.Left(p.num) > 0 {
		return false
	}
	mean := p.spent / time.Duration(p.ran)
	for _, other := range p.jobs {
		if other == j {
			continue
		}
		var left time.Duration
		for _, i := range other.unit.Items {
			if i < len(p.expected) && p.verdicts[i] == "" {
				left += cmp.Or(p.expected[i], mean)
			}
		}
		if left-time.Since(other.started) > d {
			return false
		}
	}
	return true
}

// seen is an attempt at item i in j as the rules are to see it.
func (p *pkg) seen(j *job, i int, it *itemRun, end attempt.End, changed bool) attempt.Seen {
	s := attempt.Seen{Attempt: attempt.Attempt{Before: j.made}, Met: j.met, Over: j.host.since(it.from(j)), End: end, Lasted: it.lasted(j), Begun: len(it.among(j))}
	if t := p.trials[i]; t != nil && t.number == p.attempts[i] {
		s.Around = t.next.Around
	}
	if end == attempt.Failed {
		text := it.text()
		s.Said = attempt.Said{Print: attempt.Fingerprint(text), Contends: attempt.Contends(text), Changed: changed}
	}
	return s
}

// certain reports whether what an item has shown, whose process goes on, is its verdict already.
func (c *controller) certain(n *node, i int, it *itemRun, how attempt.End) bool {
	j := n.job
	p := j.pkg
	switch {
	case it != nil && it.late(how):
		return false
	case !c.triable(j) || p.setbacks[i] != nil:
		return true
	case p.trials[i] != nil || p.stage == stageProbing || j.confirms():
		return false
	}
	if how == attempt.Passed && j.made != attempt.Whole && p.expected[i] == 0 {
		return !c.wasRed(p, i) // else nobody knows anything of it
	}
	var fresh attempt.Case
	return fresh.Add(p.seen(j, i, it, how, false), c.facts(j, i, it, how)).Verdict != attempt.Open
}

// try gives an attempt that has ended to its case. The item has its verdict then, or is on trial.
func (c *controller) try(n *node, i int, it *itemRun, end jobEnd, how attempt.End) (open bool) {
	j := n.job
	p := j.pkg
	t := p.trials[i]
	if t == nil {
		t = new(trial)
	}
	had := t.Tries()
	s := p.seen(j, i, it, how, end.changed)
	d := t.Add(s, c.facts(j, i, it, how))
	if t.Tries() == 1 && had == 0 {
		t.first, t.lasted, t.among = j, s.Lasted, it.among(j)
	}
	before := t.said
	t.say(n, i, it, end, how)
	switch {
	case d.Verdict == attempt.NotRun && how != attempt.Absent:
		t.hold(said{node: n, attempt: p.attempts[i], verdict: event.NotRun, reason: "a process of its whole package did not run it, and one that was asked for it did"})
	case d.Verdict != attempt.NotRun && how == attempt.Absent && before.verdict != "":
		t.hold(before) // this one has said nothing
	}
	if it != nil && it.rounds > 0 {
		p.note(i, it)
	}
	if t.hung > 0 && how == attempt.Failed && j.limits[p.names[i]] {
		t.hold(before) // go test would say that, and nothing of a limit of ours
	}
	if d.Verdict == attempt.Pass && p.names[i] == end.cutOff {
		c.warnOfCutOff(p, i)
	}
	if d.Verdict != attempt.Open {
		c.settleTrial(n, i, it, end, t, d)
		return false
	}
	if end.kind == endSilent && how == attempt.Lost || how == attempt.CutOff {
		t.hold(before) // this one was nobody's fault
	}
	if end.kind == endHung {
		t.hung = s.Lasted
	}
	t.apart = t.apart || how == attempt.Absent || how == attempt.Failed && s.Met != attempt.Package && s.Before != attempt.Whole
	if p.trials == nil {
		p.trials = make(map[int]*trial)
	}
	p.trials[i] = t
	if how == attempt.Lost {
		t.after = time.Now().Add(lostDelay)
	}
	t.next, t.spare, t.number = d.Next, d.Spare, p.attempts[i]+1
	if it != nil {
		it.fate = fateAside
		c.keepRemnant(p, p.names[i], it)
	}
	if how == attempt.Failed {
		c.emit(event.Suspected{Time: time.Now(), Gateway: n.id, Package: p.shown, Test: p.names[i], Why: d.Why, Said: t.said.events})
	}
	return true
}

// settleTrial gives an item the verdict that its case has come to.
func (c *controller) settleTrial(n *node, i int, it *itemRun, end jobEnd, t *trial, d attempt.Decision) {
	j := n.job
	p := j.pkg
	if it != nil {
		it.fate = fateShown
		if d.Verdict == attempt.NotRun {
			it.fate = fateAside // whatever it did when it was asked for
		}
	}
	if failed := d.Verdict == attempt.Fail; failed && it != nil && c.followed(n, i, it, end, t.said.verdict) {
		delete(p.trials, i)
		c.setBack(n, i, it, t.said.verdict)
		for _, e := range t.said.events {
			shown := c.saidEvent(p, t.said, e)
			shown.Again = e.Action == test2json.ActionFail
			c.emit(shown)
		}
		t.drop()
		it.events = nil
		return
	} else if failed {
		p.noteFailure(i, it.text(), j, t.Tries() > 1 || j.made == attempt.Whole)
		if t.Apart() || t.said.verdict == event.Crash && t.Begun() > 1 {
			p.red(i, true) // by what others of its process have done, as far as anybody can tell
		}
	} else if d.Verdict == attempt.Skip {
		p.noteSkip(p.names[i], it.text())
	}
	c.mended(p, i, j.made, t.said.verdict)
	if passed := d.Verdict == attempt.Pass || d.Verdict == attempt.Skip; passed && t.apart && j.made == attempt.Whole && p.stage == stageSplit {
		p.unity = unityNeeded
	}
	p.failed = p.failed || end.lost() && d.Verdict == attempt.Fail // else the process says so
	c.settleSaid(p, i, t)
	c.learnDivision(p, i, t.said.verdict)
	if it != nil {
		it.events = nil
	}
}

// said is what an attempt told, in case it comes to count.
func (t *trial) say(n *node, i int, it *itemRun, end jobEnd, how attempt.End) {
	s := said{node: n, attempt: n.job.pkg.attempts[i], reason: end.notRun()}
	var events []test2json.Event
	weight := 0
	if it != nil {
		events, weight, s.elapsed = it.events, it.weight, it.elapsed
	}
	switch {
	case how == attempt.Absent:
		s.verdict = event.NotRun
	case how == attempt.Skipped:
		s.verdict = event.Skip
	case how == attempt.Passed || how == attempt.Lacking || how == attempt.Tainted:
		if s.verdict, s.lacks = event.Pass, how == attempt.Lacking; it != nil && it.open() {
			events = append(slices.Clip(events), n.job.pkg.passOf(i, it))
		}
	case it != nil && it.failed() && !it.open():
		s.verdict = event.Fail
	default:
		s.verdict = event.Crash
		if it == nil {
			events = append(events, test2json.Event{Time: time.Now(), Action: test2json.ActionRun, Package: n.job.pkg.shown, Test: n.job.pkg.names[i]})
		}
		events = append(slices.Clip(events), crashEvents(n, it, n.job.pkg.names[i], end)...)
	}
	before := n.job.pkg.remnants[n.job.pkg.names[i]]
	if it != nil {
		before = it.before
	}
	keep := saidKept
	if n.account.aside > n.account.base/2 {
		keep = saidLeast
	}
	if weight > 2*keep {
		events = trim(slices.Clone(events), keep)
	}
	if before.shows() {
		events = slices.DeleteFunc(slices.Clone(events), before.has)
	}
	s.events, s.weight = events, weighAll(events)
	t.hold(s)
}

// saidEvent is a reporter's event of one that an attempt has said.
func (c *controller) saidEvent(p *pkg, s said, e test2json.Event) event.Test {
	t := c.packageEvent(p, e)
	t.Gateway, t.Attempt = s.node.id, s.attempt
	return t
}

// context is what the process of u is asked to run, nil for all, and which tests that are. A test
// on trial may run among those that it failed among, or among all. What has ended its process is
// left out: it would again.
func (p *pkg) context(u policy.Unit) (names []string, made attempt.Before) {
	whole := u.Whole && len(p.trials) == 0 || len(u.Items) == 0
	with := make(map[int]bool)
	failed := make(map[*job]time.Duration)
	for _, i := range u.Items {
		with[i] = true
		t := p.trials[i]
		if t == nil || t.number != p.attempts[i] {
			continue
		}
		if t.next.Before == attempt.Whole && t.spare && p.estimate(surprise) > spareWhole {
			t.next.Before = attempt.Begun
		}
		// What has to wait for the others of a package that turned out quick may as well run it
		// whole.
		if t.next.Before == attempt.Begun && t.next.Around >= attempt.Host && p.mayRunWhole() && p.estimate(0) <= proofTime {
			t.next.Before = attempt.Whole
		}
		made = max(made, t.next.Before)
		if t.next.Before >= attempt.Begun && t.first != nil {
			failed[t.first] = t.lasted
			for _, k := range t.among {
				with[k] = true
			}
		}
	}
	if made == attempt.Whole && p.crashes > 0 {
		made = attempt.Begun
	}
	if whole = whole || made == attempt.Whole; whole {
		return p.wholeNames(u.Items), attempt.Whole
	}
	for i := range p.names {
		if with[i] && p.verdicts[i] == event.Crash {
			delete(with, i)
		}
	}
	if made == attempt.Unit {
		return p.named(u.Items), attempt.Unit
	}
	var list []int
	for i := range p.names {
		if with[i] {
			list = append(list, i)
		}
	}
	if names = p.named(list); made == attempt.Bare || !fits(names) {
		return p.named(u.Items), attempt.Bare
	}
	return names, made
}

// wholeNames are what a process of the whole package is asked for, as far as the items' demands
// allow: nil for all that there is.
func (p *pkg) wholeNames(items []int) []string {
	asked := p.partial
	var list []int
	for i := range p.names {
		if len(items) > 0 && !slices.Contains(items, i) && (p.verdicts[i] == event.Crash || p.families > 1 && !p.suits(items, i)) {
			asked = true
			continue
		}
		list = append(list, i)
	}
	if !asked || !fits(p.named(list)) {
		return nil
	}
	return p.named(list)
}

// named are the names of items.
func (p *pkg) named(items []int) []string {
	names := make([]string, len(items))
	for n, i := range items {
		names[n] = p.names[i]
	}
	return names
}

// sendBack tells the policy when the next attempt at item i, which is on trial, may be made.
func (c *controller) sendBack(p *pkg, out *policy.Outcome, i int, it *itemRun) {
	t := p.trials[i]
	if t != nil && t.next.Around == attempt.Nothing {
		c.isolate(p)
	}
	switch {
	case c.cfg.MaxFail > 0: // the user waits for nothing but that verdict
		p.pool.policy.Serialize(p.num)
		out.Requeue = append(out.Requeue, i)
	case t != nil && t.next.Around == attempt.Package:
		out.Retry = append(out.Retry, i)
	default:
		out.Park = append(out.Park, i)
	}
	if it != nil && p.attempts[i] == 1 && it.fate == fateAside && it.rounds > 0 {
		out.Ran = append(out.Ran, policy.ItemTime{Item: i, Elapsed: it.elapsed})
	}
	if t != nil && t.next.Before == attempt.Whole && p.stage == stageSplit && p.spare() {
		p.pool.policy.Park(p.num)
	}
}

// settleSaid books what the last attempt at item i has said, shows it and gives it up.
func (c *controller) settleSaid(p *pkg, i int, t *trial) {
	s := t.said
	t.drop()
	if p.setbacks[i] != nil && s.verdict == event.Pass {
		s.verdict = event.Flaky
	}
	c.ledger.settle(p, i, s.verdict, s.elapsed, s.node.id, s.reason)
	for _, e := range s.events {
		c.emit(c.saidEvent(p, s, e))
	}
	if s.verdict == event.Fail || s.verdict == event.Crash {
		c.fail()
	}
}

// What a test may take that an earlier run has seen, beside other processes of its package, before
// it is doubted that it will end: tests of a package that take each other's ports also hang, and
// -timeout is far away. An attempt with nothing of its package beside it has go test's time, but
// where an earlier one took all of that: then a part of it has to be enough, so that a test that
// hangs by itself costs little more than under go test.
const (
	patience    = 10 // times what it is known to take
	minPatience = 5 * time.Second
	// hungPart of -timeout, and minHung at least, is what a test has that took all of it before.
	hungPart = 10
	minHung  = 30 * time.Second
)

// losePatience gives tests of an order for j a limit of their own, where the user has not set a
// shorter one.
func (c *controller) losePatience(j *job, o *wire.Order) {
	if c.replay != nil || c.cfg.Command.Grain() != gotest.Split {
		return
	}
	for _, name := range o.Names {
		i, ok := j.pkg.index[name]
		if !ok {
			continue
		}
		limit := c.patienceFor(j, i)
		asked, own := o.TestTimeouts[name]
		if !own {
			asked = o.TestTimeout
		}
		if limit == 0 || asked > 0 && asked <= limit {
			continue
		}
		if o.TestTimeouts == nil {
			o.TestTimeouts = make(map[string]time.Duration)
		}
		if j.limits == nil {
			j.limits = make(map[string]bool)
		}
		o.TestTimeouts[name], j.limits[name] = limit, true
	}
}

// patienceFor is the limit of item i in j, 0 for none but go test's.
func (c *controller) patienceFor(j *job, i int) time.Duration {
	p := j.pkg
	switch t := p.trials[i]; {
	case t != nil && t.hung > 0 && j.has(i):
		return min(c.cfg.Command.Timeout, max(minHung, c.cfg.Command.Timeout/hungPart))
	case j.made == attempt.Whole || j.around != attempt.Package || p.expected[i] == 0:
		return 0
	case j.made == attempt.Unit && j.division() == nil && p.attempts[i] > 1:
		return 0
	}
	return max(minPatience, patience*p.expected[i])
}

// showsRace finds the lines by which package testing, the race detector and the runtime tell of a
// data race in a test.
func showsRace(e test2json.Event) bool {
	return e.Action == test2json.ActionOutput && (strings.Contains(e.Output, "race detected during execution of test") ||
		strings.Contains(e.Output, "WARNING: DATA RACE") || strings.Contains(e.Output, "fatal error: concurrent map "))
}

// saysRace finds the line by which package testing fails a process for a race that belongs to no
// test.
func saysRace(e test2json.Event) bool {
	return strings.Contains(e.Output, "race detected outside of test execution")
}

// forgive takes back the failure of a process that failed for nothing but tests on trial, tests
// that run again, and tests whose verdict is not its own to give.
func (j *job) forgive(r unit.Result) unit.Result {
	counted, excused := false, j.excused
	for name, it := range j.items {
		i, known := j.pkg.index[name]
		bad := it.failed() || name == r.Culprit
		counted = counted || bad && !it.aside() && (!known || j.pkg.verdicts[i] == event.Fail || j.pkg.verdicts[i] == event.Crash)
		excused = excused || bad && it.aside()
	}
	if counted || !excused || r.Err != "" || r.Incomplete || slices.ContainsFunc(j.output, saysRace) {
		return r
	}
	r.Failed, r.Verdict = false, "PASS"
	j.output = slices.DeleteFunc(j.output, func(e test2json.Event) bool { return strings.HasPrefix(e.Output, "exit status ") })
	return r
}
