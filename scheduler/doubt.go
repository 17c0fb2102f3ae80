package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// `go test` runs a package in one process. A test that fails while two processes of its package ran may have failed for that reason: both
// wanted one port, one file, one address. Or it needs what the tests before it have done. Such a failure does not count yet. Its test runs
// again when all others of the package have ended, with nothing of the package beside it, and what it says then is its verdict.

// contextTime is how long the tests of a package may have taken in sum for a test in doubt to run again among all of them, in their order,
// and not only with the others in doubt: tests that need those before them are then seen to pass, at a small price.
const contextTime = time.Second

// doubt is a failure that does not count yet.
type doubt struct {
	events  []Test // of the attempt that failed, in so far as they were not shown
	verdict Verdict
	gateway string
	elapsed time.Duration
}

// doubtful reports whether a failure of item i might be the price of splitting: another process of its package ran, or the tests before it
// did not run in its own, which is worth a look where it costs little. The second failure counts, and so
// does one whose output is too long to be held back.
func (c *controller) doubtful(n *node, i int, it *itemRun) bool {
	j := n.job
	_, again := j.pkg.doubts[i]
	again = again || j.pkg.setbacks[i] != nil
	return c.replay == nil && (!j.alone || j.pkg.quick()) && !j.unit.Whole && !j.stopped && !again && it.bytes <= heldBytes
}

// doubt puts the failure of item i aside, with the events that would have shown it.
func (c *controller) doubt(n *node, i int, it *itemRun, v Verdict, events []test2json.Event) {
	p := n.job.pkg
	d := &doubt{verdict: v, gateway: n.id, elapsed: it.elapsed}
	for _, e := range events {
		if !it.before.has(e) {
			d.events = append(d.events, c.eventFrom(n, e))
		}
	}
	if p.doubts == nil {
		p.doubts = make(map[int]*doubt)
	}
	p.doubts[i] = d
	p.keepRemnant(p.names[i], it)
	it.doubted = true
}

// What a test may take that an earlier run has seen, in its first attempt, before it is doubted that it will end: tests of a package that take each other's ports
// also hang, and -timeout is far away. The second attempt has nothing of its package beside it and as much time as go test would give it.
const (
	patience    = 10 // times what it is known to take
	minPatience = 20 * time.Second
)

// losePatience gives tests of an order for j a limit of their own, where the user has not set a shorter one.
func (c *controller) losePatience(j *job, o *order) {
	p := j.pkg
	if j.unit.Whole || j.wide || c.replay != nil || c.cfg.Command.Grain() != gotest.Split {
		return
	}
	for _, name := range o.Names {
		i, ok := p.index[name]
		if !ok || p.expected[i] == 0 || j.division == nil && p.attempts[i] > 1 {
			continue
		}
		limit := max(minPatience, patience*p.expected[i])
		if asked, ok := o.TestTimeouts[name]; ok && asked > 0 && asked <= limit || !ok && o.TestTimeout > 0 && o.TestTimeout <= limit {
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

// doubtCulprit doubts the item that a process died of by itself: it exited or panicked. A signal or a timeout says enough.
func (c *controller) doubtCulprit(n *node, r unit.Result) {
	i, ok := n.job.pkg.index[r.Culprit]
	it := n.job.items[r.Culprit]
	if !ok || it == nil || n.job.division != nil || it.aside() || it.failed || r.Signal != "" || r.TimedOut || !n.job.impatient && !c.doubtful(n, i, it) {
		return
	}
	c.doubt(n, i, it, Crash, append(it.events, crashEvents(n, it, r.Culprit, howItEnded(r))...))
}

// forgive takes back the failure of a process that failed for nothing but tests in doubt and tests that run again.
func (j *job) forgive(r unit.Result) unit.Result {
	failed, aside := false, false
	for _, it := range j.items {
		failed = failed || it.failed && !it.aside()
		aside = aside || it.aside()
	}
	culprit := j.items[r.Culprit]
	explained := r.Verdict == "FAIL" && r.ExitCode == 1 || r.Verdict == "" && culprit != nil && culprit.aside()
	ended := (r.Signal != "" || r.TimedOut) && (culprit == nil || !culprit.again)
	if failed || !aside || !explained || ended || r.Err != "" || r.Incomplete || slices.ContainsFunc(j.output, saysRace) {
		return r
	}
	r.Failed, r.Verdict = false, "PASS"
	j.output = slices.DeleteFunc(j.output, func(e test2json.Event) bool { return strings.HasPrefix(e.Output, "exit status ") })
	return r
}

// saysRace finds the line by which package testing fails a process for a race that belongs to no test.
func saysRace(e test2json.Event) bool {
	return strings.Contains(e.Output, "race detected outside of test execution")
}

// settleDoubt gives an item that will not run again the verdict that was in doubt, and shows it.
func (c *controller) settleDoubt(p *pkg, i int, d *doubt) {
	for _, e := range d.events {
		c.emit(e)
	}
	c.ledger.settle(p, i, d.verdict, d.elapsed, d.gateway, "")
	p.failed = true
	c.fail(p)
}

// context is what the process of u is asked to run: the items of u, and where they are in doubt and the package is quick, all others with them.
func (p *pkg) context(u policy.Unit) (names []string, wide bool) {
	if u.Whole && !p.partial {
		return nil, false
	}
	for _, i := range u.Items {
		if i >= len(p.names) {
			return nil, false // a part
		}
		names = append(names, p.names[i])
		wide = wide || p.doubts[i] != nil && p.attempts[i] == 2
	}
	if !wide || !p.quick() {
		return names, false
	}
	return p.names, true
}

// quick reports whether all tests of the package can run once more to see one of them among the others.
func (p *pkg) quick() bool {
	bytes := 0
	for _, name := range p.names {
		bytes += len(name) + 1
	}
	return p.spent <= contextTime && bytes <= maxContext
}

// maxContext bounds the names of a process that runs all of a package, as policy.Config.MaxBytes bounds those of a unit.
const maxContext = 24 << 10

// contradict is called when a test that has passed fails in the context of others. It counts: `go test` runs it so.
func (c *controller) contradict(n *node, i int) {
	p := n.job.pkg
	if v := p.verdicts[i]; v != Pass && v != Skip {
		return
	}
	c.ledger.worsen(p, i, Fail)
	c.fail(p)
	p.failed = true
	c.packageOutput(p, fmt.Sprintf("xdist: %s failed when it ran with all tests of its package, as go test runs it, and did not with some of them\n", p.names[i]))
}

// acquittals names the tests of p that passed when nothing ran beside them.
func (p *pkg) acquittals() []string {
	var names []string
	for i := range p.doubts {
		if v := p.verdicts[i]; v == Pass || v == Skip {
			names = append(names, p.names[i])
		}
	}
	slices.Sort(names)
	return names
}

// warnOfAcquittals says which tests xdist had to run twice, and how to avoid it.
func (c *controller) warnOfAcquittals(p *pkg) {
	names := p.acquittals()
	if len(names) == 0 {
		return
	}
	const shown = 5
	list := strings.Join(names[:min(shown, len(names))], ", ")
	if more := len(names) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	c.emit(Warning{fmt.Sprintf("%s: failed while the package was split and passed when run again: %s; --dist loadscope runs a package in one process", p.shown, list)})
}

// putAside sends an item in doubt back. With --maxfail the user waits for nothing but that verdict, so it is the next of its package to run.
func (c *controller) putAside(p *pkg, out *policy.Outcome, i int) {
	if c.cfg.MaxFail == 0 {
		out.Doubt = append(out.Doubt, i)
		return
	}
	p.target.policy.Serialize(p.num)
	out.Requeue = append(out.Requeue, i)
}
